"""What the notebooks of the workshop need from Python, and nothing that a training needs.

start()                    Keras, the seed, the right `python` for `!python -m kit…`; the set-up cell calls it
source(competition)        where the images come from: Kaggle's files if they are here, else Keras's own data set
choose(full, gpu=, short=) one value on a CPU, another on a GPU, a smaller one where KIT_NOTEBOOKS=short
Stopwatch()                a Keras callback that keeps loss, accuracy and seconds of each epoch
%%expected_error           a cell magic: shows the traceback of an error, and lets the notebook go on
credentials()              whether Kaggle can be talked to, and how to let it
submission_path(name)      where the notebook's own submission belongs
unused(name, competition)  a run's name that is free, so that a cell can be run again
your_turn, checks          say after each gap what is still missing: in the tutorials, in the exercise
drawings                   what an idea looks like: a neuron, a sliding window, optimizers in a valley
public, practice, train_csv  the exercise without an account: real digits in Kaggle's form
photo_folder, as_competition, answered  a participant's photos, a competition made of them, and its practice board
entry, certificate         what was reached, by which network, on which board
"""

import os
import pathlib
import sys
import warnings
from typing import TypeVar

from kit import lazy_imports
from kit.errors import UserError

_MODULE = {
    "Stopwatch": "stopwatch",
    "answered": "practice_board",
    "as_competition": "photos",
    "certificate": "summary",
    "entry": "summary",
    "photo_folder": "photos",
    "practice": "practice_board",
    "public": "practice_board",
    "train_csv": "practice_board",
}
__all__ = ["choose", "credentials", "source", "start", "submission_path", "unused", *sorted(_MODULE)]
__getattr__, __dir__ = lazy_imports.attributes(__name__, _MODULE)

LENGTH = "KIT_NOTEBOOKS"
SEED = 0

WITHOUT_CREDENTIALS = """\
No Kaggle credentials: nothing is downloaded from Kaggle and nothing is sent. Where Kaggle's files are not there
already, other images of the same kind take their place. To add credentials:
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
    from kit.workshop import tracebacks

    tracebacks.register()

    keras.utils.set_random_seed(SEED)
    accelerator = devices.accelerator()
    print(f"kit {__version__}, Keras {keras.__version__} on {keras.backend.backend()}, {accelerator or 'CPU only'}")
    if not accelerator and "google.colab" in sys.modules:
        print("For a GPU: Runtime > Change runtime type > T4 GPU, then run this cell again.")
    if is_short():
        warnings.filterwarnings("ignore", ".*does not apply to tf.data functions")
        devices.run_eagerly()
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


def unused(name: str, competition: str) -> str:
    """Return a run's name that is not taken yet: `name`, or `name-2`, `name-3` …, so that a cell can run again."""
    from kit import tracking

    return tracking.unused(competition, name).name


def is_short() -> bool:
    """Whether the notebooks run in their short form, which shows that they work and nothing else.

    Raises:
        UserError: `KIT_NOTEBOOKS` is neither "short", "full" nor unset.
    """
    length = os.environ.get(LENGTH, "") or "full"
    if length not in ("short", "full"):
        raise UserError(f"{LENGTH}={length}: take short or full, or leave it unset for full.")
    return length == "short"


def choose(full: Value, *, short: Value, gpu: Value | None = None) -> Value:
    """Return one of several values: a number of images, of epochs, a source of data.

    Args:
        full: on a CPU.
        short: where `KIT_NOTEBOOKS=short`.
        gpu: on a GPU or TPU; `full` by default.
    """
    if is_short():
        return short
    from kit.training import devices

    return gpu if gpu is not None and devices.accelerator() else full


def source(competition: str) -> str:
    """Return where a notebook's images come from, as `kit.loaders.load` takes it.

    Kaggle's files if they are in `data/` or attached to a Kaggle notebook, else the data set of `keras.datasets`, which
    Keras downloads once and which needs no account; in the short form the built-in sample.
    """
    if is_short():
        return "sample"
    from kit import competitions
    from kit.loaders import kaggle_files

    return "keras" if kaggle_files.locate(competitions.get(competition), "data") is None else "kaggle"
