"""Recipe files: complete in themselves, or `extends:` another recipe. Nothing is inherited silently.

A recipe is named by its file, `path/to/recipe.yaml`, or by its name in `configs/<competition>/`, `fast`.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

from kit.competitions import folders
from kit.errors import UserError
from kit.recipes.recipe import Recipe, check_names, shown
from kit.suggestions import nearest
from kit.yaml_files import DEEPEST, mapping

EXTENDS = "extends"
PLAN_FIELDS = ("members", "seeds", "method", "geometric")


def folder(competition: str) -> pathlib.Path:
    """Return the first folder with recipes of a competition: the user's own, else the packaged one."""
    found = folders.of(competition)
    return found[0] if found else folders.packaged() / competition


def names(competition: str) -> list[str]:
    """Return the names of a competition's recipes, the user's own and the packaged ones, sorted."""
    found = {path.stem for place in folders.of(competition) for path in place.glob("*.yaml")}
    return sorted(found - {folders.FACTS.removesuffix(".yaml")})


def _named(name: str, competition: str) -> pathlib.Path:
    """Return where the recipe called `name` lies, or where it would lie."""
    places = [*folders.of(competition), folders.packaged() / competition]
    paths = [place / f"{name}.yaml" for place in places]
    return next((path for path in paths if _exists(path)), paths[-1])


def locate(reference: str | pathlib.Path, competition: str, beside: pathlib.Path | None = None) -> pathlib.Path:
    """Return the file that `reference` means: a path, or a recipe's name in `configs/<competition>/`.

    Args:
        reference: `recipes/mine.yaml`, or `fast`.
        competition: whose recipes are meant by a name.
        beside: a folder that a relative path may also be meant from.

    Raises:
        UserError: there is no such recipe; names the nearest.
    """
    text = str(reference)
    named = _named(text.removesuffix(".yaml"), competition)
    paths = [pathlib.Path(text), *([beside / text, beside / f"{text}.yaml"] if beside else [])]
    for path in paths:
        if path.suffix in (".yaml", ".yml") and _exists(path):
            return path
    if "/" not in text and "\\" not in text and _exists(named):
        return named
    if _exists(paths[0]) and paths[0].is_file():
        return paths[0]
    there = [*names(competition), *(str(path) for path in paths[0].parent.glob("*.yaml"))] if len(text) < 256 else []
    known = f" The recipes of {competition}: {', '.join(names(competition)) or 'none'}."
    raise UserError(f"there is no recipe {text[:200]!r}.{nearest(text, there) or known}")


def read(path: pathlib.Path, competition: str, _within: tuple[pathlib.Path, ...] = ()) -> dict[str, Any]:
    """Read a recipe file: its fields over those of the recipe that it extends.

    Returns:
        The fields that are set, by name; names are checked, values are not.

    Raises:
        UserError: the file is missing, not YAML, not a mapping, a plan, or has an unknown field; or it extends itself.
    """
    fields = mapping(path)
    if fields.keys() & set(PLAN_FIELDS):
        raise UserError(f"{path} is a plan of several trainings; only `python -m kit.train --config` takes one.")
    check_names(fields, str(path), (EXTENDS,))
    return inherited(fields, path, competition, _within)


def inherited(
    fields: Mapping[str, Any], path: pathlib.Path, competition: str, _within: tuple[pathlib.Path, ...] = ()
) -> dict[str, Any]:
    """Return `fields`, of the file `path`, over those of the recipe that their `extends` names, if they have one.

    Raises:
        UserError: as `read`.
    """
    own = {name: value for name, value in fields.items() if name != EXTENDS}
    if EXTENDS not in fields:
        return own
    if not isinstance(fields[EXTENDS], str) or not fields[EXTENDS]:
        raise UserError(f"{path}: {EXTENDS}: {shown(fields[EXTENDS])} is not the name or the file of a recipe.")
    try:
        base = locate(fields[EXTENDS], competition, path.parent)
    except UserError as error:
        raise UserError(f"{path}: {EXTENDS}: {error}") from None
    chain = (*_within, path.resolve())
    if base.resolve() in chain or len(chain) > DEEPEST:
        raise UserError(f"{path}: {EXTENDS}: {fields[EXTENDS]} leads back to itself; remove one of the two lines.")
    return merged(read(base, competition, chain), own)


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Put fields together, later layers winning; `options` are joined, not replaced, unless the network changes."""
    fields: dict[str, Any] = {}
    for layer in layers:
        options, more = fields.get("options") or {}, layer.get("options") or {}
        if layer.get("model", fields.get("model")) != fields.get("model") and fields.get("model"):
            options = {}
        fields |= layer
        if isinstance(options, dict) and isinstance(more, dict):
            fields["options"] = {**options, **more}
    return fields


def resolve(
    competition: str, config: str | pathlib.Path | None = None, flags: Mapping[str, Any] | None = None
) -> Recipe:
    """Return the recipe that a command line or a call of `kit.fit` asks for.

    Args:
        competition: whose recipes are meant by names.
        config: a recipe's name or file; None for the recipe that is called as the network is, if there is one.
        flags: fields that win over the recipe's.

    Raises:
        UserError: there is no such recipe, it cannot be read, or a value makes no sense.
    """
    flags = dict(flags or {})
    if config is not None:
        path = locate(config, competition)
        fields = read(path, competition)
        where = f"{path}: "
    else:
        own = _named(flags.get("model") or Recipe.model_fields["model"].default, competition)
        fields, where = (read(own, competition), f"{own}: ") if _exists(own) else ({}, "")
    _checked(fields, where)  # a mistake in the file is not taken for one of the flags
    return Recipe(**merged(fields, flags))


def _exists(path: pathlib.Path) -> bool:
    """Whether there is such a file or folder, or a link in its place; False for names that no file can have."""
    try:
        return path.exists() or path.is_symlink()
    except (OSError, ValueError):
        return False


def _checked(fields: Mapping[str, Any], where: str) -> Recipe:
    try:
        return Recipe(**fields)
    except UserError as error:
        raise UserError(f"{where}{error}") from None
