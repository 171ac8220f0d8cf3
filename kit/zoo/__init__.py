"""The networks: one family a file, each builder a plain function registered under its own name.

A builder takes `(input_shape, classes, **options)` and returns a functional `keras.Model` from pixels (values 0–255,
uint8 arrays or float) to logits (n, classes) float32; its preprocessing is its first layers, its last layer is called
`logits`. Builders know nothing of data or training: an option called `weights` takes a file, one called `runs` takes
trained networks, and `kit.training.transfer` finds what a recipe means by either.
"""

import ast
import functools
import importlib
import inspect
import pathlib
from collections.abc import Callable
from dataclasses import dataclass

from kit.errors import UserError
from kit.suggestions import nearest


@dataclass(frozen=True)
class Network:
    """A network of the zoo, as its source file declares it.

    Attributes:
        name: the builder's own name.
        module: the family's module in this folder.
        summary: the first line of the builder's docstring.
        published: what its authors reached, or an empty text.
    """

    name: str
    module: str
    summary: str
    published: str


def register(published: str = "", adapt: Callable | None = None):
    """Mark a builder as a network of the zoo.

    Args:
        published: what its authors reached, in words, with the source.
        adapt: called once with (network, images uint8) before a training from scratch, for networks with
            weights that are computed from the images.
    """

    def mark(builder: Callable) -> Callable:
        builder.published, builder.adapt = published, adapt
        return builder

    return mark


@functools.cache
def catalogue() -> dict[str, Network]:
    """All networks by name, in the order of their files.

    Read from the source and not by importing it, so that `--help` answers before Keras would have started.
    """
    found = {}
    for path in sorted(pathlib.Path(__file__).parent.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            marks = node.decorator_list if isinstance(node, ast.FunctionDef) else []
            for mark in marks:
                if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "register":
                    words = {key.arg: key.value.value for key in mark.keywords if isinstance(key.value, ast.Constant)}
                    summary = (ast.get_docstring(node) or "").split("\n")[0]
                    found[node.name] = Network(node.name, path.stem, summary, words.get("published", ""))
    return found


def names() -> list[str]:
    """The networks' names."""
    return list(catalogue())


def find(name: str) -> Network:
    """What is known of the network `name`, without building it.

    Raises:
        UserError: there is no such network; names the nearest.
    """
    if name not in catalogue():
        raise UserError(f"unknown network {name!r}; known: {', '.join(names())}.{nearest(name, names())}")
    return catalogue()[name]


def builder(name: str) -> Callable:
    """The registered function that builds the network `name`.

    Raises:
        UserError: there is no such network; names the nearest.
    """
    return getattr(importlib.import_module(f"kit.zoo.{find(name).module}"), name)


def options(name: str) -> list[str]:
    """The names of the options that the network `name` takes."""
    parameters = list(inspect.signature(builder(name)).parameters.values())[2:]
    return [parameter.name for parameter in parameters]


def build(name: str, input_shape: tuple[int, int, int], classes: int, **given):
    """Build the network `name`, untrained unless it is one for transfer.

    Args:
        name: one of `names()`.
        input_shape: (height, width, channels) of the images.
        classes: how many logits.
        **given: the network's own options.

    Returns:
        A functional `keras.Model`: pixels (n, *input_shape) in 0–255 to logits (n, classes) float32.

    Raises:
        UserError: unknown network or option, an option's value or the images' shape does not suit it.
    """
    build_it, known = builder(name), options(name)
    for option in given:
        if option not in known:
            raise UserError(f"{name} has no option {option!r}; it takes {', '.join(known)}.{nearest(option, known)}")
    return build_it(tuple(input_shape), classes, **given)
