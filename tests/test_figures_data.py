"""Figures of data, training and predictions: drawn for one channel and three, and true to their numbers."""

import itertools
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from drawings import is_png, overlapping, texts
from matplotlib.figure import Figure

from kit import figures, metrics
from kit.figures import descent, style


@pytest.fixture(params=[None, ("cat", "dog", "automobile")], ids=["grey", "colour"])
def predicted(request):
    """Thirty images of three classes, labels, probabilities (every seventh wrong), names of the classes or None."""
    random = np.random.default_rng(0)
    labels = np.arange(30) % 3
    images = random.integers(0, 256, (30, 12, 14, 3 if request.param else 1), np.uint8)
    classes = np.where(np.arange(30) % 7 == 0, (labels + 1) % 3, labels)
    probabilities = random.dirichlet(np.full(3, 0.2), 30) * 0.4 + 0.6 * np.eye(3)[classes]
    return images, labels, probabilities.astype(np.float32), request.param


def history(folds=1, epochs=4, best=0.95):
    rows = [
        (fold, epoch, 2.0 * epoch, 1 / epoch, best - 0.2 / epoch, 1.1 / epoch, best - 0.1 / epoch)
        for fold in range(folds)
        for epoch in range(1, epochs + 1)
    ]
    columns = ["fold", "epoch", "seconds", "loss", "accuracy", "val_loss", "val_accuracy"]
    return pd.DataFrame(rows, columns=columns)


def pixels(axes):
    return np.asarray(axes.images[0].get_array())


def test_the_package_is_light_and_complete():
    script = "import sys, kit.figures; assert not {'matplotlib', 'keras', 'pandas'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    assert all(callable(getattr(figures, name)) for name in figures.__all__)
    with pytest.raises(AttributeError, match="no_such_figure"):
        _ = figures.no_such_figure


# --- learning curves


@pytest.mark.parametrize("epochs", [1, 30])
def test_learning_curves_draw_every_epoch(epochs):
    table = history(epochs=epochs)
    figure = figures.learning_curves(table)
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")  # what a notebook shows
    for axes, x, y in zip(figure.axes, ("epoch", "epoch", "seconds"), ("loss", "accuracy", "accuracy"), strict=True):
        for line, column in zip(axes.lines, (y, f"val_{y}"), strict=True):
            np.testing.assert_allclose(line.get_xdata(), table[x])
            np.testing.assert_allclose(line.get_ydata(), table[column])
            assert (line.get_marker() == "o") == (epochs == 1)  # a line through one point is invisible


def test_learning_curves_average_folds():
    table = history(3)
    table["val_loss"] += table["fold"]
    validation = [line for line in figures.learning_curves(table).axes[0].lines if line.get_linestyle() == "-"]
    assert len(validation) == 4
    np.testing.assert_allclose(validation[-1].get_ydata(), table.groupby("epoch")["val_loss"].mean())
    single = figures.learning_curves(history(3, epochs=1)).axes[0].lines
    assert [line.get_marker() for line in single if line.get_linewidth() > 2] == ["o", "o"]


def test_learning_curves_leave_out_what_was_not_measured():
    table = history()
    table["val_loss"] = np.nan
    figure = figures.learning_curves(table.drop(columns=["fold", "val_accuracy", "seconds"]))
    assert is_png(figure)
    assert len(figure.axes[0].lines[1].get_xdata()) == 0
    for empty in ({}, table.iloc[:0]):
        with pytest.raises(ValueError, match="no history"):
            figures.learning_curves(empty)


def test_learning_curves_show_high_accuracies_apart():
    tables = {name: history(epochs=50, best=best) for name, best in (("a", 0.992), ("b", 0.996))}
    axes = figures.learning_curves(tables).axes[1]
    ends = [(50, table["val_accuracy"].max()) for table in tables.values()]
    heights = axes.transAxes.inverted().transform(axes.transData.transform(ends))[:, 1]
    assert 0 < heights[0] < heights[1] - 0.08 < 0.92


@pytest.mark.parametrize("name", ["net-{}", "a-long-name-of-a-run-{}-with-its-date-and-time-20260801-120000-and-more"])
def test_learning_curves_of_eight_runs_have_a_legible_legend(name):
    figure = figures.learning_curves({name.format(number): history(epochs=20) for number in range(8)})
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert len({text.get_text() for text in legend.get_texts()}) == 10
    assert not overlapping(legend.get_texts())
    extent = legend.get_window_extent()
    assert extent.x0 >= 0
    assert extent.x1 <= figure.bbox.x1
    assert all(axes.get_tightbbox().y0 > extent.y1 for axes in figure.axes)
    assert all(axes.get_window_extent().height > 200 for axes in figure.axes)


# --- benchmarks and scores


def test_recipes_are_drawn_at_the_mean_of_their_trainings_with_standard_deviations():
    results = pd.DataFrame(
        [
            *(("a", 0, 1, 10.0, 0.5), ("a", 0, 2, 20.0, 0.70), ("a", 1, 1, 12.0, 0.6), ("a", 1, 2, 24.0, 0.76)),
            ("b", 0, 1, 90.0, 0.80),
        ],
        columns=["recipe", "seed", "epoch", "seconds", "accuracy"],
    )
    figure = figures.accuracy_against_seconds(results, "title")
    assert is_png(figure)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    first, second = axes.containers
    assert first.lines[0].get_xydata().tolist() == pytest.approx(np.array([[22, 0.73]]))
    sideways, upwards = (bar.get_segments()[0] for bar in first.lines[2])
    assert sideways[:, 0].tolist() == pytest.approx([22 - 8**0.5, 22 + 8**0.5])
    assert upwards[:, 1].tolist() == pytest.approx([0.73 - 0.0018**0.5, 0.73 + 0.0018**0.5])
    assert second.lines[0].get_xydata().tolist() == pytest.approx(np.array([[90, 0.8]]))
    assert not second.lines[2]
    path = next(line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_alpha())
    assert path.get_xydata().tolist() == pytest.approx(np.array([[11, 0.55], [22, 0.73]]))
    assert [label.get_text() for label in axes.texts] == ["a", "b"]


@pytest.mark.parametrize("different", [1, 4, 14])
def test_names_of_recipes_do_not_overlap(different):
    random = np.random.default_rng(different)
    points = np.stack([10 ** random.uniform(0.5, 2.8, different), random.uniform(0.9, 0.996, different)], 1)
    rows = [(f"a_network_of_the_zoo-{number}", *points[number % different]) for number in range(14)]
    figure = figures.accuracy_against_seconds(pd.DataFrame(rows, columns=["recipe", "seconds", "accuracy"]))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert len(axes.texts) == 14
    assert overlapping(axes.texts) == []
    width = 830 / figure.bbox.width  # of a README's column
    assert min(label.get_fontsize() * figure.dpi / 72 * width for label in axes.texts) > 12


@pytest.mark.parametrize(
    "results",
    [
        pd.DataFrame(columns=["recipe", "seconds", "accuracy"]),
        pd.DataFrame({"recipe": ["a"], "accuracy": [0.5]}),
        pd.DataFrame({"recipe": ["a"], "seconds": [0.0], "accuracy": [0.5]}),
        pd.DataFrame({"recipe": ["a"], "seconds": [1.0], "accuracy": [50.0]}),
    ],
)
def test_results_that_cannot_be_drawn_are_refused(results):
    with pytest.raises(ValueError, match="seconds"):
        figures.accuracy_against_seconds(results)


def test_validation_is_drawn_against_the_public_score():
    validation, public = [0.990, 0.992, 0.994], [0.988, 0.991, 0.993]
    figure = figures.validation_against_public(validation, public, ["a", "b", "c"])
    assert is_png(figure)
    gaps = np.subtract(public, validation)
    assert any(f"{gaps.mean():+.5f} ± {gaps.std(ddof=1):.5f} (n = 3)" in text for text in texts(figure))
    with pytest.raises(ValueError, match=r"\(1,\)"):
        figures.validation_against_public([0.9], [0.9, 0.8])
    assert is_png(figures.validation_against_public([0.9], [0.8]))


# --- gradient descent


def test_gradient_descent_with_learning_rates_too_small_right_and_too_large():
    figure = figures.gradient_descent()
    assert is_png(figure)
    losses = [line.get_ydata() for line in figure.axes[3].lines]
    assert losses[1][-1] < losses[0][-1] < losses[0][0] < losses[2][-1]
    assert [axes.get_title().split(": ")[1] for axes in figure.axes[:3]] == ["too small", "about right", "too large"]
    assert len(figures.gradient_descent([0.1], steps=5).axes) == 2


def test_gradient_descent_follows_the_gradient():
    for here, there in itertools.pairwise(descent.descend(0.15, 5)):
        slope = [(descent._loss(here + step) - descent._loss(here - step)) / 2e-4 for step in 1e-4 * np.eye(2)]
        np.testing.assert_allclose(there, here - 0.15 * np.array(slope), atol=1e-6)


def test_percentages_have_the_decimals_that_they_need():
    axes = style.new_figure(4, 4).subplots()
    style.percent_axis(axes.yaxis)
    formatter = axes.yaxis.get_major_formatter()
    assert [formatter(share) for share in (0, 0.001, 0.05, 0.3, 0.9995, 1)] == [
        *("0%", "0.1%", "5%", "30%", "99.95%", "100%")
    ]


# --- the data


def test_images_stand_under_their_labels(predicted):
    images, labels, _, names = predicted
    figure = figures.labelled_images(images, labels, names, count=12)
    assert is_png(figure)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == [names[label] if names else str(label) for label in labels[:12]]
    assert np.array_equal(pixels(shown[3]), images[3].squeeze())
    assert shown[3].images[0].get_clim() == (0, 255)
    assert len([axes for axes in figures.labelled_images(images, count=500).axes if axes.images]) == 30


def test_class_examples_have_one_row_for_each_class(predicted):
    images, labels, _, names = predicted
    figure = figures.class_examples(images, labels, names, per_class=4)
    assert is_png(figure)
    assert len(figure.axes) == 12
    assert np.array_equal(pixels(figure.axes[4]), images[labels == 1][0].squeeze())


def test_label_histogram_counts():
    figure = figures.label_histogram(np.array([0, 0, 2]), ["a", "b", "c"])
    assert is_png(figure)
    assert [bar.get_height() for bar in figure.axes[0].patches] == [2, 0, 1]
    assert [text.get_text() for text in figure.axes[0].texts] == ["2", "0", "1"]


def test_pixel_histograms_add_up_to_all_pixels(predicted):
    images, labels, _, names = predicted
    figure = figures.pixel_histogram(images)
    assert is_png(figure)
    assert is_png(figures.pixel_histograms_by_class(images, labels, names))
    steps = [patch for patch in figure.axes[0].patches if hasattr(patch, "get_data")]
    assert [step.get_data().values.sum() for step in steps] == pytest.approx([1] * images.shape[-1])


def test_augmentation_is_shown_before_and_after(predicted):
    images, labels, _, names = predicted
    after = np.stack([images[:, ::-1].astype(np.float32) - 20, images[:, :, ::-1]])
    figure = figures.augmentation(images, after, labels, names, count=4)
    assert is_png(figure)
    assert len(figure.axes) == 12
    assert pixels(figure.axes[4]).min() >= 0  # values outside 0…255 are clipped
    assert np.array_equal(pixels(figure.axes[8]), images[0, :, ::-1].squeeze())
    assert len(figures.augmentation(images, images[::-1], count=5).axes) == 10


def test_principal_components_of_images(predicted):
    images, labels, _, names = predicted
    assert is_png(figures.pca_components(images, 6))
    for dimensions in (2, 3):
        figure = figures.pca_scatter(images, labels, names, dimensions)
        assert is_png(figure)
        assert sum(len(points.get_offsets()) for points in figure.axes[0].collections) == 30


def test_scatter_of_features_groups_them_by_class():
    labels = np.repeat([0, 1, 2], 15)
    features = np.random.default_rng(0).normal(size=(45, 20)) + 30 * np.eye(20)[labels]
    for figure in (figures.pca_scatter(features, labels), figures.tsne_scatter(features, labels)):
        groups = [np.asarray(points.get_offsets()) for points in figure.axes[0].collections]
        centres, deviation = [group.mean(0) for group in groups], max(group.std(0).max() for group in groups)
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(centres, 2)) > 3 * deviation
    with pytest.raises(ValueError, match="45 points and 3 labels"):
        figures.pca_scatter(features, labels[:3])


# --- predictions


def test_confusion_matrix_counts(predicted):
    _, labels, probabilities, names = predicted
    for guess in (probabilities, probabilities.argmax(1)):
        figure = figures.confusion_matrix(labels, guess, names)
        counts = [int(text.get_text()) for text in figure.axes[0].texts]
        assert sum(counts) == 30
        assert any("83.33%" in text and "5 of 30" in text for text in texts(figure))
    assert is_png(figure)


def test_wrong_and_correct_predictions_are_told_apart(predicted):
    images, labels, probabilities, names = predicted
    wrong = figures.wrong_predictions(images, labels, probabilities, names, count=4)
    correct = figures.correct_predictions(images, labels, probabilities, names, count=4)
    assert is_png(wrong)
    assert is_png(correct)
    rows = figures.worst_mistakes(labels, probabilities, 4)
    assert np.array_equal(pixels(wrong.axes[0]), images[rows[0]].squeeze())
    assert (rows % 7 == 0).all()
    assert (np.diff(probabilities[rows, labels[rows]]) >= 0).all()
    right = np.flatnonzero(np.arange(30) % 7)
    least = right[probabilities[right, labels[right]].argmin()]
    assert np.array_equal(pixels(correct.axes[0]), images[least].squeeze())
    assert is_png(figures.wrong_predictions(images, labels, np.eye(3)[labels], names))  # of no mistakes


def test_calibration_of_a_calibrated_and_of_an_overconfident_network():
    random = np.random.default_rng(0)
    confidence = random.uniform(0.5, 1, 20_000)
    labels = (random.uniform(size=20_000) > confidence).astype(int)
    calibrated = np.stack([confidence, 1 - confidence], 1)
    overconfident = np.tile([0.99, 0.01], (20_000, 1))
    for probabilities, low, high in ((calibrated, 0, 0.02), (overconfident, 0.2, 0.3)):
        measured = metrics.calibration(labels, probabilities, 15)
        assert low <= measured.error < high
        figure = figures.calibration(labels, probabilities)
        assert f"{100 * measured.error:.2f}%" in " ".join(texts(figure))
        dots = np.concatenate([line.get_xydata() for line in figure.axes[0].lines if line.get_marker() == "o"])
        filled = measured.count > 0
        drawn = np.stack([measured.confidence, measured.accuracy], 1)[filled]
        np.testing.assert_allclose(dots[np.argsort(dots[:, 0])], drawn)
    assert is_png(figure)
    few = "fewer than 10 images"
    assert few not in texts(figure)
    assert few in texts(figures.calibration(labels[:15], calibrated[:15]))


def test_disagreement_shows_the_images_and_which_network_is_right(predicted):
    images, labels, probabilities, names = predicted
    perfect = np.eye(3, dtype=np.float32)[labels]
    figure = figures.disagreement(images, labels, probabilities, perfect, ("a", "b"), names, count=3)
    assert is_png(figure)
    assert any("5 of 30" in text and "a is right on 0" in text and "b on 5" in text for text in texts(figure))
    assert len([axes for axes in figure.axes if axes.images]) == 3
    assert "0 of 30" in " ".join(texts(figures.disagreement(images, labels, perfect, perfect)))


@pytest.mark.parametrize("count", [2, 13])
def test_photos_stand_beside_the_images_made_of_them(count):
    random = np.random.default_rng(0)
    name = "a-very-long-name-of-a-photo-from-the-telephone.jpeg"
    figure = figures.prepared_photos(
        [np.zeros((40, 90, 3), np.uint8)] * count,
        [(10, 5, 50, 35)] * count,
        random.integers(0, 256, (count, 8, 8, 1), np.uint8),
        random.dirichlet(np.ones(10), count),
        [name] * count,
    )
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    assert height < 2 * width
    frame = figure.axes[0].patches[0]
    assert (frame.get_width(), frame.get_height()) == (40, 30)
    titles = [axes.title for axes in figure.axes[::3]]
    assert titles[0].get_text().startswith(name[:10])
    assert titles[0].get_text().endswith(name[-10:])
    assert overlapping(titles) == []
