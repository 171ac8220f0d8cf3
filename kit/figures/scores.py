"""How far validation can be trusted: its accuracy against the public score."""

from collections.abc import Sequence

import numpy as np

from kit.figures import style

NAMED_AT_MOST = 12


def validation_against_public(
    validation: Sequence[float],
    public: Sequence[float],
    names: Sequence[str] | None = None,
    title: str | None = None,
) -> style.Figure:
    """Draw each submission's public score over its validation accuracy, beside the line where both are equal.

    The band is the mean gap between the two, plus and minus one standard deviation: a difference in validation that
    is smaller than the band is wide says little about the leaderboard.

    Args:
        validation: (n,) accuracies, 0 to 1.
        public: (n,) public scores, 0 to 1.
        names: (n,) what the submissions are called; the best twelve are numbered and named.
        title: the figure's heading.

    Returns:
        The figure.

    Raises:
        ValueError: the two differ in number, or there are none.
    """
    validation, public = np.asarray(validation, float), np.asarray(public, float)
    if validation.shape != public.shape or validation.ndim != 1 or not len(validation):
        raise ValueError(f"{validation.shape} accuracies and {public.shape} scores: one pair for each submission.")
    figure = style.sheet(11 if names is not None else 8, 7.5, title)
    axes = style.plain(figure.subplots(), x="validation accuracy", y="public score")
    colour = style.COLOURS[0]
    low, high = min(validation.min(), public.min()), max(validation.max(), public.max())
    margin = max(0.15 * (high - low), 0.0005)
    ends = np.array([low - margin, high + margin])
    axes.plot(ends, ends, "--", color=style.MUTED, linewidth=1.2, label="public = validation")
    gap, spread = (public - validation).mean(), (public - validation).std()
    label = f"mean gap {gap:+.5f}"
    if len(validation) > 1:
        label += f" ± {spread:.5f} (n = {len(validation)})"
        axes.fill_between(ends, ends + gap - spread, ends + gap + spread, color=colour, alpha=0.15, linewidth=0)
    axes.plot(ends, ends + gap, color=colour, linewidth=1.5, label=label)
    axes.scatter(validation, public, s=60, color=colour, edgecolor="white", zorder=3)
    best = np.argsort(-public, kind="stable")[:NAMED_AT_MOST]
    if names is not None:
        for place, one in enumerate(best, 1):
            beside = {"xytext": (5, -12), "textcoords": "offset points", "fontsize": style.SMALL}
            axes.annotate(str(place), (validation[one], public[one]), path_effects=style.HALO, zorder=4, **beside)
        named = "\n".join(f"{place:>2}  {names[one][:32]}" for place, one in enumerate(best, 1))
        axes.text(1.03, 1, named, transform=axes.transAxes, va="top", fontsize=style.SMALL, linespacing=1.6)
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    axes.tick_params(axis="x", rotation=30)
    axes.ticklabel_format(useOffset=False)
    axes.legend(loc="upper left", fontsize=style.SMALL, frameon=False)
    return figure
