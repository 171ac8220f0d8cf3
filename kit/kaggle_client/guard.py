"""What every request of the official client passes: time-outs, the right credential for the right host, a record.

The client sends without time-outs, sends a rejected token in place of a good key, appends error pages to half a
download and reports nothing of a refused upload. It does all of that through `requests`' one HTTP adapter, so that is
where the guard stands; requests of other code in the process pass untouched.
"""

import contextlib
import contextvars
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kit.kaggle_client import schema
from kit.kaggle_client.deadline import Stalled
from kit.kaggle_client.retries import Retries

KAGGLE = "kaggle.com"
LOG_STREAM = "LogStream"
# Where Kaggle keeps files: its signed URLs lead there, without credentials.
STORAGE = ("googleapis.com", "googleusercontent.com", "kaggleusercontent.com")


class Misdirected(OSError):
    """A request that would have left for a host that is not Kaggle's; it was not sent."""


class Abandoned(Exception):
    """A request, or the rest of an answer, of a call that was given up; nothing more of it is sent or kept."""


@dataclass
class Call:
    """One request and what came of it.

    Attributes:
        name: of a call of Kaggle's API its name, such as "CreateSubmission"; of a file's way GET or PUT.
        host: where it went.
        status: the answer's; None where there is none.
        text: the body of an error.
        retry_after: how long Kaggle asks to wait, as it says it.
        answer: the body of a good answer of the API, checked.
        failure: what came instead of an answer.
    """

    name: str
    host: str
    status: int | None = None
    text: str = ""
    retry_after: str = ""
    answer: schema.Answer | None = None
    failure: Exception | None = None

    @property
    def of_storage(self) -> bool:
        """Whether this was a file's way from or to a signed URL, not a call of Kaggle's API."""
        return self.name in ("GET", "PUT")


@dataclass
class Watch:
    """The requests of one call, oldest first, their answers, and whether it is over, so that no more may follow."""

    guard: "Guard"
    calls: list[Call] = field(default_factory=list)
    responses: list[Any] = field(default_factory=list)
    over: bool = False


_active: contextvars.ContextVar[Watch | None] = contextvars.ContextVar("watch", default=None)


class Guard:
    """Watches the requests made inside `with guard.watching():`, in its context or in a copy of it.

    Attributes:
        local: whether the host is the tests' stand-in, http://localhost, instead of Kaggle's.
        authorization: the Authorization header for Kaggle's host; no other host ever gets one.
        calls: the requests since `watching` began, oldest first.
    """

    def __init__(self, retries: Retries, local: bool):
        self.retries, self.local = retries, local
        self.authorization = ""
        self.calls: list[Call] = []

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the block's requests; a thread that outlives the block can make no more.

        Answers that the client has left open, as it does with a broken download, are closed, unless the block was given
        up: then a thread may still be reading.
        """
        _patch_adapter()
        watch = Watch(self)
        self.calls = watch.calls
        token = _active.set(watch)
        given_up = False
        try:
            yield
        except (Stalled, KeyboardInterrupt):
            given_up = True
            raise
        finally:
            watch.over = True
            _active.reset(token)
            for response in () if given_up else watch.responses:
                response.close()

    def called(self, name: str) -> Call | None:
        """Return the newest call of that name since `watching` began."""
        return next((call for call in reversed(self.calls) if call.name == name), None)

    def send(self, watch: Watch, adapter: Any, original: Callable[..., Any], request: Any, options: dict) -> Any:
        """Send one prepared request through `original`, or refuse to."""
        from urllib3.util.retry import Retry

        if watch.over:
            raise Abandoned(request.url)
        url = urllib.parse.urlsplit(request.url)
        call = Call(_name(request.method, url), url.hostname or "")
        watch.calls.append(call)
        try:
            self._direct(request, url)
            if options.get("timeout") is None:
                options["timeout"] = (self.retries.connect, self.retries.read)
            adapter.max_retries = Retry(0, read=False)  # the kit repeats whole calls, with its own pauses
            response = original(adapter, request, **options)
            watch.responses.append(response)
            _stop_when_over(watch, response)
            call.status = response.status_code
            call.retry_after = response.headers.get("Retry-After", "")
            if call.status >= 400:
                call.text = response.content.decode("utf-8", "replace")
            elif not call.of_storage and _has_answer(call.name, response):
                _check(call, response)
            if "Range" in request.headers:
                _refuse_error_page(response)
        except Exception as failure:
            call.failure = failure
            raise
        return response

    def _direct(self, request: Any, url: urllib.parse.SplitResult) -> None:
        request.headers.pop("Authorization", None)
        if self.local:
            kaggles = url.hostname == "localhost"
        else:
            kaggles = _within(url.hostname, KAGGLE)
            if url.scheme != "https" or not (kaggles or any(_within(url.hostname, host) for host in STORAGE)):
                raise Misdirected(f"{url.scheme}://{url.hostname} is not Kaggle's; nothing was sent there")
        if kaggles and self.authorization:
            request.headers["Authorization"] = self.authorization


def _name(method: str, url: urllib.parse.SplitResult) -> str:
    """Return the API call's name, "CreateSubmission", or the method of a request for a file."""
    if "/kernels/logs/stream/" in url.path:
        return LOG_STREAM
    return url.path.rpartition("/")[2] if "Service/" in url.path else method


def _within(host: str | None, domain: str) -> bool:
    return host == domain or (host or "").endswith(f".{domain}")


def _has_answer(name: str, response: Any) -> bool:
    """Say whether the body is an answer of the API: declared as one, or JSON where a file was asked for."""
    if name == LOG_STREAM:
        return False  # a list of lines, or an endless stream of them
    return response.status_code < 300 and (
        name in schema.ANSWERS or "application/json" in response.headers.get("Content-Type", "")
    )


def _check(call: Call, response: Any) -> None:
    call.answer = schema.parse(call.name, response.content.decode("utf-8", "replace"))
    if call.answer.code is not None and call.answer.code >= 400:
        call.status, call.text = call.answer.code, response.text


def _stop_when_over(watch: Watch, response: Any) -> None:
    """Let nothing more of an answer be read once its call was given up: it would be written into a file."""
    original = response.iter_content

    def iter_content(*arguments: Any, **options: Any) -> Iterator[bytes]:
        for part in original(*arguments, **options):
            if watch.over:
                response.close()
                raise Abandoned(response.url)
            yield part

    response.iter_content = iter_content


def _refuse_error_page(response: Any) -> None:
    """Raise where the answer to a request for the rest of a file is an error, which the client would save as it."""
    from requests import HTTPError

    if response.status_code not in (200, 206):
        raise HTTPError(f"{response.status_code} for the rest of a download", response=response)


def _patch_adapter() -> None:
    from requests.adapters import HTTPAdapter

    original = HTTPAdapter.send
    if hasattr(original, "__wrapped__"):
        return

    def send(self: HTTPAdapter, request: Any, *arguments: Any, **options: Any) -> Any:
        watch = _active.get()
        if watch is None:
            return original(self, request, *arguments, **options)
        return watch.guard.send(watch, self, original, request, options)

    send.__wrapped__ = original  # type: ignore[attr-defined]
    HTTPAdapter.send = send  # type: ignore[method-assign]
