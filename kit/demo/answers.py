"""What runs read in a drawing or a photo. Needs no Gradio."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kit import photos
from kit.competitions import Competition
from kit.demo.readers import Reader
from kit.errors import UserError
from kit.photos import Photo

LARGEST = 30_000_000  # bytes of a photo
DRAWN = "drawing.png"
DRAW, DROP = "Draw something.", "Drop a photo."

_asking = threading.Lock()  # one image at a time; Keras compiles what it first meets


@dataclass(frozen=True, eq=False)
class Reading:
    """What one run reads in one image.

    Attributes:
        reader: the run.
        probabilities: (classes,) float32.
        heat: Grad-CAM for the likeliest class, (h, w) of 0…1, or None.
    """

    reader: Reader
    probabilities: np.ndarray
    heat: np.ndarray | None

    @property
    def label(self) -> int:
        """The number of the likeliest class."""
        return int(self.probabilities.argmax())

    @property
    def confidence(self) -> float:
        """The likeliest class's probability."""
        return float(self.probabilities.max())

    @property
    def is_likely(self) -> bool:
        """Whether the run is about as confident as it is of images that it reads right."""
        threshold = self.reader.likely_above
        return threshold is None or self.confidence >= threshold


@dataclass(frozen=True, eq=False)
class Seen:
    """A photo, or a drawing in it, and what each run reads there; the first run's answer counts."""

    photo: Photo
    readings: list[Reading]

    @property
    def first(self) -> Reading:
        """The first run's."""
        return self.readings[0]


@dataclass(frozen=True, eq=False)
class Answer:
    """What is shown for an image.

    Attributes:
        competition: what the runs were trained for.
        seen: what was found in it, as one reads; empty where it cannot be read.
        message: then why, and what to do.
        content: the image's file, None for a blank canvas.
        drawn: whether it was drawn on the page.
    """

    competition: Competition
    seen: list[Seen] = field(default_factory=list)
    message: str = ""
    content: bytes | None = None
    drawn: bool = False


def read(readers: Sequence[Reader], content: bytes | None, drawn: bool, name: str = DRAWN) -> Answer:
    """Prepare an image as `kit.predict --images` does, and ask every run.

    Args:
        readers: the runs, at least one.
        content: an image file's bytes; None for a blank canvas.
        drawn: whether it was drawn on the page, and is no photo.
        name: what a message calls the file.
    """
    competition = readers[0].competition
    ask = DRAW if competition.handwriting else DROP
    if not content:
        return Answer(competition, message=ask)
    if len(content) > LARGEST:
        return Answer(competition, message=f"{name} has more than {LARGEST / 1e6:.0f} MB; make it smaller first.")
    try:
        found = photos.prepare(name, competition, content)
    except UserError as error:
        return Answer(competition, message=ask if drawn else str(error))
    images = np.stack([photo.image for photo in found])
    by_reader = []
    with _asking:
        for reader in readers:
            probabilities = reader.predict(images)
            by_reader.append((probabilities, reader.heat(images, probabilities.argmax(axis=1))))
    seen = [
        Seen(
            photo,
            [
                Reading(reader, probabilities[row], None if heat is None else heat[row])
                for reader, (probabilities, heat) in zip(readers, by_reader, strict=True)
            ],
        )
        for row, photo in enumerate(found)
    ]
    return Answer(competition, seen, "", content, drawn)


def headline(answer: Answer) -> str:
    """Say in a sentence what the first run reads."""
    if not answer.seen:
        return answer.message
    names = answer.competition.class_names
    if len(answer.seen) > 1:
        read_there = " ".join(names[one.first.label] if one.first.is_likely else "?" for one in answer.seen)
        return f"I read {read_there}"
    first = answer.seen[0].first
    if first.is_likely:
        return f"This is {_article(names[first.label])} {names[first.label]}"
    nearest = f"The nearest would be {names[first.label]} ({first.confidence:.0%})."
    return f"Unlikely to be {kind(answer.competition)}. {nearest}"


def kind(competition: Competition) -> str:
    """Return what the classes are, with its article: "a digit"."""
    return "a digit" if all(name.isdigit() for name in competition.class_names) else "any of these classes"


def _article(name: str) -> str:
    return "an" if name[:1].lower() in "aeiou8" or name in ("11", "18") else "a"
