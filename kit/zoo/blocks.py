"""What several families are made of."""

import keras
from keras import layers


def pixels(input_shape: tuple[int, int, int]):
    """The input (n, *input_shape), values 0–255, and the same scaled to 0–1."""
    images = keras.Input(input_shape, name="images")
    return images, layers.Rescaling(1 / 255, name="scale")(images)


def classifier(features, classes: int, **options):
    """The last layer: logits (n, classes), in float32 whatever the precision of the rest."""
    return layers.Dense(classes, dtype="float32", name="logits", **options)(features)


def normalized_convolution(x, filters: int, kernel: int, name: str, *, strides: int = 1, padding: str = "same"):
    """Convolution without bias, batch norm, ReLU: `<name>`, `<name>_norm`, `<name>_relu`."""
    options = {"strides": strides, "padding": padding, "use_bias": False, "kernel_initializer": "he_normal"}
    x = layers.Conv2D(filters, kernel, name=name, **options)(x)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
