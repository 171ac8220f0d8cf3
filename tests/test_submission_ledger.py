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
INTENTION = Line("digit-recognizer", "submissions/digit-recognizer/r.csv", "a" * 64, "r", 0.9941, "mine, and yours")


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
    assert (first.status, first.reference, first.message) == ("sending", None, "mine, and yours")


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
    digest = "01234567" + "89abcdef" * 7
    line = Line("c", "submissions/c/résumé of it.csv", digest, "", None, "", time="2026-11-20T09:57:05.448Z")
    assert line.sent_name == "r-sum-of-it.01234567.20261120T095705448.csv"
    assert line.mark in line.sent_name
    assert line.content_mark in line.sent_name


def test_columns_of_the_person_s_own_are_kept(ledger):
    line = ledger.intend(INTENTION)
    ledger.path.write_text("note," + ",".join(COLUMNS) + '\r\n"my, note",' + _row(line) + "\r\n", encoding="utf-8-sig")
    ledger.update(line, status="not sent")
    ledger.intend(INTENTION)
    notes = [one.more for one in ledger.lines()]
    assert notes == [{"note": "my, note"}, {"note": ""}]


def _row(line: Line) -> str:
    return f"{line.time},{line.competition},{line.file},{line.sha256},r,accuracy,0.9941,message,,sending,"


RIGHT = {
    "time": "2026-11-20T09:57:05.448Z",
    "competition": "digit-recognizer",
    "file": "r.csv",
    "sha256": "a" * 64,
    "run": "r",
    "metric": "accuracy",
    "validation_score": "0.9941",
    "message": "m",
    "reference": "7",
    "status": "complete",
    "public_score": "0.99400",
}
# A column, and what does not belong there.
WRONG = [
    ("time", "yesterday"),
    ("time", ""),
    ("time", "2026-11-20T09:57:05"),
    ("competition", "../../x"),
    ("competition", "a/b"),
    ("competition", ""),
    ("sha256", "aaa"),
    ("file", "a\x1b[2Jb.csv"),
    ("run", "a\u202eb"),
    ("message", "two\nlines"),
    ("metric", "speed"),
    ("metric", ""),
    ("validation_score", "nan"),
    ("validation_score", "99.4"),
    ("validation_score", "-0.1"),
    ("validation_score", "high"),
    ("reference", ""),
    ("reference", "0"),
    ("reference", "-7"),
    ("reference", "7.5"),
    ("reference", "9" * 5000),
    ("status", "lost"),
    ("status", ""),
    ("public_score", "nan"),
    ("public_score", "inf"),
    ("public_score", "high"),
]


def write_rows(path: pathlib.Path, *rows: dict[str, str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(rows)


def test_the_right_row_is_right(ledger):
    write_rows(ledger.path, RIGHT)
    assert ledger.lines()[0].public_score == 0.994


@pytest.mark.parametrize(("column", "value"), WRONG)
def test_a_damaged_line_is_named_by_row_and_column_and_left_alone(ledger, column, value):
    write_rows(ledger.path, {**RIGHT, "time": "2026-11-19T00:00:00Z", "reference": "6"}, {**RIGHT, column: value})
    content = ledger.path.read_bytes()
    with pytest.raises(UserError) as refusal:
        ledger.intend(INTENTION)
    row = 4 if "\n" in value else 3
    assert f"{ledger.path}, row {row}, column {column}" in str(refusal.value)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < len(str(ledger.path)) + 200
    assert ledger.path.read_bytes() == content


@pytest.mark.parametrize("column", ["time", "reference"])
def test_what_must_be_unique_is_named_where_it_is_not(ledger, column):
    other = {**RIGHT, "time": "2026-11-19T00:00:00Z", "reference": "6"}
    write_rows(ledger.path, RIGHT, {**other, column: RIGHT[column]})
    with pytest.raises(UserError, match=f"row 3, column {column}"):
        ledger.lines()


@pytest.mark.parametrize(
    "content",
    [
        b"a;b\n",
        ",".join(COLUMNS).encode() + b",time\n",
        ",".join(COLUMNS).encode() + b"\n1,2\n",
        ",".join(COLUMNS).encode() + b'\n2026-11-20T09:57:05Z,c,"f',
        b"\xff\xfe",
        b"x" * (1 << 25),
    ],
    ids=["no column", "a column twice", "two cells", "an open quote", "not text", "too large"],
)
def test_a_damaged_ledger_is_named_and_left_alone(ledger, content):
    ledger.path.write_bytes(content)
    with pytest.raises(UserError, match=r"ledger\.csv") as refusal:
        ledger.intend(INTENTION)
    assert len(str(refusal.value)) < 400
    assert ledger.path.read_bytes() == content


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes among its files")
def test_a_pipe_in_the_ledger_s_place_is_not_waited_for(ledger):
    os.mkfifo(ledger.path)
    with pytest.raises(UserError, match=r"ledger\.csv"):
        ledger.lines()


@pytest.mark.skipif(os.name == "nt", reason="on Windows links need a privilege")
def test_a_linked_ledger_is_followed_and_the_link_stays(tmp_path):
    (tmp_path / "kept").mkdir()
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        (folder / "ledger.csv").symlink_to(tmp_path / "kept" / "ledger.csv")
    first, second = (Ledger(folder) for folder in folders)
    first.intend(INTENTION)
    second.intend(INTENTION)
    assert first.path.is_symlink()
    assert second.path.is_symlink()
    assert len(Ledger(tmp_path / "kept").lines()) == 2
    with first.sending("digit-recognizer"):  # one lock for both, beside the file
        assert (tmp_path / "kept" / ".digit-recognizer.lock").exists()


def test_a_reference_belongs_to_one_line(ledger):
    first, second = ledger.intend(INTENTION), ledger.intend(INTENTION)
    ledger.update(first, reference=7, status="pending")
    with pytest.raises(Failure, match="7"):
        ledger.update(second, reference=7, status="pending")
    assert [line.reference for line in ledger.lines()] == [7, None]


def test_a_line_that_someone_deleted_is_missed(ledger):
    line = ledger.intend(INTENTION)
    ledger.path.unlink()
    with pytest.raises(UserError, match=line.time):
        ledger.update(line, status="not sent")


def test_a_full_disk_leaves_the_ledger_as_it_was(ledger):
    resource = pytest.importorskip("resource", reason="limits the size of files as POSIX can")
    ledger.intend(INTENTION)
    before = ledger.path.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limit[1]))
    try:
        with pytest.raises(Failure, match=r"ledger\.csv"):
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
