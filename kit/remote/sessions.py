"""Beginning a session once: recorded before it is pushed, looked for before it is pushed again.

What is pushed has a name of its own, which is in the record. So a kernel of that name is this session, however its
answer was lost; where there is none, it was not pushed.

When a session can still run twice: Kaggle takes a push, its answer is lost, *and* Kaggle denies the new kernel for more
than the pauses of `Retries.checks` up to `SEARCHED`. The second push is then another version of the same kernel, and
what is fetched is that version's.
"""

import datetime
import re
import secrets
import sys
import time
from dataclasses import dataclass

from kit import tracking
from kit.errors import Failure, UserError
from kit.kaggle_client import AnswerLost, Kernel, Kernels, Push, Quota
from kit.remote import packing, record
from kit.remote.record import FAILED, LONGEST, MACHINES, PAUSED, QUOTA_KINDS, SENDING, SENT, Record, Session
from kit.remote.wanted import Wanted
from kit.tracking import Run

ATTEMPTS = 3
SEARCHED = 5  # pauses
LONGEST_SLUG = 50  # characters; Kaggle's titles have no more
SHORTEST = 120  # seconds of a session


@dataclass(frozen=True)
class Machine:
    """Where a session runs, and for how long at most.

    Attributes:
        accelerator: "t4x2", "tpu" or "none".
        minutes: None for as long as Kaggle allows.
    """

    accelerator: record.Accelerator
    minutes: float | None = None

    def seconds(self, quota: Quota | None) -> int:
        """Return after how many seconds Kaggle is to end the session.

        Raises:
            UserError: the quota is used up.
        """
        longest: float = LONGEST[self.accelerator]
        if quota is not None:
            if quota.left < SHORTEST:
                when = f" until {quota.refresh:%Y-%m-%d %H:%M} UTC" if quota.refresh else ""
                raise UserError(
                    f"this week's quota of {quota.allowed / 3600:.0f} hours is used up{when}; take --accelerator none, "
                    "or train here."
                )
            longest = min(longest, quota.left)
        return int(min(longest, 60 * self.minutes) if self.minutes else longest)


def begin(kaggle: Kernels, wanted: Wanted, machine: Machine) -> Run:
    """Push a training; it is in the run's record before.

    The same command again, after one that died while it pushed, finds the session that it pushed.

    Raises:
        UserError: the run exists, or Kaggle refuses; nothing is left behind.
        Failure: Kaggle cannot be reached, or it is not known whether it has the session.
    """
    run = wanted.run
    with run.locked():
        before = record.read(run)
        if before is not None and before.last.state == SENDING:
            if found := settle(kaggle, run, before):
                return found
            before = record.read(run)
        _check_new(run, before, wanted)
        quota = quotas(kaggle).get(QUOTA_KINDS.get(machine.accelerator, ""))
        session = _session(kaggle, run, machine, quota)
        fresh = Record(
            runs=wanted.runs,
            arguments=wanted.arguments,
            recipe=wanted.recipe,
            data_dir=wanted.data_dir,
            sessions=[*(before.sessions if before else []), session],
        )
        _send(kaggle, run, fresh, None)
    return run


def resume(kaggle: Kernels, run: Run, machine: Machine) -> Run:
    """Push a session that goes on from the state that an earlier one has left.

    Raises:
        UserError: no session has left one, or one is under way; Kaggle refuses.
        Failure: as `begin`.
    """
    with run.locked():
        before = record.read(run)
        if before is not None and before.last.state == SENDING:
            if found := settle(kaggle, run, before):
                return found
            before = record.read(run)
        left = [one for one in before.sessions if one.state == PAUSED] if before else []
        if before is not None and before.last.state == SENT:
            raise UserError(f"{run.name} is on Kaggle already: `python -m kit.remote --follow {run.name}`.")
        if before is None or not left or run.state == "complete":
            raise UserError(f"{run.name}: no session has left anything to go on from; `python -m kit.remote --status`.")
        quota = quotas(kaggle).get(QUOTA_KINDS.get(machine.accelerator, ""))
        session = _session(kaggle, run, machine, quota)
        _send(kaggle, run, before.with_session(session), left[-1])
    return run


def settings(
    session: str, seconds: int, accelerator: str, wanted: Wanted | Record, run: Run, notebook: bool = False
) -> dict:
    """Return what the far side is told."""
    return {
        "session": session,
        "seconds": seconds,
        "accelerator": accelerator,
        "competition": run.competition,
        "runs": wanted.runs,
        "arguments": wanted.arguments,
        "state": None,
        "notebook": notebook,
    }


def settle(kaggle: Kernels, run: Run, before: Record) -> Run | None:
    """Find out whether a session that was being pushed when its process died is on Kaggle, and record it.

    Returns:
        The run; None where it was not pushed, which is recorded too.

    Raises:
        UserError, Failure: Kaggle cannot be asked.
    """
    print(f"note: looking for {before.last.kernel} on Kaggle", file=sys.stderr)
    found = _search(kaggle, before.last.kernel, 1 if before.last.age > kaggle.retries.settled else SEARCHED)
    if found is None:
        record.drop_last(run, before)
        return None
    record.write(run, before.with_last(state=SENT, version=found.version))
    print(f"found: {found.url}")
    return run


def quotas(kaggle: Kernels, show: bool = True) -> dict[str, Quota]:
    """Return the week's quotas by kind, and print them."""
    found = kaggle.quotas()
    for kind, quota in found.items() if show else ():
        print(f"quota: {quota.left / 3600:.1f} of {quota.allowed / 3600:.0f} hours of {kind.upper()} left this week")
    return found


def _check_new(run: Run, before: Record | None, wanted: Wanted) -> None:
    if before is not None and before.last.state == PAUSED:
        raise UserError(
            f"{run.name} has stopped in time; go on with `python -m kit.remote --resume --name {run.name}`."
        )
    if before is not None and before.last.state != FAILED:
        raise UserError(f"{run.name} is on Kaggle already: `python -m kit.remote --follow {run.name}`.")
    for name in wanted.runs:
        other = tracking.place(wanted.competition, name)
        if other.state != "absent" and not (other.folder == run.folder and run.elsewhere):
            raise UserError(f"{other.folder} exists already; take another --name, or remove it.")


def _session(kaggle: Kernels, run: Run, machine: Machine, quota: Quota | None) -> Session:
    identity = secrets.token_hex(8)
    stem = re.sub(r"[^a-z0-9]+", "-", f"kit-{run.name}".lower()).strip("-")
    return Session(
        id=identity,
        owner=kaggle.owner(),
        slug=f"{stem[: LONGEST_SLUG - 9].strip('-')}-{identity[:8]}",
        accelerator=machine.accelerator,
        time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        seconds=machine.seconds(quota),
        state=SENDING,
    )


def _send(kaggle: Kernels, run: Run, fresh: Record, earlier: Session | None) -> None:
    session = fresh.last
    told = settings(session.id, session.seconds, session.accelerator, fresh, run)
    if earlier is not None:
        told["arguments"] = ["--resume", "--competition", run.competition, "--name", run.name]
        told["state"] = {"kernel": str(earlier.kernel), "sha256": earlier.sha256}
    push = Push(
        text=packing.script(told, fresh.recipe),
        competition=run.competition,
        machine=MACHINES[session.accelerator],
        seconds=session.seconds,
        kernels=(str(earlier.kernel),) if earlier else (),
    )
    record.write(run, fresh)
    pushed = _push_once(kaggle, run, fresh, push)
    record.write(run, fresh.with_last(owner=pushed.owner, slug=pushed.slug, version=pushed.version, state=SENT))
    print(f"pushed: {pushed.url} ({session.accelerator}, at most {session.seconds / 3600:.1f} hours)", flush=True)


def _push_once(kaggle: Kernels, run: Run, fresh: Record, push: Push) -> Kernel:
    """Push, and look for the kernel after any answer but success."""
    kernel, attempts, lost = fresh.last.kernel, ATTEMPTS, None
    while True:
        attempts -= 1
        try:
            return kaggle.push(push, kernel)
        except AnswerLost as failure:
            lost = failure
            try:
                found = _search(kaggle, kernel, 1 if lost.refused else SEARCHED)
            except (UserError, Failure) as error:
                raise _unknown(error, run) from None
            if found:
                return found
            if lost.refused:
                record.drop_last(run, fresh)
                raise lost.explained from None
            if lost.late or not attempts or (lost.pause or 0) > kaggle.retries.longest:
                raise _unknown(lost, run) from None
        except (UserError, Failure) as failure:
            if lost is not None:
                raise _unknown(failure, run) from None
            record.drop_last(run, fresh)
            raise


def _search(kaggle: Kernels, kernel: Kernel, most: int) -> Kernel | None:
    """Look for a kernel again and again; None if it does not turn up."""
    for pause in kaggle.retries.checks[:most]:
        time.sleep(pause)
        if kaggle.status(kernel) is not None:
            return Kernel(kernel.owner, kernel.slug, kernel.version or 1)
    return None


def _unknown(failure: Exception, run: Run) -> Failure:
    return Failure(
        f"{str(failure).rstrip('.')}. Whether Kaggle has the session is not known; `python -m kit.remote --follow "
        f"{run.name}` finds out, and nothing is pushed twice."
    )
