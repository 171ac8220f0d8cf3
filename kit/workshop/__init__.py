"""What the notebooks of the workshop need from Python, and nothing that a training needs.

start()                    Keras, the seed, the right `python` for `!python -m kit…`; the set-up cell calls it
credentials()              whether Kaggle can be talked to, and how to let it
choose(full, short=…)      one value in a workshop, a smaller one where KIT_NOTEBOOKS=short
submission_path(name)      where the notebook's own submission belongs
Stopwatch()                a Keras callback that keeps loss, accuracy and seconds of each epoch
checks                     say after each gap of the exercise what is still missing
"""

import importlib
import os
import pathlib
import sys
from typing import TypeVar

from kit.errors import UserError

__all__ = ["Stopwatch", "checks", "choose", "credentials", "start", "submission_path"]

LENGTH = "KIT_NOTEBOOKS"
SEED = 0

WITHOUT_CREDENTIALS = """\
No Kaggle credentials: nothing is downloaded and nothing is sent. Where Kaggle's files are not there already, the
built-in sample stands in for them. To add credentials:
1. On https://www.kaggle.com/settings/api make a token and copy it.
2. On Colab: the key symbol on the left, a new secret KAGGLE_API_TOKEN, paste, and switch on "Notebook access".
   On your own computer: save it as ~/.kaggle/access_token, a file that holds the token and nothing else.
3. Run this cell again."""

Value = TypeVar("Value")


def start() -> None:
    """Make the notebook ready: Keras without its notices, the seed, and its own interpreter as `!python`.

    Prints what the notebook runs on, and on Colab how to get a GPU where there is none.
    """
    from kit import __version__
    from kit.backend import start_keras

    folder, path = os.path.dirname(sys.executable), os.environ.get("PATH", "")
    if path.split(os.pathsep)[0] != folder:
        os.environ["PATH"] = os.pathsep.join([folder, path])
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


def credentials() -> bool:
    """Say whether there are Kaggle credentials, Colab's secrets included; print how to add them where there are none.

    Commands that the notebook starts (`!python -m kit…`) have Colab's secrets from then on.
    """
    from kit import kaggle_client

    kaggle_client.hand_over_colab_secrets()
    found = kaggle_client.has_credentials()
    print("Kaggle credentials: found." if found else WITHOUT_CREDENTIALS)
    return found


def submission_path(name: str, competition: str = "digit-recognizer") -> pathlib.Path:
    """Return where a notebook's own submission belongs, `submissions/<competition>/<name>.csv`; its folder is made."""
    from kit import tracking

    path = tracking.SUBMISSIONS / competition / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


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
