"""One training of a benchmark, in a process of its own: nothing compiled or allocated is left from the last one.

Importing this module is cheap; Keras starts in the measuring process only.
"""

import contextlib
import multiprocessing
import os
import threading
import time

from kit.benchmarking.jobs import Job, Measured, inference_speed, start_seconds
from kit.recipes import Recipe


def measure(job: Job) -> Measured:
    """Do `job` in a fresh process and return what it measured.

    Raises:
        UserError, Failure: as the training would.
    """
    with multiprocessing.get_context("spawn").Pool(1, _end_with_parent) as pool:
        return pool.apply(_in_this_process, (job,))


def _end_with_parent() -> None:
    """End this process when its parent ends, even if that is killed."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _in_this_process(job: Job) -> Measured:
    from kit import loaders
    from kit.backend import start_keras

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        dataset = loaders.load(job.competition, job.source, job.data_dir, job.limit)
        start_keras()
        from kit.benchmarking import keras_example

        return keras_example.measure(dataset, job) if job.recipe is None else _recipe(dataset, job, job.recipe)


def _recipe(dataset, job: Job, recipe: Recipe) -> Measured:
    from kit import timings
    from kit.training import devices, inference, session, setup
    from kit.training.fit import fit

    training = setup.resolve(dataset, recipe.replace(seed=job.seed, split_seed=job.seed))
    with devices.prepare(training.recipe.devices):
        started = time.perf_counter()
        split = training.split(fold=0)
        network = training.network(split)
        history = fit(network, split, training.recipe, started=started)
        speed = inference_speed(lambda images: inference.predict(network, images), dataset.test_images)
    return Measured(
        name=job.name,
        seed=job.seed,
        epochs=[(row["seconds"], row["val_accuracy"]) for row in history],
        start_seconds=start_seconds([row["seconds"] for row in history]),
        training_speed=session.images_per_second(len(split.images), history),
        inference_speed=speed,
        peak_memory=timings.peak_memory(),
        parameters=network.count_params(),
        precision=training.recipe.precision,
        hardware=devices.hardware(),
        metric=dataset.competition.metric,
        score=history[-1].get({"accuracy": "", "log-loss": "val_loss"}.get(dataset.competition.metric, "val_score")),
    )
