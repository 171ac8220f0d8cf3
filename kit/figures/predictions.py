"""How good the predictions are: confusion matrix, right and wrong ones, calibration, disagreement."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colors, patches

from kit.figures import style


def confusion_matrix(
    labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str] | None = None, title: str | None = None
) -> style.Figure:
    """Show which class was taken for which: a row a true class, a column a predicted one, with counts.

    The colour is the share of the row; its scale is stretched, so that a handful of mistakes is seen.

    Args:
        labels: (n,) integers, the truth.
        predicted: (n,) integers, or (n, classes) probabilities.
        class_names: what each label is called; its number by default.
        title: the figure's heading; the accuracy by default.
    """
    from sklearn import metrics

    labels, predicted = np.asarray(labels), np.asarray(predicted)
    classes = predicted.shape[1] if predicted.ndim == 2 else int(max(labels.max(), predicted.max())) + 1
    predicted = predicted.argmax(1) if predicted.ndim == 2 else predicted
    words = style.class_words(classes, class_names)
    classes = len(words)
    counts = metrics.confusion_matrix(labels, predicted, labels=range(classes))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    long = max(map(len, words)) > 2
    figure = style.sheet(0.85 * classes + (3 if long else 2), 0.72 * classes + 1.8)
    axes = figure.subplots()
    shown = axes.imshow(shares, cmap="Blues", norm=colors.PowerNorm(0.4, vmin=0, vmax=1))
    for row, column in np.argwhere(counts):
        dark = shares[row, column] ** 0.4 > 0.55
        text = f"{counts[row, column]:,}"
        axes.text(column, row, text, ha="center", va="center", fontsize=style.SMALL, color="white" if dark else "black")
    axes.set_xticks(range(classes), words, fontsize=style.NORMAL, rotation=45 if long else 0)
    if long:
        for word in axes.get_xticklabels():
            word.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(range(classes), words, fontsize=style.NORMAL)
    axes.set_xlabel("predicted", fontsize=style.NORMAL + 1)
    axes.set_ylabel("true", fontsize=style.NORMAL + 1)
    wrong = int((labels != predicted).sum())
    said = f"{100 * (1 - wrong / len(labels)):.2f} % right, {wrong:,} of {len(labels):,} wrong"
    axes.set_title(title or said, fontsize=style.NORMAL + 1)
    bar = figure.colorbar(shown, ax=axes, shrink=0.8, ticks=[0, 0.01, 0.05, 0.2, 0.5, 1])
    bar.ax.set_title("of the\nclass", fontsize=style.SMALL)
    bar.ax.tick_params(labelsize=style.SMALL)
    style.percent(bar.ax.yaxis)
    return figure


def wrong_predictions(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str] | None = None,
    count: int = 12,
) -> style.Figure:
    """Show the worst mistakes – those with the least probability for the truth – with the three likeliest classes.

    Args:
        images: (n, h, w, 1 or 3) uint8.
        labels: (n,) integers, the truth.
        probabilities: (n, classes).
        class_names: what each label is called; its number by default.
        count: how many mistakes to show at most.
    """
    worst = worst_mistakes(labels, probabilities, count)
    return _with_probabilities(images[worst], labels[worst], probabilities[worst], class_names, "no mistake to show")


def right_predictions(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str] | None = None,
    count: int = 12,
) -> style.Figure:
    """Show right predictions, the least certain first, with the three likeliest classes.

    Args:
        images: (n, h, w, 1 or 3) uint8.
        labels: (n,) integers, the truth.
        probabilities: (n, classes).
        class_names: what each label is called; its number by default.
        count: how many to show at most.
    """
    chosen = _least_likely(probabilities.argmax(1) == labels, labels, probabilities, count)
    return _with_probabilities(
        images[chosen], labels[chosen], probabilities[chosen], class_names, "nothing right to show"
    )


def worst_mistakes(labels: np.ndarray, probabilities: np.ndarray, count: int) -> np.ndarray:
    """Return the rows of the `count` worst mistakes, the least probability for the truth first, as (k,) int64."""
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
    """Show the images on which two networks disagree most, with what each of them thinks.

    Args:
        images: (n, h, w, 1 or 3) uint8.
        labels: (n,) integers, the truth.
        first, second: (n, classes) probabilities of the two networks.
        names: what the two are called.
        class_names: what each label is called; its number by default.
        count: how many images to show at most.
    """
    labels = np.asarray(labels)
    one, two = first.argmax(1), second.argmax(1)
    differ = np.flatnonzero(one != two)
    distance = np.abs(first[differ] - second[differ]).sum(1)
    chosen = differ[np.argsort(-distance, kind="stable")[:count]]
    words = style.class_words(first.shape[1], class_names)
    said = (
        f"{names[0]} and {names[1]} disagree on {len(differ):,} of {len(labels):,} images: "
        f"{names[0]} alone is right on {int((one[differ] == labels[differ]).sum()):,}, "
        f"{names[1]} alone on {int((two[differ] == labels[differ]).sum()):,}"
    )
    if not len(chosen):
        return _notice(said)
    columns = 2
    rows = -(-len(chosen) // columns)
    figure = style.sheet(13 if max(map(len, words)) <= 2 else 16, 2.3 * rows + 0.8, said)
    cells = figure.subplots(rows, 3 * columns, squeeze=False, width_ratios=[1, 1.1, 1.1] * columns)
    for cell in cells.ravel():
        cell.set_axis_off()
    for place, row in enumerate(chosen):
        picture, left, right = cells[place // columns, 3 * (place % columns) :][:3]
        style.picture(picture, images[row], f"is {words[labels[row]]}")
        for axes, probabilities, name in ((left, first, names[0]), (right, second, names[1])):
            likeliest(axes, probabilities[row], words, int(labels[row]))
            axes.set_title(name, fontsize=style.SMALL, pad=4)
    return figure


def pictures_seen(
    originals: Sequence[np.ndarray],
    boxes: Sequence[tuple[int, int, int, int]],
    images: np.ndarray,
    probabilities: np.ndarray,
    titles: Sequence[str],
    class_names: Sequence[str] | None = None,
) -> style.Figure:
    """Show a person's own pictures: each one, what the network saw of it, the three likeliest classes.

    Args:
        originals: (h, w, 3) uint8 each, of any sizes; some dozens at most.
        boxes: what of each the network saw: left, top, right, bottom in pixels.
        images: (n, h, w, 1 or 3) uint8, the network's inputs.
        probabilities: (n, classes).
        titles: what each picture is called.
        class_names: what each class is called; its number by default.
    """
    words = style.class_words(probabilities.shape[1], class_names)
    columns = 1 if len(images) <= 4 else 2 if len(images) <= 12 else 3
    rows = -(-len(images) // columns)
    figure = style.sheet((11, 18, 24)[columns - 1], 2.9 * rows + 0.2)
    cells = figure.subplots(rows, 3 * columns, squeeze=False, width_ratios=[1.35, 1, 1.2] * columns)
    for cell in cells.ravel():
        cell.set_axis_off()
    for cell, original, box, image, likely, title in zip(
        cells.reshape(-1, 3)[: len(images)], originals, boxes, images, probabilities, titles, strict=True
    ):
        left, top, right, bottom = box
        style.picture(cell[0], original, title if len(title) <= 30 else f"{title[:14]}…{title[-15:]}")
        frame = {"fill": False, "linewidth": 2.5, "edgecolor": style.WRONG}
        cell[0].add_patch(patches.Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, **frame))
        style.picture(cell[1], image, "as the network sees it")
        likeliest(cell[2], likely, words)
    return figure


def likeliest(axes, probabilities: np.ndarray, words: Sequence[str], truth: int | None = None, count: int = 3) -> None:
    """Draw the `count` likeliest classes as bars: the true class blue, others orange; all blue without a truth.

    Args:
        axes: where to draw.
        probabilities: (classes,).
        words: the classes' names.
        truth: the true class, if it is known.
        count: how many bars.
    """
    top = np.argsort(-probabilities, kind="stable")[:count]
    heights = range(len(top))
    axes.set_axis_on()
    fills = [style.RIGHT if truth is None or one == truth else style.WRONG for one in top]
    axes.barh(heights, probabilities[top], color=fills, height=0.72)
    for height, one in zip(heights, top, strict=True):
        share = probabilities[one]
        text = f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %" if share >= 0.001 else "< 0.1 %"
        inside = share > 0.6
        axes.text(
            share - 0.03 if inside else share + 0.03,
            height,
            text,
            va="center",
            ha="right" if inside else "left",
            fontsize=style.SMALL,
            color="white" if inside else "black",
        )
    axes.set_yticks(heights, [words[one] for one in top], fontsize=style.NORMAL)
    axes.set(xlim=(0, 1), ylim=(count - 0.4, -0.6), xticks=[])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(length=0)


def _least_likely(among: np.ndarray, labels, probabilities, count: int) -> np.ndarray:
    """Return the `count` rows `among` (n,) bool with the least probability for the truth, the least first."""
    rows = np.flatnonzero(among)
    return rows[np.argsort(probabilities[rows, np.asarray(labels)[rows]], kind="stable")[:count]]


def _with_probabilities(images, labels, probabilities, class_names, nothing: str) -> style.Figure:
    if not len(images):
        return _notice(nothing)
    words = style.class_words(probabilities.shape[1], class_names)
    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    long = max(map(len, words)) > 2
    figure = style.sheet(max((4.6 if long else 3.9) * columns, 5), 2.2 * rows + 0.2)
    cells = figure.subplots(rows, 2 * columns, squeeze=False, width_ratios=[1, 1.35 if long else 1] * columns)
    for cell in cells.ravel():
        cell.set_axis_off()
    for place, (image, label, likely) in enumerate(zip(images, labels, probabilities, strict=True)):
        picture, bars = cells[place // columns, 2 * (place % columns) :][:2]
        right = likely.argmax() == label
        style.picture(picture, image, f"is {words[label]}", style.RIGHT if right else style.WRONG)
        likeliest(bars, likely, words, int(label))
    return figure


def _notice(text: str) -> style.Figure:
    figure = style.sheet(9, 1.2)
    figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=style.NORMAL + 1)
    return figure
