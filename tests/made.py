"""Runs made for tests: trained for real, or written as a training leaves them."""

import numpy as np

from kit import tracking
from kit.loaders import Dataset
from kit.recipes import Recipe
from kit.tracking import Config, Metrics, Run
from kit.training import session
from kit.training.setup import resolve

DIGITS = "digit-recognizer"


def config(dataset: Dataset, recipe: Recipe | None = None, **fields) -> Config:
    """What a run of `recipe` on `dataset` notes."""
    return Config(**{"kind": "network", "data": dataset.record(), "recipe": recipe or Recipe(), **fields})


def train(name: str, dataset: Dataset, recipe: Recipe) -> tuple[Run, Metrics]:
    """Train without figures and CSV."""
    training = resolve(dataset, recipe)
    with tracking.place(dataset.competition.name, name).begin(config(dataset, training.recipe), "resume") as run:
        return run, session.train(training, run)


def leave(name: str, dataset: Dataset, oof: np.ndarray, test: np.ndarray | None = None, **fields) -> Run:
    """Write a complete run, with the probabilities and the metrics given."""
    run = tracking.place(fields.pop("competition", dataset.competition.name), name)
    recipe = Recipe(folds=fields.get("folds", 5), split_seed=fields.get("split_seed", 0))
    with run.begin(config(dataset, recipe)) as begun:
        begun.write_array("oof", oof.astype(np.float32))
        begun.write_array("test", uniform(len(dataset.test_ids)) if test is None else test.astype(np.float32))
        begun.write_metrics(metrics(dataset, oof, **{"competition": run.competition, **fields}))
    return run


def metrics(dataset: Dataset, oof: np.ndarray, **fields) -> Metrics:
    """Metrics as a training with five folds writes them."""
    known = ~np.isnan(oof).any(axis=1)
    right = float((oof[known].argmax(axis=1) == dataset.train_labels[known]).mean()) if known.any() else None
    plain = {
        "competition": dataset.competition.name,
        "model": "lenet_small",
        "source": dataset.source,
        "seen": [],
        "seed": 0,
        "split_seed": 0,
        "folds": 5,
        "held_out_share": 0.0,
        "validation_share": 0.1,
        "data_fingerprint": dataset.fingerprint,
        "validation_accuracy": right,
        "validation_log_loss": None if right is None else 0.5,
        "validation_images": int(known.sum()),
        "fit_seconds": 1.0,
        "images_per_second": 100.0,
        "parameters": 1000,
    }
    return Metrics(**{**plain, **fields})


def change(run: Run, **fields) -> None:
    """Change some of a run's metrics."""
    run.write_metrics(Metrics(**{**run.metrics().model_dump(), **fields}))


def uniform(count: int, classes: int = 10) -> np.ndarray:
    """Probabilities that tell nothing."""
    return np.full((count, classes), 1 / classes, np.float32)
