"""The small convolutional networks that workshops teach with, each at its published layers."""

import keras
from keras import layers

from kit.zoo import register
from kit.zoo.blocks import classifier, norm, pixels
from kit.zoo.option_types import Rate, Width


@register(published="MNIST 98.54 % in 5 epochs")
def lenet_small(input_shape, classes):
    """One convolution and one dense layer, after LeNet: the first network of the workshop."""
    images, x = pixels(input_shape)
    x = layers.Conv2D(32, 3, activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="dense1")(x)
    return keras.Model(images, classifier(x, classes), name="lenet_small")


@register(published="MNIST 99.25 % after 12 epochs (Keras's mnist_cnn example)")
def mnist_cnn(input_shape, classes, dropout: Rate | None = None):
    """Two convolutions, one pooling, dropout: Keras's first MNIST example."""
    early, late = (0.25, 0.5) if dropout is None else (dropout, dropout)
    images, x = pixels(input_shape)
    x = layers.Conv2D(32, 3, activation="relu", name="conv1")(x)
    x = layers.Conv2D(64, 3, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Dropout(early, name="dropout1")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="dense1")(x)
    x = layers.Dropout(late, name="dropout2")(x)
    return keras.Model(images, classifier(x, classes), name="mnist_cnn")


@register(published="CIFAR-10 75–79 % after 25–50 epochs (Keras's cifar10_cnn example)")
def simple_cnn(input_shape, classes, dropout: Rate | None = None):
    """Four convolutions in two blocks, each with pooling and dropout: Keras's CIFAR-10 example."""
    early, late = (0.25, 0.5) if dropout is None else (dropout, dropout)
    images, x = pixels(input_shape)
    for block, filters in enumerate((32, 64), 1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv1")(x)
        x = layers.Conv2D(filters, 3, activation="relu", name=f"block{block}_conv2")(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
        x = layers.Dropout(early, name=f"block{block}_dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(512, activation="relu", name="dense1")(x)
    x = layers.Dropout(late, name="dropout")(x)
    return keras.Model(images, classifier(x, classes), name="simple_cnn")


@register(published="CIFAR-10 about 80 % (the six-convolution tutorial's goal)")
def cnn6(input_shape, classes, dropout: Rate | None = None):
    """Six convolutions in three blocks, dropout between the convolutions, a dense layer of bounded norm."""
    rate = 0.2 if dropout is None else dropout
    images, x = pixels(input_shape)
    for block, filters in enumerate((32, 64, 128), 1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv1")(x)
        x = layers.Dropout(rate, name=f"block{block}_dropout")(x)
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv2")(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(rate, name="dropout1")(x)
    norm = keras.constraints.MaxNorm(3)
    x = layers.Dense(1024, activation="relu", kernel_constraint=norm, name="dense1")(x)
    x = layers.Dropout(rate, name="dropout2")(x)
    return keras.Model(images, classifier(x, classes), name="cnn6")


@register(published="digit-recognizer 0.99757 for 15 averaged; MNIST 99.641 ± 0.047 single")
def digit_cnn(input_shape, classes, dropout: Rate | None = None, width: Width = 32):
    """Seven convolutions with batch norm, strided instead of pooled: the best-known digit-recognizer network.

    Args:
        input_shape, classes: as for every builder.
        dropout: rate of all three dropouts; 0.4 as published.
        width: filters of the first block; 32 as published, the others are 2 and 4 times as many.

    Reference: C. Deotte, "25 Million Images! [0.99757] MNIST", Kaggle 2018.
    """
    rate = 0.4 if dropout is None else dropout
    images, x = pixels(input_shape)
    for block in (1, 2):
        filters = width * block
        x = _activated(x, filters, 3, f"block{block}_conv1")
        x = _activated(x, filters, 3, f"block{block}_conv2")
        x = _activated(x, filters, 5, f"block{block}_conv3", strides=2, padding="same")
        x = layers.Dropout(rate, name=f"block{block}_dropout")(x)
    x = _activated(x, width * 4, 4, "block3_conv1")
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(rate, name="dropout")(x)
    return keras.Model(images, classifier(x, classes), name="digit_cnn")


def _activated(x, filters, kernel, name, **options):
    """Convolution, ReLU, batch norm, in the published order."""
    x = layers.Conv2D(filters, kernel, activation="relu", name=name, **options)(x)
    return norm(x, f"{name}_norm")
