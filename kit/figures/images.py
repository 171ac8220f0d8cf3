"""Pictures of the data: images with their labels, histograms of labels and pixels, augmentation."""

from collections.abc import Sequence

import numpy as np

from kit.figures import style

CHANNELS = (("red", "#D55E00", "-"), ("green", "#009E73", "--"), ("blue", "#0072B2", ":"))


def labelled_images(
    images: np.ndarray,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    count: int = 32,
    title: str | None = None,
) -> style.Figure:
    """Show the first `count` images, each under its label.

    Args:
        images: (n, h, w, 1 or 3) uint8.
        labels: (n,) integers, or None for images without labels.
        class_names: what each label is called; its number by default.
        count: how many images to show at most.
        title: the figure's heading.
    """
    count = min(count, len(images))
    figure, cells = style.grid(count, 8, title)
    words = None if labels is None else style.class_words(int(np.max(labels)) + 1, class_names)
    for place, (cell, image) in enumerate(zip(cells, images, strict=False)):
        style.picture(cell, image, "" if words is None else words[int(labels[place])])
    return figure


def class_examples(
    images: np.ndarray, labels: np.ndarray, class_names: Sequence[str] | None = None, per_class: int = 10
) -> style.Figure:
    """Show the first `per_class` images of every class, a row a class.

    Args:
        images: (n, h, w, 1 or 3) uint8.
        labels: (n,) integers.
        class_names: what each label is called; its number by default.
        per_class: images a row.
    """
    labels = np.asarray(labels)
    words = style.class_words(int(labels.max()) + 1, class_names)
    figure = style.sheet(per_class * 0.95 + 1.4, len(words) * 0.98 + 0.2)
    cells = figure.subplots(len(words), per_class, squeeze=False)
    for label, row in enumerate(cells):
        for cell in row:
            cell.set_axis_off()
        for cell, image in zip(row, images[labels == label], strict=False):
            style.picture(cell, image)
        style.row_name(row[0], words[label])
    return figure


def label_histogram(labels: np.ndarray, class_names: Sequence[str] | None = None) -> style.Figure:
    """Show how many images each class has, with the counts and the line of equal shares.

    Args:
        labels: (n,) integers.
        class_names: what each label is called; its number by default.
    """
    labels = np.asarray(labels)
    classes = len(class_names) if class_names is not None else int(labels.max()) + 1
    counts = np.bincount(labels, minlength=classes)
    words = style.class_words(classes, class_names)
    figure = style.sheet(max(8, (0.95 if max(map(len, words)) < 8 else 1.25) * classes), 4.8)
    axes = style.plain(figure.subplots(), f"{len(labels):,} images", "", "images")
    bars = axes.bar(range(classes), counts, color=style.COLOURS[0])
    for bar, count in zip(bars, counts, strict=True):
        middle = bar.get_x() + bar.get_width() / 2
        # Half-way up, clear of the line of equal shares; a class without images has its 0 above the axis.
        axes.text(
            middle,
            count / 2 if count > 0.1 * counts.max() else count,
            f"{count:,}",
            ha="center",
            va="center" if count > 0.1 * counts.max() else "bottom",
            fontsize=style.NORMAL,
            color="white" if count > 0.1 * counts.max() else "black",
        )
    axes.set_xticks(range(classes), words, fontsize=style.NORMAL)
    axes.axhline(len(labels) / classes, color=style.WRONG, linewidth=2, linestyle="--", label="equal shares")
    axes.legend(loc="upper right", fontsize=style.SMALL, framealpha=1, ncols=2)
    axes.grid(visible=False, axis="x")
    axes.set_ylim(0, 1.18 * max(counts.max(), 1))
    return figure


def pixel_histogram(images: np.ndarray, title: str | None = None) -> style.Figure:
    """Show how often each pixel value 0…255 occurs, a line a channel.

    Args:
        images: (n, h, w, 1 or 3) uint8.
        title: the figure's heading.
    """
    figure = style.sheet(9, 4.8)
    axes = style.plain(figure.subplots(), title or "pixel values", "pixel value", "share of pixels")
    _pixels(axes, images)
    _share_axis(axes, images)
    if images.shape[-1] == 3:
        axes.legend(fontsize=style.SMALL + 1)
    return figure


def pixel_histograms_by_class(
    images: np.ndarray, labels: np.ndarray, class_names: Sequence[str] | None = None
) -> style.Figure:
    """Show how often each pixel value occurs in the images of each class, all on one scale.

    Args:
        images: (n, h, w, 1 or 3) uint8.
        labels: (n,) integers.
        class_names: what each label is called; its number by default.
    """
    labels = np.asarray(labels)
    words = style.class_words(int(labels.max()) + 1, class_names)
    columns = min(5, len(words))
    rows = -(-len(words) // columns)
    figure = style.sheet(3.1 * columns + 0.6, 2.6 * rows + 0.5)
    cells = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for label, axes in enumerate(cells.ravel()):
        if label >= len(words) or not (labels == label).any():
            axes.set_axis_off()
            continue
        _pixels(style.plain(axes, words[label]), images[labels == label])
        _share_axis(axes, images)
        axes.axvline(images[labels == label].mean(), color="black", linewidth=1.5)
    if images.shape[-1] == 3:
        figure.legend(*cells[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3, fontsize=12)
    figure.supxlabel("pixel value (black line: the mean)", fontsize=style.NORMAL)
    figure.supylabel("share of pixels", fontsize=style.NORMAL)
    return figure


def augmentation(
    before: np.ndarray,
    after: np.ndarray,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    count: int = 10,
) -> style.Figure:
    """Show a batch before and after augmentation, one above the other.

    Args:
        before: (n, h, w, 1 or 3), pixel values 0…255 of any dtype.
        after: the same images, augmented; or (k, n, h, w, c) for k augmentations of each.
        labels: (n,) integers, or None.
        class_names: what each label is called; its number by default.
        count: how many images to show at most.
    """
    before = np.asarray(before)
    rows = [before, *(np.asarray(after) if np.ndim(after) == before.ndim + 1 else [np.asarray(after)])]
    count = min(count, len(before))
    words = None if labels is None else style.class_words(int(np.max(labels)) + 1, class_names)
    figure = style.sheet(count * 1.35 + 1, len(rows) * 1.45 + 0.3)
    cells = figure.subplots(len(rows), count, squeeze=False)
    for place in range(count):
        for row, images in enumerate(rows):
            title = words[int(labels[place])] if words is not None and row == 0 else ""
            style.picture(cells[row, place], images[place], title)
    for row, side in ((0, "before"), (1, "after")):
        style.row_name(cells[row, 0], side)
    return figure


def _pixels(axes, images: np.ndarray) -> None:
    images = np.asarray(images)
    lines = [("", style.COLOURS[0], "-")] if images.shape[-1] == 1 else CHANNELS
    bins = np.arange(0, 257, 8)
    for channel, (name, colour, dashes) in enumerate(lines):
        counts, _ = np.histogram(images[..., channel], bins=bins)
        axes.stairs(counts / counts.sum(), bins, color=colour, linestyle=dashes, linewidth=2.2, label=name)


def _share_axis(axes, images: np.ndarray) -> None:
    if images.shape[-1] == 1:  # drawings are nearly all black: the other values need a log scale to be seen
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xticks([0, 64, 128, 192, 255])
    style.percent(axes.yaxis)
