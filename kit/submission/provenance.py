"""Where a submission's predictions come from, and whether they may be submitted."""

import pathlib

import numpy as np

from kit import competitions, loaders, metrics, tracking
from kit.competitions import Competition
from kit.errors import Failure, UserError
from kit.submission.csv_file import Checked
from kit.tracking import Metrics, Run

TOLERANCE = 1e-5  # between probabilities and their texts


def competition_of(path: pathlib.Path) -> str | None:
    """Return the name of the competition in whose folder `submissions/<competition>/` the CSV lies, or None."""
    try:
        folder = path.resolve().parent
        return folder.name if folder.parent == tracking.SUBMISSIONS.resolve() else None
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name that is too long or has a NUL
        return None


def run_by_place(path: pathlib.Path, competition: Competition) -> Run | None:
    """Return the run whose submission lies at `path`; None elsewhere, and where there is no such run."""
    if competition_of(path) != competition.name:
        return None
    run = Run(tracking.RUNS / competition.name / path.stem)
    return run if run.state != "absent" else None


def run_by_content(checked: Checked, competition: Competition) -> Run | None:
    """Return the run whose submission is the same, for a copy of it elsewhere; None where there is none."""
    content = checked.content
    for other in sorted((tracking.SUBMISSIONS / competition.name).glob("*.csv")):
        try:
            if other.is_file() and other.stat().st_size == len(content) and other.read_bytes() == content:
                return run_by_place(other, competition)
        except OSError:
            continue
    return None


def guard_against_leaks(run: Run, competition: Competition) -> Metrics:
    """Refuse a run whose score would say nothing, and return its metrics.

    Refused are predictions for the built-in sample, and those of a network that has seen the competition's test
    images, itself or through weights, ensembles and distillation.

    Raises:
        UserError: says what the run has seen, and what to train instead.
    """
    reached = run.metrics()
    again = f"train on Kaggle's files: `python -m kit.train --competition {competition.name} --source kaggle`."
    if reached.competition != competition.name:
        raise UserError(f"run {run.name} is of {reached.competition}, not of {competition.name}; {again}")
    if reached.source == "sample":
        raise UserError(f"run {run.name} is of the built-in sample, not of {competition.name}; {again}")
    seen = {*reached.seen, *([competition.keras_dataset] if reached.source == "keras" else [])}
    leaks = sorted(seen.intersection(competition.test_images_in))
    if leaks:
        raise UserError(
            f"run {run.name} has seen {' and '.join(leaks)}, which holds the test images of {competition.name}: its "
            f"score would say nothing, and others would take it for cheating; {again}"
        )
    return reached


def differing_rows(run: Run, checked: Checked, competition: Competition) -> int:
    """Return in how many rows a submission is not what its run predicts; 0 where the run's predictions are gone.

    Raises:
        UserError: `test.npy` does not hold probabilities of this competition's test images, a row for each.
    """
    if not (run.folder / run.TEST).exists():
        return 0
    probabilities, where = run.test(), str(run.folder / run.TEST)
    predicted = metrics.predicted_rows(probabilities, (len(checked.labels), competition.classes), where)
    if not predicted.all():
        row = int(np.argmin(predicted))
        raise UserError(f"{where}, row {row}: nothing is predicted for this image; train the run again.")
    if checked.probabilities is not None:
        far = np.abs(np.asarray(probabilities, np.float64) - checked.probabilities) > TOLERANCE
        return int(np.count_nonzero(far.any(axis=1)))
    return int(np.count_nonzero(probabilities.argmax(axis=1) != checked.labels))


def data_warnings(run: Run, data_dir: str | pathlib.Path) -> list[str]:
    """Say where a run was trained on a part of the images, or on others than lie there now.

    Nothing is downloaded, and data that cannot be read are not compared.
    """
    data = run.config().data
    found = []
    if data.limit:
        found.append(f"run {run.name} was trained on {data.limit:,} of the training images only (--limit)")
    if data.extra:
        found.append(
            f"run {run.name} was trained on {data.extra.images:,} images of yours (--extra-data); check that the "
            "competition's rules allow other data than its own"
        )
    if data.source == "kaggle" and _fingerprint(data, data_dir) not in (None, data.fingerprint):
        found.append(f"run {run.name} was trained on other images or labels than lie in {data_dir} now")
    return found


def _fingerprint(data: tracking.Data, data_dir: str | pathlib.Path) -> str | None:
    from kit.loaders import kaggle_files

    try:
        if kaggle_files.locate(competitions.get(data.competition), data_dir) is None:
            return None
        return loaders.load(data.competition, "kaggle", data_dir, data.limit).fingerprint
    except (UserError, Failure, OSError):
        return None


def message(run: Run | None, reached: Metrics | None, path: pathlib.Path) -> str:
    """Return a submission's description where none is given: network, score and data, or the file's name."""
    if run is None or reached is None:
        return path.stem
    measured = f", {score_name(reached)} {reached.score:.5f}" if reached.score is not None else ""
    return f"{reached.model}{measured}, data: {reached.source}"


def score_name(reached: Metrics) -> str:
    """Say what a run's `score` is: out of fold where there were folds."""
    name = reached.metric
    return f"out-of-fold {name} of {reached.folds} folds" if reached.folds > 1 else f"validation {name}"
