import io
import os
import shutil
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from submit_scene import leave_run

from kit import competitions, loaders, submission, tracking
from kit.errors import UserError
from kit.submission import distribution, history, preparation, provenance, sample_submission, selection
from kit.submission.ledger import Line

DIGITS, CIFAR = competitions.get("digit-recognizer"), competitions.get("cifar-10")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checked(path, competition=DIGITS):
    return submission.check(path, competition, np.arange(1, 4))


@pytest.mark.parametrize(
    ("metrics", "named"),
    [
        ({"source": "sample"}, "sample"),
        ({"source": "keras"}, "mnist"),
        ({"seen": ["mnist"]}, "mnist"),
        ({"seen": ["cifar10", "mnist"]}, "mnist"),
        ({"competition": "cifar-10"}, "cifar-10"),
    ],
)
def test_leaking_runs_are_refused(metrics, named):
    with pytest.raises(UserError, match=f"run r .*{named}") as refusal:
        provenance.guard_against_leaks(leave_run("r", **metrics), DIGITS)
    assert "`python -m kit.train --competition digit-recognizer --source kaggle`" in str(refusal.value)


@pytest.mark.parametrize("metrics", [{}, {"seen": ["cifar10"]}, {"seen": ["imagenet"]}])
def test_honest_runs_pass(metrics):
    assert provenance.guard_against_leaks(leave_run("r", **metrics), DIGITS).model == "resnet_small"


def test_keras_images_may_be_posted_where_kaggle_gives_the_same_to_train_on():
    assert provenance.guard_against_leaks(leave_run("r", CIFAR, source="keras", seen=["cifar10"]), CIFAR)


def test_the_run_is_found_by_place_and_by_content(folder):
    run = leave_run("r")
    leave_run("other", labels=np.array([3, 3, 3]))
    copy = folder / "copy.csv"
    shutil.copy(run.submission, copy)
    assert provenance.run_by_place(run.submission, DIGITS) == run
    assert provenance.run_by_place(run.submission.resolve(), DIGITS) == run
    assert provenance.run_by_place(copy, DIGITS) is None
    assert provenance.run_by_content(checked(copy), DIGITS) == run
    copy.write_text("ImageId,Label\n1,9\n2,9\n3,9\n")
    assert provenance.run_by_content(checked(copy), DIGITS) is None


def test_a_csv_whose_run_is_gone_has_none():
    run = leave_run("r")
    shutil.rmtree(run.folder)
    assert provenance.run_by_place(run.submission, DIGITS) is None


def test_a_csv_that_is_not_what_its_run_predicts_is_noticed():
    run = leave_run("r")
    assert provenance.differing_rows(run, checked(run.submission), DIGITS) == 0
    submission.write(run.submission, DIGITS, np.arange(1, 4), np.array([1, 2, 9]))
    assert provenance.differing_rows(run, checked(run.submission), DIGITS) == 1
    (run.folder / "test.npy").unlink()
    assert provenance.differing_rows(run, checked(run.submission), DIGITS) == 0


NO_PROBABILITIES = {
    "NaN in a row": np.where(np.arange(3)[:, None] == 1, np.nan, np.eye(10)[:3]),
    "NaN in a cell": np.where((np.arange(3)[:, None] == 1) & (np.arange(10) == 2), np.nan, np.eye(10)[:3]),
    "logits": np.eye(10)[:3] * 7 - 3,
    "infinite": np.where(np.eye(10)[:3] > 0, np.inf, 0.0),
    "other images": np.eye(10)[:4],
    "other classes": np.eye(7)[:3],
    "integers": np.eye(10, dtype=np.uint8)[:3],
    "one-dimensional": np.ones(3),
}


@pytest.mark.parametrize("array", NO_PROBABILITIES.values(), ids=NO_PROBABILITIES)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_predictions_that_are_none_are_refused(array):
    run = leave_run("r")
    run.write_array("test", array.astype(np.float32) if array.dtype.kind == "f" else array)
    with pytest.raises(UserError, match=r"test\.npy"):
        provenance.differing_rows(run, checked(run.submission), DIGITS)


def test_a_part_of_the_images_is_warned_of(folder):
    (limit,) = provenance.data_warnings(leave_run("r", data={"limit": 3000}), folder / "data")
    assert "3,000" in limit
    assert provenance.data_warnings(leave_run("whole"), folder / "data") == []


def test_other_images_than_lie_there_now_are_warned_of(folder):
    data = folder / "data" / "digit-recognizer"
    data.mkdir(parents=True)
    pixels = ",".join(f"pixel{number}" for number in range(784))
    rows = [",".join(["0"] * 784)] * 20
    (data / "train.csv").write_text(f"label,{pixels}\n" + "".join(f"{n % 10},{row}\n" for n, row in enumerate(rows)))
    (data / "test.csv").write_text(f"{pixels}\n" + "\n".join(rows) + "\n")
    (data / "sample_submission.csv").write_text("ImageId,Label\n" + "".join(f"{n},0\n" for n in range(1, 21)))
    facts = loaders.load("digit-recognizer", "kaggle", folder / "data").record()
    same = leave_run("same", data={"fingerprint": facts.fingerprint})
    assert provenance.data_warnings(same, folder / "data") == []
    (other,) = provenance.data_warnings(leave_run("other"), folder / "data")
    assert "other" in other
    assert provenance.data_warnings(leave_run("keras", data={"source": "keras"}), folder / "data") == []
    (data / "train.csv").write_text("damaged")
    assert provenance.data_warnings(leave_run("other"), folder / "data") == []


def named(path, date: float):
    os.utime(path, (date, date))
    return path.stem


def test_the_newest_submission_is_taken():
    now = time.time()
    for age, name in enumerate(("new", "middle", "old")):
        named(leave_run(name).submission, now - 1000 * age)
    assert selection.newest(DIGITS).stem == "new"
    (tracking.SUBMISSIONS / DIGITS.name / ".new-abcdefgh.csv").write_text("half")  # of a process that was killed
    assert selection.newest(DIGITS).stem == "new"
    with pytest.raises(UserError, match="cifar-10"):
        selection.newest(CIFAR)


def test_a_date_in_the_future_does_not_count(capsys):
    now = time.time()
    named(leave_run("future").submission, now + 40 * 365 * 86400)
    named(leave_run("new").submission, now)
    named(leave_run("old").submission, now - 1000)
    assert selection.newest(DIGITS).stem == "new"
    assert "future.csv" in capsys.readouterr().err
    named(leave_run("clocks-differ").submission, now + 60)
    assert selection.newest(DIGITS).stem == "clocks-differ"


def test_what_is_only_in_the_future_is_taken_still():
    named(leave_run("future").submission, time.time() + 86400)
    assert selection.newest(DIGITS).stem == "future"


def test_the_best_run_is_complete_honest_whole_and_has_the_highest_accuracy():
    leave_run("low", validation_accuracy=0.98)
    leave_run("best", validation_accuracy=0.99)
    leave_run("same", validation_accuracy=0.99)
    leave_run("leaking", validation_accuracy=1.0, seen=["mnist"])
    leave_run("sample", validation_accuracy=1.0, source="sample")
    leave_run("limited", validation_accuracy=1.0, data={"limit": 100})
    leave_run("unknown", validation_accuracy=None, validation_log_loss=None, validation_images=0)
    leave_run("unfinished", validation_accuracy=1.0).working.mkdir()
    (leave_run("damaged", validation_accuracy=1.0).folder / "metrics.json").write_text("{")
    for age, name in enumerate(("low", "same", "best")):
        os.utime(f"runs/digit-recognizer/{name}/config.yaml", (1e9 - age, 1e9 - age))
    assert [one.run.name for one in selection.candidates(DIGITS)] == ["best", "same", "low"]
    assert selection.best_run(DIGITS).name == "best"
    with pytest.raises(UserError, match="cifar-10"):
        selection.best_run(CIFAR)


def test_a_better_run_is_named():
    best, low = leave_run("best", validation_accuracy=0.995), leave_run("low", validation_accuracy=0.99)
    (line,) = selection.better(low, low.metrics(), DIGITS)
    assert "run best" in line
    assert "0.99500 ± 0.00109" in line
    assert selection.better(best, best.metrics(), DIGITS) == []


def test_messages_say_what_was_trained_and_how_good_it_is(folder):
    run = leave_run("r", validation_accuracy=0.994123)
    message = provenance.message(run, run.metrics(), folder)
    assert message == "resnet_small, validation accuracy 0.99412, data: kaggle"
    folds = leave_run("folds", folds=5, validation_accuracy=0.994123)
    assert "out-of-fold accuracy of 5 folds 0.99412" in provenance.message(folds, folds.metrics(), folder)
    assert provenance.message(None, None, folder / "mine.csv") == "mine"


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


@pytest.mark.parametrize("content", [b"\n" * (1 << 20), b"x" * (1 << 20)], ids=["newlines", "one row"])
def test_labels_of_nothing_are_counted_in_bounded_time_and_memory(folder, content):
    data = folder / "data" / "digit-recognizer"
    data.mkdir(parents=True)
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("train.csv", "w") as member:
        for _ in range(256):
            member.write(content)
    (data / "digit-recognizer.zip").write_bytes(memory.getvalue())
    tracemalloc.start()
    assert distribution.training_shares(DIGITS) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


EVEN = np.full(10, 0.1)


@pytest.mark.parametrize(
    ("labels", "numbers"),
    [
        (np.full(1000, 3), ["1,000"]),
        (np.r_[np.arange(900) % 9, np.zeros(100, int)], ["20.00%", "0.00%"]),
        (np.arange(1000) % 10, []),
        (np.r_[np.arange(900) % 10, np.arange(100) % 5], []),
        (np.array([1, 2, 3, 3, 3]), []),
    ],
    ids=["one class", "a class missing", "even", "within luck and factor", "too few to say"],
)
def test_doubts_about_the_distribution(labels, numbers):
    doubts = distribution.doubts(labels, EVEN, DIGITS)
    assert len(doubts) == len(numbers)
    assert all(number in text for text, number in zip(doubts, numbers, strict=True))


def test_one_class_is_doubted_without_training_labels_too():
    assert len(distribution.doubts(np.zeros(5, int), None, DIGITS)) == 1
    assert distribution.doubts(np.arange(5), None, DIGITS) == []


def test_history_is_best_first_and_joined_with_what_kaggle_has():
    from kit.kaggle_client import Submission

    def line(name, time, **more):
        return Line(
            "digit-recognizer", f"submissions/digit-recognizer/{name}.csv", "0" * 64, name, 0.99, "m", time, **more
        )

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


def test_a_run_that_has_learned_nothing_is_asked_about(folder, monkeypatch):
    leave_run("idle", validation_accuracy=0.11, baseline_score=0.112, beats_baseline=False)
    monkeypatch.setattr(sample_submission, "find", lambda *given: sample_submission.of(np.arange(1, 4), DIGITS))
    (doubt, *_) = preparation.prepare("idle").doubts
    assert "idle" in doubt
    leave_run("idle", validation_accuracy=0.2, baseline_score=0.112, beats_baseline=True)
    assert not any("idle" in doubt for doubt in preparation.prepare("idle").doubts)


@pytest.mark.parametrize("name", ["missing.csv", "folder.csv", "nul\0.csv"])
def test_a_csv_that_is_none_is_known_before_anything_is_read(folder, name):
    (folder / "folder.csv").mkdir()
    with pytest.raises(UserError, match=name.partition(".")[0].partition("\0")[0]):
        selection.choose(name, None, False)
