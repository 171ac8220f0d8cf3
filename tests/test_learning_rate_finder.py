"""Finding a learning rate: the sweep, the suggestion, and that networks learn with it."""

import pathlib
import shlex

import numpy as np
import pytest

import kit
from kit import loaders, zoo
from kit.command_line import DONE, FAILED, WRONG_INPUT
from kit.errors import Failure
from kit.loaders.limit import limited
from kit.train import main
from kit.training import learning_rate_finder as finder

SAMPLE = ["--source", "sample", "--limit", "400", "--batch-size", "32", "--precision", "float32"]
FIGURE = pathlib.Path("runs/digit-recognizer/learning-rate-lenet_small.png")


def test_the_suggestion_is_a_tenth_of_the_rate_with_the_lowest_loss():
    rates = np.logspace(-6, 1, 71)
    losses = 1 + (np.log10(rates) + 2) ** 2  # a valley around 0.01
    found = finder.suggestion(rates, losses)
    assert 0.0005 < found < 0.005
    assert float(f"{found:.1e}") == found
    np.testing.assert_allclose(finder.smoothed(np.full(9, 2.5)), 2.5)
    with pytest.raises(Failure):
        finder.suggestion(rates, np.linspace(1, 2, 71))


def test_the_rate_rises_by_the_same_factor():
    rising = finder.Rising(1e-6, 10.0, 8)
    rates = [float(rising(step)) for step in range(8)]
    np.testing.assert_allclose(np.diff(np.log10(rates)), 1, rtol=1e-4)
    assert finder.Rising.from_config(rising.get_config()).get_config() == rising.get_config()


def test_the_command_suggests_what_can_be_typed_and_keeps_no_training(workplace, capsys):
    assert main([*SAMPLE, "--model", "lenet_small", "--find-learning-rate"]) == DONE
    printed = capsys.readouterr().out
    (command,) = [line.strip() for line in printed.splitlines() if line.startswith("  python")]
    rate = float(shlex.split(command)[-1])
    assert finder.LOWEST < rate < finder.HIGHEST
    assert "--find-learning-rate" not in command
    assert [path for path in workplace.rglob("*") if path.is_file() and "runs" in path.parts] == [workplace / FIGURE]
    assert main([*shlex.split(command)[3:], "--epochs", "2"]) == DONE


@pytest.mark.parametrize("flags", [["--seeds", "2"], ["--name", "x"], ["--resume"], ["--tensorboard"]])
def test_flags_that_keep_a_training_are_refused(workplace, capsys, flags):
    assert main(["--model", "lenet_small", "--find-learning-rate", *flags]) == WRONG_INPUT
    assert capsys.readouterr().err.count("\n") == 1
    assert not pathlib.Path("runs").exists()


def test_where_nothing_learns_nothing_is_suggested(workplace, capsys):
    frozen = ["--norm-bias-factor", "1", "--label-smoothing", "1"]  # targets that are the same for all classes
    assert main([*SAMPLE, "--model", "lenet_small", "--find-learning-rate", *frozen]) == FAILED
    assert not FIGURE.exists()


NETWORKS = [name for name in zoo.names() if name not in ("combined", "transfer", "vgg16_transfer", "vgg16_skip")]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_learns_with_its_suggestion(name, workplace):
    """Better than twice as often right as by guessing, after a few epochs on a thousand digits."""
    data = limited(loaders.load("digit-recognizer", "sample"), 1200)
    fields = {"batch_size": 32, "precision": "float32"}
    found = kit.find_learning_rate(data, name, **fields)
    run = kit.fit(data, name, learning_rate=found.suggestion, epochs=3, **fields)
    assert run.accuracy > 0.2
