"""The run that an ensemble leaves, like any training's: it can be submitted, evaluated and joined again."""

import numpy as np

from kit import tracking
from kit.ensemble import report, scoring
from kit.ensemble.averaging import Mean
from kit.ensemble.base import Ensemble
from kit.ensemble.members import MODEL, SPLIT, Members
from kit.errors import UserError
from kit.metrics import accuracy, log_loss
from kit.recipes import plan
from kit.tracking import Run

NESTED_FOLDS = 5


def place(competition: str, name: str) -> Run:
    """Return the run that an ensemble called `name` will be.

    Raises:
        UserError: it exists already, or `name` cannot name a run.
    """
    run = tracking.place(competition, name)
    _refuse_existing(run)
    if plan.begun(run):
        raise UserError(f"{run.folder} is a plan's that was begun and not finished; take another --name.")
    return run


def nested_folds(members: Members) -> int:
    """How many folds judge an ensemble: as many as its members have, or five where they have one split."""
    return members.folds or NESTED_FOLDS


def join(run: Run, members: Members, method: str, estimator: Ensemble, seed: int = 0) -> dict:
    """Judge an ensemble on images that it was not fitted on, print the verdict, and write the ensemble's run.

    Args:
        run: where to.
        members: what is joined.
        method: the command's word for it.
        estimator: the ensemble, not fitted yet.
        seed: of the nested folds and of the ensemble.

    Returns:
        The run's metrics, as in its `metrics.json`.

    Raises:
        UserError: too few images were predicted by all members, or as `write`.
    """
    folds = nested_folds(members)
    if len(members.rows) < folds:
        raise UserError(f"only {len(members.rows)} images were predicted by all runs; {folds} are needed at least.")
    print(
        f"{len(members.runs)} members; judged on {report.judged_on(members)}, each by an ensemble fitted without it\n",
        flush=True,
    )
    plain_mean = Mean().fit(members.oof, members.labels).predict_proba(members.oof)
    nested = scoring.nested_probabilities(estimator, members.oof, members.labels, folds, seed)
    fitted = estimator.fit(members.oof, members.labels)
    geometric = getattr(estimator, "geometric", False)
    is_plain_mean = isinstance(estimator, Mean) and not geometric
    label = method + (", geometric" if geometric else "")
    joined = {"plain mean": plain_mean} | ({} if is_plain_mean else {label: nested})
    print(report.table(members, getattr(fitted, "weights_", None), joined), end="\n\n")
    print(report.disagreements(members), end="\n\n")
    print(report.comparison(members, nested, None if is_plain_mean else plain_mean))
    return write(run, members, method, fitted, nested, seed)


def write(run: Run, members: Members, method: str, fitted: Ensemble, nested: np.ndarray, seed: int = 0) -> dict:
    """Write an ensemble's run and its submission CSV, `config.yaml` last: an interrupted one is no run at all.

    Args:
        run: where to, from `place`.
        members: what was joined.
        method: the command's word for it.
        fitted: the ensemble, fitted on all of `members.oof`.
        nested: float32 (n, classes), its nested out-of-fold probabilities for `members.rows`.
        seed: of the nested folds and of the ensemble.

    Returns:
        The run's metrics, as in its `metrics.json`.

    Raises:
        UserError: the run exists already, or a member's test probabilities are damaged.
    """
    from kit import submission

    _refuse_existing(run)
    dataset = members.dataset
    test = fitted.predict_proba(members.test())
    oof = np.full((len(dataset.train_labels), nested.shape[1]), np.nan, np.float32)
    oof[members.rows] = nested
    run.write_array("oof", oof)
    run.write_array("test", test)
    _write_figures(run, members, nested)
    submission.write(
        run.submission,
        dataset.competition,
        dataset.test_ids,
        fitted.classes_[test.argmax(axis=1)].astype(np.uint8),
    )
    weights = getattr(fitted, "weights_", None)
    config = {
        "competition": dataset.competition.name,
        "source": dataset.source,
        "limit": members.limit,
        "model": MODEL,
        "method": method,
        "options": {name: _plain(value) for name, value in fitted.get_params().items()},
        "seed": seed,
        "members": members.names,
    }
    if weights is not None:
        config["weights"] = dict(zip(members.names, map(float, weights), strict=True))
    if hasattr(fitted, "temperature_"):
        config["temperature"] = fitted.temperature_
    metrics = _metrics(members, fitted, nested, test, weights, seed)
    run.write_metrics(metrics)
    run.write_config(config)
    return metrics


def _refuse_existing(run):
    if (run.folder / "config.yaml").exists():
        raise UserError(f"{run.folder} exists already; take another --name, or remove it.")


def _metrics(members, fitted, nested, test, weights, seed):
    dataset, labels, facts = members.dataset, members.labels, members.metrics
    seconds = sum(one["fit_seconds"] for one in facts)
    images = sum(one["fit_seconds"] * one["images_per_second"] for one in facts)
    metrics = {
        "competition": dataset.competition.name,
        "model": MODEL,
        "source": dataset.source,
        "seen": sorted({*dataset.seen, *(name for one in facts for name in one["seen"])}),
        "seed": seed,
        **{name: facts[0][name] for name in (*SPLIT, "data_fingerprint")},
        "validation_accuracy": accuracy(labels, nested),
        "validation_log_loss": log_loss(labels, nested),
        "validation_images": len(labels),
        "fit_seconds": round(seconds, 3),
        "images_per_second": round(images / seconds, 1) if seconds else 0.0,
        "parameters": sum(one["parameters"] for one in facts),
        "members": {
            name: {
                "validation_accuracy": accuracy(labels, own),
                "validation_log_loss": log_loss(labels, own),
            }
            | ({} if weights is None else {"weight": float(weights[number])})
            for number, (name, own) in enumerate(zip(members.names, members.oof, strict=True))
        },
    }
    if members.folds:
        fold = scoring.fold_of_each(labels, nested_folds(members), seed)
        metrics["fold_accuracies"] = [
            accuracy(labels[fold == one], nested[fold == one]) for one in range(members.folds)
        ]
    if dataset.test_labels is not None:
        metrics["test_accuracy"] = accuracy(dataset.test_labels, test)
    return metrics


def _write_figures(run, members, nested):
    from kit import figures

    labels, names, rival = members.labels, members.names, members.names[members.best]
    words = members.dataset.competition.class_names
    run.write_figure(
        "pairwise-disagreement", figures.pairwise_disagreement(names, members.disagreement, members.accuracies)
    )
    before, after = members.predicted[members.best], nested.argmax(axis=1)
    run.write_figure("gains-by-class", figures.gains_by_class(labels, before, after, rival, words))
    images = members.dataset.train_images[members.rows]
    run.write_figure("changed-images", figures.changed_images(images, labels, before, after, rival, words))


def _plain(value):
    return [float(one) for one in value] if isinstance(value, (list, tuple)) else value
