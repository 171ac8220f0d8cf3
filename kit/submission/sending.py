"""Sending a submission once, and following it to its score.

Each function is given a connection (`kit.kaggle_client.Kaggle`) and the ledger; whoever sends or looks up what was
being sent holds `ledger.sending(competition)`, so that a line that says "sending" is that of a process that died.
"""

import pathlib
import sys
import tempfile
import time

from kit.errors import Failure, UserError
from kit.submission.ledger import NOT_SENT, OPEN, PENDING, SENDING, Ledger, Line

ATTEMPTS = 3
LOOK_LATER = "`python -m kit.submit --status` finds out, and nothing is sent twice"


def send(kaggle, ledger: Ledger, line: Line, content: bytes) -> Line:
    """Send what the intention `line` announces, and return the line with Kaggle's reference.

    After a lost answer Kaggle's list is looked at, and only what is not there is sent again; where the answer may be
    merely late, nothing is.

    Args:
        kaggle: the connection.
        ledger: where `line` stands.
        line: from `ledger.intend`.
        content: the bytes that were checked.

    Raises:
        UserError, Failure: nothing was sent, or it is not known; the line says which.
    """
    from kit.kaggle_client import AnswerLost

    attempts = ATTEMPTS
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / line.sent_name
        path.write_bytes(content)
        while True:
            attempts -= 1
            try:
                reference = kaggle.submit(path, line.message, line.competition)
            except AnswerLost as lost:
                arrived = _look(kaggle, line)
                if arrived:
                    return ledger.update(line, **_news(arrived))
                if lost.may_be_late or not attempts:
                    raise Failure(f"{lost} Whether Kaggle has the submission is not known; {LOOK_LATER}.") from None
            except (UserError, Failure):
                ledger.update(line, status=NOT_SENT)
                raise
            else:
                return ledger.update(line, reference=reference, status=PENDING)


def _look(kaggle, line: Line):
    """Look for a submission whose answer was lost, again and again for a while; None if it does not turn up."""
    print("note: Kaggle's answer was lost; looking whether it has the submission.", file=sys.stderr)
    for pause in kaggle.patience.looks:
        time.sleep(pause)
        try:
            arrived = find(line, kaggle.submissions(line.competition))
        except (UserError, Failure) as failure:
            raise Failure(f"{failure} Whether Kaggle has the submission is not known; {LOOK_LATER}.") from None
        if arrived:
            return arrived
    return None


def find(line: Line, listed: list):
    """Return the submission among `listed` that is `line`'s, or None."""
    fits = (one for one in listed if one.reference == line.reference or one.file_name == line.sent_name)
    return next(fits, None)


def reconcile(kaggle, ledger: Ledger, competition: str) -> list:
    """Bring the ledger in step with Kaggle's list; `ledger.sending` must be held.

    An intention that Kaggle does not list, not even after a while, was not sent.

    Returns:
        Kaggle's list of the person's submissions, newest first.

    Raises:
        UserError, Failure: Kaggle cannot be asked, or the ledger not be written.
    """
    listed = kaggle.submissions(competition)
    for line in ledger.lines(competition):
        arrived = find(line, listed)
        if arrived is None and line.status == SENDING:
            arrived = _look(kaggle, line)
            if arrived is None:
                ledger.update(line, status=NOT_SENT)
        if arrived:
            ledger.update(line, **_news(arrived))
    return listed


def wait(kaggle, ledger: Ledger, line: Line):
    """Wait for the score of a submission that Kaggle has; return (line, Kaggle's list).

    A network that fails in between is waited for too.

    Raises:
        Failure: no score within the patience; the line stays pending.
    """
    trouble = "Kaggle is still scoring"
    for pause in kaggle.patience.between_polls():
        try:
            listed = kaggle.submissions(line.competition)
        except Failure as failure:
            trouble = str(failure)
            print(f"note: {trouble}", file=sys.stderr)
        else:
            arrived = find(line, listed)
            if arrived and arrived.status not in OPEN:
                return ledger.update(line, **_news(arrived)), listed
        time.sleep(pause)
    raise Failure(f"no score yet ({trouble.rstrip('.')}); `python -m kit.submit --status` goes on waiting.")


def standing(line: Line, listed: list) -> str:
    """Say where a score stands among the person's scores in the competition: "place 2 of 7, best 0.99571"."""
    scores = {one.reference: one.public_score for one in listed if one.public_score is not None}
    scores[line.reference] = line.public_score
    place = 1 + sum(score > line.public_score for score in scores.values())
    if len(scores) == 1:
        return "your first score here"
    return f"place {place} of your {len(scores)} scores here, the best is {max(scores.values()):.5f}"


def _news(arrived) -> dict:
    return {"reference": arrived.reference, "status": arrived.status, "public_score": arrived.public_score}
