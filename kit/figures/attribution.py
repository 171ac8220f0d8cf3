"""Which pixels raise the score of a class: Grad-CAM and guided Grad-CAM."""

from collections.abc import Callable, Sequence

import keras
import matplotlib
import numpy as np

from kit.figures import style
from kit.figures.gradients import gradient_of
from kit.figures.layer_calls import LayerCall, LayerCalls, as_array, layer_calls

SMALLEST_MAP = 4
# Names of layers, functions and operations, which differ in capitals and underscores only.
RECTIFIERS = {
    *("relu", "relu6", "leakyrelu", "prelu", "elu", "selu", "celu", "gelu", "silu", "swish", "hardsilu", "hardswish"),
    *("softplus", "mish", "squareplus"),
}


def grad_cam(
    network: keras.Model,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    guided: bool = True,
    layer: str | None = None,
) -> style.Figure:
    """Show Grad-CAM heat maps for the predicted class, and for the true class where any prediction is wrong.

    Where the colours are warm, the region raises the score of the class. A map without warm colours means that no
    region does.

    Args:
        network: maps pixels to logits or to probabilities.
        images: (n, h, w, 1 or 3), pixel values 0…255; one column each, so a dozen at most is legible.
        labels: (n,) integers, the true classes, or None.
        class_names: the name of each class; its number by default.
        guided: whether to add guided Grad-CAM, which shows single pixels.
        layer: the layer whose feature maps are weighted; by default the last with maps of at least 4 × 4.
    """
    images = np.asarray(images)
    probabilities = as_array(keras.ops.softmax(_logits(layer_calls(network), images)))
    names = style.class_names(probabilities.shape[1], class_names)
    predicted = probabilities.argmax(1)
    true = predicted if labels is None else np.asarray(labels).astype(int)
    explained = {"predicted": predicted} if (predicted == true).all() else {"predicted": predicted, "true": true}
    rows_per_class = 2 if guided else 1
    rows = 1 + len(explained) * rows_per_class
    figure = style.new_figure(1.55 * len(images) + 1.5, 1.72 * rows + 0.3)
    cells = figure.subplots(rows, len(images), squeeze=False)
    for column, image in enumerate(images):
        title = "" if labels is None else f"true: {names[true[column]]}"
        colour = style.CORRECT if predicted[column] == true[column] else style.WRONG
        style.show_image(cells[0, column], image, title, colour)
    for row, (kind, classes) in enumerate(explained.items()):
        maps = grad_cam_maps(network, images, classes, layer)
        pixels = guided_gradients(network, images, classes) * maps[..., None] if guided else None
        for column, label in enumerate(classes):
            cell = cells[1 + row * rows_per_class, column]
            title = f"{names[label]}: {style.percent(probabilities[column, label])}"
            style.show_image(cell, overlay(images[column], maps[column]), title)
            if pixels is not None:
                style.show_image(cells[2 + row * rows_per_class, column], _centred_on_grey(pixels[column]))
        style.row_label(cells[1 + row * rows_per_class, 0], f"Grad-CAM,\n{kind} class")
        if guided:
            style.row_label(cells[2 + row * rows_per_class, 0], f"guided,\n{kind} class")
    return figure


def grad_cam_maps(
    network: keras.Model, images: np.ndarray, classes: np.ndarray, layer: str | None = None
) -> np.ndarray:
    """Return Grad-CAM heat maps of 0…1 in the images' size, float32 (n, h, w), once; see `GradCam`."""
    return GradCam(network, layer)(images, classes)


class GradCam:
    """Grad-CAM of a network, compiled once for all images that follow.

    Args:
        network: maps pixels to logits.
        layer: the layer whose feature maps are weighted by their gradients; by default the last with maps of at least
            4 × 4.

    Raises:
        ValueError: no layer has feature maps, or no layer has that name.

    Reference:
        Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks" (2017).
    """

    def __init__(self, network: keras.Model, layer: str | None = None):
        self._calls = layer_calls(network)
        self._explained = self._calls.find(layer) if layer else _last_with_maps(self._calls)
        self._gradient = gradient_of(self._class_scores)

    def __call__(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Return heat maps of 0…1 in the images' size, float32 (n, h, w).

        Args:
            images: (n, h, w, c), pixel values 0…255.
            classes: (n,) integers, the class to explain in each image.
        """
        outputs = as_array(self._calls.compute(images, self._explained.output))
        gradients = self._gradient(np.zeros(outputs.shape, np.float32), images, np.asarray(classes, np.int32))
        maps = np.maximum((outputs * gradients.mean((1, 2), keepdims=True)).sum(-1, keepdims=True), 0)
        maps = keras.ops.image.resize(maps, images.shape[1:3], interpolation="bilinear", data_format="channels_last")
        maps = keras.ops.convert_to_numpy(maps)[..., 0]
        return (maps / np.maximum(maps.max((1, 2), keepdims=True), 1e-12)).astype(np.float32)

    def _class_scores(self, offset, images, classes):
        # An offset of zero, added to the layer's output, changes no score, and its gradient is that of the output,
        # whatever other paths the network has around the layer.
        def with_offset(call, *arguments, **keywords):
            output = call(*arguments, **keywords)
            return output + keras.ops.cast(offset, output.dtype) if call is self._explained else output

        return _sum_of(_logits(self._calls, images, with_offset), classes)


def guided_gradients(network: keras.Model, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the guided gradients of a class with respect to the pixels, float32 of the images' shape.

    A gradient passes back through a rectifier (ReLU and its smooth relatives) only where the gradient is positive and
    the unit is active, so that only pixels remain that raise the score of the class.

    Args:
        network: maps pixels to logits.
        images: (n, h, w, c), pixel values 0…255.
        classes: (n,) integers, the class to explain in each image.

    Reference:
        Springenberg et al., "Striving for Simplicity: The All Convolutional Net" (2015).
    """
    found = layer_calls(network)
    return gradient_of(lambda pixels: _sum_of(_logits(found, pixels, _guided), classes))(np.asarray(images, np.float32))


def _guided(call: LayerCall, *arguments, **keywords):
    output = call(*arguments, **keywords)
    return _positive_gradients(output) if _activation(call) in RECTIFIERS else output


def _activation(call: LayerCall) -> str:
    """The name of a layer's activation, or of the layer: "relu", "softmax", "linear", "dropout"."""
    function = getattr(call.layer, "activation", None)
    name = getattr(function, "__name__", type(call.layer if function is None else function).__name__)
    return name.replace("_", "").lower()


@keras.ops.custom_gradient
def _positive_gradients(active):
    """Return a rectifier's output; let back only positive gradients of active units."""

    def gradient(*upstreams, upstream=None):
        upstream = upstreams[0] if upstream is None else upstream
        return keras.ops.relu(upstream) * keras.ops.cast(active > 0, upstream.dtype)

    return active, gradient


def _last_with_maps(found: LayerCalls) -> LayerCall:
    maps = [call for call in found.calls if len(call.output.shape) == 4 and None not in call.output.shape[1:]]
    if not maps:
        raise ValueError("the network has no feature maps; Grad-CAM needs a network with convolutions.")
    large = [call for call in maps if min(call.output.shape[1:3]) >= SMALLEST_MAP]
    return (large or maps)[-1]


def _logits(found: LayerCalls, images, apply: Callable = LayerCall.__call__):
    """The network's logits; where it ends with a softmax, logits up to a constant for each image."""
    output = keras.ops.cast(found.compute(images, found.output, apply), "float32")
    if _activation(found.calls[-1]) != "softmax":
        return output
    return keras.ops.log(keras.ops.maximum(output, keras.config.epsilon()))


def _sum_of(logits, classes):
    """The sum over all images of the logit of a class; its gradient is that of each image alone."""
    return keras.ops.sum(logits * keras.ops.one_hot(keras.ops.cast(classes, "int32"), logits.shape[-1]))


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Lay a map of 0…1 over the dimmed, grey image in warm colours, opaque where it is high."""
    grey = 0.6 * np.asarray(image, np.float32).mean(-1, keepdims=True)
    opacity = 0.8 * heat[..., None]
    return grey * (1 - opacity) + 255 * matplotlib.colormaps["inferno"](0.45 + 0.5 * heat)[..., :3] * opacity


def _centred_on_grey(values: np.ndarray) -> np.ndarray:
    """Return signed values as pixels: 0 is mid-grey, the largest magnitude black or white."""
    return 127.5 + 127.5 * values / max(np.percentile(np.abs(values), 99.5), 1e-12)
