"""What a competition scores by is what every place speaks of, whichever direction is better."""

import bundles
import kit_configs
import made
import made_runs
import numpy as np
import pandas as pd
import pytest

import kit
from kit import competitions, ensemble, evaluate, figures, loaders, metrics, runs, submission, submit, tracking
from kit.benchmarking import report as benchmark
from kit.command_line import DONE
from kit.errors import UserError
from kit.evaluation import evaluation, report
from kit.recipes import Recipe
from kit.submission import history, selection
from kit.submission.ledger import Line
from kit.training import session, summary
from kit.training.setup import Training

SLUG = "graded"
OTHERS = ["log-loss", "quadratic-weighted-kappa", "macro-f1"]


@pytest.fixture(params=OTHERS)
def graded(request, tmp_path, monkeypatch):
    """A competition of four grades that scores by another metric than accuracy, with 80 images on disk."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KIT_CONFIGS", str(tmp_path / "own"))
    names = [f"pixel{number}" for number in range(64)]
    rng = np.random.default_rng(0)
    labels, pixels = np.arange(80) % 4, rng.integers(0, 256, (80, 64))
    bundles.loose(tmp_path / "data" / SLUG, {
        "train.csv": bundles.table(["grade", *names], np.column_stack([labels, pixels]).tolist()).encode(),
        "test.csv": bundles.table(names, pixels[:6].tolist()).encode(),
        "sample_submission.csv": bundles.table(["id", "grade"], [(n, 0) for n in range(1, 7)]).encode(),
    })  # fmt: skip
    kit_configs.write(SLUG, request.param)
    return loaders.load(SLUG, "kaggle")


def oof_of(dataset, wrong, confidence, every=5):
    """Out-of-fold probabilities that are sure, with `wrong` images in the next class."""
    labels = dataset.train_labels.copy()
    rows = np.arange(0, every * wrong, every)[:wrong]
    labels[rows] = (labels[rows] + 1) % 4
    return np.where(np.eye(4)[labels] > 0, confidence, (1 - confidence) / 3).astype(np.float32)


def leave(dataset, name, oof):
    """A complete run with folds, scored as a training scores it."""
    folds = [(np.flatnonzero(np.arange(80) % 5 != k), np.flatnonzero(np.arange(80) % 5 == k)) for k in range(5)]
    recipe = Recipe(model="lenet_small", folds=5)
    reached = session.reached(Training(dataset, recipe, folds, None), oof)
    uniform = np.full((6, 4), 0.25, np.float32)
    uniform[:, 0] += 0.01
    run = made.leave(name, dataset, oof, uniform / uniform.sum(1, keepdims=True), **reached)
    run.write_history([{**row, "val_score": 0.5} for row in made_runs.history(2)])
    assert "val_score" in run.history
    submission.write(run.submission, dataset.competition, dataset.test_ids, run.test())
    return run


@pytest.fixture
def two(graded):
    """A run that is better by accuracy, and one that is better by the metric."""
    name = graded.competition.metric
    accurate = oof_of(graded, 6, 0.9999 if name == "log-loss" else 0.9)
    other = oof_of(graded, 8, 0.8)
    if name == "quadratic-weighted-kappa":  # fewer mistakes, but far ones
        far = np.flatnonzero(graded.train_labels == 0)[:6]
        accurate = oof_of(graded, 0, 0.9)
        accurate[far] = np.roll(accurate[far], 3, axis=1)
    if name == "macro-f1":  # fewer mistakes, but all of one class
        rows = np.flatnonzero(graded.train_labels == 2)[:19]
        other = oof_of(graded, 20, 0.8, every=3)
        accurate = oof_of(graded, 0, 0.9)
        accurate[rows] = np.roll(accurate[rows], 1, axis=1)
    return leave(graded, "accurate", accurate), leave(graded, "better", other)


def test_the_better_run_by_the_metric_is_on_top_and_is_submitted(graded, two, capsys):
    accurate, better = two
    metric = metrics.named(graded.competition.metric)
    assert accurate.metrics().validation_accuracy > better.metrics().validation_accuracy
    assert metric.gain(better.metrics().score) > metric.gain(accurate.metrics().score)
    assert list(kit.runs.table()["name"]) == ["better", "accurate"]
    assert list(kit.runs.table(sort="accuracy")["name"]) == ["accurate", "better"]
    assert runs.main([]) == DONE
    header = capsys.readouterr().out.splitlines()[1]
    assert header.count(metric.name) == 1
    assert header.index(metric.name) < header.index("accuracy")
    assert selection.best_run(graded.competition) == better
    assert selection.better(accurate, accurate.metrics(), graded.competition)
    assert not selection.better(better, better.metrics(), graded.competition)
    assert "Best of your other runs" in summary.summary(accurate)
    assert metric.name in repr(kit.Run(better))
    assert submit.main(["--best", "--competition", SLUG, "--dry-run"]) == DONE
    printed = capsys.readouterr().out
    assert metric.name in printed
    assert f"{better.metrics().score:.5f}" in printed


def test_runs_are_compared_by_the_metric(graded, two, capsys):
    (test,) = kit.runs.compare("accurate", "better").tests.to_dict("records")
    score, labels = metrics.named(graded.competition.metric).score, graded.train_labels
    assert test["score_second"] == pytest.approx(score(labels, two[1].oof()))
    expected = metrics.compare(graded.competition.metric, labels, two[0].oof(), two[1].oof())
    assert test["p_value"] == expected.p_value
    assert runs.main(["--compare", "accurate", "better"]) == DONE
    assert "bootstrap" in capsys.readouterr().out


def test_evaluate_and_its_report_begin_with_the_metric(graded, two, capsys):
    metric = metrics.named(graded.competition.metric)
    better = two[1]
    folds = better.metrics().fold_scores
    rows = np.arange(80) % 5 == 2
    assert folds[2] == pytest.approx(metric.score(graded.train_labels[rows], better.oof()[rows]))
    assert evaluate.main([f"{SLUG}/better"]) == DONE
    printed = capsys.readouterr().out
    assert metric.shown(better.metrics().score, better.metrics().score_error) in printed
    facts = report._facts(evaluation.gather(better))
    assert [fact.name for fact in facts].count(metric.name) == 1
    assert (facts[0].name, facts[0].value) == (metric.name, f"{better.metrics().score:.4f}")
    assert f"{min(folds):.4f}" in facts[1].note


def test_an_ensemble_speaks_of_the_metric(graded, two, capsys):
    from kit.ensemble.__main__ import main as join

    assert join([f"{SLUG}/accurate", f"{SLUG}/better", "--method", "hill-climb", "--name", "both"]) == DONE
    printed = capsys.readouterr().out
    assert graded.competition.metric in printed
    assert printed.index("better  ") < printed.index("accurate  ")  # the best member first
    members = tracking.find(f"{SLUG}/both").metrics().members
    score = metrics.named(graded.competition.metric).score
    assert members["better"].score == pytest.approx(score(graded.train_labels, two[1].oof()))
    page = report.html(evaluation.gather(tracking.find(f"{SLUG}/both")))
    assert graded.competition.metric in page
    assert ensemble.gather([f"{SLUG}/accurate", f"{SLUG}/better"]).best == 1


def test_the_ledger_and_the_list_know_the_metric(graded, two, tmp_path):
    from kit.submission import preparation

    name = graded.competition.metric
    line = preparation.prepare(two[1]).line
    assert (line.metric, line.validation_score) == (name, two[1].metrics().score)
    scored = [
        Line(SLUG, f"{score}.csv", f"{row}" * 64, f"{score}", score, "m", f"2026-01-0{row}T00:00:00.000Z", metric=name,
             reference=row, status="complete", public_score=score)
        for row, score in enumerate((0.2, 0.4, 0.3), 1)
    ]  # fmt: skip
    entries = history.best_first(scored, [], metrics.named(name))
    expected = [0.2, 0.3, 0.4] if name == "log-loss" else [0.4, 0.3, 0.2]
    assert [entry.validation_score for entry in entries] == expected
    assert history.draw(entries, SLUG, metrics.named(name)).exists()


def test_a_run_that_another_metric_has_scored_is_not_the_best(graded, two):
    kit_configs.write(SLUG, next(name for name in OTHERS if name != graded.competition.metric))
    with pytest.raises(UserError, match="no complete run"):
        selection.best_run(competitions.get(SLUG))


@pytest.mark.parametrize("name", ["accuracy", *OTHERS])
def test_learning_curves_show_the_metric(name):
    row = {"fold": 0, "loss": 1.0, "accuracy": 0.5, "val_loss": 0.9, "val_accuracy": 0.6, "val_score": 0.3}
    table = pd.DataFrame([{**row, "epoch": epoch, "seconds": float(epoch)} for epoch in (1, 2)])
    axes = figures.learning_curves(table, metric=name).axes
    assert name in axes[2].get_title()
    shown = {float(line.get_ydata()[0]) for line in axes[2].lines}
    assert shown == {"accuracy": {0.5, 0.6}, "log-loss": {1.0, 0.9}}.get(name, {0.3})


@pytest.mark.parametrize("name", OTHERS)
def test_a_benchmark_has_the_metric_beside_the_accuracy(name, tmp_path):
    from test_benchmark import measured

    results = [measured(metric=name, score=0.25), measured(seed=1, metric=name, score=0.75)]
    assert name in benchmark.text(results, 0.99, 15).splitlines()[0]
    assert "0.5000 ± 0.3536" in benchmark.text(results, 0.99, 15)
    header, _, row, *_ = benchmark.markdown(results, 0.99, 15).splitlines()
    assert row.split(" | ")[header.split(" | ").index(name)] == "0.5000 ± 0.3536"
    benchmark.write_csv(tmp_path / "x.csv", SLUG, results)
    assert pd.read_csv(tmp_path / "x.csv")[f"last_{name}"].tolist() == [0.25, 0.25, 0.75, 0.75]


@pytest.mark.parametrize("name", ["accuracy", *OTHERS])
def test_a_difference_is_luck_or_not_by_the_metric_itself(name):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 400)
    noise = rng.normal(0, 1, (400, 4))
    weak = metrics.softmax(noise + np.eye(4)[labels]).astype(np.float32)
    strong = metrics.softmax(0.4 * noise + 2 * np.eye(4)[labels]).astype(np.float32)
    assert not metrics.compare(name, labels, weak, weak).significant
    found = metrics.compare(name, labels, weak, strong)
    assert found.significant
    assert metrics.named(name).gain(found.difference) > 0
    back = metrics.compare(name, labels, strong, weak)
    assert back.difference == pytest.approx(-found.difference)
    assert back.significant
