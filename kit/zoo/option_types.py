"""What the networks' options take: types and ranges, as annotations of the builders' parameters."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import pydantic

from kit.errors import UserError
from kit.suggestions import nearest

Width = Annotated[int, pydantic.Field(ge=1, le=1024, description="filters of the first block")]
Depth = Annotated[int, pydantic.Field(ge=1, le=20, description="convolutions a block")]
Rate = Annotated[float, pydantic.Field(ge=0, lt=1, description="rate of all dropout layers; none: their own rates")]
Momentum = Annotated[float, pydantic.Field(ge=0, lt=1, description="of the batch norms' moving statistics")]

_PLAIN = (bool, int, float, str)


def of(builder: Callable) -> dict[str, inspect.Parameter]:
    """Return a builder's options by name: all parameters but the first two, `input_shape` and `classes`."""
    return dict(list(inspect.signature(builder).parameters.items())[2:])


def checked(name: str, builder: Callable, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `given` as `builder` takes it: numbers that are written as text are numbers.

    Args:
        name: the network's, for messages.
        builder: its function.
        given: values by option.

    Raises:
        UserError: there is no such option, or its value does not suit it; names the option and what it takes.
    """
    known = of(builder)
    for option in given:
        if option not in known:
            raise UserError(
                f"{name} has no option {str(option)!r}; it takes {', '.join(known) or 'none'}."
                f"{nearest(str(option), known)}"
            )
    return {option: _value(name, option, known[option].annotation, value) for option, value in given.items()}


def takes(annotation: Any) -> str:
    """Say what an option takes: "a whole number from 1 to 20"; empty where its annotation is no plain type."""
    parts = [_text(part) for part in _parts(annotation)]
    return ", or ".join(parts) if all(parts) else ""


def meaning(annotation: Any) -> str:
    """Return what the annotation says of its option, or an empty text."""
    fields = [field for part in _parts(annotation) for field in typing.get_args(part)[1:]]
    return next((field.description for field in fields if getattr(field, "description", None)), "")


def _value(name: str, option: str, annotation: Any, value: Any) -> Any:
    parts = _parts(annotation)
    if not takes(annotation):
        return value  # an object, which the builder itself checks
    if value == "none" and type(None) in parts:
        return None
    if isinstance(value, str) and not any(_kind(part) is str for part in parts):
        value = _number(value)
    try:
        return pydantic.TypeAdapter(annotation).validate_python(value, strict=True)
    except pydantic.ValidationError:
        text = repr(value)
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        raise UserError(f"{name}, option {option}: {shown} is not {takes(annotation)}.") from None


def _parts(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of an annotation: `Rate | None` has two."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _kind(part: Any) -> Any:
    return typing.get_args(part)[0] if typing.get_origin(part) is Annotated else part


def _text(part: Any) -> str:
    """What one alternative takes; empty where it is no plain value."""
    kind = _kind(part)
    if kind is type(None):
        return "none"
    if kind not in _PLAIN:
        return ""
    texts = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return f"{texts[kind]}{_range(part)}"


def _range(part: Any) -> str:
    bounds: dict[str, Any] = {}
    for field in typing.get_args(part)[1:]:
        for bound in getattr(field, "metadata", ()):
            bounds |= {name: getattr(bound, name) for name in ("ge", "le", "lt") if hasattr(bound, name)}
    if not bounds:
        return ""
    top = f"to {bounds['le']:,}" if "le" in bounds else f"to below {bounds['lt']:,}" if "lt" in bounds else "upwards"
    return f" from {bounds.get('ge', 0):,} {top}"


def _number(text: str) -> Any:
    """The number that `text` spells, as `1e-1` does, which YAML takes for text; else `text` itself."""
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number
