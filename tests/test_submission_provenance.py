import shutil

import numpy as np
import pytest

from kit import competitions, submission, tracking
from kit.errors import UserError
from kit.submission import distribution, history, provenance
from kit.submission.ledger import Line

DIGITS, CIFAR = competitions.get("digit-recognizer"), competitions.get("cifar-10")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def leave_run(name: str, competition=DIGITS, labels=(1, 2, 3), **metrics):
    run = tracking.Run(tracking.ROOT / competition.name / name)
    run.write_config({})
    run.write_metrics({"model": "resnet_small", "source": "kaggle", "seen": [], "folds": 0, **metrics})
    submission.write(run.submission, competition, np.arange(1, 4), np.array(labels, np.uint8))
    return run


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"source": "sample"}, "run r is of the built-in sample, not of digit-recognizer; train on Kaggle's files"),
        ({"source": "keras"}, "run r has seen mnist, which holds the test images of digit-recognizer"),
        ({"seen": ["mnist"]}, "run r has seen mnist, which holds the test images of digit-recognizer"),
        ({"seen": ["cifar10", "mnist"]}, "run r has seen mnist, which holds"),
        ({"source": None}, "does not say what the run was trained on"),
    ],
)
def test_leaking_runs_are_refused(metrics, words):
    with pytest.raises(UserError, match=words) as refusal:
        provenance.guard_against_leaks(leave_run("r", **metrics), DIGITS)
    assert "`python -m kit.train --competition digit-recognizer --source kaggle`" in str(refusal.value)


@pytest.mark.parametrize("metrics", [{}, {"seen": ["cifar10"]}, {"seen": ["imagenet"]}])
def test_honest_runs_pass(metrics):
    assert provenance.guard_against_leaks(leave_run("r", **metrics), DIGITS)["model"] == "resnet_small"


def test_keras_images_may_be_posted_where_kaggle_gives_the_same_to_train_on():
    assert provenance.guard_against_leaks(leave_run("r", CIFAR, source="keras", seen=["cifar10"]), CIFAR)


def test_an_unfinished_run_is_refused():
    run = leave_run("r")
    (run.folder / "metrics.json").unlink()
    with pytest.raises(UserError, match="is not finished: go on with"):
        provenance.guard_against_leaks(run, DIGITS)


def test_the_run_is_found_by_place_and_by_content(folder):
    run = leave_run("r")
    leave_run("other", labels=(3, 3, 3))
    copy = folder / "copy.csv"
    shutil.copy(run.submission, copy)
    assert provenance.run_of(run.submission, DIGITS) == run
    assert provenance.run_of(run.submission.resolve(), DIGITS) == run
    assert provenance.run_of(copy, DIGITS) == run
    copy.write_text("ImageId,Label\n")
    assert provenance.run_of(copy, DIGITS) is None


def test_a_csv_whose_run_is_gone_has_none():
    run = leave_run("r")
    shutil.rmtree(run.folder)
    assert provenance.run_of(run.submission, DIGITS) is None


def test_the_newest_submission_is_taken(folder):
    import os

    for age, name in enumerate(("new", "middle", "old")):
        path = leave_run(name).submission
        os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))
    assert provenance.newest(DIGITS).stem == "new"
    with pytest.raises(UserError, match="submissions/cifar-10 has no submission; train first"):
        provenance.newest(CIFAR)


def test_messages_say_what_was_trained_and_how_good_it_is(folder):
    metrics = {"model": "resnet_small", "source": "kaggle", "validation_accuracy": 0.994123}
    run = leave_run("r")
    assert provenance.message(run, metrics, folder) == "resnet_small, validation accuracy 0.99412, data: kaggle"
    folds = {**metrics, "folds": 5}
    assert (
        provenance.message(run, folds, folder) == "resnet_small, out-of-fold accuracy of 5 folds 0.99412, data: kaggle"
    )
    assert provenance.message(None, {}, folder / "mine.csv") == "mine"


def test_training_shares_of_tables_and_of_label_files(folder):
    data = folder / "data" / "digit-recognizer"
    data.mkdir(parents=True)
    (data / "train.csv").write_text("label,pixel0\n" + "3,0\n" * 3 + "7,255\n")
    assert distribution.training_shares(DIGITS).tolist() == [0, 0, 0, 0.75, 0, 0, 0, 0.25, 0, 0]
    data = folder / "data" / "cifar-10"
    data.mkdir(parents=True)
    (data / "trainLabels.csv").write_text("id,label\r\n1,cat\r\n2,dog\r\n")
    shares = distribution.training_shares(CIFAR)
    assert dict(zip(CIFAR.class_names, shares, strict=True))["cat"] == 0.5


def test_training_shares_without_the_files(folder):
    assert distribution.training_shares(DIGITS) is None
    data = folder / "data" / "digit-recognizer"
    data.mkdir(parents=True)
    (data / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    assert distribution.training_shares(DIGITS) is None
    (data / "train.csv").write_text("label\n")
    assert distribution.training_shares(DIGITS) is None


EVEN = np.full(10, 0.1)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.full(1000, 3), ["all 1,000 predictions are 3"]),
        (
            np.r_[np.arange(900) % 9, np.zeros(100, int)],
            [
                "20.00% of the predictions are 0, and 10.00% of the training",
                "0.00% of the predictions are 9, and 10.00% of the training",
            ],
        ),
        (np.arange(1000) % 10, []),
        (np.r_[np.arange(900) % 10, np.arange(100) % 5], []),
        (np.array([1, 2, 3, 3, 3]), []),
    ],
    ids=["one class", "a class missing", "even", "within chance and factor", "too few to say"],
)
def test_doubts_about_the_distribution(labels, words):
    told = distribution.doubts(labels.astype(np.uint8), EVEN, DIGITS)
    assert len(told) == len(words)
    assert all(text.startswith(word) for text, word in zip(told, words, strict=True))


def test_one_class_is_doubted_without_training_labels_too():
    assert distribution.doubts(np.zeros(5, np.uint8), None, DIGITS) == ["all 5 predictions are 0"]
    assert distribution.doubts(np.arange(5, dtype=np.uint8), None, DIGITS) == []


def test_history_is_best_first_and_joined_with_what_kaggle_has():
    from kit.kaggle_client import Submission

    def line(name, time, **more):
        return Line("digit-recognizer", f"submissions/digit-recognizer/{name}.csv", "s", name, 0.99, "m", time, **more)

    lines = [
        line("middle", "2026-01-01T00:00:00.000Z", reference=1, status="complete", public_score=0.98),
        line("failed", "2026-01-02T00:00:00.000Z", reference=2, status="error"),
        line("best", "2026-01-03T00:00:00.000Z", reference=3, status="complete", public_score=0.99),
        line("unsent", "2026-01-04T00:00:00.000Z", status="not sent"),
    ]
    listed = [
        Submission(2, "x", "", 0, None, "error", None, "28000 rows are needed"),
        Submission(9, "elsewhere.csv", "", 0, None, "complete", 0.97, ""),
    ]
    entries = history.best_first(lines, listed)
    assert [entry.name for entry in entries] == ["best", "middle", "elsewhere.csv", "unsent", "failed"]
    shown = history.table(entries).splitlines()
    assert shown[1].split() == ["1", "0.99000", "0.99000", "+0.00000", "2026-01-03", "00:00", "best", "complete"]
    assert shown[5].endswith("failed         error: 28000 rows are needed")
    assert history.table([]) == "  no submission yet"


def test_the_figure_needs_both_numbers(folder):
    entry = history.Entry("2026", "r", "m", "complete", 0.99, 0.985)
    path = history.draw([entry, history.Entry("2026", "x", "m", "complete", None, 0.98)], "digit-recognizer")
    assert path == tracking.SUBMISSIONS / "digit-recognizer-validation-vs-public.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert history.draw([history.Entry("2026", "x", "m", "complete", None, 0.98)], "cifar-10") is None
