"""A run as one Keras network: pixels to probabilities, with its folds, members and augmented copies inside."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from kit.errors import UserError
from kit.export.views import view
from kit.metrics import FLOOR
from kit.prediction.parts import Joined, Load, Networks


def in_float32(network: keras.Model, erf: bool = False) -> keras.Model:
    """Return a copy of a network that computes in float32, whatever it was trained in.

    Args:
        network: a functional or sequential model.
        erf: whether to write exact GELUs by erf. TensorFlow writes them by erfc, which is not part of ONNX.
    """

    def copied(layer: Any) -> Any:
        config = layer.get_config()  # of an operation that is no layer too
        if isinstance(layer, layers.Layer):
            config["dtype"] = "float32"
        copy = type(layer).from_config(config)
        if erf and getattr(copy, "activation", None) is keras.activations.gelu:
            copy.activation = gelu_by_erf
        return copy

    copy = keras.models.clone_model(network, clone_function=copied, recursive=True)
    copy.set_weights(network.get_weights())
    return copy


def gelu_by_erf(x: Any) -> Any:
    """The exact Gaussian error linear unit, x · Φ(x); Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415."""
    return 0.5 * x * (1 + ops.erf(x * np.float32(np.sqrt(0.5))))


def whole(part: Networks | Joined, image_shape: tuple[int, int, int], load: Load) -> keras.Model:
    """Return one network that predicts what `part` predicts.

    Args:
        part: networks, or an ensemble of them.
        image_shape: (height, width, channels).
        load: returns a network in float32.

    Returns:
        A functional model of Keras's own layers and operations: pixels (n, *image_shape) float32 in 0–255 to
        probabilities (n, classes) float32.

    Raises:
        UserError: a second model joins the members.
    """
    images = keras.Input(image_shape, dtype="float32", name="images")
    joined = _Builder(images, load).probabilities(part)
    network = keras.Model(images, layers.Identity(dtype="float32", name="probabilities")(joined), name="exported")
    network(np.zeros((1, *image_shape), np.float32))  # Keras writes ONNX only of networks that were called once
    return network


class _Builder:
    """Adds parts to a network on `images`; every network inside it gets a name of its own."""

    def __init__(self, images: Any, load: Load):
        self.images, self.load, self.count = images, load, 0

    def probabilities(self, part: Networks | Joined) -> Any:
        return self._pooled(part) if isinstance(part, Joined) else self._averaged(part)

    def _averaged(self, part: Networks) -> Any:
        copies = [
            (transform, weight / len(group))
            for group, weight in zip(part.groups, part.weights, strict=True)
            for transform in group
        ]
        views = [view(self.images, transform) for transform, _ in copies]
        # One batch of all copies: the networks are called, and written, once.
        batch = views[0] if len(views) == 1 else ops.concatenate(views, axis=0)
        predicted = [ops.softmax(self._named(self.load(path))(batch)) for path in part.paths]
        mean = _sum(predicted, [1 / len(predicted)] * len(predicted))
        if len(copies) == 1:
            return mean
        shares = np.array([share for _, share in copies], np.float32).reshape(-1, 1, 1)
        return ops.sum(ops.reshape(mean, (len(copies), -1, mean.shape[-1])) * shares, axis=0)

    def _pooled(self, part: Joined) -> Any:
        """What `kit.ensemble.averaging.pool` computes."""
        if part.weights is None:
            raise UserError(
                f"{part.run.folder} joins its members by a second model (stack), which cannot be exported; "
                "export an ensemble of another method."
            )
        parts = [self.probabilities(member) for member in part.members]
        if part.geometric:
            parts = [_log(one) for one in parts]
        pooled = _sum(parts, part.weights.tolist())
        pooled = ops.softmax(pooled) if part.geometric else pooled
        return pooled if part.temperature == 1 else ops.softmax(_log(pooled) * (1 / part.temperature))

    def _named(self, network: keras.Model) -> keras.Model:
        self.count += 1
        return keras.Model(network.inputs[0], network.outputs[0], name=f"network{self.count}")


def _log(probabilities: Any) -> Any:
    return ops.log(ops.maximum(probabilities, float(FLOOR)))


def _sum(parts: list[Any], weights: list[float]) -> Any:
    if len(parts) == 1 and weights == [1.0]:
        return parts[0]
    total = parts[0] * weights[0]
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total = total + part * weight
    return total
