"""Which runs an ensemble joins, and whether they belong together."""

import fnmatch
import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kit import metrics, tracking
from kit.errors import UserError
from kit.loaders import Dataset
from kit.recipes.recipe import split_fields
from kit.tracking import Run

MODEL = "ensemble"  # what an ensemble's metrics and config name as their model

_TOGETHER = {
    "competition": "an ensemble joins runs of one competition",
    "source": "train them with the same --source",
    "data_fingerprint": "the images, the labels or their order differ; train them on the same data",
}
SPLIT = ("folds", "split_seed", "held_out_share", "validation_share")  # what metrics say of it
_NEEDED = (*_TOGETHER, *SPLIT, "model", "seen", "fit_seconds", "images_per_second", "parameters")


@dataclass(frozen=True)
class Members:
    """Runs that belong together, and what they predicted.

    Attributes:
        runs: the members.
        metrics: each member's metrics.
        dataset: the images that they were trained on.
        rows: (n,) integers, ascending: the training images that every member has predicted out of fold.
        oof: float32 (members, n, classes), their probabilities for these.
        limit: how many training images `--limit` left them; 0 for all.
    """

    runs: tuple[Run, ...]
    metrics: tuple[dict, ...]
    dataset: Dataset
    rows: np.ndarray
    oof: np.ndarray
    limit: int = 0

    @property
    def names(self) -> list[str]:
        """The members' names."""
        return [run.name for run in self.runs]

    @property
    def labels(self) -> np.ndarray:
        """The truth for `rows`, (n,) integers."""
        return self.dataset.train_labels[self.rows]

    @property
    def folds(self) -> int:
        """The members' folds; 0 for one validation split."""
        return self.metrics[0]["folds"]

    @functools.cached_property
    def predicted(self) -> np.ndarray:
        """Each member's labels for `rows`, (members, n) int16."""
        return np.stack([own.argmax(axis=1).astype(np.int16) for own in self.oof])

    @functools.cached_property
    def accuracies(self) -> np.ndarray:
        """Each member's accuracy on `rows`, (members,) of 0…1."""
        return (self.predicted == self.labels).mean(axis=1)

    @property
    def best(self) -> int:
        """The number of the most accurate member; of equals, the first."""
        return int(self.accuracies.argmax())

    @functools.cached_property
    def disagreement(self) -> np.ndarray:
        """For each pair of members the share of `rows` that they put into different classes, (members, members)."""
        return metrics.disagreement(self.predicted)

    def test(self) -> np.ndarray:
        """Read the members' test probabilities, float32 (members, m, classes).

        Raises:
            UserError: a file is missing, damaged or of another shape.
        """
        shape = (len(self.dataset.test_ids), self.oof.shape[2])
        stacked = np.empty((len(self.runs), *shape), np.float32)
        for number, run in enumerate(self.runs):
            probabilities = run.test()
            if not metrics.predicted_rows(probabilities, shape, str(run.folder / run.TEST)).all():
                raise UserError(f"{run.folder / run.TEST} lacks some test images; train the run again.")
            stacked[number] = probabilities
        return stacked


def match(references: Sequence[str], competition: str | None = None) -> list[Run]:
    """Return the runs that `references` mean, each once: folders, names, or patterns of names such as `resnet_*`.

    A pattern stands for trained networks only: an ensemble that it fits would count its members twice.

    Raises:
        UserError: a reference means no run, or runs of several competitions; says what to give instead.
    """
    found: dict = {}
    for reference in references:
        is_pattern = any(letter in reference for letter in "*?[")
        for run in _matching(reference, competition) if is_pattern else [tracking.find(reference, competition)]:
            found.setdefault(run.folder.resolve(), run)
    members = list(found.values())
    if len(members) < 2:
        only = f"only {members[0].folder}" if members else "nothing"
        raise UserError(f"an ensemble joins at least two runs; {' '.join(references)} means {only}.")
    names = [run.name for run in members]
    for run in members:
        if names.count(run.name) > 1:
            raise UserError(f"two of the runs are called {run.name!r}; rename the folder of one.")
    return members


def gather(references: Sequence[str], competition: str | None = None, data_dir: str = "data") -> Members:
    """Read the runs that `references` mean, after checking that they belong together.

    Args:
        references: folders, names, or patterns of names such as `resnet_*`.
        competition: whose runs are meant; only needed where names or patterns fit runs of several.
        data_dir: the folder of all competitions' files.

    Raises:
        UserError: there is no such run; the runs differ in competition, source, data, folds or split; a run is not
            finished or has no out-of-fold probabilities; a file is damaged. Says which and what to do.
    """
    return _gathered(match(references, competition), competition, data_dir)


def gather_snapshots(reference: str, competition: str | None = None, data_dir: str = "data") -> Members:
    """Read the snapshots of the run that `reference` means, its folder or name, as members of an ensemble.

    Raises:
        UserError: there is no such run, it was trained without snapshots or on other data, or a file is damaged.
    """
    return _gathered(tracking.find(reference, competition).snapshots(), competition, data_dir)


def _gathered(found, competition, data_dir):
    metrics = _known_together(found)
    if competition and metrics[0]["competition"] != competition:
        raise UserError(f"{found[0].folder} belongs to {metrics[0]['competition']}, not to {competition}.")
    from kit import loaders
    from kit.loaders.limit import limited

    whole = loaders.load(metrics[0]["competition"], metrics[0]["source"], data_dir)
    return _members(found, metrics, limited(whole, _limit(found[0])))


def read(found: Sequence[Run], dataset: Dataset) -> Members:
    """Read runs that were trained on `dataset`, after checking that they belong together, as `gather` does.

    Raises:
        UserError: as `gather`.
    """
    return _members(list(found), _known_together(found), dataset)


def _known_together(found):
    """Every run's metrics, which say that the runs belong together."""
    metrics = [_facts(run) for run in found]
    _check_together(found, metrics)
    return metrics


def _members(found, metrics, dataset):
    if tracking.fingerprint(dataset.train_images, dataset.train_labels) != metrics[0]["data_fingerprint"]:
        raise UserError(
            f"{found[0].folder} was trained on other images or labels than those of {dataset.origin}; "
            "give their --data-dir, or train the run again."
        )
    rows, oof = _read(found, dataset)
    return Members(tuple(found), tuple(metrics), dataset, rows, oof, _limit(found[0]))


def _limit(run):
    return int(run.config().get("limit") or 0)


def _matching(pattern, competition):
    fitting = [run for run in tracking.every(competition) if fnmatch.fnmatchcase(run.name, pattern)]
    networks = sorted((run for run in fitting if run.config().get("model") != MODEL), key=lambda run: run.name)
    if not networks:
        others = (
            "; the ensembles that it fits have to be named" if fitting else f"; `ls {tracking.ROOT}/*` shows the runs"
        )
        raise UserError(f"no trained network's run fits {pattern!r}{others}.")
    belong_to = sorted({run.competition for run in networks})
    if len(belong_to) > 1:
        raise UserError(f"{pattern!r} fits runs of {' and '.join(belong_to)}; add --competition.")
    return networks


def _facts(run):
    metrics = run.metrics()
    for field in _NEEDED:
        if field not in metrics:
            raise UserError(f"{run.folder / 'metrics.json'} has no {field!r}; train the run again.")
    return metrics


def _check_together(members, metrics):
    deciding = split_fields(metrics[0]["folds"])
    of_split = {field: f"train them with the same --{field.replace('_', '-')}" for field in deciding}
    for field, remedy in (_TOGETHER | of_split).items():
        for run, facts in zip(members, metrics, strict=True):
            first, other = metrics[0][field], facts[field]
            if first != other:
                if field == "data_fingerprint":
                    first, other = f"{first[:12]}…", f"{other[:12]}…"
                raise UserError(
                    f"{run.folder} does not belong to {members[0].folder}: "
                    f"its {field} is {other}, not {first}; {remedy}."
                )


def _read(members, dataset):
    """Read the out-of-fold probabilities of the rows that all members have."""
    shape = (len(dataset.train_labels), dataset.competition.classes)
    shared = np.ones(shape[0], bool)
    # Two passes: the rows are known before the one large array is made, so memory never holds it twice.
    for run in members:
        known = metrics.predicted_rows(run.oof(), shape, str(run.folder / run.OOF))
        if not known.any():
            raise UserError(
                f"{run.folder} has no out-of-fold predictions, so nothing tells how good it is; "
                "train it with --folds or a --validation-share."
            )
        shared &= known
    rows = np.flatnonzero(shared)
    if not len(rows):
        raise UserError("no training image was predicted out of fold by all of the runs; train them on one split.")
    oof = np.empty((len(members), len(rows), shape[1]), np.float32)
    for number, run in enumerate(members):
        oof[number] = run.oof()[rows]
    return rows, oof
