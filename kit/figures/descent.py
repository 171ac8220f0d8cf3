"""What the learning rate does: gradient descent on a loss of two weights."""

from collections.abc import Sequence

import numpy as np

from kit.figures import style

# The loss is half of 1·w₁² + 10·w₂²: a valley that curves ten times as much across as along, so that no learning rate
# suits both directions. Above a learning rate of 2/10 the steps across diverge.
CURVATURE = np.array([1.0, 10.0])
START = np.array([-9.0, 0.8])
WIDTH, HEIGHT = 10.5, 6.0


def gradient_descent(learning_rates: Sequence[float] = (0.01, 0.15, 0.21), steps: int = 20) -> style.Figure:
    """Show the path of gradient descent in a long valley for several learning rates, and the loss after each step.

    With the default learning rates the first is too small to arrive, the second about right, and the third so large
    that every step overshoots more than the last.

    Args:
        learning_rates: one panel each; three or four are legible.
        steps: how many steps to take.
    """
    title = "gradient descent on the loss (w₁² + 10 w₂²) / 2"
    figure = style.new_figure(4.4 * (len(learning_rates) + 1), 5, title)
    *panels, curves = figure.subplots(1, len(learning_rates) + 1)
    colours = style.distinct_colours(len(learning_rates))
    for axes, rate, colour in zip(panels, learning_rates, colours, strict=True):
        path = descend(rate, steps)
        losses = _loss(path)
        _draw_path(axes, path, colour)
        style.format_axes(axes, f"learning rate {rate:g}: {_verdict(losses)}", "weight w₁", "weight w₂")
        axes.grid(False)
        curves.plot(range(steps + 1), losses, color=colour, linewidth=2.4, marker="o", markersize=4, label=f"{rate:g}")
    style.format_axes(curves, "loss after each step", "step", "loss (log scale)")
    curves.set_yscale("log")
    curves.legend(title="learning rate", title_fontsize=style.SMALL, fontsize=style.SMALL, loc="lower left")
    return figure


def descend(learning_rate: float, steps: int) -> np.ndarray:
    """Return the weights at the start and after each step of gradient descent, float64 (steps + 1, 2)."""
    # On this loss a step multiplies each weight by 1 - learning rate · curvature.
    return START * (1 - learning_rate * CURVATURE) ** np.arange(steps + 1)[:, None]


def _loss(weights: np.ndarray) -> np.ndarray:
    return (CURVATURE * weights**2).sum(-1) / 2


def _draw_path(axes, path: np.ndarray, colour) -> None:
    x, y = np.meshgrid(np.linspace(-WIDTH, WIDTH, 200), np.linspace(-HEIGHT, HEIGHT, 120))
    heights = np.sqrt(_loss(np.stack([x, y], -1)))
    axes.contourf(x, y, heights, levels=14, cmap="Greys", alpha=0.45)
    axes.plot(*path.T, color=colour, linewidth=2.2, marker="o", markersize=5)
    axes.plot(*path[0], "s", color="black", markersize=9)
    axes.plot(0, 0, "*", color="black", markersize=15)
    for text, position in (("start", path[0]), ("minimum", (0, 0))):
        above = {"xytext": (0, 11), "textcoords": "offset points", "ha": "center", "fontsize": style.SMALL}
        axes.annotate(text, position, path_effects=style.HALO, zorder=4, **above)
    axes.set(xlim=(-WIDTH, WIDTH), ylim=(-HEIGHT, HEIGHT))


def _verdict(losses: np.ndarray) -> str:
    if losses[-1] > losses[0]:
        return "too large"
    return "about right" if losses[-1] < 0.02 * losses[0] else "too small"
