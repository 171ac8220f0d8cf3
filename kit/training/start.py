"""Start a training or a plan, or go on with one: the one way from what was asked to a complete run."""

import datetime
from collections.abc import Callable

import keras

from kit import tracking
from kit.errors import UserError
from kit.loaders import Dataset
from kit.recipes import Recipe
from kit.recipes.plan import Plan
from kit.timings import Timings
from kit.tracking import Config, Run
from kit.training import output, plans, session, summary
from kit.training.setup import Training, resolve

Callbacks = Callable[[Run, int], list[keras.callbacks.Callback]]


def fit(
    dataset: Dataset,
    asked: Recipe | Plan,
    name: str | None = None,
    callbacks: Callbacks | None = None,
    timings: Timings | None = None,
) -> Run:
    """Train what was asked for into a new run, with its figures and its submission CSV.

    Args:
        dataset: what to train on.
        asked: a recipe, or a plan of several.
        name: of the run; None for the network's name with date and time.
        callbacks: makes more Keras callbacks for a run and a fold's number.
        timings: where to add what each step takes.

    Returns:
        The run, complete.

    Raises:
        UserError: what was asked for cannot be trained, or the run exists already; nothing is written.
        Failure: the training diverged.
    """
    timings = timings or Timings()
    first = next(iter(asked.members.values())) if isinstance(asked, Plan) else asked
    stem = name or f"{first.model}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    competition = dataset.competition.name
    run = tracking.unused(competition, stem) if name is None else tracking.new(competition, stem)
    trainer = _Trainer(callbacks, timings, unique=name is None)
    if isinstance(asked, Plan):
        return plans.train(asked, dataset, run, False, trainer, timings)
    return trainer(resolve(dataset, asked), run)


def resume(run: Run, dataset: Dataset, callbacks: Callbacks | None = None, timings: Timings | None = None) -> Run:
    """Go on with a run that was begun and is not complete.

    Args:
        run: a training's or a plan's, begun.
        dataset: the data that it was begun on.
        callbacks, timings: as for `fit`.

    Raises:
        UserError: the run is complete, of another kind, or was begun on other data.
    """
    timings = timings or Timings()
    config = run.config()
    if run.state == "complete":
        raise UserError(f"--resume: {run.folder} is finished; nothing is left to do.")
    if config.kind not in ("network", "plan"):
        raise UserError(f"--resume: {run.folder} is not a training's; go on with `{run.resume_command}`.")
    trainer = _Trainer(callbacks, timings)
    if config.kind == "plan":
        return plans.train(config.planned(), dataset, run, True, trainer, timings)
    assert config.recipe is not None
    return trainer(resolve(dataset, config.recipe), run)


class _Trainer:
    """Trains one network into its run, whether or not that was begun before."""

    def __init__(self, callbacks: Callbacks | None, timings: Timings, unique: bool = False):
        self.callbacks, self.timings, self.unique = callbacks, timings, unique

    def __call__(self, training: Training, run: Run) -> Run:
        config = Config(kind="network", data=training.dataset.record(), recipe=training.recipe)
        with run.begin(config, "resume", self.unique and run.state == "absent") as begun:
            if begun.state == "begun":
                session.train(training, begun, self.timings, self.callbacks)
            with self.timings.measure("figures"):
                output.write(training, begun)
        summary.warn(begun)
        return begun
