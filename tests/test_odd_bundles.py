"""Bundles of every make: each is read with the right labels and ids, or refused in one line that names what is wrong.

An image's grey tells its class, so that what is read can be checked against what was made.
"""

import io
import os
import pathlib
import re
import select
import sys
import tarfile
import zipfile

import bundles
import numpy as np
import pytest
import yaml
from PIL import Image

from kit import loaders, new
from kit.command_line import DONE, FAILED, WRONG_INPUT

GREYS = (30, 90, 150, 210)
CLASSES = ("cat", "dog", "fox")
SAMPLE = "sample_submission.csv"


def image(grey: int, form: str = "PNG", mode: str = "RGB", size=(24, 20), **options) -> bytes:
    """An image file of one grey."""
    content = io.BytesIO()
    if mode == "I;16":
        Image.fromarray(np.full(size[::-1], grey * 257, np.uint16)).save(content, form, **options)
    elif mode == "RGBA":
        Image.new("RGBA", size, (grey, grey, grey, 200)).save(content, form, **options)
    else:
        Image.new("RGB", size, (grey, grey, grey)).convert(mode).save(content, form, **options)
    return content.getvalue()


def of_class(number: int, **options) -> bytes:
    return image(GREYS[number], **options)


def rows(header, body, mark=",") -> bytes:
    return "".join(mark.join(map(str, row)) + "\n" for row in [header, *body]).encode()


def of_test(folder="test", ids=None, suffix=".png", header=("id", "label"), shown=None, label="cat"):
    """Test images, one of each class after the other, and the sample submission; `shown` are its ids."""
    ids = ids or [f"t{number}" for number in range(6)]
    shown = shown or ids
    found = {f"{folder}/{one}{suffix}": of_class(n % 3) for n, one in enumerate(ids)}
    return found | {SAMPLE: rows(header, [(one, label) for one in shown])}


def folders(top="train", classes=CLASSES, count=6, suffix=".png"):
    return {f"{top}/{name}/{n}{suffix}": of_class(k) for k, name in enumerate(classes) for n in range(count)}


def loose_train(folder="train", ids=None, suffix=".png"):
    ids = ids or [f"a{n}" for n in range(18)]
    return {f"{folder}/{one}{suffix}": of_class(n % 3) for n, one in enumerate(ids)}


def labels(header=("id", "label"), ids=None, values=CLASSES, more=(), mark=","):
    ids = ids or [f"a{n}" for n in range(18)]
    return rows(header, [(one, values[n % 3], *more) for n, one in enumerate(ids)], mark)


def zipped(files) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, one in files.items():
            archive.writestr(name, one)
    return content.getvalue()


def tarred(files) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, one in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(one)
            archive.addfile(entry, io.BytesIO(one))
    return content.getvalue()


def part(files, folder):
    return {name: one for name, one in files.items() if name.startswith(f"{folder}/")}


def pixels(names, label_at=0, label="label", ids=None, values=("0", "1", "2"), side=8, id_name="id"):
    """A training and a test table whose pixels are the class's grey, but the first, which is 1 in training."""
    count = len(names)
    train, test = [], []
    for n in range(18):
        row = [1, *[GREYS[n % 3]] * (count - 1)]
        row.insert(label_at if label_at >= 0 else count, values[n % 3])
        train.append(row)
    for n in range(6):
        test.append([*([ids[n]] if ids else []), *[GREYS[n % 3]] * count])
    header = list(names)
    header.insert(label_at if label_at >= 0 else count, label)
    return {
        "train.csv": rows(header, train),
        "test.csv": rows([*([id_name] if ids else []), *names], test),
        SAMPLE: rows(("ImageId", "Label"), [(n, 0) for n in range(1, 7)])
        if not ids
        else rows((id_name, label), [(one, 0) for one in ids]),
    }


NUMBERED = [f"pixel{n}" for n in range(64)]
ZEROS = [f"{n:04}" for n in range(18)]
NESTED = {f"test/{'ab'[n % 2]}/t{n}.png": of_class(n % 3) for n in range(6)}
ODD_MODES = {
    "train/cat/0.PNG": of_class(0, mode="L"), "train/cat/1.png": of_class(0, mode="RGBA"),
    "train/cat/2.jpeg": of_class(0, form="JPEG", mode="CMYK"), "train/dog/0.png": of_class(1, mode="P"),
    "train/dog/1.png": of_class(1, mode="I;16"), "train/dog/2.webp": of_class(1, form="WEBP", lossless=True),
    "train/fox/0.gif": of_class(2, form="GIF", mode="P", save_all=True, append_images=[Image.new("P", (24, 20))]),
    "train/fox/1.JPG": of_class(2, form="JPEG", mode="L"), "train/fox/2.tif": of_class(2, form="TIFF"),
    "train/fox/3.bmp": of_class(2, form="BMP"),
}  # fmt: skip
JUNK = {
    "train/.DS_Store": b"x", "train/cat/Thumbs.db": b"x", "train/cat/._0.png": b"x", "__MACOSX/train/cat/._0.png": b"x",
    "train/desktop.ini": b"x", "README.md": b"# read me", ".hidden/9.png": b"x",
}  # fmt: skip
HOT = rows(("image", *CLASSES), [(f"a{n}", *np.eye(3, dtype=int)[n % 3]) for n in range(18)])
OF_HOT = rows(("image", *CLASSES), [(f"t{n}", 0.3, 0.3, 0.4) for n in range(6)])
WITH_PATHS = rows(("path", "w", "label"), [(f"train/a{n}.png", n * n, CLASSES[n % 3]) for n in range(18)])

SERVED = {
    "folders in a top folder of the zip": lambda: {f"top/{k}": v for k, v in (folders() | of_test()).items()},
    "mixed suffixes, modes and hidden junk": lambda: ODD_MODES | JUNK | of_test(suffix=".JPG"),
    "BOM": lambda: loose_train() | of_test() | {"labels.csv": b"\xef\xbb\xbf" + labels()},
    "semicolons": lambda: loose_train() | of_test() | {"labels.csv": labels(mark=";")},
    "tabs": lambda: loose_train() | of_test() | {"labels.tsv": labels(mark="\t")},
    "quoted commas": lambda: loose_train()
    | of_test()
    | {"labels.csv": labels(("id", "label", "note"), more=('"far, and ""wide"""',))},
    "other column names": lambda: loose_train() | of_test() | {"meta.csv": labels(("filename", "category"))},
    "label in the last of many columns": lambda: loose_train()
    | of_test()
    | {"train.csv": rows(("h", "w", "image_id", "Class"), [(n % 5, 7, f"a{n}", CLASSES[n % 3]) for n in range(18)])},
    "leading zeros": lambda: loose_train(ids=ZEROS)
    | of_test(ids=ZEROS[:6])
    | {"labels.csv": labels(ids=ZEROS)},
    "suffix in the sample and not in the labels": lambda: loose_train()
    | of_test(shown=[f"t{n}.png" for n in range(6)])
    | {"labels.csv": labels()},
    "another suffix in the labels than the files": lambda: loose_train(suffix=".JPG")
    | of_test()
    | {"labels.csv": labels(ids=[f"a{n}.jpg" for n in range(18)])},
    "paths in the table": lambda: loose_train() | of_test() | {"labels.csv": WITH_PATHS},
    "paths in a table beside a top folder": lambda: {f"top/{k}": v for k, v in loose_train().items()}
    | of_test("top/test", shown=[f"test/t{n}.png" for n in range(6)])
    | {"top/labels.csv": WITH_PATHS},
    "nested test folders": lambda: loose_train() | NESTED | {SAMPLE: of_test()[SAMPLE], "labels.csv": labels()},
    "classes called by numbers": lambda: folders(classes=("0", "1", "10")) | of_test(label="0"),
    "classes called by codes": lambda: folders(classes=("n014", "n017", "n021")) | of_test(label="n014"),
    "test/unknown": lambda: folders() | of_test("test/unknown"),
    "sampleSubmission.csv": lambda: folders()
    | {k.replace(SAMPLE, "sampleSubmission.csv"): v for k, v in of_test().items()},
    "a class called as a test, and one as a training": lambda: folders(classes=("cat", "testudo", "train")) | of_test(),
    "several layers of train and valid": lambda: folders("train/images") | folders("valid/images") | of_test(),
    "labels that a spreadsheet has made fractions": lambda: loose_train()
    | of_test(label="1")
    | {"labels.csv": labels(values=("1.0", "2.0", "10.0"))},
    "classes that YAML takes for others": lambda: folders(classes=("no", "null", "yes")) | of_test(label="no"),
    "valid beside train": lambda: folders() | folders("valid", count=3) | of_test(),
    "a folder whose name holds test": lambda: {f"latest/{k}": v for k, v in (folders() | of_test("held")).items()},
    "class folders without a folder above": lambda: {k.removeprefix("train/"): v for k, v in folders().items()}
    | of_test(),
    "blanks and commas in class names": lambda: folders(classes=("a cat, big", "b-dog", "c 'fox'")) | of_test(),
    "an unlabelled folder beside": lambda: loose_train()
    | of_test()
    | {"labels.csv": labels(), "extra/z.png": of_class(1)},
    "a test table whose ids are also training images'": lambda: loose_train(ids=range(1, 19))
    | of_test(ids=range(1, 7))
    | {"labels.csv": labels(ids=range(1, 19)), "a_test.csv": rows(("id", "label"), [(n, "x") for n in range(1, 7)])},
    "train and test in one folder": lambda: loose_train("images")
    | of_test("images")
    | {"train.csv": labels()},
    "one-hot labels": lambda: loose_train() | of_test() | {"train.csv": HOT, SAMPLE: OF_HOT},
    "a sample of numbers for classes of words": lambda: folders() | of_test(label="0"),
    "an unreadable table beside": lambda: loose_train()
    | of_test()
    | {"labels.csv": labels(), "about.csv": b"na\xefve,b\n1,2\n"},
    "tar": lambda: {"train.tar.gz": tarred(part(folders(), "train")), "test.tar.gz": tarred(part(of_test(), "test"))}
    | {SAMPLE: of_test()[SAMPLE]},
    "7z": lambda: {"train.7z": bundles.seven_zip(folders()), "test.7z": bundles.seven_zip(part(of_test(), "test"))}
    | {SAMPLE: of_test()[SAMPLE]},
    "zip in a zip": lambda: {
        "all.zip": zipped({"train.zip": zipped(folders()), "test.zip": zipped(part(of_test(), "test"))})
    }
    | {SAMPLE: of_test()[SAMPLE]},
    "pixels by number": lambda: pixels([str(n) for n in range(64)]),
    "pixels from 1": lambda: pixels([f"pixel{n}" for n in range(1, 65)]),
    "pixels by row and column": lambda: pixels([f"{r}x{c}" for r in range(1, 9) for c in range(1, 9)]),
    "pixels, label last": lambda: pixels(NUMBERED, -1, "Class", [f"t{n}" for n in range(6)], id_name="Id"),
    "pixels, words as labels": lambda: pixels(NUMBERED, 3, "kind", [f"t{n}" for n in range(6)], CLASSES),
    "pixels of colour": lambda: pixels([f"p{n}" for n in range(192)]),
    "labels from 1": lambda: pixels(NUMBERED, values=("1", "2", "3")),
}  # fmt: skip


def wrong_hot():
    return HOT.replace(b"a7,0,1,0", b"a7,0,1,1")


SHUFFLED = [NUMBERED[0], NUMBERED[2], NUMBERED[1], *NUMBERED[3:]]
MASKS = {f"train/{kind}/{n}.png": of_class(0) for kind in ("images", "masks") for n in range(9)}
GROUPED = {f"train/{name}/{side}/{n}.png": of_class(0) for name in CLASSES for side in "ab" for n in range(4)}
REFUSED = {
    "no test images": (lambda: folders() | {SAMPLE: of_test()[SAMPLE]}, "'t0'"),
    "no sample submission": (folders, "sample submission"),
    "one class": (lambda: folders(classes=("cat",)) | of_test(), "'cat'"),
    "an id twice": (lambda: loose_train() | of_test() | {"l.csv": labels() + b"a3,cat\n"}, "'a3'"),
    "rows without images": (lambda: loose_train() | of_test() | {"l.csv": labels() + b"a99,cat\n"}, "'a99'"),
    "an id without an image": (lambda: folders() | of_test(shown=["t0", "t9"]), "'t9'"),
    "stripped zeros": (
        lambda: loose_train(ids=ZEROS) | of_test() | {"l.csv": labels(ids=range(18))}, r"l\.csv.*0000\.png"
    ),
    "an empty label": (lambda: loose_train() | of_test() | {"l.csv": labels() .replace(b"a5,fox", b"a5,")}, "line 7"),
    "several classes marked": (lambda: loose_train() | of_test() | {"t.csv": wrong_hot(), SAMPLE: OF_HOT}, "line 9"),
    "lists of labels": (
        lambda: loose_train()
        | of_test()
        | {"l.csv": labels(values=("rust scab", "rust", "scab")).replace(b"a0,rust scab", b"a0,ok")},
        "multi-label",
    ),
    "names that are numbers": (lambda: loose_train(ids=range(1, 19)) | of_test(), "labels"),
    "another kind of classes' folders": (lambda: folders("a") | folders("b") | of_test(), r"a, b"),
    "masks": (lambda: MASKS | of_test(label="0"), "segmentation"),
    "folders in the classes' folders": (lambda: GROUPED | of_test(), "train/cat"),
    "no table of pixels": (lambda: {"train.npz": b"x", "test.npz": b"x", SAMPLE: of_test()[SAMPLE]}, r"\.npz"),
    "fractions as pixels": (
        lambda: pixels(NUMBERED) | {"train.csv": pixels(NUMBERED)["train.csv"].replace(b"0,1,30,30", b"0,1,0.5,30")},
        "line 2",
    ),
    "shuffled pixels": (lambda: pixels([name.replace("pixel", "p") for name in SHUFFLED]), "'p1'"),
    "pixels that are no square": (lambda: pixels(NUMBERED[:60]), "--image-shape"),
    "a label in the test table": (
        lambda: pixels(NUMBERED) | {"test.csv": pixels(NUMBERED)["train.csv"]}, r"train\.csv.*label"
    ),
    "a row that is too short": (
        lambda: pixels(NUMBERED) | {"train.csv": pixels(NUMBERED)["train.csv"] + b"1,2\n"}, r"train\.csv.*line 20"
    ),
    "an archive in a tar": (
        lambda: {"all.tar.gz": tarred({"train.zip": zipped(folders())}), SAMPLE: of_test()[SAMPLE]}, r"train\.zip"
    ),
    "a damaged image": (lambda: folders() | of_test() | {"train/dog/2.png": of_class(1)[:60]}, r"train/dog/2\.png"),
    "something else called an image": (
        lambda: folders() | of_test() | {"train/dog/2.png": b"<html>"}, r"train/dog/2\.png"
    ),
    "fractions in the sample for three classes": (lambda: folders() | of_test(label="0.5"), "'label'"),
    "columns that are no classes": (
        lambda: folders() | of_test() | {SAMPLE: rows(("id", "cat", "dog", "owl"), [("t0", 0, 0, 1)])}, "'fox'"
    ),
}  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KIT_CONFIGS", str(tmp_path / "own"))
    return tmp_path


def lay(place, files):
    for name, content in files.items():
        path = place / "data" / "odd" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.mark.parametrize("packed", [False, True], ids=["loose", "zip"])
@pytest.mark.parametrize("make", SERVED.values(), ids=SERVED)
def test_labels_and_ids_are_those_that_were_made(place, capsys, make, packed):
    files = make()
    if packed and any(name.endswith((".7z", ".tar.gz")) for name in files):
        pytest.skip("archives inside of a zip are refused")
    lay(place, {"odd.zip": zipped(files)} if packed else files)
    assert new.main(["odd", "--data", "data/odd", "--yes"]) == DONE, capsys.readouterr().err
    data = loaders.load("odd", "kaggle")
    assert len(data.train_labels) in (10, 18)
    assert np.bincount(data.train_labels).min() > 2
    for images, rank in ((data.train_images, data.train_labels), (data.test_images, np.arange(6) % 3)):
        assert len(images) == len(rank)
        greys = images.reshape(len(images), -1)[:, 1:].astype(float).mean(axis=1)
        np.testing.assert_allclose(greys, np.array(GREYS)[rank], atol=4)
    names = data.competition.class_names
    assert list(names) == sorted(names, key=lambda name: (len(name), name) if name.isdigit() else (0, name))


@pytest.mark.parametrize(("make", "named"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_served_is_refused_in_one_line(place, capsys, make, named):
    lay(place, make())
    assert new.main(["odd", "--data", "data/odd", "--yes"]) == WRONG_INPUT
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(named, error), error
    assert "Traceback" not in error
    assert not (place / "own").exists()


PATIENCE = 3  # seconds without a word, after which a key is pressed again
ANSWERS = {
    "image_shape": ["8", "7x9", "6x10"],
    "metric": ["acuracy", "Macro-F1"],
    "handwriting": ["maybe", "n"],
    "mirror_symmetric": [""],
    "daily_limit": ["five", "0", "7"],
    "code_only": ["no"],
}


def at_terminal(place, answers: bytes, *flags):
    """Run `kit.new odd` at a terminal of its own; returns the exit status and what the person saw."""
    import pty

    pid, terminal = pty.fork()
    if not pid:
        sys.path.insert(0, str(pathlib.Path(new.__file__).parents[1]))
        command = [sys.executable, "-m", "kit.new", "odd", "--data", "data/odd", *flags]
        os.execve(sys.executable, command, {**os.environ, "PYTHONPATH": sys.path[0]})
    seen = b""
    while b"? " not in seen and b"error" not in seen:
        seen += os.read(terminal, 1 << 12)
    os.write(terminal, answers)
    try:
        while True:
            if select.select([terminal], [], [], PATIENCE)[0]:
                if not (more := os.read(terminal, 1 << 12)):
                    break
                seen += more
            elif len(answers) == 1:  # Python may miss a Ctrl-C between showing a question and waiting for its answer
                os.write(terminal, answers)
    except OSError:  # the other end has closed
        pass
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of POSIX")
class TestAtATerminal:
    def test_wrong_answers_are_asked_again_at_once_and_the_right_ones_are_written(self, place):
        lay(place, pixels(NUMBERED[:60]))
        typed = "".join(f"{text}\n" for texts in ANSWERS.values() for text in texts)
        status, seen = at_terminal(place, typed.encode())
        assert status == DONE, seen
        facts = yaml.safe_load((place / "own" / "odd" / "competition.yaml").read_text())
        expected = {"image_shape": [6, 10, 1], "metric": "macro-f1", "handwriting": False, "mirror_symmetric": False}
        expected |= {"daily_limit": 7, "code_only": False}
        assert {name: facts[name] for name in expected} == expected
        assert "pixels" not in facts
        assert loaders.load("odd", "kaggle").train_images.shape == (18, 6, 10, 1)

    @pytest.mark.parametrize(("keys", "expected"), [(b"\x04", WRONG_INPUT), (b"\x03", FAILED)])
    def test_whoever_leaves_at_a_question_leaves_nothing_behind(self, place, keys, expected):
        lay(place, folders() | of_test())
        status, seen = at_terminal(place, keys)
        assert status == expected, seen
        assert "Traceback" not in seen
        assert not (place / "own").exists()


def test_without_a_terminal_nothing_is_looked_at_before_the_refusal(place, capsys):
    lay(place, folders() | of_test())
    assert new.main(["odd", "--data", "data/odd"]) == WRONG_INPUT
    assert "--yes" in capsys.readouterr().err
    assert new.main(["../odd", "--data", "data/odd", "--yes"]) == WRONG_INPUT
    assert new.main(["odd", "--data", "data/odd", "--yes"]) == DONE
    assert new.main(["odd", "--data", "data/odd", "--yes"]) == WRONG_INPUT, "facts are not overwritten"


@pytest.mark.parametrize(("text", "shape"), [("6x10", [6, 10, 1]), ("4×5×3", [4, 5, 3])])
def test_the_shape_of_what_is_no_square_can_be_given(place, text, shape):
    lay(place, pixels(NUMBERED[:60]))
    assert new.main(["odd", "--data", "data/odd", "--yes", "--image-shape", text]) == DONE
    assert list(loaders.load("odd", "kaggle").train_images.shape[1:]) == shape


def test_photos_can_be_made_of_another_size(place, capsys):
    lay(place, folders() | of_test())
    assert new.main(["odd", "--data", "data/odd", "--yes", "--image-shape", "12x16"]) == DONE
    assert loaders.load("odd", "kaggle").train_images.shape == (18, 12, 16, 3)
    for wrong in ("12", "0x3", "12x12x2", "a"):
        assert new.main(["other", "--data", "data/odd", "--yes", "--image-shape", wrong]) == WRONG_INPUT
