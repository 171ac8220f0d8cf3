"""A whole training: every fold, its predictions, and the run that it leaves."""

import dataclasses
import gc
import json
import shutil
import time

import keras
import numpy as np

from kit import files, tracking
from kit.competitions import Competition
from kit.ensemble import Weighted, nested_probabilities
from kit.errors import UserError
from kit.loaders import Dataset
from kit.metrics import accuracy, log_loss
from kit.recipes.recipe import Recipe
from kit.timings import Timings, peak_memory
from kit.training import devices, distillation, inference, lineage, precision, splits, transfer
from kit.training.batches import Batches
from kit.training.fit import Places, Split, fit

HISTORY = ("fold", "epoch", "seconds", "learning_rate", "loss", "accuracy", "val_loss", "val_accuracy")
NOTES = ("history", "parameters")  # what a fold leaves that is no array


def train(dataset: Dataset, recipe: Recipe, run: tracking.Run, timings: Timings | None = None) -> dict:
    """Train the recipe's network on every fold and write the run, but for its figures and its submission.

    A run that was interrupted goes on: folds that are done are kept, the fold that was under way goes on from its last
    whole epoch, and the outcome is that of an unbroken run, bit for bit on CPU.

    Args:
        dataset: what to train on.
        recipe: how; the same as before where `run` was begun already.
        run: where to; its `config.yaml` is written by the caller.
        timings: where to count what training and predicting take.

    Returns:
        The run's metrics, as in its `metrics.json`.

    Raises:
        UserError: the recipe does not suit the network, the images or this machine.
    """
    folds, timings = splits.splits(dataset.train_labels, recipe), timings or Timings()
    lineage.check(recipe, dataset)
    with devices.prepare(recipe.devices):
        parts = [_fold(dataset, recipe, run, fold, rows, len(folds), timings) for fold, rows in enumerate(folds)]
    oof, test, weights = combine(dataset, folds, parts)
    _write_snapshots(run, dataset, recipe, folds, parts)
    history = [row for part in parts for row in part["history"]]
    _write_history(run, history)
    run.write_array("oof", oof)
    run.write_array("test", test)
    metrics = _metrics(dataset, recipe, oof, test, history, parts) | weights
    run.write_metrics(metrics)
    shutil.rmtree(_working(run), ignore_errors=True)
    files.sweep(run.folder)
    return metrics


def check(dataset: Dataset, recipe: Recipe) -> None:
    """Split the images and build the network once, so that a recipe's mistakes show before anything is trained.

    Raises:
        UserError: as `train`.
    """
    rules = dataset.competition
    folds = splits.splits(dataset.train_labels, recipe)
    lineage.check(recipe, dataset)
    split_of(dataset, recipe, *folds[0], fold=0)
    with devices.prepare(recipe.devices):
        transfer.build(recipe, rules.image_shape, rules.classes, rules.name)
    keras.backend.clear_session(free_memory=True)


def predict_again(dataset: Dataset, recipe: Recipe, run: tracking.Run, target: tracking.Run) -> dict:
    """Let a finished run's networks look at all images again, in the views that `recipe` asks for.

    Args:
        dataset: what the run was trained on.
        recipe: the run's own, but for `tta`.
        run: whose networks predict.
        target: where the probabilities and metrics go; `run` itself, or a new run.

    Returns:
        The target's metrics.

    Raises:
        UserError: the data are not those that the run was trained on, or a network cannot be read.
    """
    before = run.metrics()
    if before["data_fingerprint"] != tracking.fingerprint(dataset.train_images, dataset.train_labels):
        raise UserError(f"{run.folder} was trained on other images than {dataset.origin}; give its --data-dir.")
    folds, groups = splits.splits(dataset.train_labels, recipe), groups_of_views(recipe, dataset.competition)
    parts = []
    for (_, held_out), path in zip(folds, run.network_paths(), strict=True):
        network = transfer.load(path)
        looks = (dataset.train_images[held_out], dataset.test_images)
        oof, test = (inference.predict_groups(network, images, groups) for images in looks)
        parts.append({"oof": oof, "test": test})
    oof, test, weights = combine(dataset, folds, parts)
    if target != run:
        target.write_config({**run.config(), "recipe": recipe.as_dict()})
    target.write_array("oof", oof)
    target.write_array("test", test)
    metrics = before | _reached(oof, dataset, recipe) | weights
    target.write_metrics(metrics)
    return metrics


def groups_of_views(recipe: Recipe, competition: Competition) -> list[list[inference.View]]:
    """The views, in groups, in which a run with this recipe looks at each image."""
    if not recipe.tta:
        return [[inference.PLAIN]]
    return inference.views(competition.mirror_symmetric, recipe.fill_mode)


def _fold(dataset, recipe, run, fold, rows, count, timings):
    """Train one fold, or read what it left; returns its probabilities and history."""
    done = _working(run) / f"fold-{fold}.npz"
    if done.exists() and run.network_path(fold).exists():
        with np.load(done, allow_pickle=False) as file:
            return {name: file[name] for name in file.files if name != "notes"} | json.loads(str(file["notes"]))
    if count > 1:
        print(f"fold {fold + 1} of {count}")
    part = _trained(dataset, recipe, run, fold, *rows, timings)
    notes = json.dumps({name: part[name] for name in NOTES})
    with files.replacing(done) as fresh, fresh.open("wb") as file:
        np.savez(file, **{name: part[name] for name in part if name not in NOTES}, notes=np.array(notes))
    for path in (_working(run) / f"state-{fold}.npz", *_working(run).glob(f"state-{fold}-*")):
        path.unlink(missing_ok=True)
    # Keras keeps every graph that it has built; without this, memory grows from fold to fold.
    keras.backend.clear_session(free_memory=True)
    gc.collect()
    return part


def _trained(dataset, recipe, run, fold, rows, held_out, timings):
    started = time.perf_counter()
    with timings.measure("train"):
        split = split_of(dataset, recipe, rows, held_out, fold)
        network = built(dataset, recipe, split)
        places = Places(_working(run) / f"state-{fold}.npz", run.folder / f"best-{fold}.keras")
        history = fit(network, split, recipe, places, started)
        if recipe.checkpoint == "best" and places.best.exists():
            network.set_weights(transfer.load(places.best).get_weights())
        with files.replacing(run.network_path(fold)) as fresh:
            network.save(fresh)
    with timings.measure("predict"):
        predicted = _predicted(network, dataset, recipe, split, places)
    return predicted | {"history": history, "parameters": network.count_params()}


def _predicted(network, dataset, recipe, split, places):
    """What the fold's network, and its snapshots, say of the images held out and of the test images."""
    looks, groups = (split.validation_images, dataset.test_images), groups_of_views(recipe, dataset.competition)
    oof, test = (inference.predict_groups(network, images, groups) for images in looks)
    part = {"oof": oof, "test": test}
    for number in range(recipe.snapshots):
        if number == recipe.snapshots - 1 and recipe.checkpoint == "last":
            part |= {f"oof-{number}": oof, f"test-{number}": test}
            continue
        snapshot = transfer.load(places.snapshot(number))
        for name, images in zip(("oof", "test"), looks, strict=True):
            part[f"{name}-{number}"] = inference.predict_groups(snapshot, images, groups)
    return part


def _write_snapshots(run, dataset, recipe, folds, parts):
    """Write what the folds' networks predicted at the end of each cycle, if the recipe keeps that."""
    ends = [
        combine(dataset, folds, [{name: part[f"{name}-{number}"] for name in ("oof", "test")} for part in parts])
        for number in range(recipe.snapshots)
    ]
    if ends:
        run.write_array("snapshots-oof", np.stack([oof for oof, _, _ in ends]))
        run.write_array("snapshots-test", np.stack([test for _, test, _ in ends]))


def split_of(dataset: Dataset, recipe: Recipe, rows: np.ndarray, held_out: np.ndarray, fold: int) -> Split:
    """What fold `fold` trains on, `rows`, and validates on, `held_out`: integer arrays of the training images."""
    targets = np.eye(dataset.competition.classes, dtype=np.float32)[dataset.train_labels[rows]]
    targets = distillation.soften(targets, rows, dataset, recipe)
    images, labels = dataset.train_images, dataset.train_labels
    return Split(images[rows], targets, images[held_out], labels[held_out], fold)


def built(dataset: Dataset, recipe: Recipe, split: Split) -> keras.Model:
    """A fold's network with its first weights, seeded, in the recipe's precision (which must be settled)."""
    rules = dataset.competition
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision.policy(recipe.precision))
    try:
        keras.utils.set_random_seed(recipe.seed + 1000 * split.fold)
        network, taken = transfer.build(recipe, rules.image_shape, rules.classes, rules.name, split.fold, split.images)
    finally:
        keras.config.set_dtype_policy(before)
    if taken and not split.fold:
        print(f"weights: {transfer.describe(network, taken)}, from {recipe.weights}")
    return network


def with_precision(dataset: Dataset, recipe: Recipe) -> Recipe:
    """The recipe with its precision settled: `auto` is measured on this machine, once."""
    if recipe.precision != "auto":
        return recipe
    rules = dataset.competition
    some = dataset.train_images[: recipe.batch_size]
    targets = np.eye(rules.classes, dtype=np.float32)[dataset.train_labels[: recipe.batch_size]]

    def build():
        return transfer.build(recipe, rules.image_shape, rules.classes, rules.name)[0]

    with devices.prepare(recipe.devices):
        settled = precision.choose(recipe, build, Batches(some, targets, recipe))
    return dataclasses.replace(recipe, precision=settled)


def combine(dataset: Dataset, folds: list, parts: list[dict]) -> tuple[np.ndarray, np.ndarray, dict]:
    """Put the folds' predictions together, and weigh the views in which they were made.

    Args:
        dataset: what they are predictions of.
        folds: (training rows, validation rows) of each.
        parts: of each fold, by name: oof (groups of views, validation rows, classes) and test (groups, m, classes).

    Returns:
        oof, float32 (n, classes), NaN in rows that no fold has predicted, each row weighed without its own label;
        test, float32 (m, classes), the folds' mean; and the views' weights as a metric, if there are several groups.

    Raises:
        UserError: there are several groups and no validation images to weigh them by.
    """
    groups, _, classes = parts[0]["test"].shape
    oof = np.full((groups, len(dataset.train_labels), classes), np.nan, np.float32)
    for (_, held_out), part in zip(folds, parts, strict=True):
        oof[:, held_out] = part["oof"]
    test = np.mean([part["test"] for part in parts], axis=0, dtype=np.float64)
    if groups == 1:
        return oof[0], test[0].astype(np.float32), {}
    known = ~np.isnan(oof).any(axis=(0, 2))
    if not known.any():
        raise UserError("tta: its weights need validation images; set validation_share or folds.")
    weighted, labels = Weighted(), dataset.train_labels[known].astype(int)
    nested = np.full_like(oof[0], np.nan)
    nested[known] = nested_probabilities(weighted, oof[:, known], labels)
    weights = weighted.fit(oof[:, known], labels).weights_
    named = {"tta_weights": [round(float(weight), 4) for weight in weights]}
    return nested, weighted.predict_proba(test.astype(np.float32)), named


def _working(run):
    folder = run.folder / ".working"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_history(run, history):
    lines = [",".join(HISTORY), *(",".join(f"{row[name]:.8g}" for name in HISTORY) for row in history)]
    files.write_text(run.folder / "history.csv", "\n".join(lines) + "\n")


def _metrics(dataset, recipe, oof, test, history, parts):
    last = {row["fold"]: row["seconds"] for row in history}
    metrics = {
        "competition": dataset.competition.name,
        "model": recipe.model,
        "source": dataset.source,
        "seen": sorted({*dataset.seen, *lineage.seen(recipe)}),
        "seed": recipe.seed,
        "split_seed": recipe.split_seed,
        "folds": recipe.folds,
        "held_out_share": recipe.held_out_share,
        "validation_share": recipe.validation_share,
        "data_fingerprint": tracking.fingerprint(dataset.train_images, dataset.train_labels),
        **_reached(oof, dataset, recipe),
        "fit_seconds": round(sum(last.values()), 3),
        "images_per_second": images_per_second(len(splits.splits(dataset.train_labels, recipe)[0][0]), history),
        "parameters": parts[0]["parameters"],
        "epochs": len(history) // len(parts),
        "precision": recipe.precision,
        "peak_memory": peak_memory(),
        "hardware": devices.hardware(),
    }
    if recipe.teacher:
        metrics |= {"teacher": recipe.teacher, "teacher_share": recipe.teacher_share}
    if dataset.test_labels is not None:
        metrics["test_accuracy"] = accuracy(dataset.test_labels, test)
    return metrics


def _reached(oof, dataset, recipe):
    """Accuracy and log-loss over the rows that were predicted out of fold; None where there are none."""
    known, labels = ~np.isnan(oof).any(axis=1), dataset.train_labels.astype(int)
    if not known.any():
        return {"validation_accuracy": None, "validation_log_loss": None}
    reached = {
        "validation_accuracy": accuracy(labels[known], oof[known]),
        "validation_log_loss": log_loss(labels[known], oof[known]),
    }
    if recipe.folds:
        reached["fold_accuracies"] = [accuracy(labels[rows], oof[rows]) for _, rows in splits.splits(labels, recipe)]
    return reached


def images_per_second(images: int, history: list[dict]) -> float:
    """The median epoch's rate over `images` images; the first epoch, which compiles, counts only if it is alone."""
    seconds = [row["seconds"] for row in history if row["fold"] == 0]
    spans = np.diff(seconds) if len(seconds) > 1 else seconds
    return round(float(images / max(np.median(spans), 1e-9)), 1)
