import csv
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from submit_scene import REPOSITORY

from kit import files, locks
from kit.errors import Failure, UserError
from kit.submission.ledger import COLUMNS, Ledger, Line

kills = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
INTENTION = Line("digit-recognizer", "submissions/digit-recognizer/r.csv", "a" * 64, "r", 0.9941, "mine, and\nyours")


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(tmp_path)


def test_no_ledger_has_no_lines(ledger):
    assert ledger.lines() == []
    assert not ledger.path.exists()


def test_lines_come_back_as_written(ledger):
    first, second = ledger.intend(INTENTION), ledger.intend(INTENTION)
    scored = ledger.update(second, reference=7, status="complete", public_score=0.99414)
    assert ledger.lines() == [first, scored]
    assert ledger.lines("cifar-10") == []
    assert (scored.reference, scored.status, scored.public_score) == (7, "complete", 0.99414)
    assert (first.status, first.reference, first.message) == ("sending", None, "mine, and\nyours")


def test_the_columns_are_the_documented_ones(ledger):
    line = ledger.intend(INTENTION)
    ledger.update(line, reference=7, status="complete", public_score=0.994)
    with ledger.path.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert tuple(row) == COLUMNS
    assert row["public_score"] == "0.99400"
    assert row["time"] == line.time
    assert line.time.endswith("Z")


def test_no_two_lines_have_the_same_time_or_name_on_kaggle(ledger):
    lines = [ledger.intend(INTENTION) for _ in range(30)]
    assert len({line.time for line in lines}) == 30
    assert len({line.sent_name for line in lines}) == 30


def test_the_name_on_kaggle_holds_file_content_and_time(ledger):
    line = Line("c", "submissions/c/résumé of it.csv", "0123456789", "", None, "", time="2026-11-20T09:57:05.448Z")
    assert line.sent_name == "r-sum-of-it.01234567.20261120T095705448.csv"


def test_columns_of_the_person_s_own_are_kept(ledger):
    line = ledger.intend(INTENTION)
    ledger.path.write_text("note," + ",".join(COLUMNS) + '\r\n"my, note",' + _row(line) + "\r\n", encoding="utf-8-sig")
    ledger.update(line, status="pending")
    ledger.intend(INTENTION)
    notes = [one.more for one in ledger.lines()]
    assert notes == [{"note": "my, note"}, {"note": ""}]


def _row(line: Line) -> str:
    return f"{line.time},{line.competition},{line.file},{line.sha256},r,0.9941,message,,sending,"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a;b\n", "row 1 has no column 'time'"),
        (",".join(COLUMNS) + ",time\n", "row 1 has a column twice"),
        (",".join(COLUMNS) + "\n1,2\n", "row 2 is damaged"),
        (",".join(COLUMNS) + "\n2026-11-20T09:57:05Z,c,f,s,r,x,m,7,complete,\n", "row 2 is damaged"),
        (",".join(COLUMNS) + "\n2026-11-20T09:57:05Z,c,f,s,r,,m,7.5,complete,\n", "row 2 is damaged"),
        (",".join(COLUMNS) + "\nyesterday,c,f,s,r,,m,7,complete,\n", "row 2 is damaged"),
        (",".join(COLUMNS) + '\n2026-11-20T09:57:05Z,c,"f', "cannot be read"),
    ],
)
def test_a_damaged_ledger_is_named_and_left_alone(ledger, content, words):
    ledger.path.write_text(content)
    with pytest.raises(UserError, match=words) as refusal:
        ledger.intend(INTENTION)
    assert "put it back from a copy" in str(refusal.value)
    assert ledger.path.read_text() == content


def test_a_line_that_someone_deleted_is_missed(ledger):
    line = ledger.intend(INTENTION)
    ledger.path.unlink()
    with pytest.raises(UserError, match="has no line of"):
        ledger.update(line, status="pending")


def test_a_full_disk_leaves_the_ledger_as_it_was(ledger):
    resource = pytest.importorskip("resource", reason="limits the size of files as POSIX can")
    ledger.intend(INTENTION)
    before = ledger.path.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limit[1]))
    try:
        with pytest.raises(Failure, match=r"ledger.csv cannot be written .*make room and try again"):
            ledger.intend(INTENTION)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert ledger.path.read_bytes() == before
    assert {path.name for path in ledger.path.parent.iterdir()} == {"ledger.csv", ".ledger.lock"}


def test_a_disk_that_is_full_at_the_last_moment(ledger, monkeypatch):
    ledger.intend(INTENTION)
    before = ledger.path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(Failure, match="No space left on device"):
        ledger.intend(INTENTION)
    assert ledger.path.read_bytes() == before


def child(folder: pathlib.Path, script: str) -> subprocess.Popen:
    head = f"import os, signal, sys\nfrom kit.submission.ledger import *\nledger = Ledger({str(folder)!r})\n"
    head += f"line = {INTENTION!r}\n"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen([sys.executable, "-c", head + script], env=environment)


def test_four_processes_at_once_lose_and_double_nothing(ledger):
    script = """
for number in range(15):
    mine = ledger.intend(line)
    ledger.update(mine, reference=os.getpid() * 100 + number, status="pending")
"""
    children = [child(ledger.path.parent, script) for _ in range(4)]
    assert [one.wait() for one in children] == [0] * 4
    lines = ledger.lines()
    assert {line.reference for line in lines} == {one.pid * 100 + number for one in children for number in range(15)}
    assert len(lines) == len({line.time for line in lines}) == 60


@kills
@pytest.mark.parametrize(
    ("call", "after", "lines"),
    [("fsync", False, 1), ("replace", False, 1), ("replace", True, 2)],
    ids=["while writing", "before the move", "after the move"],
)
def test_killed_while_writing(ledger, call, after, lines):
    ledger.intend(INTENTION)
    script = f"""
plain = os.{call}
def deadly(*arguments):
    if {after}:
        plain(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
os.{call} = deadly
ledger.intend(line)
"""
    assert child(ledger.path.parent, script).wait() == -signal.SIGKILL
    assert len(ledger.lines()) == lines
    ledger.intend(INTENTION)
    assert len(ledger.lines()) == lines + 1


@kills
def test_the_lock_of_a_killed_process_is_free(tmp_path):
    script = (
        "from kit import locks\nwith locks.locked(sys.argv[0] and {!r}):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert child(tmp_path, script.format(str(tmp_path / "lock"))).wait() == -signal.SIGKILL
    with locks.locked(tmp_path / "lock", wait=False):
        pass


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    waited = []
    with locks.locked(tmp_path / "new" / "lock"):
        with pytest.raises(locks.Busy), locks.locked(tmp_path / "new" / "lock", wait=False):
            pass
        with (
            pytest.raises(InterruptedError),
            locks.locked(tmp_path / "new" / "lock", waiting=lambda: _give_up(waited)),
        ):
            pass
    assert waited == ["waiting"]
    with locks.locked(tmp_path / "new" / "lock", wait=False):
        pass


def _give_up(waited: list) -> None:
    waited.append("waiting")
    raise InterruptedError


def test_a_folder_that_cannot_be_made_is_the_person_s_to_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"), locks.locked(tmp_path / "file" / "lock"):
        pass
