"""`kit.train --extra-data`: a person's own images train in every fold, and validate in none."""

import numpy as np
import pytest
import yaml
from made_runs import begun, config
from PIL import Image

import kit
from kit import competitions, loaders, tracking
from kit.command_line import WRONG_INPUT
from kit.errors import UserError
from kit.loaders import extra
from kit.recipes import Recipe
from kit.train import main as train

DIGITS, COLOURS = competitions.get("digit-recognizer"), competitions.get("cifar-10")


@pytest.fixture
def dataset():
    return loaders.load("digit-recognizer", "sample", limit=60)


@pytest.fixture
def own(workplace):
    """Two drawings of a 3 and one of a 7, in `own/<class>/`."""
    draw = np.random.default_rng(0)
    for number, name in enumerate(("3/a.png", "3/b.png", "7/c.png")):
        path = workplace / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 200 + number, (28, 28), np.uint8)).save(path)
    (workplace / "own" / ".DS_Store").write_bytes(b"x")
    return workplace / "own"


def refused(folder, competition=DIGITS):
    with pytest.raises(UserError) as raised:
        extra.read(folder, competition)
    assert len(str(raised.value).splitlines()) == 1
    return str(raised.value)


def test_they_are_read_class_by_class(own):
    found = extra.read(own, DIGITS)
    assert found.labels.tolist() == [3, 3, 7]
    assert found.images.shape == (3, 28, 28, 1)
    np.testing.assert_array_equal(found.images[2, ..., 0], np.asarray(Image.open(own / "7" / "c.png")))
    assert (found.record.images, found.record.folder) == (3, str(own))


def test_photos_of_any_size_are_made_small_where_the_competition_is_of_photos(workplace):
    (workplace / "own" / "frog").mkdir(parents=True)
    Image.new("RGB", (300, 200), (10, 200, 30)).save(workplace / "own" / "frog" / "a.jpg")
    found = extra.read("own", COLOURS)
    assert (found.images.shape, found.labels.tolist()) == ((1, 32, 32, 3), [6])


def test_what_is_wrong_with_the_folder_is_one_line(own):
    assert "nowhere" in refused("nowhere")
    (own.parent / "empty").mkdir()
    assert "empty" in refused("empty")
    for name, content in (("seven/a.png", None), ("a.png", None), ("3/text.png", b"no image"), ("3/half.png", b"half")):
        path = own / name
        path.parent.mkdir(exist_ok=True)
        whole = (own / "7" / "c.png").read_bytes()
        path.write_bytes(whole[:300] if content == b"half" else whole if content is None else content)
        assert name in refused(own)
        path.unlink()
    Image.new("L", (400, 300), 255).save(own / "3" / "photo.png")
    assert "3/photo.png" in refused(own)


def test_a_copy_of_an_image_that_may_be_validated_on_or_submitted_is_refused(own, dataset):
    for images in (dataset.train_images, dataset.test_images):
        Image.fromarray(images[5, ..., 0]).save(own / "7" / "copy.png")
        with pytest.raises(UserError, match=r"7/copy\.png"):
            extra.add(dataset, extra.read(own, DIGITS))


@pytest.mark.parametrize("recipe", [{"folds": 2}, {"validation_share": 0.3}], ids=["folds", "one split"])
def test_they_train_in_every_fold_and_validate_in_none(own, dataset, recipe):
    from kit.training.lineage import Lineage
    from kit.training.setup import Training
    from kit.training.splits import splits

    found = extra.read(own, DIGITS)
    folds = splits(dataset.train_labels, Recipe(**recipe))
    plain, more = (Training(data, Recipe(**recipe), folds, Lineage()) for data in (dataset, extra.add(dataset, found)))
    for fold in range(len(folds)):
        without, with_them = plain.split(fold), more.split(fold)
        np.testing.assert_array_equal(with_them.images[:-3], without.images)
        np.testing.assert_array_equal(with_them.images[-3:], found.images)
        np.testing.assert_array_equal(with_them.targets[:-3], without.targets)
        assert with_them.targets[-3:].argmax(axis=1).tolist() == [3, 3, 7]
        np.testing.assert_array_equal(with_them.validation_images, without.validation_images)
        np.testing.assert_array_equal(with_them.validation_labels, without.validation_labels)


def test_a_run_notes_them_and_its_data_stay_those_of_others(own, dataset):
    run = kit.fit(dataset, model="lenet_small", epochs=1, validation_share=0.2, name="own", extra_data="own")
    record = extra.read(own, DIGITS).record
    assert run.config().data.extra == run.metrics().extra_data == record
    assert run.config().data.fingerprint == dataset.fingerprint
    assert yaml.safe_load((run.folder / "config.yaml").read_text())["data"]["extra"]["images"] == 3
    assert run.metrics().validation_images == 12
    assert loaders.load_for(run.config().data).extra is None  # to evaluate it, nobody needs the folder


def test_resume_needs_the_same_ones(own, dataset, capsys):
    asked = config(fingerprint=dataset.fingerprint, limit=60, model="lenet_small")
    data = asked.data.model_copy(update={"extra": extra.read(own, DIGITS).record})
    run = begun("own", asked.model_copy(update={"data": data}))
    (own / "3" / "a.png").rename(own / "7" / "a.png")
    for _ in range(2):
        assert train(["--resume", "--name", "own"]) == WRONG_INPUT
        assert str(own) in capsys.readouterr().err
        (own / "7" / "a.png").unlink(missing_ok=True)
    assert run.state == "begun"
    assert train(["--resume", "--name", "own", "--extra-data", "own"]) == WRONG_INPUT
    with (
        pytest.raises(UserError, match="extra-data"),
        tracking.place("digit-recognizer", "own").begin(asked, "resume"),
    ):
        pass


def test_the_command_refuses_a_wrong_folder_before_it_reads_the_data(workplace, capsys):
    assert train(["--source", "sample", "--extra-data", "nowhere"]) == WRONG_INPUT
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == 1
    assert "reading" not in printed.out
    assert not (workplace / "runs").exists()
