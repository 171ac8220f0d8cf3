"""The evaluate command, its metrics and its report, on real runs."""

import base64
import io
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from kit import loaders, photos, tracking
from kit.command_line import DONE, WRONG_INPUT
from kit.evaluate import main as evaluate
from kit.evaluation import evaluation, report, table
from kit.evaluation.scores import score
from kit.figures import style
from kit.loaders.limit import limited
from kit.predict import main as predict
from kit.recipes import recipe
from kit.training import splits

LIMIT = 200


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the run `net` of a network that was trained for a moment, and the ensemble `both`."""
    from kit.train import main as train

    place = tmp_path_factory.mktemp("place")
    quick = ["--source", "sample", "--limit", str(LIMIT), "--model", "lenet_small", "--epochs", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert train([*quick, "--precision", "float32", "--name", "net", "--validation-share", "0.3"]) == DONE
        net = tracking.find("net")
        both = tracking.place("digit-recognizer", "both")
        both.write_config({**net.config(), "model": "ensemble", "method": "mean", "members": ["net", "gone"]})
        both.write_array("oof", net.oof())
        member = {"validation_accuracy": 0.5, "validation_log_loss": 1.25}
        members = {"gone": {**member, "validation_accuracy": 0.9}, "net": {**member, "weight": 0.25}}
        both.write_metrics({**net.metrics(), "model": "ensemble", "members": members})
    return place


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    """A copy of that folder as the current one."""
    shutil.copytree(trained, tmp_path / "place")
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


# --- metrics


def test_scores_by_hand():
    labels = np.array([0, 0, 1, 1, 2])
    probabilities = np.array(
        [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1], [0.1, 0.7, 0.2], [0.2, 0.5, 0.3]], np.float32
    )
    scores = score(labels, probabilities, ("a", "b", "c"))
    assert scores.images == 5
    assert scores.accuracy == pytest.approx(0.6)
    assert scores.accuracy_error == pytest.approx(np.sqrt(0.6 * 0.4 / 5))
    assert scores.log_loss == pytest.approx(-np.log([0.8, 0.3, 0.8, 0.7, 0.3]).mean(), rel=1e-5)
    assert scores.confusion.tolist() == [[1, 1, 0], [0, 2, 0], [0, 1, 0]]
    by_class = scores.by_class
    assert by_class["precision"].tolist() == pytest.approx([1, 0.5, 0])
    assert by_class["recall"].tolist() == pytest.approx([0.5, 1, 0])
    assert by_class["f1"].tolist() == pytest.approx([2 / 3, 2 / 3, 0])
    assert by_class["mistaken_for"].tolist() == ["b", "", "b"]


def test_float32_rounding_is_no_reason_to_complain(recwarn):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), 1000).astype(np.float32)
    score(probabilities.argmax(1), probabilities, tuple("0123456789"))
    assert not recwarn.list


# --- the command


@pytest.mark.parametrize("name", ["net", "both"])
def test_evaluate_prints_a_table_and_writes_a_report(place, capsys, name):
    assert evaluate([name]) == DONE
    said = capsys.readouterr().out
    run = tracking.find(name)
    known = ~np.isnan(run.oof()).any(1)
    data = limited(loaders.load("digit-recognizer", "sample"), LIMIT)
    accuracy = (run.oof()[known].argmax(1) == data.train_labels[known]).mean()
    assert known.sum() == 60
    assert f"accuracy             {accuracy:.2%}" in said
    assert "60 out-of-fold images of 200" in said
    by_class, matrix = said.split("\n\n")[2:4]
    assert len(re.findall(r"^\d  ", by_class, re.MULTILINE)) == 10
    counts = [int(count.replace("·", "0")) for row in matrix.splitlines()[1:] for count in row.split()[1:]]
    assert len(counts) == 100
    assert sum(counts) == 60
    assert sum(counts[::11]) == round(60 * accuracy)
    assert "SAMPLE DATA" in said
    assert said.splitlines()[-1] == f"report: {run.folder / 'report.html'}"
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert f"{accuracy:.2%}" in page
    assert "guided Grad-CAM" in page
    assert ("that of its most accurate member, net," in page) == (name == "both")
    assert ("What it is made of" in page) == (name == "both")
    assert not list(run.folder.glob(".report*"))


def test_worst_mistakes_come_first(place):
    found = evaluation.gather(tracking.find("net"))
    said = table.mistakes(found, 3)
    truth = found.probabilities[np.arange(len(found.rows)), found.labels]
    wrong = found.probabilities.argmax(1) != found.labels
    worst = np.flatnonzero(wrong)[truth[wrong].argmin()]
    assert said[0].startswith(f"row {found.rows[worst]} is {found.labels[worst]}, predicted ")


def test_an_ensemble_whose_members_are_gone_is_not_explained(place):
    shutil.rmtree(tracking.find("net").folder)
    page = report.html(evaluation.gather(tracking.find("both")))
    assert "Grad-CAM" not in page
    assert "<td>90.00%</td><td>1.2500</td><td></td>" in page
    assert "<td>50.00%</td><td>1.2500</td><td>0.250</td>" in page


def test_a_run_of_folds_is_explained_by_the_first_on_what_it_did_not_see(place, monkeypatch):
    run = tracking.find("net")
    config = run.config()
    run.write_config({**config, "recipe": {**config["recipe"], "folds": 2}})
    shutil.copy(run.network_path(0), run.network_path(1))
    data = limited(loaders.load("digit-recognizer", "sample"), LIMIT)
    run.write_array("oof", np.random.default_rng(0).dirichlet(np.ones(10), LIMIT).astype(np.float32))
    run.write_metrics({**run.metrics(), "folds": 2, "fold_accuracies": [0.125, 0.25]})
    shown = []
    monkeypatch.setattr("kit.figures.grad_cam", lambda _, images, *others: shown.append(images) or style.sheet(4, 4))
    page = report.html(evaluation.gather(run))
    assert "2 folds, 12.50% to 25.00%" in page
    seen = splits.splits(data.train_labels, recipe.from_dict(run.config()["recipe"]))[0][0]
    for image in shown[0]:
        assert not (data.train_images[seen] == image).all((1, 2, 3)).any()


def test_the_report_stands_alone_and_speaks_to_everyone(place):
    assert evaluate(["net"]) == DONE
    page = (tracking.find("net").folder / "report.html").read_text(encoding="utf-8")
    parts = Parts(page)
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


def test_names_cannot_break_the_report(place):
    run = tracking.find("both")
    run.folder.rename(run.folder.parent / "a&b '<i>")
    page = report.html(evaluation.gather(tracking.find(str(run.folder.parent / "a&b '<i>"))))
    assert "<h1>a&amp;b &#x27;&lt;i&gt; on digit-recognizer</h1>" in page
    assert "<i>" not in page


def test_a_run_without_mistakes_has_a_report(place):
    run = tracking.find("net")
    oof, data = run.oof(), limited(loaders.load("digit-recognizer", "sample"), LIMIT)
    known = ~np.isnan(oof).any(1)
    oof[known] = np.eye(10, dtype=np.float32)[data.train_labels[known]]
    run.write_array("oof", oof)
    page = report.html(evaluation.gather(run))
    assert "100.00%" in page
    assert "worst mistakes" not in page
    assert "There are no mistakes." in page


def test_a_damaged_report_is_replaced_whole(place, monkeypatch):
    run = tracking.find("both")
    assert evaluate(["both"]) == DONE
    before = (run.folder / "report.html").read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        report.write(evaluation.gather(run))
    assert (run.folder / "report.html").read_bytes() == before


# --- what it refuses


def refused(capsys, *flags):
    assert evaluate(list(flags)) == WRONG_INPUT
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_other_data_are_refused(place, capsys):
    run = tracking.find("net")
    run.write_metrics({**run.metrics(), "data_fingerprint": "0" * 64})
    assert "was trained on other images or labels than those of" in refused(capsys, "net")


def test_data_of_another_size_are_refused(place, capsys):
    run = tracking.find("net")
    run.write_config({**run.config(), "limit": 150})
    assert "oof.npy has the shape (200, 10), but there are 150 images" in refused(capsys, "net")


def test_a_run_without_validation_is_refused(place, capsys):
    run = tracking.find("net")
    run.write_array("oof", np.full((LIMIT, 10), np.nan, np.float32))
    assert "no image out of fold" in refused(capsys, "net")


def test_unfinished_damaged_and_unknown_runs_are_refused(place, capsys):
    run = tracking.find("net")
    (run.folder / "oof.npy").write_bytes(b"\x93NUMPY")
    assert "oof.npy is damaged" in refused(capsys, "net")
    (run.folder / "metrics.json").unlink()
    assert "is not finished" in refused(capsys, "net")
    assert "no run 'nte'. Did you mean net?" in refused(capsys, "nte")


# --- pictures of one's own


def test_a_runs_networks_look_at_pictures(place, capsys):
    data = loaders.load("digit-recognizer", "sample")
    names = []
    for label in (3, 8):
        digit = data.train_images[np.flatnonzero(data.train_labels == label)[0], ..., 0]
        names.append(f"my-{label}.png")
        Image.fromarray(255 - digit).resize((140, 140)).save(names[-1])
    assert photos.report(tracking.find("net"), names) == DONE
    said = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in said[:2]] == names
    assert all(len(re.findall(r"\d \(\d+\.\d %\)", line)) == 3 for line in said[:2])
    figure = tracking.find("net").figures / "pictures.png"
    assert said[-1] == f"what the network saw: {figure}"
    with Image.open(figure) as opened:
        opened.load()


def test_what_cannot_be_read_gets_a_line_and_the_rest_an_answer(place, capsys):
    data = loaders.load("digit-recognizer", "sample")
    for number in range(14):
        Image.fromarray(data.train_images[number, ..., 0]).resize((56, 56)).save(f"digit-{number:02}.png")
    (place / "text.png").write_text("no picture")
    (place / "blank.png").write_bytes(b"")
    assert predict(["net", "--images", "digit-*.png", "text.png", "blank.png", "nowhere.png"]) == WRONG_INPUT
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines()[:-1]] == [
        f"digit-{number:02}.png" for number in range(14)
    ]
    assert [line.split()[:2] for line in said.err.splitlines()] == [
        ["error:", "text.png"],
        ["error:", "blank.png"],
        ["error:", "nowhere.png:"],
    ]
    (tracking.find("net").figures / "pictures.png").unlink()
    assert predict(["net", "--images", "text.png"]) == WRONG_INPUT
    assert not (tracking.find("net").figures / "pictures.png").exists()


def test_help_starts_nothing_heavy():
    script = (
        "import sys; from kit.evaluate import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'keras', 'sklearn', 'matplotlib', 'pandas'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0
