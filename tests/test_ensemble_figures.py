"""The figures of an ensemble: what they say, for few and many members, with and without changes."""

import numpy as np
import pytest
from drawings import is_png, texts

from kit import figures, metrics


@pytest.mark.parametrize("members", [2, 5, 20, 60])
def test_disagreement_is_shown_for_few_and_for_many(members):
    predicted = np.random.default_rng(0).integers(0, 10, (members, 200))
    shares = metrics.disagreement(predicted)
    figure = figures.pairwise_disagreement([f"net-{one}" for one in range(members)], shares, np.full(members, 0.987))
    numbers = [text for text in texts(figure) if text == f"{100 * shares[0, 1]:.2f}"]
    assert bool(numbers) == (members <= 12)
    assert ("net-1  98.70 %" in [label.get_text() for label in figure.axes[0].get_yticklabels()]) == (members <= 40)
    assert any(f"{100 * shares[np.triu_indices(members, 1)].mean():.2f} %" in text for text in texts(figure))
    assert is_png(figure)


def test_members_that_never_disagree_are_drawn_too():
    figure = figures.pairwise_disagreement(["a", "b"], np.zeros((2, 2)), [1, 1])
    assert is_png(figure)


@pytest.mark.parametrize("names", [None, ["airplane", "truck", "frog"]])
def test_gains_are_counted_by_class(names):
    labels = np.array([0, 0, 1, 1, 2, 2])
    before = np.array([1, 0, 0, 0, 2, 1])
    after = np.array([0, 0, 1, 1, 1, 0])
    figure = figures.gains_by_class(labels, before, after, "net", names)
    assert "against net: 3 images gained, 1 lost" in texts(figure)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == [1, 2, 0, 0, 0, -1]
    assert is_png(figure)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("changed", [0, 3, 40])
def test_changed_images_are_shown_under_both_predictions(channels, changed):
    images = np.random.default_rng(0).integers(0, 255, (100, 8, 8, channels), np.uint8)
    labels = np.arange(100) % 10
    before, after = labels.copy(), labels.copy()
    before[:changed] = (labels[:changed] + 1) % 10
    after[-1] = 0
    figure = figures.changed_images(images, labels, before, after, "net", list("abcdefghij"), count=16)
    words = texts(figure)
    assert sum("→" in text for text in words) == min(changed, 16) + 1
    assert f"{changed} that the ensemble gets right and net does not" in words
    assert "1 that only net gets right" in words
    assert "j → a" in words
    if changed:
        assert "b → a" in words
    assert is_png(figure)
