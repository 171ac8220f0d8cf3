"""The evaluate command, its scores and its report."""

import base64
import functools
import io
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from made import change, config, leave, metrics
from PIL import Image

from kit import files, loaders, tracking, zoo
from kit import metrics as kit_metrics
from kit.command_line import DONE, FAILED, WRONG_INPUT
from kit.errors import UserError
from kit.evaluate import main as evaluate
from kit.evaluation import evaluation, report, table
from kit.evaluation.scores import score
from kit.figures import style
from kit.recipes import Recipe
from kit.tracking import EnsembleConfig
from kit.training import splits

LIMIT = 200


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    """Read the sample once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loaders, "load", functools.cache(loaders.load))
        yield


@pytest.fixture(scope="module")
def digits(loaded_once):
    return loaders.load("digit-recognizer", "sample", limit=LIMIT)


@pytest.fixture(scope="module")
def left(digits, tmp_path_factory):
    """A folder with the run `net`, whose network nobody trained, and the ensemble `both` of it and another."""
    place = tmp_path_factory.mktemp("place")
    recipe = Recipe(model="lenet_small", validation_share=0.3)
    oof = np.full((LIMIT, 10), np.nan, np.float32)
    (_, validation), *_ = splits.splits(digits.train_labels, recipe)
    guess = np.where(np.arange(len(validation)) % 3 == 0, 5, digits.train_labels[validation])
    oof[validation] = 0.6 * np.eye(10)[guess] + 0.4 * np.random.default_rng(0).dirichlet(np.ones(10), len(validation))
    measured = metrics(digits, oof, folds=0, validation_share=0.3)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        with tracking.place("digit-recognizer", "net").begin(config(digits, recipe)) as net:
            net.write_array("oof", oof)
            net.write_metrics(measured)
            zoo.build("lenet_small", (28, 28, 1), 10).save(net.network_path(0))
            (net.folder / "history.csv").write_text(
                "fold,epoch,seconds,learning_rate,loss,accuracy,val_loss,val_accuracy\n0,1,2.5,0.1,2,0.1,2,0.2\n"
            )
        ensemble = EnsembleConfig(method="mean", members=["net", "gone"])
        members = {
            "gone": {"validation_accuracy": 0.9, "validation_log_loss": 1.25},
            "net": {"validation_accuracy": 0.5, "validation_log_loss": 1.5, "weight": 0.25},
        }
        both = tracking.place("digit-recognizer", "both")
        with both.begin(config(digits, kind="ensemble", ensemble=ensemble)) as both:
            both.write_array("oof", oof)
            both.write_metrics(metrics(digits, oof, folds=0, model="ensemble", members=members))
    return place


@pytest.fixture
def place(left, tmp_path, monkeypatch):
    """A copy of that folder as the current one."""
    shutil.copytree(left, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


class Parts(HTMLParser):
    """What a report is made of: every tag with its attributes, and the text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def undrawn(monkeypatch):
    """Reports whose figures are made and not drawn, which takes most of the time."""
    monkeypatch.setattr(style, "png", lambda figure: b"")


def html_of(name):
    return report.html(evaluation.gather(tracking.find(name)))


# --- scores


def test_scores_by_hand():
    labels = np.array([0, 0, 1, 1, 2])
    probabilities = np.array(
        [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1], [0.1, 0.7, 0.2], [0.2, 0.5, 0.3]], np.float32
    )
    scores = score(labels, probabilities, ("a", "b", "c"))
    assert scores.images == 5
    assert scores.wrong == 2
    assert scores.accuracy == pytest.approx(0.6)
    assert scores.standard_error == pytest.approx(np.sqrt(0.6 * 0.4 / 5))
    assert scores.log_loss == pytest.approx(-np.log([0.8, 0.3, 0.8, 0.7, 0.3]).mean(), rel=1e-5)
    assert scores.confusion.tolist() == [[1, 1, 0], [0, 2, 0], [0, 1, 0]]
    by_class = scores.by_class
    assert by_class["precision"].tolist() == pytest.approx([1, 0.5, 0])
    assert by_class["recall"].tolist() == pytest.approx([0.5, 1, 0])
    assert by_class["f1"].tolist() == pytest.approx([2 / 3, 2 / 3, 0])
    assert by_class["mistaken_for"].tolist() == ["b", "", "b"]


@settings(max_examples=25, deadline=None)
@given(
    arrays.arrays(np.float32, (7, 4), elements=st.sampled_from([0, float(np.float32(1e-9)), 0.25, 1])).map(
        lambda array: array + np.eye(4, dtype=np.float32)[0]
    ),
    arrays.arrays(np.int64, 7, elements=st.integers(0, 3)),
)
def test_the_log_loss_is_that_of_kit_metrics(unscaled, labels):
    probabilities = (unscaled / unscaled.sum(axis=1, keepdims=True)).astype(np.float32)
    assert score(labels, probabilities, tuple("abcd")).log_loss == kit_metrics.log_loss(labels, probabilities)


def test_ensemble_and_evaluate_report_the_same_log_loss(workplace):
    """Also of probabilities of exactly 0, which every way of clipping turns into another log-loss."""
    from kit.ensemble.__main__ import main as join

    dataset = loaders.load("digit-recognizer", "sample")
    wrong = np.arange(len(dataset.train_labels)) % 11 == 0
    for name, shift in (("a", 1), ("b", 2)):
        guess = np.where(wrong, (dataset.train_labels + shift) % 10, dataset.train_labels)
        leave(name, dataset, np.eye(10)[guess])
    assert join(["a", "b", "--method", "mean", "--name", "joined"]) == DONE
    joined = tracking.find("joined").metrics()
    for name, reported in [("joined", joined), *joined.members.items()]:
        evaluated = evaluation.gather(tracking.find(name)).scores
        assert evaluated.log_loss == pytest.approx(reported.validation_log_loss, rel=1e-6)
        assert evaluated.accuracy == reported.validation_accuracy
    assert joined.validation_log_loss > 1


def changed(array, row, value):
    array = array.copy()
    array[row] = value
    return array


GOOD = np.full((4, 3), 1 / 3, np.float32)
LABELS = np.arange(4) % 3


@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [
        (changed(LABELS, 2, 3), GOOD),
        (changed(LABELS, 2, -1), GOOD),
        (LABELS / 2, GOOD),
        (LABELS[:, None], GOOD),
        (LABELS[:3], GOOD),
        (LABELS[:0], GOOD[:0]),
        (LABELS, GOOD[:, :2]),
        (LABELS, GOOD.astype(int)),
        (LABELS, changed(GOOD, 1, np.nan)),
        (LABELS, changed(GOOD, (1, 1), np.nan)),
        (LABELS, changed(GOOD, 1, np.inf)),
        (LABELS, np.log(GOOD)),
        (LABELS, 3 * GOOD),
    ],
)
def test_what_cannot_be_scored_is_refused(labels, probabilities):
    with pytest.raises(UserError):
        score(labels, probabilities, ("a", "b", "c"))


# --- the command


@pytest.mark.parametrize("name", ["net", "both"])
def test_evaluate_prints_the_scores_and_writes_a_report(place, digits, capsys, name):
    assert evaluate([name]) == DONE
    printed = capsys.readouterr().out
    run = tracking.find(name)
    known = ~np.isnan(run.oof()).any(1)
    labels, probabilities = digits.train_labels[known], run.oof()[known]
    accuracy = (probabilities.argmax(1) == labels).mean()
    error = 100 * np.sqrt(accuracy * (1 - accuracy) / 60)
    assert known.sum() == 60
    assert re.search(rf"^accuracy +{accuracy:.2%} ± {error:.2f}", printed, re.MULTILINE)
    assert re.search(rf"^log-loss +{kit_metrics.log_loss(labels, probabilities):.4f}", printed, re.MULTILINE)
    assert re.search(r"\b60 of 200\b", printed)
    by_class, matrix = printed.split("\n\n")[2:4]
    assert len(re.findall(r"^\d  ", by_class, re.MULTILINE)) == 10
    counts = [int(count.replace("·", "0")) for row in matrix.splitlines()[1:] for count in row.split()[1:]]
    assert len(counts) == 100
    assert sum(counts) == 60
    assert sum(counts[::11]) == round(60 * accuracy)
    assert "SAMPLE" in printed
    assert printed.splitlines()[-1] == f"report: {run.folder / 'report.html'}"
    parts = Parts((run.folder / "report.html").read_text(encoding="utf-8"))
    for number in (f"{accuracy:.2%}", f"± {error:.2f}", f"{kit_metrics.log_loss(labels, probabilities):.4f}"):
        assert number in parts.text
    assert "Grad-CAM" in parts.text
    assert ("first fold's of net" in " ".join(parts.text.split())) == (name == "both")
    assert not list(run.folder.glob(".report*"))


def test_worst_mistakes_come_first(place):
    found = evaluation.gather(tracking.find("net"))
    true = found.probabilities[np.arange(len(found.rows)), found.labels]
    wrong = np.flatnonzero(found.probabilities.argmax(1) != found.labels)
    worst = wrong[true[wrong].argmin()]
    assert table.mistakes(found, 3)[0].startswith(f"row {found.rows[worst]} is {found.labels[worst]}, predicted 5")


def test_an_ensemble_whose_members_are_gone_is_not_explained(place, undrawn):
    shutil.rmtree(tracking.find("net").folder)
    page = html_of("both")
    assert "Grad-CAM" not in page
    cells = re.findall(r"<td>([^<]*)</td>", page.partition("Members")[2])
    assert cells[:6] == ["90.00%", "1.2500", "", "50.00%", "1.5000", "0.250"]


def test_folds_are_explained_on_images_that_the_first_network_was_not_trained_on(place, digits, undrawn, monkeypatch):
    recipe = Recipe(model="lenet_small", folds=2)
    oof = np.random.default_rng(0).dirichlet(np.ones(10), LIMIT)
    run = tracking.place("digit-recognizer", "folds")
    with run.begin(config(digits, recipe)):
        run.write_array("oof", oof.astype(np.float32))
        run.write_metrics(metrics(digits, oof, folds=2, fold_accuracies=[0.125, 0.25]))
        for fold in (0, 1):
            shutil.copy(tracking.find("net").network_path(0), run.network_path(fold))
    explained = []
    monkeypatch.setattr(
        "kit.figures.grad_cam", lambda _, images, *others: explained.extend(images) or style.new_figure(4, 4)
    )
    page = html_of("folds")
    assert "12.50%" in page
    assert "25.00%" in page
    trained_on, _ = splits.splits(digits.train_labels, recipe)[0]
    assert len(explained) == 8
    for image in explained:
        assert not (digits.train_images[trained_on] == image).all((1, 2, 3)).any()


def test_an_epoch_chosen_on_the_same_images_is_said_beside_the_accuracy(place, undrawn):
    run = tracking.find("both")
    change(run, selected_on_validation=True)
    doubt = table.selected(evaluation.gather(run))
    assert doubt
    for selected in (False, True):
        change(run, selected_on_validation=selected)
        assert (doubt in html_of("both")) == selected
        assert (doubt in table.summary(evaluation.gather(run))) == selected


def test_a_run_without_mistakes_has_a_report(place, undrawn, digits):
    run = tracking.find("net")
    oof = run.oof()
    known = ~np.isnan(oof).any(1)
    oof[known] = np.eye(10, dtype=np.float32)[digits.train_labels[known]]
    run.write_array("oof", oof)
    page = html_of("net")
    assert "100.00%" in page
    assert len(Parts(page).all("img")) == 3


# --- the page


def test_the_report_needs_no_other_file_and_is_accessible(place):
    page = html_of("net")
    parts = Parts(page)
    assert page.lstrip().startswith("<!doctype html>")
    assert not parts.open
    addresses = [value for _, attributes in parts.tags for name, value in attributes.items() if name in ("src", "href")]
    assert all(address.startswith("data:") for address in addresses)
    assert not re.search(r"https?://|@import|url\(|<script|\son\w+=", page)
    assert parts.all("html") == [{"lang": "en"}]
    assert any("viewport" in attributes.get("name", "") for attributes in parts.all("meta"))
    policy = [a["content"] for a in parts.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    images = parts.all("img")
    assert len(images) == 5
    for image in images:
        assert len(image["alt"]) > 40
        with Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2]))) as opened:
            opened.load()
    assert len(parts.all("h1")) == 1
    assert len(parts.all("h2")) == 6
    assert all(attributes.get("scope") in ("row", "col") for attributes in parts.all("th"))
    assert all(attributes.get("aria-label") for attributes in parts.all("div") if attributes.get("role") == "region")


def test_names_are_escaped_in_the_report(place, undrawn):
    run = tracking.find("both")
    run.folder.rename(run.folder.parent / "a&b '<i>")
    page = html_of(str(run.folder.parent / "a&b '<i>"))
    assert "<i>" not in page
    assert "a&b '<i> on digit-recognizer" in Parts(page).text


# --- what cannot be written


@pytest.fixture
def small_files():
    """Files of this process end at 100 kB, as on a disk that is nearly full."""
    resource = pytest.importorskip("resource", reason="limits of POSIX")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_report_that_does_not_fit_is_known_before_the_work(place, capsys, small_files):
    path = tracking.find("net").folder / "report.html"
    path.write_text("the old one")
    assert evaluate(["net"]) == FAILED
    printed = capsys.readouterr()
    assert not printed.out
    assert str(path) in printed.err
    assert printed.err.count("\n") == 1
    with pytest.raises(OSError, match=r"report\.html"):  # the disk may fill up while it works
        files.write_text(path, "long " * 50_000)
    assert path.read_text() == "the old one"
    assert [other.name for other in path.parent.glob(".report*")] == []


def test_a_folder_in_the_place_of_the_report_is_known_before_the_work(place, capsys):
    path = tracking.find("net").folder / "report.html"
    path.mkdir()
    assert evaluate(["net"]) == WRONG_INPUT
    printed = capsys.readouterr()
    assert not printed.out
    assert str(path) in printed.err


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_known_before_the_work(place, capsys):
    folder = tracking.find("net").folder
    folder.chmod(0o500)
    assert evaluate(["net"]) == WRONG_INPUT
    folder.chmod(0o700)
    printed = capsys.readouterr()
    assert not printed.out
    assert str(folder / "report.html") in printed.err


# --- what is refused


@pytest.mark.parametrize(
    "kind", ["other data", "other size", "no validation", "unfinished", "unknown", "damaged", "logits"]
)
def test_what_cannot_be_evaluated_is_refused_in_one_line(place, capsys, kind):
    run = tracking.find("net")
    oof, named = run.oof(), "net"
    if kind == "other data":
        record = run.config().data.model_copy(update={"fingerprint": "0" * 64})
        run.rewrite_config(run.config().model_copy(update={"data": record}))
    elif kind == "other size":
        run.write_array("oof", oof[:150])
    elif kind == "no validation":
        run.write_array("oof", np.full_like(oof, np.nan))
        change(run, validation_images=0)
    elif kind == "unfinished":
        (run.folder / "metrics.json").unlink()
    elif kind == "unknown":
        named = "nte"
    elif kind == "damaged":
        (run.folder / "oof.npy").write_bytes(b"\x93NUMPY")
    else:
        run.write_array("oof", 5 * oof)
    assert evaluate([named]) == WRONG_INPUT
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.count("\n") == 1
    assert kind == "other data" or "net" in printed.err


def test_help_starts_nothing_heavy():
    script = (
        "import sys; from kit.evaluate import main\n"
        "assert main(['--help']) == 0\n"
        "assert not {'keras', 'sklearn', 'matplotlib', 'pandas', 'jinja2'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0
