"""Whether predicted probabilities are what they say: the reliability diagram and its one number.

Reference: Guo et al., "On Calibration of Modern Neural Networks" (2017).
"""

import numpy as np
import pandas as pd
from matplotlib import ticker

from kit.figures import canvas

FEW = 10  # images of which the share that is right says little


def calibration(labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> canvas.Figure:
    """Show whether 90 % sure means right nine times in ten: a reliability diagram over a histogram of certainty.

    Args:
        labels: (n,) integers, the truth.
        probabilities: (n, classes).
        bins: how many equally wide ranges of certainty.
    """
    bands, error = reliability(labels, probabilities, bins)
    figure = canvas.sheet(7.5, 8)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.1])
    canvas.plain(upper, f"calibration error (ECE) {100 * error:.2f} %", "", "share that is right")
    upper.plot([0, 1], [0, 1], color=canvas.MUTED, linestyle="--", linewidth=2, label="perfectly calibrated")
    filled = bands[bands["count"] > 0]
    upper.vlines(filled["certainty"], filled["accuracy"], filled["certainty"], color=canvas.WRONG, linewidth=3)
    upper.plot(filled["certainty"], filled["accuracy"], color=canvas.RIGHT, linewidth=2.2)
    dots = {"linestyle": "none", "marker": "o", "markersize": 8, "markeredgewidth": 2, "clip_on": False}
    dots["markeredgecolor"] = canvas.RIGHT
    for some, fill in ((filled[filled["count"] >= FEW], canvas.RIGHT), (filled[filled["count"] < FEW], "white")):
        label = f"fewer than {FEW} images: chance" if fill == "white" and len(some) else None
        upper.plot(some["certainty"], some["accuracy"], markerfacecolor=fill, label=label, **dots)
    upper.plot([], [], color=canvas.WRONG, linewidth=3, label="too sure (below) or too careful (above)")
    upper.legend(fontsize=canvas.SMALL, loc="best", framealpha=1)
    canvas.plain(lower, "", "probability of the predicted class", "images (log scale)")
    edges = np.linspace(0, 1, bins + 1)
    lower.bar(edges[:-1], bands["count"], width=1 / bins, align="edge", color=canvas.COLOURS[5], edgecolor="white")
    lower.set_yscale("log")
    lower.set_ylim(bottom=0.7)
    lower.yaxis.set_major_formatter(ticker.FuncFormatter(lambda count, _: f"{count:,.0f}"))
    lower.yaxis.set_minor_formatter(ticker.NullFormatter())
    upper.set(xlim=(0, 1), ylim=(0, 1.02))
    for axis in (upper.xaxis, upper.yaxis):
        canvas.percent(axis)
    return figure


def reliability(labels: np.ndarray, probabilities: np.ndarray, bins: int) -> tuple[pd.DataFrame, float]:
    """Compare how sure the predictions are with how often they are right.

    Args:
        labels: (n,) integers, the truth.
        probabilities: (n, classes).
        bins: how many equally wide ranges of the predicted class's probability.

    Returns:
        A table with a row a range – `count`, mean `certainty` and `accuracy`, both NaN where `count` is 0 – and the
        expected calibration error: the mean of |accuracy - certainty|, weighted by the counts.
    """
    certainty = np.asarray(probabilities, float).max(1)
    right = np.asarray(probabilities).argmax(1) == np.asarray(labels)
    band = np.minimum((certainty * bins).astype(int), bins - 1)
    count = np.bincount(band, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_certainty = np.bincount(band, certainty, bins) / count
        accuracy = np.bincount(band, right, bins) / count
    filled = count > 0
    error = np.sum(count[filled] * np.abs(accuracy - mean_certainty)[filled]) / len(certainty)
    return pd.DataFrame({"count": count, "certainty": mean_certainty, "accuracy": accuracy}), float(error)
