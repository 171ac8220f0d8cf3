"""How long an exported network takes for one image on one core, in a process of its own."""

import multiprocessing
import os
import pathlib
import statistics
import time

import numpy as np

SECONDS, WARM_UP = 2.0, 10
ONE_THREAD = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def milliseconds(name: str, folder: pathlib.Path, shape: tuple[int, int, int]) -> float:
    """Return what one image takes on one core, in milliseconds: the median of calls for two seconds.

    It is the core's time, so that what it does for others does not count.

    Args:
        name: the format's.
        folder: where the network lies.
        shape: (height, width, channels).
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (name, folder, shape))


def _measure(name: str, folder: pathlib.Path, shape: tuple[int, int, int]) -> float:
    # Before anything starts threads.
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from kit.export import formats, runtimes

    if name in ("keras", "saved-model"):
        from kit.backend import start_keras

        start_keras()
    loaded = runtimes.load(formats.FORMATS[name], folder, threads=1)
    image = np.random.default_rng(0).integers(0, 256, (1, *shape)).astype(np.float32)
    for _ in range(WARM_UP):
        loaded.call(image)
    times, until = [], time.process_time() + SECONDS
    while (begun := time.process_time()) < until:
        loaded.call(image)
        times.append(time.process_time() - begun)
    return 1000 * statistics.median(times)
