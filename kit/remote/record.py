"""`remote.json` in a run's folder: what was pushed, written before anything is sent."""

import contextlib
import datetime
import json
import pathlib
from typing import Annotated, Final, Literal

import pydantic

from kit import files, tracking
from kit.errors import UserError, printable
from kit.kaggle_client import Kernel
from kit.suggestions import nearest
from kit.tracking import Run, life

Accelerator = Literal["t4x2", "tpu", "none"]
MACHINES: dict[str, str | None] = {"t4x2": "NvidiaTeslaT4", "tpu": "TpuV5E8", "none": None}
"""Kaggle's names of the accelerators. Without one, asking for a GPU has given a P100, which TensorFlow cannot use."""
QUOTA_KINDS = {"t4x2": "gpu", "tpu": "tpu"}
LONGEST = {"t4x2": 12 * 3600, "tpu": 9 * 3600, "none": 12 * 3600}
"""How many seconds Kaggle lets a session run at most."""
MOST_FILES = 5000
MOST = 1 << 53  # of a version or of seconds
LARGEST = 1 << 24  # bytes of a record; real ones have some thousand

SENDING: Final = "sending"
SENT: Final = "sent"
PAUSED: Final = "paused"
FAILED: Final = "failed"
FETCHED: Final = "fetched"


def _utc(text: str) -> str:
    if datetime.datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("it has no time zone")
    return text


def _plain(text: str) -> str:
    if printable(text) != text:
        raise ValueError("it has a control character")
    return text


Text = Annotated[str, pydantic.AfterValidator(_plain)]
Slug = Annotated[Text, pydantic.Field(pattern=r"^[^\s/\\?#%]{1,100}$")]
Name = Annotated[Text, pydantic.Field(pattern=r"^[^/\\]+$")]


class _Schema(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Session(_Schema):
    """One session on Kaggle.

    Attributes:
        id: of this session alone; what it leaves names it.
        owner, slug, version: the kernel; version None until Kaggle has said it.
        accelerator: "t4x2", "tpu" or "none".
        time: when it was pushed, ISO 8601, UTC.
        seconds: after which Kaggle ends it.
        state: "sending" before it is pushed; "sent"; "paused", it stopped in time and left its state; "failed"; or
            "fetched".
        sha256: of the state that it left.
    """

    id: Annotated[str, pydantic.Field(pattern="^[0-9a-f]{8,64}$")]
    owner: Slug
    slug: Slug
    version: Annotated[int | None, pydantic.Field(ge=0, le=MOST)] = None
    accelerator: Accelerator
    time: Annotated[str, pydantic.AfterValidator(_utc)]
    seconds: Annotated[int, pydantic.Field(ge=0, le=MOST)]
    state: Literal["sending", "sent", "paused", "failed", "fetched"]
    sha256: str | None = None

    @property
    def kernel(self) -> Kernel:
        """The kernel that it is a session of."""
        return Kernel(self.owner, self.slug, self.version)

    @property
    def age(self) -> float:
        """How many seconds ago it was pushed, by this machine's clock."""
        return (datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(self.time)).total_seconds()


class Record(_Schema):
    """A training on Kaggle.

    Attributes:
        runs: the names of the runs that it makes; a plan's members first, its own last.
        arguments: of kit.train there; {code} stands for the kit's folder.
        recipe: the recipe or the plan, as YAML.
        data_dir: the folder of all competitions' files here, absolute.
        sessions: oldest first.
    """

    runs: list[Name] = pydantic.Field(min_length=1)
    arguments: list[Text]
    recipe: str
    data_dir: str
    sessions: list[Session] = pydantic.Field(min_length=1)

    @property
    def last(self) -> Session:
        """The newest session."""
        return self.sessions[-1]

    def with_session(self, session: Session) -> "Record":
        """Return a copy with one more session."""
        return self.model_copy(update={"sessions": [*self.sessions, session]})

    def with_last(self, **changes) -> "Record":
        """Return a copy whose newest session is changed."""
        return self.model_copy(update={"sessions": [*self.sessions[:-1], self.last.model_copy(update=changes)]})


class File(_Schema):
    """What a file that a session has left must be."""

    size: Annotated[int, pydantic.Field(ge=0)]
    sha256: Annotated[str, pydantic.Field(pattern="^[0-9a-f]{64}$")]


class Manifest(_Schema):
    """What a session says that it has left; see `far_side.main`."""

    session: str
    state: Literal["complete", "unfinished", "nothing"]
    status: int
    lines: list[str]
    notes: list[str]
    hardware: str
    seconds: float
    files: dict[str, File] = pydantic.Field(max_length=MOST_FILES)


def path(run: Run) -> pathlib.Path:
    """Where a run's record lies."""
    return run.folder / Run.REMOTE


def read(run: Run) -> Record | None:
    """Return a run's record; None where it was never on Kaggle.

    Raises:
        UserError: the record is damaged.
    """
    try:
        return Record.model_validate(json.loads(files.content(path(run), LARGEST)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is not what the kit wrote"
        raise UserError(
            f"{path(run)} is damaged ({reason}); remove it, and see https://www.kaggle.com/code for what runs there."
        ) from None


def write(run: Run, record: Record) -> None:
    """Write a run's record, whole or not at all."""
    with life.writing(path(run)):
        files.write_text(path(run), record.model_dump_json(indent=2) + "\n")


def drop_last(run: Run, record: Record) -> None:
    """Take back a session that was not pushed; a run of which nothing is left is gone."""
    if len(record.sessions) > 1:
        write(run, record.model_copy(update={"sessions": record.sessions[:-1]}))
        return
    path(run).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        run.folder.rmdir()


def every(competition: str | None = None) -> list[Run]:
    """Return all runs that were ever on Kaggle, in the order of their names."""
    return [Run(one.parent) for one in sorted(tracking.RUNS.glob(f"{competition or '*'}/*/{Run.REMOTE}"))]


def find(reference: str, competition: str | None = None) -> tuple[Run, Record]:
    """Return the run on Kaggle that `reference` means: its name, its competition's and its name, or its folder.

    Raises:
        UserError: there is none, or several are called so.
    """
    known = every(competition)
    names = (reference, reference.rstrip("/"))
    fitting = [run for run in known if {run.name, f"{run.competition}/{run.name}", str(run.folder)} & set(names)]
    if len(fitting) > 1:
        raise UserError(f"several runs are called {reference!r}: {', '.join(str(run.folder) for run in fitting)}.")
    record = read(fitting[0]) if fitting else None
    if record is None:
        hint = nearest(reference[:200], [run.name for run in known]) or " `python -m kit.remote --status` shows them."
        raise UserError(f"no run {reference[:200]!r} was pushed to Kaggle from here.{hint}")
    return fitting[0], record
