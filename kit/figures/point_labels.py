"""Labels beside the points of a plot, placed so that they cover neither points nor each other."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation

from kit.figures import style

# Where a label may stand: its direction from the point (x, y), and its distance in typographic points.
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
DISTANCES = (8, 18, 30, 44, 60, 80, 110)
PLACES = [(direction, distance) for distance in DISTANCES for direction in DIRECTIONS]
LINED_FROM = 15  # points; a label that is further away has a line to its point
RADIUS = 6  # points; what a marker covers


def add_labels(
    figure: style.Figure,
    axes: Axes,
    points: Sequence[tuple[float, float]],
    labels: Sequence[str],
    fontsize: float = style.NORMAL,
) -> list[Annotation]:
    """Write a label beside each point, each where it covers least; those given first choose first.

    Call this when everything else is drawn: a later change of the layout moves the points and not the choice.

    Args:
        figure: the figure.
        axes: its plot.
        points: (x, y) of each point, in the plot's units.
        labels: the text beside each point.
        fontsize: of all labels, in points.

    Returns:
        The labels.
    """
    figure.draw_without_rendering()  # pixels are known once the layout is
    pixels = figure.dpi / 72
    frame = np.array([axes.get_window_extent().extents])
    centres = axes.transData.transform(np.asarray(points, float))
    covered = np.concatenate([centres - RADIUS * pixels, centres + RADIUS * pixels], axis=1)
    drawn = []
    for point, centre, text in zip(points, centres, labels, strict=True):
        label = axes.annotate(
            text,
            point,
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=fontsize,
            path_effects=style.HALO,
            zorder=5,
            arrowprops={"arrowstyle": "-", "color": style.MUTED, "linewidth": 0.9, "shrinkA": 0, "shrinkB": RADIUS},
        )
        label.set_in_layout(False)
        extent = label.get_window_extent()
        boxes = _boxes(centre, np.array([extent.width, extent.height]), pixels)
        outside = extent.width * extent.height - _shared_areas(boxes, frame)
        best = int(np.round(outside + _shared_areas(boxes, covered)).argmin())
        covered = np.concatenate([covered, boxes[best : best + 1]])
        _move(label, PLACES[best])
        drawn.append(label)
    return drawn


def _boxes(centre: np.ndarray, size: np.ndarray, pixels: float) -> np.ndarray:
    """Where a label of `size` (width, height) lies at each of the places: left, bottom, right, top in pixels."""
    directions = np.array([direction for direction, _ in PLACES])
    distances = np.array([[distance] for _, distance in PLACES])
    corners = centre + directions * distances * pixels - size * (1 - directions) / 2
    return np.concatenate([corners, corners + size], axis=1)


def _shared_areas(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The area that each of `boxes` (n, 4) shares with all of `others` (m, 4) together, (n,)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.maximum(high - low, 0).prod(axis=2).sum(axis=1)


def _move(label: Annotation, place: tuple[tuple[int, int], int]) -> None:
    (x, y), distance = place
    label.set_horizontalalignment(("center", "left", "right")[x])
    label.set_verticalalignment(("center", "bottom", "top")[y])
    label.xyann = (x * distance, y * distance)
    if label.arrow_patch is not None:
        label.arrow_patch.set_visible(distance > LINED_FROM)
