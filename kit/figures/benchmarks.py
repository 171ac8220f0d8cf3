"""Recipes compared: the accuracy that each reaches, and the time that it takes."""

from collections.abc import Sequence

import pandas as pd
from matplotlib import ticker

from kit.figures import style
from kit.figures.curves import format_accuracy
from kit.figures.point_labels import add_labels

MARKERS = "osD^v<>"
COLUMNS = ("recipe", "seconds", "accuracy")
LONGEST_NAME = 28
MOST_TICKS = 10
MINUTE, HOUR = 60, 3600
DURATIONS: dict[float, str] = {
    **{seconds: f"{seconds:g} s" for seconds in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30)},
    **{MINUTE * minutes: f"{minutes} min" for minutes in (1, 2, 5, 10, 20, 30)},
    **{HOUR * hours: f"{hours} h" for hours in (1, 2, 5, 10, 20, 50, 100)},
}


def accuracy_against_seconds(results: pd.DataFrame, title: str | None = None) -> style.Figure:
    """Draw the validation accuracy of several recipes against their seconds of training, on a logarithmic axis.

    Each recipe is a point: the mean over its trainings, with bars of one standard deviation (n - 1) each way. Where
    the results have epochs, a line through the means after each epoch leads to the point.

    Args:
        results: one row for each training, or for each epoch of each training. Columns: `recipe`, its name;
            `seconds`, from the start of training, more than 0; `accuracy`, 0…1; `seed` and `epoch`, which may be
            absent.
        title: the figure's title.

    Raises:
        ValueError: there are no results, a column is missing, or a number is outside its range.
    """
    missing = [column for column in COLUMNS if column not in results]
    if missing or results.empty:
        raise ValueError(f"no results to draw: give rows with the columns {', '.join(COLUMNS)}.")
    if not (results["seconds"] > 0).all() or not results["accuracy"].between(0, 1).all():
        raise ValueError("seconds must be more than 0, and accuracies between 0 and 1.")
    figure = style.new_figure(10, 6.4, title)
    axes = style.format_axes(figure.subplots(), "", "training time (log scale)", "validation accuracy")
    points, labels, counts = [], [], []
    for number, (name, rows) in enumerate(results.groupby("recipe", sort=False)):
        trainings = _last_epochs(rows)
        mean = trainings[["seconds", "accuracy"]].mean()
        colour = style.COLOURS[number % len(style.COLOURS)]
        if len(rows) > len(trainings):
            path = rows.groupby("epoch")[["seconds", "accuracy"]].mean()
            axes.plot(path["seconds"], path["accuracy"], color=colour, linewidth=1.6, alpha=0.5)
        axes.errorbar(
            mean["seconds"],
            mean["accuracy"],
            xerr=_deviation(trainings["seconds"]),
            yerr=_deviation(trainings["accuracy"]),
            color=colour,
            marker=MARKERS[number % len(MARKERS)],
            markersize=10,
            markeredgecolor="white",
            elinewidth=1.8,
            capsize=3,
            zorder=3,
        )
        points.append((float(mean["seconds"]), float(mean["accuracy"])))
        labels.append(style.shortened(str(name), LONGEST_NAME))
        counts.append(len(trainings))
    axes.set_title(_note(counts), fontsize=style.SMALL, loc="right")
    _format_seconds(axes, float(results["seconds"].min()), float(results["seconds"].max()))
    format_accuracy(axes, float(results["accuracy"].min()), float(results["accuracy"].max()))
    add_labels(figure, axes, points, labels)
    return figure


def _last_epochs(rows: pd.DataFrame) -> pd.DataFrame:
    """The last epoch of every training of a recipe."""
    if "epoch" not in rows:
        return rows
    if "seed" not in rows:
        return rows.loc[[rows["epoch"].idxmax()]]
    return rows.loc[rows.groupby("seed")["epoch"].idxmax()]


def _deviation(values: pd.Series) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _note(counts: Sequence[int]) -> str:
    if max(counts) == 1:
        return "one training each"
    several = f"{max(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    return f"mean ± standard deviation of {several} trainings"


def _format_seconds(axes, shortest: float, longest: float) -> None:
    """Give the x-axis its range, and ticks such as "30 s" and "2 min"."""
    low, high = shortest / 1.5, longest * 1.5
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = [duration for duration in DURATIONS if low <= duration <= high]
    axes.xaxis.set_major_locator(ticker.FixedLocator(ticks[:: 1 + len(ticks) // (MOST_TICKS + 1)]))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda seconds, _: DURATIONS.get(seconds, "")))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
