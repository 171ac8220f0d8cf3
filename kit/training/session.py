"""A whole training: every fold, its predictions, and the numbers, arrays and networks that it leaves in its run."""

import gc
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kit import files, metrics
from kit.errors import UserError
from kit.timings import Timings, peak_memory
from kit.tracking import Metrics, Run
from kit.training import checkpoint, devices, features, inference, tta
from kit.training.fit import CheckpointPaths, fit
from kit.training.setup import Training
from kit.training.transfer import load


def train(
    training: Training,
    run: Run,
    timings: Timings | None = None,
    callbacks: Callable[[Run, int], list[keras.callbacks.Callback]] | None = None,
) -> Metrics:
    """Train the recipe's network on every fold and write what it reached into `run`, which has begun.

    A run that was interrupted goes on: folds that are done are kept, the fold that was under way goes on from its last
    whole epoch, and the outcome is that of an unbroken run, bit for bit on CPU.

    Args:
        training: what to do.
        run: where to.
        timings: where to add what training and predicting take.
        callbacks: makes more Keras callbacks for a run and a fold's number.

    Returns:
        The run's metrics, as in its `metrics.json`.

    Raises:
        Failure: the training diverged.
        UserError: a checkpoint is damaged.
    """
    timings = timings or Timings()
    parts = [_fold(training, run, fold, timings, callbacks) for fold in range(len(training.folds))]
    dataset = training.dataset
    oof, test, weights = tta.combine(dataset, training.folds, parts)
    _write_snapshots(training, run, parts)
    history = [row for part in parts for row in part["history"]]
    run.write_history(history)
    run.write_array("oof", oof)
    run.write_array("test", test)
    reached = _metrics(training, oof, test, history, parts, weights)
    run.write_metrics(reached)
    return reached


def reached(training: Training, oof: np.ndarray) -> dict[str, Any]:
    """Return how good out-of-fold probabilities are, as fields of `Metrics`.

    Args:
        training: says which rows were validated on.
        oof: (n, classes) float32, NaN in all other rows.

    Raises:
        UserError: a row that was validated on is NaN, or what it holds are not probabilities.
    """
    dataset, labels = training.dataset, training.dataset.train_labels
    rows = np.sort(np.concatenate([held_out for _, held_out in training.folds]))
    known = metrics.predicted_rows(oof, (len(labels), dataset.competition.classes), "out-of-fold predictions")
    if not np.array_equal(np.flatnonzero(known), rows):
        raise UserError(f"{len(rows)} images were validated on, but {known.sum()} have predictions; train again.")
    if not len(rows):
        return {"validation_accuracy": None, "validation_log_loss": None, "validation_images": 0}
    found: dict[str, Any] = {
        "validation_accuracy": metrics.accuracy(labels[rows], oof[rows]),
        "validation_log_loss": metrics.log_loss(labels[rows], oof[rows]),
        "validation_images": len(rows),
    }
    metric = dataset.competition.metric
    folds = [np.searchsorted(rows, part) for _, part in training.folds] if training.recipe.folds else []
    found |= metrics.competition_score(metric, labels[rows], oof[rows], folds)
    found |= metrics.against_baseline(metric, labels[rows], oof[rows])
    if training.recipe.folds:
        beaten = [metrics.against_baseline(metric, labels[part], oof[part]) for _, part in training.folds]
        if any(one["beats_baseline"] is False for one in beaten):
            found["beats_baseline"] = False
        found["fold_accuracies"] = [metrics.accuracy(labels[part], oof[part]) for _, part in training.folds]
    return found


def images_per_second(images: int, history: list[dict[str, Any]]) -> float:
    """Return the median epoch's speed over `images` images; the first epoch, which compiles, counts only if alone."""
    seconds = [row["seconds"] for row in history if row["fold"] == 0]
    spans = np.diff(seconds) if len(seconds) > 1 else seconds
    return round(float(images / max(np.median(spans), 1e-9)), 1)


def _fold(training, run, fold, timings, callbacks):
    """Train one fold, or read what it left; returns its probabilities and history."""
    done = run.working / f"fold-{fold}.npz"
    if done.exists() and run.network_path(fold).exists():
        arrays, notes = checkpoint.read_arrays(done)
        _check_part(training, fold, arrays, notes, done)
        return arrays | notes
    if len(training.folds) > 1:
        print(f"fold {fold + 1} of {len(training.folds)}")
    started = time.perf_counter()
    split = training.split(fold)
    paths = CheckpointPaths(run.working / f"state-{fold}.npz", run.working / f"best-{fold}.keras")
    with devices.prepare(training.recipe.devices):
        with timings.measure("train"):
            network = training.network(split)
            print("compiling the training step; the first epoch takes some seconds longer", flush=True)
            more = callbacks(run, fold) if callbacks else []
            history = fit(network, split, training.recipe, paths, started, more, training.cache)
            if training.recipe.checkpoint == "best":
                network.set_weights(load(paths.best).get_weights())
            with files.replacing(run.network_path(fold)) as fresh:
                network.save(fresh)
        with timings.measure("predict"):
            arrays = _predicted(training, network, split, paths)
    notes = {"history": history, "parameters": network.count_params(), "recipe": training.recipe.as_dict()}
    checkpoint.write_arrays(done, arrays, notes)
    for path in run.working.glob(f"state-{fold}*"):
        path.unlink(missing_ok=True)
    # Keras keeps every graph that it has built; without this, memory grows from fold to fold. Outside of the devices'
    # scope, which TensorFlow keeps in that graph.
    keras.backend.clear_session(free_memory=True)
    gc.collect()
    return arrays | notes


def _check_part(training, fold, arrays, notes, path):
    """Refuse what a fold has left if it is not of this training.

    Raises:
        UserError: arrays are missing or of another shape.
    """
    groups, classes = len(training.transforms), training.dataset.competition.classes
    counts = {"oof": len(training.folds[fold][1]), "test": len(training.dataset.test_images)}
    numbers = ["", *(f"-{number}" for number in range(training.recipe.snapshots))]
    wanted = {f"{name}{number}": (groups, count, classes) for name, count in counts.items() for number in numbers}
    if {name: array.shape for name, array in arrays.items()} != wanted or not isinstance(notes.get("parameters"), int):
        raise UserError(f"{path} is not of this training; {checkpoint.ANEW}.")
    checkpoint.check_recipe(notes, training.recipe, path)


def _predicted(training, network, split, paths):
    """Probabilities of the fold's network, and of its snapshots, for the images held out and the test images."""
    recipe, groups = training.recipe, training.transforms
    images_of = {"oof": split.validation_images, "test": training.dataset.test_images}
    arrays = _on_features(training, network, images_of) or {
        name: inference.predict_groups(network, images, groups) for name, images in images_of.items()
    }
    for number in range(recipe.snapshots):
        if number == recipe.snapshots - 1 and recipe.checkpoint == "last":
            arrays |= {f"{name}-{number}": arrays[name] for name in images_of}
            continue
        snapshot = load(paths.snapshot(number))
        for name, images in images_of.items():
            arrays[f"{name}-{number}"] = inference.predict_groups(snapshot, images, groups)
    return arrays


def _on_features(training, network, images_of):
    """Probabilities from features, as `predict_groups` returns them for the plain image; None where none are kept."""
    if training.transforms != [[inference.IDENTITY]]:
        return None
    parts = features.usable(training.recipe, network)
    if parts is None:
        return None
    found = {}
    for name, images in images_of.items():
        kept = training.cache.features(parts, images) if len(images) else None
        whole = inference.predict_groups(network, images, training.transforms) if kept is None else None
        found[name] = kept.predict(parts.head)[None].astype(np.float32) if kept else whole
    return found


def _write_snapshots(training, run, parts):
    """Write what the folds' networks predicted at the end of each cycle, if the recipe keeps that."""
    ends = []
    for number in range(training.recipe.snapshots):
        of_cycle = [{name: part[f"{name}-{number}"] for name in ("oof", "test")} for part in parts]
        ends.append(tta.combine(training.dataset, training.folds, of_cycle))
    if ends:
        run.write_array("snapshots-oof", np.stack([oof for oof, _, _ in ends]))
        run.write_array("snapshots-test", np.stack([test for _, test, _ in ends]))


def _metrics(training, oof, test, history, parts, weights):
    dataset, recipe, extra = training.dataset, training.recipe, training.dataset.record().extra
    seconds = {row["fold"]: row["seconds"] for row in history}  # of each fold's last epoch
    return Metrics(
        competition=dataset.competition.name,
        model=recipe.model,
        source=dataset.source,
        seen=sorted({*dataset.seen, *training.lineage.seen}),
        seed=recipe.seed,
        split_seed=recipe.split_seed,
        folds=recipe.folds,
        held_out_share=recipe.held_out_share,
        validation_share=recipe.validation_share,
        data_fingerprint=dataset.fingerprint,
        **reached(training, oof),
        selected_on_validation=recipe.checkpoint == "best" or bool(recipe.patience),
        fit_seconds=round(sum(seconds.values()), 3),
        images_per_second=images_per_second(len(training.folds[0][0]) + (extra.images if extra else 0), history),
        parameters=parts[0]["parameters"],
        epochs=len(history) // len(parts),
        precision=recipe.precision,
        peak_memory=peak_memory(),
        hardware=devices.hardware(),
        test_accuracy=None if dataset.test_labels is None else metrics.accuracy(dataset.test_labels, test),
        tta_weights=weights,
        extra_data=extra,
        teacher=recipe.teacher or None,
        teacher_share=recipe.teacher_share if recipe.teacher else None,
    )
