"""A submission from the choice of a run to its score, for `python -m kit.submit` and for `run.submit()`."""

import datetime
import os
from dataclasses import dataclass, field

from kit.competitions import Competition
from kit.errors import UserError
from kit.kaggle_client import Kaggle, Limits, Retries, Submission
from kit.submission import following, sending
from kit.submission.following import Report
from kit.submission.ledger import NOT_SENT, Ledger, Line
from kit.submission.preparation import Prepared, prepare, sent_before
from kit.submission.sending import Confirm
from kit.tracking import Run


@dataclass(frozen=True, repr=False)
class Result:
    """What became of a submission.

    Attributes:
        prepared: what was checked.
        line: the ledger's; None where nothing was to be sent.
        listed: Kaggle's list of the person's submissions, newest first.
    """

    prepared: Prepared
    line: Line | None = None
    listed: list[Submission] = field(default_factory=list)

    def __repr__(self) -> str:
        state = f"reference {self.line.reference}, {self.line.status}" if self.line and self.sent else "not sent"
        score = "" if self.public_score is None else f", public score {self.public_score:.5f}"
        return f"<Submission {self.prepared.line.file}: {state}{score}>"

    @property
    def sent(self) -> bool:
        """Whether Kaggle has it."""
        return self.line is not None and self.line.reference is not None

    @property
    def public_score(self) -> float | None:
        """The public score; None while there is none."""
        return self.line.public_score if self.line else None


def refuse(doubts: list[str]) -> bool:
    """Send nothing that is doubtful; for callers who can ask nobody.

    Raises:
        UserError: always.
    """
    raise UserError(f"{doubts[0]}; nothing was sent. To send it all the same: `confirm=lambda doubts: True`.")


def submit(
    target: Run | str | os.PathLike[str] | None = None,
    competition: str | None = None,
    *,
    best: bool = False,
    message: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    wait: bool = True,
    confirm: Confirm = refuse,
    report: Report = print,
    retries: Retries | None = None,
) -> Result:
    """Check a submission, send it once, and wait for its score.

    Args:
        target: a run, its name or folder, or a CSV; None for the newest CSV of the competition.
        competition: its name; by default the target's own, else digit-recognizer.
        best: take the run with the best validation score instead of `target`.
        message: the description on Kaggle; by default network, score and data of the run.
        data_dir: the folder of all data; by default the run's own, else data/.
        dry_run: check and show, and stop before the network.
        wait: whether to wait for the score.
        confirm: asked with a list of doubts, such as "all 28,000 predictions are 1", whether to send all the same.
        report: shows what is checked and what happens, a line or several at a time.
        retries: pauses and time-outs, other than the usual ones.

    Returns:
        What became of it; `sent` is False after a dry run, and where it was not confirmed.

    Raises:
        UserError: what is wrong with it, the credentials or the day's limit; nothing was sent.
        Failure: Kaggle or the network failed, or Kaggle cannot score it; the text says whether it was sent.
    """
    prepared = prepare(target, competition, best=best, message=message, data_dir=data_dir)
    report(str(prepared))
    ledger, line = Ledger(), prepared.line
    if dry_run:
        for doubt in [*prepared.doubts, *sent_before(prepared, ledger, [])]:
            report(f"check: {doubt}.")
        if prepared.competition.code_only:
            report(f"check: {notebooks_only(prepared.competition)}")
        report("dry run: nothing was sent.")
        return Result(prepared)
    if prepared.competition.code_only:
        raise UserError(notebooks_only(prepared.competition))

    def confirmed(doubts: list[str]) -> bool:
        for doubt in doubts:
            report(f"check: {doubt}.")
        return not doubts or confirm(doubts)

    if not confirmed(prepared.doubts):
        return Result(prepared)
    kaggle = Kaggle(retries)
    with ledger.sending(line.competition, following.waiting):
        listed = sending.reconcile(kaggle, ledger, line.competition)
        report(_submissions_left(kaggle.limits(line.competition), listed, prepared.competition))
        if not confirmed(sent_before(prepared, ledger, listed)):
            return Result(prepared, listed=listed)
        known = {one.reference for one in listed}
        line = sending.send(kaggle, ledger, ledger.intend(line), prepared.checked.content, known, confirmed)
    if line.status == NOT_SENT:
        return Result(prepared, line, listed)
    report(f"sent: Kaggle's reference is {line.reference}")
    if wait:
        line, listed = following.score(kaggle, ledger, line, report)
    return Result(prepared, line, listed)


def notebooks_only(competition: Competition) -> str:
    """Say what to do where Kaggle takes no CSV."""
    return (
        f"{competition.name} takes notebooks only, no CSV: train in a Kaggle notebook with the competition's data "
        f"(`python -m kit.remote` trains there), let it write submission.csv, "
        f"and submit its output on {competition.page}."
    )


def _submissions_left(limits: Limits | None, listed: list[Submission], competition: Competition) -> str:
    """Say how many submissions are left today, by Kaggle's count, else by its list.

    Raises:
        UserError: none.
    """
    now = datetime.datetime.now(datetime.UTC)
    today = limits.today if limits else sum(one.time is not None and one.time.date() == now.date() for one in listed)
    left = limits.left if limits else competition.daily_limit - today
    if left > 0:
        return f"submissions left today: {left}"
    if limits and not today:
        raise UserError(f"Kaggle takes no more submissions to {competition.name}; {competition.page} may say why.")
    hours, minutes = divmod(24 * 60 - now.hour * 60 - now.minute, 60)
    raise UserError(
        f"today's {today} submissions to {competition.name} are used up; Kaggle's next day begins at 00:00 UTC, in "
        f"{hours} h {minutes:02} min."
    )
