"""A run's out-of-fold probabilities beside the images and labels that they are about."""

from dataclasses import dataclass

import numpy as np

from kit import tracking
from kit.competitions import Competition
from kit.errors import UserError
from kit.evaluation.scores import Scores, score
from kit.loaders import Dataset


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

    run: tracking.Run
    dataset: Dataset
    rows: np.ndarray
    probabilities: np.ndarray
    scores: Scores

    @property
    def rules(self) -> Competition:
        """The competition."""
        return self.dataset.competition

    @property
    def images(self) -> np.ndarray:
        """The images judged, (n, h, w, c) uint8."""
        return self.dataset.train_images[self.rows]

    @property
    def labels(self) -> np.ndarray:
        """Their labels, (n,) integers."""
        return self.dataset.train_labels[self.rows].astype(int)

    @property
    def explained_by(self) -> tracking.Run | None:
        """The run whose networks can say why: itself, or an ensemble's most accurate member that has any beside it."""
        members = self.run.metrics().get("members") or {}
        best_first = sorted(members, key=lambda name: -members[name]["validation_accuracy"])
        beside = [tracking.Run(self.run.folder.resolve().parent / name) for name in best_first]
        return next((run for run in (self.run, *beside) if run.network_paths()), None)


def gather(run: tracking.Run, data_dir: str = "data") -> Evaluation:
    """Read a finished run or ensemble and the data that it belongs to, and judge its out-of-fold probabilities.

    Args:
        run: the run.
        data_dir: the folder of all competitions' files.

    Raises:
        UserError: the run is not finished, a file is damaged, nothing was predicted out of fold, or the data are not
            those that it was trained on; says what to do.
    """
    from kit import loaders
    from kit.loaders.limit import limited

    config, metrics, oof = run.config(), run.metrics(), run.oof()
    dataset = limited(loaders.load(metrics["competition"], metrics["source"], data_dir), int(config.get("limit") or 0))
    classes = dataset.competition.classes
    if oof.shape != (len(dataset.train_labels), classes):
        raise UserError(
            f"{run.folder / 'oof.npy'} has the shape {oof.shape}, but there are {len(dataset.train_labels):,} images "
            f"of {classes} classes in {dataset.origin}; give the --data-dir of the run's own data, or train it again."
        )
    if tracking.fingerprint(dataset.train_images, dataset.train_labels) != metrics["data_fingerprint"]:
        raise UserError(
            f"{run.folder} was trained on other images or labels than those of {dataset.origin}; "
            "give their --data-dir, or train the run again."
        )
    rows = np.flatnonzero(~np.isnan(oof).any(axis=1))
    if not len(rows):
        raise UserError(
            f"{run.folder} has predicted no image out of fold, so there is nothing to judge; "
            "train it with --folds or a --validation-share."
        )
    labels = dataset.train_labels[rows].astype(int)
    scores = score(labels, oof[rows], dataset.competition.class_names)
    return Evaluation(run, dataset, rows, oof[rows], scores)
