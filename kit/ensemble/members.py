"""Which runs an ensemble joins, and whether they belong together."""

import fnmatch
import functools
import itertools
import pathlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kit import loaders, metrics, tracking
from kit.errors import UserError
from kit.loaders import Dataset
from kit.tracking import Metrics, Run, Snapshot


@dataclass(frozen=True)
class Members:
    """Runs that belong together, and what they predicted.

    Attributes:
        runs: the members.
        metrics: each member's metrics.
        dataset: the images that they were trained on.
        rows: (n,) integers, ascending: the training images that every member has predicted out of fold.
        oof: float32 (members, n, classes), their probabilities for these.
    """

    runs: tuple[Run, ...]
    metrics: tuple[Metrics, ...]
    dataset: Dataset
    rows: np.ndarray
    oof: np.ndarray

    @property
    def names(self) -> list[str]:
        """The members' names."""
        return [run.name for run in self.runs]

    @property
    def labels(self) -> np.ndarray:
        """The true classes of `rows`, (n,) integers."""
        return self.dataset.train_labels[self.rows]

    @property
    def folds(self) -> int:
        """The members' folds; 0 for one validation split."""
        return self.metrics[0].folds

    @functools.cached_property
    def predicted(self) -> np.ndarray:
        """Each member's labels for `rows`, (members, n) int32."""
        return np.stack([own.argmax(axis=1).astype(np.int32) for own in self.oof])

    @functools.cached_property
    def accuracies(self) -> np.ndarray:
        """Each member's accuracy on `rows`, (members,) of 0…1."""
        return (self.predicted == self.labels).mean(axis=1)

    @functools.cached_property
    def gains(self) -> np.ndarray:
        """Each member's score on `rows` by the competition's metric, (members,); higher is better."""
        metric = metrics.named(self.dataset.competition.metric)
        if metric.name == "accuracy":
            return self.accuracies
        return np.array([metric.gain(metric.score(self.labels, own)) for own in self.oof])

    @property
    def best(self) -> int:
        """The number of the best member by the competition's metric; of equals, the first."""
        return int(self.gains.argmax())

    @functools.cached_property
    def disagreement(self) -> np.ndarray:
        """For each pair of members the share of `rows` that they put into different classes, (members, members)."""
        return metrics.disagreement(self.predicted)

    def test(self) -> np.ndarray:
        """Read the members' test probabilities, float32 (members, m, classes).

        Raises:
            UserError: a file is missing, damaged or of another shape.
        """
        return np.stack([test_probabilities(run, self.dataset) for run in self.runs])


def test_probabilities(run: Run, dataset: Dataset) -> np.ndarray:
    """Read and check a run's test probabilities, float32 (m, classes).

    Raises:
        UserError: the file is missing, damaged, of another shape, or lacks a test image.
    """
    path = run.folder / run.TEST
    probabilities = run.test().astype(np.float32, copy=False)
    if not metrics.predicted_rows(probabilities, (len(dataset.test_ids), dataset.competition.classes), str(path)).all():
        raise UserError(f"{path} lacks some test images; train the run again.")
    return probabilities


def match(references: Sequence[str], competition: str | None = None) -> list[Run]:
    """Return the runs that `references` mean, each once: folders, names, or patterns of names such as `resnet_*`.

    A pattern stands for trained networks only: an ensemble that it fits would count its members twice, and so would
    a run whose networks are those of another that it fits.

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
        if run.config().parent in names:
            raise UserError(
                f"{run.folder} and {run.config().parent} are predictions of the same networks; leave one of them out."
            )
    return members


def warn_of_doubles(members: Sequence[Run]) -> None:
    """Say on stderr which networks count more than once, as two of the runs are, or hold, predictions of theirs."""
    of_runs = {run.name: networks(run) for run in members if not isinstance(run, Snapshot)}
    for (one, own), (other, others) in itertools.combinations(of_runs.items(), 2):
        if shared := sorted(path.name for path in own & others):
            some = ", ".join(shared[:3]) + (" …" if len(shared) > 3 else "")
            print(f"warning: {one} and {other} both hold {some}, which so counts twice.", file=sys.stderr)


def networks(run: Run) -> set[pathlib.Path]:
    """Return the folders of the trainings whose networks a run's predictions come from, as far as they lie beside it.

    That is its own folder; of one that predicted again its parent's; of an ensemble those of its members.
    """
    beside = run.folder.resolve().parent
    found, known, open_ = set(), set(), [run.folder.resolve()]
    while open_:
        folder = open_.pop()
        known.add(folder)
        names = _made_of(Run(folder))
        found |= set() if names else {folder}
        open_ += {beside / name for name in names} - known
    return found


def _made_of(run: Run) -> list[str]:
    """The names of the runs whose predictions a run's are; none for a training, and where that cannot be read."""
    try:
        config = run.config()
    except UserError:
        return []
    if config.ensemble is None:
        return [config.parent] if config.parent else []
    return [name.rpartition(Snapshot.NUMBERED)[0] or name for name in config.ensemble.members]


def gather(references: Sequence[str], competition: str | None = None, data_dir: str | None = None) -> Members:
    """Read the runs that `references` mean, after checking that they belong together.

    Args:
        references: folders, names, or patterns of names such as `resnet_*`.
        competition: whose runs are meant; only needed where names or patterns fit runs of several.
        data_dir: the folder of all competitions' files, where they have moved since the runs were trained.

    Raises:
        UserError: there is no such run; the runs differ in competition, source, data, folds or split; a run is not
            finished or has no out-of-fold probabilities; a file is damaged. Says which and what to do.
    """
    return _loaded(match(references, competition), competition, data_dir)


def gather_snapshots(reference: str, competition: str | None = None, data_dir: str | None = None) -> Members:
    """Read the snapshots of the run that `reference` means, its folder or name, as members of an ensemble.

    Raises:
        UserError: there is no such run, it was trained without snapshots or on other data, or a file is damaged.
    """
    return _loaded(list(tracking.find(reference, competition).snapshots()), competition, data_dir)


def read(found: Sequence[Run], dataset: Dataset) -> Members:
    """Read runs that were trained on `dataset`, after checking that they belong together, as `gather` does.

    Raises:
        UserError: as `gather`.
    """
    of_runs = [run.metrics() for run in found]
    _check_together(found, of_runs)
    if dataset.fingerprint != of_runs[0].data_fingerprint:
        raise UserError(
            f"{found[0].folder} was trained on other images or labels than those of {dataset.origin}; "
            "give their --data-dir, or train the run again."
        )
    rows, oof = _read_oof(found, dataset)
    return Members(tuple(found), tuple(of_runs), dataset, rows, oof)


def _loaded(found: Sequence[Run], competition: str | None, data_dir: str | None) -> Members:
    _check_together(found, [run.metrics() for run in found])
    if competition and found[0].metrics().competition != competition:
        raise UserError(f"{found[0].folder} belongs to {found[0].metrics().competition}, not to {competition}.")
    return read(found, loaders.load_for(found[0].config().data, data_dir))


def _matching(pattern: str, competition: str | None) -> list[Run]:
    fitting = [run for run in tracking.every(competition) if fnmatch.fnmatchcase(run.name, pattern)]
    kinds = {run.folder: run.config().kind for run in fitting}
    names = {run.name for run in fitting if kinds[run.folder] == "network"}
    networks = []
    for run in sorted(fitting, key=lambda run: run.name):
        again = kinds[run.folder] == "tta" and run.config().parent not in names
        if kinds[run.folder] == "network" or again:
            networks.append(run)
    if not networks:
        others = "the ensembles that it fits have to be named" if fitting else "`python -m kit.runs` shows the runs"
        raise UserError(f"no trained network's run fits {pattern!r}; {others}.")
    belong_to = sorted({run.competition for run in networks})
    if len(belong_to) > 1:
        raise UserError(f"{pattern!r} fits runs of {' and '.join(belong_to)}; add --competition.")
    return networks


def _check_together(members: Sequence[Run], of_runs: Sequence[Metrics]) -> None:
    remedies = {
        "competition": "an ensemble joins runs of one competition",
        "source": "train them with the same --source",
        "data_fingerprint": "the images, the labels or their order differ; train them on the same data",
    }
    remedies |= {name: f"train them with the same --{name.replace('_', '-')}" for name in of_runs[0].split}
    for name, remedy in remedies.items():
        for run, own in zip(members, of_runs, strict=True):
            first, other = getattr(of_runs[0], name), getattr(own, name)
            if first != other:
                if name == "data_fingerprint":
                    first, other = f"{first[:12]}…", f"{other[:12]}…"
                raise UserError(
                    f"{run.folder} does not belong to {members[0].folder}: its {name} is {other}, not {first}; "
                    f"{remedy}."
                )


def _read_oof(members: Sequence[Run], dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Read the out-of-fold probabilities of the rows that all members have."""
    shape = (len(dataset.train_labels), dataset.competition.classes)
    shared = np.ones(shape[0], bool)
    # Two passes: the rows are known before the one large array is made, so memory never holds it twice.
    for run in members:
        known = metrics.predicted_rows(run.oof(), shape, str(run.folder / run.OOF))
        count = run.metrics().validation_images
        if not known.any():
            raise UserError(
                f"{run.folder} has no out-of-fold predictions, so nothing tells how good it is; "
                "train it with --folds or a --validation-share."
            )
        if known.sum() != count:
            raise UserError(
                f"{run.folder / run.OOF} holds {known.sum():,} predictions, but {count:,} images were validated on; "
                "train the run again."
            )
        shared &= known
    rows = np.flatnonzero(shared)
    if not len(rows):
        raise UserError("no training image was predicted out of fold by all of the runs; train them on one split.")
    oof = np.empty((len(members), len(rows), shape[1]), np.float32)
    for number, run in enumerate(members):
        oof[number] = run.oof()[rows]
    return rows, oof
