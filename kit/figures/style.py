"""What all figures share: sizes, colours, and how axes and images look."""

import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib import colors, figure, patheffects, ticker
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.layout_engine import ConstrainedLayoutEngine

# Okabe and Ito, "Color Universal Design" (2008), its yellow darkened for white paper, and two more from Paul Tol's
# "muted" scheme, so that ten classes have a colour each.
COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B8A800"),
    *("#882255", "#7A7A7A"),
)
CORRECT, WRONG, MUTED = "#0072B2", "#D55E00", "#6B6B6B"
SMALL, NORMAL, LARGE = 11, 13, 16
SEQUENTIAL = "cividis"
# White in the middle, so that a weight or a difference of zero is invisible.
DIVERGING = colors.LinearSegmentedColormap.from_list("kit", [CORRECT, "#FFFFFF", WRONG])
# A white outline for text over points and lines.
HALO = (patheffects.withStroke(linewidth=3.5, foreground="white"),)


class Figure(figure.Figure):
    """A matplotlib figure that needs neither pyplot nor a display, and that notebooks show by themselves."""

    def _repr_png_(self) -> bytes:
        return png(self)


def new_figure(width: float, height: float, title: str | None = None) -> Figure:
    """Return an empty figure of `width` × `height` inches with a constrained layout."""
    engine = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06)
    made = Figure(figsize=(width, height), layout=engine, facecolor="white")
    if title:
        made.suptitle(title, fontsize=LARGE)
    return made


def message(text: str) -> Figure:
    """Return a small figure with nothing but a sentence, for where there is nothing to draw."""
    made = new_figure(9, 1.2)
    axes = made.subplots()  # notebooks show no figure without axes
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=NORMAL + 1)
    return made


def png(drawn: figure.Figure, dpi: int = 110) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    memory = io.BytesIO()
    drawn.savefig(memory, format="png", dpi=dpi, bbox_inches="tight")
    return memory.getvalue()


def image_grid(
    count: int, columns: int, title: str | None = None, cell: tuple[float, float] = (1.5, 1.75)
) -> tuple[Figure, np.ndarray]:
    """Return a figure and its `count` axes for images, at most `columns` to a row, each of `cell` inches."""
    columns = max(1, min(columns, count))
    rows = max(1, math.ceil(count / columns))
    made = new_figure(max(columns * cell[0], 4.5), rows * cell[1] + (0.6 if title else 0.1), title)
    cells = made.subplots(rows, columns, squeeze=False).ravel()
    hide_axes(cells)
    return made, cells[:count]


def split(parent: Figure, rows: int, columns: int, **ratios: Any) -> list[figure.SubFigure]:
    """Return the parts of a figure, row by row; `width_ratios` and `height_ratios` as in `Figure.subfigures`."""
    return list(parent.subfigures(rows, columns, squeeze=False, **ratios).ravel())


def hide_axes(cells: np.ndarray) -> None:
    """Draw neither frames nor ticks around the axes of a grid, also of those that stay empty."""
    for cell in cells.ravel():
        cell.set_axis_off()


def format_axes(axes: Axes, title: str = "", x: str = "", y: str = "") -> Axes:
    """Give a plot its title and axis labels, large enough for the last row of a lecture hall, and a light grid."""
    axes.set_title(title, fontsize=NORMAL + 1)
    axes.set_xlabel(x, fontsize=NORMAL)
    axes.set_ylabel(y, fontsize=NORMAL)
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#DDDDDD", linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def show_image(axes: Axes, image: np.ndarray, title: str = "", colour: str = "black") -> None:
    """Show one image (h, w), (h, w, 1) or (h, w, 3), uint8 or float of 0…255, under a title."""
    image = np.asarray(image)
    if image.dtype != np.uint8:
        image = np.clip(np.round(image), 0, 255).astype(np.uint8)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=SMALL, color=colour, pad=4)


def row_label(axes: Axes, text: str) -> None:
    """Write the label of a row of images to the left of its first."""
    axes.text(-0.1, 0.5, text, transform=axes.transAxes, ha="right", va="center", fontsize=NORMAL)


def class_names(count: int, given: Sequence[str] | None) -> list[str]:
    """Return the names of `count` classes: those given, or their numbers."""
    return [str(name) for name in given] if given is not None else [str(number) for number in range(count)]


def shortened(text: str, length: int) -> str:
    """Return `text`, its middle replaced by "…" where it has more than `length` characters."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def percent(probability: float) -> str:
    """Return a probability as a short percentage: "97%", "4.1%", "< 0.1%"."""
    if probability < 0.001:
        return "< 0.1%"
    return f"{probability:.0%}" if probability >= 0.0995 else f"{probability:.1%}"


def percent_axis(axis: Axis) -> None:
    """Label an axis of fractions 0…1 as percentages, with as many decimals as its ticks need."""
    axis.set_major_formatter(ticker.FuncFormatter(lambda fraction, _: f"{100 * fraction:.4g}%"))


def distinct_colours(count: int) -> list:
    """Return `count` colours: the colour-blind safe ten, or evenly spaced ones of a map where more are needed."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return [matplotlib.colormaps["turbo"](place) for place in np.linspace(0.05, 0.95, count)]
