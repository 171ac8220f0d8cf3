"""The recipe's fields as flags of a command line."""

import argparse
from typing import Any, Literal, get_args, get_origin

import yaml

from kit.recipes.recipe import FIELDS, GROUPS, Recipe


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Give `parser` a flag for every field, in groups; flags that were not given stay out of the parsed namespace."""
    groups = {name: parser.add_argument_group(title) for name, title in GROUPS.items()}
    for name, field in Recipe.model_fields.items():
        extra: Any = field.json_schema_extra
        kind: Any = field.annotation
        default = field.default
        flag: dict[str, Any] = {"dest": name, "default": argparse.SUPPRESS}
        shown = "" if default in ("", {}) else f" ({'off' if default is False else default})"
        flag["help"] = f"{field.description}{shown}".replace("%", "%%")
        if kind is bool:
            flag["action"] = argparse.BooleanOptionalAction
        elif get_origin(kind) is dict:
            flag |= {"nargs": "+", "metavar": "KEY=VALUE", "action": _Options}
        elif get_origin(kind) is Literal:
            flag["metavar"] = "|".join(get_args(kind))
        else:
            flag["metavar"] = {int: "N", float: "X"}.get(kind, "TEXT")
        groups[extra["group"]].add_argument(f"--{name.replace('_', '-')}", **flag)


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the recipe's fields that were given as flags; numbers are still texts, for `Recipe` to check."""
    return {name: value for name, value in vars(arguments).items() if name in FIELDS}


class _Options(argparse.Action):
    """Read `width=32 activation=gelu` into a dict, numbers as numbers."""

    def __call__(self, parser, namespace, values, option_string=None):
        pairs = {}
        for text in values:
            key, equals, value = text.partition("=")
            if not equals or not key:
                parser.error(f"{option_string}: {text!r} is not of the form key=value")
            try:
                pairs[key] = yaml.safe_load(value)
            except Exception:  # whatever a tag's constructor raises for a value that does not fit
                parser.error(f"{option_string}: the value of {text!r} is neither a number nor a text")
        setattr(namespace, self.dest, {**getattr(namespace, self.dest, {}), **pairs})
