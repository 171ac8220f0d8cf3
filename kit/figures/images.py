"""Figures of the data: images with their labels, histograms of labels and pixels, augmentation."""

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
        class_names: the name of each class; its number by default.
        count: how many images to show at most.
        title: the figure's title.
    """
    count = min(count, len(images))
    figure, cells = style.image_grid(count, 8, title)
    for cell, image, name in zip(cells, images, _label_names(labels, class_names, count), strict=False):
        style.show_image(cell, image, name)
    return figure


def class_examples(
    images: np.ndarray, labels: np.ndarray, class_names: Sequence[str] | None = None, per_class: int = 10
) -> style.Figure:
    """Show the first `per_class` images of every class, one row for each class.

    Args:
        images: (n, h, w, 1 or 3) uint8.
        labels: (n,) integers.
        class_names: the name of each class; its number by default.
        per_class: images in a row.
    """
    labels = np.asarray(labels)
    names = style.class_names(int(labels.max()) + 1, class_names)
    figure = style.new_figure(per_class * 0.95 + 1.4, len(names) * 0.98 + 0.2)
    cells = figure.subplots(len(names), per_class, squeeze=False)
    style.hide_axes(cells)
    for label, row in enumerate(cells):
        for cell, image in zip(row, images[labels == label], strict=False):
            style.show_image(cell, image)
        style.row_label(row[0], names[label])
    return figure


def label_histogram(labels: np.ndarray, class_names: Sequence[str] | None = None) -> style.Figure:
    """Show how many images each class has; a line marks equal class sizes.

    Args:
        labels: (n,) integers.
        class_names: the name of each class; its number by default.
    """
    labels = np.asarray(labels)
    classes = len(class_names) if class_names is not None else int(labels.max()) + 1
    counts = np.bincount(labels, minlength=classes)
    names = style.class_names(classes, class_names)
    figure = style.new_figure(max(8, (0.95 if max(map(len, names)) < 8 else 1.25) * classes), 4.8)
    axes = style.format_axes(figure.subplots(), f"{len(labels):,} images", "", "images")
    bars = axes.bar(range(classes), counts, color=style.COLOURS[0])
    for bar, count in zip(bars, counts, strict=True):
        # Half-way up, clear of the line of equal class sizes; above the bar where the bar is too low.
        inside = count > 0.1 * counts.max()
        axes.text(
            bar.get_x() + bar.get_width() / 2,
            count / 2 if inside else count,
            f"{count:,}",
            ha="center",
            va="center" if inside else "bottom",
            fontsize=style.NORMAL,
            color="white" if inside else "black",
        )
    axes.set_xticks(range(classes), names, fontsize=style.NORMAL)
    axes.axhline(len(labels) / classes, color=style.WRONG, linewidth=2, linestyle="--", label="equal class sizes")
    axes.legend(loc="upper right", fontsize=style.SMALL, framealpha=1)
    axes.grid(visible=False, axis="x")
    axes.set_ylim(0, 1.18 * max(counts.max(), 1))
    return figure


def pixel_histogram(images: np.ndarray, title: str | None = None) -> style.Figure:
    """Show how often each pixel value 0…255 occurs, one line for each channel.

    Args:
        images: (n, h, w, 1 or 3) uint8.
        title: the figure's title.
    """
    figure = style.new_figure(9, 4.8)
    axes = style.format_axes(figure.subplots(), title or "pixel values", "pixel value", "share of all pixels")
    _draw_pixel_values(axes, images)
    _format_shares(axes, images)
    if images.shape[-1] == 3:
        axes.legend(fontsize=style.SMALL + 1)
    return figure


def pixel_histograms_by_class(
    images: np.ndarray, labels: np.ndarray, class_names: Sequence[str] | None = None
) -> style.Figure:
    """Show how often each pixel value occurs in the images of each class, all on the same axes.

    Args:
        images: (n, h, w, 1 or 3) uint8.
        labels: (n,) integers.
        class_names: the name of each class; its number by default.
    """
    labels = np.asarray(labels)
    names = style.class_names(int(labels.max()) + 1, class_names)
    columns = min(5, len(names))
    rows = -(-len(names) // columns)
    figure = style.new_figure(3.1 * columns + 0.6, 2.6 * rows + 0.5)
    cells = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for label, axes in enumerate(cells.ravel()):
        if label >= len(names) or not (labels == label).any():
            axes.set_axis_off()
            continue
        _draw_pixel_values(style.format_axes(axes, names[label]), images[labels == label])
        _format_shares(axes, images)
        axes.axvline(images[labels == label].mean(), color="black", linewidth=1.5)
    if images.shape[-1] == 3:
        figure.legend(*cells[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=3, fontsize=12)
    figure.supxlabel("pixel value (black line: mean)", fontsize=style.NORMAL)
    figure.supylabel("share of all pixels", fontsize=style.NORMAL)
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
        after: the same images, augmented; or (k, n, h, w, c), k augmented copies of each.
        labels: (n,) integers, or None.
        class_names: the name of each class; its number by default.
        count: how many images to show at most.
    """
    before, after = np.asarray(before), np.asarray(after)
    rows = [before, *(after if after.ndim == before.ndim + 1 else [after])]
    count = min(count, len(before))
    figure = style.new_figure(count * 1.35 + 1, len(rows) * 1.45 + 0.3)
    cells = figure.subplots(len(rows), count, squeeze=False)
    titles = _label_names(labels, class_names, count)
    for row, images in enumerate(rows):
        for column in range(count):
            style.show_image(cells[row, column], images[column], titles[column] if row == 0 else "")
    for row, text in ((0, "before"), (1, "after")):
        style.row_label(cells[row, 0], text)
    return figure


def _label_names(labels: np.ndarray | None, class_names: Sequence[str] | None, count: int) -> list[str]:
    """The names of the first `count` labels; empty texts where there are no labels."""
    if labels is None:
        return [""] * count
    names = style.class_names(int(np.max(labels)) + 1, class_names)
    return [names[int(label)] for label in labels[:count]]


def _draw_pixel_values(axes, images: np.ndarray) -> None:
    images = np.asarray(images)
    lines = [("", style.COLOURS[0], "-")] if images.shape[-1] == 1 else CHANNELS
    bins = np.arange(0, 257, 8)
    for channel, (name, colour, dashes) in enumerate(lines):
        counts, _ = np.histogram(images[..., channel], bins=bins)
        axes.stairs(counts / counts.sum(), bins, color=colour, linestyle=dashes, linewidth=2.2, label=name)


def _format_shares(axes, images: np.ndarray) -> None:
    if images.shape[-1] == 1:  # digits are nearly all black: only a log scale shows the other values
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xticks([0, 64, 128, 192, 255])
    style.percent_axis(axes.yaxis)
