"""Images or features as points in a plane: principal components and t-SNE."""

from collections.abc import Sequence

import numpy as np

from kit.figures import style

MARKERS = "osD^vP<X>*"
MOST_FITTED = 10_000  # images that principal components are fitted to


def pca_components(images: np.ndarray, count: int = 15) -> style.Figure:
    """Show the mean image, the first `count` principal components, and the variance that they explain.

    Components of grey images are drawn from blue (negative) over white to orange (positive); those of colour images
    on mid-grey.

    Args:
        images: (n, h, w, 1 or 3) uint8; at most 10,000 are used.
        count: how many components to show.

    Reference:
        Turk and Pentland, "Eigenfaces for Recognition" (1991).
    """
    from sklearn.decomposition import PCA

    shape = images.shape[1:]
    pixels = _sample(images, MOST_FITTED).reshape(-1, int(np.prod(shape))).astype(np.float32)
    pca = PCA(min(50, *pixels.shape), svd_solver="randomized", random_state=0).fit(pixels)
    count = min(count, len(pca.components_))
    columns = 8
    rows = -(-(count + 1) // columns)
    figure = style.new_figure(16, max(3.6, 1.75 * rows + 0.1))
    left, right = style.split(figure, 1, 2, width_ratios=[2.2, 1])
    cells = left.subplots(rows, columns, squeeze=False).ravel()
    style.hide_axes(cells)
    style.show_image(cells[0], pca.mean_.reshape(shape), "mean")
    for number, (cell, component) in enumerate(zip(cells[1:], pca.components_[:count], strict=False)):
        title = f"{number + 1}: {pca.explained_variance_ratio_[number]:.1%}"
        largest = np.abs(component).max()
        if shape[-1] == 1:
            cell.imshow(component.reshape(shape[:2]), cmap=style.DIVERGING, vmin=-largest, vmax=largest)
            cell.set_title(title, fontsize=style.SMALL, pad=4)
        else:
            style.show_image(cell, 127.5 + 127.5 * component.reshape(shape) / largest, title)
    axes = style.format_axes(right.subplots(), "cumulative explained variance", "components", "explained variance")
    explained = np.cumsum(pca.explained_variance_ratio_)
    axes.plot(range(1, len(explained) + 1), explained, color=style.COLOURS[0], linewidth=2.4)
    axes.set_ylim(0, 1)
    style.percent_axis(axes.yaxis)
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
        points: (n, h, w, c) images or (n, d) features, as `kit.figures.features` returns them.
        labels: (n,) integers.
        class_names: the name of each class; its number by default.
        dimensions: 2 or 3.
        count: how many points to draw at most.
        title: the figure's title.
    """
    from sklearn.decomposition import PCA

    flat, labels = _flat(points, labels, MOST_FITTED)
    pca = PCA(dimensions, svd_solver="randomized", random_state=0)
    positions = pca.fit_transform(flat)[:count]
    axis_labels = [
        f"component {number} ({share:.0%} of variance)" for number, share in enumerate(pca.explained_variance_ratio_, 1)
    ]
    return _scatter(positions, labels[:count], class_names, axis_labels, title or "principal components")


def tsne_scatter(
    points: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str] | None = None,
    count: int = 1000,
    seed: int = 0,
    title: str | None = None,
) -> style.Figure:
    """Show images, or a network's features, in a t-SNE map: points that are close here are close there.

    The axes and the distances between clusters have no meaning. A few seconds for 1,000 points on two cores.

    Args:
        points: (n, h, w, c) images or (n, d) features.
        labels: (n,) integers.
        class_names: the name of each class; its number by default.
        count: how many points to draw at most.
        seed: the random seed of t-SNE.
        title: the figure's title.

    Reference:
        van der Maaten and Hinton, "Visualizing Data using t-SNE" (2008).
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    flat, labels = _flat(points, labels, count)
    # Reduced to fifty components first, as in the paper: distances hardly change, and the search is faster.
    flat = PCA(min(50, *flat.shape), random_state=seed).fit_transform(flat)
    perplexity = min(30.0, (len(flat) - 1) / 3)
    positions = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(flat)
    return _scatter(positions, labels, class_names, ["", ""], title or "t-SNE")


def _scatter(positions, labels, class_names, axis_labels, title) -> style.Figure:
    dimensions = positions.shape[1]
    names = style.class_names(int(labels.max()) + 1, class_names)
    figure = style.new_figure(11, 8.5)
    axes = _axes_3d(figure, title, axis_labels) if dimensions == 3 else _axes_2d(figure, title, axis_labels)
    # Ten colours are hard to tell apart, so every class has a marker too; a digit is its own marker.
    digits = max(map(len, names)) == 1
    named: list[np.ndarray] = []
    for label, colour in enumerate(style.distinct_colours(len(names))):
        own = positions[labels == label]
        if not len(own):
            continue
        marker = f"${names[label]}$" if digits else MARKERS[label % len(MARKERS)]
        axes.scatter(*own.T, marker=marker, s=46 if digits else 24, color=colour, linewidth=0.2, label=names[label])
        centre = np.median(own, axis=0)
        # A name is written where it covers no other; the legend has all of them.
        here = _in_axes(axes, centre)
        clearance = np.array([0.05 + 0.012 * len(names[label]), 0.05])
        if all((np.abs(here - other) > clearance).any() for other in named):
            named.append(here)
            name = axes.text(*centre, names[label], fontsize=19, weight="bold", ha="center", va="center", zorder=9)
            name.set_path_effects(style.HALO)
    if not digits:
        beside = (1.02 if dimensions == 2 else 1.1, 0.5)
        axes.legend(loc="center left", bbox_to_anchor=beside, fontsize=style.NORMAL, markerscale=2, frameon=False)
    return figure


def _axes_2d(figure, title, axis_labels):
    axes = style.format_axes(figure.subplots(), title, *axis_labels)
    if not any(axis_labels):
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    return axes


def _axes_3d(figure, title, axis_labels):
    axes = figure.add_subplot(projection="3d")
    axes.set_title(title, fontsize=style.NORMAL + 1)
    for axis, text in zip((axes.xaxis, axes.yaxis, axes.zaxis), axis_labels, strict=True):
        axis.set_label_text(text, fontsize=style.NORMAL)
        axis.labelpad = 12
    axes.computed_zorder = False  # class names are drawn in front of the points
    return axes


def _in_axes(axes, position: np.ndarray) -> np.ndarray:
    """Where a point of a plot in two or three dimensions is drawn, in fractions of the axes' width and height."""
    if len(position) == 3:
        x, y, _, scale = axes.get_proj() @ [*position, 1]
        position = np.array([x, y]) / scale
    return axes.transAxes.inverted().transform(axes.transData.transform(position))


def _flat(points, labels, count: int) -> tuple[np.ndarray, np.ndarray]:
    points = np.asarray(points)
    if len(points) != len(labels):
        raise ValueError(f"{len(points)} points and {len(labels)} labels: every point needs a label.")
    flat = _sample(points, count).reshape(min(count, len(points)), -1).astype(np.float32)
    return flat, _sample(np.asarray(labels), count)


def _sample(array: np.ndarray, count: int) -> np.ndarray:
    """Return `count` rows drawn without replacement from a fixed seed, or all where there are fewer."""
    if len(array) <= count:
        return array
    return array[np.random.default_rng(0).permutation(len(array))[:count]]
