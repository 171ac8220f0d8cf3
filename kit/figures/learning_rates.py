"""How the loss answers to a learning rate that grows from step to step."""

import numpy as np

from kit.figures import style


def learning_rate_sweep(
    learning_rates: np.ndarray,
    losses: np.ndarray,
    smoothed: np.ndarray,
    suggestion: float,
    title: str | None = None,
) -> style.Figure:
    """Draw each step's loss and their exponential mean against the learning rate, and mark the suggestion.

    Args:
        learning_rates, losses, smoothed: (n,), one number a step.
        suggestion: the learning rate to mark.
        title: the figure's title.
    """
    figure = style.new_figure(9, 5.5, title)
    axes = style.format_axes(figure.subplots(), x="learning rate", y="loss")
    axes.plot(learning_rates, losses, color=style.COLOURS[0], linewidth=1, alpha=0.35, label="each step")
    axes.plot(learning_rates, smoothed, color=style.COLOURS[0], linewidth=2.5, label="smoothed")
    axes.axvline(suggestion, color=style.WRONG, linewidth=2, label=f"suggestion: {suggestion:g}")
    lowest = int(np.argmin(smoothed))
    axes.scatter(learning_rates[lowest], smoothed[lowest], color=style.COLOURS[0], zorder=3, label="lowest loss")
    axes.set_xscale("log")
    low, high = float(smoothed.min()), float(smoothed[0])
    axes.set_ylim(low - 0.15 * (high - low), high + 0.6 * (high - low))
    axes.legend(fontsize=style.SMALL, frameon=False, loc="upper left")
    return figure
