"""A network's arithmetic, from the shapes of its layers alone."""

import math

import keras
from keras import layers


def flops(network: keras.Model) -> int:
    """Count the floating-point operations of one image's forward pass: two for each multiply-add.

    Convolutions, depthwise ones too, and dense layers count; norms, activations, poolings and biases, which are some
    per cent of these, do not.

    Args:
        network: a functional model that calls each of its layers once, as the zoo builds them; networks inside it
            count with their layers.

    Raises:
        ValueError: a layer with weights is neither counted here nor known to be cheap.
    """
    return 2 * sum(_multiplications(layer) for layer in network.layers)


def _multiplications(layer):
    if isinstance(layer, keras.Model):
        return sum(_multiplications(inner) for inner in layer.layers)
    if isinstance(layer, layers.Dense):
        return math.prod(layer.output.shape[1:]) * layer.input.shape[-1]
    if isinstance(layer, layers.DepthwiseConv2D):
        return math.prod(layer.output.shape[1:]) * math.prod(layer.kernel_size)
    if isinstance(layer, layers.SeparableConv2D):
        height, width, channels = layer.output.shape[1:]
        inputs = layer.input.shape[-1] * layer.depth_multiplier
        return height * width * inputs * (math.prod(layer.kernel_size) + channels)
    if isinstance(layer, layers.Conv2D):
        return math.prod(layer.output.shape[1:]) * math.prod(layer.kernel_size) * layer.input.shape[-1] // layer.groups
    if any(len(weight.shape) > 1 for weight in layer.weights):  # norms and scales have vectors only
        raise ValueError(f"{layer.name}: the operations of a {type(layer).__name__} are not known here.")
    return 0
