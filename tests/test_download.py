import datetime
import email.utils
import io
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import types
import zipfile

import kaggle_stand_in as kaggle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from submit_scene import QUICK, REPOSITORY

from kit import download, kaggle_client
from kit.errors import Failure, UserError
from kit.kaggle_client import Retries, bundle, connection, official
from kit.loaders import kaggle_files

NAME = "digit-recognizer"
kills = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
CHILD = f"""
import pathlib, sys
from kit.kaggle_client import Retries, download
print(download({NAME!r}, pathlib.Path(sys.argv[1]), {QUICK!r}))
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    with kaggle.KaggleStandIn() as server:
        kaggle.lead(monkeypatch, server, tmp_path / "home")
        yield server
    assert not server.escapes


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    return tmp_path / "data" / NAME


def fetch(folder: pathlib.Path, retries: Retries = QUICK) -> pathlib.Path:
    return kaggle_client.download(NAME, folder, retries)


def is_whole(folder: pathlib.Path, stand_in) -> bool:
    """Whether the bundle, and nothing else but the lock, is there."""
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return (
        there == {f"{NAME}.zip", os.path.join(".download", "lock")}
        and (folder / f"{NAME}.zip").read_bytes() == stand_in.bundles[NAME]
    )


def test_a_bundle_arrives_whole(stand_in, folder, capsys):
    assert fetch(folder) == folder / f"{NAME}.zip"
    assert is_whole(folder, stand_in)
    shown = capsys.readouterr()
    assert "501k/501k" in shown.err
    assert not shown.out


def test_a_bundle_that_is_whole_is_not_fetched_again(stand_in, folder):
    fetch(folder)
    stand_in.requests.clear()
    fetch(folder)
    assert not stand_in.requests


def test_a_damaged_bundle_is_replaced(stand_in, folder):
    folder.mkdir(parents=True)
    (folder / f"{NAME}.zip").write_bytes(stand_in.bundles[NAME][:-1000])
    fetch(folder)
    assert is_whole(folder, stand_in)


def test_credentials_go_to_kaggle_and_not_to_its_storage(stand_in, folder):
    fetch(folder)
    assert {(one.host, one.headers.get("Authorization")) for one in stand_in.requests} == {
        ("localhost", f"Bearer {kaggle.TOKEN}"),
        ("storage.test", None),
    }


def test_the_command(stand_in, tmp_path, capsys):
    assert download.main([NAME, "--data-dir", str(tmp_path / "data")]) == 0
    assert f"{tmp_path / 'data' / NAME / NAME}.zip" in capsys.readouterr().out
    assert download.main(["digit-recognise", "--data-dir", str(tmp_path)]) == 2
    assert "Did you mean digit-recognizer?" in capsys.readouterr().err


def test_in_a_kaggle_notebook_there_is_nothing_to_download(stand_in, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(kaggle_files, "KAGGLE_INPUT", tmp_path / "input")
    (tmp_path / "input" / NAME).mkdir(parents=True)
    (tmp_path / "input" / NAME / "train.csv").write_text("label\n")
    assert download.main([NAME, "--data-dir", str(tmp_path / "data")]) == 0
    assert str(tmp_path / "input" / NAME) in capsys.readouterr().out
    assert not stand_in.requests


def asked_from(stand_in) -> list[int]:
    """The bytes from which downloads went on, in whole parts: urllib3 1.26 hands over what is left of a part too."""
    ranges = [one.headers["Range"] for one in stand_in.named("GET") if "Range" in one.headers]
    return [int(one.removeprefix("bytes=").removesuffix("-")) // (1 << 16) * (1 << 16) for one in ranges]


# Faults that pass: what happens to the first requests for the file, and the ranges that are asked for in the end.
PASSING = {
    "broken off once": ([kaggle.truncates(200_000)], [196_608]),
    "broken off again and again": ([kaggle.truncates(200_000)] * 3, [196_608, 393_216]),
    "an error page on going on": (
        [kaggle.truncates(200_000), lambda handler, act: handler.reply(act()), kaggle.answers(503)],
        [196_608, 196_608],
    ),
    "a log-in page on going on": (
        [kaggle.truncates(200_000), lambda handler, act: handler.reply(act()), kaggle.web_page(403)],
        [196_608, 196_608],
    ),
    "connection dropped": ([kaggle.drops], []),
    "storage answers 503": ([kaggle.answers(503)], []),
    "a signed URL that ran out": ([kaggle.answers(403)], []),
    "a log-in page once": ([kaggle.web_page()], []),
    "damaged on the way": (
        [kaggle.changes(lambda one: kaggle.Answer(200, b"x" * len(one.body), one.headers))],
        [],
    ),
    "the wrong part on going on": (
        [
            kaggle.truncates(200_000),
            lambda handler, act: handler.reply(act()),
            kaggle.changes(lambda one: kaggle.Answer(206, one.body[::-1], one.headers)),
        ],
        [196_608],
    ),
    "nothing left on going on": (
        [
            kaggle.truncates(200_000),
            lambda handler, act: handler.reply(act()),
            kaggle.answers(416),
        ],
        [196_608],
    ),
}


@pytest.mark.parametrize(("faults", "ranges"), PASSING.values(), ids=PASSING)
def test_faults_that_pass(stand_in, folder, faults, ranges):
    stand_in.fault("GET", *faults)
    fetch(folder)
    assert is_whole(folder, stand_in)
    assert asked_from(stand_in) == ranges
    assert not stand_in.faults["GET"]


@pytest.mark.parametrize(
    "faults",
    [[kaggle.answers(500)] * 2, [kaggle.answers(429, **{"Retry-After": "0"})], [kaggle.drops] * 2, [kaggle.web_page()]],
    ids=["500", "429", "dropped", "web page"],
)
def test_faults_of_the_api_that_pass(stand_in, folder, faults):
    stand_in.fault("DownloadDataFiles", *faults)
    fetch(folder)
    assert is_whole(folder, stand_in)


def test_retry_after_is_kept(stand_in, folder, monkeypatch):
    pauses = []
    monkeypatch.setattr(connection.time, "sleep", pauses.append)
    date = email.utils.format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=50), True)
    for asked in ("30", date):
        stand_in.fault("DownloadDataFiles", kaggle.answers(429, **{"Retry-After": asked}))
    fetch(folder, Retries(pauses=(0.01, 0.01), longest=60))
    assert pauses[0] == 30
    assert 40 < pauses[1] <= 50


def test_a_storage_that_hangs_is_asked_again(stand_in, folder):
    stand_in.fault("GET", kaggle.hangs(5))
    fetch(folder, Retries(pauses=(0.01,), read=0.3))
    assert is_whole(folder, stand_in)


def test_a_bundle_that_changed_in_between_is_begun_anew(stand_in, folder):
    stand_in.fault("GET", kaggle.truncates(200_000), kaggle.drops)
    with pytest.raises(Failure):
        fetch(folder, Retries(pauses=()))
    stand_in.bundles[NAME] = kaggle.bundle(rows=30)
    stand_in.etag = '"second"'
    fetch(folder)
    assert is_whole(folder, stand_in)


# Faults that last: which call fails how, and what the person reads.
LASTING = {
    "not joined": (
        "DownloadDataFiles",
        kaggle.answers(403, "You must accept this competition's rules"),
        UserError,
        "https://www.kaggle.com/competitions/digit-recognizer/rules",
    ),
    "no such competition": ("DownloadDataFiles", kaggle.answers(404), UserError, NAME),
    "refused": ("DownloadDataFiles", kaggle.answers(400, "bad reason"), UserError, "bad reason"),
    "refused in a good answer": ("DownloadDataFiles", kaggle.replies({"code": 400}), UserError, "400"),
    "an answer that does not fit": ("DownloadDataFiles", kaggle.replies({"code": "x"}), Failure, "DownloadDataFiles"),
    "server error": ("DownloadDataFiles", kaggle.answers(502), Failure, "502"),
    "rate limit": ("DownloadDataFiles", kaggle.answers(429, **{"Retry-After": "3600"}), Failure, "in 60 minutes"),
    "dropped": ("DownloadDataFiles", kaggle.drops, Failure, "localhost"),
    "not Kaggle": ("DownloadDataFiles", kaggle.web_page(), Failure, "web page"),
    "storage error": ("GET", kaggle.answers(500), Failure, "storage.test"),
    "broken off at once": ("GET", kaggle.truncates(0), Failure, "storage.test"),
    "log-in page": ("GET", kaggle.web_page(), Failure, "log-in page"),
    "damaged": ("GET", kaggle.changes(lambda one: kaggle.Answer(200, one.body[:-50], {})), Failure, "whole zip"),
    "nothing": ("GET", kaggle.changes(lambda one: kaggle.Answer(200, b"", {})), Failure, "nothing arrived"),
    "a date that is none": (
        "GET",
        kaggle.changes(lambda one: kaggle.Answer(200, one.body, {"Last-Modified": "yesterday"})),
        Failure,
        "storage.test",
    ),
}


@pytest.mark.parametrize(("call", "fault", "kind", "text"), LASTING.values(), ids=LASTING)
def test_faults_that_last_leave_no_bundle_and_say_what_to_do(stand_in, folder, call, fault, kind, text):
    stand_in.fault(call, *[fault] * 30)
    with pytest.raises(kind) as refusal:
        fetch(folder)
    assert text in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert kaggle.TOKEN not in str(refusal.value)
    assert kaggle.SIGNATURE not in str(refusal.value)
    assert not (folder / f"{NAME}.zip").exists()


def test_a_download_that_drips_is_given_up_and_continued_later(stand_in, folder):
    """A byte now and then is no progress; what arrives after that is kept out of the half file."""
    stand_in.fault("GET", kaggle.truncates(200_000), kaggle.drips(0.6, ends=True), kaggle.drips(3))
    with pytest.raises(Failure, match=r"storage\.test"):
        fetch(folder, Retries(pauses=(0.01,), unreachable=0, call=0.2))
    time.sleep(0.7)
    stand_in.faults.clear()
    fetch(folder)
    assert is_whole(folder, stand_in)


def test_a_slow_download_that_makes_progress_is_waited_for(stand_in, folder):
    def slow(handler, act) -> None:
        body = act().body
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for start in range(0, len(body), 70_000):
            handler.wfile.write(body[start : start + 70_000])
            time.sleep(0.25)

    stand_in.fault("GET", slow)
    fetch(folder, Retries(pauses=(), call=1.2))
    assert is_whole(folder, stand_in)
    assert len(stand_in.named("GET")) == 1


def test_what_failed_is_gone_on_with_later(stand_in, folder):
    stand_in.fault("GET", kaggle.truncates(300_000), *[kaggle.answers(503)] * 9)
    with pytest.raises(Failure):
        fetch(folder)
    stand_in.faults.clear()
    fetch(folder)
    assert is_whole(folder, stand_in)
    assert asked_from(stand_in)[-1] == 262_144


def test_no_network(stand_in, folder, monkeypatch):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(Failure, match="https_proxy"):
        fetch(folder)


def test_no_room_on_the_disk(stand_in, folder, monkeypatch):
    monkeypatch.setattr(official.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=100_000))
    with pytest.raises(UserError, match="--data-dir"):
        fetch(folder)


def test_a_disk_that_fills_up_on_the_way(stand_in, folder):
    resource = pytest.importorskip("resource", reason="limits the size of files as POSIX can")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limit[1]))
    try:
        with pytest.raises(Failure, match="cannot be written"):
            fetch(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not (folder / f"{NAME}.zip").exists()
    fetch(folder)
    assert is_whole(folder, stand_in)


def test_no_credentials(stand_in, folder, monkeypatch, capsys):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert download.main([NAME, "--data-dir", str(folder.parent)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "https://www.kaggle.com/settings/api" in line
    assert not stand_in.requests


def start(folder: pathlib.Path, script: str = CHILD) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@kills
@pytest.mark.parametrize("size", [0, 70_000, 300_000, 500_000])
def test_killed_while_downloading(stand_in, folder, size):
    holder = []
    stand_in.fault("GET", kaggle.calls(lambda: (time.sleep(0.2), holder[0].kill()), size=size))
    holder.append(start(folder))
    holder[0].communicate()
    assert holder[0].returncode == -signal.SIGKILL
    assert not (folder / f"{NAME}.zip").exists()
    fetch(folder)
    assert is_whole(folder, stand_in)


@kills
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_moving_it_into_place(stand_in, folder, when):
    order = "die()" if when == "before" else "move(*paths); die()"
    script = f"""
import os, signal
move, die = os.replace, lambda: os.kill(os.getpid(), signal.SIGKILL)
def replace(*paths):
    {order}
os.replace = replace
{CHILD}"""
    child = start(folder, script)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert (folder / f"{NAME}.zip").exists() == (when == "after")
    stand_in.requests.clear()
    fetch(folder)
    assert is_whole(folder, stand_in)
    assert not stand_in.requests


def test_two_processes_at_once_download_once(stand_in, folder):
    begun, go_on = threading.Event(), threading.Event()
    stand_in.fault("GET", kaggle.calls(lambda: (begun.set(), go_on.wait(60))))
    first = start(folder)
    assert begun.wait(60)
    second = start(folder)
    assert "another process is downloading" in second.stderr.readline()
    go_on.set()
    for child in (first, second):
        child.communicate()
        assert child.returncode == 0
    assert len(stand_in.named("GET")) == 1
    assert is_whole(folder, stand_in)


def test_damage_is_found_in_every_member(tmp_path):
    content = bytearray(kaggle.bundle())
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    assert bundle.damage(path) is None
    content[300_000] ^= 1
    path.write_bytes(content)
    assert "test.csv" in bundle.damage(path)


def small_zip(method: int) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", method) as archive:
        archive.writestr("train.csv", b"label,pixel0\n" * 20)
        archive.writestr("test.csv", bytes(range(256)))
    return memory.getvalue()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_of_a_zip_is_found_and_raises_nothing(tmp_path, data):
    methods = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    content = bytearray(small_zip(data.draw(st.sampled_from(methods))))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "x.zip"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    wrong = bundle.damage(path)
    assert wrong is None or wrong.isprintable()
    if wrong is None:
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_a_bundle_compressed_otherwise_is_not_kaggle_s(tmp_path, method):
    path = tmp_path / "x.zip"
    path.write_bytes(small_zip(method))
    assert bundle.damage(path)
    path.write_bytes(small_zip(zipfile.ZIP_DEFLATED))
    assert bundle.damage(path) is None


def test_a_bundle_that_would_fill_the_memory_is_damaged(tmp_path, monkeypatch):
    path = tmp_path / "x.zip"
    path.write_bytes(kaggle.bundle())
    monkeypatch.setattr(bundle, "LARGEST", 1000)
    assert "would unpack" in bundle.damage(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes among its files")
@pytest.mark.parametrize("kind", ["pipe", "folder", "link to nowhere"])
def test_what_is_not_a_file_in_the_bundle_s_place_is_named(stand_in, folder, capsys, kind):
    path = folder / f"{NAME}.zip"
    folder.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    assert download.main([NAME, "--data-dir", str(folder.parent)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line
    assert not stand_in.requests


def test_a_data_folder_that_cannot_be_is_one_line(stand_in, capsys):
    assert download.main([NAME, "--data-dir", "x" * 300]) in (1, 2)
    assert len(capsys.readouterr().err.splitlines()) == 1
