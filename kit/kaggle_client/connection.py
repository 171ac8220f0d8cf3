"""A connection to Kaggle through the official client: calls that are repeated where that is safe, and plain answers."""

import contextlib
import datetime
import io
import pathlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from kit.errors import Failure, UserError, printable
from kit.kaggle_client import answers, calls, credentials, network, official, schema
from kit.kaggle_client.deadline import Stalled, within
from kit.kaggle_client.guard import Call, Guard
from kit.kaggle_client.retries import RETRIES, Retries

LOCAL, HOSTS = ("http://localhost",), ("https://api.kaggle.com", "https://storage.googleapis.com")
PAGE_SIZE, SHORT, MOST_PAGES = 100, 20, 50  # Kaggle may give fewer than are asked for, but not fewer than its own 20
Result = TypeVar("Result")


class AnswerLost(Failure):
    """Kaggle may have taken the submission: search its list before anything is sent again.

    Attributes:
        explained: what Kaggle's answer, or its absence, would mean for any other call.
        refused: whether Kaggle answered that it does not take it.
        late: whether Kaggle may still be at it: the answer did not come in time.
        pause: the seconds that Kaggle asks to wait, or None.
    """

    def __init__(self, explained: Exception, refused: bool = False, late: bool = False, pause: float | None = None):
        super().__init__(str(explained))
        self.explained, self.refused, self.late, self.pause = explained, refused, late, pause


@dataclass(frozen=True)
class Submission:
    """A submission as Kaggle lists it.

    Attributes:
        reference: Kaggle's number of it.
        file_name, message, size: what was sent; size in bytes, 0 where Kaggle does not say.
        time: when Kaggle took it, aware, UTC; None where it does not say.
        status: "pending", "complete" or "error".
        public_score: None while there is none.
        reason: Kaggle's explanation of an error.
    """

    reference: int
    file_name: str
    message: str
    size: int
    time: datetime.datetime | None
    status: str
    public_score: float | None
    reason: str


@dataclass(frozen=True)
class Limits:
    """How many submissions were made today, and how many more Kaggle takes now."""

    today: int
    left: int


class Kaggle:
    """Kaggle, for the person whose credentials are found.

    Raises:
        UserError: there are no credentials, or this machine's settings of the network are wrong.
    """

    def __init__(self, retries: Retries | None = None):
        found, unusable = credentials.search()
        if not found:
            raise UserError(
                f"no Kaggle credentials{''.join(f' ({reason})' for reason in unusable)}: make a token at "
                f"{credentials.TOKEN_PAGE} and save it as ~/.kaggle/access_token or in KAGGLE_API_TOKEN."
            )
        self.retries = retries or RETRIES
        self._credentials = found
        self._tried: list[credentials.Credential] = []
        self._guard = Guard(self.retries, official.stand_in())
        network.check(LOCAL if self._guard.local else HOSTS)
        self.client = official.build(self.retries, self._guard.local)
        if self._guard.local:
            _note("KAGGLE_API_ENVIRONMENT=LOCALHOST: this is http://localhost, not Kaggle.")
        self._next_credential()

    def submissions(self, competition: str) -> list[Submission]:
        """Return all of the person's submissions, newest first.

        Raises:
            UserError: not joined, wrong credentials, no such competition.
            Failure: Kaggle or the network fails, or what it answers makes no sense.
        """
        listed: dict[int, Submission] = {}
        for number in range(1, MOST_PAGES + 1):
            before = len(listed)
            self.call(competition, calls.list_submissions, self.client, competition, number, PAGE_SIZE)
            page = self._answer("ListSubmissions", schema.ListSubmissions)
            listed.update((one.ref, _plain(one)) for one in page.submissions)
            if len(page.submissions) < SHORT or len(listed) == before:
                break
        return sorted(listed.values(), key=_age, reverse=True)

    def limits(self, competition: str) -> Limits | None:
        """Return what is left of today's submissions; None where Kaggle does not tell (no submission yet)."""
        try:
            self.call(competition, calls.get_submission_limits, self.client, competition)
            limits = self._answer("GetSubmissionLimits", schema.GetSubmissionLimits)
        except (UserError, Failure):
            return None  # a courtesy of Kaggle's: without it the upload itself says that the day is used up
        if not limits.num_total and not limits.num_today and not limits.num_allowed_now:
            return None
        return Limits(limits.num_today, limits.num_allowed_now)

    def upload(self, path: pathlib.Path, competition: str) -> str:
        """Upload a file that is to be submitted, and return Kaggle's token for it; nothing is submitted yet.

        Args:
            path: the file; its name is what Kaggle will list.
            competition: the competition's name.

        Raises:
            UserError, Failure: Kaggle refuses, or the network fails.
        """

        def once() -> None:
            calls.upload(self.client, path, competition)
            stored = self._guard.called("PUT")
            if stored is None or stored.status not in (200, 201):
                raise _Unreported("PUT")

        self.call(competition, once)
        return self._answer("StartSubmissionUpload", schema.StartSubmissionUpload).token

    def create(self, token: str, message: str, competition: str) -> int:
        """Submit an uploaded file: one request, which is never repeated.

        Args:
            token: from `upload`.
            message: the submission's description.
            competition: the competition's name.

        Returns:
            Kaggle's reference of the submission.

        Raises:
            AnswerLost: it may have been submitted, whatever the answer was.
            UserError, Failure: the request never left, so nothing was submitted.
        """
        _, call, error = self._attempt(None, calls.create_submission, self.client, token, message, competition)
        if call is None:
            raise self._explanation(call, error, competition)
        if error is None and isinstance(call.answer, schema.CreateSubmission):
            return call.answer.ref
        explained = self._explanation(call, error, competition)
        if answers.never_left(call.failure):
            raise explained
        raise AnswerLost(explained, answers.refused(call), answers.late(call), answers.asked_pause(call))

    def call(
        self,
        competition: str,
        action: Callable[..., Result],
        *arguments: Any,
        progress: Callable[[], int] | None = None,
    ) -> Result:
        """Return `action(*arguments)`, repeated with growing pauses while that may help.

        A rejected credential is followed by the next one that was found.

        Args:
            competition: whose name an explanation gives.
            action: what to do; no request in it may be one that must not be repeated.
            progress: what grows while the action has success, such as the size of a file; see `Retries.call`.

        Raises:
            UserError, Failure: the last failure, explained.
        """
        attempt = 0
        while True:
            result, call, error = self._attempt(progress, action, *arguments)
            if error is None:
                return result  # type: ignore[return-value]
            if call and call.failure is None and call.status == 401 and self._next_credential():
                continue
            pause = self._pause(call, error, attempt)
            explained = self._explanation(call, error, competition)
            if pause is None:
                raise explained from None
            attempt += 1
            _note(f"{answers.brief(call, explained)}, retrying in {pause:.0f} s")
            time.sleep(pause)

    def _attempt(
        self, progress: Callable[[], int] | None, action: Callable[..., Result], *arguments: Any
    ) -> tuple[Result | None, Call | None, Exception | None]:
        """Do it once; return the result, the last request, and what was raised.

        What the client prints is dropped: it is warnings and error texts that the kit gives itself.
        """
        result, error = None, None
        try:
            with self._guard.watching(), contextlib.redirect_stdout(io.StringIO()):
                result = within(self.retries.call, lambda: action(*arguments), progress or (lambda: 0))
        except Exception as failure:
            error = failure
        call = self._guard.calls[-1] if self._guard.calls else None
        if call and isinstance(error, Stalled):
            call.failure = error
        if call and error is None and (call.failure or (call.status or 0) >= 400):
            error = _Unreported(call.name)
        return result, call, error

    def _answer(self, name: str, kind: type[schema.AnyAnswer]) -> schema.AnyAnswer:
        """Return the checked answer of the call that was just made."""
        call = self._guard.called(name)
        if call is None or not isinstance(call.answer, kind):
            raise Failure(f"Kaggle's client has not asked for {name}; update it: `python -m pip install -U kaggle`.")
        return call.answer

    def _pause(self, call: Call | None, error: Exception, attempt: int) -> float | None:
        """Return how long to wait before the next attempt; None where there is none."""
        most = len(self.retries.pauses)
        if isinstance(error, Stalled) or answers.unreachable((call.failure if call else None) or error):
            most = min(most, self.retries.unreachable)
        if attempt >= most or not answers.transient(call, error):
            return None
        asked = answers.asked_pause(call)
        if asked is not None and asked > self.retries.longest:
            return None
        return max(self.retries.pause(attempt), asked or 0.0)

    def _explanation(self, call: Call | None, error: Exception | None, competition: str) -> Exception:
        explained = answers.explanation(call, error, competition, self._tried)
        return type(explained)(credentials.redact(printable(explained), self._tried + self._credentials))

    def _next_credential(self) -> bool:
        """Go over to the next credential; False where there is none left."""
        if not self._credentials:
            return False
        credential = self._credentials.pop(0)
        if self._tried:
            _note(f"Kaggle rejects the credentials in {self._tried[-1].place}; trying {credential.place}.")
        self._tried.append(credential)
        if warning := credential.warning():
            _note(warning)
        self._guard.authorization = credential.authorization
        if credential.oauth:
            self.call("your account", calls.generate_access_token, self.client)
            token = self._answer("GenerateAccessToken", schema.GenerateAccessToken).token
            self._guard.authorization = f"Bearer {token}"
        return True


class _Unreported(Exception):
    """A request failed and the client did not report it."""


def _plain(one: schema.ListedSubmission) -> Submission:
    return Submission(
        reference=one.ref,
        file_name=one.file_name or "",
        message=one.description or "",
        size=one.total_bytes or 0,
        time=one.date,
        status=one.status,
        public_score=one.public_score,
        reason=" ".join((one.error_description or "").split()),
    )


def _age(one: Submission) -> tuple[bool, datetime.datetime, int]:
    return one.time is not None, one.time or datetime.datetime.min.replace(tzinfo=datetime.UTC), one.reference


def _note(text: str) -> None:
    print(f"note: {printable(text)}", file=sys.stderr)
