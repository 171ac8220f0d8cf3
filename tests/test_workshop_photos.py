"""Photos of one's own: where they come from, the competition made of them, and its checks of usual mistakes."""

import dataclasses
import io
import zipfile

import made_runs
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kit import competitions, loaders, new, workshop
from kit.command_line import DONE
from kit.errors import UserError
from kit.workshop import checks, photos


def photo(value: int) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), (value % 256,) * 3).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def own(workplace, monkeypatch):
    """A folder `photos` with twenty foxes and fifteen hares, each of another grey, and what else lies about."""
    monkeypatch.setenv("KIT_CONFIGS", str(workplace / "configs"))
    for name, count in (("fox", 20), ("hare", 15)):
        (workplace / "photos" / name).mkdir(parents=True)
        for number in range(count):
            (workplace / "photos" / name / f"{number}.png").write_bytes(photo(number + 100 * (name == "hare")))
    (workplace / "photos" / "empty").mkdir()
    (workplace / "photos" / ".thumbnails").mkdir()
    (workplace / "photos" / ".thumbnails" / "1.png").write_bytes(photo(0))
    return workplace / "photos"


def refused(check, *given, **options):
    with pytest.raises(checks.StillMissing) as missing:
        check(*given, **options)
    return str(missing.value)


def test_the_participants_photos_go_first(own):
    assert workshop.photo_folder("photos", cifar="sample") == own.relative_to(own.parent)
    for path in sorted((own / "hare").iterdir())[: 15 - photos.FEWEST + 1]:
        path.unlink()
    with pytest.raises(UserError, match="hare"):
        workshop.photo_folder("photos")
    for path in (own / "hare").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="one for each class"):
        workshop.photo_folder("photos")


def test_without_photos_kaggles_cats_and_dogs_are_taken_then_those_of_cifar_10(workplace, capsys):
    made = workshop.photo_folder("photos", per_class=7, cifar="sample")
    counts = {name: len(paths) for name, paths in photos.of_classes(made).items()}
    assert counts == {"cat": 7, "dog": 7}
    folder = workplace / "data" / photos.DOGS_VS_CATS
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "train.zip", "w") as archive:
        for number in range(5):
            archive.writestr(f"train/cat.{number}.jpg", photo(number))
            archive.writestr(f"train/dog.{number}.jpg", photo(number))
    assert workshop.photo_folder("photos", per_class=3, cifar="sample") == made
    found = {name: [path.name for path in paths] for name, paths in photos.of_classes(made).items()}
    assert found == {"cat": [f"cat.{n}.jpg" for n in range(3)], "dog": [f"dog.{n}.jpg" for n in range(3)]}
    assert photos.DOGS_VS_CATS in capsys.readouterr().out


def test_without_any_photos_it_says_how_to_get_some(workplace):
    with pytest.raises(UserError) as missing:
        workshop.photo_folder("photos", cifar="kaggle")
    for part in ("photos/cat/1.jpg", f"kit.download {photos.DOGS_VS_CATS}", f"data/{photos.DOGS_VS_CATS}"):
        assert part in str(missing.value)


def test_photos_become_a_competition_whose_answers_only_the_board_has(own):
    folder = own.parent / "data" / "animals"
    answers = workshop.as_competition(own, folder)
    count = {name: len(paths) for name, paths in photos.of_classes(folder / "train").items()}
    assert count == {"fox": 16, "hare": 12}
    assert answers["label"].value_counts().to_dict() == {"fox": 4, "hare": 3}
    assert sorted(answers["id"]) == sorted(path.name for path in (folder / "test").iterdir())
    contents = [path.read_bytes() for path in folder.rglob("*.png")]
    assert len(set(contents)) == 35
    sample = folder / "sample_submission.csv"
    pd.DataFrame({"id": sorted(answers["id"]), "label": "fox"}).to_csv(sample, index=False)
    assert new.main(["animals", "--data", str(folder), "--yes"]) == DONE
    checks.set_up("animals")
    data = workshop.answered(loaders.load("animals"), answers)
    grey = {"fox": range(20), "hare": range(100, 115)}
    for image, label in zip(data.test_images, data.test_labels, strict=True):
        assert image[0, 0, 0] in grey[data.competition.class_names[label]]
    with pytest.raises(UserError, match="from the top"):
        workshop.answered(data, answers[1:])
    names = np.array(data.competition.class_names)[data.test_labels]
    pd.DataFrame({"id": data.test_ids, "label": names}).to_csv("mine.csv", index=False)
    assert workshop.entry("mine", "mine.csv", data, 0.9, 7).score == 1.0


def test_a_folder_that_is_not_the_notebooks_own_is_left_alone(own):
    folder = own.parent / "data" / "animals"
    workshop.as_competition(own, folder)
    workshop.as_competition(own, folder)
    (folder / photos.MARK).unlink()
    before = sorted(folder.rglob("*"))
    with pytest.raises(UserError, match="animals exists"):
        workshop.as_competition(own, folder)
    assert sorted(folder.rglob("*")) == before


def test_counts(own, capsys):
    checks.counted({"hare": 15, "fox": 20}, own)
    assert "✓ 20 fox, 15 hare." in capsys.readouterr().out
    for answer, hint in (
        (..., "still open"),
        ([20, 15], "a dict"),
        ({"fox": 20}, "the folders are fox, hare"),
        ({"fox": 20, "hare": 20}, "hare has 15"),
    ):
        assert hint in refused(checks.counted, answer, own)


def test_a_sample_submission(own, capsys):
    folder, path = own.parent / "data" / "animals", own.parent / "sample.csv"
    ids = sorted(workshop.as_competition(own, folder)["id"])
    assert "not there yet" in refused(checks.sample_submission, path, folder)
    right = pd.DataFrame({"id": ids, "label": "hare"})
    for table, index, hint in (
        (right, True, "index=False"),
        (right.rename(columns={"id": "file"}), False, "'id,label' is wanted"),
        (right.assign(id=[f"test/{one}" for one in ids]), False, "path.name"),
        (right[1:], False, f"{len(ids) - 1} ids"),
        (right[::-1], False, "sorted"),
        (right.assign(label="cow"), False, "'cow' is no class"),
    ):
        table.to_csv(path, index=index)
        assert hint in refused(checks.sample_submission, path, folder)
    right.to_csv(path, index=False)
    checks.sample_submission(path, folder)
    assert f"✓ {len(ids)} rows" in capsys.readouterr().out


def test_set_up_and_run(workplace, capsys):
    assert "kit.new no-such-competition" in refused(checks.set_up, "no-such-competition")
    checks.set_up("cifar-10")
    assert "airplane" in capsys.readouterr().out
    run = {"name": "mine", "competition": "digit-recognizer"}
    assert "no complete run mine" in refused(checks.run, **run)
    made_runs.made("mine")
    checks.run(**run, model="fast_cnn", least=0.9)
    assert "✓ mine: 90.00% ± 21.21% of 2" in capsys.readouterr().out
    assert "--model transfer" in refused(checks.run, **run, model="transfer")
    assert "95.0% is wanted" in refused(checks.run, **run, least=0.95)
    made_runs.made("unvalidated", validation_accuracy=None, validation_log_loss=None, validation_images=0)
    assert "validate" in refused(checks.run, "unvalidated", "digit-recognizer")
    assert workshop.unused("mine", "digit-recognizer") == "mine-2"


def test_public_images_are_keras_where_they_can_be_had(workplace, monkeypatch, capsys):
    known = {"sample": loaders.load("digit-recognizer", "sample")}
    known |= {name: dataclasses.replace(known["sample"], source=name) for name in ("keras", "kaggle")}

    def load(name, source):
        if source == "keras" and not online:
            raise UserError("keras.datasets cannot be loaded")
        return known[source]

    monkeypatch.setattr(loaders, "load", load)
    monkeypatch.setenv(workshop.LENGTH, "short")
    assert workshop.public("digit-recognizer").source == "sample"
    monkeypatch.setenv(workshop.LENGTH, "full")
    online = True
    assert workshop.public("digit-recognizer").source == "keras"
    online = False
    with pytest.raises(UserError):
        workshop.public("digit-recognizer")
    monkeypatch.setattr(workshop, "source", lambda name: "kaggle")
    assert workshop.public("digit-recognizer").source == "kaggle"
    assert "take the place" in capsys.readouterr().out


def test_cats_and_dogs_are_the_classes_of_both_competitions():
    assert competitions.get(photos.DOGS_VS_CATS).class_names == photos.CLASSES
    assert set(photos.CLASSES) <= set(competitions.get("cifar-10").class_names)
