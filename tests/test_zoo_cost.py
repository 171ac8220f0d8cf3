"""The arithmetic of networks, counted by hand."""

import keras
import pytest
from keras import layers

from kit import zoo
from kit.zoo.__main__ import main
from kit.zoo.cost import flops

# Multiplications, as positions × kernel × channels in × filters; the papers' figures are these, rounded.
RESNET_20 = (
    1024 * 9 * 3 * 16
    + 6 * 1024 * 9 * 16 * 16
    + 256 * (9 * 16 * 32 + 5 * 9 * 32 * 32 + 16 * 32)
    + 64 * (9 * 32 * 64 + 5 * 9 * 64 * 64 + 32 * 64)
    + 64 * 10
)
AIRBENCH = (
    31**2 * (4 * 3 * 24 + 9 * 24 * 64)
    + 15**2 * 9 * 64 * (64 + 256)
    + 7**2 * 9 * 256 * (256 + 256)
    + 3**2 * 9 * 256 * 256
    + 256 * 10
)


def test_networks_of_papers():
    assert round(RESNET_20, -6) == 41_000_000, "He et al. 2015: 41 million multiply-adds"
    assert flops(zoo.build("resnet_small", (32, 32, 3), 10)) == 2 * RESNET_20
    trained = 3 * 2 * AIRBENCH * 9.9 * 50_000  # there and twice back, for every image of every epoch
    assert trained == pytest.approx(3.6e14, rel=0.03), "Jordan 2024"
    assert flops(zoo.build("airbench", (32, 32, 3), 10)) == 2 * AIRBENCH


def test_every_kind_of_layer():
    images = keras.Input((6, 8, 4))
    x = layers.Conv2D(6, (3, 1), strides=2, groups=2)(images)  # 2×4 positions, 3 pixels, 2 channels in a group
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Dense(5)(x)
    x = layers.Flatten()(x)
    inner = keras.Model(images, x)
    again = keras.Input((6, 8, 4))
    network = keras.Model(again, layers.Dense(7)(inner(again)))
    by_hand = 8 * 3 * 2 * 6 + 8 * 9 * 12 + 8 * 12 * 5 + 40 * 7
    assert flops(network) == 2 * by_hand


def test_what_is_not_known_is_not_left_out():
    network = keras.Sequential([keras.Input((4, 3)), layers.LSTM(2, name="memory")])
    with pytest.raises(ValueError, match="memory: the operations of a LSTM"):
        flops(network)


@pytest.fixture
def few(monkeypatch):
    few = {name: zoo.catalogue()[name] for name in ("resnet_small", "vgg16_transfer", "combined")}
    monkeypatch.setattr(zoo, "catalogue", lambda: few)
    monkeypatch.setenv("COLUMNS", "80")


def test_the_table_fits_a_terminal(few, capsys):
    assert main(["--competition", "cifar-10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    rows = {line.split()[0]: line.split()[1:] for line in lines if line and not line.startswith(" ")}
    assert rows["resnet_small"][:2] == ["273,658", "81.6"]
    assert rows["vgg16_transfer"][0] == "14,982,474"
    assert rows["combined"][:3] == ["as", "its", "runs"]


def test_the_markdown_table_has_the_same_columns_in_every_row(few, capsys):
    assert main(["--competition", "cifar-10", "--markdown"]) == 0
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 3
    assert len({line.count("|") for line in table}) == 1
    assert "| 273,658 | 81.6 |" in table[2]


@pytest.mark.parametrize("name", ["airbench", "fast_cnn", "combined", "lenet_small"])
def test_a_network_tells_its_options_and_their_defaults(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([name, "--competition", "digit-recognizer"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"{name}: ")
    told = [line.strip().partition("=")[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert told == zoo.options(name)


@pytest.mark.parametrize("flags", [["fast_cn"], ["--competition", "cifar-11"], ["--markdwon"]])
def test_what_the_command_does_not_know_is_refused(flags, capsys):
    assert main(flags) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
