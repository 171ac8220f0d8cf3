"""Where a network's first weights come from: random numbers, ImageNet, a file, or earlier runs."""

import pathlib
import zipfile

import keras
import numpy as np

from kit import zoo
from kit.competitions import Competition
from kit.errors import UserError
from kit.recipes import Recipe
from kit.training import fine_tuning
from kit.training.lineage import NO_RUN, Lineage

MOST_TIMES, MORE_BYTES = 4, 1 << 24
"""How many times its size, and how many bytes more, a saved network may unpack to; others may have compressed it."""


def build(
    recipe: Recipe, competition: Competition, lineage: Lineage, fold: int = 0, images: np.ndarray | None = None
) -> tuple[keras.Model, list[str]]:
    """Build the recipe's network and give it the weights that it starts from.

    Args:
        recipe: `model`, `options`, `weights` and `unfreeze` count; what is to be unfrozen is frozen first.
        competition: says image shape and classes; weights of another competition leave the last layer new.
        lineage: the runs that weights come from.
        fold: which fold will train it, and so which of another run's networks it may start from.
        images: (n, h, w, c) uint8, from which a network such as airbench computes its frozen weights.

    Returns:
        The network, and the names of the layers that another run's or file's weights were taken for.

    Raises:
        UserError: an option or the weights do not fit the network; says why.
    """
    known, options = zoo.options(recipe.model), dict(recipe.options)
    if "runs" in known:
        options["runs"] = [load(lineage.network_path(run, recipe.folds, fold)) for run in lineage.members]
    source = _source(recipe, lineage, fold)
    if "weights" in known:
        if source is not None:
            options["weights"] = None
        elif recipe.weights:
            options["weights"] = None if recipe.weights == "none" else recipe.weights
    elif recipe.weights not in ("", "none") and source is None:
        raise UserError(f"weights: {recipe.model} can start from a run or a .keras file, not from {recipe.weights!r}.")
    network = zoo.build(recipe.model, competition.image_shape, competition.classes, **options)
    adapt = getattr(zoo.builder(recipe.model), "adapt", None)
    if adapt and images is not None:
        adapt(network, images)
    taken = []
    if source is not None:
        taken = take(network, source, lineage.weights is not None and lineage.weights.competition == competition.name)
    if recipe.unfreeze:
        fine_tuning.freeze(network, taken)
        fine_tuning.check(network, recipe)
    return network, taken


def load(path: pathlib.Path) -> keras.Model:
    """Load a saved network, in Keras's safe mode: a file from elsewhere cannot bring code along.

    Raises:
        UserError: there is no such file, or Keras cannot read it.
    """
    if not path.is_file():  # a pipe would be waited for
        raise UserError(f"{path} is not a file; put the network's file back, or train the run again.")
    try:
        _check_unpacked(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except UserError:
        raise
    except Exception as error:  # Keras, zipfile, zlib and h5py each have kinds of their own for changed bytes
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"{path} is not a network that Keras can read ({reason}); train the run again.") from None


def _check_unpacked(path: pathlib.Path) -> None:
    """Refuse an archive that unpacks to far more than it has; Keras stores what it saves as it is.

    Raises:
        UserError: it does.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(one.file_size for one in archive.infolist())
    if unpacked > MOST_TIMES * path.stat().st_size + MORE_BYTES:
        raise UserError(
            f"{path} would unpack to {unpacked / 1e9:,.1f} GB, which no network does; train the run again, or get the "
            "file from a source that you trust."
        )


def load_classifier(path: pathlib.Path, competition: Competition) -> keras.Model:
    """Load a saved network that predicts a competition's images.

    Raises:
        UserError: as `load`, or it takes other images or tells other classes apart.
    """
    network = load(path)
    shapes = [tuple(getattr(network, name, None) or ())[1:] for name in ("input_shape", "output_shape")]
    if shapes != [competition.image_shape, (competition.classes,)]:
        raise UserError(f"{path} is not a network for {competition.name}: it maps {shapes[0]} to {shapes[1]}.")
    return network


def take(network: keras.Model, source: pathlib.Path, with_head: bool) -> list[str]:
    """Copy into `network` the weights of the layers that a saved network has by the same name and shapes.

    Args:
        network: changed in place.
        source: a `.keras` file.
        with_head: whether the last layer, `logits`, is taken too.

    Returns:
        The names of the layers that were taken.

    Raises:
        UserError: the file cannot be read, or nothing in it fits.
    """
    saved = load(source)
    there, taken = {layer.name: layer for layer in saved.layers if layer.weights}, []
    for layer in network.layers:
        other = there.get(layer.name)
        if other is None or (layer.name == "logits" and not with_head):
            continue
        if [tuple(weight.shape) for weight in layer.weights] == [tuple(weight.shape) for weight in other.weights]:
            layer.set_weights(other.get_weights())
            taken.append(layer.name)
    if not taken:
        raise UserError(f"no layer of {source} fits {network.name} by name and shape; take a run of the same family.")
    return taken


def describe(network: keras.Model, taken: list[str]) -> str:
    """Say how many layers of `network` were taken and which start anew: "1 of 3 layers taken; new: conv1, logits"."""
    new = [layer.name for layer in network.layers if layer.weights and layer.name not in taken]
    some = ", ".join(new[:5]) + (f" and {len(new) - 5} more" if len(new) > 5 else "")
    return f"{len(taken)} of {len(taken) + len(new)} layers taken; new: {some or 'none'}"


def _source(recipe: Recipe, lineage: Lineage, fold: int) -> pathlib.Path | None:
    """The `.keras` file that the recipe's `weights` mean for a fold, if they mean one."""
    if recipe.weights in NO_RUN:
        return None
    if lineage.weights_file is not None:
        return lineage.weights_file if lineage.weights_file.suffix == ".keras" else None
    return lineage.network_path(lineage.weights, recipe.folds, fold) if lineage.weights else None
