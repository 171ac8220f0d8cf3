"""K. Jordan's airbench: much CIFAR-10 accuracy for little arithmetic, by frozen whitening and identity initialisation.

Reference: https://arxiv.org/abs/2404.00498; momenta and widths from https://github.com/KellerJordan/cifar10-airbench.
"""

import keras
import numpy as np
from keras import layers

from kit.errors import UserError
from kit.zoo import register
from kit.zoo.blocks import classifier, pixels
from kit.zoo.option_types import Momentum, Width

SMALLEST = 25  # pixels; after three poolings the last one, over 3×3, needs so many
PATCH = 2
EIGENVALUE_FLOOR = 5e-4
LOGIT_SCALE = 1 / 9
SAMPLE = 5000  # images; the covariance of their patches no longer changes with more


def whiten(network: keras.Model, images: np.ndarray) -> None:
    """Set the whitening convolution by the patches of the first 5,000 images, so that its outputs are uncorrelated.

    Its filters are the eigenvectors of the patches' covariance and their negatives, each divided by the root of its
    eigenvalue. The usual normalisation by channel is part of kernel and bias.

    Args:
        network: changed in place.
        images: (n, h, w, c) uint8.
    """
    scaled = images[:SAMPLE].astype(np.float64) / 255
    mean, deviation = scaled.mean(axis=(0, 1, 2)), np.maximum(scaled.std(axis=(0, 1, 2)), 0.01)
    normal = (scaled - mean) / deviation
    windows = np.lib.stride_tricks.sliding_window_view(normal, (PATCH, PATCH), axis=(1, 2))
    patches = np.moveaxis(windows, 3, -1).reshape(-1, PATCH * PATCH * images.shape[-1])
    values, vectors = np.linalg.eigh(patches.T @ patches / len(patches))
    values, vectors = values[::-1], vectors[:, ::-1]
    # An eigenvector's sign is arbitrary; without this it would depend on the machine's LAPACK.
    largest = np.abs(vectors).round(6).argmax(axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(len(values))])
    filters = (vectors / np.sqrt(values + EIGENVALUE_FLOOR)).reshape(PATCH, PATCH, images.shape[-1], -1)
    kernel = np.concatenate([filters, -filters], axis=-1) / deviation[:, None]
    bias = -np.einsum("hwcf,c->f", kernel, mean)
    layer = network.get_layer("whitening_conv")
    layer.kernel.assign(kernel.astype(np.float32))
    layer.bias.assign(bias.astype(np.float32))


@register(published="CIFAR-10 94.01 % (mean of 1,000) in 9.9 epochs", adapt=whiten)
def airbench(input_shape, classes, width: Width = 64, norm_momentum: Momentum = 0.6, whitening_bias: bool = True):
    """airbench94: frozen whitening, then three blocks of two convolutions that are initialised as identities.

    Args:
        input_shape, classes: as for every builder; 25×25 pixels or more.
        width: filters of the first block; the others have four times as many.
        norm_momentum: of the batch norms' statistics; lower follows faster, which Lookahead needs.
        whitening_bias: whether the whitening's biases are trained. Only for them do gradients pass the largest layer.

    Raises:
        UserError: the images are too small.
    """
    widths = width, 4 * width, 4 * width
    return _airbench(input_shape, classes, widths, norm_momentum, whitening_bias, False, "airbench")


@register(published="CIFAR-10 96.03 % (mean of 400) in 37 epochs", adapt=whiten)
def airbench96(input_shape, classes, width: Width = 128, norm_momentum: Momentum = 0.9, whitening_bias: bool = True):
    """airbench96: wider, and a third convolution in each block, with a skip connection across the last two.

    Args:
        input_shape, classes: as for every builder; 25×25 pixels or more.
        width: filters of the first block; the others have three and four times as many.
        norm_momentum: of the batch norms' statistics.
        whitening_bias: whether the whitening's biases are trained. Only for them do gradients pass the largest layer.

    Raises:
        UserError: the images are too small.
    """
    widths = width, 3 * width, 4 * width
    return _airbench(input_shape, classes, widths, norm_momentum, whitening_bias, True, "airbench96")


def _airbench(input_shape, classes, widths, norm_momentum, whitening_bias, deep, name):
    if min(input_shape[:2]) < SMALLEST:
        raise UserError(f"{name} takes images of {SMALLEST}×{SMALLEST} pixels or more, not {input_shape[:2]}.")
    images, x = pixels(input_shape)
    # float32 whatever the precision of the rest: whitening magnifies small differences. It costs next to nothing.
    filters = 2 * PATCH * PATCH * input_shape[-1]
    whitening = layers.Conv2D(filters, PATCH, dtype="float32", kernel_initializer=_uniform(), name="whitening_conv")
    x = layers.Activation("gelu", name="whitening_gelu")(whitening(x))
    whitening.kernel.trainable = False
    whitening.bias.trainable = whitening_bias
    for number, filters in enumerate(widths, 1):
        x = _block(x, filters, norm_momentum, deep, f"block{number}")
    x = layers.MaxPooling2D(3, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Rescaling(LOGIT_SCALE, name="logit_scale")(x)
    logits = classifier(x, classes, use_bias=False, kernel_initializer=_uniform())
    return keras.Model(images, logits, name=name)


def _block(x, filters, norm_momentum, deep, name):
    x = _identity_convolution(x, filters, f"{name}_conv1")
    x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
    x = first = _gelu(_shift_norm(x, norm_momentum, f"{name}_norm1"), f"{name}_gelu1")
    x = _shift_norm(_identity_convolution(x, filters, f"{name}_conv2"), norm_momentum, f"{name}_norm2")
    if deep:
        x = _gelu(x, f"{name}_gelu2")
        x = _shift_norm(_identity_convolution(x, filters, f"{name}_conv3"), norm_momentum, f"{name}_norm3")
        x = layers.Add(name=f"{name}_add")([x, first])
    return _gelu(x, f"{name}_gelu{3 if deep else 2}")


def _uniform():
    """PyTorch's initialisation of convolutions and dense layers, with which the published figures were reached."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


def _identity_convolution(x, filters, name):
    """A 3×3 convolution whose first filters are initialised to copy their input channels (Dirac initialisation)."""
    layer = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer=_uniform(), name=name)
    out = layer(x)
    kernel = keras.ops.convert_to_numpy(layer.kernel).copy()
    copies = min(kernel.shape[2:])
    kernel[..., :copies] = 0
    kernel[1, 1, range(copies), range(copies)] = 1
    layer.kernel.assign(kernel)
    return out


def _shift_norm(x, momentum, name):
    """Batch norm without scale: only its biases are trained."""
    return layers.BatchNormalization(momentum=momentum, epsilon=1e-5, scale=False, name=name)(x)


def _gelu(x, name):
    return layers.Activation("gelu", name=name)(x)
