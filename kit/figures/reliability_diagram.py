"""Whether predicted probabilities are what they say: the reliability diagram and its one number.

Reference: Guo et al., "On Calibration of Modern Neural Networks" (2017).
"""

import numpy as np
from matplotlib import ticker

from kit import metrics
from kit.figures import style

FEW = 10  # images of which the share that is right says little


def calibration(labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> style.Figure:
    """Show whether 90 % sure means right nine times in ten: a reliability diagram over a histogram of confidence.

    Args:
        labels: (n,) integers, the truth.
        probabilities: (n, classes).
        bins: how many equally wide ranges of confidence.
    """
    bands = metrics.calibration(labels, probabilities, bins)
    figure = style.sheet(7.5, 8)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.1])
    style.plain(upper, f"calibration error (ECE) {100 * bands.error:.2f} %", "", "share that is right")
    upper.plot([0, 1], [0, 1], color=style.MUTED, linestyle="--", linewidth=2, label="perfectly calibrated")
    filled, many = bands.count > 0, bands.count >= FEW
    upper.vlines(
        bands.confidence[filled], bands.accuracy[filled], bands.confidence[filled], color=style.WRONG, linewidth=3
    )
    upper.plot(bands.confidence[filled], bands.accuracy[filled], color=style.RIGHT, linewidth=2.2)
    dots = {"linestyle": "none", "marker": "o", "markersize": 8, "markeredgewidth": 2, "clip_on": False}
    dots["markeredgecolor"] = style.RIGHT
    for some, fill in ((many, style.RIGHT), (filled & ~many, "white")):
        label = f"fewer than {FEW} images: chance" if fill == "white" and some.any() else None
        upper.plot(bands.confidence[some], bands.accuracy[some], markerfacecolor=fill, label=label, **dots)
    upper.plot([], [], color=style.WRONG, linewidth=3, label="overconfident (below) or underconfident (above)")
    upper.legend(fontsize=style.SMALL, loc="best", framealpha=1)
    style.plain(lower, "", "probability of the predicted class", "images (log scale)")
    edges = np.linspace(0, 1, bins + 1)
    lower.bar(edges[:-1], bands.count, width=1 / bins, align="edge", color=style.COLOURS[5], edgecolor="white")
    lower.set_yscale("log")
    lower.set_ylim(bottom=0.7)
    lower.yaxis.set_major_formatter(ticker.FuncFormatter(lambda count, _: f"{count:,.0f}"))
    lower.yaxis.set_minor_formatter(ticker.NullFormatter())
    upper.set(xlim=(0, 1), ylim=(0, 1.02))
    for axis in (upper.xaxis, upper.yaxis):
        style.percent(axis)
    return figure
