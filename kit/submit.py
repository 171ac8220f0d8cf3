"""python -m kit.submit: send a checked submission to Kaggle, once, and follow it to its score.

Without CSV it is the competition's newest. Every submission is a line in submissions/ledger.csv.
"""

import argparse
import contextlib
import datetime
import os
import pathlib
import sys

from kit import competitions
from kit.command_line import DONE, FAILED, command
from kit.errors import Failure, UserError

DEFAULT = "digit-recognizer"


def parser() -> argparse.ArgumentParser:
    """Return the command's flags."""
    made = argparse.ArgumentParser(prog="python -m kit.submit", description=__doc__.partition(": ")[2])
    made.add_argument("csv", nargs="?", metavar="CSV", type=pathlib.Path, help="the submission to send")
    made.add_argument("--competition", help=f"Kaggle's name of it; by default the CSV's own, else {DEFAULT}")
    made.add_argument("--message", help="the description on Kaggle; by default network, accuracy and data of the run")
    made.add_argument("--yes", action="store_true", help="send it even where it looks wrong")
    made.add_argument("--no-wait", action="store_true", help="do not wait for the score")
    made.add_argument("--data-dir", default="data", help="the folder of all data (%(default)s)")
    instead = made.add_mutually_exclusive_group()
    instead.add_argument("--dry-run", action="store_true", help="check and show, and stop before the network")
    instead.add_argument("--status", action="store_true", help="look up what was sent, and wait for scores")
    instead.add_argument("--list", action="store_true", help="show all submissions, best first, and draw them")
    return made


@command
def main(argv: list[str] | None = None) -> int:
    """Run `python -m kit.submit`; see `--help`."""
    arguments = parser().parse_args(argv)
    if arguments.csv and (arguments.status or arguments.list):
        raise UserError("--status and --list are about all submissions; leave the CSV out.")

    from kit.kaggle_client import RETRIES

    return run(arguments, RETRIES)


def run(arguments: argparse.Namespace, patience) -> int:
    """Do what the flags say; `patience` is a `kit.kaggle_client.Retries`."""
    if arguments.status:
        return _status(arguments, patience)
    if arguments.list:
        return _list(arguments, patience)
    return _submit(arguments, patience)


def _submit(arguments: argparse.Namespace, patience) -> int:
    from kit import submission
    from kit.submission import distribution, provenance, sending
    from kit.submission.ledger import Ledger, Line

    path, competition = _chosen(arguments)
    origin = provenance.run_of(path, competition) if path.is_file() else None
    metrics = provenance.guard_against_leaks(origin, competition) if origin else {}
    checked = submission.check(path, competition, submission.find_sample_submission(competition, arguments.data_dir))
    training = distribution.training_shares(competition, arguments.data_dir)
    line = Line(
        competition=competition.name,
        file=path.as_posix(),
        sha256=checked.sha256,
        run=origin.name if origin else "",
        validation_accuracy=metrics.get("validation_accuracy"),
        message=" ".join((arguments.message or provenance.message(origin, metrics, path)).split()),
    )
    _show(line, checked, metrics, training, competition)
    ledger = Ledger()
    doubts = distribution.doubts(checked.labels, training, competition)
    if arguments.dry_run:
        for doubt in doubts + _sent_before(line, ledger, []):
            print(f"look: {doubt}.")
        print("dry run: nothing was sent.")
        return DONE
    if not _confirmed(doubts, arguments.yes):
        return FAILED

    from kit.kaggle_client import Kaggle

    kaggle = Kaggle(patience)
    with ledger.sending(competition.name, _waiting):
        listed = sending.reconcile(kaggle, ledger, competition.name)
        _check_limit(kaggle.limits(competition.name), listed, competition)
        if not _confirmed(_sent_before(line, ledger, listed), arguments.yes):
            return FAILED
        line = sending.send(kaggle, ledger, ledger.intend(line), checked.content)
    print(f"sent: Kaggle's reference is {line.reference}")
    if arguments.no_wait:
        return DONE
    return _follow(kaggle, ledger, line)


def _status(arguments: argparse.Namespace, patience) -> int:
    from kit.kaggle_client import Kaggle
    from kit.submission import sending
    from kit.submission.ledger import PENDING, Ledger

    ledger = Ledger()
    wanted = [competitions.get(arguments.competition).name] if arguments.competition else _competitions(ledger)
    still = [name for name in wanted if _open(ledger, name)]
    if not still:
        print("every submission has its score; `python -m kit.submit --list` shows them.")
        return DONE
    kaggle, worst = Kaggle(patience), DONE
    for name in still:
        before = _open(ledger, name)
        with ledger.sending(name, _waiting):
            sending.reconcile(kaggle, ledger, name)
        now = {line.time: line for line in ledger.lines(name)}
        for line in (now[one.time] for one in before):
            print(f"{line.file}, {line.time}: {line.status}")
            if line.status != PENDING or not arguments.no_wait:
                worst = max(worst, _follow(kaggle, ledger, line))
    return worst


def _list(arguments: argparse.Namespace, patience) -> int:
    from kit.kaggle_client import Kaggle
    from kit.submission import history, sending
    from kit.submission.ledger import Ledger

    ledger = Ledger()
    wanted = [competitions.get(arguments.competition).name] if arguments.competition else _competitions(ledger)
    try:
        kaggle = Kaggle(patience)
    except UserError as error:
        print(f"note: scores as last known; {error}", file=sys.stderr)
        kaggle = None
    for name in wanted:
        listed = []
        if kaggle:
            try:
                with ledger.sending(name, _waiting):
                    listed = sending.reconcile(kaggle, ledger, name)
            except (UserError, Failure) as error:
                print(f"note: scores as last known; {error}", file=sys.stderr)
        entries = history.best_first(ledger.lines(name), listed)
        print(f"{name}\n{history.table(entries)}")
        if figure := history.draw(entries, name):
            print(f"figure: {figure}")
    return DONE


def _chosen(arguments: argparse.Namespace) -> tuple[pathlib.Path, competitions.Competition]:
    from kit.submission import provenance

    own = provenance.competition_of(arguments.csv) if arguments.csv else None
    if arguments.competition and own and own != arguments.competition:
        raise UserError(f"{arguments.csv} is of {own}, and --competition says {arguments.competition}; leave it out.")
    competition = competitions.get(arguments.competition or own or DEFAULT)
    return arguments.csv or provenance.newest(competition), competition


def _show(line, checked, metrics: dict, training, competition) -> None:
    from kit.submission import distribution
    from kit.submission.provenance import accuracy_name

    print(f"competition: {line.competition}")
    print(f"file:        {line.file}, {len(checked.labels):,} rows, SHA-256 {line.sha256[:8]}…")
    print(f"run:         {line.run or 'none; where these predictions come from is not known'}")
    if line.validation_accuracy is not None:
        print(f"             {accuracy_name(metrics)} {line.validation_accuracy:.5f}")
    print(f"message:     {line.message}")
    print(distribution.table(checked.shares(competition.classes), training, competition))


def _check_limit(limits, listed: list, competition) -> None:
    now = datetime.datetime.now(datetime.UTC)
    today = sum(one.time is not None and one.time.date() == now.date() for one in listed)
    left = limits.left if limits else competition.daily_limit - today
    if left <= 0 and limits and not limits.today:
        raise UserError(f"Kaggle takes no more submissions to {competition.name}; {competition.page} may say why.")
    if left <= 0:
        hours, minutes = divmod(24 * 60 - now.hour * 60 - now.minute, 60)
        raise UserError(
            f"today's {limits.today if limits else today} submissions to {competition.name} are used up; Kaggle's next "
            f"day begins at 00:00 UTC, in {hours} h {minutes:02} min."
        )
    print(f"submissions left today: {left}")


def _sent_before(line, ledger, listed: list) -> list[str]:
    """Say whether the same predictions were sent before, by the ledger or by Kaggle's list."""
    from kit.submission.ledger import NOT_SENT

    known = [one for one in ledger.lines(line.competition) if one.sha256 == line.sha256 and one.status != NOT_SENT]
    if known:
        score = f", score {known[-1].public_score:.5f}" if known[-1].public_score is not None else ""
        return [f"the same predictions were sent on {known[-1].time[:16].replace('T', ' ')} UTC{score}"]
    name = pathlib.PurePath(line.file).name
    size = pathlib.Path(line.file).stat().st_size
    for one in listed:
        if f".{line.sha256[:8]}." in one.file_name or (one.file_name == name and one.size == size):
            when = f" on {one.time:%Y-%m-%d %H:%M} UTC" if one.time else ""
            return [f"Kaggle has {one.file_name} already, sent{when} from elsewhere (reference {one.reference})"]
    return []


def _confirmed(doubts: list[str], yes: bool) -> bool:
    for doubt in doubts:
        print(f"look: {doubt}.")
    if yes or not doubts:
        return True
    # In a notebook, `!python -m kit.submit` has a terminal at which nobody can answer.
    if not sys.stdin or not sys.stdin.isatty() or "JPY_PARENT_PID" in os.environ:
        raise UserError(f"{doubts[0]}; nothing was sent; to send it all the same, add --yes.")
    with contextlib.suppress(EOFError):
        if input("send it all the same? [y/N] ").strip().lower() in ("y", "yes"):
            return True
    print("nothing was sent.")
    return False


def _follow(kaggle, ledger, line) -> int:
    """Wait for a line's score and print it; 1 where there is none."""
    from kit.submission import sending
    from kit.submission.ledger import COMPLETE, NOT_SENT

    if line.status == NOT_SENT:
        print("Kaggle does not have it; submit it again.")
        return FAILED
    print("waiting for the score; Ctrl-C and later `python -m kit.submit --status` is fine too.", file=sys.stderr)
    line, listed = sending.wait(kaggle, ledger, line)
    if line.status != COMPLETE or line.public_score is None:
        reason = sending.find(line, listed).reason or "Kaggle gives no reason"
        page = f"{competitions.get(line.competition).page}/submissions"
        print(f"failed: Kaggle could not score {line.file}: {reason.rstrip('.')}; see {page}.", file=sys.stderr)
        return FAILED
    print(f"public score: {line.public_score:.5f}, {sending.standing(line, listed)}")
    if line.validation_accuracy is not None:
        gap = line.public_score - line.validation_accuracy
        print(
            f"validation:   {line.validation_accuracy:.5f}, the public score is {abs(gap):.5f} "
            f"{'higher' if gap > 0 else 'lower'}"
        )
    return DONE


def _competitions(ledger) -> list[str]:
    return sorted({line.competition for line in ledger.lines()}) or [DEFAULT]


def _open(ledger, competition: str) -> list:
    from kit.submission.ledger import OPEN

    return [line for line in ledger.lines(competition) if line.status in OPEN]


def _waiting() -> None:
    print("another process is sending to this competition; waiting for it.", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
