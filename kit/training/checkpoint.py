"""The state of a training at the end of an epoch: everything that the next epoch depends on, in one file."""

import contextlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kit import files
from kit.errors import UserError


def save(path: pathlib.Path, model: keras.Model, progress: dict[str, Any]) -> None:
    """Write the state of a training model and its optimizer, and `progress` (plain values), whole or not at all.

    `model.variables` holds the weights, the batch norms' statistics and the random state of dropout; the optimizer's
    hold the step, momenta and averages. Order and augmentation need no state: they follow from seed and epoch.
    """
    arrays = {f"variable-{number}": np.asarray(value) for number, value in enumerate(_values(model))}
    write_arrays(path, arrays, progress)


def progress(path: pathlib.Path) -> dict[str, Any]:
    """Return what `save` was given as the progress of the state at `path`.

    Raises:
        UserError: the file is damaged.
    """
    with _opened(path) as file:
        found = json.loads(str(file["notes"]))
        if not isinstance(found["history"], list) or not found["history"]:
            raise ValueError("no epoch is noted")
        return found


def load(path: pathlib.Path, model: keras.Model) -> None:
    """Put the state at `path` into a training model.

    Raises:
        UserError: the file is damaged, or belongs to another network or optimizer.
    """
    variables = _variables(model)
    with _opened(path) as file:
        values = [file[f"variable-{number}"] for number in range(len(file.files) - 1)]
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise UserError(f"{path} belongs to another network or optimizer; remove it to train this fold anew.")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def write_arrays(path: pathlib.Path, arrays: dict[str, np.ndarray], notes: dict[str, Any]) -> None:
    """Write arrays by name and plain values beside them into one `.npz`, whole or not at all."""
    with files.replacing(path) as fresh, fresh.open("wb") as file:
        named: dict[str, Any] = {"notes": np.array(json.dumps(notes)), **arrays}
        np.savez(file, **named)


def read_arrays(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return what `write_arrays` wrote.

    Raises:
        UserError: the file is damaged.
    """
    with _opened(path) as file:
        return {name: file[name] for name in file.files if name != "notes"}, json.loads(str(file["notes"]))


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            yield file
    except Exception as error:  # numpy, zipfile, zlib and json each have kinds of their own for changed bytes
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"{path} is damaged ({reason}); remove it to train this fold from its start.") from None


def _variables(model: keras.Model) -> list:
    # Keras lists metrics among a model's variables, and they begin every epoch anew.
    of_metrics = {id(variable) for variable in model.metrics_variables}
    kept = [variable for variable in model.variables if id(variable) not in of_metrics]
    return kept + list(model.optimizer.variables)


def _values(model: keras.Model) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable) for variable in _variables(model)]
