"""The networks: one family a file, each builder a plain function registered under its own name.

A builder takes `(input_shape, classes, **options)` and returns a functional `keras.Model` from pixels (values 0–255,
uint8 arrays or float) to logits (n, classes) float32; its preprocessing is its first layers, its last layer is called
`logits`. Builders know nothing of data or training: an option called `weights` takes a file, one called `runs` takes
trained networks, and `kit.training.transfer` finds what a recipe means by either. What an option takes stands in its
annotation (`kit.zoo.option_types`), and `build` checks it.
"""

import ast
import functools
import importlib
import pathlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kit.errors import UserError
from kit.suggestions import nearest


@dataclass(frozen=True)
class Network:
    """A network of the zoo, as its source file declares it.

    Attributes:
        name: the builder's own name.
        module: the family's module in this folder.
        summary: the first line of the builder's docstring.
        published: the accuracy that its authors report, or an empty text.
        options: the names of the builder's own parameters.
    """

    name: str
    module: str
    summary: str
    published: str
    options: tuple[str, ...]


def register(published: str = "", adapt: Callable | None = None):
    """Mark a builder as a network of the zoo.

    Args:
        published: the accuracy that its authors report, and the source.
        adapt: called once with (network, images uint8) before a training from scratch, for networks with
            weights that are computed from the images.
    """

    def mark(builder: Any) -> Any:
        builder.published, builder.adapt = published, adapt
        return builder

    return mark


@functools.cache
def catalogue() -> dict[str, Network]:
    """All networks by name, in the order of their files.

    Read from the source and not by importing it, so that `--help` answers before Keras would have started.
    """
    found: dict[str, Network] = {}
    for path in (path for folder in __path__ for path in sorted(pathlib.Path(folder).glob("*.py"))):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in (part for part in tree.body if isinstance(part, ast.FunctionDef)):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and "register" in (
                    getattr(mark.func, kind, "") for kind in ("id", "attr")
                ):
                    values = {key.arg: key.value.value for key in mark.keywords if isinstance(key.value, ast.Constant)}
                    summary = (ast.get_docstring(node) or "").split("\n")[0]
                    options = tuple(argument.arg for argument in [*node.args.args, *node.args.kwonlyargs][2:])
                    published = str(values.get("published", ""))
                    found[node.name] = Network(node.name, path.stem, summary, published, options)
    return found


def names() -> list[str]:
    """The networks' names."""
    return list(catalogue())


def find(name: str) -> Network:
    """Return what is known of the network `name`, without building it.

    Raises:
        UserError: there is no such network; names the nearest.
    """
    if name not in catalogue():
        raise UserError(f"unknown network {name!r}; known: {', '.join(names())}.{nearest(name, names())}")
    return catalogue()[name]


def builder(name: str) -> Callable:
    """Return the registered function that builds the network `name`.

    Raises:
        UserError: there is no such network; names the nearest.
    """
    return getattr(importlib.import_module(f"kit.zoo.{find(name).module}"), name)


def options(name: str) -> list[str]:
    """Return the names of the options that the network `name` takes."""
    return list(find(name).options)


def check_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check options of the network `name` without building it.

    Returns:
        `given`, with numbers in place of texts that spell one.

    Raises:
        UserError: unknown network or option, or a value that does not suit it; names the option and what it takes.
    """
    from kit.zoo import option_types

    return option_types.checked(name, builder(name), given)


def check_network(network: Any, input_shape: tuple[int, int, int], classes: int) -> None:
    """Check that a network, of the zoo or from elsewhere, goes from images to logits.

    Raises:
        UserError: it is not a Keras model, takes other images, gives another number of values, or gives probabilities
            in place of logits.
    """
    from kit.zoo import requirements

    requirements.check(network, input_shape, classes)


def build(name: str, input_shape: tuple[int, int, int], classes: int, /, **given):
    """Build the network `name`, untrained unless it is one for transfer.

    Args:
        name: one of `names()`.
        input_shape: (height, width, channels) of the images.
        classes: how many logits.
        **given: the network's own options.

    Returns:
        A functional `keras.Model`: pixels (n, *input_shape) in 0–255 to logits (n, classes) float32.

    Raises:
        UserError: unknown network or option, an option's value or the images' shape does not suit it, or it gives
            probabilities in place of logits.
    """
    (height, width, channels), checked = input_shape, check_options(name, given)
    shape = height, width, channels
    try:
        network = builder(name)(shape, classes, **checked)
    except ValueError as error:  # Keras's, where images are too small for the poolings, or an option for a layer
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{name} cannot be built for images of {shape} with {checked or 'no options'}: {reason}"
        ) from error
    check_network(network, shape, classes)
    return network
