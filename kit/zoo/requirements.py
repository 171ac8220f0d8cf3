"""What every network has to be: pixels in, one logit for each class out."""

import keras
import numpy as np

from kit.errors import UserError

IMAGES = 3
TOLERANCE = 0.01
"""How far from one a row of probabilities may be: bfloat16 rounds each of them by up to 0.4 %."""
REMEDY = (
    "the kit takes logits and computes the softmax itself, so that a second one would hardly learn. Leave out the "
    "activation of the last layer"
)


def check(network: keras.Model, input_shape: tuple[int, int, int], classes: int) -> None:
    """Refuse a network that does not go from images to logits; it predicts three small images, which takes a moment.

    Args:
        network: any Keras model, built.
        input_shape: (height, width, channels) of the images.
        classes: how many logits.

    Raises:
        UserError: it is not a Keras model, takes other images, gives another number of values, or gives probabilities
            in place of logits.
    """
    if not isinstance(network, keras.Model):
        raise UserError(f"a network has to be a keras.Model, not {type(network).__name__}.")
    outputs = _outputs(network, input_shape)
    if outputs.shape != (IMAGES, classes):
        raise UserError(
            f"{network.name} gives values of shape {outputs.shape[1:]} for an image; "
            f"it has to give one logit for each of the {classes} classes."
        )
    last = _last_layer(network)
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    if isinstance(last, keras.layers.Softmax) or activation in ("softmax", "sigmoid"):
        raise UserError(f"{network.name} ends with a {activation or 'softmax'}, in {last.name}; {REMEDY}.")
    if (outputs >= 0).all() and np.abs(outputs.sum(axis=1) - 1).max() < TOLERANCE:
        raise UserError(f"{network.name} gives probabilities, which sum to one; {REMEDY}.")


def _outputs(network, input_shape) -> np.ndarray:
    """The network's values for a grey image and two random ones, float64."""
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, *input_shape), dtype=np.uint8)
    images[0] = 128
    try:
        outputs = network(images, training=False)
    except ValueError as error:  # as Keras says that a shape does not fit
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{network.name} does not take images of {input_shape} ({reason}).") from None
    if not hasattr(outputs, "shape"):
        raise UserError(f"{network.name} has several outputs; it has to have one, the logits.")
    return keras.ops.convert_to_numpy(outputs).astype(np.float64)


def _last_layer(network):
    while isinstance(network, keras.Model) and network.layers:
        network = network.layers[-1]
    return network
