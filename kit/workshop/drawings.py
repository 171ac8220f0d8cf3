"""Drawings of ideas: a neuron, a window that slides over pixels, four optimizers in one valley."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patches import Circle, Rectangle

from kit.figures import style

FIGURE_HEIGHT = 4.6
CELL = 0.62  # inches
ROUND = 13  # size of the numbers
LABEL = {"facecolor": "white", "edgecolor": "none", "pad": 2}


def neuron(inputs: Sequence[float], weights: Sequence[float], bias: float) -> style.Figure:
    """Draw one neuron with its numbers: inputs, weights, bias, the sum, and ReLU of the sum.

    Args:
        inputs: (n,) numbers, two to six read well.
        weights: (n,) numbers, one for each input.
        bias: the neuron's own number.

    Raises:
        ValueError: there are not as many weights as inputs.
    """
    if len(inputs) != len(weights):
        raise ValueError(f"{len(inputs)} inputs and {len(weights)} weights: give each input one weight.")
    total = float(np.dot(inputs, weights) + bias)
    figure = style.new_figure(12, FIGURE_HEIGHT)
    axes = _paper(figure, (0, 12), (-0.4, 4.4))
    heights = np.linspace(4, 0.7, len(inputs))
    middle = 2.35
    for number, (value, weight, height) in enumerate(zip(inputs, weights, heights, strict=True), 1):
        axes.plot([1.35, 5.05], [height, middle], color=_sign(weight), linewidth=1 + 4 * min(abs(weight), 1), zorder=1)
        _disc(axes, 1, height, f"{value:g}")
        axes.text(0.5, height, f"$x_{number}$", ha="right", va="center", fontsize=style.NORMAL)
        place = (2.75, height + (middle - height) * 0.4)
        axes.text(*place, f"× {weight:g}", ha="center", va="center", fontsize=ROUND, bbox=LABEL)
    axes.plot([5.4, 5.4], [0.3, middle], color=_sign(bias), linewidth=2, zorder=1)
    axes.text(5.4, 0.05, f"bias {bias:+g}", ha="center", va="center", fontsize=ROUND)
    _disc(axes, 5.4, middle, "sum", 0.5)
    for start, end, name in ((5.9, 7.4, f"{total:.2f}"), (8.6, 10.2, f"{max(total, 0):.2f}")):
        axes.annotate("", (end, middle), (start, middle), arrowprops={"arrowstyle": "-|>", "lw": 2})
        axes.text((start + end) / 2, middle + 0.28, name, ha="center", fontsize=ROUND)
    axes.add_patch(Rectangle((7.4, middle - 0.55), 1.2, 1.1, facecolor="white", edgecolor="black", linewidth=1.5))
    axes.plot([7.55, 8.0, 8.45], [middle - 0.3, middle - 0.3, middle + 0.3], color=style.COLOURS[0], linewidth=2.5)
    axes.text(8.0, middle - 0.85, "ReLU", ha="center", fontsize=style.NORMAL)
    axes.text(10.35, middle, "answer", ha="left", va="center", fontsize=style.NORMAL)
    products = " + ".join(f"{value:g}·({weight:g})" for value, weight in zip(inputs, weights, strict=True))
    axes.text(6, 4.25, f"sum = {products} {bias:+g} = {total:.2f}", ha="left", fontsize=style.NORMAL)
    return figure


def sliding_window(image: np.ndarray, window: np.ndarray, row: int, column: int) -> style.Figure:
    """Draw a convolution at one place: the image with the window, the products, and the map of all sums.

    Args:
        image: (h, w) numbers, up to about 8 × 8 reads well.
        window: (k, l) weights, smaller than the image.
        row, column: the window's upper left corner.

    Raises:
        ValueError: the window leaves the image there.
    """
    image, window = np.asarray(image), np.asarray(window)
    rows, columns = window.shape
    if not (0 <= row <= image.shape[0] - rows and 0 <= column <= image.shape[1] - columns):
        raise ValueError(f"row {row}, column {column}: a window of {rows} × {columns} leaves the image there.")
    windows = np.lib.stride_tricks.sliding_window_view(image, window.shape)
    sums = (windows * window).sum((2, 3))
    patch = windows[row, column]
    panels = [
        (image, "the image and the window", "gray", (row, column, rows, columns)),
        (window, "the filter's weights", None, None),
        (patch * window, f"pixel × weight: together {sums[row, column]:g}", None, None),
        (sums, "the sum, at its place", None, (row, column, 1, 1)),
    ]
    widths = [numbers.shape[1] for numbers, *_ in panels]
    figure = style.new_figure(CELL * (sum(widths) + 5), CELL * (image.shape[0] + 1.6))
    for axes, (numbers, title, colours, frame) in zip(
        figure.subplots(1, len(panels), width_ratios=widths), panels, strict=True
    ):
        _numbers(axes, numbers, colours)
        axes.set_title(title, fontsize=style.NORMAL)
        if frame:
            top, left, high, wide = frame
            box = Rectangle((left - 0.5, top - 0.5), wide, high, fill=False, edgecolor=style.WRONG, linewidth=4)
            axes.add_patch(box)
    return figure


def descents(paths: Mapping[str, Sequence[np.ndarray]], steepness: np.ndarray) -> style.Figure:
    """Draw the paths of several optimizers down one valley, and the loss after each of their steps.

    The loss is ½ · Σ steepness · weight².

    Args:
        paths: for each optimizer its places, (steps + 1, 2), the start first.
        steepness: (2,) positive numbers.
    """
    ways = {name: np.asarray(path) for name, path in paths.items()}
    figure = style.new_figure(15, 5.4)
    valley, curves = figure.subplots(1, 2, width_ratios=[1.5, 1])
    reach = 1.15 * np.abs(np.concatenate(list(ways.values()))).max(0)
    x, y = (np.linspace(-far, far, 200) for far in reach)
    heights = (steepness * np.stack(np.meshgrid(x, y), -1) ** 2).sum(-1) / 2
    valley.contourf(x, y, np.sqrt(heights), levels=14, cmap="Greys", alpha=0.45)
    for (name, way), colour in zip(ways.items(), style.distinct_colours(len(ways)), strict=True):
        valley.plot(*way.T, color=colour, linewidth=2, marker="o", markersize=4, label=name)
        curves.plot((steepness * way**2).sum(-1) / 2, color=colour, linewidth=2.4, label=name)
    valley.plot(0, 0, "*", color="black", markersize=15, zorder=5)
    style.format_axes(valley, "the way down; the star is the lowest point", "weight 1", "weight 2").grid(False)
    style.format_axes(curves, "loss after each step", "step", "loss (log scale)").set_yscale("log")
    curves.legend(fontsize=style.SMALL)
    return figure


def _paper(figure, width, height):
    axes = figure.subplots()
    axes.set(xlim=width, ylim=height, aspect="equal")
    axes.set_axis_off()
    return axes


def _disc(axes, x, y, text, radius=0.36):
    axes.add_patch(Circle((x, y), radius, facecolor="white", edgecolor="black", linewidth=1.5, zorder=2))
    axes.text(x, y, text, ha="center", va="center", fontsize=ROUND, zorder=3)


def _sign(value):
    """Return the colour of a weight: blue for positive, orange for negative."""
    return style.CORRECT if value >= 0 else style.WRONG


def _numbers(axes, numbers, colours):
    largest = max(np.abs(numbers).max(), 1e-12)
    if colours:
        axes.imshow(numbers, cmap=colours, vmin=0, vmax=largest)
    else:
        axes.imshow(-numbers, cmap=style.DIVERGING, vmin=-1.6 * largest, vmax=1.6 * largest)  # blue is positive
    for place, value in np.ndenumerate(numbers):
        light = colours and value < largest / 2
        axes.text(
            *place[::-1], f"{value:g}", ha="center", va="center", fontsize=ROUND, color="white" if light else "black"
        )
    axes.set_xticks(np.arange(-0.5, numbers.shape[1]), labels=[])
    axes.set_yticks(np.arange(-0.5, numbers.shape[0]), labels=[])
    axes.grid(color="#999999", linewidth=0.8)
    axes.tick_params(length=0)
