"""Trained networks, frozen and joined by a small trainable network."""

from collections.abc import Sequence

import keras
from keras import layers

from kit.errors import UserError
from kit.zoo import register
from kit.zoo.blocks import classifier
from kit.zoo.option_types import Rate

MEMBER = "member{}_"  # what the names of a member's layers begin with, counted from 1


@register(published="0.5–2 points above the better of two members, in a fifth of the training time")
def combined(input_shape, classes, runs: Sequence[keras.Model] = (), dropout: Rate | None = None):
    """Two or more trained networks, frozen; a dense layer of 512 units on their concatenated outputs.

    Args:
        input_shape, classes: as for every builder.
        runs: trained networks, pixels to logits; copied, layer by layer. A recipe names runs (runs=ONE,OTHER), and
            the training loads their networks. Their dropouts are left out.
        dropout: rate before the last layer; 0.5 by default.

    Raises:
        UserError: there are fewer than two networks, or one is for other images or classes.
    """
    if isinstance(runs, str) or not isinstance(runs, Sequence) or len(runs) < 2:
        raise UserError("combined joins two or more trained runs: name them with --options runs=ONE,OTHER.")
    images = keras.Input(input_shape, name="images")
    outputs = []
    for number, network in enumerate(runs, 1):
        if not isinstance(network, keras.Model):
            raise UserError(f"combined: member {number} is not a trained network but {str(network)[:60]!r}.")
        takes, gives = tuple(network.input_shape[1:]), network.output_shape[-1]
        if (takes, gives) != (tuple(input_shape), classes):
            raise UserError(
                f"combined: member {number}, {network.name}, is for images of {takes} and {gives} classes, "
                f"not {tuple(input_shape)} and {classes}."
            )
        outputs.append(_frozen_copy(network, images, MEMBER.format(number)))
    x = layers.Concatenate(dtype="float32", name="join")(outputs)
    x = layers.Dense(512, activation="relu", name="head_dense")(x)
    x = layers.Dropout(0.5 if dropout is None else dropout, name="head_dropout")(x)
    return keras.Model(images, classifier(x, classes), name="combined")


def _frozen_copy(network, images, prefix):
    """The output of a copy of `network` on `images`, its layers named with `prefix` before their own names."""

    def renamed(layer):
        return type(layer).from_config({**layer.get_config(), "name": prefix + layer.name})

    def called(layer, inputs, *others, **options):
        return inputs if isinstance(layer, layers.Dropout) else layer(inputs, *others, **options)

    copy = keras.models.clone_model(network, images, clone_function=renamed, call_function=called)
    copy.set_weights(network.get_weights())
    copy.trainable = False
    return copy.output
