"""Residual networks for small images, after He et al. 2015 (v1) and 2016 (v2, pre-activation).

References: https://arxiv.org/abs/1512.03385, https://arxiv.org/abs/1603.05027.
"""

import keras
from keras import layers

from kit.zoo import register
from kit.zoo.blocks import classifier, norm, pixels
from kit.zoo.option_types import Width

STAGES = 3


@register(published="CIFAR-10 91.25 % (paper), 92.16 % (Keras's example), 200 epochs")
def resnet_small(input_shape, classes, width: Width = 16):
    """ResNet-20 v1: three stages of three basic blocks with skip connections."""
    return _resnet_v1(input_shape, classes, 3, width, "resnet_small")


@register(published="CIFAR-10 93.03 % (paper)")
def resnet_medium(input_shape, classes, width: Width = 16):
    """ResNet-56 v1: nine basic blocks a stage."""
    return _resnet_v1(input_shape, classes, 9, width, "resnet_medium")


@register(published="CIFAR-10 93.4–93.6 % (paper)")
def resnet_large(input_shape, classes, width: Width = 16):
    """ResNet-110 v1: eighteen basic blocks a stage."""
    return _resnet_v1(input_shape, classes, 18, width, "resnet_large")


@register()
def resnet_v2_small(input_shape, classes, width: Width = 16):
    """ResNet-20 v2: bottleneck blocks, norm and ReLU before each convolution."""
    return _resnet_v2(input_shape, classes, 2, width, "resnet_v2_small")


@register()
def resnet_v2_medium(input_shape, classes, width: Width = 16):
    """ResNet-56 v2."""
    return _resnet_v2(input_shape, classes, 6, width, "resnet_v2_medium")


@register()
def resnet_v2_large(input_shape, classes, width: Width = 16):
    """ResNet-110 v2."""
    return _resnet_v2(input_shape, classes, 12, width, "resnet_v2_large")


def _convolution(x, filters, kernel, name, strides=1):
    options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    return layers.Conv2D(filters, kernel, strides=strides, name=name, **options)(x)


def _activation(x, name):
    x = norm(x, f"{name}_norm")
    return layers.ReLU(name=f"{name}_relu")(x)


def _resnet_v1(input_shape, classes, blocks, width, name):
    images, x = pixels(input_shape)
    x = _activation(_convolution(x, width, 3, "stem_conv"), "stem")
    for stage in range(STAGES):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            x = _basic_block(x, width * 2**stage, strides, f"stage{stage + 1}_block{block + 1}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(images, classifier(x, classes), name=name)


def _basic_block(x, filters, strides, name):
    """Two 3×3 convolutions beside a skip connection, which is a 1×1 convolution where the shape changes."""
    skip = _convolution(x, filters, 1, f"{name}_skip", strides) if strides > 1 else x
    x = _activation(_convolution(x, filters, 3, f"{name}_conv1", strides), f"{name}_conv1")
    x = _convolution(x, filters, 3, f"{name}_conv2")
    x = norm(x, f"{name}_conv2_norm")
    x = layers.Add(name=f"{name}_add")([x, skip])
    return layers.ReLU(name=f"{name}_relu")(x)


def _resnet_v2(input_shape, classes, blocks, width, name):
    images, x = pixels(input_shape)
    x = _activation(_convolution(x, width, 3, "stem_conv"), "stem")
    for stage in range(STAGES):
        filters = width * 2**stage
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            x = _bottleneck_block(x, filters, strides, not block, f"stage{stage + 1}_block{block + 1}")
    x = _activation(x, "final")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(images, classifier(x, classes), name=name)


def _bottleneck_block(x, filters, strides, widen, name):
    """1×1, 3×3, 1×1 convolutions, each after norm and ReLU; four times as many filters come out."""
    active = _activation(x, f"{name}_conv1")
    skip = _convolution(active, 4 * filters, 1, f"{name}_skip", strides) if widen else x
    x = _convolution(active, filters, 1, f"{name}_conv1", strides)
    x = _convolution(_activation(x, f"{name}_conv2"), filters, 3, f"{name}_conv2")
    x = _convolution(_activation(x, f"{name}_conv3"), 4 * filters, 1, f"{name}_conv3")
    return layers.Add(name=f"{name}_add")([x, skip])
