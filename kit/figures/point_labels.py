"""Labels beside the points of a plot, placed so that they cover neither points nor each other."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from kit.figures import style

# Where a label may stand: its direction from the point (x, y), and its distance in typographic points.
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
DISTANCES = (8, 18, 30, 44, 60, 80, 110)
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
    frame = axes.get_window_extent()
    centres = axes.transData.transform(np.asarray(points, float))
    covered = [
        Bbox.from_bounds(x - RADIUS * pixels, y - RADIUS * pixels, 2 * RADIUS * pixels, 2 * RADIUS * pixels)
        for x, y in centres
    ]
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
        covered.append(_place(label, centre, pixels, frame, covered))
        drawn.append(label)
    return drawn


def _place(label: Annotation, centre: np.ndarray, pixels: float, frame: Bbox, covered: list[Bbox]) -> Bbox:
    """Move a label to the place where it covers least, the nearest one among equals; return its box in pixels."""
    size = label.get_window_extent()
    costs: list[tuple[int, int, Bbox]] = []
    for distance in DISTANCES:
        for x, y in DIRECTIONS:
            left = centre[0] + x * distance * pixels - size.width * (1 - x) / 2
            bottom = centre[1] + y * distance * pixels - size.height * (1 - y) / 2
            box = Bbox.from_bounds(left, bottom, size.width, size.height)
            outside = size.width * size.height - _shared_area(box, frame)
            costs.append((round(outside + sum(_shared_area(box, other) for other in covered)), len(costs), box))
    _, chosen, box = min(costs, key=lambda cost: cost[:2])
    distance, (x, y) = DISTANCES[chosen // len(DIRECTIONS)], DIRECTIONS[chosen % len(DIRECTIONS)]
    label.set_horizontalalignment(("center", "left", "right")[x])
    label.set_verticalalignment(("center", "bottom", "top")[y])
    label.xyann = (x * distance, y * distance)
    if label.arrow_patch is not None:
        label.arrow_patch.set_visible(distance > LINED_FROM)
    return box


def _shared_area(first: Bbox, second: Bbox) -> float:
    shared = Bbox.intersection(first, second)
    return shared.width * shared.height if shared is not None else 0.0
