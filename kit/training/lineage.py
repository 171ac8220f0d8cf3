"""The earlier runs that a training starts from: found once, and checked so that its validation stays honest."""

import pathlib
from dataclasses import dataclass, field

import numpy as np

from kit import ensemble, tracking
from kit.errors import UserError
from kit.loaders import Dataset
from kit.recipes import Recipe
from kit.tracking import Run

NO_RUN = ("", "none", "imagenet")


@dataclass(frozen=True)
class Lineage:
    """What a training starts from.

    Attributes:
        weights: the run that its start weights are of, or None.
        weights_file: the file that they are read from where no run is named, or None.
        members: the runs whose networks its own is made of (`combined`).
        teacher: the run that it is distilled from, or None.
        soft_labels: (n, classes) float32, the teacher's out-of-fold probabilities, NaN where it has none; or None.
        seen: the public data sets that all these have been trained on, as `keras.datasets` names them.
    """

    weights: Run | None = None
    weights_file: pathlib.Path | None = None
    members: tuple[Run, ...] = ()
    teacher: Run | None = None
    soft_labels: np.ndarray | None = None
    seen: frozenset[str] = field(default_factory=frozenset)

    def network_path(self, run: Run, folds: int, fold: int) -> pathlib.Path:
        """Return the saved network of `run` that fold `fold` of `folds` may start from.

        It is that of the same fold, or the first one of a run with another split.

        Raises:
            UserError: the run has no such network.
        """
        path = run.network_path(fold if run.metrics().folds == folds else 0)
        if not path.exists():
            raise UserError(f"{path} is missing: {run.folder} has no network to start from; give a run of kit.train.")
        return path


def resolve(recipe: Recipe, dataset: Dataset) -> Lineage:
    """Find the runs that `recipe` starts from, and refuse those that would make its accuracy false.

    Raises:
        UserError: a run is missing, not finished, of another competition, or was trained on images that this recipe
            validates on.
    """
    name = dataset.competition.name
    weights, weights_file = _weights(recipe, name)
    members = _members(recipe, name)
    teacher = _own(recipe.teacher, name, "teacher") if recipe.teacher else None
    started_from = [*members, *([weights] if weights else [])]
    _check_split(started_from, recipe, dataset, weights_file)
    sources = [*started_from, *([teacher] if teacher else [])]
    return Lineage(
        weights=weights,
        weights_file=weights_file,
        members=tuple(members),
        teacher=teacher,
        soft_labels=_soft_labels(teacher, dataset) if teacher else None,
        seen=frozenset(public for run in sources for public in run.metrics().seen),
    )


def _weights(recipe: Recipe, competition: str) -> tuple[Run | None, pathlib.Path | None]:
    if recipe.weights in NO_RUN:
        return None, None
    path = pathlib.Path(recipe.weights)
    if path.is_file():
        folder = path.resolve().parent  # a link to a run's network has seen what the network has
        return (Run(folder) if (folder / "config.yaml").exists() else None), path
    try:
        return tracking.find(recipe.weights, competition), None
    except UserError as error:
        if path.suffix in (".keras", ".h5"):
            raise UserError(f"weights: there is no file {path}.") from None
        try:
            return tracking.find(recipe.weights), None
        except UserError:
            raise UserError(f"weights: {error}") from None


def _own(reference: str, competition: str, option: str) -> Run:
    """Find a finished run of the same competition."""
    try:
        run = tracking.find(reference, competition)
        run.metrics()
    except UserError as error:
        raise UserError(f"{option}: {error}") from None
    if run.competition != competition:
        raise UserError(f"{option}: {run.folder} belongs to {run.competition}, not to {competition}.")
    return run


def _members(recipe: Recipe, competition: str) -> list[Run]:
    """The runs that the network is made of: its option `runs`, a list or their names with commas between."""
    given = recipe.options.get("runs", [])
    references = given if isinstance(given, list) else str(given).split(",")
    found: list[Run] = []
    for reference in references:
        run = _own(str(reference).strip(), competition, "options: runs")
        if run.folder.resolve() in [other.folder.resolve() for other in found]:
            raise UserError(f"options: runs names {run.folder} twice.")
        found.append(run)
    return found


def _check_split(sources: list[Run], recipe: Recipe, dataset: Dataset, weights_file: pathlib.Path | None) -> None:
    if not recipe.validates:
        return
    same_data = "train both on the same data, with the same --source and --limit"
    wanted = {"data_fingerprint": (dataset.fingerprint, same_data)}
    for name in recipe.split_fields:
        wanted[name] = (getattr(recipe, name), f"take the same --{name.replace('_', '-')}")
    for run in sources:
        metrics = run.metrics()
        if metrics.competition != dataset.competition.name:
            continue
        for name, (value, remedy) in wanted.items():
            if getattr(metrics, name) != value:
                raise UserError(
                    f"{run.folder} was trained on images that this training validates on ({name} differs), so its "
                    f"accuracy would be false; {remedy}, or keep none with --validation-share 0."
                )
    if recipe.folds and weights_file and any(run.folder == weights_file.resolve().parent for run in sources):
        raise UserError(
            f"weights: {weights_file} was trained on images that other folds validate on; give its run, "
            f"{weights_file.resolve().parent}, and each fold starts from its own network."
        )


def _soft_labels(teacher: Run, dataset: Dataset) -> np.ndarray:
    try:
        members = ensemble.read([teacher], dataset)
    except UserError as error:
        raise UserError(f"teacher: {error}") from None
    probabilities = np.full((len(dataset.train_labels), dataset.competition.classes), np.nan, np.float32)
    probabilities[members.rows] = members.oof[0]
    return probabilities
