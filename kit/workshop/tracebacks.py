"""Errors that a lesson makes on purpose."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def expected_error() -> Iterator[None]:
    """Show the traceback of an error in the block as a notebook would, and go on after it.

    Where no error comes, since a newer version of Keras allows what this one refuses, that is said.
    """
    from IPython import get_ipython

    try:
        yield
    except Exception:
        get_ipython().showtraceback()
    else:
        print("No error: this version of Keras allows it.")
