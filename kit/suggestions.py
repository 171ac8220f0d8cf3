"""The known word that somebody probably meant."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean …?" for the known name closest to `name`, or an empty text when none is close."""
    close = difflib.get_close_matches(str(name), [str(one) for one in known], n=1, cutoff=0.5)
    return f" Did you mean {close[0]}?" if close else ""
