"""Checks of a network: its layers, how it was compiled, how it was trained."""

from typing import Any

import keras
import numpy as np
from keras import layers

from kit.workshop.checks.answers import StillMissing, array, filled, good
from kit.workshop.stopwatch import Stopwatch

CONVOLUTIONS = (layers.Conv2D, layers.SeparableConv2D, layers.DepthwiseConv2D)
POOLINGS = (layers.MaxPooling2D, layers.AveragePooling2D, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU)
AGAINST_OVERFITTING = ("Dropout", "SpatialDropout2D", "BatchNormalization")
LARGEST_LEARNING_RATE = 0.03


def built(network: Any, image_shape: tuple[int, int, int], classes: int) -> None:
    """Check a network's layers: images of `image_shape` in, `classes` numbers out, convolutions and pooling between."""
    _is_network(network)
    if not network.built:
        raise StillMissing(f"the network does not know its images' size: begin with keras.Input({image_shape}).")
    if tuple(network.input_shape[1:]) != image_shape:
        raise StillMissing(f"the network takes images of {network.input_shape[1:]}, and these are of {image_shape}.")
    own = _layers(network)
    convolutions = [layer for layer in own if isinstance(layer, CONVOLUTIONS)]
    if not convolutions:
        raise StillMissing("there is no convolution yet, such as layers.Conv2D(32, 3, activation='relu').")
    if not any(isinstance(layer, POOLINGS) for layer in own) and all(_strides(one) == 1 for one in convolutions):
        raise StillMissing("there is no pooling yet: put layers.MaxPooling2D() after the convolutions.")
    if len(network.output_shape) != 2:
        raise StillMissing(
            f"the output for an image is a block of {network.output_shape[1:]}: put layers.Flatten() before the dense "
            "layers."
        )
    if network.output_shape[-1] != classes:
        raise StillMissing(
            f"the output for an image is {network.output_shape[-1]} numbers. One for each of the {classes} classes is "
            f"wanted: let the last layer be layers.Dense({classes})."
        )
    _activations(own)
    good(f"{len(convolutions)} convolutions, {network.count_params():,} weights.")


def compiled(network: Any) -> None:
    """Check that loss, optimizer and metric suit integer labels and the network's last layer."""
    _is_network(network)
    if not network.compiled:
        raise StillMissing("the network is not compiled: network.compile(optimizer=…, loss=…, metrics=…)")
    _loss(network)
    metrics = network.get_compile_config().get("metrics") or []
    names = [one if isinstance(one, str) else one["config"]["name"] for one in np.atleast_1d(metrics)]
    if "accuracy" not in names:
        raise StillMissing("the accuracy is not measured yet: metrics=['accuracy'].")
    learning_rate = getattr(network.optimizer, "learning_rate", None)
    adaptive = not isinstance(network.optimizer, keras.optimizers.SGD)
    if adaptive and learning_rate is not None and float(learning_rate) > LARGEST_LEARNING_RATE:
        raise StillMissing(
            f"a learning rate of {float(learning_rate):g} is too large for {type(network.optimizer).__name__}: "
            "try 0.001."
        )
    good(f"{type(network.optimizer).__name__} and a loss that fits the last layer.")


def trained(clock: Stopwatch, least: float = 0.2) -> None:
    """Check that `fit` had the stopwatch and validation images, and that the accuracy is above `least`, 0…1."""
    history = clock.history
    if history.empty:
        raise StillMissing("no epoch is complete yet: network.fit(…, callbacks=[clock])")
    last = history.iloc[-1]
    if not np.isfinite(last["loss"]):
        raise StillMissing("the loss is not a number: the learning rate is too large. Build, compile and fit again.")
    if "val_accuracy" not in history:
        raise StillMissing("nothing was validated: fit(…, validation_data=(validation_images, validation_labels))")
    if last["val_accuracy"] <= least:
        raise StillMissing(
            f"{last['val_accuracy']:.1%} of the validation images are right, and {least:.1%} is wanted: train for "
            "more epochs, or change the learning rate."
        )
    good(f"{last['val_accuracy']:.2%} of the validation images are right after {len(history)} epochs.")


def designed(network: Any, clock: Stopwatch, most_weights: int, least: float) -> None:
    """Check a network of the participant's own design.

    Args:
        network: the answer.
        clock: the stopwatch of its training.
        most_weights: how many weights it may have.
        least: the validation accuracy to reach, 0…1.
    """
    _is_network(network)
    if not any(
        type(layer).__name__ in AGAINST_OVERFITTING or type(layer).__name__.startswith("Random")
        for layer in _layers(network)
    ):
        raise StillMissing("nothing works against overfitting yet: dropout, batch normalization or a Random… layer.")
    if network.count_params() > most_weights:
        raise StillMissing(
            f"{network.count_params():,} weights are more than {most_weights:,}. Most are in the first dense layer: "
            "let a smaller image reach it, by pooling once more or by fewer filters."
        )
    compiled(network)
    trained(clock, least)


def frozen(network: Any) -> None:
    """Check that training would change no weight of a network."""
    _is_network(network)
    count = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    if count:
        raise StillMissing(f"training would still change {count:,} of its weights: network.trainable = False")
    good(f"all {network.count_params():,} weights are frozen.")


def features(answer: Any, base: keras.Model, prepared: np.ndarray) -> None:
    """Check that `answer` (n, h, w, c) is what `base` computes of the images `prepared` (n, …)."""
    answer = array(answer)
    shape = (len(prepared), *base.output_shape[1:])
    if answer.shape != shape:
        raise StillMissing(f"the shape is {answer.shape}, and {shape} is wanted: base.predict(prepared(…))")
    if not np.allclose(answer[:2], base.predict(prepared[:2], verbose=0), rtol=0.01, atol=0.01):
        raise StillMissing("these are not the features of the prepared images: prepared(…) first, then base.predict.")
    good(f"{len(answer):,} × {' × '.join(map(str, shape[1:]))} numbers.")


def head(network: Any, feature_shape: tuple[int, ...], classes: int) -> None:
    """Check a head: features of `feature_shape` in, `classes` logits out, few weights enough to be quick."""
    _is_network(network)
    if not network.built or tuple(network.input_shape[1:]) != tuple(feature_shape):
        raise StillMissing(f"the head takes features: begin with keras.Input({tuple(feature_shape)}).")
    if network.output_shape[1:] != (classes,):
        raise StillMissing(
            f"the output is {network.output_shape[1:]}, and ({classes},) is wanted: layers.GlobalAveragePooling2D() or "
            f"layers.Flatten() makes a row of the features, and layers.Dense({classes}) comes last."
        )
    if _activation(_layers(network)[-1]) not in ("linear", "softmax"):
        raise StillMissing("the last layer has an activation: leave it out, logits may be negative.")
    good(f"{network.count_params():,} weights to learn.")


def _is_network(network: Any) -> None:
    if not isinstance(filled(network), keras.Model):
        raise StillMissing(
            f"this is {type(network).__name__}, not a network: keras.Sequential([…]) makes one of layers."
        )


def _activations(own: list) -> None:
    apart = any(isinstance(layer, ACTIVATIONS) for layer in own)
    linear = [
        one for one in own[:-1] if isinstance(one, (*CONVOLUTIONS, layers.Dense)) and _activation(one) == "linear"
    ]
    if linear and not apart:
        raise StillMissing(
            f"{linear[0].name} has no activation: without activation='relu' two layers are no more than one."
        )
    if _activation(own[-1]) not in ("linear", "softmax"):
        raise StillMissing(
            f"the last layer has the activation {_activation(own[-1])}: leave it out, logits may be negative."
        )


def _loss(network: keras.Model) -> None:
    loss = network.loss
    if loss is None:
        raise StillMissing("there is no loss yet: without one there is nothing to learn from.")
    name = (loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)).replace("_", "").lower()
    if name == "categoricalcrossentropy":
        raise StillMissing("labels here are integers such as 7, not one-hot: take SparseCategoricalCrossentropy.")
    if name != "sparsecategoricalcrossentropy":
        raise StillMissing(f"{name} is not a loss for ten classes: take keras.losses.SparseCategoricalCrossentropy.")
    logits, softmax = bool(getattr(loss, "from_logits", False)), _activation(_layers(network)[-1]) == "softmax"
    if not logits and not softmax:
        raise StillMissing(
            "the last layer has no softmax, and the loss takes its numbers for probabilities. Nothing fails, and the "
            "network learns badly: tell the loss from_logits=True."
        )
    if logits and softmax:
        raise StillMissing("softmax twice, in the last layer and by from_logits=True: leave out one of them.")


def _layers(network: keras.Model) -> list:
    """Return a network's layers, those of networks within it in their place."""
    parts = [_layers(layer) if isinstance(layer, keras.Model) else [layer] for layer in network.layers]
    return [layer for part in parts for layer in part]


def _activation(layer: keras.layers.Layer) -> str:
    """Return the name of what a layer does to its outputs; "linear" for nothing."""
    if isinstance(layer, layers.Softmax):
        return "softmax"
    return getattr(getattr(layer, "activation", None), "__name__", "linear")


def _strides(layer: keras.layers.Layer) -> int:
    return max(np.atleast_1d(layer.strides))
