"""Where images come from: Kaggle's files, `keras.datasets`, the built-in sample. All give the same `Dataset`."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from kit import competitions, files
from kit.competitions import Competition
from kit.errors import UserError
from kit.suggestions import nearest

if TYPE_CHECKING:
    from kit import tracking
    from kit.loaders.extra import ExtraImages

Source = Literal["kaggle", "keras", "sample"]
SOURCES = ("auto", *get_args(Source))
DATA_DIR = "data"


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A competition's images, wherever they came from.

    Attributes:
        competition: whose they are.
        source: "kaggle", "keras" or "sample".
        origin: where the images were read from, as a path or a description.
        train_images: (n, h, w, c) uint8.
        train_labels: (n,) integers.
        test_images: (m, h, w, c) uint8, in the order of the competition's sample submission.
        test_ids: (m,) int64 or texts, the submission's ids.
        test_labels: (m,) integers where the source has them (`keras.datasets`), else None. Never trained on.
        seen: the public data sets that a network trained on this one has seen, as `keras.datasets` names them.
        duplicates: (k, 2) int64, the test images that are exact copies of training images: test row, training row.
        folder: the folder of all competitions' files, absolute.
        limit: how many training images were asked for; 0 for all.
        available: how many training images there are without the limit.
        extra: a person's own images, added to the training images of every fold and validated on by none; or None.
    """

    competition: Competition
    source: Source
    origin: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_ids: np.ndarray
    test_labels: np.ndarray | None = None
    seen: tuple[str, ...] = ()
    duplicates: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int64))
    folder: str = ""
    limit: int = 0
    available: int = 0
    extra: ExtraImages | None = None

    def __post_init__(self) -> None:
        for name in ("train", "test"):
            self._check_arrays(name)
        if len(self.test_ids) != len(self.test_images):
            raise UserError(f"test_ids: {len(self.test_ids):,} ids for {len(self.test_images):,} test_images.")
        object.__setattr__(self, "folder", self.folder or os.path.abspath(DATA_DIR))
        object.__setattr__(self, "available", max(self.available, len(self.train_labels)))

    def _check_arrays(self, name: str) -> None:
        """Refuse images and labels that are not the competition's.

        Raises:
            UserError: another type or shape, or a label that is no class.
        """
        images, labels = getattr(self, f"{name}_images"), getattr(self, f"{name}_labels")
        shape, classes = self.competition.image_shape, self.competition.classes
        found = getattr(images, "shape", ()), getattr(images, "dtype", type(images).__name__)
        if found != ((*found[0][:1], *shape), np.uint8):
            raise UserError(f"{name}_images: {found[0]} {found[1]}, not (n, {', '.join(map(str, shape))}) uint8.")
        if labels is None:
            return
        if not np.issubdtype(labels.dtype, np.integer):
            raise UserError(f"{name}_labels are of type {labels.dtype}; give the classes' numbers as integers.")
        if labels.shape != (len(images),):
            raise UserError(f"{name}_labels: {labels.shape} for {len(images):,} {name}_images; give one for each.")
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            raise UserError(
                f"{name}_labels: from {labels.min()} to {labels.max()}, but the classes are 0 to {classes - 1}."
            )

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.train_images.shape[1:]))
        return (
            f"<Dataset {self.competition.name}: {_of_all(self)} training images {shape}, "
            f"{len(self.test_images):,} test images, from {self.origin}>"
        )

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the training images and labels, their order included."""
        from kit import tracking

        return tracking.fingerprint(self.train_images, self.train_labels)

    def record(self) -> tracking.Data:
        """Return what a run remembers of the data that it is trained on; `load_for` finds them again."""
        from kit import tracking

        return tracking.Data(
            competition=self.competition.name,
            source=self.source,
            folder=files.path_text(self.folder),
            limit=self.limit,
            fingerprint=self.fingerprint,
            extra=self.extra.record if self.extra else None,
        )


def load(
    competition: str, source: str = "auto", data_dir: str | os.PathLike[str] = DATA_DIR, limit: int = 0
) -> Dataset:
    """Load a competition's images and labels.

    Args:
        competition: its name, one of `kit.competitions.names()`.
        source: "kaggle": the files in `<data_dir>/<competition>/` or in Kaggle's own input folder, else a download;
            "keras": the data set of `keras.datasets` with the same kind of images; "sample": the small one that the
            kit brings along; "auto": Kaggle's files if they are there or can be downloaded, else the sample.
        data_dir: the folder of all competitions' files.
        limit: how many training images to take, each class in its share, always the same ones; 0 for all.

    Raises:
        UserError: the files are wrong or missing, the download fails, a name is unknown; says what to do.
    """
    from kit.loaders.limit import limited

    whole = _load(competitions.get(competition), source, pathlib.Path(data_dir))
    return limited(dataclasses.replace(whole, folder=os.path.abspath(data_dir)), limit)


def load_for(data: tracking.Data, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Load the data that a run was trained on, limit included, without its extra images.

    Args:
        data: what the run remembers of them.
        data_dir: the folder of all competitions' files; without it the run's own, or `data` where that has no files.

    Raises:
        UserError: the files are missing, or other ones lie there now.
    """
    folder = data_dir if data_dir is not None else _folder_now(data)
    dataset = load(data.competition, data.source, folder, data.limit)
    if dataset.fingerprint != data.fingerprint:
        raise UserError(
            f"{dataset.origin} holds other training images or labels than the run was trained on, "
            f"which came from {data.folder}; give the folder of the run's data with --data-dir, or train it again."
        )
    return dataset


def describe(dataset: Dataset, validation_images: int | None = None) -> str:
    """Return in one line what `dataset` is, for the person who trains on it; of the sample loudly.

    Says what stands in the way of a submission, and, if there are any, how many test images are copies of training
    images.

    Args:
        dataset: the data.
        validation_images: how many of the training images are kept for validation; None where nobody asks.
    """
    sizes = f"{_of_all(dataset)} training images, "
    if validation_images is not None:
        sizes += f"{validation_images:,} of them for validation, "
    if dataset.extra is not None:
        sizes += f"{len(dataset.extra.labels):,} more from {dataset.extra.folder}, "
    sizes += f"{len(dataset.test_images):,} test images"
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


def _of_all(dataset: Dataset) -> str:
    count = len(dataset.train_images)
    return f"{count:,} of {dataset.available:,}" if count < dataset.available else f"{count:,}"


def _load(competition: Competition, source: str, data_dir: pathlib.Path) -> Dataset:
    from kit.loaders import built_in, kaggle_files, kaggle_source

    if source not in SOURCES:
        raise UserError(f"unknown source {source!r}; known: {', '.join(SOURCES)}.{nearest(source, SOURCES)}")
    if source == "keras":
        return built_in.keras_dataset(competition)
    if source == "sample":
        return built_in.sample(competition)
    files = kaggle_files.locate(competition, data_dir)
    if files is None:
        from kit import kaggle_client

        name = competition.name
        if kaggle_client.has_credentials():
            kaggle_client.download(name, data_dir / name)
            files = kaggle_files.locate(competition, data_dir)
        elif source == "auto" and competition.sample is not None:
            return built_in.sample(competition)
        if files is None:
            raise UserError(
                f"there are no files of {name} in {data_dir / name} and no Kaggle credentials to get them with; "
                f"`python -m kit.download {name}` says how to set them up."
            )
    return kaggle_source.load(competition, files)


def _folder_now(data: tracking.Data) -> str:
    """Where a run's data lie now: their own folder, unless that is gone and there are files in the default one."""
    if data.source != "kaggle":
        return data.folder
    from kit.loaders import kaggle_files

    competition = competitions.get(data.competition)
    for folder in (data.folder, DATA_DIR):
        if kaggle_files.locate(competition, folder):
            return folder
    raise UserError(
        f"{pathlib.Path(data.folder) / data.competition}, which the run was trained on, has no files now; "
        f"give their folder with --data-dir, or get them with: python -m kit.download {data.competition}"
    )
