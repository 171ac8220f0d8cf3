"""What a check says of an answer."""

from typing import Any

import numpy as np

from kit.errors import Readable


class StillMissing(Readable):
    """A gap of a notebook is not filled, or filled wrongly; the text says what to do next."""


def good(message: str) -> None:
    """Print that a check is content."""
    print(f"✓ {message}")


def filled(value: Any) -> Any:
    """Return what a participant wrote into a gap.

    Raises:
        StillMissing: the gap is still `...`.
    """
    if value is ...:
        raise StillMissing("the gap above is still open: put your code in place of the three dots, and run the cell.")
    return value


def array(value: Any) -> np.ndarray:
    """Return what a participant wrote into a gap as an array.

    Raises:
        StillMissing: the gap is still `...`.
    """
    return np.asarray(filled(value))
