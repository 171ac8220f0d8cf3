"""Seconds and peak memory of a command's steps."""

import contextlib
import pathlib
import sys
import time
from collections.abc import Iterator

STATUS = pathlib.Path("/proc/self/status")


def peak_memory() -> int | None:
    """Return the most memory that this process has held so far, in bytes; None where it is not known (Windows)."""
    # Linux's ru_maxrss begins with what the process that started this one had held, a notebook's kernel say:
    # https://man7.org/linux/man-pages/man2/getrusage.2.html. VmHWM is of this program alone.
    with contextlib.suppress(OSError), STATUS.open() as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class Timings:
    """Time the steps of a command; a step that comes more than once, as a fold's training does, adds up.

        timings = Timings()
        with timings.measure("load"):
            ...
        print(timings)

    Attributes:
        taken: of each step, in the order in which they first came: seconds, and `peak_memory` after it.
    """

    def __init__(self):
        self.taken: dict[str, tuple[float, int | None]] = {}

    @contextlib.contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Count what happens inside as the step `name`, unless it fails."""
        started = time.perf_counter()
        yield
        seconds = self.taken.get(name, (0.0, None))[0] + time.perf_counter() - started
        self.taken[name] = seconds, peak_memory()

    def __str__(self) -> str:
        """A line a step."""
        lines = []
        for name, (seconds, peak) in self.taken.items():
            memory = f", peak memory {peak / 1e6:,.0f} MB" if peak else ""
            lines.append(f"{name + ':':<12}{seconds:8,.1f} s{memory}")
        return "\n".join(lines)
