"""The state of a training at the end of an epoch: everything that the next epoch depends on, in one file."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kit import files, tracking
from kit.errors import UserError
from kit.recipes.recipe import Recipe, shown
from kit.tracking import arrays

ANEW = "remove it to train this fold from its start"


def save(path: pathlib.Path, variables: Sequence, progress: dict[str, Any]) -> None:
    """Write variables of a network and its optimizer, and `progress` (plain values), whole or not at all.

    The network's hold the weights, the batch norms' statistics and the random state of dropout; the optimizer's hold
    the step, momenta and averages. Order and augmentation need no state: they follow from seed and epoch.
    """
    values = [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in variables]
    write_arrays(path, {f"variable-{number}": value for number, value in enumerate(values)}, progress)


def progress(path: pathlib.Path) -> dict[str, Any]:
    """Return what `save` was given as the progress of the state at `path`.

    Raises:
        UserError: the file is damaged.
    """
    return _notes(arrays.read_all(path, ANEW, ["notes"]), path)


def load(path: pathlib.Path, variables: Sequence) -> None:
    """Put the state at `path` into the variables that `save` was given, or others like them.

    Raises:
        UserError: the file is damaged, or belongs to another network or optimizer.
    """
    named = arrays.read_all(path, ANEW)
    values = [named[name] for name in (f"variable-{number}" for number in range(len(named))) if name in named]
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise UserError(f"{path} belongs to another network or optimizer; remove it to train this fold anew.")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def check_recipe(notes: dict[str, Any], recipe: Recipe, path: pathlib.Path) -> None:
    """Refuse what was kept of a training with another recipe: its `config.yaml` was edited since.

    Raises:
        UserError: a field differs; names it.
    """
    before, now = notes.get("recipe"), json.loads(json.dumps(recipe.as_dict()))
    for name, value in now.items():
        if not isinstance(before, dict) or before.get(name) != value:
            raise UserError(
                f"{path} was begun with another recipe ({name} is now {shown(value)}); put config.yaml back as it was, "
                "or begin anew under another --name."
            )


def write_arrays(path: pathlib.Path, content: dict[str, np.ndarray], notes: dict[str, Any]) -> None:
    """Write arrays by name and plain values beside them into one `.npz`, whole or not at all."""
    with files.replacing(path) as fresh, fresh.open("wb") as file:
        named: dict[str, Any] = {"notes": np.array(json.dumps(notes)), **content}
        np.savez(file, **named)


def read_arrays(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return what `write_arrays` wrote.

    Raises:
        UserError: the file is damaged.
    """
    named = arrays.read_all(path, ANEW)
    notes = _notes(named, path)
    return {name: array for name, array in named.items() if name != "notes"}, notes


def _notes(named: dict[str, np.ndarray], path: pathlib.Path) -> dict[str, Any]:
    """The plain values, a `history` of at least one epoch among them."""
    try:
        notes = json.loads(str(named["notes"]))
        rows = [[row[column] for column in (*tracking.history.COLUMNS, "stage")] for row in notes["history"]]
        if not rows or not all(isinstance(value, int | float) for row in rows for value in row):
            raise ValueError
    except (KeyError, TypeError, ValueError, RecursionError):
        raise UserError(f"{path} is damaged (its history cannot be read); {ANEW}.") from None
    return notes
