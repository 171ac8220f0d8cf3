"""What layers see: filters, their outputs for an image, and the images that excite them most."""

from collections.abc import Sequence

import keras
import numpy as np

from kit.figures import style
from kit.figures.gradients import gradient_of
from kit.figures.layer_calls import LayerCalls, Step, as_array, layer_calls_of

GREY = 127.5


def filters(network: keras.Model, count: int = 64) -> style.Figure:
    """Show the filters of the network's first convolution.

    For grey images a filter is drawn from blue (against) over white to orange (for); for colour images as the colours
    that it answers to, around mid-grey. Channels are the image's own, even where the network reorders or repeats them
    before its first convolution, as VGG16 does.

    Args:
        network: pixels to logits.
        count: how many filters to show at most.

    Raises:
        ValueError: the network has no convolution.
    """
    layer_calls = layer_calls_of(network)
    first = next(step for step in layer_calls.convolutions if isinstance(step.layer, keras.layers.Conv2D))
    weights = _on_the_images_channels(layer_calls, first)
    shown = min(count, weights.shape[-1])
    title = f"{first.name}: {shown} of {weights.shape[-1]} filters, {weights.shape[0]} × {weights.shape[1]}"
    figure, cells = style.grid(shown, 16, title, (0.85, 0.85))
    for place, cell in enumerate(cells):
        one = weights[..., place]
        scale = max(np.abs(one).max(), 1e-12)
        if one.shape[-1] == 3:
            style.picture(cell, GREY + GREY * one / scale)
        else:
            cell.imshow(one.mean(-1), cmap=style.DIVERGING, vmin=-scale, vmax=scale)
            cell.add_patch(_frame(one.shape))
    return figure


def layer_outputs(network: keras.Model, image: np.ndarray, layers: int = 12, channels: int = 10) -> style.Figure:
    """Show what each convolution makes of one image: a row a layer, its channels with the most contrast.

    Args:
        network: pixels to logits.
        image: (h, w, c), pixel values 0…255.
        layers: how many convolutions to show at most, evenly spread from the first to the last.
        channels: how many channels of each to show at most.

    Raises:
        ValueError: the network has no convolution.
    """
    layer_calls = layer_calls_of(network)
    found = layer_calls.convolutions
    chosen = [found[place] for place in np.unique(np.linspace(0, len(found) - 1, layers).round().astype(int))]
    outputs = [
        as_array(output)[0] for output in layer_calls.read(np.asarray(image)[None], [step.output for step in chosen])
    ]
    figure = style.sheet(1.02 * channels + 4.2, 1.02 * len(chosen) + 0.2)
    left, right = figure.subfigures(1, 2, width_ratios=[1.6, channels + 2.6])
    style.picture(left.subplots(), image, "the image")
    cells = right.subplots(len(chosen), channels, squeeze=False)
    for row, step, output in zip(cells, chosen, outputs, strict=True):
        for cell in row:
            cell.set_axis_off()
        strongest = np.argsort(-output.std((0, 1)), kind="stable")[:channels]
        for cell, channel in zip(row, strongest, strict=False):
            low, high = np.percentile(output[..., channel], [0.5, 99.5])
            cell.imshow(output[..., channel], cmap="viridis", vmin=low, vmax=max(high, low + 1e-12))
        size = f"{output.shape[0]} × {output.shape[1]} × {output.shape[2]}"
        style.row_name(row[0], f"{step.name}\n{size}")
    return figure


def gradient_ascent(
    network: keras.Model,
    layer: str | None = None,
    count: int = 16,
    steps: int = 60,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
) -> style.Figure:
    """Show the images that most excite a layer's filters, found by gradient ascent from noise, in full contrast.

    Args:
        network: pixels to logits.
        layer: a layer's name; the last convolution by default, `"logits"` for the classes themselves.
        count: how many filters to show at most.
        steps: how far to climb.
        class_names: what each class is called, for the logits.
        seed: of the noise.

    Raises:
        ValueError: there is no such layer, or no convolution.

    Reference:
        Erhan et al., "Visualizing Higher-Layer Features of a Deep Network" (2009); Yosinski et al. (2015) for the
        blur between the steps.
    """
    layer_calls = layer_calls_of(network)
    step = layer_calls.step(layer) if layer else layer_calls.convolutions[-1]
    images, shown = exciting_images(network, step.name, count, steps, seed)
    is_map = len(step.output.shape) == 4
    figure, cells = style.grid(len(images), 10 if len(images) <= 10 else 8, f"what excites {step.name}", (1.45, 1.7))
    for cell, image, one in zip(cells, images, shown, strict=True):
        name = class_names[one] if class_names is not None and not is_map else one
        contrast = GREY / max(np.percentile(np.abs(image - GREY), 99.5), 1e-6)
        style.picture(cell, GREY + contrast * (image - GREY), f"filter {name}" if is_map else f"{name}")
    return figure


def exciting_images(
    network: keras.Model, layer: str, count: int = 16, steps: int = 60, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Find by gradient ascent the images that most excite a layer's filters or units.

    Args:
        network: pixels to logits.
        layer: a layer's name.
        count: how many filters at most; where there are more, some of those that answer to noise at all.
        steps: how far to climb.
        seed: of the noise that the images start from.

    Returns:
        The images (k, h, w, c) float32 of 0…255, and the filters' numbers (k,).
    """
    from scipy import ndimage

    layer_calls = layer_calls_of(network)
    output = layer_calls.step(layer).output
    shape = tuple(layer_calls.images.shape[1:])
    draw = np.random.default_rng(seed)
    noise = draw.normal(GREY, 12, (1, *shape)).astype(np.float32)
    answer = as_array(_strengths(layer_calls.read(noise, output)))[0]
    # A filter that is silent on noise has no slope to climb.
    lively = np.sort(np.argsort(-answer, kind="stable")[: max(count, len(answer) // 2)])
    chosen = lively[np.unique(np.linspace(0, len(lively) - 1, count).round().astype(int))]
    wanted = np.eye(len(answer), dtype=np.float32)[chosen]
    climb = gradient_of(lambda images: keras.ops.sum(_strengths(layer_calls.read(images, output)) * wanted))
    images = np.repeat(noise, len(chosen), axis=0)
    for number in range(steps):
        # Moved a little before each step, and drawn back to grey and blurred after it, the images do not become the
        # glaring checkerboards that strides and poolings answer to best.
        move = draw.integers(-2, 3, 2)
        slope = np.roll(climb(np.roll(images, move, (1, 2))), -move, (1, 2))
        steepness = np.sqrt((slope**2).mean((1, 2, 3), keepdims=True))
        images = images + 8 * slope / np.maximum(steepness, 1e-12)
        images = np.clip(GREY + 0.96 * (images - GREY), 0, 255)
        if number % 3 == 2 and number < steps - 3:
            images = ndimage.gaussian_filter(images, (0, 0.55, 0.55, 0))
    return images, chosen


def _on_the_images_channels(layer_calls: LayerCalls, first: Step) -> np.ndarray:
    """The first convolution's weights (h, w, its channels, filters) as weights (h, w, image's channels, filters)."""
    weights = as_array(first.layer.get_weights()[0])
    shape = tuple(layer_calls.images.shape[1:])
    coloured = np.zeros((1 + shape[-1], *shape), np.float32)  # a black image, and one in each channel's own colour
    for channel in range(shape[-1]):
        coloured[1 + channel, ..., channel] = 255
    arriving = as_array(layer_calls.read(coloured, first.inputs[0])).mean((1, 2))
    return np.einsum("hwif,ci->hwcf", weights, arriving[1:] - arriving[0])


def _strengths(output):
    output = keras.ops.cast(output, "float32")
    return keras.ops.mean(output, axis=(1, 2)) if len(output.shape) == 4 else output


def _frame(shape):
    from matplotlib import patches

    return patches.Rectangle((-0.5, -0.5), shape[1], shape[0], fill=False, edgecolor="#888888", linewidth=1)
