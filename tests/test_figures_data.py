"""Figures of data, training and predictions: drawn for one channel and three, and true to their numbers."""

import itertools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from drawings import is_png, texts
from matplotlib.figure import Figure

from kit import competitions, figures, metrics
from kit.figures import descent, style

NAMES = competitions.get("cifar-10").class_names


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def pictures(request):
    """Sixty images of ten classes with labels and probabilities, right but for every seventh."""
    draw = np.random.default_rng(0)
    labels = np.arange(60) % 10
    images = draw.integers(0, 256, (60, 12, 14, request.param), np.uint8)
    said = np.where(np.arange(60) % 7 == 0, (labels + 1) % 10, labels)
    probabilities = draw.dirichlet(np.full(10, 0.2), 60) * 0.4 + 0.6 * np.eye(10)[said]
    return images, labels, probabilities.astype(np.float32), NAMES if request.param == 3 else None


def history(folds=1, epochs=4, best=0.95):
    rows = [
        (fold, epoch, 2.0 * epoch, 0.1, 1 / epoch, best - 0.2 / epoch, 1.1 / epoch, best - 0.1 / epoch)
        for fold in range(folds)
        for epoch in range(1, epochs + 1)
    ]
    names = ["fold", "epoch", "seconds", "learning_rate", "loss", "accuracy", "val_loss", "val_accuracy"]
    return pd.DataFrame(rows, columns=names)


def test_importing_the_figures_starts_nothing_heavy():
    script = "import sys, kit.figures; assert not {'matplotlib', 'keras', 'pandas'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_every_figure_is_found_by_name():
    assert all(callable(getattr(figures, name)) for name in figures.__all__)
    with pytest.raises(AttributeError, match="no_such_figure"):
        _ = figures.no_such_figure


def test_pyplot_is_not_needed(pictures):
    images, labels, probabilities, names = pictures
    figure = figures.wrong_predictions(images, labels, probabilities, names)
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")  # what a notebook shows


# --- learning curves


@pytest.mark.parametrize("epochs", [1, 4, 30])
def test_learning_curves_draw_each_measured_epoch(epochs):
    told = history(epochs=epochs)
    figure = figures.learning_curves(told)
    assert is_png(figure)
    lines = figure.axes[0].lines
    assert [len(line.get_xdata()) for line in lines] == [epochs, epochs]
    np.testing.assert_allclose(lines[1].get_ydata(), told["val_loss"])


def test_learning_curves_average_folds():
    figure = figures.learning_curves({"a": history(3), "b": history(1)})
    assert is_png(figure)
    assert len(figure.axes[0].lines) == 2 * (3 + 1) + 2
    assert {"a", "b"} <= set(texts(figure))


def test_folds_of_a_single_epoch_are_seen():
    lines = figures.learning_curves(history(3, epochs=1)).axes[0].lines
    assert [line.get_marker() for line in lines if line.get_linewidth() > 2] == ["o", "o"]


def test_learning_curves_leave_out_what_was_not_measured():
    told = history()
    told["val_loss"] = np.nan
    figure = figures.learning_curves(told.drop(columns=["fold", "val_accuracy"]))
    assert is_png(figure)
    assert len(figure.axes[0].lines[1].get_xdata()) == 0


def test_learning_curves_tell_high_accuracies_apart():
    told = {name: history(epochs=50, best=best) for name, best in (("a", 0.992), ("b", 0.996))}
    axes = figures.learning_curves(told).axes[1]
    ends = [(50, history["val_accuracy"].max()) for history in told.values()]
    heights = axes.transAxes.inverted().transform(axes.transData.transform(ends))[:, 1]
    assert 0 < heights[0] < heights[1] - 0.08 < 0.92


def test_learning_curves_without_a_history_say_so():
    with pytest.raises(ValueError, match="no history"):
        figures.learning_curves({})
    with pytest.raises(ValueError, match="no history"):
        figures.learning_curves(history().iloc[:0])


def test_gradient_descent_with_a_rate_too_small_right_and_too_large():
    figure = figures.gradient_descent()
    assert is_png(figure)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:3] == [
        "learning rate 0.01: too small",
        "learning rate 0.15: about right",
        "learning rate 0.21: too large",
    ]
    losses = [line.get_ydata() for line in figure.axes[3].lines]
    assert losses[1][-1] < losses[0][-1] < losses[0][0] < losses[2][-1]
    assert len(figures.gradient_descent([0.1], steps=5).axes) == 2


def test_gradient_descent_follows_the_slope():
    ways = descent.descend(0.15, 5)
    for here, there in itertools.pairwise(ways):
        slope = [(descent._loss(here + step) - descent._loss(here - step)) / 2e-4 for step in 1e-4 * np.eye(2)]
        np.testing.assert_allclose(there, here - 0.15 * np.array(slope), atol=1e-6)


def test_percentages_have_the_decimals_that_they_need():
    axes = style.sheet(4, 4).subplots()
    style.percent(axes.yaxis)
    written = axes.yaxis.get_major_formatter()
    assert [written(share) for share in (0, 0.001, 0.05, 0.3, 0.9995, 1)] == [
        *("0 %", "0.1 %", "5 %", "30 %", "99.95 %", "100 %")
    ]


# --- the data


def test_images_stand_under_their_labels(pictures):
    images, labels, _, names = pictures
    figure = figures.labelled_images(images, labels, names, count=12)
    assert is_png(figure)
    shown = [axes.get_title() for axes in figure.axes if axes.images]
    assert shown == [names[label] if names else str(label) for label in labels[:12]]
    assert len(figures.labelled_images(images, count=500).axes) >= 60


def test_images_are_shown_with_their_own_pixels(pictures):
    images, labels, _, names = pictures
    drawn = figures.labelled_images(images, labels, names).axes[3].images[0]
    assert np.array_equal(np.asarray(drawn.get_array()), images[3].squeeze())
    assert drawn.get_clim() == (0, 255)


def test_class_examples_have_a_row_a_class(pictures):
    images, labels, _, names = pictures
    figure = figures.class_examples(images, labels, names, per_class=4)
    assert is_png(figure)
    assert len(figure.axes) == 40
    assert np.array_equal(np.asarray(figure.axes[4].images[0].get_array()), images[labels == 1][0].squeeze())


def test_label_histogram_counts(pictures):
    _, labels, _, names = pictures
    figure = figures.label_histogram(labels[:55], names)
    assert is_png(figure)
    counts = list(np.bincount(labels[:55]))
    assert [bar.get_height() for bar in figure.axes[0].patches] == counts
    assert [text.get_text() for text in figure.axes[0].texts] == [str(count) for count in counts]


def test_label_histogram_shows_an_empty_class():
    figure = figures.label_histogram(np.array([0, 0, 2]), ["a", "b", "c"])
    assert is_png(figure)
    assert [bar.get_height() for bar in figure.axes[0].patches] == [2, 0, 1]


def test_pixel_histograms_share_out_all_pixels(pictures):
    images, labels, _, names = pictures
    whole = figures.pixel_histogram(images)
    by_class = figures.pixel_histograms_by_class(images, labels, names)
    assert is_png(whole)
    assert is_png(by_class)
    steps = [patch for patch in whole.axes[0].patches if hasattr(patch, "get_data")]
    assert len(steps) == images.shape[-1]
    for step in steps:
        assert step.get_data().values.sum() == pytest.approx(1)


def test_augmentation_shows_before_and_after(pictures):
    images, labels, _, names = pictures
    after = np.stack([images[:, ::-1].astype(np.float32) - 20, images[:, :, ::-1]])
    figure = figures.augmentation(images, after, labels, names, count=5)
    assert is_png(figure)
    assert len(figure.axes) == 15
    assert np.asarray(figure.axes[5].images[0].get_array()).min() >= 0  # values outside 0…255 are cut off
    assert {"before", "after"} <= set(texts(figure))
    assert len(figures.augmentation(images, images[::-1], count=5).axes) == 10


def test_principal_components_of_images(pictures):
    images, labels, _, names = pictures
    assert is_png(figures.pca_components(images, 6))
    for dimensions in (2, 3):
        figure = figures.pca_scatter(images, labels, names, dimensions)
        assert is_png(figure)
        assert sum(len(points.get_offsets()) for points in figure.axes[0].collections) == 60


def test_scatter_of_features_groups_them_by_class():
    labels = np.repeat([0, 1, 2], 30)
    features = np.random.default_rng(0).normal(size=(90, 20)) + 30 * np.eye(20)[labels]
    for figure in (figures.pca_scatter(features, labels), figures.tsne_scatter(features, labels)):
        assert is_png(figure)
        middles = [np.asarray(points.get_offsets()).mean(0) for points in figure.axes[0].collections]
        spread = max(np.asarray(points.get_offsets()).std(0).max() for points in figure.axes[0].collections)
        assert min(np.linalg.norm(middles[a] - middles[b]) for a, b in [(0, 1), (0, 2), (1, 2)]) > 3 * spread
    with pytest.raises(ValueError, match="90 points and 3 labels"):
        figures.pca_scatter(features, labels[:3])


# --- predictions


def test_confusion_matrix_counts(pictures):
    _, labels, probabilities, names = pictures
    for predicted in (probabilities, probabilities.argmax(1)):
        figure = figures.confusion_matrix(labels, predicted, names)
        assert is_png(figure)
        counts = [int(text.get_text()) for text in figure.axes[0].texts]
        assert sum(counts) == 60
        assert "85.00 % right, 9 of 60 wrong" in texts(figure)


def test_wrong_and_right_predictions_are_told_apart(pictures):
    images, labels, probabilities, names = pictures
    wrong = figures.wrong_predictions(images, labels, probabilities, names, count=4)
    right = figures.right_predictions(images, labels, probabilities, names, count=4)
    assert is_png(wrong)
    assert is_png(right)
    rows = figures.worst_mistakes(labels, probabilities, 4)
    assert np.array_equal(np.asarray(wrong.axes[0].images[0].get_array()), images[rows[0]].squeeze())
    truth = probabilities[rows, labels[rows]]
    assert (np.diff(truth) >= 0).all()
    assert (rows % 7 == 0).all()


def test_no_mistakes_is_a_figure_too(pictures):
    images, labels, _, names = pictures
    assert "no mistake to show" in texts(figures.wrong_predictions(images, labels, np.eye(10)[labels], names))


def test_calibration_of_an_honest_and_of_a_boasting_network():
    draw = np.random.default_rng(0)
    sure = draw.uniform(0.5, 1, 20_000)
    labels = (draw.uniform(size=20_000) > sure).astype(int)
    honest = np.stack([sure, 1 - sure], 1)
    assert metrics.calibration(labels, honest, 15).error < 0.02
    boasting = np.stack([np.full(20_000, 0.99), np.full(20_000, 0.01)], 1)
    bands = metrics.calibration(labels, boasting, 10)
    assert bands.error == pytest.approx(0.99 - (labels == 0).mean(), abs=1e-6)
    assert bands.count.tolist() == [0] * 9 + [20_000]
    assert is_png(figures.calibration(labels, honest))
    assert "fewer than 10 images: chance" not in texts(figures.calibration(labels, honest))
    assert "fewer than 10 images: chance" in texts(figures.calibration(labels[:15], honest[:15]))
    assert f"calibration error (ECE) {100 * bands.error:.2f} %" in " ".join(
        texts(figures.calibration(labels, boasting))
    )


def test_disagreement_shows_the_images_and_who_is_right(pictures):
    images, labels, probabilities, names = pictures
    other = np.eye(10, dtype=np.float32)[labels]
    figure = figures.disagreement(images, labels, probabilities, other, ("a", "b"), names, count=3)
    assert is_png(figure)
    assert "a and b disagree on 9 of 60 images: a alone is right on 0, b alone on 9" in texts(figure)
    assert len([axes for axes in figure.axes if axes.images]) == 3
    assert "disagree on 0 of 60" in " ".join(texts(figures.disagreement(images, labels, other, other)))


def test_dozens_of_pictures_seen_stay_on_a_page(pictures):
    images, _, probabilities, names = pictures
    many = 36
    figure = figures.pictures_seen(
        [np.zeros((9, 9, 3), np.uint8)] * many,
        [(0, 0, 9, 9)] * many,
        images[:many],
        probabilities[:many],
        ["a-very-long-name-of-a-photo-from-the-telephone.jpeg"] * many,
        names,
    )
    assert is_png(figure)
    width, height = figure.get_size_inches()
    assert height < 2 * width
    assert "a-very-long-na…-telephone.jpeg" in texts(figure)


def test_pictures_seen_stand_beside_what_the_network_saw(pictures):
    images, _, probabilities, names = pictures
    originals = [np.zeros((40, 90, 3), np.uint8), np.full((200, 50, 3), 255, np.uint8)]
    boxes = [(10, 5, 50, 35), (0, 0, 50, 200)]
    figure = figures.pictures_seen(originals, boxes, images[:2], probabilities[:2], ["a.png", "b.jpg"], names)
    assert is_png(figure)
    assert {"a.png", "b.jpg"} <= set(texts(figure))
    frame = figure.axes[0].patches[0]
    assert (frame.get_width(), frame.get_height()) == (40, 30)
