"""A connection to Kaggle through the official client: calls that are repeated where that is safe, and plain answers."""

import contextlib
import datetime
import io
import pathlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from kit.errors import Failure, UserError
from kit.kaggle_client import answers, credentials, official
from kit.kaggle_client.guard import Call, Guard
from kit.kaggle_client.retries import RETRIES, Retries

PAGE_SIZE, SHORT, MOST_PAGES = 100, 20, 50  # Kaggle may give fewer than are asked for, but not fewer than its own 20
Answer = TypeVar("Answer")


class AnswerLost(Failure):
    """Whether Kaggle has taken the submission is not known: look before sending anything again.

    `may_be_late` says that Kaggle may still be at it: the answer did not come in time.
    """

    may_be_late = False


@dataclass(frozen=True)
class Submission:
    """A submission as Kaggle lists it.

    Attributes:
        reference: Kaggle's number of it.
        file_name, message, size: what was sent; size in bytes, 0 where Kaggle does not say.
        time: when Kaggle took it, aware, UTC; None where it does not say.
        status: "pending", "complete" or "error".
        public_score: None while there is none.
        reason: Kaggle's words on an error.
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
        UserError: there are no credentials.
    """

    def __init__(self, patience: Retries = RETRIES):
        found, unusable = credentials.search()
        if not found:
            raise UserError(
                f"no Kaggle credentials{''.join(f' ({reason})' for reason in unusable)}: make a token at "
                f"{credentials.TOKEN_PAGE} and save it as ~/.kaggle/access_token or in KAGGLE_API_TOKEN."
            )
        self.patience = patience
        self._credentials, self._tried = found, []
        self._guard = Guard(patience, official.stand_in())
        self.client = official.build(patience, self._guard.local)
        if self._guard.local:
            _note("KAGGLE_API_ENVIRONMENT=LOCALHOST: this is http://localhost, not Kaggle.")
        self._next_credential()

    def submissions(self, competition: str) -> list[Submission]:
        """Return all of the person's submissions, newest first.

        Raises:
            UserError: not joined, wrong credentials, no such competition.
            Failure: Kaggle or the network fails.
        """
        listed: dict[int, Submission] = {}
        for page in range(1, MOST_PAGES + 1):
            before = len(listed)
            on_page = [_plain(one) for one in self.call(competition, _list, self.client, competition, page) if one]
            listed.update((one.reference, one) for one in on_page)
            if len(on_page) < SHORT or len(listed) == before:
                break
        return sorted(listed.values(), key=lambda one: (one.time is not None, one.time, one.reference), reverse=True)

    def limits(self, competition: str) -> Limits | None:
        """Return what is left of today's submissions; None where Kaggle does not tell (no submission yet)."""
        try:
            limits = self.call(competition, _limits, self.client, competition)
        except (UserError, Failure):
            return None  # a courtesy of Kaggle's: without it the upload itself says that the day is used up
        if not limits.num_total and not limits.num_today and not limits.num_allowed_now:
            return None
        return Limits(limits.num_today, limits.num_allowed_now)

    def submit(self, path: pathlib.Path, message: str, competition: str) -> int:
        """Upload a file and submit it, once.

        The upload is repeated where it fails; the submission itself never is.

        Args:
            path: the file; its name is what Kaggle lists.
            message: the submission's description.
            competition: the competition's name.

        Returns:
            Kaggle's reference of the submission.

        Raises:
            UserError, Failure: nothing was submitted.
            AnswerLost: it may have been submitted.
        """

        def once() -> int:
            answer = self.client.competition_submit(str(path), message, competition, quiet=not sys.stderr.isatty())
            if not answer.ref and self._guard.called("CreateSubmission") is None:
                # The client says nothing of a refused upload.
                raise _Silent
            return int(answer.ref)

        reference = self.call(competition, once, submits=True)
        if reference <= 0:
            raise AnswerLost("Kaggle's answer to the submission gives no reference.")
        return reference

    def call(self, competition: str, action: Callable[..., Answer], *arguments, submits: bool = False) -> Answer:
        """Return `action(*arguments)`, repeated with growing pauses while that may help.

        A rejected credential is followed by the next one that was found. stdout of the client is dropped: it is
        warnings and error texts that the kit gives in words.

        Raises:
            UserError, Failure: the last failure, explained.
            AnswerLost: `submits`, and the request that submits was sent without a usable answer.
        """
        attempt = 0
        while True:
            error = None
            with self._guard.watching(), contextlib.redirect_stdout(io.StringIO()):
                try:
                    return action(*arguments)
                except Exception as failure:
                    error = failure
            call = _failed(self._guard.calls, error)
            sent = self._guard.called("CreateSubmission") if submits else None
            if sent and (sent.failure or not 400 <= (sent.status or 0) < 500):
                lost = AnswerLost(str(self._explanation(call, error, competition)))
                lost.may_be_late = answers.late(sent)
                raise lost from None
            if call and call.failure is None and call.status == 401 and self._next_credential():
                continue
            pause = self._pause(call, error, attempt)
            if pause is None:
                raise self._explanation(call, error, competition) from None
            attempt += 1
            what = str(self._explanation(call, error, competition)).partition(";")[0]
            _note(f"{what}; attempt {attempt + 1} in {pause:.0f} s.")
            time.sleep(pause)

    def _pause(self, call: Call | None, error: Exception | None, attempt: int) -> float | None:
        """Return how long to wait before the next attempt; None where there is none."""
        most = len(self.patience.pauses)
        if answers.unreachable((call.failure if call else None) or error):
            most = min(most, self.patience.unreachable)
        if attempt >= most or not answers.transient(call, error):
            return None
        asked = answers.asked_pause(call)
        if asked is not None and asked > self.patience.longest:
            return None
        return max(self.patience.pause(attempt), asked or 0.0)

    def _explanation(self, call: Call | None, error: Exception | None, competition: str) -> Exception:
        told = answers.explanation(call, error, competition, self._tried)
        return type(told)(credentials.redact(str(told), self._tried + self._credentials))

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
            token = self.call("your account", _oauth_token, self.client)
            self._guard.authorization = f"Bearer {token}"
        return True


class _Silent(Exception):
    """The client gave up without an exception."""


def _list(client, competition: str, page: int) -> list:
    return client.competition_submissions(competition, page_number=page, page_size=PAGE_SIZE) or []


def _limits(client, competition: str):
    from kagglesdk.competitions.types.competition_api_service import ApiGetSubmissionLimitsRequest

    # `KaggleApi` itself has this call only since 2.1.
    request = ApiGetSubmissionLimitsRequest()
    request.competition_name = competition
    with client.build_kaggle_client() as kaggle:
        return kaggle.competitions.competition_api_client.get_submission_limits(request)


def _oauth_token(client) -> str:
    from kagglesdk import KaggleCredentials

    with client.build_kaggle_client() as kaggle:
        return KaggleCredentials.load(client=kaggle).generate_access_token().token


def _plain(one) -> Submission:
    try:
        score = float(one.public_score)
    except (TypeError, ValueError):
        score = None
    return Submission(
        reference=int(one.ref),
        file_name=one.file_name or "",
        message=one.description or "",
        size=one.total_bytes or 0,
        time=one.date.replace(tzinfo=datetime.UTC) if one.date else None,
        status=one.status.name.lower(),
        public_score=score,
        reason=" ".join((one.error_description or "").split()),
    )


def _failed(calls: list[Call], error: Exception | None) -> Call | None:
    """Return the last call, with the status that Kaggle may hide in the body of an answer that seems good."""
    call = calls[-1] if calls else None
    response = getattr(error, "response", None)
    if call and call.failure is None and response is not None and call.status is not None and call.status < 400:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            call.status, call.text = int(response.json()["code"]), response.text
    return call


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)
