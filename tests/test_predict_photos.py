"""`python -m kit.predict RUN --images …`: photos and drawings of one's own."""

import re

import numpy as np
import pytest
from made import leave, uniform
from PIL import Image

from kit import loaders, zoo
from kit.command_line import DONE, WRONG_INPUT
from kit.predict import main as predict


@pytest.fixture
def digits(workplace):
    """The sample's data, and the run `net` with an untrained network."""
    dataset = loaders.load("digit-recognizer", "sample", limit=200)
    run = leave("net", dataset, uniform(200))
    zoo.build("lenet_small", (28, 28, 1), 10).save(run.network_path(0))
    return dataset, run


def test_every_photo_gets_its_three_likeliest_classes_and_a_figure(digits, capsys):
    dataset, run = digits
    for label in (3, 8):
        digit = dataset.train_images[np.flatnonzero(dataset.train_labels == label)[0], ..., 0]
        Image.fromarray(255 - digit).resize((140, 140)).save(f"my-{label}.png")
    assert predict(["net", "--images", "my-3.png", "my-8.png"]) == DONE
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("my-")]
    assert [line.split()[0] for line in lines] == ["my-3.png", "my-8.png"]
    assert all(len(re.findall(r"\d \(\d+\.\d%\)", line)) == 3 for line in lines)
    (figure,) = run.figures.glob("*.png")
    with Image.open(figure) as opened:
        opened.load()


def test_what_cannot_be_read_gets_a_line_and_the_rest_an_answer(digits, workplace, capsys):
    dataset, run = digits
    for number in range(13):
        Image.fromarray(dataset.train_images[number, ..., 0]).resize((56, 56)).save(f"digit-{number:02}.png")
    (workplace / "text.png").write_text("not an image")
    (workplace / "blank.png").write_bytes(b"")
    assert predict(["net", "--images", "digit-*.png", "text.png", "blank.png", "nowhere.png"]) == WRONG_INPUT
    printed = capsys.readouterr()
    answered = [line.split()[0] for line in printed.out.splitlines() if line.startswith("digit-")]
    assert answered == [f"digit-{number:02}.png" for number in range(13)]
    refused = printed.err.splitlines()
    assert [line.split()[1].rstrip(":") for line in refused] == ["text.png", "blank.png", "nowhere.png"]
    (figure,) = run.figures.glob("*.png")
    figure.unlink()
    assert predict(["net", "--images", "text.png"]) == WRONG_INPUT
    assert not list(run.figures.glob("*.png"))
