"""A run's life, from the first byte to the last: one process at a time, and nothing half removed is gone on from."""

import contextlib
import dataclasses
import fnmatch
import os
import pathlib
import shutil
import unicodedata
from collections.abc import Iterator
from typing import Any, Literal, Protocol, TypeVar

from kit import files, locks
from kit.errors import Failure, UserError, kind_of
from kit.tracking import schema
from kit.tracking.schema import Config

MOST_OF_A_NAME = 20  # default names that are taken already: name-2, name-3 …
Existing = Literal["refuse", "resume", "restart"]


class Begun(Protocol):
    """What a life needs of a run; see `kit.tracking.Run`."""

    @property
    def folder(self) -> pathlib.Path:
        """Where it lies."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def state(self) -> str:
        """How far it has come."""

    @property
    def working(self) -> pathlib.Path:
        """What it goes on from."""

    @property
    def figures(self) -> pathlib.Path:
        """Its PNGs."""

    @property
    def elsewhere(self) -> bool:
        """Whether a session on another machine works at it."""

    @property
    def resume_command(self) -> str:
        """What to type to go on with it."""

    def config(self) -> Config:
        """What it is."""

    def check_writable(self) -> None:
        """Check that its files can be written."""


AnyRun = TypeVar("AnyRun", bound=Begun)


class _Taken(UserError):
    """The name is in use."""


@contextlib.contextmanager
def begin(run: AnyRun, config: Config, existing: Existing, unique: bool) -> Iterator[AnyRun]:
    """Begin a run, or go on with it, as `Run.begin` says."""
    with _free(run, config, existing, unique) as run:
        new = run.state == "absent"
        run.check_writable()
        try:
            with writing(run.folder):
                run.working.mkdir(parents=True, exist_ok=True)
                if new:
                    files.write_text(run.folder / "config.yaml", schema.yaml_text(config))
            yield run
            with writing(run.folder):
                for folder in (run.folder, run.figures):
                    files.sweep(folder)
                shutil.rmtree(run.working)
        except BaseException:
            if existing == "restart" or (new and run.state == "absent"):
                with contextlib.suppress(OSError):
                    _remove(run.folder)
            raise


@contextlib.contextmanager
def locked(run: Begun) -> Iterator[None]:
    """Hold the run's lock for the length of the block; a run that links lead to has one lock under all its names.

    Raises:
        UserError: another process is at it, or the folder cannot be written.
    """
    folder = pathlib.Path(os.path.realpath(run.folder))
    try:
        with locks.locked(folder.parent / ".locks" / f"{folder.name}.lock", wait=False):
            yield
    except locks.Busy:
        raise _Taken(f"{run.folder} is being written by another process; let it finish.") from None


@contextlib.contextmanager
def _free(run: AnyRun, config: Config, existing: Existing, unique: bool) -> Iterator[AnyRun]:
    """The first of name, name-2, … that may be begun, with its lock held."""
    for number in range(1, MOST_OF_A_NAME + 1):
        one = run if number == 1 else _renamed(run, f"{run.name}-{number}")
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(one))
                _check_free(one, config, existing)
            except _Taken:
                if unique and number < MOST_OF_A_NAME:
                    continue
                raise
            yield one
            return


def same_on_other_disks(folder: pathlib.Path) -> pathlib.Path | None:
    """Return the folder beside `folder` that would be the same on a disk that ignores capitals; None without one."""
    with contextlib.suppress(OSError):
        for other in folder.parent.iterdir():
            if other.name != folder.name and _folded(other.name) == _folded(folder.name):
                return other
    return None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _renamed(run: Any, name: str) -> Any:
    return dataclasses.replace(run, folder=run.folder.with_name(name))


def _check_free(run: Begun, config: Config, existing: Existing) -> None:
    if run.state == "absent":
        _check_empty(run.folder)
        if twin := same_on_other_disks(run.folder):
            raise _Taken(f"{twin} differs from {run.name} in its capitals only; take another --name, or remove it.")
    elif run.elsewhere:
        raise _Taken(f"{run.folder} is being trained on Kaggle: `{run.resume_command}`; or take another --name.")
    elif run.state == "complete":
        raise _Taken(f"{run.folder} exists already; take another --name, or remove it.")
    elif existing == "restart":
        with writing(run.folder):
            _remove(run.folder)
    elif existing == "refuse":
        raise _Taken(f"{run.folder} was begun and not finished; go on with --resume, or take another --name.")
    elif difference := _difference(run.config(), config):
        raise UserError(f"{run.folder} was begun otherwise: {difference}; take another --name to begin anew.")


def _check_empty(folder: pathlib.Path) -> None:
    """Refuse a folder that holds anything: a lost config's predictions would be taken for the new run's.

    A process that was killed before the config was whole leaves an empty `.working` and a part of the config.
    """
    with writing(folder):
        if not os.path.lexists(folder):
            return
        for entry in list(folder.iterdir()):
            working = entry.name == ".working" and entry.is_dir() and not os.listdir(entry)
            if not working and not fnmatch.fnmatch(entry.name, ".config-????????.yaml"):
                raise _Taken(f"{folder} has files, but no config.yaml; take another --name, or remove it.")


def _remove(folder: pathlib.Path) -> None:
    """Remove a run, its config last: until then it is a run that can be begun anew. A link's target is emptied."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == "config.yaml"):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if not folder.is_symlink():
        folder.rmdir()


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[None]:
    """Say in a line what stands in the way of writing `path`.

    Raises:
        UserError: it may not be written.
        Failure: the disk is full, or broken.
    """
    try:
        yield
    except OSError as error:
        kind = kind_of(error)
        remedy = "make way for it, or use another folder"
        if kind is Failure:
            remedy = "make room, and give the command again"
        raise kind(f"{path} cannot be written ({error.strerror or error}); {remedy}.") from None


def check_writable(path: pathlib.Path, size: int = 0) -> None:
    """Check that a file of `size` bytes can be written to `path`, before the work for it; nothing changes.

    Raises:
        UserError, Failure: as `writing`.
    """
    with writing(path):
        files.check_writable(path, size)


def _difference(begun: Config, asked: Config) -> str:
    """Say where the config of a run that was begun is not the one asked for; an empty text where it is the same."""
    if begun.kind != asked.kind:
        return f"it is a run of kind {begun.kind}"
    for name in ("competition", "source", "limit", "fingerprint"):
        before, now = getattr(begun.data, name), getattr(asked.data, name)
        if before != now:
            if name == "fingerprint":
                return f"its images, its labels or their order were not those of {asked.data.folder}"
            return f"its {name} was {before}, not {now}"
    if begun.data.extra != asked.data.extra:
        return f"its --extra-data was {_named(begun)}, not {_named(asked)}"
    if begun.recipe and asked.recipe:
        for name, (before, now) in begun.recipe.differences(asked.recipe).items():
            return f"its {name} was {before}, not {now}"
    if begun.kind == "plan":
        return asked.planned().difference(begun.planned())
    return "" if begun.parent == asked.parent else f"its parent was {begun.parent}"


def _named(config: Config) -> str:
    extra = config.data.extra
    return "none" if extra is None else f"{extra.images:,} images of {extra.folder} ({extra.fingerprint[:12]}…)"
