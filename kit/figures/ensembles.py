"""What an ensemble changes: which members disagree, which classes gain, which images are predicted differently."""

from collections.abc import Sequence

import numpy as np

from kit.figures import style

MOST_NUMBERED, MOST_NAMED = 12, 40  # members up to which cells carry numbers, and axes carry names


def pairwise_disagreement(names: Sequence[str], shares: np.ndarray, accuracies: Sequence[float]) -> style.Figure:
    """Show for each pair of members on what share of the images they disagree: only members that differ help.

    Args:
        names: (members,).
        shares: (members, members) of 0…1, as from `kit.metrics.disagreement`.
        accuracies: (members,) of 0…1.
    """
    members = len(names)
    numbered, named = members <= MOST_NUMBERED, members <= MOST_NAMED
    cell = 0.95 if numbered else 0.32 if named else 0.06
    side = max(4.5, cell * members)
    longest = max(map(len, names)) if named else 0
    figure = style.new_figure(side + 2.2 + 0.12 * longest, side + 1.2 + 0.1 * longest)
    axes = figure.subplots()
    off_diagonal = ~np.eye(members, dtype=bool)
    highest = max(shares[off_diagonal].max(), 1e-6)  # the colour scale must not be empty where no members disagree
    heat_map = axes.imshow(np.where(off_diagonal, shares, np.nan), cmap=style.SEQUENTIAL, vmin=0, vmax=highest)
    if numbered:
        for row, column in np.argwhere(off_diagonal):
            share = shares[row, column]
            colour = "black" if share > highest / 2 else "white"
            text = f"{100 * share:.2f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=style.SMALL, color=colour)
    size = style.NORMAL if numbered else style.SMALL
    if named:
        labels = [f"{name}  {accuracy:.2%}" for name, accuracy in zip(names, accuracies, strict=True)]
        axes.set_yticks(range(members), labels, fontsize=size)
        axes.set_xticks(range(members), names, fontsize=size, rotation=45, ha="right", rotation_mode="anchor")
    else:
        axes.set_xlabel("member", fontsize=style.NORMAL)
        axes.set_ylabel("member", fontsize=style.NORMAL)
    mean = shares[off_diagonal].mean()
    figure.suptitle(f"two members disagree on\n{mean:.2%} of the images on average", fontsize=style.NORMAL + 1)
    bar = figure.colorbar(heat_map, ax=axes, shrink=0.8)
    bar.ax.tick_params(labelsize=style.SMALL)
    style.percent_axis(bar.ax.yaxis)
    return figure


def gains_by_class(
    labels: np.ndarray,
    baseline: np.ndarray,
    ensemble: np.ndarray,
    baseline_name: str = "the best member",
    class_names: Sequence[str] | None = None,
) -> style.Figure:
    """Show for each class how many images only the ensemble gets right (upwards) and only the baseline (downwards).

    Args:
        labels: (n,) integers, the true classes.
        baseline: (n,) integers, the classes that the baseline predicts.
        ensemble: (n,) integers, the classes that the ensemble predicts.
        baseline_name: the name of the baseline.
        class_names: the name of each class; its number by default.
    """
    gained, lost = _changed(labels, baseline, ensemble)
    classes = len(class_names) if class_names is not None else int(np.max(labels)) + 1
    names = style.class_names(classes, class_names)
    figure = style.new_figure(max(7.0, 0.95 * classes + 1.5), 5)
    title = f"against {baseline_name}: {len(gained):,} images gained, {len(lost):,} lost"
    axes = style.format_axes(figure.subplots(), title, "true class", "images")
    for rows, colour, sign, kind in ((gained, style.CORRECT, 1, "gained"), (lost, style.WRONG, -1, "lost")):
        counts = np.bincount(labels[rows], minlength=classes)
        axes.bar(np.arange(classes), sign * counts, color=colour, width=0.7, label=kind)
        for label in np.flatnonzero(counts):
            axes.annotate(
                f"{counts[label]:,}",
                (label, sign * counts[label]),
                (0, 3 * sign),
                textcoords="offset points",
                ha="center",
                va="bottom" if sign > 0 else "top",
                fontsize=style.SMALL,
            )
    axes.axhline(0, color="black", linewidth=1)
    long = max(map(len, names)) > 2
    axes.set_xticks(np.arange(classes), names, rotation=30 if long else 0, ha="right" if long else "center")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(False)
    axes.margins(y=0.12)
    axes.legend(fontsize=style.SMALL, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def changed_images(
    images: np.ndarray,
    labels: np.ndarray,
    baseline: np.ndarray,
    ensemble: np.ndarray,
    baseline_name: str = "the best member",
    class_names: Sequence[str] | None = None,
    count: int = 16,
) -> style.Figure:
    """Show the images that only the ensemble gets right, then those that only the baseline does.

    Above each image stand both predictions, as in "cat → dog".

    Args:
        images: (n, h, w, 1 or 3) uint8.
        labels: (n,) integers, the true classes.
        baseline: (n,) integers, the classes that the baseline predicts.
        ensemble: (n,) integers, the classes that the ensemble predicts.
        baseline_name: the name of the baseline.
        class_names: the name of each class; its number by default.
        count: how many images of each kind to show at most.
    """
    names = style.class_names(int(max(np.max(labels), np.max(baseline), np.max(ensemble))) + 1, class_names)
    columns = 8 if max(map(len, names)) <= 2 else 6
    gained, lost = _changed(labels, baseline, ensemble)
    parts = [
        (f"{len(gained):,} images that only the ensemble gets right", gained[:count], style.CORRECT),
        (f"{len(lost):,} images that only {baseline_name} gets right", lost[:count], style.WRONG),
    ]
    heights = [max(1, -(-len(rows) // columns)) for _, rows, _ in parts]
    figure = style.new_figure(13, 1.85 * sum(heights) + 1.2)
    sections = style.split(figure, 2, 1, height_ratios=heights)
    for section, height, (title, rows, colour) in zip(sections, heights, parts, strict=True):
        section.suptitle(title, fontsize=style.NORMAL + 1)
        cells = section.subplots(height, columns, squeeze=False).ravel()
        style.hide_axes(cells)
        for cell, row in zip(cells, rows, strict=False):
            style.show_image(cell, images[row], f"{names[baseline[row]]} → {names[ensemble[row]]}", colour)
    return figure


def _changed(labels, baseline, ensemble) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that only the ensemble gets right, and those that only the baseline does."""
    before, after = np.asarray(baseline) == labels, np.asarray(ensemble) == labels
    return np.flatnonzero(after & ~before), np.flatnonzero(before & ~after)
