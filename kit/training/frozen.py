"""The frozen part of a network and the head behind it: where to cut."""

import contextlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kit.training import norm_statistics

ACTIVATION_BYTES = 256 * 2**20  # what the largest layer's output may take for one batch


@dataclass(frozen=True)
class Parts:
    """A network, cut where its frozen part ends; the parts share its layers.

    Attributes:
        frozen: from images to the tensors at the cut.
        head: from the tensors at the cut to the network's output.
        structure: what tells the frozen part's arithmetic from another's, without its weights.
    """

    frozen: keras.Model
    head: keras.Model
    structure: str

    @property
    def batch_size(self) -> int:
        """How many images the frozen part computes at once, bounded by the largest layer's memory."""
        sizes = [
            math.prod(layer.output.shape[1:]) for layer in self.frozen.layers if layer.output.shape.count(None) == 1
        ]
        return int(np.clip(ACTIVATION_BYTES // (4 * max(sizes, default=1)), 1, 256))


def split(network: keras.Model) -> Parts | None:
    """Cut a network where its frozen part ends.

    A layer is frozen if nothing in it learns or is random and all its inputs are frozen: batch norms only where they
    are not trainable.

    Returns:
        The parts; None where the frozen part has fewer than two layers with kernels, so that little would be gained.
    """
    if len(getattr(network, "inputs", ())) != 1:
        return None
    calls: list[tuple[Any, list, list]] = []

    def record(layer, *arguments, **keywords):
        outputs = layer(*arguments, **keywords)
        calls.append((layer, _tensors((arguments, keywords)), _tensors(outputs)))
        return outputs

    # Keras lets one watch the calls only while it clones a network; here the "clone" keeps the layers themselves.
    images = keras.Input(network.inputs[0].shape[1:], dtype=network.inputs[0].dtype)
    plain = keras.Model(network.inputs[0], network.outputs[0])
    clone = keras.models.clone_model(plain, images, clone_function=lambda layer: layer, call_function=record)
    numbers, parts, used = {id(images): "images"}, [], []
    for layer, inputs, outputs in calls:
        if _is_constant(layer) and all(id(tensor) in numbers for tensor in inputs):
            parts.append((layer, [numbers[id(tensor)] for tensor in inputs]))
            numbers |= {id(tensor): f"{len(parts)}.{number}" for number, tensor in enumerate(outputs)}
        else:
            used += inputs
    cut = list({id(tensor): tensor for tensor in used if id(tensor) in numbers}.values())
    kernels = [layer for layer, _ in parts if any(len(weight.shape) > 1 for weight in getattr(layer, "weights", ()))]
    if not cut or len(kernels) < 2 or any(tensor is images for tensor in cut):
        return None
    structure = [(_described(layer), inputs) for layer, inputs in parts]
    with _policy(network):
        return Parts(
            keras.Model(images, cut if len(cut) > 1 else cut[0]),
            keras.Model(cut if len(cut) > 1 else cut[0], clone.outputs[0]),
            json.dumps([structure, [numbers[id(tensor)] for tensor in cut]], sort_keys=True, default=str),
        )


def _is_constant(layer: Any) -> bool:
    """Whether a layer, or an operation that is no layer, always gives the same for the same inputs."""
    if not isinstance(layer, keras.Layer):
        return True
    random = len(layer.variables) > len(layer.weights)  # the state of its random numbers is a variable, but no weight
    return not (layer.trainable_weights or random or norm_statistics.variables(layer))


def _described(layer: Any) -> Any:
    described = keras.saving.serialize_keras_object(layer)
    return _nameless({name: described.get(name) for name in ("class_name", "config")})


def _nameless(value: Any) -> Any:
    """`value` without the names, which Keras numbers through all networks of a process, and what follows from them."""
    if isinstance(value, dict):
        ignored = ("name", "shared_object_id", "build_config", "trainable")
        return {key: _nameless(inner) for key, inner in value.items() if key not in ignored}
    return [_nameless(inner) for inner in value] if isinstance(value, list | tuple) else value


@contextlib.contextmanager
def _policy(network: keras.Model) -> Iterator[None]:
    """The precision that `network` was built in."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(network.dtype_policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _tensors(structure: Any) -> list:
    return [item for item in keras.tree.flatten(structure) if isinstance(item, keras.KerasTensor)]
