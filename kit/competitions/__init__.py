"""What a competition is: its images, its classes, its files, its rules.

A competition is a file of facts, `configs/<competition>/competition.yaml`, beside its recipes. What needs code, such as
a built-in sample, is a module of this folder, called as the competition with `_` for `-`.
"""

import dataclasses
import functools
import importlib
import importlib.util
import os
import pathlib

from kit import yaml_files
from kit.competitions import folders
from kit.competitions.facts import (
    ClassFolders,
    Competition,
    FileNames,
    ImageArchives,
    LabelledImages,
    PixelTables,
    competition,
)
from kit.errors import UserError
from kit.suggestions import nearest

__all__ = [
    "ClassFolders",
    "Competition",
    "FileNames",
    "ImageArchives",
    "LabelledImages",
    "PixelTables",
    "get",
    "names",
    "read",
]


def names() -> tuple[str, ...]:
    """The competitions that the kit knows, by Kaggle's names: the user's own and the packaged ones."""
    return tuple(sorted(folders.with_facts(), key=str.casefold))


def get(name: str) -> Competition:
    """Return the competition called `name`, whatever its capitals; two of Kaggle's differ in more than these.

    Raises:
        UserError: there is no such competition, names the nearest; or its file is wrong.
    """
    found = folders.with_facts()
    own = next((one for one in found if one.casefold() == str(name).casefold()), None)
    if own is None:
        raise UserError(
            f"unknown competition {str(name)[:100]!r}; known: {', '.join(names())}.{nearest(str(name)[:100], found)} "
            "`python -m kit.new NAME` adds one."
        )
    path = (found[own] / folders.FACTS).resolve()
    return _read(path, os.stat(path).st_mtime_ns)


def read(path: pathlib.Path) -> Competition:
    """Read a competition's file.

    Raises:
        UserError: it is missing, not YAML, or a field is wrong; or its name is not its folder's.
    """
    found = competition(yaml_files.mapping(path), str(path))
    if found.name != path.parent.name:
        raise UserError(f"{path}: name: {found.name} is not the name of its folder, {path.parent.name}; rename one.")
    module = f"kit.competitions.{found.name.casefold().replace('-', '_')}"
    if importlib.util.find_spec(module) is None:
        return found
    code = importlib.import_module(module)
    if not hasattr(code, Competition.FROM_CODE[0].upper()):  # a module of this package, and no competition's
        return found
    return dataclasses.replace(found, **{name: getattr(code, name.upper()) for name in Competition.FROM_CODE})


@functools.lru_cache(maxsize=32)
def _read(path: pathlib.Path, changed: int) -> Competition:
    return read(path)
