import datetime
import email.utils
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import types

import kaggle_stand_in as kaggle
import pytest
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


def fetch(folder: pathlib.Path, patience: Retries = QUICK) -> pathlib.Path:
    return kaggle_client.download(NAME, folder, patience)


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
    told = capsys.readouterr()
    assert "501k/501k" in told.err
    assert not told.out


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
    assert capsys.readouterr().out == f"{tmp_path / 'data' / NAME / NAME}.zip: whole, 0.5 MB\n"
    assert download.main(["digit-recognise", "--data-dir", str(tmp_path)]) == 2
    assert "Did you mean digit-recognizer?" in capsys.readouterr().err


def test_in_a_kaggle_notebook_there_is_nothing_to_download(stand_in, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(kaggle_files, "KAGGLE_INPUT", tmp_path / "input")
    (tmp_path / "input" / NAME).mkdir(parents=True)
    (tmp_path / "input" / NAME / "train.csv").write_text("label\n")
    assert download.main([NAME, "--data-dir", str(tmp_path / "data")]) == 0
    assert capsys.readouterr().out.endswith("Kaggle's own copy; there is nothing to download\n")
    assert not stand_in.requests


# Faults that pass: what happens to the first requests for the file, and the ranges that are asked for in the end.
PASSING = {
    "broken off once": ([kaggle.truncates(200_000)], ["bytes=196608-"]),
    "broken off again and again": ([kaggle.truncates(200_000)] * 3, ["bytes=196608-", "bytes=393216-"]),
    "an error page on going on": (
        [kaggle.truncates(200_000), lambda handler, act: handler.reply(act()), kaggle.answers(503)],
        ["bytes=196608-", "bytes=196608-"],
    ),
    "a log-in page on going on": (
        [kaggle.truncates(200_000), lambda handler, act: handler.reply(act()), kaggle.web_page(403)],
        ["bytes=196608-", "bytes=196608-"],
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
        ["bytes=196608-"],
    ),
    "nothing left on going on": (
        [
            kaggle.truncates(200_000),
            lambda handler, act: handler.reply(act()),
            kaggle.answers(416),
        ],
        ["bytes=196608-"],
    ),
}


@pytest.mark.parametrize(("faults", "ranges"), PASSING.values(), ids=PASSING)
def test_faults_that_pass(stand_in, folder, faults, ranges):
    stand_in.fault("GET", *faults)
    fetch(folder)
    assert is_whole(folder, stand_in)
    assert [one.headers["Range"] for one in stand_in.named("GET") if "Range" in one.headers] == ranges
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
        "accept its rules at https://www.kaggle.com/competitions/digit-recognizer/rules",
    ),
    "no such competition": ("DownloadDataFiles", kaggle.answers(404), UserError, "Kaggle does not find"),
    "refused": ("DownloadDataFiles", kaggle.answers(400, "bad"), UserError, "Kaggle refuses (400, it says: bad)"),
    "server error": ("DownloadDataFiles", kaggle.answers(502), Failure, "Kaggle's server fails (502"),
    "rate limit": ("DownloadDataFiles", kaggle.answers(429, **{"Retry-After": "3600"}), Failure, "in 60 minutes"),
    "dropped": ("DownloadDataFiles", kaggle.drops, Failure, "the connection to localhost breaks again and again"),
    "not Kaggle": ("DownloadDataFiles", kaggle.web_page(), Failure, "is no whole zip: a web page"),
    "storage error": ("GET", kaggle.answers(500), Failure, "Kaggle's storage, storage.test, refuses (500"),
    "broken off at once": ("GET", kaggle.truncates(1000), Failure, "the connection to storage.test breaks again"),
    "log-in page": ("GET", kaggle.web_page(), Failure, "is there a log-in page of this network in the way?"),
    "damaged": (
        "GET",
        kaggle.changes(lambda one: kaggle.Answer(200, one.body[:-50], {})),
        Failure,
        "bytes, File is not a zip file",
    ),
}


@pytest.mark.parametrize(("call", "fault", "kind", "words"), LASTING.values(), ids=LASTING)
def test_faults_that_last_leave_no_bundle_and_say_what_to_do(stand_in, folder, call, fault, kind, words):
    stand_in.fault(call, *[fault] * 30)
    with pytest.raises(kind) as refusal:
        fetch(folder)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert kaggle.TOKEN not in str(refusal.value)
    assert kaggle.SIGNATURE not in str(refusal.value)
    assert not (folder / f"{NAME}.zip").exists()


def test_what_failed_is_gone_on_with_later(stand_in, folder):
    stand_in.fault("GET", kaggle.truncates(300_000), *[kaggle.answers(503)] * 9)
    with pytest.raises(Failure):
        fetch(folder)
    stand_in.faults.clear()
    fetch(folder)
    assert is_whole(folder, stand_in)
    assert stand_in.named("GET")[-1].headers["Range"] == "bytes=262144-"


def test_no_network(stand_in, folder, monkeypatch):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(Failure, match="the proxy in the way to localhost does not let through; check https_proxy"):
        fetch(folder)


def test_no_room_on_the_disk(stand_in, folder, monkeypatch):
    monkeypatch.setattr(official.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=100_000))
    with pytest.raises(UserError, match=r"has 0 MB free and the download needs 1 MB more; make room"):
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
    assert capsys.readouterr().err == (
        "error: no Kaggle credentials: make a token at https://www.kaggle.com/settings/api and save it as "
        "~/.kaggle/access_token or in KAGGLE_API_TOKEN.\n"
    )
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
    assert bundle.damage(path) == "test.csv is damaged"
