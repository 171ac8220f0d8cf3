"""Figures of ensembles: for few and many members, with and without changed predictions."""

import numpy as np
import pytest
from drawings import is_png, texts

from kit import figures, metrics


@pytest.mark.parametrize("members", [2, 20, 60])
def test_disagreement_of_few_and_of_many_members(members):
    predicted = np.random.default_rng(0).integers(0, 10, (members, 200))
    shares = metrics.disagreement(predicted)
    figure = figures.pairwise_disagreement([f"net-{one}" for one in range(members)], shares, np.full(members, 0.987))
    assert (f"{100 * shares[0, 1]:.2f}" in texts(figure)) == (members <= 12)
    assert ("net-1  98.70%" in texts(figure)) == (members <= 40)
    assert any(f"{100 * shares[np.triu_indices(members, 1)].mean():.2f}%" in text for text in texts(figure))
    assert is_png(figure)


def test_members_that_never_disagree_are_drawn_too():
    assert is_png(figures.pairwise_disagreement(["a", "b"], np.zeros((2, 2)), [1, 1]))


@pytest.mark.parametrize("names", [None, ["airplane", "truck", "frog"]])
def test_gains_are_counted_by_class(names):
    labels = np.array([0, 0, 1, 1, 2, 2])
    baseline = np.array([1, 0, 0, 0, 2, 1])
    ensemble = np.array([0, 0, 1, 1, 1, 0])
    figure = figures.gains_by_class(labels, baseline, ensemble, "net", names)
    assert any("net" in text and "3 images gained" in text and "1 lost" in text for text in texts(figure))
    assert [bar.get_height() for bar in figure.axes[0].patches] == [1, 2, 0, 0, 0, -1]
    assert is_png(figure)


@pytest.mark.parametrize(("channels", "changed"), [(1, 0), (3, 40)])
def test_changed_images_are_shown_under_both_predictions(channels, changed):
    images = np.random.default_rng(0).integers(0, 255, (100, 8, 8, channels), np.uint8)
    labels = np.arange(100) % 10
    baseline, ensemble = labels.copy(), labels.copy()
    baseline[:changed] = (labels[:changed] + 1) % 10
    ensemble[-1] = 0
    figure = figures.changed_images(images, labels, baseline, ensemble, "net", list("abcdefghij"), count=16)
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert len(titles) == min(changed, 16) + 1
    assert titles[-1] == "j → a"
    assert ("b → a" in titles) == bool(changed)
    assert [text.split()[0] for text in texts(figure) if "only" in text] == [str(changed), "1"]
    assert is_png(figure)
