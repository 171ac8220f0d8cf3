"""Sending a submission once, and following it to its score.

Each function is given a connection (`kit.kaggle_client.Kaggle`) and the ledger. Whoever sends a submission, or searches
for one, holds `ledger.sending(competition)`: so a line with the status "sending" is that of a process that died.

When a submission can still be posted twice (Kaggle cannot submit a file only "if it is not there yet"):

- From one machine: if Kaggle takes the submission, its answer is lost or an error, *and* Kaggle's list shows the
  submission only after more than 120 seconds (`Retries.checks`). After a refusal (4xx) the list is searched for 7
  seconds; the kit itself does not send again then.
- From two machines: if both send the same file within about a second, the time from the last look at Kaggle's list
  until Kaggle lists the submission.
"""

import datetime
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from typing import Any

from kit import competitions, metrics
from kit.errors import Failure, UserError
from kit.kaggle_client import AnswerLost, Kaggle, Submission
from kit.submission.ledger import NOT_LISTED, NOT_SENT, OPEN, PENDING, SENDING, Ledger, Line

ATTEMPTS = 3
CHECKS_AFTER_REFUSAL = 3
FIND_OUT = "`python -m kit.submit --status` finds out, and nothing is sent twice"

Confirm = Callable[[list[str]], bool]
"""Asks the person whether to send in spite of these doubts; what it raises ends the sending."""


def send(kaggle: Kaggle, ledger: Ledger, line: Line, content: bytes, known: Collection[int], confirm: Confirm) -> Line:
    """Send what the intention `line` announces, and return the line as it is then.

    The file's name on Kaggle holds a mark of its content and one of this line. Kaggle's list is searched for both just
    before the submission, and for the line's after any answer but success: only what is not there is sent again, and
    where the answer may be merely late, nothing is.

    Args:
        kaggle: the connection.
        ledger: where `line` stands.
        line: from `ledger.intend`.
        content: the bytes that were checked.
        known: references of submissions of the same content that the person knows of.
        confirm: asked where the same content has arrived from elsewhere meanwhile.

    Returns:
        The line: pending, or "not sent" where the person did not confirm.

    Raises:
        UserError, Failure: nothing was sent, or it is not known; the line says which.
    """
    attempts, lost = ATTEMPTS, None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = pathlib.Path(folder) / line.sent_name
        path.write_bytes(content)
        while True:
            attempts -= 1
            try:
                token = kaggle.upload(path, line.competition)
                listed = kaggle.submissions(line.competition)
                if arrived := find(line, listed):
                    return ledger.update(line, **_news(arrived))
                if (twins := _twins(line, listed, known)) and not confirm(twins):
                    return ledger.update(line, status=NOT_SENT)
                reference = kaggle.create(token, line.message, line.competition)
            except AnswerLost as failure:
                lost = failure
                if arrived := _search(kaggle, line, CHECKS_AFTER_REFUSAL if lost.refused else None):
                    return ledger.update(line, **_news(arrived))
                if lost.refused:
                    ledger.update(line, status=NOT_SENT)
                    raise lost.explained from None
                if lost.late or not attempts or (lost.pause or 0) > kaggle.retries.longest:
                    raise _unknown(lost) from None
            except (UserError, Failure) as failure:
                if lost is not None:
                    raise _unknown(failure) from None
                ledger.update(line, status=NOT_SENT)
                raise
            else:
                return ledger.update(line, reference=reference, status=PENDING)


def _twins(line: Line, listed: list[Submission], known: Collection[int]) -> list[str]:
    """Name a submission of the same content that the person does not know of: it was sent a moment ago."""
    for one in listed:
        if line.content_mark in one.file_name and one.reference not in known:
            return [f"the same predictions were sent from elsewhere a moment ago, as {one.file_name}"]
    return []


def _unknown(failure: Exception) -> Failure:
    return Failure(f"{str(failure).rstrip('.')}. Whether Kaggle has the submission is not known; {FIND_OUT}.")


def _search(kaggle: Kaggle, line: Line, most: int | None = None) -> Submission | None:
    """Search Kaggle's list for a submission again and again, at most `most` times; None if it does not turn up."""
    pauses = kaggle.retries.checks[:most]
    print(
        f"note: it is not known whether Kaggle has {line.file}; searching its list for up to {sum(pauses):.0f} s.",
        file=sys.stderr,
    )
    for pause in pauses:
        time.sleep(pause)
        try:
            arrived = find(line, kaggle.submissions(line.competition))
        except (UserError, Failure) as failure:
            raise _unknown(failure) from None
        if arrived:
            return arrived
    return None


def find(line: Line, listed: list[Submission]) -> Submission | None:
    """Return the submission among `listed` that is `line`'s, or None."""
    if line.reference is not None:
        return next((one for one in listed if one.reference == line.reference), None)
    return next((one for one in listed if line.mark in one.file_name), None)


def reconcile(kaggle: Kaggle, ledger: Ledger, competition: str) -> list[Submission]:
    """Bring the ledger in step with Kaggle's list; `ledger.sending` must be held.

    An intention that Kaggle does not list, not even after a while, was not sent. What was pending and is not listed
    after ten minutes (`Retries.settled`) is "not listed"; should it turn up again, it gets its score.

    Returns:
        Kaggle's list of the person's submissions, newest first.

    Raises:
        UserError, Failure: Kaggle cannot be asked, or the ledger not be written.
    """
    listed = kaggle.submissions(competition)
    for line in ledger.lines(competition):
        settled = _age(line) >= kaggle.retries.settled
        arrived = find(line, listed)
        if arrived is None and line.status == SENDING:
            arrived = None if settled else _search(kaggle, line)
            if arrived is None:
                ledger.update(line, status=NOT_SENT)
        elif arrived is None and line.status == PENDING and settled:
            ledger.update(line, status=NOT_LISTED)
        if arrived:
            ledger.update(line, **_news(arrived))
    return listed


def wait(kaggle: Kaggle, ledger: Ledger, line: Line) -> tuple[Line, list[Submission]]:
    """Wait for the score of a submission that Kaggle has; return the line and Kaggle's list.

    A network that fails in between is waited for too.

    Raises:
        Failure: no score within `Retries.score`; the line stays pending.
    """
    until = time.monotonic() + kaggle.retries.score
    for pause in kaggle.retries.between_polls():
        try:
            listed = kaggle.submissions(line.competition)
        except Failure as failure:
            reason = str(failure)
            print(f"note: {failure}", file=sys.stderr)
        else:
            arrived = find(line, listed)
            if arrived and arrived.status not in OPEN:
                return ledger.update(line, **_news(arrived)), listed
            reason = "Kaggle is still scoring" if arrived else "Kaggle does not list the submission yet"
        if time.monotonic() + pause >= until:
            break
        time.sleep(pause)
    raise Failure(f"no score yet ({reason.rstrip('.')}); `python -m kit.submit --status` continues to wait.")


def standing(line: Line, listed: list[Submission]) -> str:
    """Say where a score stands among the person's scores in the competition: "place 2 of your 7 scores here, …"."""
    own = line.public_score
    scores = {one.reference: one.public_score for one in listed if one.public_score is not None}
    if own is None or len(scores | {line.reference: own}) == 1:
        return "your first score here"
    others = [score for reference, score in scores.items() if reference != line.reference]
    metric = metrics.named(competitions.get(line.competition).metric)
    place = 1 + sum(metric.gain(score) > metric.gain(own) for score in others)
    best = max([own, *others], key=metric.gain)
    return f"place {place} of your {len(others) + 1} scores here, the best is {best:.5f}"


def _age(line: Line) -> float:
    """Return how many seconds ago the line was written, by this machine's clock; less than 0 if it was put back."""
    return (datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(line.time)).total_seconds()


def _news(arrived: Submission) -> dict[str, Any]:
    return {"reference": arrived.reference, "status": arrived.status, "public_score": arrived.public_score}
