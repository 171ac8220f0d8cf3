"""`kit.runs`: all runs as a table, and some of them against each other."""

import html.parser
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import COMPETITION, begun, config, made, probabilities

import kit.runs
from kit import loaders, metrics, tracking
from kit.comparison import overview, terminal
from kit.errors import UserError
from kit.submission.csv_file import write as write_submission
from kit.submission.ledger import COMPLETE, Ledger, Line


@pytest.fixture
def runs(workplace):
    """Three complete runs, a begun one and a damaged one; the newest last."""
    made("slow", config(epochs=30, model="resnet_small"), validation_accuracy=0.99, fit_seconds=300.0)
    made("fast", config(epochs=4), validation_accuracy=0.97, fit_seconds=8.0)
    made("other", config(limit=10, options={"width": 8}), validation_accuracy=0.98, fit_seconds=60.0)
    begun("begun")
    damaged = made("damaged")
    (damaged.folder / "metrics.json").write_text('{"validation_accuracy": "high"}')
    for age, run in enumerate(reversed(["slow", "fast", "other", "begun", "damaged"])):
        time = 1_700_000_000 - 1000 * age
        os.utime(tracking.find(run).folder / "config.yaml", (time, time))


def by_name(frame):
    return frame.set_index("name")


def test_the_table_says_what_each_run_is_and_reached(runs):
    frame = by_name(kit.runs.table())
    assert [*frame.reset_index().columns] == list(overview.COLUMNS)
    slow = frame.loc["slow"]
    assert (slow["network"], slow["images"], slow["limit"], slow["folds"]) == ("resnet_small", 20, 0, 0)
    assert (slow["accuracy"], slow["log_loss"], slow["seconds"]) == (0.99, 0.3, 300.0)
    assert slow["standard_error"] == pytest.approx(metrics.standard_error(0.99, 2))
    assert "epochs=30" in slow["differs"]
    assert "precision" not in slow["differs"], "`auto` settled on this machine is no one's choice"
    assert (frame.loc["other", "limit"], frame.loc["other", "state"]) == (10, "complete")
    assert "width=8" in frame.loc["other", "differs"]
    assert frame.loc["begun", "state"] == "begun"
    assert frame.loc["begun", "note"] == tracking.find("begun").resume_command
    assert frame.loc["damaged", "state"] == "damaged"
    assert "metrics.json" in frame.loc["damaged", "note"]
    assert frame["public_score"].isna().all()


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("accuracy", ["slow", "other", "fast", "damaged", "begun"]),
        ("seconds", ["fast", "other", "slow", "damaged", "begun"]),
        ("name", ["begun", "damaged", "fast", "other", "slow"]),
        ("time", ["damaged", "begun", "other", "fast", "slow"]),
    ],
)
def test_sorting_puts_the_best_on_top_and_the_unknown_at_the_end(runs, sort, order):
    assert list(kit.runs.table(sort=sort)["name"]) == order


def test_patterns_and_competitions_choose(runs):
    made("fast", config(competition="cifar-10"))
    assert set(kit.runs.table(pattern="*o*")["name"]) == {"slow", "other"}
    assert set(kit.runs.table(pattern="fast")["competition"]) == {COMPETITION, "cifar-10"}
    assert list(kit.runs.table(pattern="cifar-10/fast")["competition"]) == ["cifar-10"]
    assert list(kit.runs.table("cifar-10")["name"]) == ["fast"]
    for wrong in ({"pattern": "fats"}, {"competition": "cifar"}, {"sort": "speed"}):
        with pytest.raises(UserError, match=r"Did you mean|is not one of"):
            kit.runs.table(**wrong)


def test_no_array_is_read(runs, monkeypatch):
    monkeypatch.setattr(tracking.arrays, "read", None)
    assert kit.runs.table()["accuracy"].notna().sum() == 3


def submit(run, score, digest=None):
    ledger = Ledger()
    digest = digest or overview._digest(run.submission)
    line = ledger.intend(Line(run.competition, str(run.submission), digest, run.name, 0.9, "first"))
    ledger.update(line, status=COMPLETE, reference=len(ledger.lines()), public_score=score)


def test_the_public_score_is_that_of_the_present_predictions(runs):
    dataset = loaders.load(COMPETITION, "sample")
    fast = tracking.find("fast")
    write_submission(fast.submission, dataset.competition, dataset.test_ids, np.zeros(len(dataset.test_ids), int))
    submit(fast, 0.5, digest="0" * 64)  # of an earlier run of that name
    assert pd.isna(by_name(kit.runs.table()).loc["fast", "public_score"])
    submit(fast, 0.96)
    submit(tracking.find("slow"), 0.99, digest="1" * 64)  # its CSV is gone
    scores = by_name(kit.runs.table(sort="score"))["public_score"].dropna()
    assert scores.to_dict() == {"slow": 0.99, "fast": 0.96}


def test_a_damaged_ledger_hides_no_run(runs, capsys):
    Ledger().path.parent.mkdir()
    Ledger().path.write_text("nothing\n1\n")
    with pytest.warns(UserWarning, match=r"ledger\.csv"):
        assert len(kit.runs.table()) == 5
    assert kit.runs.main([]) == 0
    output = capsys.readouterr()
    assert "slow" in output.out
    assert "ledger.csv" in output.err


TEXT = st.text(st.characters(codec="utf-8"), max_size=40)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=5), st.integers(20, 200))
def test_no_line_is_wider_than_the_terminal(cells, width):
    first, second, third = zip(*cells, strict=True)
    columns = [
        terminal.Column("run", first, 3, shortest=5),
        terminal.Column("differs", second, 1, shortest=3),
        terminal.Column("accuracy", third, 2, right=True),
    ]
    lines = terminal.lines(columns, width)
    assert len(lines) == 1 + len(cells)
    assert all(terminal.places(line) <= width for line in lines)
    assert all(line.isprintable() or not line.isascii() for line in lines)
    wide = terminal.lines(columns, 1000)
    assert all(text.strip() in line for text, line in zip(first, wide[1:], strict=True) if text.isalnum())


@pytest.mark.parametrize("width", [30, 60, 80, 120, 200])
def test_the_command_fits_the_terminal_and_keeps_name_and_accuracy(runs, monkeypatch, capsys, width):
    monkeypatch.setenv("COLUMNS", str(width))
    assert kit.runs.main([]) == 0
    text = capsys.readouterr().out
    table = text.split("\n\n")[0].splitlines()
    assert all(len(line) <= width for line in table)
    assert any(line.startswith("slow") and "99.00%" in line for line in table)
    assert tracking.find("begun").resume_command in text


class _Tags(html.parser.HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.text = set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


def test_csv_and_page_hold_every_run(runs, tmp_path, capsys):
    odd = '<script>alert("x")</script>'
    asked = config()
    made("odd", asked.model_copy(update={"recipe": asked.recipe.replace(model=odd)}))
    assert kit.runs.main(["--csv", "a.csv", "--html", "b/c.html"]) == 0
    frame = kit.runs.table()
    written = pd.read_csv("a.csv")
    assert list(written.columns) == list(frame.columns)
    assert written["name"].tolist() == frame["name"].tolist()
    np.testing.assert_array_equal(written["accuracy"], frame["accuracy"])
    page = _Tags((tmp_path / "b" / "c.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert all(name in page.text for name in [*frame["name"], odd])
    assert kit.runs.main(["--csv", "b"]) == 2
    assert "b" in capsys.readouterr().err


def test_the_command_says_what_is_wrong(workplace, capsys):
    assert kit.runs.main([]) == 0
    assert "kit.train" in capsys.readouterr().out
    made("one")
    for wrong in (
        ["two"],
        ["--sort", "speed"],
        ["--competition", "x"],
        ["--compare", "one"],
        ["one", "--compare", "one"],
    ):
        assert kit.runs.main(wrong) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_importing_it_costs_nothing():
    code = "import sys, kit.runs; assert not {'pandas', 'numpy', 'pydantic'} & set(sys.modules); kit.runs.table"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def dataset(workplace):
    return loaders.load(COMPETITION, "sample", limit=100)


def trained_on(dataset, **fields):
    return config(**fields).model_copy(update={"data": dataset.record()})


def test_runs_are_compared_on_the_rows_that_both_predicted(dataset, capsys):
    labels = dataset.train_labels.astype(int)
    wrong = (labels + 1) % 10
    better = np.where(np.arange(100) < 95, labels, wrong)
    worse = np.where(np.arange(100) < 60, labels, wrong)
    first = made("first", trained_on(dataset), worse, epochs=3)
    second = made("second", trained_on(dataset, epochs=7, options={"width": 8}), better, epochs=2)
    half = probabilities(better)
    half[50:] = np.nan
    second.write_array("oof", half)
    found = kit.runs.compare("first", "second")
    assert set(found.differences.index) == {"epochs", "options.width"}
    assert found.differences.loc["epochs"].tolist() == [10, 7]
    (test,) = found.tests.to_dict("records")
    expected = metrics.mcnemar(labels[:50], probabilities(worse)[:50], half[:50])
    assert (test["images"], test["gained"], test["lost"]) == (50, expected.gained, expected.lost)
    assert test["p_value"] == expected.p_value
    assert (test["accuracy_first"], test["accuracy_second"]) == (1.0, 1.0)
    second.write_array("oof", probabilities(better))
    (test,) = kit.runs.compare(first, second).tests.to_dict("records")
    assert (test["gained"], test["lost"], test["accuracy_second"]) == (35, 0, 0.95)
    assert test["p_value"] == pytest.approx(2 * 0.5**35)
    assert kit.runs.main(["--compare", "first", "second"]) == 0
    output = capsys.readouterr().out
    figure = first.folder.parent / "comparison.png"
    assert str(figure) in output
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert all(len(line) <= terminal.WIDTH_ELSEWHERE for line in output.splitlines())


def test_what_cannot_be_compared_is_refused(dataset):
    labels = dataset.train_labels.astype(int)
    one = made("one", trained_on(dataset), labels)
    made("same", trained_on(dataset), labels)
    made("shorter", trained_on(dataset), labels[:50])
    made("elsewhere", config("b"))
    begun("begun", trained_on(dataset))
    for others, named in (
        (["elsewhere"], "elsewhere"),
        (["begun"], "begun"),
        (["shorter"], "shorter"),
        (["one"], "one"),
        ([str(one.folder)], "one"),
        ([], "one"),
        (["missing"], "missing"),
        (["same"] * 20, "same"),
    ):
        with pytest.raises(UserError, match=named):
            kit.runs.compare("one", *others)


def test_runs_whose_data_have_changed_are_not_compared_with_other_labels(workplace):
    for name in ("one", "two"):
        made(name, config("c", source="sample"))
    with pytest.raises(UserError, match="--data-dir"):
        kit.runs.compare("one", "two")


def test_a_run_with_an_unknown_metric_is_damaged_and_hides_no_other(runs):
    path = tracking.find("slow").folder / "metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "metric": "acuracy"}))
    states = by_name(kit.runs.table())["state"]
    assert (states["slow"], states["fast"]) == ("damaged", "complete")
