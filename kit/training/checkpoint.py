"""The state of a training at the end of an epoch: everything that the next epoch depends on, in one file."""

import contextlib
import json
import pathlib
from collections.abc import Iterator

import keras
import numpy as np

from kit import files
from kit.errors import UserError


def save(path: pathlib.Path, learner: keras.Model, progress: dict) -> None:
    """Write the state of `learner` and its optimizer, and `progress` (plain values), whole or not at all.

    `learner.variables` holds the weights, the batch norms' statistics and the random state of dropout; the optimizer's
    hold the step, momenta and averages. Order and augmentation need no state: they follow from seed and epoch.
    """
    arrays = {f"variable-{at}": np.asarray(value) for at, value in enumerate(_values(learner))}
    with files.replacing(path) as fresh, fresh.open("wb") as file:
        np.savez(file, progress=np.array(json.dumps(progress)), **arrays)


def progress(path: pathlib.Path) -> dict:
    """What `save` was given as the progress of the state at `path`.

    Raises:
        UserError: the file is damaged.
    """
    with _opened(path) as file:
        return json.loads(str(file["progress"]))


def load(path: pathlib.Path, learner: keras.Model) -> None:
    """Put the state at `path` into `learner`.

    Raises:
        UserError: the file is damaged, or belongs to another network or optimizer.
    """
    variables = _variables(learner)
    with _opened(path) as file:
        values = [file[f"variable-{at}"] for at in range(len(file.files) - 1)]
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise UserError(f"{path} belongs to another network or optimizer; remove it to train this fold anew.")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


@contextlib.contextmanager
def _opened(path) -> Iterator:
    try:
        with np.load(path, allow_pickle=False) as file:
            yield file
    except (ValueError, OSError, KeyError, EOFError) as error:
        raise UserError(f"{path} is damaged ({error}); remove it to train this fold from its start.") from None


def _variables(learner):
    # Keras lists metrics among a model's variables, and they begin every epoch anew.
    passing = {id(variable) for variable in learner.metrics_variables}
    kept = [variable for variable in learner.variables if id(variable) not in passing]
    return kept + list(learner.optimizer.variables)


def _values(learner):
    return [keras.ops.convert_to_numpy(variable) for variable in _variables(learner)]
