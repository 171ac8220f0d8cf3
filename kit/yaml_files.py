"""YAML files of `key: value` lines, read strictly: what is too large, too deep or ambiguous is refused."""

import pathlib
import stat
from typing import Any

import yaml

from kit.errors import UserError
from kit.suggestions import nearest

LARGEST = 1 << 22  # bytes; a recipe has a thousandth of it
MOST_VALUES = 100_000
DEEPEST = 20  # levels of nesting and of `extends`; a recipe has three
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # written in C, where the package was built with it


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
                f"{key.value[:60]!r} comes a second time in line {key.start_mark.line + 1}; remove one"
            )
        keys.add(key.value)
