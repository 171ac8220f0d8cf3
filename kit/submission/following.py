"""From what was sent to its score."""

import sys
from collections.abc import Callable

from kit import competitions, metrics
from kit.errors import Failure, UserError, printable
from kit.kaggle_client import Kaggle, Retries, Submission
from kit.submission import selection, sending
from kit.submission.ledger import COMPLETE, NOT_LISTED, NOT_SENT, PENDING, Ledger, Line

Report = Callable[[str], None]
"""Shows a line to the person, or several."""


def follow(
    competition: str | None = None, *, wait: bool = True, report: Report = print, retries: Retries | None = None
) -> list[Line]:
    """Look up what was sent and has no score yet, and wait for the scores.

    Args:
        competition: its name; by default all of the ledger's.
        wait: whether to wait for scores that Kaggle does not have yet.
        report: shows what is found, a line or several at a time.
        retries: pauses and time-outs, other than the usual ones.

    Returns:
        The lines that were open, as they are now.

    Raises:
        UserError: no credentials, a damaged ledger, or a competition that Kaggle does not show to the person.
        Failure: a submission was not sent, or has no score. All others were looked up too.
    """
    ledger = Ledger()
    failures: list[UserError | Failure] = []
    lines: list[Line] = []
    names = recorded(ledger, competition)
    if not any(ledger.open_lines(name) for name in names):
        sent = any(ledger.lines(name) for name in names)
        report(
            "no submission waits for its score; `python -m kit.submit --list` shows them."
            if sent
            else "nothing has been submitted yet; `python -m kit.submit --help` says how."
        )
        return []
    kaggle = Kaggle(retries)
    for name in names:
        before = {line.time for line in ledger.open_lines(name)}
        if not before:
            continue
        try:
            with ledger.sending(name, waiting):
                sending.reconcile(kaggle, ledger, name)
        except (UserError, Failure) as failure:
            failures.append(failure)
            continue
        for line in ledger.lines(name):
            if line.time not in before:
                continue
            report(f"{line.file}, {line.time[:16].replace('T', ' ')} UTC: {line.status}")
            try:
                if wait or line.status != PENDING:
                    line, _ = score(kaggle, ledger, line, report)
            except Failure as failure:
                failures.append(failure)
            lines.append(line)
    for failed in failures[:-1]:
        print(f"note: {printable(failed)}", file=sys.stderr)
    if failures:
        raise failures[-1]
    return lines


def recorded(ledger: Ledger, competition: str | None) -> list[str]:
    """Return the name of the competition that is given, else of those in the ledger, else of the default one."""
    if competition:
        return [competitions.get(competition).name]
    return sorted({line.competition for line in ledger.lines()}) or [selection.DEFAULT]


def score(kaggle: Kaggle, ledger: Ledger, line: Line, report: Report) -> tuple[Line, list[Submission]]:
    """Wait for a line's score and show it.

    Raises:
        Failure: there is none.
    """
    page = f"https://www.kaggle.com/competitions/{line.competition}/submissions"
    if line.status == NOT_SENT:
        raise Failure(f"Kaggle does not have {line.file}; submit it again.")
    if line.status == NOT_LISTED:
        raise Failure(f"Kaggle no longer lists {line.file} (reference {line.reference}), so it has no score: {page}.")
    print("waiting for the score; after Ctrl-C, `python -m kit.submit --status` continues.", file=sys.stderr)
    line, listed = sending.wait(kaggle, ledger, line)
    if line.status != COMPLETE or line.public_score is None:
        arrived = sending.find(line, listed)
        reason = (arrived.reason if arrived else "") or "Kaggle gives no reason"
        raise Failure(f"Kaggle could not score {line.file}: {reason.rstrip('.')}; see {page}.")
    report(f"public score: {line.public_score:.5f}, {sending.standing(line, listed)}")
    if line.validation_score is not None:
        gap = line.public_score - line.validation_score
        report(
            f"validation:   {line.validation_score:.5f}, the public score is {abs(gap):.5f} "
            f"{'higher' if gap > 0 else 'lower'}{_direction(line.metric, gap)}"
        )
    return line, listed


def _direction(metric: str, gap: float) -> str:
    """Say what a gap means where a lower score is better, which few people expect."""
    if metrics.named(metric).higher_is_better:
        return ""
    return f", which is {'worse' if gap > 0 else 'better'}: {metric}"


def waiting() -> None:
    """Tell the person why nothing happens."""
    print("another process is sending to this competition; waiting for it.", file=sys.stderr)
