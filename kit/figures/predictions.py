"""How good predictions are: confusion matrix, correct and wrong predictions, disagreement of two networks."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colors, patches

from kit import metrics
from kit.figures import style


def confusion_matrix(
    labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str] | None = None, title: str | None = None
) -> style.Figure:
    """Show the confusion matrix: a row is a true class, a column a predicted one, a cell the number of images.

    The colour is the share of the row, on a scale that makes a handful of mistakes visible.

    Args:
        labels: (n,) integers, the true classes.
        predicted: (n,) integers, or (n, classes) probabilities.
        class_names: the name of each class; its number by default.
        title: the figure's title; the accuracy by default.
    """
    from sklearn.metrics import confusion_matrix as count_pairs

    labels, predicted = np.asarray(labels), np.asarray(predicted)
    classes = predicted.shape[1] if predicted.ndim == 2 else int(max(labels.max(), predicted.max())) + 1
    predicted = predicted.argmax(1) if predicted.ndim == 2 else predicted
    names = style.class_names(classes, class_names)
    classes = len(names)
    counts = count_pairs(labels, predicted, labels=range(classes))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    long = max(map(len, names)) > 2
    figure = style.new_figure(0.85 * classes + (3 if long else 2), 0.72 * classes + 1.8)
    axes = figure.subplots()
    heat_map = axes.imshow(shares, cmap="Blues", norm=colors.PowerNorm(0.4, vmin=0, vmax=1))
    for row, column in np.argwhere(counts):
        colour = "white" if shares[row, column] ** 0.4 > 0.55 else "black"
        text = f"{counts[row, column]:,}"
        axes.text(column, row, text, ha="center", va="center", fontsize=style.SMALL, color=colour)
    axes.set_xticks(range(classes), names, fontsize=style.NORMAL, rotation=45 if long else 0)
    if long:
        for tick_label in axes.get_xticklabels():
            tick_label.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(range(classes), names, fontsize=style.NORMAL)
    axes.set_xlabel("predicted class", fontsize=style.NORMAL + 1)
    axes.set_ylabel("true class", fontsize=style.NORMAL + 1)
    wrong = int((labels != predicted).sum())
    default_title = f"accuracy {1 - wrong / len(labels):.2%}, {wrong:,} of {len(labels):,} wrong"
    axes.set_title(title or default_title, fontsize=style.NORMAL + 1)
    bar = figure.colorbar(heat_map, ax=axes, shrink=0.8, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1])
    bar.ax.set_title("share of\nthe class", fontsize=style.SMALL)
    bar.ax.tick_params(labelsize=style.SMALL)
    style.percent_axis(bar.ax.yaxis)
    return figure


def wrong_predictions(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str] | None = None,
    count: int = 12,
) -> style.Figure:
    """Show the worst mistakes (the least probability for the true class first), each with its three likeliest classes.

    Args:
        images: (n, h, w, 1 or 3) uint8.
        labels: (n,) integers, the true classes.
        probabilities: (n, classes).
        class_names: the name of each class; its number by default.
        count: how many mistakes to show at most.
    """
    worst = worst_mistakes(labels, probabilities, count)
    if not len(worst):
        return style.message("there are no wrong predictions")
    return _with_probabilities(images[worst], labels[worst], probabilities[worst], class_names)


def correct_predictions(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str] | None = None,
    count: int = 12,
) -> style.Figure:
    """Show correct predictions, the least confident first, each with its three likeliest classes.

    Args:
        images: (n, h, w, 1 or 3) uint8.
        labels: (n,) integers, the true classes.
        probabilities: (n, classes).
        class_names: the name of each class; its number by default.
        count: how many to show at most.
    """
    chosen = _least_likely(probabilities.argmax(1) == labels, labels, probabilities, count)
    if not len(chosen):
        return style.message("there are no correct predictions")
    return _with_probabilities(images[chosen], labels[chosen], probabilities[chosen], class_names)


def worst_mistakes(labels: np.ndarray, probabilities: np.ndarray, count: int) -> np.ndarray:
    """Return the rows of the `count` worst mistakes, the least probability for the true class first, (k,) int64."""
    return _least_likely(probabilities.argmax(1) != labels, labels, probabilities, count)


def disagreement(
    images: np.ndarray,
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    names: tuple[str, str] = ("first", "second"),
    class_names: Sequence[str] | None = None,
    count: int = 8,
) -> style.Figure:
    """Show the images on which two networks disagree most, each with the likeliest classes of both.

    Args:
        images: (n, h, w, 1 or 3) uint8.
        labels: (n,) integers, the true classes.
        first, second: (n, classes) probabilities of the two networks.
        names: the names of the two networks.
        class_names: the name of each class; its number by default.
        count: how many images to show at most.
    """
    labels = np.asarray(labels)
    differing = np.flatnonzero(first.argmax(1) != second.argmax(1))
    distance = np.abs(first[differing] - second[differing]).sum(1)
    chosen = differing[np.argsort(-distance, kind="stable")[:count]]
    comparison = metrics.mcnemar(labels, first, second)
    title = (
        f"{names[0]} and {names[1]} disagree on {len(differing):,} of {len(labels):,} images;\n"
        f"only {names[0]} is right on {comparison.lost:,} of them, only {names[1]} on {comparison.gained:,}"
    )
    if not len(chosen):
        return style.message(title)
    class_labels = style.class_names(first.shape[1], class_names)
    columns = 2
    rows = -(-len(chosen) // columns)
    width = 13 if max(map(len, class_labels)) <= 2 else 16
    figure = style.new_figure(width, 2.3 * rows + 1.1, title)
    cells = figure.subplots(rows, 3 * columns, squeeze=False, width_ratios=[1, 1.1, 1.1] * columns)
    style.hide_axes(cells)
    for place, row in enumerate(chosen):
        image, left, right = cells[place // columns, 3 * (place % columns) :][:3]
        style.show_image(image, images[row], f"true: {class_labels[labels[row]]}")
        for axes, probabilities, name in ((left, first, names[0]), (right, second, names[1])):
            probability_bars(axes, probabilities[row], class_labels, int(labels[row]))
            axes.set_title(style.shortened(name, 24), fontsize=style.SMALL, pad=4)
    return figure


def prepared_photos(
    originals: Sequence[np.ndarray],
    boxes: Sequence[tuple[int, int, int, int]],
    images: np.ndarray,
    probabilities: np.ndarray,
    titles: Sequence[str],
    class_names: Sequence[str] | None = None,
) -> style.Figure:
    """Show photos beside the images that were cut out of them for the network, and the three likeliest classes.

    Args:
        originals: (h, w, 3) uint8 each, of any sizes; some dozens at most.
        boxes: the part of each that was cut out: left, top, right, bottom in pixels.
        images: (n, h, w, 1 or 3) uint8, the network's inputs.
        probabilities: (n, classes).
        titles: the title of each photo, such as its file name.
        class_names: the name of each class; its number by default.
    """
    names = style.class_names(probabilities.shape[1], class_names)
    columns = 1 if len(images) <= 4 else 2 if len(images) <= 12 else 3
    rows = -(-len(images) // columns)
    figure = style.new_figure((11, 18, 24)[columns - 1], 2.9 * rows + 0.2)
    cells = figure.subplots(rows, 3 * columns, squeeze=False, width_ratios=[1.35, 1, 1.2] * columns)
    style.hide_axes(cells)
    for (photo, prepared, bars), original, box, image, row, title in zip(
        cells.reshape(-1, 3)[: len(images)], originals, boxes, images, probabilities, titles, strict=True
    ):
        left, top, right, bottom = box
        style.show_image(photo, original, style.shortened(title, 30))
        photo.add_patch(
            patches.Rectangle(
                (left - 0.5, top - 0.5),
                right - left,
                bottom - top,
                fill=False,
                linewidth=2.5,
                edgecolor=style.WRONG,
            )
        )
        style.show_image(prepared, image, "the network's input")
        probability_bars(bars, row, names)
    return figure


def probability_bars(
    axes, probabilities: np.ndarray, class_names: Sequence[str], label: int | None = None, count: int = 3
) -> None:
    """Draw the `count` likeliest classes as bars: the true class blue, others orange; all blue without a label.

    Args:
        axes: where to draw.
        probabilities: (classes,).
        class_names: the name of each class.
        label: the true class, or None.
        count: how many bars.
    """
    top = np.argsort(-probabilities, kind="stable")[:count]
    heights = range(len(top))
    axes.set_axis_on()
    fills = [style.CORRECT if label is None or number == label else style.WRONG for number in top]
    axes.barh(heights, probabilities[top], color=fills, height=0.72)
    for height, number in zip(heights, top, strict=True):
        inside = probabilities[number] > 0.6
        axes.text(
            probabilities[number] + (-0.03 if inside else 0.03),
            height,
            style.percent(probabilities[number]),
            va="center",
            ha="right" if inside else "left",
            fontsize=style.SMALL,
            color="white" if inside else "black",
        )
    axes.set_yticks(heights, [class_names[number] for number in top], fontsize=style.NORMAL)
    axes.set(xlim=(0, 1), ylim=(count - 0.4, -0.6), xticks=[])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(length=0)


def _least_likely(among: np.ndarray, labels, probabilities, count: int) -> np.ndarray:
    """Return the `count` rows of `among` (n,) bool with the least probability for the true class, the least first."""
    rows = np.flatnonzero(among)
    return rows[np.argsort(probabilities[rows, np.asarray(labels)[rows]], kind="stable")[:count]]


def _with_probabilities(images, labels, probabilities, class_names) -> style.Figure:
    names = style.class_names(probabilities.shape[1], class_names)
    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    long = max(map(len, names)) > 2
    figure = style.new_figure(max((4.6 if long else 3.9) * columns, 5), 2.2 * rows + 0.2)
    cells = figure.subplots(rows, 2 * columns, squeeze=False, width_ratios=[1, 1.35 if long else 1] * columns)
    style.hide_axes(cells)
    for (cell, bars), image, label, row in zip(cells.reshape(-1, 2), images, labels, probabilities, strict=False):
        colour = style.CORRECT if row.argmax() == label else style.WRONG
        style.show_image(cell, image, f"true: {names[label]}", colour)
        probability_bars(bars, row, names, int(label))
    return figure
