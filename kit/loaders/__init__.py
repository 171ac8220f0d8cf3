"""Where images come from: Kaggle's files, `keras.datasets`, the built-in sample. All give the same `Dataset`."""

import dataclasses
import functools
import pathlib
from dataclasses import dataclass, field

import numpy as np

from kit import competitions, tracking
from kit.competitions import Competition
from kit.errors import UserError
from kit.suggestions import nearest

SOURCES = ("auto", "kaggle", "keras", "sample")


@dataclass(frozen=True)
class Dataset:
    """A competition's images, wherever they came from.

    Attributes:
        competition: whose they are.
        source: "kaggle", "keras" or "sample".
        origin: where the images were read from, in words or as a path.
        train_images: (n, h, w, c) uint8.
        train_labels: (n,) uint8.
        test_images: (m, h, w, c) uint8, in the order of the competition's sample submission.
        test_ids: (m,) int64, the submission's ids.
        test_labels: (m,) uint8 where the source has them (`keras.datasets`), else None. Never trained on.
        seen: the public data sets that a network trained on this one has seen, as `keras.datasets` names them.
        duplicates: (k, 2) int64, the test images that are exact copies of training images: test row, training row.
    """

    competition: Competition
    source: str
    origin: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_ids: np.ndarray
    test_labels: np.ndarray | None = None
    seen: tuple[str, ...] = field(default=())
    duplicates: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int64))
    folder: str = "data"
    limit: int = 0

    @functools.cached_property
    def fingerprint(self) -> str:
        """What tells these training data from others, as `kit.tracking.fingerprint` does."""
        return tracking.fingerprint(self.train_images, self.train_labels)

    def record(self) -> tracking.Data:
        """Return what a run notes of the data that it was trained on."""
        return tracking.Data(
            competition=self.competition.name,
            source=self.source,
            folder=self.folder,
            limit=self.limit,
            fingerprint=self.fingerprint,
        )


def load_for(data: tracking.Data, data_dir: str | pathlib.Path | None = None) -> Dataset:
    """Load the data that a run was trained on, from where they lay then.

    Args:
        data: the run's `config().data`.
        data_dir: the folder of all competitions' files, where they have moved.

    Raises:
        UserError: other data lie there now, or none.
    """
    dataset = load(data.competition, data.source, data_dir or data.folder, data.limit)
    if dataset.fingerprint != data.fingerprint:
        raise UserError(
            f"{dataset.origin} holds other images or labels than the run was trained on; give the folder of its own "
            "data with --data-dir, or train the run again."
        )
    return dataset


def load(competition: str, source: str = "auto", data_dir: str | pathlib.Path = "data", limit: int = 0) -> Dataset:
    """Load a competition's images and labels, or `limit` of the training images."""
    from kit.loaders.limit import limited

    folder = pathlib.Path(data_dir).resolve().as_posix()
    whole = dataclasses.replace(_load(competition, source, data_dir), folder=folder)
    return dataclasses.replace(limited(whole, limit), limit=limit)


def _load(competition: str, source: str = "auto", data_dir: str | pathlib.Path = "data") -> Dataset:
    """Load a competition's images and labels.

    Args:
        competition: its name, one of `kit.competitions.names()`.
        source: "kaggle": the files in `<data_dir>/<competition>/` or in Kaggle's own input folder, else a download;
            "keras": the data set of `keras.datasets` with the same kind of images; "sample": the small one that the
            kit brings along; "auto": Kaggle's files if they are there or can be downloaded, else the sample.
        data_dir: the folder of all competitions' files.

    Raises:
        UserError: the files are wrong or missing, the download fails, a name is unknown; says what to do.
    """
    from kit.loaders import built_in, kaggle_files, kaggle_source

    rules = competitions.get(competition)
    if source not in SOURCES:
        raise UserError(f"unknown source {source!r}; known: {', '.join(SOURCES)}.{nearest(source, SOURCES)}")
    if source == "keras":
        return built_in.keras_dataset(rules)
    if source == "sample":
        return built_in.sample(rules)
    files = kaggle_files.locate(competition, data_dir)
    if files is None:
        from kit import kaggle_client

        if kaggle_client.has_credentials():
            kaggle_client.download(competition, pathlib.Path(data_dir) / competition)
            files = kaggle_files.locate(competition, data_dir)
        elif source == "auto":
            return built_in.sample(rules)
        else:
            raise UserError(
                f"there are no files of {competition} in {pathlib.Path(data_dir) / competition} and no Kaggle "
                f"credentials to get them with; `python -m kit.download {competition}` says how to set them up."
            )
    return kaggle_source.load(rules, files)


def describe(dataset: Dataset) -> str:
    """Return in one line what `dataset` is, for the person who trains on it; of the sample loudly.

    Says what stands in the way of a submission, and, if there are any, how many test images are copies of training
    images.
    """
    sizes = f"{len(dataset.train_images):,} training images, {len(dataset.test_images):,} test images"
    if dataset.source == "sample":
        return (
            f"*** SAMPLE DATA, not Kaggle's: {dataset.origin} ({sizes}). "
            f"Get the real data with: python -m kit.download {dataset.competition.name} ***"
        )
    line = f"{dataset.competition.name} from {dataset.origin}: {sizes}"
    if len(dataset.duplicates):
        line += f"; exact copies of training images among the test images: {len(dataset.duplicates):,}"
    if set(dataset.seen) & set(dataset.competition.test_images_in):
        line += "; Kaggle's test images are among them, so nothing trained on these may be submitted"
    return line
