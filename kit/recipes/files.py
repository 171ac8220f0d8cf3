"""Recipe files: complete in themselves, or `extends:` another recipe. Nothing is inherited silently.

A recipe is named by its file, `path/to/recipe.yaml`, or by its name in `configs/<competition>/`, `fast`.
"""

import pathlib
import stat
from collections.abc import Mapping
from typing import Any

import yaml

from kit.errors import UserError
from kit.recipes.recipe import Recipe, check_names, shown
from kit.suggestions import nearest

EXTENDS = "extends"
PLAN_FIELDS = ("members", "seeds", "method", "geometric")
LARGEST = 1 << 22  # bytes; a recipe has a thousandth of it
MOST_VALUES = 100_000
DEEPEST = 20  # levels of nesting and of `extends`; a recipe has three
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # written in C, where the package was built with it
_HERE = pathlib.Path(__file__).resolve().parents[1]


def folder(competition: str) -> pathlib.Path:
    """Return the folder of a competition's recipes: in an installation inside the package, in a checkout beside it."""
    packaged = _HERE / "configs"
    return (packaged if packaged.is_dir() else _HERE.parent / "configs") / competition


def names(competition: str) -> list[str]:
    """Return the names of a competition's recipes, sorted."""
    return sorted(path.stem for path in folder(competition).glob("*.yaml"))


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
    named = folder(competition) / f"{text.removesuffix('.yaml')}.yaml"
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
        own = folder(competition) / f"{flags.get('model') or Recipe.model_fields['model'].default}.yaml"
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


def mapping(path: pathlib.Path) -> dict[str, Any]:
    """Read a YAML file of `key: value` lines, unchecked; merge keys (`<<`) work, a key that comes twice is an error.

    Raises:
        UserError: the file is missing, not a regular file, too large, too deep, not YAML, or not a mapping.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise UserError(f"{path} is not a file; give a recipe such as configs/digit-recognizer/fast.yaml.")
        if state.st_size > LARGEST:
            raise UserError(f"{path} has {state.st_size / 1e6:,.0f} MB; a recipe is a page of text.")
        text = path.read_text(encoding="utf-8")
        return parse(text, str(path))
    except FileNotFoundError:
        near = nearest(path.name, [other.name for other in path.parent.glob("*.yaml")])
        raise UserError(f"there is no file {path}.{near}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from None


def parse(text: str, where: str) -> dict[str, Any]:
    """Parse YAML text of `key: value` lines.

    Raises:
        UserError: it is not YAML, not a mapping, or nested too deeply; names `where`.
    """
    try:
        _check_depth(text, where)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if _values(node, {}) > MOST_VALUES:
                raise UserError(f"{where}: its aliases stand for more values than a recipe can have.")
            fields = loader.construct_document(node) if node else {}
        finally:
            loader.dispose()
    except UserError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{where} is not a YAML file: {' '.join(str(error).split())[:300]}") from None
    except Exception:  # whatever a tag's constructor raises for a value that does not fit, such as an empty !!int
        raise UserError(f"{where} is not a YAML file: a tag does not fit its value.") from None
    if fields is None:
        return {}
    if not isinstance(fields, dict) or not all(isinstance(name, str) for name in fields):
        raise UserError(f"{where} is not a list of `field: value` lines.")
    return fields


def _check_depth(text: str, where: str) -> None:
    """Refuse what is nested so deeply that a reader that calls itself would run out of stack."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise UserError(f"{where}, {_line(event)}: nested too deeply for a recipe.")


def _line(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}" if event.start_mark else "somewhere"


def _values(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many values a node stands for, aliases written out: a few lines of them can stand for billions.

    Raises:
        YAMLError: a key comes twice in a mapping: the first one's value would be lost without a word.
    """
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = MOST_VALUES  # what a node that contains itself counts for
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        inner = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
        known[id(node)] = 1 + sum(_values(part, known) for part in inner)
    return known[id(node)]


def _check_keys(mapping: yaml.MappingNode) -> None:
    keys = set()
    for key, _ in mapping.value:
        if key.tag == "tag:yaml.org,2002:merge":
            continue
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.YAMLError(f"line {key.start_mark.line + 1}: a key must be a word")
        if key.value in keys:
            raise yaml.YAMLError(
                f"{shown(key.value)} comes a second time in line {key.start_mark.line + 1}; remove one"
            )
        keys.add(key.value)
