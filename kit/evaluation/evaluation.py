"""A run's out-of-fold probabilities beside the images and labels that they are about."""

from dataclasses import dataclass

import numpy as np

from kit import loaders, metrics, tracking
from kit.competitions import Competition
from kit.errors import UserError
from kit.evaluation.scores import Scores, score
from kit.loaders import Dataset
from kit.tracking import Run


@dataclass(frozen=True)
class Evaluation:
    """What a run predicted of images that it was not trained on, and what is true.

    Attributes:
        run: the run.
        dataset: the data that it was trained on.
        rows: (n,) int64, the training images that some fold has predicted.
        probabilities: (n, classes) float32, of those.
        scores: how good they are.
    """

    run: Run
    dataset: Dataset
    rows: np.ndarray
    probabilities: np.ndarray
    scores: Scores

    @property
    def competition(self) -> Competition:
        """The competition."""
        return self.dataset.competition

    @property
    def images(self) -> np.ndarray:
        """The images scored, (n, h, w, c) uint8."""
        return self.dataset.train_images[self.rows]

    @property
    def labels(self) -> np.ndarray:
        """Their labels, (n,) integers."""
        return self.dataset.train_labels[self.rows].astype(int)

    @property
    def explained_by(self) -> Run | None:
        """The run whose networks can say why: itself, or an ensemble's best member that has any beside it."""
        reached = self.run.metrics()
        members, gain = reached.members or {}, metrics.named(reached.metric).gain
        best_first = sorted(members, key=lambda name: -gain(members[name].score))
        parent = self.run.config().parent
        beside = [Run(self.run.folder.resolve().parent / name) for name in [*([parent] if parent else []), *best_first]]
        return next((run for run in (self.run, *beside) if run.network_paths()), None)


def gather(run: tracking.Run, data_dir: str | None = None) -> Evaluation:
    """Read a finished run or ensemble and the data that it belongs to, and score its out-of-fold probabilities.

    Args:
        run: the run.
        data_dir: the folder of all competitions' files, where they have moved since.

    Raises:
        UserError: the run is not finished, a file is damaged, nothing was predicted out of fold, or the data are not
            those that it was trained on; says what to do.
    """
    reached = run.metrics()
    oof = run.oof().astype(np.float32, copy=False)
    dataset = loaders.load_for(run.config().data, data_dir)
    path = run.folder / run.OOF
    known = metrics.predicted_rows(oof, (len(dataset.train_labels), dataset.competition.classes), str(path))
    rows = np.flatnonzero(known)
    if not len(rows):
        raise UserError(
            f"{run.folder} has predicted no image out of fold, so there is nothing to score; "
            "train it with --folds or a --validation-share."
        )
    if len(rows) != reached.validation_images:
        raise UserError(
            f"{path} holds {len(rows):,} predictions, but {reached.validation_images:,} images were validated on; "
            "train the run again."
        )
    labels = dataset.train_labels[rows].astype(int)
    return Evaluation(run, dataset, rows, oof[rows], score(labels, oof[rows], dataset.competition.class_names))
