"""What a training leaves for people: figures and the submission CSV."""

import pathlib

from kit import figures, files, submission
from kit.competitions import Competition
from kit.loaders import Dataset
from kit.recipes import Recipe
from kit.tracking import RUNS, Run, life
from kit.training import preview
from kit.training.learning_rate_finder import Sweep
from kit.training.setup import Training


def write(training: Training, run: Run) -> None:
    """Write a trained run's figures and its submission CSV.

    Raises:
        UserError: the run's test probabilities are damaged.
    """
    write_curves(run, [run], training.dataset.competition)
    before, after = preview.batch(training.dataset, training.recipe)
    if after is not None:
        run.write_figure("augmentation", figures.augmentation(before, after))
    write_submission(run, training.dataset)


def write_submission(run: Run, dataset: Dataset) -> None:
    """Write a run's submission CSV from its test probabilities.

    Raises:
        UserError: these are damaged.
    """
    from kit.ensemble.members import test_probabilities

    probabilities = test_probabilities(run, dataset)
    submission.write(run.submission, dataset.competition, dataset.test_ids, probabilities)


def write_curves(run: Run, members: list[Run], competition: Competition) -> None:
    """Write the learning curves of `members` into `run`'s figures."""
    histories = {member.name: member.history for member in members}
    shown = histories if len(members) > 1 else histories[members[0].name]
    title, metric = f"{run.name} on {run.competition}", competition.metric
    run.write_figure("learning-curves", figures.learning_curves(shown, title, metric))


def write_sweep(found: Sweep, recipe: Recipe, competition: str) -> pathlib.Path:
    """Draw how the loss answered to each learning rate; return the figure's path."""
    path = RUNS / competition / f"learning-rate-{recipe.model}.png"
    title = f"{recipe.model} on {competition}, {recipe.optimizer}"
    figure = figures.learning_rate_sweep(found.learning_rates, found.losses, found.smoothed, found.suggestion, title)
    with life.writing(path), files.replacing(path) as fresh:
        figure.savefig(fresh, dpi=150, bbox_inches="tight")
    return path
