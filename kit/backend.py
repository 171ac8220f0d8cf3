"""Keras and its backend, started and kept quiet."""

import contextlib
import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator

from kit import log_filter


def start_keras() -> None:
    """Import Keras and its backend; from then on, what TensorFlow's C++ logs stays off the screen.

    Notebooks show what reaches the process's stderr in their own way, which is left alone: there only the import is
    quiet, and what comes later if its level is above `TF_CPP_MIN_LOG_LEVEL`.
    """
    if "keras" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.nullcontext() if log_filter.install() else _aside():
        importlib.import_module("keras")
    # It warns of every second input shape; only now, since in notebooks its import sets the level itself.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextlib.contextmanager
def _aside() -> Iterator[None]:
    """Turn the process's stderr aside; if the block fails, what was written is shown after all."""
    try:
        own = os.dup(2)
    except OSError:  # closed; there is nothing to keep quiet
        yield
        return
    if sys.stderr:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        except BaseException:
            file.seek(0)
            os.write(own, file.read())
            raise
        finally:
            os.dup2(own, 2)
            os.close(own)
