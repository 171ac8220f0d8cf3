import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time
import types

import kaggle_stand_in as kaggle
import pytest
import requests
from submit_scene import QUICK, REPOSITORY

from kit import kaggle_client
from kit.errors import Failure, UserError
from kit.kaggle_client import AnswerLost, Kaggle, Limits, Retries, answers, guard

NAME = "digit-recognizer"


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    with kaggle.KaggleStandIn() as server:
        kaggle.lead(monkeypatch, server, tmp_path / "home")
        yield server
    assert not server.escapes


@pytest.fixture
def csv(tmp_path) -> pathlib.Path:
    path = tmp_path / "x.csv"
    path.write_text("ImageId,Label\n1,7\n")
    return path


def test_the_official_command_line_finds_the_stand_in_good(stand_in, csv, tmp_path):
    """The stand-in speaks the protocol: the unmodified command line lists, downloads, submits and reads the score."""
    (tmp_path / "home").mkdir()

    def run(*arguments: str) -> str:
        environment = {**os.environ, "KAGGLE_API_TOKEN": "", "KAGGLE_USERNAME": kaggle.USER, "KAGGLE_KEY": kaggle.KEY}
        call = [sys.executable, "-c", "from kaggle.cli import main; main()", "competitions", *arguments]
        return subprocess.run(call, env=environment, capture_output=True, text=True, check=True).stdout

    stand_in.polls = 0
    assert "train.csv" in run("files", NAME)
    run("download", NAME, "-p", str(tmp_path))
    assert (tmp_path / f"{NAME}.zip").read_bytes() == stand_in.bundles[NAME]
    assert "Successfully submitted" in run("submit", NAME, "-f", str(csv), "-m", "by the command line")
    assert "0.99400" in run("submissions", NAME)


def test_submitting_and_reading_the_score(stand_in, csv):
    client = Kaggle(QUICK)
    reference = client.create(client.upload(csv, NAME), 'ünïcode, "quotes"', NAME)
    (pending,) = client.submissions(NAME)
    (complete,) = client.submissions(NAME)
    assert (pending.reference, pending.file_name, pending.message) == (reference, "x.csv", 'ünïcode, "quotes"')
    assert (pending.status, pending.public_score) == ("pending", None)
    assert (complete.status, complete.public_score, complete.size) == ("complete", 0.994, csv.stat().st_size)
    assert complete.time.utcoffset().total_seconds() == 0
    assert stand_in.contents[reference] == csv.read_bytes()
    assert [one.name for one in stand_in.requests][:3] == ["StartSubmissionUpload", "PUT", "CreateSubmission"]


def test_an_error_comes_with_kaggle_s_reason(stand_in, csv):
    stand_in.polls, stand_in.score = 0, lambda content: "Submission must have\n 28000 rows"
    send(stand_in, csv)
    (one,) = Kaggle(QUICK).submissions(NAME)
    assert (one.status, one.public_score, one.reason) == ("error", None, "Submission must have 28000 rows")


@pytest.mark.parametrize("most", [20, 100], ids=["20 a page", "100 a page"])
def test_every_page_of_submissions_is_read(stand_in, most):
    stand_in.page = most
    for number in range(230):
        stand_in.add(NAME, f"{number}.csv", "", b"")
    listed = Kaggle(QUICK).submissions(NAME)
    assert [one.file_name for one in listed] == [f"{number}.csv" for number in reversed(range(230))]


def test_pages_that_repeat_come_to_an_end(stand_in):
    for number in range(30):
        stand_in.add(NAME, f"{number}.csv", "", b"")
    stand_in.page = 0
    assert len(Kaggle(QUICK).submissions(NAME)) == 30
    assert len(stand_in.requests) == 2


def test_limits(stand_in):
    stand_in.limits = kaggle.limits(left=2)
    assert Kaggle(QUICK).limits(NAME) == Limits(today=3, left=2)
    stand_in.limits = None
    assert Kaggle(QUICK).limits(NAME) is None


@pytest.mark.parametrize(
    "form", ["token", "token file", "key", "kaggle.json", "colab", "oauth"], ids=lambda form: form.replace(" ", "-")
)
def test_every_form_of_credentials_is_accepted(stand_in, tmp_path, monkeypatch, form):
    folder = tmp_path / "home" / ".kaggle"
    folder.mkdir(parents=True)
    if form != "token":
        monkeypatch.delenv("KAGGLE_API_TOKEN")
    if form == "token file":
        (folder / "access_token").write_text(kaggle.TOKEN)
    elif form == "key":
        monkeypatch.setenv("KAGGLE_USERNAME", kaggle.USER)
        monkeypatch.setenv("KAGGLE_KEY", kaggle.KEY)
    elif form == "kaggle.json":
        (folder / "kaggle.json").write_text(json.dumps({"username": kaggle.USER, "key": kaggle.KEY}))
    elif form == "colab":
        module = types.ModuleType("google.colab")
        module.userdata = types.SimpleNamespace(get={"KAGGLE_API_TOKEN": kaggle.TOKEN}.get)
        monkeypatch.setitem(sys.modules, "google.colab", module)
    elif form == "oauth":
        (folder / "credentials.json").write_text('{"refresh_token": "refresh", "username": "someone"}')
        token = {"token": kaggle.TOKEN, "expiresIn": 3600}
        stand_in.fault(
            "GenerateAccessToken", lambda handler, act: handler.reply(kaggle.Answer(body=json.dumps(token).encode()))
        )
    assert Kaggle(QUICK).submissions(NAME) == []


def test_a_rejected_token_makes_way_for_a_good_key(stand_in, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "stale")
    monkeypatch.setenv("KAGGLE_USERNAME", kaggle.USER)
    monkeypatch.setenv("KAGGLE_KEY", kaggle.KEY)
    assert Kaggle(QUICK).submissions(NAME) == []
    shown = capsys.readouterr().err
    assert "KAGGLE_API_TOKEN" in shown
    assert "KAGGLE_USERNAME" in shown
    assert "stale" not in shown


def test_wrong_credentials_are_named_by_their_place(stand_in, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "stale-secret")
    with pytest.raises(UserError) as refusal:
        Kaggle(QUICK).submissions(NAME)
    assert "credentials in KAGGLE_API_TOKEN" in str(refusal.value)
    assert "Unauthenticated" in str(refusal.value)
    assert "https://www.kaggle.com/settings/api" in str(refusal.value)
    assert "stale-secret" not in str(refusal.value)
    assert len(stand_in.requests) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_readable_kaggle_json_is_warned_of_when_it_is_used(stand_in, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    path = tmp_path / "home" / ".kaggle" / "kaggle.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"username": kaggle.USER, "key": kaggle.KEY}))
    path.chmod(0o644)
    Kaggle(QUICK)
    assert f"note: {path} can be read by other users: `chmod 600 {path}`." in capsys.readouterr().err


def send(stand_in, csv, retries: Retries = QUICK) -> int:
    client = Kaggle(retries)
    return client.create(client.upload(csv, NAME), "m", NAME)


# The upload may be repeated. Faults, all of which pass.
UPLOADS = {
    "start answers 500": ("StartSubmissionUpload", [kaggle.answers(500)] * 2),
    "start answers 429": ("StartSubmissionUpload", [kaggle.answers(429, **{"Retry-After": "0"})]),
    "start is dropped": ("StartSubmissionUpload", [kaggle.drops]),
    "start drips": ("StartSubmissionUpload", [kaggle.drips(3)]),
    "storage answers 503": ("PUT", [kaggle.answers(503)] * 2),
    "storage answers 403": ("PUT", [kaggle.answers(403)]),
    "upload is dropped": ("PUT", [kaggle.drops]),
    "upload is taken and the answer lost": ("PUT", [kaggle.acts_and_drops]),
}


@pytest.mark.parametrize(("call", "faults"), UPLOADS.values(), ids=UPLOADS)
def test_faults_of_the_upload_are_repeated(stand_in, csv, call, faults):
    stand_in.fault(call, *faults)
    assert send(stand_in, csv, dataclasses.replace(QUICK, call=0.5)) == stand_in.submissions[0]["ref"]
    assert len(stand_in.submissions) == 1
    assert len(stand_in.named(call)) == len(faults) + 1


# The submission is never repeated by the connection. What is answered, and whether it was refused, or may be late.
ANSWERS = {
    "dropped": (kaggle.drops, False, False),
    "done and dropped": (kaggle.acts_and_drops, False, False),
    "500": (kaggle.answers(500), False, False),
    "done and 502": (kaggle.acts_and_answers(502), False, False),
    "429": (kaggle.answers(429), False, False),
    "done and 429": (kaggle.acts_and_answers(429), False, False),
    "done and 408": (kaggle.acts_and_answers(408), False, True),
    "504": (kaggle.answers(504), False, True),
    "hangs": (kaggle.hangs(1), False, True),
    "drips": (kaggle.drips(2), False, True),
    "400": (kaggle.answers(400), True, False),
    "401": (kaggle.answers(401), True, False),
    "403": (kaggle.answers(403), True, False),
    "400 in a good answer": (kaggle.replies({"code": 400, "message": "no"}), True, False),
    "400 in a good answer without a message": (kaggle.replies({"code": 400}), True, False),
    "web page": (kaggle.web_page(), False, False),
    "no reference": (kaggle.replies({"message": "Could not submit"}), False, False),
    "reference null": (kaggle.replies({"ref": None}), False, False),
    "reference in letters": (kaggle.replies({"ref": "x"}), False, False),
    "a list": (kaggle.replies([1]), False, False),
    "half an answer": (kaggle.changes(lambda one: kaggle.Answer(body=one.body[:-5])), False, False),
}


@pytest.mark.parametrize(("fault", "refused", "late"), ANSWERS.values(), ids=ANSWERS)
def test_a_submission_is_never_repeated_whatever_the_answer(stand_in, csv, monkeypatch, fault, refused, late):
    monkeypatch.setenv("KAGGLE_USERNAME", kaggle.USER)
    monkeypatch.setenv("KAGGLE_KEY", kaggle.KEY)
    stand_in.fault("CreateSubmission", fault)
    with pytest.raises(AnswerLost) as lost:
        send(stand_in, csv, dataclasses.replace(QUICK, read=0.3, call=0.6))
    assert len(stand_in.named("CreateSubmission")) == 1
    assert (lost.value.refused, lost.value.late) == (refused, late)


def test_a_submission_that_never_left_is_not_lost(stand_in, csv, monkeypatch):
    client = Kaggle(QUICK)
    token = client.upload(csv, NAME)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(Failure) as failure:
        client.create(token, "m", NAME)
    assert not isinstance(failure.value, AnswerLost)


@pytest.mark.parametrize("fault", [kaggle.answers(503), kaggle.drops], ids=["503", "dropped"])
def test_an_upload_that_fails_silently_in_the_client_fails_here(stand_in, csv, fault):
    stand_in.fault("PUT", *[fault] * 20)
    with pytest.raises(Failure, match=r"storage\.test"):
        send(stand_in, csv)
    assert not stand_in.submissions
    assert len(stand_in.named("PUT")) == len(QUICK.pauses) + 1


def test_secrets_that_kaggle_repeats_are_not_shown(stand_in, csv):
    stand_in.fault("CreateSubmission", kaggle.answers(400, f"no {kaggle.TOKEN} https://x.test/a?s={kaggle.SIGNATURE}"))
    with pytest.raises(AnswerLost, match=r"no \*\*\* https://x\.test/a\?…") as lost:
        send(stand_in, csv)
    assert isinstance(lost.value.explained, UserError)
    for text in (str(lost.value), str(lost.value.explained)):
        assert kaggle.TOKEN not in text
        assert kaggle.SIGNATURE not in text


def test_a_hanging_call_ends_and_is_repeated(stand_in):
    stand_in.fault("ListSubmissions", kaggle.hangs(2))
    assert Kaggle(Retries(pauses=(0.01,), read=0.3)).submissions(NAME) == []


def test_a_dripping_answer_ends_and_is_repeated(stand_in):
    stand_in.fault("ListSubmissions", kaggle.drips(3))
    before = time.monotonic()
    assert Kaggle(dataclasses.replace(QUICK, call=0.5)).submissions(NAME) == []
    assert time.monotonic() - before < 2.5


def test_an_answer_that_drips_for_good_is_given_up(stand_in):
    stand_in.fault("ListSubmissions", *[kaggle.drips(3)] * 9)
    with pytest.raises(Failure, match="too slowly"):
        Kaggle(dataclasses.replace(QUICK, call=0.2)).submissions(NAME)
    assert len(stand_in.named("ListSubmissions")) == QUICK.unreachable + 1


def test_what_was_given_up_sends_nothing_more(stand_in, csv):
    """A thread that waits for a dripping answer may go on later; a submission that it would send then is refused."""
    stand_in.fault("StartSubmissionUpload", kaggle.drips(0.5, ends=True))
    with pytest.raises(Failure):
        send(stand_in, csv, Retries(pauses=(), call=0.2))
    time.sleep(0.6)
    assert [one.name for one in stand_in.requests] == ["StartSubmissionUpload"]


def test_a_web_page_may_pass_and_is_named(stand_in):
    stand_in.fault("ListSubmissions", *[kaggle.web_page()] * 9)
    with pytest.raises(Failure, match="log-in page"):
        Kaggle(QUICK).submissions(NAME)
    assert len(stand_in.named("ListSubmissions")) == len(QUICK.pauses) + 1


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        ({"submissions": 3}, "submissions"),
        ({"submissions": None}, "submissions"),
        ({"submissions": [None]}, "submissions.0"),
        ({"submissions": [{"ref": None}]}, "submissions.0.ref"),
        ({"submissions": [{"ref": "text"}]}, "submissions.0.ref"),
        ({"submissions": [{"ref": True}]}, "submissions.0.ref"),
        ({"submissions": [{"status": "COMPLETE"}]}, "submissions.0.ref"),
        ({"submissions": [{"ref": 1, "fileName": ["a"]}]}, "submissions.0.fileName"),
        ({"submissions": [{"ref": 1, "status": "LOST"}]}, "submissions.0.status"),
        ({"submissions": [{"ref": 1, "status": ["COMPLETE"]}]}, "submissions.0.status"),
        ({"submissions": [{"ref": 1, "publicScore": "nan"}]}, "submissions.0.publicScore"),
        ({"submissions": [{"ref": 1, "publicScore": {}}]}, "submissions.0.publicScore"),
        ({"submissions": [{"ref": 1, "date": "yesterday"}]}, "submissions.0.date"),
        ({"code": "text"}, "code"),
        ([], ""),
        ("text", ""),
        (None, ""),
    ],
    ids=str,
)
def test_an_answer_that_does_not_fit_names_call_and_field_and_stops(stand_in, answer, field):
    stand_in.fault("ListSubmissions", *[kaggle.replies(answer)] * 9)
    with pytest.raises(Failure) as failure:
        Kaggle(QUICK).submissions(NAME)
    assert "ListSubmissions" in str(failure.value)
    assert f"({field}" in str(failure.value)
    assert len(stand_in.named("ListSubmissions")) == 1


def test_control_characters_of_kaggle_s_do_not_enter(stand_in):
    ugly = "a\x1b[2J\u202eb\r\nc"
    one = {"ref": "7", "fileName": ugly, "description": ugly, "errorDescription": ugly, "status": "ERROR"}
    stand_in.fault("ListSubmissions", kaggle.replies({"submissions": [one]}), kaggle.answers(400, ugly))
    client = Kaggle(QUICK)
    (listed,) = client.submissions(NAME)
    with pytest.raises(UserError) as refusal:
        client.submissions(NAME)
    for text in (listed.file_name, listed.message, listed.reason, str(refusal.value)):
        assert "a" in text
        assert text.isprintable()
    assert listed.reference == 7


@pytest.mark.parametrize(
    "asked", ["9" * 400, "-1", "1e9", "Mon, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999", "x\xff"]
)
def test_absurd_pauses_are_not_kept(stand_in, asked):
    stand_in.fault("ListSubmissions", *[kaggle.answers(429, **{"Retry-After": asked})] * 9)
    with pytest.raises(Failure, match="429") as failure:
        Kaggle(QUICK).submissions(NAME)
    assert len(str(failure.value)) < 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REQUESTS_CA_BUNDLE", "nowhere.pem"),
        ("REQUESTS_CA_BUNDLE", __file__),
        ("http_proxy", "http://someone:s3cret@proxy.test:99999"),
        ("http_proxy", "http://someone:s3cret@proxy.test:port"),
        ("http_proxy", "socks5://someone:s3cret@127.0.0.1:9"),
        ("http_proxy", "ftp://someone:s3cret@127.0.0.1:9"),
        ("http_proxy", "http://"),
    ],
)
def test_wrong_settings_of_the_network_are_named_at_once(stand_in, monkeypatch, name, value):
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=name) as refusal:
        Kaggle(QUICK)
    assert "s3cret" not in str(refusal.value)


def test_nothing_of_the_client_is_on_stdout_and_no_secret_anywhere(stand_in, csv, monkeypatch, capfd, caplog):
    monkeypatch.setenv("VERBOSE", "true")
    caplog.set_level("DEBUG")
    stand_in.fault("PUT", kaggle.drops, kaggle.answers(503))
    client = Kaggle(QUICK)
    client.create(client.upload(csv, NAME), "m", NAME)
    client.submissions(NAME)
    shown = capfd.readouterr()
    assert shown.out == ""
    for text in (shown.err, caplog.text, repr(client.__dict__), repr(vars(client.client))):
        assert kaggle.TOKEN not in text
        assert "Authorization" not in text


def test_importing_the_client_has_no_side_effects(stand_in, tmp_path):
    """Not even with 2.0, which ends the process; and a later `import kaggle` is as if the kit had not been there."""
    home = tmp_path / "home"
    home.mkdir()
    script = """
import os, sys
before = dict(os.environ)
from kit.kaggle_client import official
official.client_class()
assert dict(os.environ) == before
assert "kaggle" not in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "VERBOSE": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert not list(home.iterdir())
    assert not stand_in.requests


def test_only_the_tests_stand_in_may_take_kaggle_s_place(monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "t")
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "STAGING")
    with pytest.raises(UserError, match="KAGGLE_API_ENVIRONMENT is 'STAGING', which is not Kaggle; unset it"):
        Kaggle(QUICK)


class Wire:
    """In the place of `requests`' adapter: keeps what would have been sent."""

    def __init__(self):
        self.sent = []

    def __call__(self, adapter, request, **options):
        self.sent.append((request.url, request.headers.get("Authorization"), options["timeout"]))
        answer = requests.Response()
        answer.status_code = 200
        return answer


@pytest.mark.parametrize(
    ("url", "authorization"),
    [
        ("https://api.kaggle.com/v1/x", "Bearer mine"),
        ("https://www.kaggle.com/api/v1/x", "Bearer mine"),
        ("https://storage.googleapis.com/kaggle-competitions-data/x.zip?signed", None),
        ("https://www.googleapis.com/upload/storage/v1/b/x", None),
    ],
)
def test_where_the_guard_lets_requests_go(url, authorization):
    wire, own = Wire(), guard.Guard(Retries(connect=3, read=4), local=False)
    own.authorization = "Bearer mine"
    request = requests.Request("GET", url, headers={"Authorization": "Bearer other"}).prepare()
    own.send(guard.Watch(own), requests.adapters.HTTPAdapter(), wire, request, {})
    assert wire.sent == [(url, authorization, (3, 4))]


@pytest.mark.parametrize(
    "url",
    [
        "http://api.kaggle.com/v1/x",
        "https://api.kaggle.com.example.org/v1/x",
        "https://notkaggle.com/v1/x",
        "https://example.org/upload",
        "http://storage.googleapis.com/x",
        "http://localhost/api/v1/x",
    ],
)
def test_where_the_guard_lets_nothing_go(url):
    wire, own = Wire(), guard.Guard(QUICK, local=False)
    own.authorization, watch = "Bearer mine", guard.Watch(own)
    request = requests.Request("PUT", url, data=b"x").prepare()
    with pytest.raises(guard.Misdirected):
        own.send(watch, requests.adapters.HTTPAdapter(), wire, request, {})
    assert not wire.sent
    explained = answers.explanation(watch.calls[-1], None, NAME, [])
    assert isinstance(explained, Failure)
    assert url.split("/")[2] in str(explained)


def test_requests_of_others_pass_the_guard_untouched(stand_in):
    Kaggle(QUICK).submissions(NAME)
    answer = requests.post("http://localhost/api/v1/others", headers={"Authorization": "Bearer theirs"}, timeout=5)
    assert answer.status_code == 401
    assert stand_in.requests[-1].headers["Authorization"] == "Bearer theirs"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"error": {"code": 403, "message": "Accept\\n the rules."}}', "Accept the rules"),
        ('{"code": 403, "message": "Accept the rules"}', "Accept the rules"),
        ('{"error": "Accept the rules"}', "Accept the rules"),
        ("Accept the rules", "Accept the rules"),
        ("<html>Forbidden</html>", ""),
        ("", ""),
        ("[1]", "[1]"),
        ("[" * 100_000, "[" * 300),
    ],
)
def test_kaggle_s_message_in_every_wrapping(text, message):
    assert answers.kaggles_message(text) == message


def test_download_is_what_the_loaders_call(stand_in, tmp_path):
    with contextlib.chdir(tmp_path):
        path = kaggle_client.download(NAME, pathlib.Path("data") / NAME)
    assert path == pathlib.Path("data") / NAME / f"{NAME}.zip"
