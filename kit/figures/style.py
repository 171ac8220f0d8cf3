"""The paper that every figure is drawn on: sizes, colours and the few strokes that all of them share."""

import io
import math
from collections.abc import Sequence

import numpy as np
from matplotlib import colors, figure, patheffects, ticker
from matplotlib.axes import Axes

# Okabe and Ito, "Color Universal Design" (2008), its yellow darkened for white paper, and two more from Paul Tol's
# "muted" scheme, so that ten classes have a colour each.
COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B8A800"),
    *("#882255", "#7A7A7A"),
)
RIGHT, WRONG, MUTED = "#0072B2", "#D55E00", "#6B6B6B"
SMALL, NORMAL, LARGE = 11, 13, 16
SEQUENTIAL = "cividis"
# White in the middle, so that a weight or a difference of zero looks like nothing.
DIVERGING = colors.LinearSegmentedColormap.from_list("kit", [RIGHT, "#FFFFFF", WRONG])


# For words over points and lines.
HALO = (patheffects.withStroke(linewidth=3.5, foreground="white"),)


class Figure(figure.Figure):
    """A matplotlib figure that needs neither pyplot nor a display, and that notebooks show by themselves."""

    def _repr_png_(self) -> bytes:
        return png(self)


def sheet(width: float, height: float, title: str | None = None) -> Figure:
    """Return an empty figure of `width` × `height` inches that arranges its parts by itself."""
    made = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    made.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    if title:
        made.suptitle(title, fontsize=LARGE)
    return made


def png(drawn: figure.Figure, dpi: int = 110) -> bytes:
    """Return `drawn` as the bytes of a PNG file."""
    memory = io.BytesIO()
    drawn.savefig(memory, format="png", dpi=dpi, bbox_inches="tight")
    return memory.getvalue()


def grid(count: int, columns: int, title: str | None = None, cell: tuple[float, float] = (1.5, 1.75)) -> tuple:
    """Return a figure and its `count` empty cells for pictures, `columns` a row, of `cell` inches each."""
    columns = max(1, min(columns, count))
    rows = max(1, math.ceil(count / columns))
    made = sheet(max(columns * cell[0], 4.5), rows * cell[1] + (0.6 if title else 0.1), title)
    cells = made.subplots(rows, columns, squeeze=False).ravel()
    for empty in cells:
        empty.set_axis_off()
    return made, cells[:count]


def plain(axes: Axes, title: str = "", x: str = "", y: str = "") -> Axes:
    """Give a plot its title and axis names, in sizes that a projector carries to the last row."""
    axes.set_title(title, fontsize=NORMAL + 1)
    axes.set_xlabel(x, fontsize=NORMAL)
    axes.set_ylabel(y, fontsize=NORMAL)
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#DDDDDD", linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def picture(axes: Axes, image: np.ndarray, title: str = "", colour: str = "black") -> None:
    """Show one image (h, w), (h, w, 1) or (h, w, 3), uint8 or float of 0…255, under a title."""
    image = np.asarray(image)
    if image.dtype != np.uint8:
        image = np.clip(np.round(image), 0, 255).astype(np.uint8)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=SMALL, color=colour, pad=4)


def row_name(axes: Axes, text: str) -> None:
    """Write the name of a row of pictures to the left of its first."""
    axes.text(-0.1, 0.5, text, transform=axes.transAxes, ha="right", va="center", fontsize=NORMAL)


def class_words(classes: int, class_names: Sequence[str] | None) -> list[str]:
    """Return the names of `classes` classes: those given, or their numbers."""
    return [str(name) for name in class_names] if class_names is not None else [str(one) for one in range(classes)]


def percent(axis) -> None:
    """Write an axis of shares 0…1 as percentages, with as many decimals as its ticks need."""
    axis.set_major_formatter(ticker.FuncFormatter(lambda share, _: f"{100 * share:.4g} %"))


def spread(count: int) -> list:
    """Return `count` colours: the colour-blind safe ten, or evenly spaced ones of a map where more are needed."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    from matplotlib import colormaps

    return [colormaps["turbo"](place) for place in np.linspace(0.05, 0.95, count)]
