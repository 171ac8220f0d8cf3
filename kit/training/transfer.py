"""Where a network's first weights come from: chance, ImageNet, a file, or an earlier run."""

import pathlib

import keras

from kit import runs, zoo
from kit.errors import UserError
from kit.recipe import Recipe


def build(
    recipe: Recipe, image_shape: tuple[int, int, int], classes: int, competition: str
) -> tuple[keras.Model, list[str]]:
    """Build the recipe's network and give it the weights that the recipe starts from.

    Args:
        recipe: `model`, `options`, `dropout` and `weights` count.
        image_shape: (height, width, channels).
        classes: how many logits.
        competition: what it will be trained on; weights of another competition leave the last layer new.

    Returns:
        The network, and the names of the layers that another run's or file's weights were taken for.

    Raises:
        UserError: an option or the weights do not fit the network; says why.
    """
    known, options = zoo.options(recipe.model), dict(recipe.options)
    if recipe.dropout >= 0:
        if "dropout" not in known:
            raise UserError(f"dropout: {recipe.model} has no dropout.")
        options["dropout"] = recipe.dropout
    source = _source(recipe)
    if "weights" in known:
        if source is not None:
            options["weights"] = None
        elif recipe.weights:
            options["weights"] = None if recipe.weights == "none" else recipe.weights
    elif recipe.weights not in ("", "none") and source is None:
        raise UserError(f"weights: {recipe.model} can start from a run or a .keras file, not from {recipe.weights!r}.")
    network = zoo.build(recipe.model, image_shape, classes, **options)
    taken = take(network, source, with_head=_competition(recipe) == competition) if source else []
    return network, taken


def seen(recipe: Recipe) -> tuple[str, ...]:
    """The public data sets that the recipe's starting weights have been trained on, as the run's metrics say."""
    run = _run(recipe.weights)
    return tuple(run.metrics().get("seen", ())) if run else ()


def load(path: pathlib.Path) -> keras.Model:
    """Load a saved network, in Keras's safe mode: a file from elsewhere cannot bring code along.

    Raises:
        UserError: there is no such file, or Keras cannot read it.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, OSError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is not a network that Keras can read ({reason}).") from None


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


def _source(recipe: Recipe) -> pathlib.Path | None:
    """The `.keras` file that the recipe's `weights` mean, if they mean one."""
    if recipe.weights in ("", "none", "imagenet"):
        return None
    path = pathlib.Path(recipe.weights)
    if path.is_file():
        return path if path.suffix == ".keras" else None
    run = _run(recipe.weights)
    paths = run.network_paths()
    if not paths:
        raise UserError(f"weights: {run.folder} has no trained network.")
    return paths[0]


def _run(weights: str) -> runs.Run | None:
    """The run that `weights` names, or None where they are no run's."""
    if weights in ("", "none", "imagenet"):
        return None
    path = pathlib.Path(weights)
    if path.is_file():
        return runs.Run(path.parent) if (path.parent / "metrics.json").exists() else None
    return runs.find(weights)


def _competition(recipe: Recipe) -> str | None:
    run = _run(recipe.weights)
    return run.competition if run else None
