"""What joining runs changes: which members differ, which classes gain, which images change sides."""

from collections.abc import Sequence

import numpy as np

from kit.figures import style

MOST_NUMBERS, MOST_NAMES = 12, 40  # members until which cells carry numbers, and axes names


def pairwise_disagreement(names: Sequence[str], shares: np.ndarray, accuracies: Sequence[float]) -> style.Figure:
    """Show on what share of the images each pair of members disagrees: an ensemble lives on members that differ.

    Args:
        names: (members,), what they are called.
        shares: (members, members) of 0…1, as from `kit.ensemble.disagreement`.
        accuracies: (members,) of 0…1.
    """
    members = len(names)
    numbered, named = members <= MOST_NUMBERS, members <= MOST_NAMES
    cell = 0.95 if numbered else 0.32 if named else 0.06
    side = max(4.5, cell * members)
    longest = max(map(len, names)) if named else 0
    figure = style.sheet(side + 2.2 + 0.12 * longest, side + 1.2 + (0.1 * longest if named else 0))
    axes = figure.subplots()
    apart = ~np.eye(members, dtype=bool)
    highest = max(shares[apart].max(), 1e-6)  # a colour scale needs a width, even for members that never disagree
    shown = axes.imshow(np.where(apart, shares, np.nan), cmap=style.SEQUENTIAL, vmin=0, vmax=highest)
    if numbered:
        for row, column in np.argwhere(apart):
            share = shares[row, column]
            axes.text(
                column,
                row,
                f"{100 * share:.2f}",
                ha="center",
                va="center",
                fontsize=style.SMALL,
                color="black" if share > highest / 2 else "white",
            )
    size = style.NORMAL if numbered else style.SMALL
    if named:
        beside = [f"{name}  {100 * accuracy:.2f} %" for name, accuracy in zip(names, accuracies, strict=True)]
        axes.set_yticks(range(members), beside, fontsize=size)
        axes.set_xticks(range(members), names, fontsize=size, rotation=45, ha="right", rotation_mode="anchor")
    else:
        axes.set_xlabel("member", fontsize=style.NORMAL)
        axes.set_ylabel("member", fontsize=style.NORMAL)
    mean = shares[apart].mean()
    title = f"two members disagree on\n{100 * mean:.2f} % of the images on average"
    figure.suptitle(title, fontsize=style.NORMAL + 1)
    bar = figure.colorbar(shown, ax=axes, shrink=0.8)
    bar.ax.tick_params(labelsize=style.SMALL)
    style.percent(bar.ax.yaxis)
    return figure


def gains_by_class(
    labels: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    rival: str = "the best member",
    class_names: Sequence[str] | None = None,
) -> style.Figure:
    """Show per class how many images only the ensemble gets right, upwards, and how many only its rival, downwards.

    Args:
        labels: (n,) integers, the truth.
        before: (n,) integers, the rival's predictions.
        after: (n,) integers, the ensemble's.
        rival: what it is called.
        class_names: what each label is called; its number by default.
    """
    gained, lost = _changed(labels, before, after)
    classes = len(class_names) if class_names is not None else int(np.max(labels)) + 1
    words = style.class_words(classes, class_names)
    up = np.bincount(labels[gained], minlength=classes)
    down = np.bincount(labels[lost], minlength=classes)
    figure = style.sheet(max(7.0, 0.95 * classes + 1.5), 5)
    title = f"against {rival}: {len(gained):,} images gained, {len(lost):,} lost"
    axes = style.plain(figure.subplots(), title, "true class", "images")
    places = np.arange(classes)
    for heights, colour, side, words_of_it in ((up, style.RIGHT, 1, "gained"), (down, style.WRONG, -1, "lost")):
        axes.bar(places, side * heights, color=colour, width=0.7, label=words_of_it)
        for place in np.flatnonzero(heights):
            axes.annotate(
                f"{heights[place]:,}",
                (place, side * heights[place]),
                (0, 3 * side),
                textcoords="offset points",
                ha="center",
                va="bottom" if side > 0 else "top",
                fontsize=style.SMALL,
            )
    axes.axhline(0, color="black", linewidth=1)
    long = max(map(len, words)) > 2
    axes.set_xticks(places, words, rotation=30 if long else 0, ha="right" if long else "center")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(False)
    axes.margins(y=0.12)
    axes.legend(fontsize=style.SMALL, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def changed_images(
    images: np.ndarray,
    labels: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    rival: str = "the best member",
    class_names: Sequence[str] | None = None,
    count: int = 16,
) -> style.Figure:
    """Show images that change sides, under "rival's class → ensemble's class": those gained, then those lost.

    Args:
        images: (n, h, w, 1 or 3) uint8.
        labels: (n,) integers, the truth.
        before: (n,) integers, the rival's predictions.
        after: (n,) integers, the ensemble's.
        rival: what it is called.
        class_names: what each label is called; its number by default.
        count: how many images of each kind to show at most.
    """
    words = style.class_words(int(max(np.max(labels), np.max(before), np.max(after))) + 1, class_names)
    columns = 8 if max(map(len, words)) <= 2 else 6
    parts = [
        (f"{len(changed):,} {kind}", changed[:count], colour)
        for kind, changed, colour in zip(
            (f"that the ensemble gets right and {rival} does not", f"that only {rival} gets right"),
            _changed(labels, before, after),
            (style.RIGHT, style.WRONG),
            strict=True,
        )
    ]
    rows = [max(1, -(-len(chosen) // columns)) for _, chosen, _ in parts]
    figure = style.sheet(13, 1.85 * sum(rows) + 1.2)
    for section, height, (title, chosen, colour) in zip(
        figure.subfigures(2, 1, height_ratios=rows), rows, parts, strict=True
    ):
        section.suptitle(title, fontsize=style.NORMAL + 1)
        cells = section.subplots(height, columns, squeeze=False).ravel()
        for cell in cells:
            cell.set_axis_off()
        for cell, row in zip(cells, chosen, strict=False):
            style.picture(cell, images[row], f"{words[before[row]]} → {words[after[row]]}", colour)
    return figure


def _changed(labels, before, after):
    """Return the rows that only `after` gets right, and those that only `before` does."""
    was, now = np.asarray(before) == labels, np.asarray(after) == labels
    return np.flatnonzero(now & ~was), np.flatnonzero(was & ~now)
