"""How training went: loss and accuracy per epoch, and accuracy against time, of one run or of several."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import lines, ticker

from kit.figures import style

STRETCH_FROM = 0.9  # above this accuracy, the error (1 % or 0.5 %) tells runs apart and the accuracy does not
TICKS = (0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998)
WIDTH, HEIGHT = 16.0, 5.0
LONGEST_NAME = 48
MANY_RUNS = 4  # runs from which on training is drawn lighter than validation
COLUMNS = {"accuracy": "accuracy", "log-loss": "loss"}  # of a history, by metric; others are in val_score
MARKED_EPOCHS = 15  # a curve of at most so many epochs has a marker for each


def learning_curves(
    histories: pd.DataFrame | Mapping[str, pd.DataFrame], title: str | None = None, metric: str = "accuracy"
) -> style.Figure:
    """Draw loss per epoch, accuracy per epoch, and accuracy against time; each run in its own colour.

    Where a competition scores by log-loss, that is drawn against time; by another metric, that takes accuracy's place.

    Training is dashed, validation solid. With folds, every fold is a thin line and their mean a thick one. Once a
    run passes 90 % the accuracy axis is stretched towards 100 %, so that 99.2 % and 99.6 % are visibly apart.

    Args:
        histories: a run's `history.csv`, or those of several runs by name. Columns: fold, epoch, seconds, loss,
            accuracy, val_loss, val_accuracy, val_score; one row for each epoch, `seconds` counted from the start of
            training, NaN where nothing was measured. `fold`, `seconds` and the validation columns may be absent.
        title: the figure's title.
        metric: by what the competition scores, one of `kit.metrics.METRICS`.

    Returns:
        The figure: three plots side by side.

    Raises:
        ValueError: `histories` is empty.
    """
    runs = {"": histories} if isinstance(histories, pd.DataFrame) else dict(histories)
    if not runs or all(history.empty for history in runs.values()):
        raise ValueError("no history to draw: give at least one table with one row for each epoch.")
    legend = _legend(runs)
    columns = _legend_columns([str(entry.get_label()) for entry in legend])
    legend_rows = -(-len(legend) // columns)
    figure = style.new_figure(WIDTH, HEIGHT + 0.25 * (legend_rows - 1), title)
    column = COLUMNS.get(metric, "score")
    second, shown = ("accuracy", "accuracy") if column == "loss" else (column, metric)
    loss, score, time = figure.subplots(1, 3)
    training_opacity = 1.0 if len(runs) < MANY_RUNS else 0.45
    for colour, history in zip(style.distinct_colours(len(runs)), runs.values(), strict=True):
        _draw(loss, history, "epoch", "loss", colour, training_opacity)
        _draw(score, history, "epoch", second, colour, training_opacity)
        _draw(time, history, "seconds", column, colour, training_opacity)
    style.format_axes(loss, "loss per epoch", "epoch", "loss")
    style.format_axes(score, f"{shown} per epoch", "epoch", shown)
    style.format_axes(time, f"{metric} against time", "seconds of training", metric)
    for axes in (loss, time) if column == "loss" else (loss,):
        _format_loss(axes)
    worst, best = _range([history.get(column) for history in runs.values() for column in ("accuracy", "val_accuracy")])
    for axes, drawn in ((score, second), (time, column)):
        if drawn == "accuracy":
            format_accuracy(axes, worst, best)
    for axes in (loss, score):
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1))
    figure.legend(handles=legend, loc="outside lower center", ncols=columns, fontsize=style.SMALL + 1, frameon=False)
    return figure


def format_accuracy(axes, worst: float, best: float) -> None:
    """Give the y-axis of accuracies its range, ticks and percentages, stretched towards 100 % where they are high.

    Args:
        axes: the plot.
        worst, best: the lowest and the highest accuracy drawn, 0…1.
    """
    style.percent_axis(axes.yaxis)
    if best < STRETCH_FROM:
        axes.set_ylim(max(0.0, worst - 0.05), min(1.0, best + 0.05))
        return
    top = 1 - 0.7 * max(1 - best, 1e-4)
    bottom = max(0.0, min(worst, 0.99) - 0.02)

    def stretched(accuracy):
        return -np.log10(np.maximum(1 - np.asarray(accuracy, float), 1e-5))

    axes.set_yscale("function", functions=(stretched, lambda height: 1 - 10 ** -np.asarray(height, float)))
    axes.set_ylim(bottom, top)
    axes.yaxis.set_major_locator(ticker.FixedLocator([tick for tick in TICKS if bottom <= tick <= top]))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    style.percent_axis(axes.yaxis)


def _range(columns: list[pd.Series | None]) -> tuple[float, float]:
    """The lowest and the highest number that was measured; 1 and 0 where there is none."""
    measured = pd.concat([pd.Series(dtype=float), *(column.dropna() for column in columns if column is not None)])
    return (float(measured.min()), float(measured.max())) if len(measured) else (1.0, 0.0)


def _draw(axes, history: pd.DataFrame, x: str, y: str, colour, training_opacity: float) -> None:
    if x not in history:
        return
    for column, dashes, opacity in ((y, "--", training_opacity), (f"val_{y}", "-", 1.0)):
        if column not in history:
            continue
        folds = [fold for _, fold in history.groupby("fold")] if "fold" in history else [history]
        mean = folds[0]
        if len(folds) > 1:
            for fold in folds:
                measured = fold[[x, column]].dropna()
                axes.plot(*measured.to_numpy().T, dashes, color=colour, linewidth=0.8, alpha=0.45 * opacity)
            mean = history.groupby("epoch", as_index=False)[[x, column] if x != "epoch" else [column]].mean()
        measured = mean[[x, column]].dropna()
        markers = _markers(measured, dashes, colour)
        width = 2.2 if opacity == 1 else 1.4
        axes.plot(*measured.to_numpy().T, dashes, color=colour, linewidth=width, alpha=opacity, **markers)


def _markers(measured: pd.DataFrame, dashes: str, colour) -> dict:
    """Markers for a curve of few epochs: a line through a single epoch is invisible."""
    if len(measured) > MARKED_EPOCHS:
        return {}
    return {"marker": "o", "markersize": 5, "markerfacecolor": colour if dashes == "-" else "white"}


def _format_loss(axes) -> None:
    """Give losses a log scale where they differ by a factor of 4 or more."""
    drawn = np.concatenate([[], *(line.get_ydata() for line in axes.lines)])
    if not drawn.size or drawn.min() <= 0 or drawn.max() < 4 * drawn.min():
        return
    axes.set_yscale("log")
    axes.set_ylabel(f"{axes.get_ylabel()} (log scale)")
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.yaxis.set_minor_formatter(ticker.FuncFormatter(_two_and_five))


def _two_and_five(value: float, _) -> str:
    """Label 2 and 5 between powers of ten: losses seldom span two powers of ten."""
    return f"{value:.3g}" if f"{value:e}"[0] in "25" else ""


def _legend(runs: Mapping[str, pd.DataFrame]) -> list[lines.Line2D]:
    names = [style.shortened(name, LONGEST_NAME) for name in runs]
    if len(set(names)) < len(runs):
        names = list(runs)
    named = [
        lines.Line2D([], [], color=colour, linewidth=4, label=name)
        for colour, name in zip(style.distinct_colours(len(runs)), names, strict=True)
        if name
    ]
    colour = style.MUTED if named else style.COLOURS[0]
    return [
        *named,
        lines.Line2D([], [], color=colour, linewidth=2.2, marker="o", label="validation"),
        lines.Line2D([], [], color=colour, linewidth=2.2, linestyle="--", marker="o", mfc="white", label="training"),
    ]


def _legend_columns(labels: list[str]) -> int:
    """How many columns of the legend fit side by side; a character is about 0.1 inches wide, a line sample 0.7."""
    return max(1, min(len(labels), 6, int(WIDTH / (0.7 + 0.1 * max(map(len, labels))))))
