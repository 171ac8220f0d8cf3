"""Which run a person means."""

import os
import pathlib
import shlex

from kit import competitions
from kit.errors import UserError
from kit.suggestions import nearest
from kit.tracking.run import RUNS, Run

LONGEST_NAME = 100  # bytes; file systems take 255, and file names are made of it


def every(competition: str | None = None) -> list[Run]:
    """Return all runs, finished or not, of one competition or of all, oldest first."""
    times = {}
    for path in RUNS.glob(f"{competition or '*'}/*/config.yaml"):
        try:
            times[path.parent] = path.stat().st_mtime
        except OSError:
            continue  # removed a moment ago, or a link that leads nowhere
    return [Run(folder) for folder in sorted(times, key=lambda folder: (times[folder], folder))]


def find(reference: str, competition: str | None = None) -> Run:
    """Return the run that `reference` means: a run's folder, or its name, or its competition's and its name.

    Raises:
        UserError: there is none, or a name that several competitions have; says which there are.
    """
    if reference and os.path.exists(os.path.join(reference, "config.yaml")):
        folder = pathlib.Path(os.path.normpath(reference))
        return Run(folder if folder.name not in ("", "..") else pathlib.Path(os.path.abspath(folder)))
    known = every(competition)
    fitting = [run for run in known if reference in (run.name, f"{run.competition}/{run.name}")]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        folders = ", ".join(str(run.folder) for run in fitting)
        raise UserError(f"several runs are called {reference!r}: {folders}; give the folder.")
    hint = nearest(reference[:200], [run.name for run in known]) or " `python -m kit.runs` shows the runs."
    raise UserError(f"there is no run {reference[:200]!r}.{hint}")


def unfinished(competition: str | None = None) -> list[Run]:
    """Return the trainings and plans that were begun and are not complete, newest first; damaged ones are left out."""
    found = []
    for run in reversed(every(competition)):
        try:
            if run.state in ("begun", "trained") and run.config().kind in ("network", "plan"):
                found.append(run)
        except UserError:
            continue
    return found


def new(competition: str, name: str) -> Run:
    """Return the run called `name`, which must not exist yet.

    Raises:
        UserError: as `place`, or it exists already.
    """
    run = place(competition, name)
    if run.state == "complete":
        raise UserError(f"{run.folder} exists already; take another --name, or remove it.")
    if run.state != "absent":
        raise UserError(f"{run.folder} was begun and not finished; go on with --resume, or take another --name.")
    return run


def unused(competition: str, stem: str) -> Run:
    """Return the run called `stem`, or `stem-2`, `stem-3` …, the first that does not exist yet."""
    number = 1
    while (run := place(competition, stem if number == 1 else f"{stem}-{number}")).folder.exists():
        number += 1
    return run


def reference(run: Run) -> str:
    """Return what to type for a run: its name, or its competition's and its name where others are called so too."""
    same = [other for other in every() if other.name == run.name]
    return shlex.quote(run.name if len(same) < 2 else f"{run.competition}/{run.name}")


def place(competition: str, name: str) -> Run:
    """Return the run called `name`, whether or not it exists yet.

    Raises:
        UserError: `name` cannot be a folder's name, or the competition is unknown.
    """
    unusable = any(letter in '/\\:*?"<>|' or not letter.isprintable() for letter in name)
    if not name or name[0] in ".-" or name[-1] == "." or unusable or name != name.strip() or _too_long(name):
        raise UserError(
            f"{name[:60]!r} cannot name a run; use up to {LONGEST_NAME} letters, digits, '-', '_' and '.', and begin "
            "with a letter or a digit."
        )
    return Run(RUNS / competitions.get(competition).name / name)


def _too_long(name: str) -> bool:
    return len(name.encode()) > LONGEST_NAME
