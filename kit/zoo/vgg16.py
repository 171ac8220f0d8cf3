"""VGG16's convolutions with ImageNet weights, and new heads.

Reference: Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556.
"""

import pathlib

import keras
from keras import layers, ops

from kit.errors import UserError
from kit.zoo import register
from kit.zoo.blocks import classifier, norm
from kit.zoo.option_types import Rate

SMALLEST = 32
IMAGENET_MEAN = (123.68, 116.779, 103.939)
PIXEL_DEVIATION = 58.0  # ImageNet's standard deviation
WEIGHTS_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
OWN_WEIGHTS_FILE = "vgg16.weights.h5"
"""What a file of these weights is called that somebody wrote with Keras 3."""
WEIGHTS_PAGE = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg16/{WEIGHTS_FILE}"


@register(published="CIFAR-10 about 64 % frozen at 32×32; 80–93 % with all layers tuned")
def vgg16_transfer(input_shape, classes, weights: str | None = "imagenet", dropout: Rate | None = None):
    """VGG16's convolutions, frozen at their ImageNet weights, with a head of two dense layers.

    Args:
        input_shape, classes: as for every builder; one channel is tripled, small images are padded to 32×32.
        weights: "imagenet" (downloaded by Keras once), a weights file without top, or None: random and trainable.
            Without batch norms that needs a small learning rate, about 0.0001 for Adam.
        dropout: rate in the head; 0.5 by default.

    Raises:
        UserError: the weights are available neither from the internet nor from the file.
    """
    images, base = _convolutions(input_shape, weights)
    x = layers.Flatten(name="flatten")(base.output)
    x = layers.Dense(512, activation="relu", name="head_dense")(x)
    x = layers.Dropout(0.5 if dropout is None else dropout, name="head_dropout")(x)
    return keras.Model(images, classifier(x, classes), name="vgg16_transfer")


@register(published='"a significant improvement over" the plain transfer network')
def vgg16_skip(input_shape, classes, weights: str | None = "imagenet", dropout: Rate | None = None):
    """VGG16, frozen, with a branch after each of its five poolings; the five branches are joined.

    Each branch begins with a batch norm: what VGG16's first blocks give is in the hundreds, and without a norm the
    branches learn little from it.

    Args:
        input_shape, classes: as for `vgg16_transfer`.
        weights: "imagenet" (downloaded by Keras once), a weights file without top, or None: random and trainable.
        dropout: rate in the branches and the head; 0.5 by default.

    Raises:
        UserError: the weights are available neither from the internet nor from the file.
    """
    rate = 0.5 if dropout is None else dropout
    images, base = _convolutions(input_shape, weights)
    branches = []
    for block in range(1, 6):
        x = layers.Flatten(name=f"branch{block}_flatten")(base.get_layer(f"block{block}_pool").output)
        x = norm(x, f"branch{block}_norm")
        x = layers.Dense(512, activation="relu", name=f"branch{block}_dense")(x)
        x = layers.Dropout(rate, name=f"branch{block}_dropout")(x)
        branches.append(layers.Dense(classes, name=f"branch{block}_logits")(x))
    x = layers.Concatenate(name="join")(branches)
    x = layers.Dense(512, activation="relu", name="head_dense")(x)
    x = layers.Dropout(rate, name="head_dropout")(x)
    return keras.Model(images, classifier(x, classes), name="vgg16_skip")


def _convolutions(input_shape, weights):
    """VGG16 without its top on images of any size and one or three channels; frozen unless `weights` is None."""
    height, width, channels = input_shape
    if channels not in (1, 3):
        raise UserError(f"VGG16 takes images of one or three channels, not {channels}.")
    images = keras.Input(input_shape, name="images")
    x = layers.Concatenate(name="grey_to_rgb")([images] * 3) if channels == 1 else images
    if min(height, width) < SMALLEST:
        rows, columns = (max(SMALLEST - size, 0) for size in (height, width))
        sides = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
        x = layers.ZeroPadding2D(sides, name="pad")(x)
    x = layers.Normalization(mean=IMAGENET_MEAN, variance=(1.0, 1.0, 1.0), name="imagenet_mean")(x)
    x = ops.flip(x, axis=-1)  # VGG16 was trained on blue, green, red
    base = _with_weights(x, weights)
    for layer in base.layers:
        layer.trainable = weights is None
    return images, base


def _with_weights(x, weights):
    if weights is None:
        return he_normal(keras.applications.VGG16(include_top=False, weights=None, input_tensor=x))
    if weights == "imagenet":
        try:
            return keras.applications.VGG16(include_top=False, weights=weights, input_tensor=x)
        except Exception as error:  # Keras raises a bare Exception when a download fails
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"VGG16's ImageNet weights could not be downloaded ({reason}). Fetch {WEIGHTS_PAGE} where there is "
                f"internet and give it with --weights {WEIGHTS_FILE}, or start from scratch with --weights none."
            ) from None
    if not pathlib.Path(weights).is_file():
        raise UserError(f"--weights {weights}: there is no such file; VGG16's own is at {WEIGHTS_PAGE}.")
    base = keras.applications.VGG16(include_top=False, weights=None, input_tensor=x)
    try:
        base.load_weights(weights)
    except (ValueError, OSError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"--weights {weights} does not hold VGG16's convolutions ({reason}).") from None
    return base


def he_normal(base, is_vgg: bool = True):
    """Initialise `base`, if it is a VGG, by He et al. 2015, https://arxiv.org/abs/1502.01852, and return it.

    That keeps the size of the signal, which Keras's default initialisation halves in each of the thirteen convolutions.
    VGG's preprocessing leaves pixels in the hundreds, for which the first convolution's kernel is scaled down.
    """
    for layer in base.layers if is_vgg else ():
        if isinstance(layer, layers.Conv2D):
            kernel = keras.initializers.HeNormal()(layer.kernel.shape)
            layer.kernel.assign(kernel / PIXEL_DEVIATION if layer.name == "block1_conv1" else kernel)
    return base
