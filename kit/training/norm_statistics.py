"""Batch norms' moving statistics, computed anew for weights that no training step has had, such as averaged ones.

Reference: Izmailov et al. 2018, https://arxiv.org/abs/1803.05407 (averaged weights need statistics of their own); Wu
and Johnson 2021, https://arxiv.org/abs/2105.07576 (some thousand images give them).
"""

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

IMAGES = 4096
"""How many training images the statistics are of, in whole batches; all of them where there are fewer."""


def variables(network: keras.Model) -> list:
    """Return what `recompute` changes: the moving means and variances of the batch norms that are not frozen."""
    return [weight for norm in _norms(network) for weight in (norm.moving_mean, norm.moving_variance)]


def recompute(network: keras.Model, batches: Any) -> None:
    """Set the batch norms' moving statistics, in place, to those of the training images under the present weights.

    Each norm gets the mean and variance of its inputs over the first batches of epoch 0, in forward passes in training
    mode. They follow from the seed and the network's state alone. Weights, frozen norms and the random state of dropout
    stay as they are. A network without such norms costs nothing.

    Args:
        network: pixels to logits.
        batches: what it is trained on.
    """
    norms = list(_norms(network))
    if not norms:
        return
    steps = min(-(-IMAGES // batches.size), batches.steps)
    kept = _other_state(network)
    momenta = [norm.momentum for norm in norms]
    means: list = [0.0] * len(norms)
    squares: list = [0.0] * len(norms)
    try:
        for norm in norms:
            norm.momentum = 0.0  # so that its moving statistics are the last batch's
        for inputs, _ in itertools.islice(batches.epoch(0), steps):
            network(batches.prepared(inputs), training=True)
            for number, norm in enumerate(norms):
                mean, variance = _array(norm.moving_mean), _array(norm.moving_variance)
                means[number] += mean / steps
                squares[number] += (variance + mean**2) / steps
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for variable, value in kept:
            variable.assign(value)
    for norm, mean, square in zip(norms, means, squares, strict=True):
        norm.moving_mean.assign(mean)
        norm.moving_variance.assign(np.maximum(square - mean**2, 0))


def _norms(layer: keras.Layer) -> Iterator[keras.layers.BatchNormalization]:
    """The batch norms that compute with their batch's statistics in training: those that are not frozen."""
    if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
        yield layer
    for inner in getattr(layer, "layers", ()):
        yield from _norms(inner)


def _other_state(network: keras.Model) -> list:
    """Variables, with their values, that a forward pass changes beside the norms', such as dropout's random state."""
    own = {id(variable) for variable in variables(network)}
    others = [variable for variable in network.non_trainable_variables if id(variable) not in own]
    return [(variable, np.array(keras.ops.convert_to_numpy(variable))) for variable in others]


def _array(variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype(np.float64)
