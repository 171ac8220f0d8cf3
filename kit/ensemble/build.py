"""The run that an ensemble leaves, like any training's: it can be submitted, evaluated and joined again."""

import sys
from typing import Any, cast

import numpy as np

from kit import figures, submission, tracking
from kit.ensemble import report, scoring
from kit.ensemble.averaging import Mean
from kit.ensemble.base import Ensemble
from kit.ensemble.members import Members, warn_of_doubles
from kit.errors import UserError
from kit.metrics import accuracy, against_baseline, competition_score, log_loss, named
from kit.tracking import Config, EnsembleConfig, MemberMetrics, Metrics, Run

NESTED_FOLDS = 5


def nested_folds(members: Members) -> int:
    """Return how many folds score an ensemble: as many as its members have, or five where they have one split."""
    return members.folds or NESTED_FOLDS


def join(run: Run, members: Members, method: str, estimator: Ensemble, seed: int = 0, unique: bool = False) -> Run:
    """Score an ensemble on images that it was not fitted on, print the outcome, and write the ensemble's run.

    Args:
        run: where to.
        members: what is joined.
        method: the command's word for it.
        estimator: the ensemble, not fitted yet.
        seed: of the nested folds and of the ensemble.
        unique: whether the run's name may be followed by a number where it is taken.

    Returns:
        The ensemble's run.

    Raises:
        UserError: too few images were predicted by all members, the run exists already, or a member's test
            probabilities are damaged.
    """
    check(members)
    warn_of_doubles(members.runs)
    test = members.test()
    fitted, nested = score(members, method, estimator, seed)
    with run.begin(config(members, method, fitted, seed), "restart", unique) as begun:
        reached = write(begun, members, fitted, nested, test, seed)
    if reached.shortfall:
        print(f"warning: {begun.name} has learned nothing: its {reached.shortfall}.", file=sys.stderr, flush=True)
    return begun


def check(members: Members) -> None:
    """Refuse members that an ensemble cannot be scored on.

    Raises:
        UserError: fewer images than folds were predicted by all of them.
    """
    folds = nested_folds(members)
    if len(members.rows) < folds:
        raise UserError(f"only {len(members.rows)} images were predicted by all runs; {folds} are needed at least.")


def score(members: Members, method: str, estimator: Ensemble, seed: int) -> tuple[Ensemble, np.ndarray]:
    """Fit an ensemble and print how good it is on images that it was not fitted on.

    Returns:
        The estimator, fitted on all of `members.oof`, and float32 (n, classes), its nested out-of-fold probabilities
        for `members.rows`.
    """
    folds = nested_folds(members)
    print(
        f"{len(members.runs)} members; scored on {report.scored_on(members)}, each by an ensemble fitted without it\n",
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
    return fitted, nested


def config(members: Members, method: str, fitted: Ensemble, seed: int) -> Config:
    """Return what an ensemble's `config.yaml` holds."""
    return Config(
        kind="ensemble", data=members.dataset.record(), ensemble=ensemble_config(members, method, fitted, seed)
    )


def ensemble_config(members: Members, method: str, fitted: Ensemble, seed: int) -> EnsembleConfig:
    """Return how an ensemble was made."""
    weights = getattr(fitted, "weights_", None)
    return EnsembleConfig(
        method=cast(Any, method),
        options={name: _plain(value) for name, value in fitted.get_params().items()},
        members=members.names,
        seed=seed,
        weights=None if weights is None else dict(zip(members.names, map(float, weights), strict=True)),
        temperature=getattr(fitted, "temperature_", None),
    )


def write(run: Run, members: Members, fitted: Ensemble, nested: np.ndarray, test: np.ndarray, seed: int = 0) -> Metrics:
    """Write what an ensemble reached into `run`, which has begun, and its submission CSV.

    Args:
        run: where to.
        members: what was joined.
        fitted: the ensemble, fitted on all of `members.oof`.
        nested: float32 (n, classes), its nested out-of-fold probabilities for `members.rows`.
        test: float32 (members, m, classes), the members' test probabilities.
        seed: of the nested folds.

    Returns:
        The run's metrics, as in its `metrics.json`.
    """
    dataset = members.dataset
    probabilities = fitted.predict_proba(test)
    oof = np.full((len(dataset.train_labels), nested.shape[1]), np.nan, np.float32)
    oof[members.rows] = nested
    run.write_array("oof", oof)
    run.write_array("test", probabilities)
    _write_figures(run, members, nested)
    submission.write(run.submission, dataset.competition, dataset.test_ids, probabilities)
    reached = _metrics(members, fitted, nested, probabilities, seed)
    run.write_metrics(reached)
    return reached


def _metrics(members: Members, fitted: Ensemble, nested: np.ndarray, test: np.ndarray, seed: int) -> Metrics:
    dataset, labels, first = members.dataset, members.labels, members.metrics[0]
    seconds = sum(own.fit_seconds for own in members.metrics)
    images = sum(own.fit_seconds * own.images_per_second for own in members.metrics)
    weights = getattr(fitted, "weights_", None)
    metric = named(dataset.competition.metric)
    fields: dict[str, Any] = {}
    folds: list[np.ndarray] = []
    if members.folds:
        fold = scoring.fold_of_each(labels, nested_folds(members), seed)
        folds = [np.flatnonzero(fold == one) for one in range(members.folds)]
        fields["fold_accuracies"] = [accuracy(labels[rows], nested[rows]) for rows in folds]
    fields |= competition_score(metric.name, labels, nested, folds)
    if dataset.test_labels is not None:
        fields["test_accuracy"] = accuracy(dataset.test_labels, test)
    return Metrics(
        competition=dataset.competition.name,
        model="ensemble",
        source=first.source,
        seen=sorted({*dataset.seen, *(name for own in members.metrics for name in own.seen)}),
        seed=seed,
        split_seed=first.split_seed,
        folds=first.folds,
        held_out_share=first.held_out_share,
        validation_share=first.validation_share,
        data_fingerprint=first.data_fingerprint,
        validation_accuracy=accuracy(labels, nested),
        validation_log_loss=log_loss(labels, nested),
        validation_images=len(labels),
        **against_baseline(dataset.competition.metric, labels, nested),
        selected_on_validation=any(own.selected_on_validation for own in members.metrics),
        fit_seconds=round(seconds, 3),
        images_per_second=round(images / seconds, 1) if seconds else 0.0,
        parameters=sum(own.parameters for own in members.metrics),
        members={
            name: MemberMetrics(
                validation_accuracy=accuracy(labels, own),
                validation_log_loss=log_loss(labels, own),
                validation_score=None if metric.name == "accuracy" else metric.score(labels, own),
                weight=None if weights is None else float(weights[number]),
            )
            for number, (name, own) in enumerate(zip(members.names, members.oof, strict=True))
        },
        **fields,
    )


def _write_figures(run: Run, members: Members, nested: np.ndarray) -> None:
    labels, names, rival = members.labels, members.names, members.names[members.best]
    class_names = members.dataset.competition.class_names
    run.write_figure(
        "pairwise-disagreement", figures.pairwise_disagreement(names, members.disagreement, members.accuracies)
    )
    before, after = members.predicted[members.best], nested.argmax(axis=1)
    run.write_figure("gains-by-class", figures.gains_by_class(labels, before, after, rival, class_names))
    images = members.dataset.train_images[members.rows]
    run.write_figure("changed-images", figures.changed_images(images, labels, before, after, rival, class_names))


def _plain(value: Any) -> Any:
    return [float(one) for one in value] if isinstance(value, (list, tuple)) else value


def place(competition: str, name: str) -> Run:
    """Return the run that an ensemble called `name` will be.

    Raises:
        UserError: it is complete already, is not an ensemble's, or `name` cannot name a run, or it cannot be written.
        Failure: the disk is full.
    """
    run = tracking.place(competition, name)
    if run.state == "complete":
        raise UserError(f"{run.folder} exists already; take another --name, or remove it.")
    if run.state != "absent" and run.config().kind != "ensemble":
        raise UserError(f"{run.folder} was begun and is not finished; take another --name.")
    run.check_writable()
    return run
