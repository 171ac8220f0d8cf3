"""VGG16's ImageNet weights: from a file beside the data, from Kaggle, from Keras; or random ones in their place."""

import contextlib
import os
import pathlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import keras

from kit import files
from kit.zoo.vgg16 import OWN_WEIGHTS_FILE, WEIGHTS_FILE, WEIGHTS_PAGE

KAGGLE_INPUT = pathlib.Path("/kaggle/input")
RANDOM_FILE = "vgg16-random.weights.h5"
MD5 = "6d6bbae143d832006294945121d1f1fc"
TIMEOUT = 20
"""Seconds without a byte after which a download counts as failed; Keras itself has no limit."""


@dataclass(frozen=True)
class Weights:
    """Weights of VGG16's convolutions, as the zoo's networks and `keras.applications.VGG16` take them.

    Attributes:
        file: the file that holds them.
        trained: whether they are ImageNet's; otherwise they are random.
        origin: where they come from, as a sentence to print.
    """

    file: str
    trained: bool
    origin: str

    @property
    def label(self) -> str:
        """The name of VGG16 with these weights, for tables and figures."""
        return "VGG16" if self.trained else "VGG16 (random weights)"


def vgg16_weights(data_dir: str | pathlib.Path = "data", download: bool = True) -> Weights:
    """Find ImageNet's weights of VGG16's convolutions; make random ones where there are none, so that lessons go on.

    Looks for the file in `data_dir` and among the inputs of a Kaggle notebook, then for `vgg16.weights.h5` in
    `data_dir`; then Keras looks in its own cache and downloads it.

    Args:
        data_dir: the folder of all competitions' files. Random weights are written there, the same every time.
        download: whether Keras may look for the file and download it.
    """
    folder = pathlib.Path(data_dir)
    added = [path for depth in ("*", "*/*", "*/*/*") for path in sorted(KAGGLE_INPUT.glob(f"{depth}/{WEIGHTS_FILE}"))]
    for path in (folder / WEIGHTS_FILE, *added):
        if path.is_file():
            return Weights(str(path), True, f"ImageNet's weights of VGG16, from {path}")
    own = folder / OWN_WEIGHTS_FILE
    if own.is_file():
        return Weights(str(own), True, f"VGG16's weights, from {own}, which somebody wrote with Keras")
    reason = "nothing was downloaded"
    if download:
        try:
            with _timeout(TIMEOUT):
                file = keras.utils.get_file(WEIGHTS_FILE, WEIGHTS_PAGE, cache_subdir="models", file_hash=MD5)
            return Weights(str(file), True, f"ImageNet's weights of VGG16, from {file}")
        except Exception as error:  # Keras raises a bare Exception when a download fails
            reason = " ".join(str(error).split())[:200]
    origin = (
        f"*** RANDOM WEIGHTS: ImageNet's are not at hand ({reason}). Download {WEIGHTS_PAGE} where there is internet, "
        f"put it into {folder}, and run this again. Until then VGG16's numbers are those of random weights. ***"
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
def _timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
