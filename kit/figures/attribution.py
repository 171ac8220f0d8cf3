"""Which pixels spoke for a class: Grad-CAM and its guided form."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from matplotlib import colormaps

from kit.figures import style
from kit.figures.gradients import gradient_of
from kit.figures.layer_calls import LayerCalls, Step, as_array, layer_calls_of

SMALLEST_MAP = 4
# As layers, as functions and as operations, whose names differ in capitals and underscores only.
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
    """Show where the network looks when it sees its predicted class, and where for the true class if that differs.

    A map without warm places: nothing in the image speaks for that class.

    Args:
        network: pixels to logits or to probabilities.
        images: (n, h, w, 1 or 3), pixel values 0…255; a column each, so a dozen at most reads well.
        labels: (n,) integers, the truth, or None.
        class_names: what each class is called; its number by default.
        guided: whether to add guided Grad-CAM, the single pixels within the warm region.
        layer: the layer whose maps are weighed; by default the last one with at least 4 × 4 places.
    """
    images = np.asarray(images)
    layer_calls = layer_calls_of(network)
    probabilities = as_array(keras.ops.softmax(_logits(layer_calls, images)))
    words = style.class_words(probabilities.shape[1], class_names)
    said = probabilities.argmax(1)
    truth = said if labels is None else np.asarray(labels).astype(int)
    asked = [("predicted", said)] if (said == truth).all() else [("predicted", said), ("true", truth)]
    rows = 1 + len(asked) * (2 if guided else 1)
    figure = style.sheet(1.55 * len(images) + 1.3, 1.72 * rows + 0.3)
    cells = figure.subplots(rows, len(images), squeeze=False)
    for place, image in enumerate(images):
        right = said[place] == truth[place]
        title = "" if labels is None else f"is {words[truth[place]]}"
        style.picture(cells[0, place], image, title, style.RIGHT if right else style.WRONG)
    row = 1
    for name, classes in asked:
        maps = grad_cam_maps(network, images, classes, layer)
        pixels = guided_gradients(network, images, classes) * maps[..., None] if guided else None
        for place, one in enumerate(classes):
            title = f"{words[one]}: {100 * probabilities[place, one]:.0f} %"
            style.picture(cells[row, place], _warmed(images[place], maps[place]), title)
            if guided:
                style.picture(cells[row + 1, place], _around_grey(pixels[place]))
        style.row_name(cells[row, 0], f"for the\n{name}\nclass")
        if guided:
            style.row_name(cells[row + 1, 0], "its pixels\n(guided)")
        row += 2 if guided else 1
    return figure


def grad_cam_maps(
    network: keras.Model, images: np.ndarray, classes: np.ndarray, layer: str | None = None
) -> np.ndarray:
    """Return where the network looks for a class, as maps of 0…1 in the images' size, float32 (n, h, w).

    Args:
        network: pixels to logits.
        images: (n, h, w, c), pixel values 0…255.
        classes: (n,) integers, the class asked about for each image.
        layer: the layer whose maps are weighed by their gradients; by default the last with at least 4 × 4 places.

    Raises:
        ValueError: no layer has maps, or there is none of that name.

    Reference:
        Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks" (2017).
    """
    layer_calls = layer_calls_of(network)
    watched = layer_calls.step(layer) if layer else _last_with_places(layer_calls)

    def asked_logits(amount):
        # Added to what comes out of the layer, nothing changes nothing, but has that layer's gradient, whatever else
        # in the network goes around it.
        def nudged(step, *inputs, **options):
            output = step(*inputs, **options)
            return output + keras.ops.cast(amount, output.dtype) if step is watched else output

        return _sum_of(_logits(layer_calls, images, nudged), classes)

    outputs = as_array(layer_calls.read(images, watched.output))
    gradients = gradient_of(asked_logits)(np.zeros(outputs.shape, np.float32))
    maps = np.maximum((outputs * gradients.mean((1, 2), keepdims=True)).sum(-1, keepdims=True), 0)
    maps = keras.ops.image.resize(maps, images.shape[1:3], interpolation="bilinear", data_format="channels_last")
    maps = keras.ops.convert_to_numpy(maps)[..., 0]
    return (maps / np.maximum(maps.max((1, 2), keepdims=True), 1e-12)).astype(np.float32)


def guided_gradients(network: keras.Model, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the pixels' guided gradients for a class, float32 of the images' shape.

    On its way back a gradient passes a rectifier (ReLU and its smooth relatives) only where it is positive and the
    unit is active, so that what remains speaks for the class.

    Args:
        network: pixels to logits.
        images: (n, h, w, c), pixel values 0…255.
        classes: (n,) integers, the class asked about for each image.

    Reference:
        Springenberg et al., "Striving for Simplicity: The All Convolutional Net" (2015).
    """
    layer_calls = layer_calls_of(network)
    return gradient_of(lambda pixels: _sum_of(_logits(layer_calls, pixels, _guided), classes))(
        np.asarray(images, np.float32)
    )


def _guided(step: Step, *inputs, **options):
    output = step(*inputs, **options)
    return _speaking_for(output) if _activation(step) in RECTIFIERS else output


def _activation(step: Step) -> str:
    """The name of what a step ends with, without capitals and underscores: "relu", "softmax", "linear", "dropout"."""
    function = getattr(step.layer, "activation", None)
    name = getattr(function, "__name__", type(step.layer if function is None else function).__name__)
    return name.replace("_", "").lower()


@keras.ops.custom_gradient
def _speaking_for(active):
    """Return what a rectifier gives, and let the gradient back only where both are positive."""

    def gradient(*upstreams, upstream=None):
        upstream = upstreams[0] if upstream is None else upstream
        return keras.ops.relu(upstream) * keras.ops.cast(active > 0, upstream.dtype)

    return active, gradient


def _last_with_places(layer_calls: LayerCalls) -> Step:
    maps = [step for step in layer_calls.steps if len(step.output.shape) == 4 and None not in step.output.shape[1:]]
    if not maps:
        raise ValueError("the network has no layer with maps for Grad-CAM; take one with convolutions.")
    large = [step for step in maps if min(step.output.shape[1:3]) >= SMALLEST_MAP]
    return (large or maps)[-1]


def _logits(layer_calls: LayerCalls, images, call: Callable = Step.__call__):
    """The network's answer before the softmax, up to a number for each image, where it ends with one."""
    answer = keras.ops.cast(layer_calls.read(images, layer_calls.logits, call), "float32")
    if _activation(layer_calls.steps[-1]) != "softmax":
        return answer
    return keras.ops.log(keras.ops.maximum(answer, keras.config.epsilon()))


def _sum_of(logits, classes):
    """The sum over all images of the logit of the class asked about: its gradient is that of each image alone."""
    asked = keras.ops.one_hot(np.asarray(classes, np.int32), logits.shape[-1])
    return keras.ops.sum(logits * asked)


def _warmed(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Lay a map of 0…1 over the dimmed, grey image as warm colours, opaque where it is high."""
    grey = 0.6 * np.asarray(image, np.float32).mean(-1, keepdims=True)
    weight = 0.8 * heat[..., None]
    return grey * (1 - weight) + 255 * colormaps["inferno"](0.45 + 0.5 * heat)[..., :3] * weight


def _around_grey(values: np.ndarray) -> np.ndarray:
    """Show signed values as pixels: 0 is mid-grey, the largest magnitude black or white."""
    return 127.5 + 127.5 * values / max(np.percentile(np.abs(values), 99.5), 1e-12)
