"""The tutorials' checks: right answers pass, open gaps stop nothing, each usual mistake gets its own hint."""

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from kit.workshop import your_turn
from kit.workshop.checks import StillMissing

LABELS = np.array([3, 0, 9, 1])
LOGITS = np.array([1.0, 3.0, -1.0])
POWERS = np.exp(LOGITS)
ACCURACIES = pd.Series({"small": 0.95, "large": 0.97})


def base(trainable=("block4", "block5"), frozen=False):
    network = keras.Sequential(
        [keras.Input((4, 4, 1)), *(layers.Conv2D(1, 3, padding="same", name=f"block{n}_conv1") for n in range(3, 6))]
    )
    for layer in network.layers:
        layer.trainable = layer.name.startswith(trainable)
    if frozen:
        network.trainable = False
    return network


CASES = {
    your_turn.one_hot: ((LABELS,), {}, np.eye(10)[LABELS], [(np.eye(10), "shape"), (np.eye(10)[LABELS[::-1]], "eye")]),
    your_turn.softmax: (
        (LOGITS,),
        {},
        POWERS / POWERS.sum(),
        [(POWERS, "sum"), (LOGITS / LOGITS.sum(), "exp"), (0.9, "shape")],
    ),
    your_turn.cross_entropy: (
        (LOGITS, 1),
        {},
        -np.log(POWERS[1] / POWERS.sum()),
        [(np.log(POWERS[1] / POWERS.sum()), "sign"), (-np.log10(POWERS[1] / POWERS.sum()), "np.log"), (2.0, "class 1")],
    ),
    your_turn.standard_error: (
        (0.995, 28_000),
        {},
        0.000_421_5,
        [(0.042_15, "percent"), (0.000_421_5**2, "root"), (0.1, "square root")],
    ),
    your_turn.bet: ((["small", "large"],), {}, "small", [("middle", "small, large")]),
    your_turn.equal: (
        (np.ones((2, 3)),),
        {"what": "ones", "hint": "all of them"},
        np.ones((2, 3)),
        [(np.ones(3), "(2, 3)"), (np.zeros((2, 3)), "all of them")],
    ),
    your_turn.unfrozen: (
        (("block4", "block5"),),
        {},
        base(),
        [(base(("block5",)), "block4_conv1"), (base(("block",)), "block3_conv1"), (base(frozen=True), "trainable")],
    ),
}


@pytest.mark.parametrize("check", CASES, ids=lambda check: check.__name__)
def test_right_wrong_and_open_answers(check, capsys):
    known, options, right, mistakes = CASES[check]
    check(..., *known, **options)
    assert capsys.readouterr().out.startswith("○")
    check(right, *known, **options)
    assert capsys.readouterr().out.startswith("✓")
    for wrong, hint in mistakes:
        with pytest.raises(StillMissing, match=hint.replace("(", r"\(").replace(")", r"\)")):
            check(wrong, *known, **options)


def test_convolution(capsys):
    shape = (28, 28, 1)
    your_turn.convolution(..., ..., layers.Conv2D(32, 3), shape)
    your_turn.convolution(320, ..., layers.Conv2D(32, 3), shape)
    assert capsys.readouterr().out.count("○") == 2
    your_turn.convolution(320, 26, layers.Conv2D(32, 3), shape)
    assert "26 × 26 × 32" in capsys.readouterr().out
    for answer, hint in (((288, 26), "bias"), ((9, 26), "filters"), ((320, 28), "window")):
        with pytest.raises(StillMissing, match=hint):
            your_turn.convolution(*answer, layers.Conv2D(32, 3), shape)


@pytest.mark.parametrize(
    ("bet", "error", "said"),
    [
        ("large", 0.001, "✓"),
        ("small", 0.001, "✗"),
        ("small", 0.02, "nobody can tell"),
        ("other", 0.001, "○"),
        (..., 0.1, "○"),
    ],
)
def test_the_outcome_of_a_bet_minds_the_standard_error(bet, error, said, capsys):
    your_turn.outcome(bet, ACCURACIES, error)
    printed = capsys.readouterr().out
    assert said in printed
    assert ("nobody can tell" in printed) == (said == "nobody can tell")
