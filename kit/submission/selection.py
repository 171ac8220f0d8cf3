"""Which submission is meant: a CSV, a run, the newest, or the best."""

import os
import pathlib
import sys
import time
from dataclasses import dataclass

from kit import competitions, metrics, tracking
from kit.competitions import Competition
from kit.errors import UserError, printable
from kit.submission import csv_file, provenance
from kit.tracking import Metrics, Run

DEFAULT = "digit-recognizer"
CLOCKS = 300  # seconds by which the clocks of a machine and of its file server may differ


@dataclass(frozen=True)
class Candidate:
    """A run that may be submitted, with what it reached.

    Attributes:
        run, metrics: the run and its `metrics.json`.
        gain: its validation score by the competition's metric; higher is better.
    """

    run: Run
    metrics: Metrics
    gain: float


def choose(
    target: Run | str | os.PathLike[str] | None, competition: str | None, best: bool
) -> tuple[pathlib.Path, Competition]:
    """Return the CSV that is meant, and its competition.

    Args:
        target: a run, its name or folder, or a CSV; None for the newest CSV of the competition.
        competition: its name; None for the target's own, else digit-recognizer.
        best: take the best run instead.

    Raises:
        UserError: there is no such run or CSV, or the run is not complete.
    """
    if best and target is not None:
        raise UserError("--best chooses the run itself; leave the run out.")
    if target is None:
        wanted = competitions.get(competition or DEFAULT)
        return (submission_of(best_run(wanted)) if best else newest(wanted)), wanted
    found = target if isinstance(target, Run) else _meant(os.fspath(target), competition)
    if isinstance(found, Run):
        return submission_of(found), _competition(competition, found.competition, f"run {found.name}")
    return found, _competition(competition, provenance.competition_of(found), str(found))


def _meant(target: str, competition: str | None) -> Run | pathlib.Path:
    """Return the CSV, if it is called so; else the run of that name or folder; else the file, if there is one."""
    path = pathlib.Path(target)
    if path.suffix.lower() == ".csv":
        csv_file.check_exists(path)
        return path
    try:
        return tracking.find(target, competition)
    except UserError:
        if target and os.path.isfile(path):
            return path
        raise


def _competition(given: str | None, own: str | None, what: str) -> Competition:
    if given and own and given != own:
        raise UserError(f"{what} is of {own}, and --competition says {given}; leave it out.")
    return competitions.get(given or own or DEFAULT)


def submission_of(run: Run) -> pathlib.Path:
    """Return a complete run's CSV.

    Raises:
        UserError: the run is not complete, or its CSV is gone.
    """
    run.metrics()
    if run.state != "complete":
        raise UserError(f"{run.folder} is not complete; go on with `{run.resume_command}`.")
    if not run.submission.exists():
        raise UserError(
            f"{run.submission} is missing; write it again: `python -m kit.predict {tracking.reference(run)}`."
        )
    return run.submission


def newest(competition: Competition) -> pathlib.Path:
    """Return the competition's newest submission CSV, by the date on which it was written.

    A date in the future, of a wrong clock or an unpacked archive, says nothing: such a file comes after all others, and
    a note names it.

    Raises:
        UserError: there is none.
    """
    folder = tracking.SUBMISSIONS / competition.name
    dates, now = {}, time.time()
    for path in sorted(folder.glob("*.csv")):
        try:
            if not path.name.startswith(".") and path.is_file():  # a dot: not yet whole, of a process that was killed
                dates[path] = path.stat().st_mtime
        except OSError:
            continue
    if not dates:
        raise UserError(
            f"{folder} has no submission; train first: `python -m kit.train --competition {competition.name}`."
        )
    future = [path for path, date in dates.items() if date > now + CLOCKS]
    for path in future:
        print(
            f"note: {printable(path)} has a date in the future and does not count as the newest; to send it, name it.",
            file=sys.stderr,
        )
    return max(dates, key=lambda path: (path not in future, dates[path]))


def candidates(competition: Competition) -> list[Candidate]:
    """Return the complete runs of a competition that may be submitted and have a validation score, best first.

    Runs that were trained on a part of the images are left out: they were validated on a part too. So are damaged ones,
    and those that were scored by another metric than the competition's.
    """
    found = []
    for run in tracking.every(competition.name):
        try:
            if run.state != "complete" or run.config().data.limit:
                continue
            reached = provenance.guard_against_leaks(run, competition)
        except UserError:
            continue
        if reached.score is not None and reached.metric == competition.metric:
            found.append(Candidate(run, reached, metrics.named(reached.metric).gain(reached.score)))
    return sorted(found, key=lambda candidate: candidate.gain, reverse=True)


def best_run(competition: Competition) -> Run:
    """Return the run with the best validation score among `candidates`; of equal ones the oldest.

    Raises:
        UserError: there is none.
    """
    found = candidates(competition)
    if not found:
        raise UserError(
            f"no complete run of {competition.name} has a validation {competition.metric} and may be submitted; "
            f"train one: `python -m kit.train --competition {competition.name} --source kaggle`."
        )
    return found[0].run


def better(run: Run, reached: Metrics, competition: Competition) -> list[str]:
    """Name the best run where it is better than `run`."""
    first = next(iter(candidates(competition)), None)
    metric, own = metrics.named(competition.metric), reached.score
    if (
        first is None
        or own is None
        or reached.metric != metric.name
        or first.gain <= metric.gain(own)
        or first.run.folder.resolve() == run.folder.resolve()
    ):
        return []
    error = first.metrics.score_error
    return [
        f"run {first.run.name} has a better validation {metric.name}, {metric.gain(first.gain):.5f} ± "
        f"{error or 0:.5f}; "
        "`python -m kit.submit --best` sends it"
    ]
