"""Checks of the tutorials' "your turn" cells: ✓, or what is still wrong; a gap that is left open stops nothing.

A check takes what the participant wrote, and what the notebook knows, and works out the right answer from that. It
prints a line that begins with ✓ or, for a gap that is still `...`, with ○. For a wrong answer it raises `StillMissing`.
"""

import functools
from collections.abc import Callable, Iterable

import keras
import numpy as np
import pandas as pd

from kit import metrics
from kit.workshop.checks.answers import StillMissing, good


def _open_gaps_are_fine(check: Callable[..., None]) -> Callable[..., None]:
    """Let `check` say of an answer that is still `...` that it is open, and go on."""

    @functools.wraps(check)
    def checked(*answers, **known) -> None:
        if any(answer is ... for answer in answers):
            print("○ Your turn is still open. Write your answer in place of the dots, or go on without.")
            return
        check(*answers, **known)

    return checked


@_open_gaps_are_fine
def one_hot(answer, labels: np.ndarray) -> None:
    """Check one-hot labels (n, classes) of integer labels (n,)."""
    answer, classes = np.asarray(answer), int(labels.max()) + 1
    if answer.shape != (len(labels), classes):
        raise StillMissing(f"the shape is {answer.shape}; one-hot labels have the shape {(len(labels), classes)}.")
    if not np.array_equal(answer, np.eye(classes)[labels]):
        raise StillMissing("each row needs a single 1, at the place of its label, and 0 elsewhere: np.eye(10)[labels]")
    good(f"{len(labels):,} rows; the first label is {labels[0]}, and its row {answer[0].astype(int)}.")


@_open_gaps_are_fine
def softmax(answer, logits: np.ndarray) -> None:
    """Check the probabilities (classes,) of logits (classes,)."""
    answer, right = np.asarray(answer, float), metrics.softmax(np.asarray(logits, float))
    if answer.shape != right.shape:
        raise StillMissing(f"the shape is {answer.shape}; each of the {len(right)} logits gets a probability.")
    if np.allclose(answer, np.exp(logits)):
        raise StillMissing("these are the powers of e. Divide each by the sum of all.")
    if not np.allclose(answer, right, atol=0.001):
        raise StillMissing(f"these add up to {answer.sum():.3f}. Take np.exp of the logits and divide by the sum.")
    good(f"probabilities {answer.round(3)}; together they are 1.")


@_open_gaps_are_fine
def cross_entropy(answer, logits: np.ndarray, truth: int) -> None:
    """Check the cross-entropy of logits (classes,) for the true class."""
    answer, right = float(answer), float(-np.log(metrics.softmax(np.asarray(logits, float))[truth]))
    if np.isclose(answer, -right, atol=0.001):
        raise StillMissing("the sign is missing: minus the logarithm. A loss is never negative.")
    if np.isclose(answer, right / np.log(10), atol=0.001) or np.isclose(answer, right / np.log(2), atol=0.001):
        raise StillMissing("take the natural logarithm, np.log.")
    if not np.isclose(answer, right, atol=0.001):
        raise StillMissing(f"{answer:.3f} is not minus the logarithm of the probability of class {truth}.")
    good(f"the loss is {answer:.3f}.")


@_open_gaps_are_fine
def convolution(weight_count, side, layer: keras.layers.Layer, input_shape: tuple[int, int, int]) -> None:
    """Check how many weights a convolution has on images of `input_shape`, and how high its output is."""
    layer.build((None, *input_shape))
    right_side = layer.compute_output_shape((None, *input_shape))[1]
    if weight_count != layer.count_params():
        without = layer.count_params() - layer.filters
        hint = "each filter has a bias, too" if weight_count == without else "filters × (height × width × channels + 1)"
        raise StillMissing(f"{weight_count:,} weights are not right: {hint}.")
    if side != right_side:
        raise StillMissing(f"the output is not {side} high. At how many places does the window fit inside the image?")
    good(f"{weight_count:,} weights, and the output is {side} × {side} × {layer.filters}.")


@_open_gaps_are_fine
def standard_error(answer, accuracy: float, images: int) -> None:
    """Check the standard error of an accuracy, 0…1, on so many images."""
    answer, right = float(answer), metrics.standard_error(accuracy, images)
    if np.isclose(answer, 100 * right, rtol=0.02):
        raise StillMissing("this is in percent; give it as a share of 1.")
    if np.isclose(answer, right**2, rtol=0.02):
        raise StillMissing("this is the variance. Take the square root.")
    if not np.isclose(answer, right, rtol=0.02):
        raise StillMissing(f"{answer:g} is not the square root of p · (1 − p) / n.")
    good(f"{right:.3%}.")


@_open_gaps_are_fine
def bet(answer, names: Iterable[str]) -> None:
    """Check that a bet is one of `names`."""
    names = list(names)
    if answer not in names:
        raise StillMissing(f"{answer!r} is not among {', '.join(names)}.")
    good(f"you bet on: {answer}.")


@_open_gaps_are_fine
def outcome(answer, results: pd.Series, error: float) -> None:
    """Compare a bet with the results.

    Args:
        answer: the name that was bet on.
        results: accuracies 0…1 by name.
        error: the standard error of an accuracy.
    """
    best = str(results.idxmax())
    if answer not in results.index:
        print(f"○ {answer} did not run this time; the best of those that ran is {best}.")
    elif answer == best:
        good(f"your bet was right: {best}, {results[best]:.2%}.")
    else:
        behind = results[best] - results[answer]
        near = " That is within two standard errors: nobody can tell which is better." if behind < 2 * error else ""
        print(f"✗ {best} is the best, {behind:.2%} ahead of {answer}.{near}")


@_open_gaps_are_fine
def equal(answer, right, what: str, hint: str) -> None:
    """Check an array or a number against the right one.

    Args:
        answer: what the participant computed.
        right: the same, right.
        what: what it is called in the messages.
        hint: what to think of, where the values differ.
    """
    answer, right = np.asarray(answer), np.asarray(right)
    if answer.shape != right.shape:
        raise StillMissing(f"{what}: the shape is {answer.shape}, and should be {right.shape}.")
    if not np.allclose(answer.astype(float), right.astype(float), atol=1e-3, equal_nan=True):
        raise StillMissing(f"{what}: the shape is right, the values are not. {hint}")
    good(f"{what}: right.")


@_open_gaps_are_fine
def unfrozen(network, blocks: tuple[str, ...]) -> None:
    """Check that of a network's layers those of some blocks learn, and all others are frozen.

    Args:
        network: a `keras.Model`, such as VGG16.
        blocks: what the names of the layers that should learn begin with.
    """
    with_weights = [layer for layer in network.layers if layer.weights]
    learning = {layer.name for layer in with_weights if layer.trainable_weights}
    wanted = {layer.name for layer in with_weights if layer.name.startswith(blocks)}
    if not network.trainable and not learning:
        raise StillMissing("a frozen network's layers stay frozen: set network.trainable = True first.")
    if learning - wanted:
        raise StillMissing(f"{', '.join(sorted(learning - wanted))} should be frozen.")
    if wanted - learning:
        raise StillMissing(f"{', '.join(sorted(wanted - learning))} should learn.")
    good(f"training changes {', '.join(sorted(learning))}, and nothing else.")
