"""Some runs against each other: where their recipes differ, and whether one is better by more than luck."""

import functools
import itertools
import pathlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kit import loaders, metrics, tracking
from kit.comparison import differences, terminal
from kit.comparison.terminal import Column
from kit.errors import UserError
from kit.tracking import Metrics, Run

if TYPE_CHECKING:
    from kit.figures.style import Figure

MOST = 20  # runs; more curves in one figure, and their pairs, nobody can tell apart


@dataclass(frozen=True)
class RunComparison:
    """Runs on the same data against each other.

    Attributes:
        runs: by name.
        metrics: theirs, by name.
        differences: a row a field in which the runs differ, a column a run; None where a run has no such field.
        tests: a row a pair. Columns: first, second; images, that both predicted out of fold; accuracy_first,
            accuracy_second, on these; score_first, score_second: the same by `metric`; gained, lost: images that only
            the second, only the first gets right; p_value: how often two equally good runs would differ in score at
            least so much (McNemar's exact test of accuracy, a paired bootstrap of other metrics), NaN without images.
        metric: by what the competition scores.
    """

    runs: dict[str, Run]
    metrics: dict[str, Metrics] = field(repr=False)
    differences: pd.DataFrame = field(repr=False)
    tests: pd.DataFrame = field(repr=False)
    metric: str = "accuracy"

    @functools.cached_property
    def histories(self) -> dict[str, pd.DataFrame]:
        """Each run's history by its name; of ensembles there is none.

        Raises:
            UserError: one is damaged.
        """
        kinds = {name: run.config().kind for name, run in self.runs.items()}
        return {name: run.history for name, run in self.runs.items() if kinds[name] == "network"}

    def learning_curves(self) -> "Figure | None":
        """Draw the runs' learning curves over each other; None where none of them was trained by itself.

        Raises:
            UserError: a history is damaged.
        """
        from kit import figures

        title = f"{len(self.histories)} runs on {next(iter(self.runs.values())).competition}"
        return figures.learning_curves(self.histories, title, self.metric) if self.histories else None

    def text(self, width: int) -> str:
        """Return results, differences and tests as text, its tables at most `width` places wide."""
        tables = [self._results(), *([self._differing()] if len(self.differences) else []), self._tested()]
        parts = ["\n".join(terminal.lines(columns, width)) for columns in tables]
        same = "" if len(self.differences) else "Their recipes are the same."
        return "\n\n".join(part for part in (*parts, same, self._doubts()) if part)

    def _results(self) -> list[Column]:
        found = list(self.metrics.values())
        return [
            Column("run", list(self.runs), 9, shortest=12),
            Column("network", [one.model for one in found], 3, shortest=8),
            *self._scores(found),
            Column("seconds", [f"{one.fit_seconds:,.0f}" for one in found], 6, right=True),
            Column("parameters", [f"{one.parameters:,}" for one in found], 4, right=True),
        ]

    def _scores(self, found: list[Metrics]) -> list[Column]:
        """What the runs reached: by the competition's metric first."""
        metric = metrics.named(self.metric)
        scores = [
            metric.shown(one.score, one.score_error) if one.score is not None and one.metric == metric.name else "none"
            for one in found
        ]
        others = {
            "accuracy": [
                "none" if one.validation_accuracy is None else f"{one.validation_accuracy:.2%}" for one in found
            ],
            "log-loss": ["" if one.validation_log_loss is None else f"{one.validation_log_loss:.4f}" for one in found],
        }
        rest = [Column(name, cells, 5, right=True) for name, cells in others.items() if name != metric.name]
        return [Column(metric.name, scores, 8, right=True), *rest]

    def _differing(self) -> list[Column]:
        columns = [Column("field", list(self.differences.index), 99)]
        for place, name in enumerate(self.runs):
            cells = [differences.shown(value) for value in self.differences[name]]
            columns.append(Column(name, cells, -place, shortest=8))
        return columns

    def _tested(self) -> list[Column]:
        tests: list[dict[str, Any]] = self.tests.to_dict("records")  # type: ignore[assignment]
        compared = [bool(test["images"]) for test in tests]

        def cells(form: str) -> list[str]:
            return [form.format(**test) if known else "" for test, known in zip(tests, compared, strict=True)]

        metric = metrics.named(self.metric)
        scores = [
            f"{metric.shown(test['score_first'])} → {metric.shown(test['score_second'])}" if known else ""
            for test, known in zip(tests, compared, strict=True)
        ]
        by = "McNemar's test" if metric.name == "accuracy" else "a paired bootstrap"
        verdicts = [
            ("more than luck" if test["p_value"] < metrics.SIGNIFICANT else "may be luck") if known else "no images"
            for test, known in zip(tests, compared, strict=True)
        ]
        return [
            Column("from", [test["first"] for test in tests], 9, shortest=12),
            Column("to", [test["second"] for test in tests], 9, shortest=12),
            Column(metric.name, scores, 6, right=True),
            Column("images", cells("{images:,}"), 3, right=True),
            Column("gained / lost", cells("{gained:,} / {lost:,}"), 5, right=True),
            Column("p", cells("{p_value:.2g}"), 7, right=True),
            Column(f"by {by}", verdicts, 8),
        ]

    def _doubts(self) -> str:
        chosen = [name for name, one in self.metrics.items() if one.selected_on_validation]
        if not chosen:
            return ""
        too = metrics.named(self.metric).too_good
        return f"The same images chose the epoch of {', '.join(chosen)}: that {self.metric} is a little too {too}."


def compare(*runs: "Run | str", competition: str | None = None, data_dir: str | None = None) -> RunComparison:
    """Compare runs that were trained on the same data.

    Args:
        *runs: two or more, by name or folder.
        competition: whose runs are meant; only needed where several have runs of these names.
        data_dir: the folder of all competitions' files, where they have moved since the runs were trained.

    Raises:
        UserError: a run is missing, unfinished or damaged, was trained on other data than the first, or these are gone.
    """
    found = _named([run if isinstance(run, Run) else tracking.find(run, competition) for run in runs])
    configs = {name: run.config() for name, run in found.items()}
    reached = {name: run.metrics() for name, run in found.items()}
    first, *others = found
    for name in others:
        if configs[name].data.fingerprint != configs[first].data.fingerprint:
            raise UserError(
                f"{found[name].folder} was trained on other data than {found[first].folder}; compare runs on the same "
                "images, with the same --source and --limit."
            )
    for name, run in found.items():
        if reached[name].data_fingerprint != configs[name].data.fingerprint:
            raise UserError(f"{run.folder}: config.yaml and metrics.json are of different data; train the run again.")
    dataset = loaders.load_for(configs[first].data, data_dir)
    labels, metric = dataset.train_labels, dataset.competition.metric
    probabilities = {name: _probabilities(run, labels) for name, run in found.items()}
    tests = [_test(one, other, probabilities, labels, metric) for one, other in itertools.combinations(found, 2)]
    differing = pd.DataFrame.from_dict(differences.between(configs), orient="index", columns=list(found), dtype=object)
    return RunComparison(found, reached, differing, pd.DataFrame(tests), metric)


def draw(comparison: RunComparison, path: pathlib.Path) -> bool:
    """Write the learning curves as a figure; whether there were any.

    Raises:
        UserError: a history is damaged, or the file's name does not end as a figure's does.
    """
    from kit import files

    if path.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"{path} is not the name of a figure; let it end with .png, .svg or .pdf.")
    figure = comparison.learning_curves()
    if figure is None:
        return False
    with files.replacing(path) as fresh:
        figure.savefig(fresh, dpi=150, bbox_inches="tight")
    return True


def _named(runs: list[Run]) -> dict[str, Run]:
    folders = [run.folder.resolve() for run in runs]
    if len(set(folders)) < max(2, len(runs)):
        raise UserError(
            f"compare: {', '.join(run.name for run in runs) or 'nothing'}; give two runs or more, each once."
        )
    if len(runs) > MOST:
        raise UserError(f"compare: {len(runs)} runs are more than a person can tell apart; give {MOST} at most.")
    names = [run.name for run in runs]
    alike = {name for name in names if names.count(name) > 1}
    return {str(run.folder) if run.name in alike else run.name: run for run in runs}


def _probabilities(run: Run, labels: np.ndarray) -> np.ndarray:
    probabilities = run.oof()
    if len(probabilities) != len(labels) or probabilities.shape[1] <= labels.max(initial=0):
        raise UserError(
            f"{run.folder / run.OOF} has the shape {probabilities.shape}, not that of the data's {len(labels):,} "
            "images; train the run again."
        )
    return probabilities


def _test(
    first: str, second: str, probabilities: dict[str, np.ndarray], labels: np.ndarray, metric: str
) -> dict[str, object]:
    one, other = probabilities[first], probabilities[second]
    both = ~(np.isnan(one).any(axis=1) | np.isnan(other).any(axis=1))
    row: dict[str, object] = {"first": first, "second": second, "images": int(both.sum())}
    if not both.any():
        numbers = ("accuracy_first", "accuracy_second", "score_first", "score_second", "p_value")
        nothing = dict.fromkeys(numbers, float("nan"))
        return row | nothing | {"gained": 0, "lost": 0}
    one, other, true = one[both], other[both], labels[both]
    test, score = metrics.compare(metric, true, one, other), metrics.named(metric).score
    return row | {
        "accuracy_first": metrics.accuracy(true, one),
        "accuracy_second": metrics.accuracy(true, other),
        "score_first": score(true, one),
        "score_second": score(true, other),
        "gained": test.gained,
        "lost": test.lost,
        "p_value": test.p_value,
    }
