"""Many images as points: principal components and t-SNE, of the pixels or of a network's features."""

from collections.abc import Sequence

import numpy as np
from mpl_toolkits.mplot3d import proj3d

from kit.figures import style

SHAPES = "osD^vP<X>*"


def pca_components(images: np.ndarray, count: int = 15) -> style.Figure:
    """Show the mean image, the first `count` principal components, and how much of the variance they carry.

    Grey components are drawn from blue (less) over white to orange (more); coloured ones on mid-grey.

    Args:
        images: (n, h, w, 1 or 3) uint8; at most 10,000 are used.
        count: how many components to show.

    Reference:
        Turk and Pentland, "Eigenfaces for Recognition" (1991).
    """
    from sklearn.decomposition import PCA

    shape = images.shape[1:]
    pixels = _some(images, 10_000).reshape(-1, int(np.prod(shape))).astype(np.float32)
    reduced = PCA(min(50, *pixels.shape), svd_solver="randomized", random_state=0).fit(pixels)
    count = min(count, len(reduced.components_))
    columns = 8
    rows = -(-(count + 1) // columns)
    figure = style.sheet(16, max(3.6, 1.75 * rows + 0.1))
    left, right = figure.subfigures(1, 2, width_ratios=[2.2, 1])
    cells = left.subplots(rows, columns, squeeze=False).ravel()
    for cell in cells:
        cell.set_axis_off()
    style.picture(cells[0], reduced.mean_.reshape(shape), "mean")
    for place, (cell, component) in enumerate(zip(cells[1:], reduced.components_[:count], strict=False)):
        share = f"{100 * reduced.explained_variance_ratio_[place]:.1f} %"
        scale = np.abs(component).max()
        if shape[-1] == 1:
            cell.imshow(component.reshape(shape[:2]), cmap=style.DIVERGING, vmin=-scale, vmax=scale)
            cell.set_title(f"{place + 1}: {share}", fontsize=style.SMALL, pad=4)
        else:
            style.picture(cell, 127.5 + 127.5 * component.reshape(shape) / scale, f"{place + 1}: {share}")
    axes = style.plain(right.subplots(), "what the first components carry", "components", "share of the variance")
    carried = np.cumsum(reduced.explained_variance_ratio_)
    axes.plot(range(1, len(carried) + 1), carried, color=style.COLOURS[0], linewidth=2.4)
    axes.set_ylim(0, 1)
    style.percent(axes.yaxis)
    return figure


def pca_scatter(
    points: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str] | None = None,
    dimensions: int = 2,
    count: int = 2000,
    title: str | None = None,
) -> style.Figure:
    """Show images, or a network's features, along their first two or three principal components.

    Args:
        points: (n, h, w, c) images or (n, d) features, as `kit.figures.features` gives them.
        labels: (n,) integers.
        class_names: what each label is called; its number by default.
        dimensions: 2 or 3.
        count: how many points to draw at most.
        title: the figure's heading.
    """
    from sklearn.decomposition import PCA

    flat, labels = _flat(points, labels, 10_000)
    reduced = PCA(dimensions, svd_solver="randomized", random_state=0)
    places = reduced.fit_transform(flat)[:count]
    axes_names = [
        f"component {one + 1} ({100 * share:.0f} %)" for one, share in enumerate(reduced.explained_variance_ratio_)
    ]
    return _scatter(places, labels[:count], class_names, axes_names, title or "principal components")


def tsne_scatter(
    points: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str] | None = None,
    count: int = 1000,
    seed: int = 0,
    title: str | None = None,
) -> style.Figure:
    """Show images, or a network's features, in a t-SNE map: neighbours there are neighbours here.

    Distances between clusters, and the axes, mean nothing. A few seconds for 1,000 points on two cores.

    Args:
        points: (n, h, w, c) images or (n, d) features.
        labels: (n,) integers.
        class_names: what each label is called; its number by default.
        count: how many points to map at most.
        seed: of t-SNE's own randomness.
        title: the figure's heading.

    Reference:
        van der Maaten and Hinton, "Visualizing Data using t-SNE" (2008).
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    flat, labels = _flat(points, labels, count)
    # Fifty components first, as the paper does: the distances stay and the search is faster.
    flat = PCA(min(50, *flat.shape), random_state=seed).fit_transform(flat)
    perplexity = min(30.0, (len(flat) - 1) / 3)
    places = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(flat)
    return _scatter(places, labels, class_names, ["", ""], title or "t-SNE")


def _scatter(places, labels, class_names, axes_names, title) -> style.Figure:
    dimensions = places.shape[1]
    words = style.class_words(int(labels.max()) + 1, class_names)
    figure = style.sheet(11, 8.5)
    if dimensions == 3:
        axes = figure.add_subplot(projection="3d")
        axes.set_title(title, fontsize=style.NORMAL + 1)
        for axis, name in zip((axes.xaxis, axes.yaxis, axes.zaxis), axes_names, strict=True):
            axis.set_label_text(name, fontsize=style.NORMAL)
            axis.labelpad = 12
        axes.computed_zorder = False  # the names stand before the points
    else:
        axes = style.plain(figure.subplots(), title, *axes_names)
        if not any(axes_names):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
    # Ten colours are too many to tell apart: every class has a shape too, a digit its own.
    digits = max(map(len, words)) == 1
    named: list[np.ndarray] = []
    for label, colour in enumerate(style.spread(len(words))):
        mine = places[labels == label]
        if not len(mine):
            continue
        shape = f"${words[label]}$" if digits else SHAPES[label % len(SHAPES)]
        axes.scatter(*mine.T, marker=shape, s=46 if digits else 24, color=colour, linewidth=0.2, label=words[label])
        middle = np.median(mine, axis=0)
        # A name is written where it covers no other; the legend has them all.
        here = _on_paper(axes, middle)
        room = np.array([0.05 + 0.012 * len(words[label]), 0.05])
        if all((np.abs(here - other) > room).any() for other in named):
            named.append(here)
            name = axes.text(*middle, words[label], fontsize=19, weight="bold", ha="center", va="center", zorder=9)
            name.set_path_effects(style.HALO)
    if not digits:
        beside = (1.02 if dimensions == 2 else 1.1, 0.5)
        axes.legend(loc="center left", bbox_to_anchor=beside, fontsize=style.NORMAL, markerscale=2, frameon=False)
    return figure


def _on_paper(axes, place: np.ndarray) -> np.ndarray:
    """Where a point of a plot in two or three dimensions is seen, as shares of the plot's width and height."""
    if len(place) == 3:
        place = proj3d.proj_transform(*place, axes.get_proj())[:2]
    return axes.transAxes.inverted().transform(axes.transData.transform(place))


def _flat(points, labels, count: int) -> tuple[np.ndarray, np.ndarray]:
    points = np.asarray(points)
    if len(points) != len(labels):
        raise ValueError(f"{len(points)} points and {len(labels)} labels: give one label a point.")
    flat = _some(points, count).reshape(min(count, len(points)), -1).astype(np.float32)
    return flat, _some(np.asarray(labels), count)


def _some(array: np.ndarray, count: int) -> np.ndarray:
    """Return `count` rows drawn without replacement from a fixed seed, or all where there are fewer."""
    if len(array) <= count:
        return array
    return array[np.random.default_rng(0).permutation(len(array))[:count]]
