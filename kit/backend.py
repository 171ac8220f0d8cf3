"""Keras and its backend, started without their notices."""

import importlib
import logging
import os
import sys
import tempfile


def start_keras() -> None:
    """Import Keras and its backend without the dozen lines of notices that TensorFlow prints as it starts.

    The notices come from C++, before any log level counts, so the process's stderr is turned aside meanwhile; if the
    import fails, what was said is shown after all.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    own = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            importlib.import_module("keras")
        except BaseException:
            aside.seek(0)
            os.write(own, aside.read())
            raise
        finally:
            os.dup2(own, 2)
            os.close(own)
    # It warns of every second input shape; only now, since in notebooks its import sets the level itself.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
