"""Layers that several families share."""

import keras
from keras import layers


def pixels(input_shape: tuple[int, int, int]):
    """The input (n, *input_shape), values 0–255, and the same scaled to 0–1."""
    images = keras.Input(input_shape, name="images")
    return images, layers.Rescaling(1 / 255, name="scale")(images)


def classifier(features, classes: int, **options):
    """The last layer: logits (n, classes), in float32 whatever the precision of the rest."""
    return layers.Dense(classes, dtype="float32", name="logits", **options)(features)


def norm(x, name: str):
    """Batch norm whose moving statistics follow within some dozen steps.

    With Keras's default momentum, 0.99, they need hundreds: a training of a few small epochs would be validated with
    its initial statistics.
    """
    return layers.BatchNormalization(momentum=0.9, name=name)(x)
