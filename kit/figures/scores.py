"""How well validation predicts the leaderboard: validation score against public score."""

from collections.abc import Sequence

import numpy as np

from kit import metrics
from kit.figures import style
from kit.figures.point_labels import add_labels

MOST_NAMED = 12
LONGEST_NAME = 32


def validation_against_public(
    validation: Sequence[float],
    public: Sequence[float],
    names: Sequence[str] | None = None,
    title: str | None = None,
    metric: str = "accuracy",
) -> style.Figure:
    """Draw each submission's public score against its validation score, with the line on which both are equal.

    The band is the mean gap between the two, plus and minus one standard deviation. A difference in the validation
    score that is smaller than the band says little about the leaderboard.

    Args:
        validation: (n,) scores by the competition's metric.
        public: (n,) public scores, by the same.
        names: (n,) the names of the submissions; the best twelve are numbered and listed.
        title: the figure's title.
        metric: the metric's name, one of `kit.metrics.METRICS`.

    Raises:
        ValueError: there are no submissions, or not as many public as validation scores.
    """
    x, y = np.asarray(validation, float), np.asarray(public, float)
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise ValueError(f"{x.shape} validation scores and {y.shape} public scores: give both of each submission.")
    figure = style.new_figure(11 if names is not None else 8, 7.5, title)
    axes = style.format_axes(figure.subplots(), x=f"validation {metric}", y="public score")
    colour = style.COLOURS[0]
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = max(0.15 * (high - low), 0.0005)
    ends = np.array([low - margin, high + margin])
    axes.plot(ends, ends, "--", color=style.MUTED, linewidth=1.2, label=f"public score = validation {metric}")
    gap, deviation = (y - x).mean(), (y - x).std(ddof=min(1, len(x) - 1))
    label = f"mean gap {gap:+.5f}"
    if len(x) > 1:
        label += f" ± {deviation:.5f} (n = {len(x)})"
        axes.fill_between(ends, ends + gap - deviation, ends + gap + deviation, color=colour, alpha=0.15, linewidth=0)
    axes.plot(ends, ends + gap, color=colour, linewidth=1.5, label=label)
    axes.scatter(x, y, s=60, color=colour, edgecolor="white", zorder=3)
    best = np.argsort([-metrics.named(metric).gain(one) for one in y], kind="stable")[:MOST_NAMED]
    if names is not None:
        listed = "\n".join(
            f"{number:>2}  {style.shortened(names[row], LONGEST_NAME)}" for number, row in enumerate(best, 1)
        )
        axes.text(1.03, 1, listed, transform=axes.transAxes, va="top", fontsize=style.SMALL, linespacing=1.6)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_aspect("equal")
    axes.tick_params(axis="x", rotation=30)
    axes.ticklabel_format(useOffset=False)
    axes.legend(loc="upper left", fontsize=style.SMALL, frameon=False)
    if names is not None:
        numbers = [str(number) for number in range(1, len(best) + 1)]
        add_labels(figure, axes, [(x[row], y[row]) for row in best], numbers, style.SMALL)
    return figure
