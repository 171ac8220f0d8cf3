"""A stand-in for Kaggle on loopback, that the unmodified `kaggle` client talks to, and that misbehaves on request.

The client is led here by `KAGGLE_API_ENVIRONMENT=LOCALHOST` and `http_proxy`; `https_proxy` points here too, so that
nothing can leave this machine: an attempt to is refused and kept in `escapes`.
"""

import base64
import contextlib
import datetime
import email.utils
import http.server
import io
import json
import os
import pathlib
import threading
import time
import urllib.parse
import zipfile
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

TOKEN, USER, KEY = "KGAT_0123456789abcdef0123456789abcdef", "someone", "fedcba9876543210fedcba9876543210"
SIGNATURE = "c2lnbmF0dXJl"
HOST = "http://localhost"
STORAGE = "http://storage.test"


@dataclass
class Request:
    """What arrived, and what of it is worth asking about."""

    name: str
    host: str
    headers: dict
    body: bytes


@dataclass
class Answer:
    status: int = 200
    body: bytes = b"{}"
    headers: dict = field(default_factory=lambda: {"Content-Type": "application/json"})


def error(status: int, message: str, **headers: str) -> Answer:
    """An error as Kaggle writes it."""
    body = {"error": {"code": status, "message": message, "status": "FAILED"}}
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})


def limits(left: int) -> dict:
    """The day's limit of five, of which some are left."""
    return {"numToday": 5 - left, "numTotal": 7, "numAllowedNow": left}


# A fault is called in place of the plain answer: fault(handler, act), where act() does what was asked.
def answers(status: int, message: str = "no", **headers: str) -> Callable:
    return lambda handler, act: handler.reply(error(status, message, **headers))


def web_page(status: int = 200) -> Callable:
    page = Answer(status, b"<!DOCTYPE html><html>log in to this network</html>", {"Content-Type": "text/html"})
    return lambda handler, act: handler.reply(page)


def drops(handler, act) -> None:
    """The connection ends before anything is done."""
    handler.hang_up()


def acts_and_drops(handler, act) -> None:
    """It is done, and the answer is lost."""
    act()
    handler.hang_up()


def acts_and_answers(status: int) -> Callable:
    """It is done, and a gateway says that it is not."""

    def fault(handler, act) -> None:
        act()
        handler.reply(error(status, "gateway"))

    return fault


def hangs(seconds: float, acts: bool = False) -> Callable:
    def fault(handler, act) -> None:
        if acts:
            act()
        time.sleep(seconds)
        handler.hang_up()

    return fault


def drips(seconds: float, every: float = 0.05, ends: bool = False, acts: bool = False) -> Callable:
    """The answer comes byte by byte, which no time-out of a socket notices; it ends well, or with a dropped connection.

    The bytes before the end are spaces, which JSON allows.
    """

    def fault(handler, act) -> None:
        answer = act() if ends or acts else Answer()
        count, body = int(seconds / every), answer.body if ends else b""
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(count + len(body) + (not ends)))
        handler.end_headers()
        for _ in range(count):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(every)
        handler.wfile.write(body)
        handler.wfile.flush()
        if not ends:
            handler.hang_up()

    return fault


def replies(body: object, status: int = 200, acts: bool = False) -> Callable:
    """Answer with this JSON, whatever was asked for."""

    def fault(handler, act) -> None:
        if acts:
            act()
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.reply(Answer(status, content))

    return fault


def truncates(size: int) -> Callable:
    """The answer's head is right, and the body ends after `size` bytes."""

    def fault(handler, act) -> None:
        handler.reply(act(), only=size)

    return fault


def changes(change: Callable[[Answer], Answer]) -> Callable:
    return lambda handler, act: handler.reply(change(act()))


def calls(action: Callable[[], None], after: bool = False, size: int | None = None) -> Callable:
    """Call `action` before the request is acted upon, or after; with `size`, after so many bytes of the answer."""

    def fault(handler, act) -> None:
        if size is not None:
            handler.reply(act(), only=size, then=action)
            return
        if not after:
            action()
        answer = act()
        if after:
            action()
        handler.reply(answer)

    return fault


class KaggleStandIn:
    """Kaggle with one account and, unless said otherwise, digit-recognizer joined.

    Attributes:
        bundles: the bytes of each competition's bundle.
        joined: competitions whose rules are accepted.
        authorizations: the Authorization headers that are accepted.
        submissions: as listed, newest last.
        page: how many submissions a page of the list holds at most; 0 gives all of them on every page.
        lag: how often the list is asked for before a new submission is in it.
        polls: how often a submission is listed as pending before it has a score.
        score: what a submission's content scores, or an error text.
        limits: of the day's submissions; None where Kaggle does not tell.
        faults: by call, what happens instead, first in first out; each is used once.
        requests: everything that arrived.
    """

    def __init__(self):
        self.bundles = {"digit-recognizer": bundle()}
        self.joined = {"digit-recognizer", "cifar-10"}
        basic = base64.b64encode(f"{USER}:{KEY}".encode()).decode()
        self.authorizations = {f"Bearer {TOKEN}", f"Basic {basic}"}
        self.submissions: list[dict] = []
        self.contents: dict[int, bytes] = {}
        self.page = 100
        self.lag = 0
        self.polls = 1
        self.score: Callable[[bytes], str] = lambda content: "0.99400"
        self.limits: dict | None = limits(left=5)
        self.etag = '"first"'
        self.faults: dict[str, deque] = defaultdict(deque)
        self.requests: list[Request] = []
        self.escapes: list[str] = []
        self._uploads: dict[str, dict] = {}
        self._listings: dict[int, int] = defaultdict(int)
        self._unlisted: dict[int, int] = {}
        self._lock = threading.Lock()

    def fault(self, name: str, *faults: Callable) -> None:
        self.faults[name].extend(faults)

    def named(self, name: str) -> list[Request]:
        return [request for request in self.requests if request.name == name]

    def add(self, competition: str, file_name: str, description: str, content: bytes) -> int:
        """Take a submission, as from an upload or as one made earlier elsewhere."""
        with self._lock:
            reference = 40_000_000 + len(self.submissions) + 1
            self.contents[reference] = content
            self._unlisted[reference] = self.lag
            self.submissions.append(
                {
                    "ref": reference,
                    "competition": competition,
                    "fileName": file_name,
                    "description": description,
                    "totalBytes": len(content),
                    "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                }
            )
        return reference

    @property
    def handler(self) -> type["_Handler"]:
        """What serves the requests."""
        return _Handler

    # The calls of competitions.CompetitionApiService.
    def list_data_files(self, asked: dict) -> dict:
        with zipfile.ZipFile(io.BytesIO(self.bundles[asked["competitionName"]])) as archive:
            files = [{"name": one.filename, "totalBytes": one.file_size} for one in archive.infolist()]
        return {"files": files}

    def start_submission_upload(self, asked: dict) -> dict:
        number = str(len(self._uploads) + 1)
        self._uploads[number] = {"name": asked["fileName"], "length": asked["contentLength"], "content": None}
        return {"token": f"token-{number}", "createUrl": f"{STORAGE}/upload/{number}?upload_id={SIGNATURE}"}

    def create_submission(self, asked: dict) -> dict | Answer:
        upload = self._uploads.get(asked["blobFileTokens"].removeprefix("token-"))
        if upload is None or upload["content"] is None:
            return error(400, "There is no such upload")
        assert len(upload["content"]) == upload["length"]
        description = asked.get("submissionDescription", "")
        reference = self.add(asked["competitionName"], upload["name"], description, upload["content"])
        return {"message": "Successfully submitted to " + asked["competitionName"], "ref": reference}

    def list_submissions(self, asked: dict) -> dict:
        own = []
        for one in reversed(self.submissions):
            self._unlisted[one["ref"]] -= 1
            if one["competition"] == asked["competitionName"] and self._unlisted[one["ref"]] < 0:
                own.append(one)
        if not self.page:
            return {"submissions": [self._as_listed(one) for one in own]}
        size, page = min(asked.get("pageSize", 20), self.page), max(1, asked.get("page", 1))
        return {"submissions": [self._as_listed(one) for one in own[(page - 1) * size : page * size]]}

    def get_submission_limits(self, asked: dict) -> dict | Answer:
        if self.limits is None:
            return error(404, "Not found")
        return self.limits

    def _as_listed(self, one: dict) -> dict:
        reference = one["ref"]
        self._listings[reference] += 1
        result = {"status": "PENDING"}
        if self._listings[reference] > self.polls:
            score = self.score(self.contents[reference])
            numeric = score.replace(".", "").isdigit()
            result = {"status": "COMPLETE", "publicScore": score}
            if not numeric:
                result = {"status": "ERROR", "errorDescription": score}
        return {**one, **result}

    # Serving.
    def __enter__(self) -> "KaggleStandIn":
        stand_in = self

        class Handler(self.handler):
            kaggle = stand_in

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self, home: pathlib.Path) -> dict[str, str]:
        """The environment variables that lead a client here, with `home` as its home and no credentials."""
        proxy = f"http://127.0.0.1:{self._server.server_port}"
        return {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "HOME": str(home),
            "USERPROFILE": str(home),
            "http_proxy": proxy,
            "https_proxy": proxy,
            "no_proxy": "",
            "NO_PROXY": "",
        }


class _Handler(http.server.BaseHTTPRequestHandler):
    kaggle: KaggleStandIn
    disable_nagle_algorithm = True  # head and body are written one after the other; else each answer takes 40 ms

    def log_message(self, *_) -> None:
        pass

    def do_CONNECT(self) -> None:
        self.kaggle.escapes.append(self.path)
        self.send_error(403)

    def do_POST(self) -> None:
        self._serve(self.path.rpartition("/")[2], self._call)

    def do_GET(self) -> None:
        self._serve("GET", self._file)

    def do_PUT(self) -> None:
        self._serve("PUT", self._upload)

    def _serve(self, name: str, act: Callable[[], Answer]) -> None:
        with contextlib.suppress(ConnectionError):
            self.url = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.request_ = Request(name, self.url.hostname or "", dict(self.headers), body)
            self.kaggle.requests.append(self.request_)
            faults = self.kaggle.faults[name]
            if faults:
                faults.popleft()(self, act)
            else:
                self.reply(act())

    def _call(self) -> Answer:
        if self.headers.get("Authorization") not in self.kaggle.authorizations:
            return error(401, "Unauthenticated")
        asked = json.loads(self.request_.body or b"{}")
        competition = asked.get("competitionName")
        if competition not in self.kaggle.joined:
            return error(403, "You must accept this competition's rules before you'll be able to download files")
        name = self.request_.name
        if name == "DownloadDataFiles":
            url = f"{STORAGE}/bundles/{competition}.zip?X-Goog-Signature={SIGNATURE}"
            return Answer(302, b"", {"Location": url})
        call = getattr(self.kaggle, "".join(f"_{one.lower()}" if one.isupper() else one for one in name)[1:], None)
        if call is None:
            return error(404, "Not found")
        result = call(asked)
        return result if isinstance(result, Answer) else Answer(body=json.dumps(result).encode())

    def _upload(self) -> Answer:
        upload = self.kaggle._uploads.get(self.url.path.rpartition("/")[2])
        if upload is None:
            return error(404, "There is no such upload")
        upload["content"] = self.request_.body
        return Answer(200, b"", {})

    def _file(self) -> Answer:
        content = self.kaggle.bundles[self.url.path.rpartition("/")[2].removesuffix(".zip")]
        headers = {
            "Content-Type": "application/zip",
            "Accept-Ranges": "bytes",
            "ETag": self.kaggle.etag,
            "Last-Modified": email.utils.formatdate(1_600_000_000, usegmt=True),
        }
        asked = self.headers.get("Range")
        if asked is None or self.headers.get("If-Range", self.kaggle.etag) != self.kaggle.etag:
            return Answer(200, content, headers)
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            return Answer(416, b"", headers)
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return Answer(206, content[start:], headers)

    def reply(self, answer: Answer, only: int | None = None, then: Callable[[], None] | None = None) -> None:
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[:only])
        self.wfile.flush()
        if then:
            then()

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()


def bundle(rows: int = 28) -> bytes:
    """A small digit-recognizer bundle, of about half a megabyte so that it can be interrupted."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        lines = [f"{number},0" for number in range(1, rows + 1)]
        archive.writestr("sample_submission.csv", "ImageId,Label\n" + "\n".join(lines) + "\n")
        labels = "".join(f"{number % 10},0\n" for number in range(40))
        archive.writestr("train.csv", "label,pixel0\n" + labels)
        archive.writestr("test.csv", bytes(range(256)) * 2000)
    return memory.getvalue()


def lead(monkeypatch, stand_in: KaggleStandIn, home: pathlib.Path, token: str | None = TOKEN) -> None:
    """Lead this process's client to the stand-in, with a scratch home and, unless it is None, a token."""
    for name in list(os.environ):
        if name.upper().startswith("KAGGLE_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in stand_in.environment(home).items():
        monkeypatch.setenv(name, value)
    if token:
        monkeypatch.setenv("KAGGLE_API_TOKEN", token)
