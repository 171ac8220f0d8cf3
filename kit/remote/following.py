"""Following a session: its states, its log line by line, and at the end the fetching."""

import sys
import time
from typing import TextIO

from kit.errors import Failure, UserError, printable
from kit.kaggle_client import Kernels
from kit.remote import fetching, record, sessions
from kit.remote.record import FAILED, FETCHED, PAUSED, SENDING, SENT, Manifest, Record
from kit.tracking import Run

GRACE = 3600  # seconds that a session may take beyond its time limit: it waits in a queue first
ENDED = ("complete", "error", "cancel_acknowledged")
SHOWN_OF_A_LOG = 3  # lines


def follow(kaggle: Kernels, run: Run) -> Manifest | None:
    """Wait until a run's newest session has ended, its log shown meanwhile, and bring the run here.

    A network that fails in between is waited for. Ctrl-C ends the following, not the session.

    Returns:
        What the session says of itself; None where the run was here already.

    Raises:
        UserError, Failure: the session failed, or stopped in time; says how to go on.
    """
    known = _sent(kaggle, run)
    if known.last.state == FETCHED:
        return None
    if known.last.state == PAUSED:
        raise _paused(run)
    log, shown = _Log(kaggle, known), ""
    until = time.monotonic() + max(GRACE, known.last.seconds - known.last.age + GRACE)
    for pause in kaggle.retries.between_polls():
        try:
            status = kaggle.status(known.last.kernel)
            if status is None:
                raise UserError(
                    f"Kaggle does not find {known.last.kernel.url}; if it was deleted, remove {run.folder} and begin "
                    "anew."
                )
            if status.status != shown:
                shown = status.status
                print(f"{known.last.kernel}: {shown.replace('_', ' ')}", flush=True)
            if status.status == "running":
                log.show()
            if status.status in ENDED:
                return finish(kaggle, run, status.failure_message or "")
        except fetching.NotYet as failure:
            reason: Failure = failure  # an older client cannot ask for this version, and an older one has ended
        except fetching.NothingThere:
            raise
        except Failure as failure:
            if shown in ENDED:
                raise
            reason = failure
            print(f"note: {printable(failure)}", file=sys.stderr)
        else:
            reason = Failure(f"the session is {shown}")
        if time.monotonic() + pause >= until:
            break
        time.sleep(pause)
    raise Failure(
        f"no end yet ({str(reason).rstrip('.')}); see {known.last.kernel.url}, and go on with `python -m kit.remote "
        f"--follow {run.name}`."
    )


def finish(kaggle: Kernels, run: Run, message: str = "", state_too: bool = False) -> Manifest:
    """Fetch what a session that has ended has left, and say how it ended.

    Raises:
        UserError, Failure: it failed, or stopped in time; says how to go on.
    """
    known = record.read(run)
    assert known is not None
    try:
        manifest = fetching.fetch(kaggle, run, state_too)
    except fetching.NothingThere:
        record.write(run, known.with_last(state=FAILED))
        raise _died(run, known, message) from None
    for note in manifest.notes:
        print(f"note: {printable(note)}", file=sys.stderr)
    if manifest.state == "complete":
        return manifest
    if manifest.state == "unfinished":
        raise _paused(run, state_too)
    raise _refused(run, manifest)


def fetch(kaggle: Kernels, run: Run) -> Manifest | None:
    """Bring what is there now; None where the run is here already.

    Raises:
        UserError, Failure: the session has not ended, failed or stopped in time; says how to go on.
    """
    known = _sent(kaggle, run)
    if known.last.state == FETCHED:
        return None
    status = kaggle.status(known.last.kernel)
    if status is not None and status.status not in ENDED:
        raise Failure(
            f"{known.last.kernel} is {status.status.replace('_', ' ')}, and Kaggle gives its files when it has ended; "
            f"`python -m kit.remote --follow {run.name}` waits for it."
        )
    return finish(kaggle, run, (status.failure_message if status else "") or "", state_too=True)


def overview(kaggle: Kernels, competition: str | None) -> list[str]:
    """Return a line for each run that was ever pushed from here, with what Kaggle says of those under way."""
    lines = []
    for run in record.every(competition):
        try:
            known = record.read(run)
        except UserError as error:
            lines.append(f"{run.competition}/{run.name}: {error}")
            continue
        if known is None:  # removed a moment ago
            continue
        session = known.last
        state: str = session.state
        if state in (SENDING, SENT):
            status = kaggle.status(session.kernel)
            state = "not on Kaggle" if status is None else status.status.replace("_", " ")
        lines.append(
            f"{run.competition}/{run.name}: {state} ({session.accelerator}, "
            f"pushed {session.time[:16].replace('T', ' ')} UTC, {session.kernel.url})"
        )
    return lines


def _sent(kaggle: Kernels, run: Run) -> Record:
    """Return the record of a run whose newest session is on Kaggle.

    Raises:
        UserError: it was not pushed.
    """
    known = record.read(run)
    assert known is not None
    if known.last.state == SENDING:
        with run.locked():
            if sessions.settle(kaggle, run, known) is None:
                raise UserError(f"{run.name} was not pushed; give the command that pushes it again.")
        known = record.read(run)
        assert known is not None
    if known.last.state == FAILED:
        raise UserError(f"{run.name}: its session failed, see {known.last.kernel.url}; give the command again.")
    return known


def _paused(run: Run, here: bool = False) -> Failure:
    also = f", or here with `{run.resume_command}`" if here else ""
    return Failure(
        f"{run.name} has stopped in time after a whole epoch, and its state is kept; go on with `python -m kit.remote "
        f"--resume --name {run.name}`{also}."
    )


def _refused(run: Run, manifest: Manifest) -> Exception:
    """Return what the training itself has said when it refused or failed."""
    for line in reversed(manifest.lines):
        for prefix, kind in (("error: ", UserError), ("failed: ", Failure)):
            if line.startswith(prefix):
                return kind(f"on Kaggle: {printable(line.removeprefix(prefix))}")
    last = printable(manifest.lines[-1]) if manifest.lines else f"it ended with status {manifest.status}"
    return Failure(f"on Kaggle: {last[:300]}; the log is in {run.folder / 'remote.log'}, or on the session's page.")


def _died(run: Run, known: Record, message: str) -> Failure:
    reason = (
        printable(message).strip().rstrip(".") or "it has left nothing, as after a failure or at Kaggle's time limit"
    )
    earlier = any(session.state == PAUSED for session in known.sessions)
    remedy = f"`python -m kit.remote --resume --name {run.name}`" if earlier else "the same command"
    return Failure(
        f"the session of {run.name} died ({reason}); its log is at {known.last.kernel.url}; begin again with {remedy}."
    )


class _Log:
    """A session's log as it comes, without what was shown before."""

    def __init__(self, kaggle: Kernels, known: Record):
        self.kaggle, self.kernel = kaggle, known.last.kernel
        self.count, self.there = 0, True
        self.stream: TextIO = sys.stdout  # the connection keeps what Kaggle's client prints off the screen

    def show(self) -> None:
        """Show what is new until the stream ends, breaks or is silent for long."""
        if not self.there:
            return
        self.count, self.there = self.kaggle.follow_log(self.kernel, self.count, self._print)
        if not self.there:
            print(f"note: Kaggle gives no live log; see {self.kernel.url}.", file=sys.stderr)

    def _print(self, text: str) -> None:
        for line in text.splitlines():
            print(printable(line.rsplit("\r", 1)[-1]), file=self.stream, flush=True)
