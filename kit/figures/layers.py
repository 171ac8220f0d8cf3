"""What layers compute: filters, their outputs for an image, and the images that activate them most."""

from collections.abc import Sequence

import keras
import numpy as np
from matplotlib import patches

from kit.figures import style
from kit.figures.gradients import gradient_of
from kit.figures.layer_calls import LayerCall, LayerCalls, as_array, layer_calls

GREY = 127.5


def filters(network: keras.Model, count: int = 64) -> style.Figure:
    """Show the filters of the network's first convolution.

    Filters of grey images are drawn from blue (negative weights) over white to orange (positive weights); those of
    colour images in the colours that they respond to, on mid-grey. The channels are the image's own, even where the
    network reorders or repeats them before its first convolution, as VGG16 does.

    Args:
        network: maps pixels to logits.
        count: how many filters to show at most.

    Raises:
        ValueError: the network has no convolution.
    """
    found = layer_calls(network)
    first = next(call for call in found.convolutions if isinstance(call.layer, keras.layers.Conv2D))
    weights = _weights_by_image_channel(found, first)
    shown = min(count, weights.shape[-1])
    title = f"{first.name}: {shown} of {weights.shape[-1]} filters, {weights.shape[0]} × {weights.shape[1]}"
    figure, cells = style.image_grid(shown, 16, title, (0.85, 0.85))
    for number, cell in enumerate(cells):
        kernel = weights[..., number]
        largest = max(np.abs(kernel).max(), 1e-12)
        if kernel.shape[-1] == 3:
            style.show_image(cell, GREY + GREY * kernel / largest)
        else:
            cell.imshow(kernel.mean(-1), cmap=style.DIVERGING, vmin=-largest, vmax=largest)
            height, width = kernel.shape[:2]
            border = patches.Rectangle((-0.5, -0.5), width, height, fill=False, edgecolor="#888888", linewidth=1)
            cell.add_patch(border)
    return figure


def layer_outputs(network: keras.Model, image: np.ndarray, layers: int = 12, channels: int = 10) -> style.Figure:
    """Show the feature maps of one image: one row for each convolution, its channels with the most contrast.

    Args:
        network: maps pixels to logits.
        image: (h, w, c), pixel values 0…255.
        layers: how many convolutions to show at most, evenly spaced from the first to the last.
        channels: how many channels of each to show at most.

    Raises:
        ValueError: the network has no convolution.
    """
    found = layer_calls(network)
    convolutions = found.convolutions
    places = np.unique(np.linspace(0, len(convolutions) - 1, layers).round().astype(int))
    chosen = [convolutions[place] for place in places]
    outputs = [as_array(maps)[0] for maps in found.compute(np.asarray(image)[None], [call.output for call in chosen])]
    figure = style.new_figure(1.02 * channels + 4.2, max(1.02 * len(chosen) + 0.2, 2))
    left, right = style.split(figure, 1, 2, width_ratios=[1.6, channels + 2.6])
    style.show_image(left.subplots(), image, "image")
    cells = right.subplots(len(chosen), channels, squeeze=False)
    style.hide_axes(cells)
    for row, call, maps in zip(cells, chosen, outputs, strict=True):
        most_contrast = np.argsort(-maps.std((0, 1)), kind="stable")[:channels]
        for cell, channel in zip(row, most_contrast, strict=False):
            low, high = np.percentile(maps[..., channel], [0.5, 99.5])
            cell.imshow(maps[..., channel], cmap="viridis", vmin=low, vmax=max(high, low + 1e-12))
        style.row_label(row[0], f"{call.name}\n{maps.shape[0]} × {maps.shape[1]} × {maps.shape[2]}")
    return figure


def gradient_ascent(
    network: keras.Model,
    layer: str | None = None,
    count: int = 16,
    steps: int = 60,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
) -> style.Figure:
    """Show the images that activate a layer's filters most, found by gradient ascent from noise; contrast stretched.

    Args:
        network: maps pixels to logits.
        layer: a layer's name; the last convolution by default, `"logits"` for the classes themselves.
        count: how many filters to show at most.
        steps: steps of gradient ascent.
        class_names: the name of each class, for the logits.
        seed: the random seed of the noise.

    Raises:
        ValueError: there is no such layer, or no convolution.

    Reference:
        Erhan et al., "Visualizing Higher-Layer Features of a Deep Network" (2009); Yosinski et al. (2015) for the
        blur between the steps.
    """
    found = layer_calls(network)
    call = found.find(layer) if layer else found.convolutions[-1]
    images, numbers = maximizing_images(network, call.name, count, steps, seed)
    is_map = len(call.output.shape) == 4
    title = f"images that activate {call.name} most"
    figure, cells = style.image_grid(len(images), 10 if len(images) <= 10 else 8, title, (1.45, 1.7))
    for cell, image, number in zip(cells, images, numbers, strict=True):
        name = class_names[number] if class_names is not None and not is_map else number
        contrast = GREY / max(np.percentile(np.abs(image - GREY), 99.5), 1e-6)
        style.show_image(cell, GREY + contrast * (image - GREY), f"filter {name}" if is_map else f"{name}")
    return figure


def maximizing_images(
    network: keras.Model, layer: str, count: int = 16, steps: int = 60, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Find by gradient ascent the images that activate a layer's filters or units most.

    Args:
        network: maps pixels to logits.
        layer: a layer's name.
        count: how many filters at most; where there are more, a selection of those that noise activates.
        steps: steps of gradient ascent.
        seed: the random seed of the noise that the images start from.

    Returns:
        The images (k, h, w, c) float32 of 0…255, and the filters' numbers (k,).
    """
    from scipy import ndimage

    found = layer_calls(network)
    output = found.find(layer).output
    random = np.random.default_rng(seed)
    noise = random.normal(GREY, 12, (1, *found.input.shape[1:])).astype(np.float32)
    at_start = as_array(_activations(found.compute(noise, output)))[0]
    # A filter that noise does not activate has no gradient to follow.
    active = np.sort(np.argsort(-at_start, kind="stable")[: max(count, len(at_start) // 2)])
    chosen = active[np.unique(np.linspace(0, len(active) - 1, count).round().astype(int))]
    one_hot = np.eye(len(at_start), dtype=np.float32)[chosen]
    gradient = gradient_of(lambda images: keras.ops.sum(_activations(found.compute(images, output)) * one_hot))
    images = np.repeat(noise, len(chosen), axis=0)
    for step in range(steps):
        # A random shift before each step, and decay towards grey and blur after it, suppress the checkerboards that
        # strides and pooling respond to most.
        shift = random.integers(-2, 3, 2)
        slope = np.roll(gradient(np.roll(images, shift, (1, 2))), -shift, (1, 2))
        norm = np.sqrt((slope**2).mean((1, 2, 3), keepdims=True))
        images = images + 8 * slope / np.maximum(norm, 1e-12)
        images = np.clip(GREY + 0.96 * (images - GREY), 0, 255)
        if step % 3 == 2 and step < steps - 3:
            images = ndimage.gaussian_filter(images, (0, 0.55, 0.55, 0))
    return images, chosen


def _weights_by_image_channel(found: LayerCalls, first: LayerCall) -> np.ndarray:
    """The first convolution's weights (h, w, its input channels, filters) as (h, w, image channels, filters)."""
    weights = as_array(first.layer.get_weights()[0])
    shape = tuple(found.input.shape[1:])
    probes = np.zeros((1 + shape[-1], *shape), np.float32)  # a black image, and one with each channel alone at 255
    for channel in range(shape[-1]):
        probes[1 + channel, ..., channel] = 255
    arriving = as_array(found.compute(probes, first.inputs[0])).mean((1, 2))
    return np.einsum("hwif,ci->hwcf", weights, arriving[1:] - arriving[0])


def _activations(output):
    """The mean activation of each filter, or each unit's own, float32 (n, filters)."""
    output = keras.ops.cast(output, "float32")
    return keras.ops.mean(output, axis=(1, 2)) if len(output.shape) == 4 else output
