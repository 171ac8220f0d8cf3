"""Whatever Kaggle answers and whatever the ledger holds: status 0, 1 or 2, a few lines, no traceback, no hang."""

import contextlib
import csv
import dataclasses
import io
import json
import time
from typing import Any

import kaggle_stand_in as kaggle
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from submit_scene import QUICK, Scene

from kit import submit
from kit.errors import UserError
from kit.kaggle_client import connection
from kit.submission import history
from kit.submission.ledger import COLUMNS, Ledger

NAME = "digit-recognizer"
SECONDS, LINES = 20, 40  # of one command; the summary of what is sent has 17 lines, and each new attempt has one
CALLS = ("ListSubmissions", "GetSubmissionLimits", "StartSubmissionUpload", "CreateSubmission")
COMMANDS = [["--yes"], ["--yes", "--no-wait"], ["--status"], ["--list"], ["--dry-run"]]
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
many = settings(few, max_examples=500, phases=[Phase.reuse, Phase.generate])


@pytest.fixture
def scene(tmp_path, monkeypatch):
    with kaggle.KaggleStandIn() as server:
        kaggle.lead(monkeypatch, server, tmp_path / "home")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.stdin", io.StringIO())
        retries = dataclasses.replace(QUICK, pauses=(0, 0), checks=(0, 0), polls=(0,), score=0.1)
        monkeypatch.setattr(connection, "RETRIES", retries)
        monkeypatch.setattr(history, "draw", lambda *entries: None)
        built = Scene(tmp_path, server)
        built.run("r")
        yield built
    assert not server.escapes


def run(argv: list[str]) -> tuple[int, list[str], list[str]]:
    """Run the command; return status and lines of both outputs."""
    out, err, before = io.StringIO(), io.StringIO(), time.monotonic()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = submit.main(argv)
    assert time.monotonic() - before < SECONDS
    return status, out.getvalue().splitlines(), err.getvalue().splitlines()


def check(status: int, out: list[str], err: list[str]) -> None:
    assert status in (0, 1, 2)
    assert len(out) + len(err) <= LINES
    assert all(line.isprintable() for line in out + err)
    assert not any("Traceback" in line for line in err)
    if status:
        assert err[-1].startswith({1: "failed: ", 2: "error: "}[status])


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=20),
        st.sampled_from(
            ["", "0", "-1", "9" * 400, "COMPLETE", "\x1b[2J\u202e", "2026-13-45T99:99:99Z", 1e400, 10**400]
        ),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """Every place in a JSON value, the whole first."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


@st.composite
def mutations(draw) -> Any:
    """Return a function that changes an answer: a value in its JSON, a key, or its bytes."""
    kind = draw(st.sampled_from(["value", "value", "delete", "rename", "cut", "byte", "whole"]))
    number, value, text = draw(st.integers(0, 1000)), draw(JSON), draw(st.text(max_size=10))

    def change(answer: kaggle.Answer) -> kaggle.Answer:
        body = answer.body
        if kind == "cut":
            return dataclasses.replace(answer, body=body[: number % (len(body) + 1)])
        if kind == "byte":
            place = number % max(1, len(body))
            return dataclasses.replace(answer, body=body[:place] + text.encode()[:1] + body[place + 1 :])
        content = json.loads(body)
        path = places(content)[number % len(places(content))]
        if kind == "whole" or not path:
            content = value
        else:
            holder = content
            for key in path[:-1]:
                holder = holder[key]
            if kind == "value":
                holder[path[-1]] = value
            elif kind == "delete":
                del holder[path[-1]]
            elif isinstance(holder, dict):
                holder[text] = holder.pop(path[-1])
        return dataclasses.replace(answer, body=json.dumps(content).encode())

    return kaggle.changes(change)


PLAIN = st.just(lambda handler, act: handler.reply(act()))
FAULTS = st.one_of(PLAIN, mutations(), st.integers(400, 599).map(kaggle.answers))


def any_answers(scene: Scene, data: st.DataObject) -> None:
    with contextlib.suppress(FileNotFoundError):
        Ledger().path.unlink()
    scene.kaggle.submissions.clear()
    scene.kaggle.requests.clear()
    scene.kaggle.faults.clear()
    scene.kaggle.polls = data.draw(st.integers(0, 2))
    assert scene.submit("--no-wait") in (0, 1) if data.draw(st.booleans()) else True
    for call in CALLS:
        scene.kaggle.fault(call, *data.draw(st.lists(FAULTS, max_size=4), label=call))
    changed = {call for call, faults in scene.kaggle.faults.items() if faults}
    before = len(scene.kaggle.submissions)
    argv = data.draw(st.sampled_from(COMMANDS))
    check(*run(argv))
    Ledger().lines()  # can still be read
    if "ListSubmissions" not in changed:
        assert len(scene.kaggle.submissions) <= before + ("--yes" in argv)


LEDGER = (
    ",".join((*COLUMNS, "note")).encode() + b"\n"
    b"2026-01-01T00:00:00.000Z,digit-recognizer,submissions/digit-recognizer/a.csv," + b"0" * 64 + b",a,0.99,"
    b'"one, ""quoted""",40000001,complete,0.98900,mine\n'
    b"2026-01-02T00:00:00.000Z,digit-recognizer,b.csv," + b"1" * 64 + b",,,two,40000002,pending,,\n"
    b"2026-01-03T00:00:00.000Z,cifar-10,c.csv," + b"2" * 64 + b",c,0.9,three,,not sent,,\n"
    b"2026-01-04T00:00:00.000Z,digit-recognizer,d.csv," + b"3" * 64 + b",d,0.9,four,,sending,,\n"
)
CELLS = ["", "nan", "inf", "-1", "1e999", "../../x", "a/b", "\x1b[2J", "\u202e", "x" * 5000, "9" * 5000, "complete"]


@st.composite
def ledgers(draw) -> bytes:
    content = bytearray(LEDGER)
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["cell", "cell", "bytes", "cut", "line"]))
        place = draw(st.integers(0, len(LEDGER))) % (len(content) + 1)
        if kind == "bytes":
            content[place : place + draw(st.integers(0, 5))] = draw(st.binary(max_size=5))
        elif kind == "cut":
            del content[place:]
        elif kind == "line":
            lines = content.split(b"\n")
            lines.insert(draw(st.integers(0, 5)), lines[draw(st.integers(0, 5)) % len(lines)])
            content = bytearray(b"\n".join(lines))
        else:
            with contextlib.suppress(UnicodeDecodeError, csv.Error):
                rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
                row = rows[draw(st.integers(0, 5)) % len(rows)] if rows else []
                if row:
                    row[draw(st.integers(0, 11)) % len(row)] = draw(st.sampled_from(CELLS) | st.text(max_size=9))
                memory = io.StringIO(newline="")
                csv.writer(memory, lineterminator="\n").writerows(rows)
                content = bytearray(memory.getvalue().encode("utf-8", "replace"))
    return bytes(content)


def any_ledger(scene: Scene, content: bytes, argv: list[str]) -> None:
    ledger = Ledger()
    ledger.path.write_bytes(content)
    scene.kaggle.submissions.clear()
    scene.kaggle.faults.clear()
    try:
        ledger.lines()
        damaged = False
    except UserError:
        damaged = True
    status, out, err = run(argv)
    check(status, out, err)
    if damaged:
        assert status == 2
        assert ledger.path.read_bytes() == content
        assert not scene.kaggle.submissions
    else:
        ledger.lines()


@few
@given(data=st.data())
def test_any_answers_of_kaggle(scene, data):
    any_answers(scene, data)


@few
@given(content=ledgers(), argv=st.sampled_from(COMMANDS))
def test_any_ledger(scene, content, argv):
    any_ledger(scene, content, argv)


@pytest.mark.slow
@many
@given(data=st.data())
def test_any_answers_of_kaggle_many_times(scene, data):
    any_answers(scene, data)


@pytest.mark.slow
@many
@given(content=ledgers(), argv=st.sampled_from(COMMANDS))
def test_any_ledger_many_times(scene, content, argv):
    any_ledger(scene, content, argv)
