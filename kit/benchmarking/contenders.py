"""Which recipes a benchmark compares."""

import pathlib
from collections.abc import Sequence

from kit import recipes, zoo
from kit.errors import UserError
from kit.recipes import Recipe
from kit.suggestions import nearest

ALL = "all"


def resolve(competition: str, references: Sequence[str], epochs: int | None = None) -> dict[str, Recipe]:
    """Return the recipes that a command line names, by their names in the tables.

    Args:
        competition: whose recipes are meant.
        references: networks of the zoo, each with its own recipe; names in configs/<competition>/; recipe files; or
            "all" for every network that needs no earlier runs.
        epochs: in place of every recipe's own number.

    Raises:
        UserError: there is no such network or recipe, two have the same name, or one keeps no validation images.
    """
    found: dict[str, Recipe] = {}
    changes = {} if epochs is None else {"epochs": epochs}
    for reference in _expanded(references):
        name = pathlib.Path(reference).stem if reference.endswith((".yaml", ".yml")) else reference
        if name in found:
            raise UserError(f"two recipes are called {name}; rename one of the files.")
        if reference in zoo.names():
            recipe = recipes.resolve(competition, None, {"model": reference} | changes)
        elif pathlib.Path(reference).suffix or reference in recipes.names(competition):
            recipe = recipes.resolve(competition, reference, changes)
        else:
            near = nearest(reference, [*zoo.names(), *recipes.names(competition)])
            raise UserError(f"there is no network and no recipe of {competition} called {reference!r}.{near}")
        zoo.find(recipe.model)
        if not recipe.validates:
            raise UserError(f"{name}: there is no accuracy without validation images; set validation_share or folds.")
        found[name] = recipe
    return found


def _expanded(references: Sequence[str]) -> list[str]:
    expanded: list[str] = []
    for reference in references:
        whole_zoo = [name for name in zoo.names() if "runs" not in zoo.options(name)]
        expanded += whole_zoo if reference == ALL else [reference]
    return list(dict.fromkeys(expanded))
