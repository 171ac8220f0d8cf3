"""What the learning rate does: gradient descent on a valley that can be drawn."""

from collections.abc import Sequence

import numpy as np

from kit.figures import style

# The loss is half of 1·w₁² + 10·w₂²: a valley ten times steeper across than along, in which no step size suits both
# ways. Above a rate of 2/10 the steps across grow.
STEEPNESS = np.array([1.0, 10.0])
START = np.array([-9.0, 0.8])
WIDTH, HEIGHT = 10.5, 6.0


def gradient_descent(rates: Sequence[float] = (0.01, 0.15, 0.21), steps: int = 20) -> style.Figure:
    """Show gradient descent in a long valley with several learning rates: its way, and its loss after each step.

    With the default rates the first is too small to arrive, the second right, and the third so large that every step
    overshoots farther than the last.

    Args:
        rates: the learning rates, a panel each; three or four read well.
        steps: how many steps to take.
    """
    figure = style.sheet(
        4.4 * (len(rates) + 1), 5, "a valley ten times as steep across as along, with rings of equal loss"
    )
    *valleys, curves = figure.subplots(1, len(rates) + 1)
    for axes, rate, colour in zip(valleys, rates, style.spread(len(rates)), strict=True):
        places = descend(rate, steps)
        losses = _loss(places)
        _valley(axes, places, colour)
        style.plain(axes, f"learning rate {rate:g}: {_verdict(losses)}", "weight 1", "weight 2")
        axes.grid(False)
        curves.plot(range(steps + 1), losses, color=colour, linewidth=2.4, marker="o", markersize=4, label=f"{rate:g}")
    style.plain(curves, "loss after each step", "step", "loss (log scale)")
    curves.set_yscale("log")
    curves.legend(title="learning rate", title_fontsize=style.SMALL, fontsize=style.SMALL, loc="lower left")
    return figure


def descend(rate: float, steps: int) -> np.ndarray:
    """Return the weights at the start and after each step of gradient descent, float64 (steps + 1, 2)."""
    # On this valley a step multiplies each weight by 1 - rate · steepness.
    return START * (1 - rate * STEEPNESS) ** np.arange(steps + 1)[:, None]


def _loss(weights: np.ndarray) -> np.ndarray:
    return (STEEPNESS * weights**2).sum(-1) / 2


def _valley(axes, places: np.ndarray, colour) -> None:
    x, y = np.meshgrid(np.linspace(-WIDTH, WIDTH, 200), np.linspace(-HEIGHT, HEIGHT, 120))
    heights = np.sqrt(_loss(np.stack([x, y], -1)))
    axes.contourf(x, y, heights, levels=14, cmap="Greys", alpha=0.45)
    axes.plot(*places.T, color=colour, linewidth=2.2, marker="o", markersize=5)
    axes.plot(*places[0], "s", color="black", markersize=9)
    axes.plot(0, 0, "*", color="black", markersize=15)
    for word, place in (("start", places[0]), ("lowest", (0, 0))):
        above = {"xytext": (0, 11), "textcoords": "offset points", "ha": "center", "fontsize": style.SMALL}
        axes.annotate(word, place, path_effects=style.HALO, zorder=4, **above)
    axes.set(xlim=(-WIDTH, WIDTH), ylim=(-HEIGHT, HEIGHT))


def _verdict(losses: np.ndarray) -> str:
    if losses[-1] > losses[0]:
        return "too large"
    return "about right" if losses[-1] < 0.02 * losses[0] else "too small"
