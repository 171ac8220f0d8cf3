"""Where recipes differ, in short."""

from collections.abc import Callable
from typing import Any

from kit.recipes import Recipe
from kit.tracking import Config

SETTLED = ("precision", "devices")  # `auto` is settled on each machine: no choice of a person


def of_config(config: Config, default: Callable[[str], Recipe]) -> str:
    """Return what is a run's own.

    Args:
        config: the run's.
        default: returns the recipe that a network's name stands for.

    Returns:
        Of a network `field=value, …`, empty where it is the default recipe; of an ensemble its members.
    """
    if config.ensemble:
        return f"{len(config.ensemble.members)} members: {', '.join(config.ensemble.members)}"
    if config.recipe is None:
        members = config.planned().members
        return f"{len(members)} members: {', '.join(members)}"
    return ", ".join(f"{name}={shown(value)}" for name, value in _fields(config.recipe, default(config.recipe.model)))


def between(configs: dict[str, Config]) -> dict[str, dict[str, Any]]:
    """Return the fields in which runs differ: for each the runs' values, by the runs' names."""
    flat = {run: _flat(config) for run, config in configs.items()}
    names = dict.fromkeys(name for fields in flat.values() for name in fields)
    values = {name: {run: fields.get(name) for run, fields in flat.items()} for name in names}
    return {name: found for name, found in values.items() if len({repr(value) for value in found.values()}) > 1}


def shown(value: Any) -> str:
    """Return a field's value as it would be typed."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {shown(one)}" for name, one in value.items()) + "}"
    return "" if value is None else str(value)


def _fields(recipe: Recipe, default: Recipe) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, (value, other) in recipe.differences(default).items():
        if name == "options":
            found += [(option, given) for option, given in value.items() if other.get(option) != given]
        elif name not in SETTLED or other != "auto":
            found.append((name, value))
    return found


def _flat(config: Config) -> dict[str, Any]:
    """A config's fields on one level."""
    if config.ensemble:
        ensemble = config.ensemble
        return {"method": ensemble.method, "members": ", ".join(ensemble.members), **ensemble.options}
    if config.recipe is None:
        return {"members": ", ".join(config.planned().members)}
    fields = config.recipe.as_dict()
    options = {f"options.{name}": value for name, value in fields.pop("options").items()}
    return {"kind": config.kind, **fields, **options}
