"""A network for seconds on a CPU: little arithmetic, and most of it where images are already small."""

import keras
from keras import layers

from kit.zoo import register
from kit.zoo.blocks import classifier, norm, pixels
from kit.zoo.option_types import Depth, Width


@register()
def fast_cnn(input_shape, classes, width: Width = 16, depth: Depth = 1):
    """Convolutions in three blocks that double in width, each pooled before its norm: accuracy in seconds on a CPU.

    Args:
        input_shape, classes: as for every builder.
        width: filters of the first block; the others have two and four times as many.
        depth: convolutions a block; all but the first follow the pooling.

    Pooling comes before batch norm and ReLU, which then have a quarter of the pixels: on a CPU they take as long as
    the convolutions. The order is that of K. Jordan's airbench, https://arxiv.org/abs/2404.00498.
    """
    images, x = pixels(input_shape)
    options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    for block, (filters, kernel) in enumerate(((width, 5), (2 * width, 3), (4 * width, 3)), 1):
        for convolution in range(1, depth + 1):
            name = f"block{block}" if convolution == 1 else f"block{block}_{convolution}"
            x = layers.Conv2D(filters, kernel if convolution == 1 else 3, name=f"{name}_conv", **options)(x)
            if convolution == 1:
                x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
            x = norm(x, f"{name}_norm")
            x = layers.ReLU(name=f"{name}_relu")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(images, classifier(x, classes), name="fast_cnn")
