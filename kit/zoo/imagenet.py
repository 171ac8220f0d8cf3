"""Where VGG16's ImageNet weights are to be had: beside the data, on Kaggle, from Keras, or nowhere, which is said."""

import contextlib
import os
import pathlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import keras

from kit import files
from kit.zoo.vgg16 import WEIGHTS_FILE, WEIGHTS_PAGE

KAGGLE_INPUT = pathlib.Path("/kaggle/input")
RANDOM_FILE = "vgg16-random.weights.h5"
MD5 = "6d6bbae143d832006294945121d1f1fc"
RETRIES = 20
"""Seconds without a byte after which a download counts as failed; Keras itself would wait for ever."""


@dataclass(frozen=True)
class Weights:
    """Weights of VGG16's convolutions, as the zoo's networks and `keras.applications.VGG16` take them.

    Attributes:
        file: the file that holds them.
        trained: whether they are ImageNet's; otherwise they are random.
        origin: where they come from, in words for the person who uses them.
    """

    file: str
    trained: bool
    origin: str

    @property
    def label(self) -> str:
        """What to call VGG16 with these weights wherever a number of it is shown."""
        return "VGG16" if self.trained else "VGG16 (random weights)"


def vgg16_weights(data_dir: str | pathlib.Path = "data", download: bool = True) -> Weights:
    """Find ImageNet's weights of VGG16's convolutions, or make random ones, so that a lesson can go on without them.

    Looks for the file in `data_dir` and in what was added to a Kaggle notebook; then Keras looks in its own cache and
    downloads it.

    Args:
        data_dir: the folder of all competitions' files. Random weights are written there, the same every time.
        download: whether Keras may be asked for it.
    """
    folder = pathlib.Path(data_dir)
    added = [place for depth in ("*", "*/*", "*/*/*") for place in sorted(KAGGLE_INPUT.glob(f"{depth}/{WEIGHTS_FILE}"))]
    for place in (folder / WEIGHTS_FILE, *added):
        if place.is_file():
            return Weights(str(place), True, f"ImageNet's weights of VGG16, from {place}")
    reason = "nothing was downloaded"
    if download:
        try:
            with _impatient():
                file = keras.utils.get_file(WEIGHTS_FILE, WEIGHTS_PAGE, cache_subdir="models", file_hash=MD5)
            return Weights(str(file), True, f"ImageNet's weights of VGG16, from {file}")
        except Exception as error:  # Keras raises a bare Exception when a download fails
            reason = " ".join(str(error).split())[:200]
    origin = (
        f"*** RANDOM WEIGHTS: ImageNet's are not at hand ({reason}). Fetch {WEIGHTS_PAGE} where there is internet, put "
        f"it into {folder}, and run this again. Until then every number of VGG16 is that of untrained convolutions. ***"
    )
    return Weights(str(_random(folder / RANDOM_FILE)), False, origin)


def _random(file: pathlib.Path) -> pathlib.Path:
    """Write VGG16's convolutions with random weights, unless they are there already."""
    if not file.exists():
        keras.utils.set_random_seed(0)
        base = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
        with files.replacing(file) as fresh:
            named = fresh.with_suffix(".weights.h5")  # Keras writes weights to names of this form only
            base.save_weights(named)
            os.replace(named, fresh)
    return file


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(RETRIES)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
