"""How training went: loss and accuracy per epoch and against time, one run or several."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import lines, ticker

from kit.figures import style

# Above this accuracy, what is still missing (1 % or 0.5 %) says more than what is there.
FINE = 0.9


def learning_curves(histories: pd.DataFrame | Mapping[str, pd.DataFrame], title: str | None = None) -> style.Figure:
    """Draw loss per epoch, accuracy per epoch and accuracy against time, each run in its own colour.

    Training is dashed, validation solid. With folds, every fold is a thin line and their mean a thick one. Once a
    run passes 90 % the accuracy's axis is stretched towards 100 %, so that 99.2 % and 99.6 % are seen apart.

    Args:
        histories: a run's `history.csv`, or several by name. Columns: fold, epoch, seconds, learning_rate, loss,
            accuracy, val_loss, val_accuracy; one row an epoch, seconds of fit so far, NaN where nothing was measured.
            `fold`, `seconds` and the validation's columns may be absent.
        title: the figure's heading.

    Returns:
        The figure, three plots wide.

    Raises:
        ValueError: `histories` is empty.
    """
    runs = {"": histories} if isinstance(histories, pd.DataFrame) else dict(histories)
    if not runs or all(history.empty for history in runs.values()):
        raise ValueError("no history to draw: give at least one table with a row an epoch.")
    figure = style.sheet(16, 5, title)
    loss, accuracy, time = figure.subplots(1, 3)
    best, worst = 0.0, 1.0
    for colour, history in zip(style.spread(len(runs)), runs.values(), strict=True):
        _draw(loss, history, "epoch", "loss", colour)
        _draw(accuracy, history, "epoch", "accuracy", colour)
        _draw(time, history, "seconds", "accuracy", colour)
        reached = history[history.columns.intersection(["accuracy", "val_accuracy"])].to_numpy(float)
        if np.isfinite(reached).any():
            best, worst = max(best, np.nanmax(reached)), min(worst, np.nanmin(reached))
    _loss_axis(style.plain(loss, "loss per epoch", "epoch", "loss"))
    style.plain(accuracy, "accuracy per epoch", "epoch", "accuracy")
    style.plain(time, "accuracy against time", "seconds of training", "accuracy")
    for axes in (loss, accuracy):
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1))
    for axes in (accuracy, time):
        _accuracy_axis(axes, best, worst)
    figure.legend(handles=_legend(runs), loc="outside lower center", ncols=6, fontsize=style.SMALL + 1, frameon=False)
    return figure


def _draw(axes, history: pd.DataFrame, x: str, y: str, colour) -> None:
    if x not in history:
        return
    for column, dashes in ((y, "--"), (f"val_{y}", "-")):
        if column not in history:
            continue
        folds = [fold for _, fold in history.groupby("fold")] if "fold" in history else [history]
        single = len(folds) == 1
        for fold in folds:
            measured = fold[[x, column]].dropna()
            axes.plot(
                measured[x],
                measured[column],
                dashes,
                color=colour,
                linewidth=2.2 if single else 0.8,
                alpha=1 if single else 0.45,
                **(_marks(measured, dashes, colour) if single else {}),
            )
        if not single:
            mean = history.groupby("epoch")[[x, column] if x != "epoch" else [column]].mean().reset_index().dropna()
            axes.plot(mean[x], mean[column], dashes, color=colour, linewidth=2.6, **_marks(mean, dashes, colour))


def _marks(measured: pd.DataFrame, dashes: str, colour) -> dict:
    """Mark the epochs where they are few: a single one would not be seen at all."""
    few = len(measured) <= 15
    return {"marker": "o", "markersize": 5, "markerfacecolor": colour if dashes == "-" else "white"} if few else {}


def _loss_axis(axes) -> None:
    drawn = np.concatenate([[], *(line.get_ydata() for line in axes.lines)])
    if not drawn.size or drawn.min() <= 0 or drawn.max() < 4 * drawn.min():
        return
    axes.set_yscale("log")
    axes.set_ylabel("loss (log scale)")
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.yaxis.set_minor_formatter(ticker.FuncFormatter(_half_decades))


def _accuracy_axis(axes, best: float, worst: float) -> None:
    if best < FINE:
        style.percent(axes.yaxis)
        axes.set_ylim(max(0.0, worst - 0.05), min(1.0, best + 0.05))
        return
    ceiling = 1 - 0.7 * max(1 - best, 1e-4)

    def stretched(share):
        return -np.log10(np.maximum(1 - np.asarray(share, float), 1e-5))

    axes.set_yscale("function", functions=(stretched, lambda height: 1 - 10 ** -np.asarray(height, float)))
    marks = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998]
    floor = max(0.0, min(worst, 0.99) - 0.02)
    axes.set_ylim(floor, ceiling)
    axes.yaxis.set_major_locator(ticker.FixedLocator([mark for mark in marks if floor <= mark <= ceiling]))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    style.percent(axes.yaxis)


def _half_decades(value: float, _) -> str:
    """Label 2 and 5 between powers of ten: a loss seldom spans a whole decade with its labels."""
    leading = f"{value:e}"[0]
    return f"{value:.3g}" if leading in "25" else ""


def _legend(runs: Mapping[str, pd.DataFrame]) -> list[lines.Line2D]:
    named = [
        lines.Line2D([], [], color=colour, linewidth=4, label=name)
        for colour, name in zip(style.spread(len(runs)), runs, strict=True)
        if name
    ]
    grey = style.MUTED if named else style.COLOURS[0]
    return [
        *named,
        lines.Line2D([], [], color=grey, linewidth=2.2, marker="o", label="validation"),
        lines.Line2D([], [], color=grey, linewidth=2.2, linestyle="--", marker="o", mfc="white", label="training"),
    ]
