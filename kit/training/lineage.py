"""The earlier runs that a training starts from: which they are, and whether its validation stays honest with them."""

import pathlib

from kit import tracking
from kit.errors import UserError
from kit.loaders import Dataset
from kit.recipes.recipe import Recipe, split_fields
from kit.tracking import Run

NOT_RUNS = ("", "none", "imagenet")


def of_weights(recipe: Recipe) -> Run | None:
    """The run that the recipe's `weights` are of; None where they are no run's.

    Raises:
        UserError: `weights` is neither a file nor a run.
    """
    if recipe.weights in NOT_RUNS:
        return None
    path = pathlib.Path(recipe.weights)
    if path.is_file():
        return Run(path.parent) if (path.parent / "metrics.json").exists() else None
    return tracking.find(recipe.weights)


def members(recipe: Recipe) -> list[Run]:
    """The runs that the recipe's network is made of: its option `runs`, a list or their names with commas between.

    Raises:
        UserError: there is no such run, or one is named twice.
    """
    given = recipe.options.get("runs", [])
    references = given if isinstance(given, list) else str(given).split(",")
    found = [tracking.find(str(reference).strip()) for reference in references]
    for at, run in enumerate(found):
        if run in found[:at]:
            raise UserError(f"options: runs names {run.folder} twice.")
    return found


def teacher(recipe: Recipe) -> Run | None:
    """The run that the recipe's network learns from by distillation; None where there is none.

    Raises:
        UserError: there is no such run.
    """
    if not recipe.teacher:
        return None
    try:
        return tracking.find(recipe.teacher)
    except UserError as error:
        raise UserError(f"teacher: {error}") from None


def seen(recipe: Recipe) -> set[str]:
    """The public data sets that the runs which the recipe learns from have been trained on, as their metrics say."""
    taught_by = teacher(recipe)
    origins = [*_all(recipe), *([taught_by] if taught_by else [])]
    return {name for run in origins for name in run.metrics().get("seen", ())}


def network_path(run: Run, recipe: Recipe, fold: int) -> pathlib.Path:
    """The saved network of `run` that fold `fold` may start from: its own fold's, or the first of another split's.

    Raises:
        UserError: the run has no such network.
    """
    path = run.network_path(fold if run.metrics()["folds"] == recipe.folds else 0)
    if not path.exists():
        raise UserError(f"{path} is missing: {run.folder} has no network to start from; give a run of kit.train.")
    return path


def check(recipe: Recipe, dataset: Dataset) -> None:
    """Refuse to start from a run that was trained on images which this recipe validates on: the figure would be false.

    Raises:
        UserError: a run was trained on another split of the same competition's images, or is not finished.
    """
    for run in members(recipe):
        if run.competition != dataset.competition.name:
            raise UserError(f"{run.folder} belongs to {run.competition}, not to {dataset.competition.name}.")
    if not (recipe.folds or recipe.validation_share):
        return
    images = tracking.fingerprint(dataset.train_images, dataset.train_labels)
    wanted = {"data_fingerprint": (images, "train both on the same data, with the same --source and --limit")}
    for field in split_fields(recipe.folds):
        wanted[field] = (getattr(recipe, field), f"take the same --{field.replace('_', '-')}")
    for run in _all(recipe):
        facts = run.metrics()
        if facts["competition"] != dataset.competition.name:
            continue
        for field, (value, remedy) in wanted.items():
            if facts.get(field) != value:
                raise UserError(
                    f"{run.folder} was trained on images that this training validates on ({field} differs), so its "
                    f"accuracy would be false; {remedy}, or keep none with --validation-share 0."
                )
    if recipe.folds and pathlib.Path(recipe.weights).is_file() and of_weights(recipe):
        raise UserError(
            f"weights: {recipe.weights} was trained on images that other folds validate on; give its run, "
            f"{pathlib.Path(recipe.weights).parent}, and each fold starts from its own network."
        )


def _all(recipe):
    weights = of_weights(recipe)
    return [*members(recipe), *([weights] if weights else [])]
