"""What all tests share: no network, no credentials, no user's folders, quiet TensorFlow."""

import os
import pathlib
import signal
import sys

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background (`make test &`, nohup, many CI services) a process inherits that Ctrl-C is ignored, and
    # hands it on: the tests of Ctrl-C would find commands that never hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
SECRETS = ("KAGGLE_API_TOKEN", "KAGGLE_API_V1_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR")


@pytest.fixture(autouse=True)
def scratch_home(tmp_path_factory, monkeypatch):
    """Every test, and every process that it starts, in a home of its own without credentials."""
    home = tmp_path_factory.mktemp("home")
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty folder as the current one, where runs, submissions and data of a test belong."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
