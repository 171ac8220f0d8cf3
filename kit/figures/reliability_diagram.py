"""How well confidence and accuracy agree: the reliability diagram.

Reference: Guo et al., "On Calibration of Modern Neural Networks" (2017).
"""

import numpy as np
from matplotlib import ticker

from kit import metrics
from kit.figures import style

FEW = 10  # images; the accuracy of fewer is hardly known


def calibration(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> style.Figure:
    """Show whether a confidence of 90 % means an accuracy of 90 %: a reliability diagram over a histogram.

    Args:
        labels: (n,) integers, the true classes.
        probabilities: (n, classes).
        bins: how many equally wide bins of confidence.
    """
    measured = metrics.calibration(labels, probabilities, bins)
    confidence, accuracy, count = measured.confidence, measured.accuracy, measured.count
    figure = style.new_figure(7.5, 8)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.1])
    style.format_axes(upper, f"expected calibration error (ECE) {measured.error:.2%}", "", "accuracy")
    upper.plot([0, 1], [0, 1], color=style.MUTED, linestyle="--", linewidth=2, label="perfect calibration")
    filled, many = count > 0, count >= FEW
    upper.vlines(confidence[filled], accuracy[filled], confidence[filled], color=style.WRONG, linewidth=3)
    upper.plot(confidence[filled], accuracy[filled], color=style.CORRECT, linewidth=2.2)
    for chosen, fill, label in (
        (many, style.CORRECT, None),
        (filled & ~many, "white", f"fewer than {FEW} images" if (filled & ~many).any() else None),
    ):
        upper.plot(
            confidence[chosen],
            accuracy[chosen],
            linestyle="none",
            marker="o",
            markersize=8,
            markeredgewidth=2,
            markeredgecolor=style.CORRECT,
            markerfacecolor=fill,
            clip_on=False,
            label=label,
        )
    upper.plot([], [], color=style.WRONG, linewidth=3, label="overconfident (below) or underconfident (above)")
    upper.legend(fontsize=style.SMALL, loc="best", framealpha=1)
    style.format_axes(lower, "", "confidence (probability of the predicted class)", "images (log scale)")
    edges = np.linspace(0, 1, bins + 1)
    lower.bar(edges[:-1], count, width=1 / bins, align="edge", color=style.COLOURS[5], edgecolor="white")
    lower.set_yscale("log")
    lower.set_ylim(bottom=0.7)
    lower.yaxis.set_major_formatter(ticker.FuncFormatter(lambda images, _: f"{images:,.0f}"))
    lower.yaxis.set_minor_formatter(ticker.NullFormatter())
    upper.set(xlim=(0, 1), ylim=(0, 1.02))
    for axis in (upper.xaxis, upper.yaxis):
        style.percent_axis(axis)
    return figure
