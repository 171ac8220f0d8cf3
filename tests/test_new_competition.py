"""Any image competition from its files: set up, trained, evaluated and checked, without a line of Python."""

import io
import tarfile
import zipfile

import bundles
import numpy as np
import pytest
import yaml
from PIL import Image

from kit import competitions, ensemble, evaluate, loaders, metrics, new, predict, submission, submit, train
from kit.command_line import DONE, WRONG_INPUT

SEED = np.random.default_rng(0)


def image(label: int, size=(40, 30), form="PNG", mode="RGB", **options) -> bytes:
    """An image file whose colour tells its class."""
    colour = np.array([(200, 40, 40), (40, 200, 40), (40, 40, 200)][label])
    pixels = np.clip(colour + SEED.normal(0, 25, (size[1], size[0], 3)), 0, 255).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(content, form, **options)
    return content.getvalue()


def id_table() -> dict[str, bytes]:
    """Pixels in tables with an id column of texts, in another order than the sample submission."""
    labels = np.arange(60) % 3
    pixels = np.clip(labels[:, None] * 80 + SEED.integers(0, 60, (60, 256)), 0, 255)
    names = [f"pixel{number}" for number in range(256)]
    ids = [f"img-{number:03}" for number in range(20)]
    test = [(one, *row) for one, row in zip(reversed(ids), pixels[:20].tolist(), strict=True)]
    return {
        "train.csv": bundles.table(["label", *names], np.column_stack([labels, pixels]).tolist()).encode(),
        "test.csv": bundles.table(["id", *names], test).encode(),
        "sample_submission.csv": bundles.table(["id", "label"], [(one, 0) for one in ids]).encode(),
    }


def class_folders() -> dict[str, bytes]:
    """JPEG and PNG files of many sizes and modes in folders whose names have blanks and hyphens."""
    classes, found = ("Fat Hen", "Black-grass", "maize"), {}
    for number in range(45):
        form = ("JPEG", "PNG")[number % 2]
        size = (30 + number, 75 - number)
        found[f"train/{classes[number % 3]}/{number}.{form.lower()}"] = image(number % 3, size, form)
    found |= {f"test/{number:04}.png": image(number % 3, (50, 40), mode="P") for number in range(9)}
    rows = [(f"{number:04}.png", "maize") for number in range(9)]
    return found | {"sample_submission.csv": bundles.table(["file", "species"], rows).encode()}


def labelled_table() -> dict[str, bytes]:
    """A table with text ids without extension, and images in zips inside of the bundle; a probability a class."""
    ids = [f"a{number:03x}" for number in range(45)]
    names = ("cat", "dog", "fox")
    packed = {}
    for folder, some in (("train", ids), ("test", [f"t{number}" for number in range(9)])):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for number, one in enumerate(some):
                archive.writestr(f"{folder}/{one}.jpg", image(number % 3, (32, 32), "JPEG"))
        packed[f"{folder}.zip"] = content.getvalue()
    return packed | {
        "labels.csv": bundles.table(["id", "breed"], [(one, names[row % 3]) for row, one in enumerate(ids)]).encode(),
        "sample_submission.csv": bundles.table(["id", *names], [(f"t{n}", 0.3, 0.3, 0.4) for n in range(9)]).encode(),
    }


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KIT_CONFIGS", str(tmp_path / "own"))
    return tmp_path


def trained_evaluated_predicted_and_checked(place, competition, capsys):
    """Go the whole way with the network that is trained fastest."""
    slug, photo = competition.name, place / "photo.jpg"
    quick = ["--model", "lenet_small", "--epochs", "1", "--validation-share", "0.2", "--precision", "float32"]
    assert train.main(["--competition", slug, "--source", "kaggle", "--name", "first", *quick]) == DONE
    assert f"validation {competition.metric}" in capsys.readouterr().out
    assert evaluate.main([f"{slug}/first"]) == DONE
    assert competition.metric in capsys.readouterr().out
    drawn = Image.new("RGB", (300, 200), "white")
    drawn.paste("black", (140, 40, 160, 160))  # a one, for those that are handwriting
    drawn.save(photo)
    assert predict.main([f"{slug}/first", "--images", str(photo)]) == DONE
    line = next(one for one in capsys.readouterr().out.splitlines() if one.startswith(str(photo)))
    assert sum(f"{name} (" in line for name in competition.class_names) >= 2
    assert submit.main([f"{slug}/first", "--dry-run"]) == DONE


@pytest.mark.parametrize(
    ("slug", "make", "layout", "shape"),
    [
        ("Id-Table", id_table, "pixel-tables", (16, 16, 1)),
        ("class-folders", class_folders, "class-folders", None),
        ("labelled", labelled_table, "labelled-images", (32, 32, 3)),
    ],
)
def test_from_an_empty_configuration_to_a_checked_submission(place, capsys, slug, make, layout, shape):
    made = make()
    if slug == "class-folders":
        for name, content in made.items():
            path = place / "data" / slug / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    else:
        bundles.bundle(place / "data" / slug, made)
    assert new.main([slug, "--data", f"data/{slug}", "--yes"]) == DONE
    competition = competitions.get(slug)
    assert competition.files.layout == layout
    assert shape in (None, competition.image_shape)
    assert (place / "own" / slug / "examples.png").read_bytes().startswith(b"\x89PNG")
    trained_evaluated_predicted_and_checked(place, competition, capsys)
    rows = (place / "submissions" / slug / "first.csv").read_text().splitlines()
    assert rows[0] == ",".join(competition.columns)
    assert [row.split(",")[0] for row in rows[1:]] == [str(one) for one in loaders.load(slug).test_ids.tolist()]


def dogs_and_cats() -> dict[str, bytes]:
    """The class in the file's name, in zips; one probability an image."""
    made = {f"train/{('cat', 'dog')[n % 2]}.{n // 2}.jpg": image(n % 2, (120, 100), "JPEG") for n in range(30)}
    made |= {f"test/{n}.jpg": image(n % 2, (100, 120), "JPEG") for n in range(1, 7)}
    return made | {"sample_submission.csv": bundles.table(["id", "label"], [(n, 0.5) for n in range(1, 7)]).encode()}


def seedlings() -> dict[str, bytes]:
    """Twelve folders of species, some with blanks and hyphens in their names."""
    names = competitions.get("plant-seedlings-classification").class_names
    made = {f"train/{name}/{n}.png": image(row % 3, (110, 100)) for row, name in enumerate(names) for n in range(6)}
    made |= {f"test/{n}.png": image(n % 3, (100, 120)) for n in range(4)}
    rows = [(f"{n}.png", names[0]) for n in range(4)]
    return made | {"sample_submission.csv": bundles.table(["file", "species"], rows).encode()}


def kannada() -> dict[str, bytes]:
    """Digits in tables with an id column in the test table only."""
    header, pixels = bundles.PIXELS, SEED.integers(0, 256, (60, 784))
    train = np.column_stack([np.arange(60) % 10, pixels]).tolist()
    return {
        "train.csv": bundles.table(["label", *header], train).encode(),
        "test.csv": bundles.table(["id", *header], np.column_stack([np.arange(5), pixels[:5]]).tolist()).encode(),
        "sample_submission.csv": bundles.table(["id", "label"], [(n, 0) for n in range(5)]).encode(),
    }


@pytest.mark.parametrize(
    ("slug", "make"),
    [
        ("dogs-vs-cats-redux-kernels-edition", dogs_and_cats),
        pytest.param("plant-seedlings-classification", seedlings, marks=pytest.mark.slow),
        pytest.param("Kannada-MNIST", kannada, marks=pytest.mark.slow),
    ],
)
def test_the_shipped_competitions_go_the_whole_way(place, capsys, slug, make):
    bundles.bundle(place / "data" / slug, make())
    trained_evaluated_predicted_and_checked(place, competitions.get(slug), capsys)
    rows = (place / "submissions" / slug / "first.csv").read_text().splitlines()
    assert rows[0] == ",".join(competitions.get(slug).columns)
    if slug.startswith("dogs"):
        assert all(0 < float(row.split(",")[1]) < 1 for row in rows[1:])


def test_a_test_table_is_put_into_the_order_of_the_sample_submission(place):
    bundles.loose(place / "data" / "table", id_table())
    assert new.main(["table", "--data", "data/table", "--yes"]) == DONE
    data = loaders.load("table")
    assert data.test_ids.tolist() == [f"img-{number:03}" for number in range(20)]
    np.testing.assert_array_equal(data.test_images[::-1], data.train_images[:20])


def test_a_damaged_image_is_named(place, capsys):
    files = class_folders()
    files["train/maize/5.png"] = files["train/maize/5.png"][:200]
    bundles.bundle(place / "data" / "plant-seedlings-classification", files)
    assert train.main(["--competition", "plant-seedlings-classification", "--source", "kaggle"]) == WRONG_INPUT
    bundles.bundle(place / "data" / "damaged", files)
    assert new.main(["damaged", "--data", "data/damaged", "--yes"]) == WRONG_INPUT
    assert "train/maize/5.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("header", "rows", "asked"),
    [
        (["id", "EncodedPixels"], [("t0", "1 2")], "segmentation"),
        (["id", "PredictionString"], [("t0", "")], "detection"),
        (["id", "tags"], [("t0", "a"), ("t0", "b")], "multi-label"),
    ],
)
def test_what_is_not_classification_is_refused_in_one_line(place, capsys, header, rows, asked):
    files = labelled_table() | {"sample_submission.csv": bundles.table(header, rows).encode()}
    bundles.bundle(place / "data" / "other", files)
    assert new.main(["other", "--data", "data/other", "--yes"]) == WRONG_INPUT
    error = capsys.readouterr().err.strip()
    assert asked in error
    assert "\n" not in error
    assert not (place / "own").exists()


def test_fractions_as_labels_are_a_regression(place, capsys):
    table = bundles.table(["id", "breed"], [(f"a{n:03x}", 0.5 + n / 7) for n in range(45)])
    bundles.bundle(place / "data" / "other", labelled_table() | {"labels.csv": table.encode()})
    assert new.main(["other", "--data", "data/other", "--yes"]) == WRONG_INPUT
    assert "regression" in capsys.readouterr().err


def test_dogs_and_cats_in_nested_zips_are_read_and_submitted_as_one_probability(place):
    slug, packed = "dogs-vs-cats-redux-kernels-edition", {}
    names = {"train": [f"{('cat', 'dog')[n % 2]}.{n // 2}" for n in range(12)], "test": ["2", "1", "3"]}
    for folder, stems in names.items():
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for number, stem in enumerate(stems):
                archive.writestr(f"{folder}/{stem}.jpg", image(number % 2, (120, 100), "JPEG"))
        packed[f"{folder}.zip"] = content.getvalue()
    packed["sample_submission.csv"] = b"id,label\n1,0.5\n2,0.5\n3,0.5\n"
    bundles.bundle(place / "data" / slug, packed)
    data = loaders.load(slug, "kaggle")
    assert data.train_labels.tolist() == [0] * 6 + [1] * 6
    assert data.train_images.shape == (12, 96, 96, 3)
    assert data.test_ids.tolist() == [1, 2, 3]
    path, probabilities = place / "x.csv", np.array([[1.0, 0], [0.25, 0.75], [0.5, 0.5]], np.float32)
    submission.write(path, data.competition, data.test_ids, probabilities)
    assert path.read_text() == "id,label\n1,1e-07\n2,0.75\n3,0.5\n"
    np.testing.assert_allclose(
        submission.check(path, data.competition, data.test_ids).probabilities, probabilities, atol=1e-6
    )


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_images_stand_upright_whatever_the_camera_noted(orientation):
    from kit.loaders import decoding

    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:20] = 255  # bright above
    turned = Image.fromarray(np.rot90(pixels, {1: 0, 3: 2, 6: 1, 8: 3}[orientation]))
    exif = Image.Exif()
    exif[decoding.ORIENTATION] = orientation
    content = io.BytesIO()
    turned.save(content, "JPEG", exif=exif, quality=95)
    upright = decoding.decode(content.getvalue(), (20, 20, 1), "crop")
    assert upright[:9].min() > 200
    assert upright[11:].max() < 60


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("size", [(500, 375), (475, 405), (389, 411), (801, 603), (120, 100)])
def test_what_the_decoder_has_halved_is_what_full_decoding_gives(size, fit):
    from kit.loaders import decoding

    rough = np.random.default_rng(0).integers(0, 256, (20, 25, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(rough).resize(size, Image.Resampling.BICUBIC).save(content, "JPEG", quality=90)
    read = decoding.decode(content.getvalue(), (96, 96, 3), fit).astype(int)
    full = Image.open(content).convert("RGB")
    share = (min if fit == "crop" else max)(size) / 96
    left, top = ((side - 96 * share) / 2 for side in size)
    if fit == "crop":
        expected = np.asarray(
            full.resize((96, 96), Image.Resampling.BICUBIC, (left, top, size[0] - left, size[1] - top))
        )
    else:
        inner = (round(size[0] / share), round(size[1] / share))
        page = Image.new("RGB", (96, 96))
        page.paste(full.resize(inner, Image.Resampling.BICUBIC), ((96 - inner[0]) // 2, (96 - inner[1]) // 2))
        expected = np.asarray(page)
    assert np.abs(read - expected).mean() < 1.5


def test_the_shipped_competitions_name_their_own_metric_and_columns():
    for name in ("Kannada-MNIST", "plant-seedlings-classification", "dogs-vs-cats-redux-kernels-edition"):
        found = competitions.get(name.lower())
        assert found.name == name
        assert found.metric in metrics.METRICS
    assert competitions.get("Kannada-MNIST").code_only


def test_a_file_of_facts_that_is_wrong_is_named_with_its_field(place):
    folder = place / "own" / "mine"
    folder.mkdir(parents=True)
    facts = yaml.safe_load((competitions.folders.packaged() / "Kannada-MNIST" / "competition.yaml").read_text())
    (folder / "competition.yaml").write_text(yaml.safe_dump(facts | {"name": "mine", "image_shape": [28, 28, 2]}))
    with pytest.raises(competitions.UserError, match=r"mine/competition.yaml: image_shape"):
        competitions.get("mine")


def seven_zips(contents):
    """The folders of a bundle as `train.7z` and `test.7z`."""
    packed = {name: content for name, content in contents.items() if "/" not in name}
    for folder in ("train", "test"):
        inner = {name: content for name, content in contents.items() if name.startswith(f"{folder}/")}
        packed[f"{folder}.7z"] = bundles.seven_zip(inner)
    return packed


def tars(contents):
    """The folders of a bundle as `train.tar.gz` and `test.tar.gz`, without the folders' names in them."""
    packed = {name: content for name, content in contents.items() if "/" not in name}
    for folder in ("train", "test"):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for name, content in contents.items():
                if name.startswith(f"{folder}/"):
                    entry = tarfile.TarInfo(name.removeprefix(f"{folder}/"))
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
        packed[f"{folder}.tar.gz"] = archive.getvalue()
    return packed


@pytest.mark.parametrize("pack", [seven_zips, tars, None], ids=["7z", "tar", "zip"])
def test_the_same_images_come_out_of_every_kind_of_archive(place, pack):
    contents = class_folders()
    for name, content in contents.items():
        path = place / "data" / "loose" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if pack:
        bundles.loose(place / "data" / "packed", pack(contents))
    else:
        bundles.bundle(place / "data" / "packed", contents)
    read = []
    for slug in ("loose", "packed"):
        assert new.main([slug, "--data", f"data/{slug}", "--yes"]) == DONE
        read.append(loaders.load(slug))
    assert read[0].fingerprint == read[1].fingerprint
    np.testing.assert_array_equal(read[0].test_images, read[1].test_images)


def test_what_leads_outside_an_archive_is_refused(place, capsys):
    bundles.bundle(place / "data" / "hostile", {**class_folders(), "../evil.png": b"x"})
    assert new.main(["hostile", "--data", "data/hostile", "--yes"]) == WRONG_INPUT
    assert "evil.png" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["log-loss", "quadratic-weighted-kappa", "macro-f1"])
@pytest.mark.parametrize("method", ["hill-climb", "weighted"])
def test_an_ensemble_serves_the_competitions_metric(name, method):
    """On the data of the fit it is never worse than the best member, by the metric itself."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 300)
    skill = rng.uniform(0.5, 2.5, 5)
    logits = rng.normal(0, 1, (5, 300, 4)) + skill[:, None, None] * np.eye(4)[labels]
    members = metrics.softmax(logits).astype(np.float32)
    metric = metrics.named(name)
    fitted = ensemble.estimator(method, metric=name).fit(members, labels)
    reached = metric.gain(metric.score(labels, fitted.predict_proba(members)))
    assert reached >= max(metric.gain(metric.score(labels, member)) for member in members) - 1e-6
    assert fitted.weights_.sum() == pytest.approx(1)


def test_kappa_and_f1_are_scikit_learns():
    from sklearn.metrics import cohen_kappa_score, f1_score

    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 5, 300), rng.dirichlet(np.ones(5), 300)
    predicted = probabilities.argmax(1)
    kappa = cohen_kappa_score(labels, predicted, weights="quadratic")
    assert metrics.quadratic_weighted_kappa(labels, probabilities) == pytest.approx(kappa)
    assert metrics.macro_f1(labels, probabilities) == pytest.approx(f1_score(labels, predicted, average="macro"))


def test_notebooks_only_says_what_to_do_instead(place, capsys):
    slug = "Kannada-MNIST"
    header = [f"pixel{number}" for number in range(784)]
    pixels = SEED.integers(0, 256, (40, 784))
    bundles.loose(place / "data" / slug, {
        "train.csv": bundles.table(["label", *header], np.column_stack([np.arange(40) % 10, pixels]).tolist()).encode(),
        "test.csv": bundles.table(["id", *header], np.column_stack([np.arange(5), pixels[:5]]).tolist()).encode(),
        "sample_submission.csv": b"id,label\n0,0\n1,0\n2,0\n3,0\n4,0\n",
    })  # fmt: skip
    data = loaders.load("kannada-mnist", "kaggle")
    assert len(data.duplicates) == 5
    path = place / "x.csv"
    submission.write(path, data.competition, data.test_ids, np.arange(5))
    assert submit.main([str(path), "--competition", slug, "--yes"]) == WRONG_INPUT
    assert "notebook" in capsys.readouterr().err
