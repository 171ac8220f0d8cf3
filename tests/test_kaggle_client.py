import contextlib
import json
import os
import pathlib
import subprocess
import sys
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

    def run(*words: str) -> str:
        environment = {**os.environ, "KAGGLE_API_TOKEN": "", "KAGGLE_USERNAME": kaggle.USER, "KAGGLE_KEY": kaggle.KEY}
        call = [sys.executable, "-c", "from kaggle.cli import main; main()", "competitions", *words]
        return subprocess.run(call, env=environment, capture_output=True, text=True, check=True).stdout

    stand_in.polls = 0
    assert "train.csv" in run("files", NAME)
    run("download", NAME, "-p", str(tmp_path))
    assert (tmp_path / f"{NAME}.zip").read_bytes() == stand_in.bundles[NAME]
    assert "Successfully submitted" in run("submit", NAME, "-f", str(csv), "-m", "by the command line")
    assert "0.99400" in run("submissions", NAME)


def test_submitting_and_reading_the_score(stand_in, csv):
    client = Kaggle(QUICK)
    reference = client.submit(csv, 'ünïcode, "quotes"', NAME)
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
    client = Kaggle(QUICK)
    client.submit(csv, "m", NAME)
    (one,) = client.submissions(NAME)
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
    told = capsys.readouterr().err
    assert "Kaggle rejects the credentials in KAGGLE_API_TOKEN; trying KAGGLE_USERNAME and KAGGLE_KEY." in told
    assert "stale" not in told


def test_wrong_credentials_are_named_by_their_place(stand_in, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "stale-secret")
    with pytest.raises(UserError) as refusal:
        Kaggle(QUICK).submissions(NAME)
    assert str(refusal.value).startswith("Kaggle rejects the credentials in KAGGLE_API_TOKEN, it says: Unauthenticated")
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


# The upload: what may be repeated, and what may not. Faults, and what comes of them.
UPLOADS = {
    "start answers 500": ("StartSubmissionUpload", [kaggle.answers(500)] * 2),
    "start answers 429": ("StartSubmissionUpload", [kaggle.answers(429, **{"Retry-After": "0"})]),
    "start is dropped": ("StartSubmissionUpload", [kaggle.drops]),
    "storage answers 503": ("PUT", [kaggle.answers(503)] * 2),
    "storage answers 403": ("PUT", [kaggle.answers(403)]),
    "upload is dropped": ("PUT", [kaggle.drops]),
    "upload is taken and the answer lost": ("PUT", [kaggle.acts_and_drops]),
    "submission is limited": ("CreateSubmission", [kaggle.answers(429, **{"Retry-After": "0"})]),
}


@pytest.mark.parametrize(("call", "faults"), UPLOADS.values(), ids=UPLOADS)
def test_faults_of_the_upload_are_repeated(stand_in, csv, call, faults):
    stand_in.fault(call, *faults)
    assert Kaggle(QUICK).submit(csv, "m", NAME) == stand_in.submissions[0]["ref"]
    assert len(stand_in.submissions) == 1
    assert len(stand_in.named(call)) == len(faults) + 1


@pytest.mark.parametrize(
    "fault",
    [
        kaggle.drops,
        kaggle.acts_and_drops,
        kaggle.answers(500),
        kaggle.acts_and_answers(502),
        kaggle.web_page(),
        kaggle.changes(lambda one: kaggle.Answer(body=b'{"message": "Could not submit"}')),
        kaggle.changes(lambda one: kaggle.Answer(body=one.body[:-5])),
    ],
    ids=["dropped", "done and dropped", "500", "done and 502", "web page", "no reference", "half an answer"],
)
def test_a_submission_without_an_answer_is_never_repeated(stand_in, csv, fault):
    stand_in.fault("CreateSubmission", fault)
    with pytest.raises(AnswerLost) as lost:
        Kaggle(QUICK).submit(csv, "m", NAME)
    assert len(stand_in.named("CreateSubmission")) == 1
    assert not lost.value.may_be_late


@pytest.mark.parametrize("fault", [kaggle.hangs(1), kaggle.answers(504)], ids=["hangs", "504"])
def test_an_answer_that_may_be_late_is_marked(stand_in, csv, fault):
    stand_in.fault("CreateSubmission", fault)
    with pytest.raises(AnswerLost) as lost:
        Kaggle(Retries(pauses=(), read=0.3)).submit(csv, "m", NAME)
    assert lost.value.may_be_late


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (kaggle.answers(400, "Submission limit reached"), "Kaggle refuses (400, it says: Submission limit reached)"),
        (kaggle.answers(403, "Phone verification needed"), "it says: Phone verification needed; join the competition"),
        (
            kaggle.changes(lambda one: kaggle.Answer(body=b'{"code": 400, "message": "in a good answer"}')),
            "Kaggle refuses (400, it says: in a good answer)",
        ),
    ],
    ids=["400", "403", "code in the body"],
)
def test_a_refused_submission_says_why(stand_in, csv, fault, words):
    stand_in.fault("CreateSubmission", fault)
    with pytest.raises(UserError) as refusal:
        Kaggle(QUICK).submit(csv, "m", NAME)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (kaggle.answers(503), "Kaggle's storage, storage.test, refuses (503, it says: no)"),
        (kaggle.drops, "the connection to storage.test breaks again and again"),
    ],
    ids=["503", "dropped"],
)
def test_an_upload_that_fails_silently_in_the_client_fails_aloud_here(stand_in, csv, fault, words):
    stand_in.fault("PUT", *[fault] * 20)
    with pytest.raises(Failure) as failure:
        Kaggle(QUICK).submit(csv, "m", NAME)
    assert words in str(failure.value)
    assert not stand_in.submissions
    assert len(stand_in.named("PUT")) == len(QUICK.pauses) + 1


def test_secrets_that_kaggle_repeats_are_not_shown(stand_in, csv):
    stand_in.fault("CreateSubmission", kaggle.answers(400, f"no {kaggle.TOKEN} https://x.test/a?s={kaggle.SIGNATURE}"))
    with pytest.raises(UserError) as refusal:
        Kaggle(QUICK).submit(csv, "m", NAME)
    assert "it says: no *** https://x.test/a?…)" in str(refusal.value)


def test_a_hanging_call_ends_and_is_repeated(stand_in):
    stand_in.fault("ListSubmissions", kaggle.hangs(2))
    assert Kaggle(Retries(pauses=(0.01,), read=0.3)).submissions(NAME) == []


@pytest.mark.parametrize(
    "fault", [kaggle.web_page(), kaggle.changes(lambda one: kaggle.Answer(body=b'{"submissions": 3}'))]
)
def test_an_answer_that_is_not_kaggle_s(stand_in, fault):
    stand_in.fault("ListSubmissions", *[fault] * 9)
    with pytest.raises(Failure, match="localhost answers, but not as Kaggle does"):
        Kaggle(QUICK).submissions(NAME)


def test_nothing_of_the_client_is_on_stdout_and_no_secret_anywhere(stand_in, csv, monkeypatch, capfd, caplog):
    monkeypatch.setenv("VERBOSE", "true")
    caplog.set_level("DEBUG")
    stand_in.fault("PUT", kaggle.drops, kaggle.answers(503))
    client = Kaggle(QUICK)
    client.submit(csv, "m", NAME)
    client.submissions(NAME)
    told = capfd.readouterr()
    assert told.out == ""
    for text in (told.err, caplog.text, repr(client.__dict__), repr(vars(client.client))):
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
        ("https://api.kaggle.com/v1/competitions.CompetitionApiService/ListSubmissions", "Bearer mine"),
        ("https://www.kaggle.com/api/v1/x", "Bearer mine"),
        ("https://storage.googleapis.com/kaggle-competitions-data/x.zip?signed", None),
        ("https://www.googleapis.com/upload/storage/v1/b/x", None),
    ],
)
def test_where_the_guard_lets_requests_go(url, authorization):
    wire, keeper = Wire(), guard.Guard(Retries(connect=3, read=4), local=False)
    keeper.authorization = "Bearer mine"
    request = requests.Request("GET", url, headers={"Authorization": "Bearer other"}).prepare()
    keeper.send(requests.adapters.HTTPAdapter(), wire, request, {})
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
    wire, keeper = Wire(), guard.Guard(QUICK, local=False)
    keeper.authorization = "Bearer mine"
    with pytest.raises(guard.Misdirected, match="is not Kaggle's; nothing was sent there"):
        keeper.send(requests.adapters.HTTPAdapter(), wire, requests.Request("PUT", url, data=b"x").prepare(), {})
    assert not wire.sent
    told = answers.explanation(keeper.calls[-1], None, NAME, [])
    assert isinstance(told, Failure)
    assert "is not Kaggle's; nothing was sent there" in str(told)


def test_requests_of_others_pass_the_guard_untouched(stand_in):
    Kaggle(QUICK).submissions(NAME)
    answer = requests.post("http://localhost/api/v1/others", headers={"Authorization": "Bearer theirs"}, timeout=5)
    assert answer.status_code == 401
    assert stand_in.requests[-1].headers["Authorization"] == "Bearer theirs"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"error": {"code": 403, "message": "Accept\\n the rules."}}', "Accept the rules"),
        ('{"code": 403, "message": "Accept the rules"}', "Accept the rules"),
        ('{"error": "Accept the rules"}', "Accept the rules"),
        ("Accept the rules", "Accept the rules"),
        ("<html>Forbidden</html>", ""),
        ("", ""),
        ("[1]", "[1]"),
    ],
)
def test_kaggle_s_words_in_every_wrapping(text, words):
    assert answers.kaggles_words(text) == words


def test_download_is_what_the_loaders_call(stand_in, tmp_path):
    with contextlib.chdir(tmp_path):
        path = kaggle_client.download(NAME, pathlib.Path("data") / NAME)
    assert path == pathlib.Path("data") / NAME / f"{NAME}.zip"
