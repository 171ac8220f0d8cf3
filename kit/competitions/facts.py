"""What can be said about a competition, as `configs/<competition>/competition.yaml` says it."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pydantic
from pydantic.dataclasses import dataclass

from kit import metrics
from kit.competitions import folders
from kit.errors import UserError

Name = Annotated[str, pydantic.Field(pattern=f"^{folders.NAME.pattern}$")]
Text = Annotated[str, pydantic.Field(min_length=1, max_length=500)]
Side = Annotated[int, pydantic.Field(ge=1, le=4096)]
CONFIG = pydantic.ConfigDict(extra="forbid", coerce_numbers_to_str=True)


@dataclass(frozen=True, config=CONFIG)
class PixelTables:
    """CSV files with one image a row: its label and its pixels to train on, its pixels to predict.

    Attributes:
        id_column: the column of the images' ids in the test file; empty where the rows are in the sample submission's
            order.
        label_column: the column of the labels in the training file. All others are pixels, row by row, the channels
            of a pixel side by side.
        pixel_prefix: what the pixels' columns are called before their number, from 0; empty where they have other
            names, and stand in the images' order.
    """

    train: Text
    test: Text
    sample_submission: Text
    id_column: str = ""
    label_column: Text = "label"
    pixel_prefix: str = "pixel"
    layout: Literal["pixel-tables"] = "pixel-tables"

    @property
    def names(self) -> list[str]:
        """The files' names."""
        return [self.train, self.test, self.sample_submission]


@dataclass(frozen=True, config=CONFIG)
class ImageArchives:
    """7z archives of `<id>.png`, all of the competition's image shape, with a CSV of the training labels."""

    train: Text
    test: Text
    labels: Text
    sample_submission: Text
    layout: Literal["png-archives"] = "png-archives"

    @property
    def names(self) -> list[str]:
        """The files' names."""
        return [self.train, self.test, self.labels, self.sample_submission]


@dataclass(frozen=True, config=CONFIG)
class ClassFolders:
    """Image files in a folder a class, `train/<class>/*.jpg`, and test images named by their ids.

    Attributes:
        train, test: the folders of the training and the test images.
        sample_submission: its file.
    """

    train: Text
    test: Text
    sample_submission: Text
    layout: Literal["class-folders"] = "class-folders"


@dataclass(frozen=True, config=CONFIG)
class FileNames:
    """Image files whose names hold the class, `train/cat.0.jpg`; attributes as in `ClassFolders`."""

    train: Text
    test: Text
    sample_submission: Text
    layout: Literal["file-names"] = "file-names"


@dataclass(frozen=True, config=CONFIG)
class LabelledImages:
    """A CSV of ids and labels, and a folder of images named by the ids, with or without the extension.

    Attributes:
        labels: the CSV's name.
        id_column, label_column: two of its columns. An empty `label_column` means that there is a column a class, named
            as the label, with 1 for the class that an image is of.
        train, test, sample_submission: as in `ClassFolders`.
    """

    train: Text
    test: Text
    labels: Text
    sample_submission: Text
    id_column: Text = "id"
    label_column: str = "label"
    layout: Literal["labelled-images"] = "labelled-images"


Files = Annotated[
    PixelTables | ImageArchives | ClassFolders | FileNames | LabelledImages, pydantic.Field(discriminator="layout")
]
Sample = Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True, config=CONFIG)
class Competition:
    """One Kaggle competition.

    Attributes:
        name: Kaggle's own name, as in kaggle.com/competitions/<name>, capitals included.
        image_shape: (height, width, channels) of every image; 1 or 3 channels.
        class_names: what each class is called, in the order of the labels 0, 1, …
        files: which files Kaggle serves and in which form.
        id_column, label_column: the submission's first two columns.
        label_values: what stands for each class in the label column, in the order of `class_names`; empty where these
            are the names themselves.
        predicts: what a submission's row holds: the "label", the "probability" of `probability_of`, or the
            "probabilities" of all classes.
        probability_of: of "probability", the class that is meant.
        probability_columns: of "probabilities", each class's column; empty where these are the class names.
        metric: by what Kaggle scores, one of `kit.metrics.METRICS`.
        fit: how images of other proportions become `image_shape`: "crop" keeps the middle, "pad" keeps all.
        daily_limit: submissions a day that Kaggle accepts.
        code_only: whether Kaggle takes notebooks only and no CSV.
        mirror_symmetric: whether a mirrored image is still of its class.
        handwriting: whether the images are light strokes on black, as MNIST's.
        folder: where the files lie, if not in `<data folder>/<name>`.
        most_images: how many images the competition has in all. It bounds how large its files can be, so that a file
            with more is refused before it fills the memory.
        sample: draws the built-in stand-in data; returns train_images (n, h, w, c) uint8, train_labels (n,) int64,
            test_images (m, h, w, c) uint8; None where there are none.
        sample_description: what the sample is, for the person who trains on it.
        keras_dataset: the module of `keras.datasets` that holds the same kind of images, or empty.
        test_images_in: public data sets, as `keras.datasets` names them, whose images include this competition's
            test images, so that a network trained on them must not be submitted.
    """

    name: Name
    image_shape: tuple[Side, Side, Literal[1, 3]]
    class_names: tuple[Text, ...]
    files: Files
    id_column: Text
    label_column: str = ""
    label_values: tuple[Text, ...] = ()
    predicts: Literal["label", "probability", "probabilities"] = "label"
    probability_of: str = ""
    probability_columns: tuple[Text, ...] = ()
    metric: str = "accuracy"
    fit: Literal["crop", "pad"] = "crop"
    daily_limit: Annotated[int, pydantic.Field(ge=1, le=1000)] = 5
    code_only: bool = False
    mirror_symmetric: bool = False
    handwriting: bool = False
    folder: str = ""
    most_images: Annotated[int, pydantic.Field(ge=1, le=10_000_000)] = 1_000_000
    sample: Sample | None = None
    sample_description: str = ""
    keras_dataset: str = ""
    test_images_in: tuple[str, ...] = ()

    FROM_CODE: ClassVar[tuple[str, ...]] = ("sample", "sample_description", "keras_dataset", "test_images_in")

    def __post_init__(self) -> None:
        classes = len(self.class_names)
        if classes < 2 or len(set(self.class_names)) < classes:
            raise UserError(f"class_names: {classes} names; two or more are needed, no two the same.")
        metrics.named(self.metric)
        for field in ("label_values", "probability_columns"):
            given = getattr(self, field)
            if given and (len(given) != classes or len(set(given)) < classes):
                raise UserError(f"{field}: one for each of the {classes} classes is needed, no two the same.")
        if self.predicts == "probability" and (classes != 2 or self.probability_of not in self.class_names):
            raise UserError(
                f"probability_of: {self.probability_of[:60]!r} is not one of the two classes "
                f"({', '.join(name[:60] for name in self.class_names[:5])})."
            )
        if self.predicts != "probabilities" and not self.label_column:
            raise UserError("label_column: is missing.")

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @property
    def page(self) -> str:
        """The competition's page, where its rules are accepted."""
        return f"https://www.kaggle.com/competitions/{self.name}"

    @property
    def label_texts(self) -> tuple[str, ...]:
        """What stands for each class in tables of labels and in the submission."""
        return self.label_values or self.class_names

    @property
    def columns(self) -> tuple[str, ...]:
        """The submission's header."""
        if self.predicts == "probabilities":
            return (self.id_column, *(self.probability_columns or self.class_names))
        return (self.id_column, self.label_column)


def competition(fields: dict[str, Any], where: str) -> Competition:
    """Make a competition of what its file says.

    Args:
        fields: values by name.
        where: what errors call the file.

    Raises:
        UserError: a field is missing, unknown or wrong; names it.
    """
    try:
        return Competition(**fields)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"{where}: {place[:80]}: {first['msg'][:200]}; see docs/competitions.md.") from None
    except TypeError as error:
        raise UserError(f"{where}: {str(error)[:200]}; see docs/competitions.md.") from None
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
