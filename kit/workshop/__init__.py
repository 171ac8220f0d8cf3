"""What the notebooks of the workshop need from Python, and nothing that a training needs.

start()                    Keras, the seed, the right `python` for `!python -m kit…`; the set-up cell calls it
choose(full, short=…)      one value in a workshop, a smaller one where KIT_NOTEBOOKS=short
Stopwatch()                a Keras callback that keeps loss, accuracy and seconds of each epoch
checks                     say after each gap of the exercise what is still missing
"""

import importlib
import os
import sys
from typing import TypeVar

from kit.errors import UserError

__all__ = ["Stopwatch", "checks", "choose", "start"]

LENGTH = "KIT_NOTEBOOKS"
SEED = 0

Value = TypeVar("Value")


def start() -> None:
    """Make the notebook ready: Keras without its notices, the seed, and its own interpreter as `!python`.

    Prints what the notebook runs on, and on Colab how to get a GPU where there is none.
    """
    from kit import __version__
    from kit.command_line import start_keras

    folder = os.path.dirname(sys.executable)
    if folder not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([folder, os.environ.get("PATH", "")])
    start_keras()
    import keras

    from kit.training import devices

    keras.utils.set_random_seed(SEED)
    accelerator = devices.accelerator()
    print(f"kit {__version__}, Keras {keras.__version__} on {keras.backend.backend()}, {accelerator or 'CPU only'}")
    if not accelerator and "google.colab" in sys.modules:
        print("For a GPU: Runtime > Change runtime type > T4 GPU, then run this cell again.")
    if is_short():
        print(f"{LENGTH}=short: fewer images and epochs; the accuracies below mean nothing.")


def is_short() -> bool:
    """Whether the notebooks run in their short form, which shows that they work and nothing else.

    Raises:
        UserError: `KIT_NOTEBOOKS` is neither "short", "full" nor unset.
    """
    length = os.environ.get(LENGTH, "") or "full"
    if length not in ("short", "full"):
        raise UserError(f"{LENGTH}={length}: take short or full, or leave it unset for full.")
    return length == "short"


def choose(full: Value, *, short: Value) -> Value:
    """Return `full`, or `short` where `KIT_NOTEBOOKS=short`: a number of images, of epochs, a source of data."""
    return short if is_short() else full


def __getattr__(name: str):
    if name == "Stopwatch":
        return importlib.import_module("kit.workshop.stopwatch").Stopwatch
    if name == "checks":
        return importlib.import_module("kit.workshop.checks")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
