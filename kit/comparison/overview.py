"""All runs as a table: what each is, what it reached, what of it is unfinished or damaged.

No array is read: thousands of runs take seconds.
"""

import datetime
import fnmatch
import functools
import hashlib
import os
import pathlib
import warnings
from typing import TYPE_CHECKING, Any

from kit import competitions, recipes, tracking
from kit.comparison.differences import of_config
from kit.errors import UserError
from kit.metrics import named
from kit.submission.ledger import Ledger, Line
from kit.suggestions import nearest
from kit.tracking import Run

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "name": "the run's name",
    "competition": "its competition's name",
    "kind": "network, ensemble, plan (an ensemble whose members one command trains) or tta (another run's networks "
    "that predicted again)",
    "network": "the network's name; of an ensemble its method",
    "images": "how many training images its data have",
    "limit": "the --limit that it was trained with; 0 for none",
    "folds": "of cross-validation; 0 for one validation split",
    "accuracy": "on images that its networks were not trained on, 0…1",
    "standard_error": "of the accuracy",
    "metric": "what the competition scores by",
    "score": "on the same images, by that metric",
    "score_error": "the score's standard error",
    "log_loss": "on the same images, nats",
    "seconds": "of training",
    "public_score": "Kaggle's, of the submission CSV that the run has now, by the ledger",
    "differs": "what differs from the recipe that the network's name stands for, as field=value",
    "state": "complete, trained (figures or CSV are missing), begun or damaged",
    "begun": "when, by the time of its config.yaml",
    "note": "of an unfinished run the command that goes on with it, of a damaged one what is damaged, of one that has "
    "learned nothing by how much",
}
"""What the columns of `table` hold."""
SORTS = {
    "metric": ("score", False),
    "accuracy": ("accuracy", False),
    "seconds": ("seconds", True),
    "name": ("name", True),
    "time": ("begun", False),
    "score": ("public_score", False),
}
"""What `kit.runs --sort` takes: the column, and whether the smallest comes first where higher is not better."""
SCORES = ("metric", "score")
"""Of these, what competitions score by: lower is better for some."""


def table(competition: str | None = None, pattern: str | None = None, sort: str = "metric") -> "pd.DataFrame":
    """Return the runs as a table, a row a run; unfinished and damaged ones are there too.

    Args:
        competition: whose runs; None for all competitions that have some.
        pattern: the names that are meant, such as `resnet_*`, or `COMPETITION/NAME`; None for all.
        sort: by what, one of SORTS: by the competition's metric, accuracy, seconds, name, time or public score; the
            best, fastest, first or newest on top, unknown values at the end.

    Returns:
        Columns as in COLUMNS; missing values are None or NaN. A damaged ledger is a warning, and no run has a score.

    Raises:
        UserError: no run fits.
    """
    if sort not in SORTS:
        raise UserError(f"sort: {sort!r} is not one of {', '.join(SORTS)}.{nearest(sort, SORTS)}")
    frame, problem = collect(competition, pattern, sort)
    if problem:
        warnings.warn(problem, stacklevel=2)
    return frame


def collect(competition: str | None, pattern: str | None, sort: str) -> tuple["pd.DataFrame", str]:
    """Return the table, and why it has no public scores, or an empty text.

    Raises:
        UserError: no run fits.
    """
    import pandas as pd

    scores = _Scores()
    rows = [_row(run, scores) for run in matching(competition, pattern)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    kinds = dict.fromkeys(("images", "limit", "folds"), "Int64")
    kinds |= dict.fromkeys(
        ("accuracy", "standard_error", "score", "score_error", "log_loss", "seconds", "public_score"), "float64"
    )
    frame = frame.astype(kinds)
    frame = frame.sort_values("begun", ascending=False, kind="stable", ignore_index=True)
    column, ascending = SORTS[sort]
    values = frame[column]
    if sort in SCORES:
        known = [named(metric) if isinstance(metric, str) else None for metric in frame["metric"]]
        values = values * [-1 if metric and not metric.higher_is_better else 1 for metric in known]
    order = values.sort_values(ascending=ascending, na_position="last", kind="stable").index
    return frame.loc[order].reset_index(drop=True), scores.problem


def matching(competition: str | None, pattern: str | None) -> list[Run]:
    """Return the runs that are meant, as for `table`, oldest first; empty where there is no run at all.

    Raises:
        UserError: there are runs, but none fits.
    """
    known = tracking.every()
    found = [run for run in known if competition in (None, run.competition)]
    if competition is not None and not found:
        there = sorted({run.competition for run in known} | set(competitions.names()))
        if competition not in there:
            raise UserError(
                f"unknown competition {competition!r}; known: {', '.join(there)}.{nearest(competition, there)}"
            )
    if pattern is None or not found:
        return found
    whole = "/" in pattern
    fitting = [
        run for run in found if fnmatch.fnmatchcase(f"{run.competition}/{run.name}" if whole else run.name, pattern)
    ]
    if not fitting:
        hint = nearest(pattern[:200], [run.name for run in found]) or " `python -m kit.runs` shows all of them."
        raise UserError(f"no run is called {pattern[:200]!r}.{hint}")
    return fitting


def _row(run: Run, scores: "_Scores") -> dict[str, Any]:
    row: dict[str, Any] = {"name": run.name, "competition": run.competition, "state": run.state}
    row["begun"] = _begun(run)
    try:
        row |= _configured(run)
        if row["state"] == "begun":
            row["note"] = run.resume_command
            return row
        row |= _reached(run)
        row["public_score"] = scores.of(run)
        if row["state"] == "trained":
            row["note"] = run.resume_command
    except UserError as error:
        row |= {"state": "damaged", "note": str(error)}
    return row


def _begun(run: Run) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromtimestamp(os.path.getmtime(run.folder / "config.yaml"))
    except (OSError, OverflowError, ValueError):
        return None


def _configured(run: Run) -> dict[str, Any]:
    config = run.config()
    ensemble = config.ensemble
    return {
        "kind": config.kind,
        "network": ensemble.method if ensemble else config.model,
        "limit": config.data.limit,
        "folds": config.recipe.folds if config.recipe else None,
        "differs": of_config(config, functools.partial(_default, config.data.competition)),
    }


def _reached(run: Run) -> dict[str, Any]:
    metrics = run.metrics()
    return {
        "images": run.images(),
        "folds": metrics.folds,
        "accuracy": metrics.validation_accuracy,
        "standard_error": metrics.standard_error,
        "metric": metrics.metric,
        "score": metrics.score,
        "score_error": metrics.score_error,
        "log_loss": metrics.validation_log_loss,
        "seconds": metrics.fit_seconds,
        "note": f"it has learned nothing: its {metrics.shortfall}" if metrics.shortfall else None,
    }


@functools.cache
def _default(competition: str, model: str) -> recipes.Recipe:
    """The recipe that a network's name stands for."""
    return recipes.resolve(competition, None, {"model": model})


class _Scores:
    """The public scores in the ledger, by run."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, str], list[Line]] = {}
        self.problem = ""
        try:
            lines = Ledger().lines()
        except UserError as error:
            lines, self.problem = [], str(error)
        for line in lines:
            if line.public_score is not None:
                self.lines.setdefault((line.competition, line.run), []).append(line)

    def of(self, run: Run) -> float | None:
        """The score of what the run predicts now: a run of the same name that is gone may have had another."""
        lines = self.lines.get((run.competition, run.name), [])
        digest = _digest(run.submission) if lines else None
        scores = [line.public_score for line in lines if digest in (None, line.sha256)]
        return scores[-1] if scores else None


def _digest(path: pathlib.Path) -> str | None:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
