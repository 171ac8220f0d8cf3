"""A limit on how long a call may take in all. Time-outs of sockets are none: they begin anew with every byte."""

import contextvars
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

POLL_SECONDS = 0.2  # so that Ctrl-C is heard on Windows too, where a wait cannot be interrupted
Result = TypeVar("Result")


class Stalled(Exception):
    """The call was given up: it took too long, although single bytes may still arrive."""


def within(seconds: float, action: Callable[[], Result], progress: Callable[[], int] = lambda: 0) -> Result:
    """Return `action()`, or give it up.

    It runs in a thread of its own, with this one's context variables. A thread cannot be ended from outside: after
    `Stalled` or Ctrl-C it may still be waiting for the network, so the caller must see to it that it does no more.

    Args:
        seconds: how long it may take, counted again from every change of `progress()`.
        action: what to do; its exceptions are raised here.
        progress: what grows while there is progress, such as the size of a file.

    Raises:
        Stalled: it took longer.
    """
    worker = _Worker(action)
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(worker.run,), name="kaggle", daemon=True).start()
    before, until = progress(), time.monotonic() + seconds
    while not worker.done.wait(max(0.0, min(POLL_SECONDS, until - time.monotonic()))):
        now = progress()
        if now != before:
            before, until = now, time.monotonic() + seconds
        elif time.monotonic() >= until:
            raise Stalled(f"no answer within {seconds:g} seconds")
    return worker.result()


class _Worker(Generic[Result]):
    def __init__(self, action: Callable[[], Result]):
        self.action = action
        self.done = threading.Event()
        self.results: list[Result] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.results.append(self.action())
        except BaseException as error:
            self.error = error
        finally:
            self.done.set()

    def result(self) -> Result:
        if self.error is not None:
            raise self.error
        return self.results[0]
