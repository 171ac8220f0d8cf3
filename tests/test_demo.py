"""The demo page without its page: what runs read in drawings and photos, what is kept, what a Space's folder holds."""

import dataclasses
import importlib.metadata
import io
import json
import pathlib
import socket

import numpy as np
import pytest
import yaml
from made import change, leave
from PIL import Image

from kit import competitions, loaders, photos, prediction, tracking, zoo
from kit.command_line import WRONG_INPUT
from kit.competitions import Competition
from kit.demo import answers, corrections, readers, serving, space, view
from kit.demo.__main__ import main as demo
from kit.errors import UserError
from kit.loaders import extra
from kit.recipes import Recipe
from kit.tracking import Config, EnsembleConfig, Run

DIGITS, COLOURS = competitions.get("digit-recognizer"), competitions.get("cifar-10")
IMAGES, LABELS, _ = DIGITS.sample()


@dataclasses.dataclass
class Neighbours:
    """A reader that takes the digit that is most alike."""

    run: Run = Run(pathlib.Path("runs/digit-recognizer/<b>alike"))
    accuracy: float | None = 0.99
    likely_above: float | None = 0.5
    competition: Competition = DIGITS

    def predict(self, images):
        def norm(pixels):
            flat = pixels.reshape(len(pixels), -1).astype(float)
            flat -= flat.mean(axis=1, keepdims=True)
            return flat / np.linalg.norm(flat, axis=1, keepdims=True)

        alike = norm(images) @ norm(IMAGES).T
        best = np.stack([alike[:, label == LABELS].max(axis=1) for label in range(10)], axis=1)
        return (np.exp(40 * best) / np.exp(40 * best).sum(axis=1, keepdims=True)).astype(np.float32)

    def heat(self, images, classes):
        return np.linspace(0, 1, images[..., 0].size).reshape(images.shape[:3]).astype(np.float32)


def file_of(pixels, kind="PNG"):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def written(*labels):
    """A sheet with digits beside each other, dark on light."""
    digits = [IMAGES[np.flatnonzero(label == LABELS)[7], ..., 0] for label in labels]
    large = [np.asarray(Image.fromarray(digit).resize((112, 112), Image.Resampling.BICUBIC)) for digit in digits]
    return 255 - np.pad(np.concatenate(large, axis=1), 20)


def read(content, drawn=True, name="photo.png", likely_above=0.5):
    return answers.read([Neighbours(likely_above=likely_above)], content, drawn, name)


# --- answers


def test_a_blank_canvas_is_asked_for_a_drawing():
    blank = file_of(np.full((300, 400), 255, np.uint8))
    for content in (None, b"", blank):
        assert answers.headline(read(content)) == answers.DRAW
    photo = read(blank, drawn=False)
    assert (photo.seen, "photo.png" in answers.headline(photo)) == ([], True)


def test_a_digit_is_read_and_its_confidence_is_that_of_the_network():
    found = read(file_of(written(7)))
    (seen,) = found.seen
    assert (seen.first.label, seen.first.is_likely) == (7, True)
    assert "7" in answers.headline(found)
    expected = Neighbours().predict(seen.photo.image[None])[0]
    np.testing.assert_array_equal(seen.first.probabilities, expected)


def test_an_image_is_prepared_as_kit_predict_prepares_it(workplace):
    Image.fromarray(written(3)).save("three.png")
    (photo,) = photos.prepare("three.png", DIGITS)
    (seen,) = read(pathlib.Path("three.png").read_bytes()).seen
    np.testing.assert_array_equal(seen.photo.image, photo.image)


def test_several_digits_are_read_in_order():
    found = read(file_of(written(2, 0, 2, 6)))
    assert [seen.first.label for seen in found.seen] == [2, 0, 2, 6]
    assert answers.headline(found).endswith("2 0 2 6")
    doubtful = read(file_of(written(2, 0)), likely_above=1.1)
    assert answers.headline(doubtful).endswith("? ?")


def test_an_answer_below_the_threshold_is_called_unlikely():
    content = file_of(written(8))
    sure = read(content).seen[0].first.confidence
    for threshold, likely in ((sure - 0.01, True), (sure + 0.01, False), (None, True)):
        found = read(content, likely_above=threshold)
        assert found.seen[0].first.is_likely == likely
        assert answers.headline(found).startswith("Unlikely") != likely
        assert ("unlikely" in view.answer(found).lower()) != likely


@pytest.mark.parametrize("content", [b"no image", b"%!PS-Adobe-3.0 EPSF-3.0\nshowpage\n", b"\x89PNG\r\n\x1a\nhalf"])
def test_a_wrong_file_is_one_line_with_its_name(content):
    found = read(content, drawn=False, name="note.png")
    assert found.seen == []
    assert "note.png" in found.message
    assert len(found.message.splitlines()) == 1


def test_a_file_that_is_too_large_is_not_opened():
    assert "photo.png" in read(bytes(answers.LARGEST + 1), drawn=False).message


def test_a_competition_of_photos_takes_photos():
    class Colours(Neighbours):
        def predict(self, images):
            return np.eye(10, dtype=np.float32)[np.full(len(images), 6)]

    reader = Colours(competition=COLOURS)
    found = answers.read([reader], file_of(np.full((90, 60, 3), 40, np.uint8), "JPEG"), False)
    assert (found.seen[0].photo.image.shape, found.seen[0].first.label) == ((32, 32, 3), 6)
    assert "frog" in answers.headline(found)
    assert answers.headline(answers.read([reader], None, True)) == answers.DROP


def test_what_names_hold_is_escaped_and_every_run_is_shown():
    other = Neighbours(Run(pathlib.Path("runs/digit-recognizer/other")))
    shown = view.answer(answers.read([Neighbours(), other], file_of(written(2, 5)), True))
    assert "<b>alike" not in shown
    assert shown.count("&lt;b&gt;alike") == shown.count("other:") == 2
    assert shown.count("<li") == 40
    assert shown.count("data:image/png;base64,") == 2 + 4
    assert "<b>alike" not in view.about([Neighbours()])
    wrong = answers.read([other], b"x", False, "<script>alert(1)</script>.png")
    assert "<script" not in view.answer(wrong)


# --- readers


def test_the_threshold_is_the_confidence_that_99_of_100_right_answers_exceed():
    oof, labels = np.full((1000, 10), 0.01, np.float32), np.arange(1000) % 10
    confidences = np.linspace(0.4, 0.9, 1000)
    oof[np.arange(1000), labels] = confidences
    oof[:100] = np.nan
    oof[100:150] = np.eye(10)[(labels[100:150] + 1) % 10]  # sure, and wrong
    threshold = readers.likely_above(oof, labels)
    assert np.mean(confidences[150:] < threshold) == pytest.approx(0.01, abs=0.002)
    assert readers.likely_above(oof[:200], labels[:200]) is None


@pytest.fixture
def trained(workplace):
    """Two runs with untrained networks that are said to be right, and their ensemble."""
    dataset = loaders.load("digit-recognizer", "sample", limit=200)
    confidence = np.linspace(0.82, 0.9, 200, dtype=np.float32)
    oof = np.repeat((1 - confidence[:, None]) / 9, 10, axis=1)
    oof[np.arange(200), dataset.train_labels] = confidence
    runs = []
    for name in ("one", "two"):
        runs.append(leave(name, dataset, oof))
        zoo.build("lenet_small", (28, 28, 1), 10).save(runs[-1].network_path(0))
    made = EnsembleConfig(method="weighted", members=["one", "two"], weights={"one": 0.25, "two": 0.75})
    joined = tracking.place("digit-recognizer", "both")
    with joined.begin(Config(kind="ensemble", data=dataset.record(), ensemble=made)) as begun:
        begun.write_array("oof", oof)
        begun.write_metrics(runs[0].metrics())
    return {"one": runs[0], "two": runs[1], "both": joined, "dataset": dataset}


def test_an_ensemble_is_shown_with_its_members_and_answers_as_kit_predict(trained):
    found = readers.gather([trained["both"], trained["two"]])
    assert [reader.run.name for reader in found] == ["both", "one", "two"]
    images = trained["dataset"].test_images[:3]
    for reader in found:
        np.testing.assert_array_equal(reader.predict(images), prediction.predict(reader.run, images))
        assert reader.likely_above == pytest.approx(0.8208, abs=1e-4)
    assert found[0].heat(images, np.array([1, 2, 3])) is None
    maps = found[1].heat(images, np.array([1, 2, 3]))
    assert maps.shape == (3, 28, 28)
    assert 0 <= maps.min() <= maps.max() <= 1


def test_without_the_training_images_nothing_is_called_unlikely(trained, capsys):
    run = trained["one"]
    run.rewrite_config(
        run.config().model_copy(update={"data": run.config().data.model_copy(update={"fingerprint": "0" * 64})})
    )
    (reader,) = readers.gather([run])
    assert reader.likely_above is None
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_runs_of_two_competitions_are_not_mixed(trained):
    other = leave("photos", loaders.load("cifar-10", "sample", limit=20), np.full((20, 10), 0.1, np.float32))
    with pytest.raises(UserError, match="photos"):
        readers.gather([trained["one"], other])


# --- corrections


def test_a_correction_is_what_the_network_saw_under_its_right_label_and_can_be_trained_on(workplace):
    content = file_of(written(7))
    (photo,) = photos.prepare("drawing.png", DIGITS, content)
    folder = corrections.usual("digit-recognizer")
    first = corrections.keep(folder, DIGITS, photo, "1", content)
    assert first.parent == folder / "images" / "1"
    path = corrections.keep(folder, DIGITS, photo, "4", content)  # it was said wrong; the last label counts
    assert sorted((folder / "images").rglob("*.png")) == [path]
    with Image.open(path) as kept:
        np.testing.assert_array_equal(np.asarray(kept), photo.image[..., 0])
    (original,) = (folder / "originals").iterdir()
    assert original.read_bytes() == content
    found = extra.read(folder / "images", DIGITS)
    assert found.labels.tolist() == [4]
    np.testing.assert_array_equal(found.images[0], photo.image)


def test_a_label_that_is_no_class_is_not_kept(workplace):
    (photo,) = photos.prepare("drawing.png", DIGITS, file_of(written(7)))
    for label in ("../../7", "", "10", "."):
        with pytest.raises(UserError):
            corrections.keep(workplace / "kept", DIGITS, photo, label, None)
    odd = dataclasses.replace(DIGITS, class_names=("..", "a/b", *"23456789"))
    for label in ("..", "a/b"):
        with pytest.raises(UserError):
            corrections.keep(workplace / "kept", odd, photo, label, None)
    assert not list(workplace.iterdir())


def test_a_folder_that_is_full_takes_no_more(workplace, monkeypatch):
    monkeypatch.setattr(corrections, "MOST", 2)
    for label in (1, 2, 3):
        (photo,) = photos.prepare("drawing.png", DIGITS, file_of(written(label)))
        if label < 3:
            corrections.keep(workplace, DIGITS, photo, str(label), None)
    with pytest.raises(UserError, match="2"):
        corrections.keep(workplace, DIGITS, photo, "3", None)


# --- the command


def installed(monkeypatch, version):
    """Let Gradio seem to be installed in a version, or not at all."""
    real = importlib.metadata.version

    def said(name):
        if name == "gradio" and version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version if name == "gradio" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", said)


@pytest.mark.parametrize("version", [None, "5.49.1"])
def test_without_gradio_the_command_says_what_to_install(version, workplace, monkeypatch, capsys):
    installed(monkeypatch, version)
    assert demo(["nowhere"]) == WRONG_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert line.count("pip install") == 1


def test_what_is_wrong_is_one_line(trained, monkeypatch, capsys):
    installed(monkeypatch, "6.31.0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for wrong in (["nowhere"], ["one", "--port", port], ["one", "--port", "70000"]):
            assert demo(wrong) == WRONG_INPUT
            assert len(capsys.readouterr().err.splitlines()) == 1
    (trained["one"].folder / "exists").mkdir()
    for wrong in (["--space", str(trained["one"].folder)], ["--space", "new", "--share"]):
        assert demo(["one", *wrong]) == WRONG_INPUT
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_kaggle_notebook_needs_a_public_link(trained, monkeypatch):
    installed(monkeypatch, "6.31.0")
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    with pytest.raises(UserError, match="share"):
        serving.launch("one")


# --- a Space


def test_a_space_has_the_networks_and_the_kit_and_nothing_of_this_machine(trained, workplace, monkeypatch):
    installed(monkeypatch, "6.31.0")
    change(trained["one"], hardware={"cpu": "secret"})
    folder = space.write(workplace / "spaces" / "mine", [trained["both"]])
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]
    top = {path.name for path in folder.iterdir()}
    assert top == {"app.py", "requirements.txt", "README.md", "space.json", "kit", "configs", "runs"}
    assert (folder / "kit" / "demo" / "templates" / "pad.js").is_file()
    assert [path.parent.name for path in folder.glob("configs/*/*")] == ["digit-recognizer"]
    of_runs = {path.relative_to(folder / "runs" / "digit-recognizer").as_posix() for path in folder.glob("runs/*/*/*")}
    networks = {f"{name}/fold-0.keras" for name in ("one", "two")}
    notes = {f"{name}/{note}" for name in ("one", "two", "both") for note in ("config.yaml", "metrics.json")}
    assert of_runs == networks | notes
    for path in folder.rglob("*"):
        if path.suffix in (".yaml", ".json", ".md", ".txt") or path.name == "app.py":
            text = path.read_text(encoding="utf-8")
            assert str(workplace) not in text
            assert "secret" not in text
    _, header, _ = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    facts = yaml.safe_load(header)
    assert (facts["sdk"], facts["sdk_version"], facts["app_file"]) == ("gradio", "6.31.0", "app.py")
    assert "gradio==6.31.0" in (folder / "requirements.txt").read_text().splitlines()
    thresholds = json.loads((folder / "space.json").read_text())["likely_above"]
    assert thresholds.keys() == {"both", "one", "two"}
    monkeypatch.chdir(folder)
    found = serving.ready([Run(pathlib.Path("runs/digit-recognizer/both"))], thresholds=thresholds)
    images = trained["dataset"].test_images[:2]
    np.testing.assert_allclose(found[0].predict(images).sum(axis=1), 1, rtol=1e-5)


def test_a_space_is_whole_or_not_there(trained, workplace, monkeypatch):
    installed(monkeypatch, "6.31.0")
    monkeypatch.setattr(space, "_readme", lambda *_: pytest.fail("it was interrupted"))
    with pytest.raises(pytest.fail.Exception):
        space.write(workplace / "mine", [trained["one"]])
    made = EnsembleConfig(method="stack", members=["one", "two"])
    joined = trained["both"]
    joined.rewrite_config(Config(kind="ensemble", data=joined.config().data, ensemble=made, recipe=Recipe()))
    with pytest.raises(UserError, match="stack"):
        space.write(workplace / "mine", [joined])
    assert not (workplace / "mine").exists()
