"""Where competitions' facts and recipes lie: in the user's own folder, and in the packaged one.

The user's own is `KIT_CONFIGS`, else `configs` in the current folder. It goes first.
"""

import os
import pathlib
import re

FACTS = "competition.yaml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")
"""What Kaggle's names of competitions look like; a folder that is called otherwise holds none."""
_PACKAGE = pathlib.Path(__file__).resolve().parents[1]


def packaged() -> pathlib.Path:
    """Return the folder that comes with the kit: in an installation inside the package, in a checkout beside it."""
    inside = _PACKAGE / "configs"
    return inside if inside.is_dir() else _PACKAGE.parent / "configs"


def own() -> pathlib.Path:
    """Return the user's own folder, whether or not it exists."""
    return pathlib.Path(os.environ.get("KIT_CONFIGS") or "configs")


def every() -> list[pathlib.Path]:
    """Return the folders to search, the user's own first; one that is both comes once."""
    first, last = own(), packaged()
    return [last] if first.resolve() == last.resolve() else [first, last]


def of(competition: str) -> list[pathlib.Path]:
    """Return a competition's folders that exist, the user's own first; capitals have to be right on any disk."""
    return [place / competition for place in every() if competition in _listed(place)]


def with_facts() -> dict[str, pathlib.Path]:
    """Return the competitions that have facts: each one's folder by its name; the user's own wins."""
    found: dict[str, pathlib.Path] = {}
    for place in every():
        for name in _listed(place):
            if NAME.fullmatch(name) and (place / name / FACTS).is_file():
                found.setdefault(name, place / name)
    return found


def _listed(place: pathlib.Path) -> list[str]:
    try:
        return sorted(os.listdir(place))
    except (OSError, ValueError):
        return []
