"""What every request of the official client passes: time-outs, the right credential for the right host, a record.

The client sends without time-outs, sends a rejected token in place of a good key, appends error pages to half a
download and says nothing of a refused upload. It does all of that through `requests`' one HTTP adapter, so that is
where the guard stands; requests of other code in the process pass untouched.
"""

import contextlib
import contextvars
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kit.kaggle_client.retries import Retries

KAGGLE = "kaggle.com"
# Where Kaggle keeps files: its signed URLs lead there, without credentials.
STORAGE = ("googleapis.com", "googleusercontent.com", "kaggleusercontent.com")

_active: contextvars.ContextVar["Guard | None"] = contextvars.ContextVar("guard", default=None)


class Misdirected(OSError):
    """A request that would have left for a host that is not Kaggle's; it was not sent."""


@dataclass
class Call:
    """One request and what came of it: `status` and `text` of the answer, or the `failure` that came instead."""

    name: str
    host: str
    status: int | None = None
    text: str = ""
    retry_after: str = ""
    failure: Exception | None = None

    @property
    def of_storage(self) -> bool:
        """Whether this was a file's way from or to a signed URL, not a call of Kaggle's API."""
        return self.name in ("GET", "PUT")


class Guard:
    """Watches the requests made inside `with guard.watching():` on this thread.

    Attributes:
        local: whether the host is the tests' stand-in, http://localhost, instead of Kaggle's.
        authorization: the Authorization header for Kaggle's host; no other host ever gets one.
        calls: the requests since `watching` began, oldest first.
    """

    def __init__(self, patience: Retries, local: bool):
        self.patience, self.local = patience, local
        self.authorization = ""
        self.calls: list[Call] = []

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the block's requests."""
        _stand_in_the_way()
        self.calls = []
        token = _active.set(self)
        try:
            yield
        finally:
            _active.reset(token)

    def called(self, name: str) -> Call | None:
        """Return the newest call of that name since `watching` began."""
        return next((call for call in reversed(self.calls) if call.name == name), None)

    def send(self, adapter, original: Callable, request, options: dict):
        """Send one prepared request through `original`, or refuse to."""
        from urllib3.util.retry import Retry

        url = urllib.parse.urlsplit(request.url)
        call = Call(_name(request.method, url), url.hostname or "")
        self.calls.append(call)
        try:
            self._direct(request, url)
            if options.get("timeout") is None:
                options["timeout"] = (self.patience.connect, self.patience.read)
            adapter.max_retries = Retry(0, read=False)  # the kit repeats whole calls, with its own pauses
            response = original(adapter, request, **options)
            call.status = response.status_code
            call.retry_after = response.headers.get("Retry-After", "")
            if call.status >= 400:
                call.text = response.content.decode("utf-8", "replace")
            if "Range" in request.headers:
                _refuse_error_page(response)
        except Exception as failure:
            call.failure = failure
            raise
        return response

    def _direct(self, request, url: urllib.parse.SplitResult) -> None:
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
    return url.path.rpartition("/")[2] if "Service/" in url.path else method


def _within(host: str | None, domain: str) -> bool:
    return host == domain or (host or "").endswith(f".{domain}")


def _refuse_error_page(response) -> None:
    """Raise where the answer to a request for the rest of a file is an error, which the client would save as it."""
    from requests import HTTPError

    if response.status_code not in (200, 206):
        raise HTTPError(f"{response.status_code} on going on with a download", response=response)


def _stand_in_the_way() -> None:
    from requests.adapters import HTTPAdapter

    original = HTTPAdapter.send
    if hasattr(original, "__wrapped__"):
        return

    def send(self, request, *arguments, **options):
        guard = _active.get()
        if guard is None:
            return original(self, request, *arguments, **options)
        return guard.send(self, original, request, options)

    send.__wrapped__ = original
    HTTPAdapter.send = send
