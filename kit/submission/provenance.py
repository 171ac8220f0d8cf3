"""Where a submission's predictions come from, and whether they may be posted."""

import pathlib

from kit import tracking
from kit.competitions import Competition
from kit.errors import UserError


def newest(competition: Competition) -> pathlib.Path:
    """Return the competition's newest submission CSV.

    Raises:
        UserError: there is none.
    """
    folder = tracking.SUBMISSIONS / competition.name
    found = sorted(folder.glob("*.csv"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UserError(
            f"{folder} has no submission; train first: `python -m kit.train --competition {competition.name}`."
        )
    return found[-1]


def competition_of(path: pathlib.Path) -> str | None:
    """Return the name of the competition in whose folder `submissions/<competition>/` the CSV lies, or None."""
    folder = path.resolve().parent
    return folder.name if folder.parent == tracking.SUBMISSIONS.resolve() else None


def run_of(path: pathlib.Path, competition: Competition) -> tracking.Run | None:
    """Return the run that wrote a submission: by its place, or, for a copy elsewhere, by its content.

    Returns:
        The run, or None for a CSV of no run.
    """
    own = path if competition_of(path) == competition.name else _original(path, competition)
    run = tracking.Run(tracking.ROOT / competition.name / own.stem) if own else None
    return run if run and run.folder.is_dir() else None


def _original(path: pathlib.Path, competition: Competition) -> pathlib.Path | None:
    content = path.read_bytes()
    for other in (tracking.SUBMISSIONS / competition.name).glob("*.csv"):
        if other.stat().st_size == len(content) and other.read_bytes() == content:
            return other
    return None


def guard_against_leaks(run: tracking.Run, competition: Competition) -> dict:
    """Refuse a run whose score would say nothing, and return its metrics.

    Refused are predictions for the built-in sample, and those of a network that has seen the competition's test
    images, itself or through weights, ensembles and distillation.

    Raises:
        UserError: says what the run has seen, and what to train instead.
    """
    metrics = run.metrics()
    again = f"train on Kaggle's files: `python -m kit.train --competition {competition.name} --source kaggle`."
    source, seen = metrics.get("source"), set(metrics.get("seen") or ())
    if not source:
        raise UserError(f"{run.folder / 'metrics.json'} does not say what the run was trained on; {again}")
    if source == "sample":
        raise UserError(f"run {run.name} is of the built-in sample, not of {competition.name}; {again}")
    if source == "keras":
        seen.add(competition.keras_dataset)
    leaks = sorted(seen.intersection(competition.test_images_in))
    if leaks:
        raise UserError(
            f"run {run.name} has seen {' and '.join(leaks)}, which holds the test images of {competition.name}: its "
            f"score would say nothing, and others would take it for cheating; {again}"
        )
    return metrics


def message(run: tracking.Run | None, metrics: dict, path: pathlib.Path) -> str:
    """Return a submission's description where none is given: network, accuracy and data, or the file's name."""
    if run is None:
        return path.stem
    accuracy = metrics.get("validation_accuracy")
    reached = f", {accuracy_name(metrics)} {accuracy:.5f}" if accuracy is not None else ""
    return f"{metrics.get('model', run.name)}{reached}, data: {metrics['source']}"


def accuracy_name(metrics: dict) -> str:
    """Say what `validation_accuracy` is: out of fold where there were folds."""
    folds = metrics.get("folds") or 0
    return f"out-of-fold accuracy of {folds} folds" if folds > 1 else "validation accuracy"
