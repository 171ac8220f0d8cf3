import dataclasses
import datetime
import hashlib
import io
import os
import re
import shutil
import signal
import threading
import time

import kaggle_stand_in as kaggle
import numpy as np
import pytest
from submit_scene import DIGITS, QUICK, Scene

import kit
from kit import submission, tracking
from kit.errors import UserError
from kit.kaggle_client import connection
from kit.submission import sending
from kit.submission.ledger import Ledger, Line

NAME = "digit-recognizer"
kills = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")


@pytest.fixture
def scene(tmp_path, monkeypatch):
    with kaggle.KaggleStandIn() as server:
        kaggle.lead(monkeypatch, server, tmp_path / "home")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.stdin", io.StringIO())
        monkeypatch.setattr(connection, "RETRIES", QUICK)
        yield Scene(tmp_path, server)
    assert not server.escapes


def run_submit(scene: Scene, capsys, *argv: str) -> tuple[int, str, str]:
    """Run the command; return exit status, stdout and the last line of stderr."""
    status = scene.submit(*argv)
    shown = capsys.readouterr()
    assert kaggle.TOKEN not in shown.out + shown.err
    assert "Traceback" not in shown.err
    return status, shown.out, (shown.err.splitlines() or [""])[-1]


def test_from_the_newest_csv_to_the_score(scene, capsys):
    scene.run("older", validation_accuracy=0.99)
    path = scene.run("r", scene.labels[::-1].copy())
    os.utime("submissions/digit-recognizer/older.csv", (1, 1))
    status, out, _ = run_submit(scene, capsys)
    assert status == 0
    for shown in (
        "submissions/digit-recognizer/r.csv, 28 rows",
        "0.99410 ± 0.00118",
        "left today: 5",
        "0.99400",
        "0.00010",
    ):
        assert shown in out
    assert "warning:" not in out
    (line,) = scene.ledger
    (listed,) = scene.kaggle.submissions
    assert scene.kaggle.contents[listed["ref"]] == path.read_bytes()
    assert (line.competition, line.file, line.run) == (NAME, "submissions/digit-recognizer/r.csv", "r")
    assert (line.reference, line.status, line.public_score) == (listed["ref"], "complete", 0.994)
    assert (line.message, line.validation_score) == (listed["description"], 0.9941)
    assert line.message == "resnet_small, validation accuracy 0.99410, data: kaggle"
    assert listed["fileName"] == line.sent_name


def test_the_message_and_the_csv_as_given(scene, capsys):
    scene.run("r", folds=5)
    status, out, _ = run_submit(scene, capsys, "submissions/digit-recognizer/r.csv", "--message", " two\n \x1bwords ")
    assert status == 0
    assert scene.kaggle.submissions[0]["description"] == "two \\x1bwords"
    assert "out-of-fold accuracy of 5 folds 0.99410" in out


@pytest.mark.parametrize("target", ["r", "digit-recognizer/r", "runs/digit-recognizer/r", "--best"])
def test_a_run_is_sent_by_name_by_folder_and_as_the_best(scene, capsys, target):
    scene.run("r")
    (scene.folder / "r").write_text("a file that is called as the run")
    scene.run("newer", scene.labels[::-1].copy(), validation_accuracy=0.98)
    status, out, _ = run_submit(scene, capsys, target)
    assert status == 0
    assert [line.run for line in scene.ledger] == ["r"]
    assert "warning:" not in out


def test_warnings_of_a_better_run_a_part_of_the_data_and_other_data(scene, capsys):
    scene.run("better", validation_accuracy=0.999)
    scene.run("r", scene.labels[::-1].copy(), data={"limit": 3000})
    status, out, _ = run_submit(scene, capsys, "r", "--dry-run")
    warnings = [line for line in out.splitlines() if line.startswith("warning: ")]
    assert status == 0
    assert len(warnings) == 2
    assert "3,000" in warnings[0]
    assert "run better" in warnings[1]


def test_a_csv_that_is_not_its_run_s_is_asked_about(scene, capsys):
    path = scene.run("r")
    submission.write(path, DIGITS, np.arange(1, 29), scene.labels[::-1].copy())
    status, _, last = run_submit(scene, capsys, "r")
    assert status == 2
    assert "28 of 28 rows" in last
    assert not scene.kaggle.submissions


def test_a_run_whose_predictions_are_none_is_not_sent(scene, capsys):
    scene.run("r")
    run = tracking.find("r")
    probabilities = run.test()
    probabilities[3] = np.nan
    run.write_array("test", probabilities)
    status, _, last = run_submit(scene, capsys, "r", "--yes")
    assert status == 2
    assert "test.npy, row 3" in last
    assert not scene.kaggle.requests


def test_from_python(scene):
    lines = []
    scene.run("r", np.zeros(28, int))
    with pytest.raises(UserError, match="confirm"):
        submission.submit("r", report=lines.append)
    result = submission.submit(tracking.find("r"), dry_run=True, report=lines.append)
    assert (result.sent, result.public_score, result.prepared.run.name) == (False, None, "r")
    asked = []
    result = submission.submit(best=True, confirm=lambda doubts: asked.append(doubts) or True, report=lines.append)
    assert (result.sent, result.public_score, len(asked)) == (True, 0.994, 1)
    assert "0.99400" in repr(result)
    assert not submission.submit("r", confirm=lambda doubts: False, report=lines.append).sent
    assert len(scene.kaggle.submissions) == 1
    assert kit.Run("r").submit(dry_run=True).prepared.line.run == "r"


def test_a_csv_of_no_run_is_sent(scene, capsys, tmp_path):
    path = tmp_path / "elsewhere.csv"
    submission.write(path, DIGITS, np.arange(1, 29), scene.labels)
    status, _, _ = run_submit(scene, capsys, str(path))
    assert status == 0
    assert (scene.ledger[0].run, scene.ledger[0].validation_score) == ("", None)
    assert scene.kaggle.submissions[0]["description"] == "elsewhere"


def test_the_data_lie_where_the_run_was_trained(scene, capsys, tmp_path):
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    scene.run("r", data={"folder": str(tmp_path / "elsewhere")})
    assert run_submit(scene, capsys, "r", "--dry-run")[0] == 0
    assert run_submit(scene, capsys, "r", "--dry-run", "--data-dir", "nowhere")[0] == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows takes no such names")
def test_control_characters_of_names_do_not_reach_the_terminal(scene, capsys, tmp_path):
    path = tmp_path / "a\x1b[2J\u202eb.csv"
    submission.write(path, DIGITS, np.arange(1, 29), scene.labels)
    scene.kaggle.add(NAME, "c\x1b[2Jd.csv", "e\x1b[2J", path.read_bytes())
    for argv in ((str(path), "--message", "m\x1b[2J"), ("--list",), ("x\x1b[2J.csv",), ("x\x1b[2J",)):
        scene.submit(*argv)
        shown = capsys.readouterr()
        assert all(line.isprintable() for line in (shown.out + shown.err).split("\n"))
    assert len(scene.kaggle.submissions) == 2


def test_a_dry_run_stops_before_the_network(scene, capsys, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    scene.run("r", np.zeros(28, int))
    status, out, _ = run_submit(scene, capsys, "--dry-run")
    assert status == 0
    assert "check: all 28 predictions are 0." in out
    assert not scene.kaggle.requests
    assert not (scene.folder / "submissions" / "ledger.csv").exists()


def test_the_place_among_earlier_scores(scene, capsys):
    for score in ("0.99500", "0.98000", "0.99400"):
        scene.kaggle.add(NAME, "earlier.csv", "", score.encode())
    scene.kaggle.score = lambda content: content.decode() if content.startswith(b"0.") else "0.99000"
    scene.run()
    _, out, _ = run_submit(scene, capsys)
    assert "place 3 of your 4" in out
    assert "0.99500" in out


# What a new user runs into: what is wrong, and what the one line must name.
def no_credentials(scene, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    return "https://www.kaggle.com/settings/api"


def wrong_credentials(scene, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "wrong")
    return "KAGGLE_API_TOKEN"


def rules_not_accepted(scene, monkeypatch):
    scene.kaggle.joined.clear()
    return "https://www.kaggle.com/competitions/digit-recognizer/rules"


def limit_used_up(scene, monkeypatch):
    scene.kaggle.limits = kaggle.limits(left=0)
    return "today's 5 submissions"


def closed(scene, monkeypatch):
    scene.kaggle.limits = {"numTotal": 7}
    return "takes no more submissions to digit-recognizer"


def limit_used_up_by_the_list(scene, monkeypatch):
    scene.kaggle.limits = None
    for _ in range(5):
        scene.kaggle.add(NAME, "x.csv", "", b"")
    return "today's 5 submissions"


def limits_that_make_no_sense(scene, monkeypatch):
    named = limit_used_up_by_the_list(scene, monkeypatch)
    scene.kaggle.limits = {"numToday": ["5"], "numAllowedNow": 5}
    return named


def no_kaggle_files(scene, monkeypatch):
    (scene.folder / "data" / NAME / f"{NAME}.zip").unlink()
    return "`python -m kit.download digit-recognizer`"


def a_malformed_csv(scene, monkeypatch):
    path = scene.folder / "submissions" / NAME / "r.csv"
    path.write_text(path.read_text().replace("\n3,2\n", "\n3,x\n"))
    return "r.csv, row 4, column Label"


def a_run_of_the_sample(scene, monkeypatch):
    scene.run("r", source="sample")
    return "run r is of the built-in sample"


def a_run_that_saw_the_test_images(scene, monkeypatch):
    scene.run("r", seen=["mnist"])
    return "mnist"


def an_unfinished_run(scene, monkeypatch):
    (tracking.find("r").folder / "metrics.json").unlink()
    return "--resume"


def a_damaged_run(scene, monkeypatch):
    (tracking.find("r").folder / "metrics.json").write_text("{}")
    return "metrics.json"


def one_class(scene, monkeypatch):
    scene.run("r", np.zeros(28, int))
    return "--yes"


def a_damaged_ledger(scene, monkeypatch):
    (scene.folder / "submissions" / "ledger.csv").write_text("time\n")
    return "ledger.csv, row 1"


NEW_USERS = [
    no_credentials,
    wrong_credentials,
    rules_not_accepted,
    limit_used_up,
    closed,
    limit_used_up_by_the_list,
    limits_that_make_no_sense,
    no_kaggle_files,
    a_malformed_csv,
    a_run_of_the_sample,
    a_run_that_saw_the_test_images,
    an_unfinished_run,
    a_damaged_run,
    one_class,
    a_damaged_ledger,
]


@pytest.mark.parametrize("wrong", NEW_USERS, ids=lambda wrong: wrong.__name__)
def test_what_a_new_user_runs_into_is_one_line_with_the_next_step(scene, capsys, monkeypatch, wrong):
    scene.run("r")
    named = wrong(scene, monkeypatch)
    sent = len(scene.kaggle.submissions)
    status, _, last = run_submit(scene, capsys)
    assert status == 2
    assert last.startswith("error: ")
    assert named in last
    assert len(scene.kaggle.submissions) == sent
    assert wrong is a_damaged_ledger or not scene.ledger


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["nowhere.csv"], "nowhere.csv"),
        (["nobody"], "'nobody'"),
        (["x" * 300], "xxx"),
        (["x" * 300 + ".csv"], "xxx"),
        ([""], "''"),
        (["--competition", "digits"], "'digits'"),
        (["--competition", "../../x"], "'../../x'"),
        (["submissions/digit-recognizer/r.csv", "--competition", "cifar-10"], "--competition"),
        (["runs/digit-recognizer/r", "--competition", "cifar-10"], "--competition"),
        (["r", "--competition", "cifar-10"], "'r'"),
        (["--competition", "cifar-10"], "cifar-10"),
        (["--competition", "cifar-10", "--best"], "cifar-10"),
        (["r", "--best"], "--best"),
        (["x.csv", "--status"], "--status"),
        (["--dry-runs"], "--dry-run"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_wrong_flags(scene, capsys, argv, named):
    scene.run("r")
    status, _, last = run_submit(scene, capsys, *argv)
    assert status == 2
    assert named in last
    assert not scene.kaggle.requests


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes among its files")
@pytest.mark.parametrize("kind", ["pipe", "loop of links", "folder"])
def test_what_is_not_a_csv_is_refused_at_once(scene, capsys, kind):
    path = scene.folder / "x.csv"
    {"pipe": os.mkfifo, "folder": os.mkdir, "loop of links": lambda one: one.symlink_to(one)}[kind](path)
    assert run_submit(scene, capsys, "x.csv")[0] == 2


class Person:
    """Somebody at a terminal who answers one question."""

    def __init__(self, answer: str):
        self.answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self.answer


@pytest.mark.parametrize(("answer", "sent"), [("y\n", 1), ("yes\n", 1), ("\n", 0), ("n\n", 0), ("", 0)])
def test_a_person_is_asked(scene, capsys, monkeypatch, answer, sent):
    scene.run("r", np.zeros(28, int))
    monkeypatch.setattr("sys.stdin", Person(answer))
    status, out, _ = run_submit(scene, capsys)
    assert "send it all the same? [y/N]" in out
    assert len(scene.kaggle.submissions) == len(scene.ledger) == sent
    assert status == (0 if sent else 1)


def test_the_same_file_is_asked_about(scene, capsys):
    scene.run("r")
    assert scene.submit() == 0
    status, _, last = run_submit(scene, capsys)
    assert status == 2
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC, score 0\.99400", last)
    assert scene.submit("--yes") == 0
    assert len(scene.kaggle.submissions) == len(scene.ledger) == 2


@pytest.mark.parametrize("plain", [True, False], ids=["by name and size", "by content in the name"])
def test_a_file_sent_from_elsewhere_is_asked_about(scene, capsys, plain):
    path = scene.run("r")
    tag = submission.check(path, DIGITS, np.arange(1, 29)).sha256[:8]
    name = "r.csv" if plain else f"another.{tag}.20200101T000000000.csv"
    scene.kaggle.add(NAME, name, "", path.read_bytes())
    status, _, last = run_submit(scene, capsys)
    assert status == 2
    assert name in last


def test_an_error_of_kaggle_s_comes_with_its_reason(scene, capsys):
    scene.kaggle.score = lambda content: "Evaluation exception"
    scene.run("r")
    status, _, last = run_submit(scene, capsys)
    assert status == 1
    assert "submissions/digit-recognizer/r.csv: Evaluation exception" in last
    assert scene.ledger[0].status == "error"


# Faults while sending. What fails, how, and whether the submission arrives in spite of it.
FAULTS = {
    "list answers 503": ("ListSubmissions", [kaggle.answers(503)] * 2, True),
    "list is dropped": ("ListSubmissions", [kaggle.drops], True),
    "list is a web page": ("ListSubmissions", [kaggle.web_page()], True),
    "list answers 429": ("ListSubmissions", [kaggle.answers(429, **{"Retry-After": "0"})], True),
    "limits fail": ("GetSubmissionLimits", [kaggle.answers(500)] * 5, True),
    "start is dropped": ("StartSubmissionUpload", [kaggle.drops], True),
    "start answers 403": ("StartSubmissionUpload", [kaggle.answers(403)], False),
    "start answers 500 for good": ("StartSubmissionUpload", [kaggle.answers(500)] * 9, False),
    "upload is dropped": ("PUT", [kaggle.drops, kaggle.acts_and_drops], True),
    "upload answers 503": ("PUT", [kaggle.answers(503)], True),
    "upload answers 503 for good": ("PUT", [kaggle.answers(503)] * 9, False),
    "submission is dropped": ("CreateSubmission", [kaggle.drops], True),
    "submission's answer is lost": ("CreateSubmission", [kaggle.acts_and_drops], True),
    "submission answers 500": ("CreateSubmission", [kaggle.answers(500)] * 2, True),
    "submission is taken and answers 502": ("CreateSubmission", [kaggle.acts_and_answers(502)], True),
    "submission is taken and answers 504": ("CreateSubmission", [kaggle.acts_and_answers(504)], True),
    "submission is taken and answers 408": ("CreateSubmission", [kaggle.acts_and_answers(408)], True),
    "submission is taken and answers 429": ("CreateSubmission", [kaggle.acts_and_answers(429)], True),
    "submission is taken and answers 400": ("CreateSubmission", [kaggle.acts_and_answers(400)], True),
    "submission is taken and answers 403": ("CreateSubmission", [kaggle.acts_and_answers(403)], True),
    "submission answers 429": ("CreateSubmission", [kaggle.answers(429, **{"Retry-After": "0"})], True),
    "submission is taken and drips": ("CreateSubmission", [kaggle.drips(6, ends=False, acts=True)], True),
    "submission's reference is null": ("CreateSubmission", [kaggle.replies({"ref": None}, acts=True)], True),
    "submission's reference is text": ("CreateSubmission", [kaggle.replies({"ref": "x"}, acts=True)], True),
    "submission's answer is half": (
        "CreateSubmission",
        [kaggle.changes(lambda one: kaggle.Answer(body=one.body[:-9]))],
        True,
    ),
    "submission without reference": (
        "CreateSubmission",
        [kaggle.changes(lambda one: kaggle.Answer(body=b'{"message": "?"}'))],
        True,
    ),
    "list before the submission fails": (
        "ListSubmissions",
        [lambda handler, act: handler.reply(act()), *[kaggle.answers(500)] * 9],
        False,
    ),
    "submission is refused": ("CreateSubmission", [kaggle.answers(400, "Daily limit")], False),
    "score's list fails": (
        "ListSubmissions",
        [*[lambda handler, act: handler.reply(act())] * 2, *[kaggle.answers(500)] * 6],
        True,
    ),
}


@pytest.mark.parametrize(("call", "faults", "arrives"), FAULTS.values(), ids=FAULTS)
def test_faults_send_nothing_twice_and_lose_nothing(scene, capsys, call, faults, arrives):
    scene.run("r")
    scene.kaggle.fault(call, *faults)
    status, _, last = run_submit(scene, capsys)
    (line,) = scene.ledger
    if arrives:
        assert status == 0
        (listed,) = scene.kaggle.submissions
        assert (line.status, line.reference, line.public_score) == ("complete", listed["ref"], 0.994)
    else:
        assert status in (1, 2)
        assert last.startswith(("failed: ", "error: "))
        assert not scene.kaggle.submissions
        assert (line.status, line.reference) == ("not sent", None)
        scene.kaggle.faults.clear()
        assert scene.submit() == 0
        assert len(scene.kaggle.submissions) == 1


def test_an_answer_that_may_be_late_is_not_repeated_and_found_later(scene, capsys):
    scene.run("r")
    scene.kaggle.fault("CreateSubmission", kaggle.answers(504))
    status, _, last = run_submit(scene, capsys)
    assert status == 1
    assert "--status" in last
    assert len(scene.kaggle.named("CreateSubmission")) == 1
    assert scene.ledger[0].status == "sending"
    scene.kaggle.add(NAME, scene.ledger[0].sent_name, "", b"")  # it was late
    assert scene.submit("--status") == 0
    assert (scene.ledger[0].status, len(scene.kaggle.submissions)) == ("complete", 1)


def plain(handler, act) -> None:
    handler.reply(act())


def test_a_list_that_fails_after_a_lost_answer_leaves_it_open(scene, capsys):
    scene.run("r")
    scene.kaggle.fault("ListSubmissions", plain, plain, *[kaggle.answers(500)] * 9)
    scene.kaggle.fault("CreateSubmission", kaggle.acts_and_drops)
    status, _, last = run_submit(scene, capsys)
    assert (status, scene.ledger[0].status) == (1, "sending")
    assert "--status" in last
    scene.kaggle.faults.clear()
    assert scene.submit("--status") == 0
    assert (scene.ledger[0].status, len(scene.kaggle.submissions)) == ("complete", 1)


def test_an_answer_that_is_lost_for_good_leaves_it_open(scene, capsys):
    scene.run("r")
    scene.kaggle.fault("CreateSubmission", *[kaggle.drops] * sending.ATTEMPTS)
    status, _, last = run_submit(scene, capsys)
    assert (status, scene.ledger[0].status) == (1, "sending")
    assert "--status" in last
    assert scene.submit("--status") == 1
    assert scene.ledger[0].status == "not sent"


@pytest.mark.parametrize("fault", [kaggle.acts_and_drops, kaggle.acts_and_answers(429), kaggle.acts_and_answers(400)])
@pytest.mark.parametrize("lag", [1, 2, len(QUICK.checks)])
def test_a_list_that_lags_is_searched_again_before_a_second_attempt(scene, capsys, fault, lag):
    scene.run("r")
    scene.kaggle.fault("CreateSubmission", fault)
    # A refusal is searched for a shorter while, and never tried again by itself.
    scene.kaggle.lag = min(lag, sending.CHECKS_AFTER_REFUSAL - 1) if fault is not kaggle.acts_and_drops else lag - 1
    assert run_submit(scene, capsys)[0] == 0
    assert len(scene.kaggle.submissions) == 1
    assert len(scene.kaggle.named("CreateSubmission")) == 1


def test_a_list_that_lags_still_more_is_seen_just_before_a_second_attempt(scene, capsys):
    scene.run("r")
    scene.kaggle.fault("CreateSubmission", kaggle.acts_and_drops)
    scene.kaggle.lag = len(QUICK.checks)
    assert run_submit(scene, capsys)[0] == 0
    assert len(scene.kaggle.named("StartSubmissionUpload")) == 2
    assert len(scene.kaggle.submissions) == len(scene.kaggle.named("CreateSubmission")) == 1


@pytest.mark.parametrize("yes", [False, True])
def test_the_same_file_from_another_machine_is_seen_just_before_it_is_sent(scene, capsys, yes):
    path = scene.run("r")
    content = path.read_bytes()
    name = f"theirs.{hashlib.sha256(content).hexdigest()[:8]}.20260101T000000000.csv"
    scene.kaggle.fault("PUT", kaggle.calls(lambda: scene.kaggle.add(NAME, name, "", content)))
    status, _, last = run_submit(scene, capsys, *["--yes"] * yes)
    assert status == (0 if yes else 2)
    assert yes or name in last
    assert len(scene.kaggle.submissions) == 1 + yes
    assert scene.ledger[0].status == ("complete" if yes else "not sent")


def test_two_folders_send_the_same_file_once(scene):
    content = scene.run("r").read_bytes()
    folders = [scene.folder / name for name in ("one", "two")]
    for folder in folders:
        shutil.copytree(scene.folder / "data", folder / "data")
        (folder / "x.csv").write_bytes(content)
    scene.kaggle.fault("CreateSubmission", kaggle.calls(lambda: time.sleep(0.5)))
    children = [scene.child("x.csv", folder=folder) for folder in folders]
    for child in children:
        child.communicate()
    assert sorted(child.returncode for child in children) == [0, 2]
    assert len(scene.kaggle.submissions) == 1


def test_no_wait_and_status(scene, capsys):
    scene.kaggle.polls = 3
    scene.run("r")
    assert scene.submit("--no-wait") == 0
    assert scene.ledger[0].status == "pending"
    assert scene.submit("--status", "--no-wait") == 0
    assert scene.ledger[0].status == "pending"
    capsys.readouterr()
    status, out, _ = run_submit(scene, capsys, "--status")
    assert status == 0
    assert "public score: 0.99400" in out
    assert scene.ledger[0].status == "complete"


def test_a_status_with_nothing_to_wait_for_says_so_without_the_network(scene, capsys, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    status, nothing_sent, _ = run_submit(scene, capsys, "--status")
    assert status == 0
    line = Ledger().intend(Line(NAME, "r.csv", "0" * 64, "r", None, "m"))
    Ledger().update(line, status="complete", reference=1, public_score=0.99)
    status, all_scored, _ = run_submit(scene, capsys, "--status")
    assert status == 0
    assert nothing_sent != all_scored
    assert [len(out.splitlines()) for out in (nothing_sent, all_scored)] == [1, 1]


def test_a_competition_that_cannot_be_asked_does_not_hide_the_others(scene, capsys):
    for name, number in (("cifar-10", 1), ("digit-recognizer", 2), ("absent", 3)):
        reference = scene.kaggle.add(name, "x.csv", "", b"")
        line = Ledger().intend(Line(name, "x.csv", f"{number}" * 64, "", None, "m"))
        Ledger().update(line, status="pending", reference=reference)
    status, _, last = run_submit(scene, capsys, "--status")
    assert status == 2
    assert "absent" in last
    assert [line.status for line in scene.ledger] == ["complete", "complete", "pending"]


@pytest.fixture
def old_line(scene) -> Line:
    """A line of the day before yesterday, that says "sending"."""
    ledger = Ledger()
    line = ledger.intend(Line(NAME, "r.csv", "0" * 64, "r", None, "m"))
    before = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)).isoformat(timespec="milliseconds")
    ledger.path.write_text(ledger.path.read_text().replace(line.time, before))
    return ledger.lines()[0]


def test_what_kaggle_no_longer_lists_ends_with_a_sentence(scene, capsys, old_line):
    Ledger().update(old_line, status="pending", reference=40_000_001)
    status, _, last = run_submit(scene, capsys, "--status")
    assert status == 1
    assert "40000001" in last
    assert scene.ledger[0].status == "not listed"
    assert len(scene.kaggle.named("ListSubmissions")) == 1
    assert run_submit(scene, capsys, "--status")[0] == 0
    scene.kaggle.polls = 0
    scene.kaggle.add(NAME, "r.csv", "", b"")  # it is there again
    run_submit(scene, capsys, "--list")
    assert scene.ledger[0].status == "complete"


def test_what_was_sent_long_ago_is_not_searched_for_again_and_again(scene, capsys, old_line):
    assert run_submit(scene, capsys, "--status")[0] == 1
    assert len(scene.kaggle.named("ListSubmissions")) == 1
    assert scene.ledger[0].status == "not sent"


@pytest.mark.parametrize("answer", [{"submissions": [{"ref": None}]}, {"submissions": "none"}, [], 3], ids=str)
def test_a_list_that_makes_no_sense_leaves_pending_lines_pending(scene, capsys, answer):
    scene.kaggle.polls = 10_000
    scene.run("r")
    assert scene.submit("--no-wait") == 0
    before = scene.ledger
    scene.kaggle.fault("ListSubmissions", *[kaggle.replies(answer)] * 99)
    asked = len(scene.kaggle.requests)
    status, _, last = run_submit(scene, capsys, "--status")
    assert status == 1
    assert "ListSubmissions" in last
    assert len(scene.kaggle.requests) == asked + 1
    assert scene.ledger == before


def test_a_score_that_does_not_come_is_waited_for_later(scene, capsys, monkeypatch):
    scene.kaggle.polls = 10_000
    scene.run("r")
    monkeypatch.setattr(connection, "RETRIES", dataclasses.replace(QUICK, score=0.05))
    status, _, last = run_submit(scene, capsys)
    assert status == 1
    assert "--status" in last
    assert scene.ledger[0].status == "pending"


def test_the_list_is_best_first_with_a_figure(scene, capsys):
    scene.kaggle.polls = 0
    scores = {b"2,1\n": "0.99000", b"2,6\n": "0.95000", b"by hand": "0.97000"}
    scene.kaggle.score = lambda content: next(score for part, score in scores.items() if part in content)
    scene.run("worse", scene.labels[::-1].copy())
    assert scene.submit() == 0
    scene.run("better")
    assert scene.submit() == 0
    scene.kaggle.add(NAME, "by-hand.csv", "", b"by hand")
    capsys.readouterr()
    status, out, _ = run_submit(scene, capsys, "--list")
    rows = [line.split() for line in out.splitlines() if " 2" in line]
    assert status == 0
    assert [(row[0], row[1]) for row in rows] == [("1", "0.99000"), ("2", "0.97000"), ("3", "0.95000")]
    assert ["better" in rows[0], "by-hand.csv" in rows[1], "worse" in rows[2]] == [True] * 3
    assert rows[0][3] == "-0.00410"
    assert "elsewhere" in rows[1]
    assert "figure: submissions/digit-recognizer-validation-vs-public.png" in out
    assert (scene.folder / "submissions" / "digit-recognizer-validation-vs-public.png").exists()


@pytest.mark.parametrize("trouble", ["no credentials", "no network"])
def test_the_list_without_kaggle_shows_what_is_known(scene, capsys, monkeypatch, trouble):
    scene.run("r")
    assert scene.submit() == 0
    if trouble == "no credentials":
        monkeypatch.delenv("KAGGLE_API_TOKEN")
    else:
        scene.kaggle.fault("ListSubmissions", *[kaggle.answers(500)] * 9)
    status, out, last = run_submit(scene, capsys, "--list")
    assert status == 0
    assert last.startswith("note: ")
    assert "0.99400" in out


def test_the_ledger_that_cannot_be_written_stops_it_before_anything_is_sent(scene, capsys):
    scene.run("r")
    (scene.folder / "submissions" / "ledger.csv").mkdir()
    status, _, last = run_submit(scene, capsys)
    assert status == 2
    assert "ledger.csv" in last
    assert not scene.kaggle.submissions


def test_a_disk_that_fills_up_while_sending_loses_nothing(scene, capsys, monkeypatch):
    from kit import files

    scene.run("r")
    plain, full = os.fsync, []

    def fsync(handle):
        if full:
            raise OSError(28, "No space left on device")
        plain(handle)

    monkeypatch.setattr(files.os, "fsync", fsync)
    scene.kaggle.fault("CreateSubmission", kaggle.calls(lambda: full.append(True)))
    status, _, last = run_submit(scene, capsys)
    assert status == 1
    assert "ledger.csv" in last
    assert "No space left" in last
    full.clear()
    assert scene.ledger[0].status == "sending"
    assert scene.submit("--status") == 0
    (line,) = scene.ledger
    assert (line.status, line.reference) == ("complete", scene.kaggle.submissions[0]["ref"])
    assert len(scene.kaggle.submissions) == 1


# Where the process is killed, and whether Kaggle has the submission then.
KILLS = {
    "before the list": ("ListSubmissions", False, 0),
    "before the limits": ("GetSubmissionLimits", False, 0),
    "before the upload begins": ("StartSubmissionUpload", False, 0),
    "when the upload has its place": ("StartSubmissionUpload", True, 0),
    "before the file is stored": ("PUT", False, 0),
    "when the file is stored": ("PUT", True, 0),
    "before it is submitted": ("CreateSubmission", False, 1),
    "when it is submitted": ("CreateSubmission", True, 1),
}


@kills
@pytest.mark.parametrize(("call", "after", "there"), KILLS.values(), ids=KILLS)
def test_killed_while_sending(scene, capsys, call, after, there):
    scene.run("r")
    holder = []
    scene.kaggle.fault(call, kaggle.calls(lambda: (holder[0].kill(), holder[0].wait()), after=after))
    holder.append(scene.child())
    holder[0].communicate()
    assert holder[0].returncode == -signal.SIGKILL
    _settle(scene, there)
    intentions = scene.ledger
    assert [line.status for line in intentions] == ["sending"] * len(intentions)
    assert len(intentions) == (call not in ("ListSubmissions", "GetSubmissionLimits"))
    assert scene.submit("--status") == (0 if there or not intentions else 1)
    assert [line.status for line in scene.ledger] == ["complete" if there else "not sent"] * len(intentions)
    assert scene.submit() == (2 if there else 0)  # the same predictions are asked about
    assert len(scene.kaggle.submissions) == 1
    assert [line.reference for line in scene.ledger if line.status == "complete"] == [40000001]


def _settle(scene: Scene, count: int) -> None:
    """Wait until the stand-in has done what the killed process asked for last."""
    for _ in range(100):
        if len(scene.kaggle.submissions) == count:
            return
        time.sleep(0.02)


@kills
@pytest.mark.parametrize("point", ["answered", "waiting"])
def test_killed_when_kaggle_has_answered(scene, point):
    """Killed before the reference is in the ledger, and while waiting for the score."""
    scene.kaggle.polls = 1 if point == "answered" else 3
    scene.run("r")
    deadly = "submission.ledger.Ledger.update" if point == "answered" else "submission.sending.wait"
    script = f"""
import os, signal, sys
from kit import submission, submit
from kit.kaggle_client import Retries, connection
import kit.submission.ledger, kit.submission.sending
connection.RETRIES = {QUICK!r}
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
{deadly} = die
submit.main([])
"""
    child = scene.child(script=script)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert [line.status for line in scene.ledger] == ["sending" if point == "answered" else "pending"]
    assert scene.submit("--status") == 0
    assert [(line.status, line.public_score) for line in scene.ledger] == [("complete", 0.994)]
    assert len(scene.kaggle.submissions) == 1


@kills
def test_ctrl_c_while_waiting_is_gone_on_with(scene):
    scene.kaggle.polls = 10_000
    scene.run("r")
    waits = threading.Event()
    scene.kaggle.fault("ListSubmissions", plain, plain, kaggle.calls(waits.set))
    child = scene.child()
    assert waits.wait(20)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate()
    assert (child.returncode, err.splitlines()[-1]) == (1, "stopped.")
    assert [line.status for line in scene.ledger] == ["pending"]
    scene.kaggle.polls = 0
    assert scene.submit("--status") == 0
    assert [line.status for line in scene.ledger] == ["complete"]


def test_two_processes_at_once_send_the_same_file_once(scene):
    scene.run("r")
    scene.kaggle.fault("StartSubmissionUpload", kaggle.calls(lambda: time.sleep(0.5)))
    children = [scene.child(), scene.child()]
    for child in children:
        child.communicate()
    assert sorted(child.returncode for child in children) == [0, 2]
    assert len(scene.kaggle.submissions) == len(scene.ledger) == 1


def test_two_processes_with_two_files(scene):
    first, second = scene.run("a"), scene.run("b", scene.labels[::-1].copy())
    children = [scene.child(str(path)) for path in (first, second)]
    assert [child.communicate() and child.returncode for child in children] == [0, 0]
    assert {line.run for line in scene.ledger} == {"a", "b"}
    assert {line.reference for line in scene.ledger} == {one["ref"] for one in scene.kaggle.submissions}


def test_the_secret_is_in_no_file(scene):
    scene.run("r")
    scene.kaggle.fault("CreateSubmission", kaggle.acts_and_drops)
    assert scene.submit() == 0
    for path in scene.folder.rglob("*"):
        if path.is_file():
            assert kaggle.TOKEN.encode() not in path.read_bytes()
            assert kaggle.SIGNATURE.encode() not in path.read_bytes()


def test_a_doubt_in_a_notebook_is_no_question(scene, capsys, monkeypatch):
    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            raise AssertionError("nobody can answer")

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    scene.run("r", np.zeros(28, int))
    status, _, last = run_submit(scene, capsys)
    assert status == 2
    assert "--yes" in last
    assert not scene.kaggle.submissions
