"""A run's report: one HTML file with its numbers and pictures."""

import pathlib

import numpy as np

from kit import figures, files
from kit.evaluation import page, table
from kit.evaluation.evaluation import Evaluation
from kit.evaluation.page import Shown
from kit.evaluation.scores import RANGES

MISTAKES, EXPLAINED = 12, 8


def write(judged: Evaluation) -> pathlib.Path:
    """Write `report.html` into the run's folder, whole or not at all, and return its path.

    Grad-CAM of mistakes is in it where there is a network to ask: the run's own, or for an ensemble that of its most
    accurate member, if it still lies beside it.
    """
    path = judged.run.folder / "report.html"
    files.write_text(path, html(judged))
    return path


def html(judged: Evaluation) -> str:
    """Return the report as HTML."""
    pictures = [_mistakes(judged), _explained(judged), _confusion(judged), _calibration(judged), _training(judged)]
    return page.whole(
        f"{judged.run.name} – {judged.dataset.competition.name}",
        [
            _overview(judged),
            _classes(judged),
            *(page.picture(shown) for shown in pictures[:-1] if shown),
            _members(judged),
            *(page.picture(shown) for shown in pictures[-1:] if shown),
        ],
    )


def _overview(judged: Evaluation) -> str:
    scores, metrics = judged.scores, judged.run.metrics()
    reached = metrics.get("fold_accuracies")
    folds = f"; {len(reached)} folds, {min(reached):.2%} to {max(reached):.2%}" if reached else ""
    facts = [
        ("accuracy", f"{scores.accuracy:.2%}", f"± {100 * scores.accuracy_error:.2f}, {scores.wrong:,} wrong{folds}"),
        ("log-loss", f"{scores.log_loss:.4f}", "0 is perfect"),
        ("calibration error", f"{scores.calibration_error:.2%}", f"ECE, {RANGES} ranges of certainty"),
        (
            "images judged",
            f"{scores.images:,}",
            f"of {len(judged.dataset.train_labels):,}, by networks not trained on them",
        ),
        ("network", str(metrics["model"]), f"{metrics['parameters']:,} weights"),
        ("training", f"{metrics['fit_seconds']:,.0f} s", f"{metrics['images_per_second']:,.0f} images a second"),
    ]
    sample = f"Sample data, not Kaggle's: {judged.dataset.origin}." if judged.dataset.source == "sample" else ""
    return page.facts(f"{judged.run.name} on {judged.dataset.competition.name}", sample, facts)


def _classes(judged: Evaluation) -> str:
    columns = ("class", "precision", "recall", "F1", "images", "most often taken for")
    rows = [
        (
            name,
            *(f"{row[column]:.2%}" for column in ("precision", "recall", "f1")),
            f"{row['images']:,}",
            row["mistaken_for"] or "none",
        )
        for name, row in judged.scores.by_class.iterrows()
    ]
    return page.section("Class by class", page.table("the scores of each class", columns, rows, columns[-1:]))


def _members(judged: Evaluation) -> str:
    members = judged.run.metrics().get("members")
    if not members:
        return ""
    columns = ("member", "accuracy", "log-loss", "weight")
    rows = [
        (name, f"{one['validation_accuracy']:.2%}", f"{one['validation_log_loss']:.4f}", _weight(one.get("weight")))
        for name, one in members.items()
    ]
    return page.section("What it is made of", page.table("the members of the ensemble", columns, rows))


def _weight(weight: float | None) -> str:
    return "" if weight is None else f"{weight:.3f}"


def _confusion(judged: Evaluation) -> Shown:
    names, counts = judged.rules.class_names, judged.scores.confusion
    off = counts - np.diag(np.diag(counts))
    pairs = [divmod(int(place), len(names)) for place in np.argsort(-off.ravel(), kind="stable")[:3]]
    said = [f"{names[row]} taken for {names[column]}: {off[row, column]}" for row, column in pairs if off[row, column]]
    worst = f"The commonest mistakes: {', '.join(said)}." if said else "There are no mistakes."
    rows = [(name, *row) for name, row in zip(names, counts, strict=True)]
    counted = page.table("the counts of the confusion matrix", ("true", *names), rows)
    return Shown(
        "Which class is taken for which",
        figures.confusion_matrix(judged.labels, judged.probabilities, names),
        f"Confusion matrix, a row a true class and a column a predicted one. {worst}",
        f"A row is a true class, a column a predicted one; what is off the diagonal is wrong. {worst}",
        520,
        f"<details><summary>the counts as a table</summary>{counted}</details>",
    )


def _calibration(judged: Evaluation) -> Shown:
    error = judged.scores.calibration_error
    return Shown(
        "How far its certainty can be trusted",
        figures.calibration(judged.labels, judged.probabilities, RANGES),
        f"Reliability diagram with a histogram of certainty; the expected calibration error is {error:.2%}.",
        "On the dashed line, 80 % sure means right four times in five. Below it the network is too sure.",
    )


def _mistakes(judged: Evaluation) -> Shown | None:
    words = table.mistakes(judged, MISTAKES)
    if not words:
        return None
    return Shown(
        "The worst mistakes",
        figures.wrong_predictions(
            judged.images, judged.labels, judged.probabilities, judged.rules.class_names, MISTAKES
        ),
        f"The {len(words)} mistakes with the least probability for the truth: {'; '.join(words)}.",
        "Above each image what it is, beside it the three likeliest classes; the true one is blue.",
        760,
    )


def _explained(judged: Evaluation) -> Shown | None:
    """Grad-CAM of mistakes among what the first fold's network was not trained on, by that network."""
    asked = judged.explained_by
    if asked is None:
        return None
    from kit.recipes import recipe
    from kit.training import splits, transfer

    chosen = recipe.from_dict(asked.config()["recipe"])
    held_out = splits.splits(judged.dataset.train_labels, chosen)[0][1]
    mine = np.flatnonzero(np.isin(judged.rows, held_out))
    worst = mine[figures.worst_mistakes(judged.labels[mine], judged.probabilities[mine], EXPLAINED)]
    if not len(worst):
        return None
    names, images, labels = judged.rules.class_names, judged.images[worst], judged.labels[worst]
    drawn = figures.grad_cam(transfer.load(asked.network_paths()[0]), images, labels, names)
    predicted = judged.probabilities[worst].argmax(axis=1)
    said = ", ".join(f"{names[label]} taken for {names[other]}" for label, other in zip(labels, predicted, strict=True))
    whose = "the first fold's" if asked == judged.run else f"that of its most accurate member, {asked.name}"
    return Shown(
        "Where it looked when it was wrong",
        drawn,
        f"Grad-CAM heat maps over {len(worst)} mistakes, for the predicted and for the true class: {said}.",
        "Warm places spoke for the class that is named above them (Grad-CAM); below, the single pixels in them (guided "
        f"Grad-CAM). The network shown is {whose}, without test-time augmentation.",
        900,
    )


def _training(judged: Evaluation) -> Shown | None:
    history = judged.run.folder / "history.csv"
    if not history.exists():
        return None
    import pandas as pd

    told = pd.read_csv(history)
    epochs = int(told["epoch"].max())
    return Shown(
        "How it was trained",
        figures.learning_curves(told),
        f"Learning curves over {epochs} epochs: loss per epoch, accuracy per epoch, accuracy against time.",
        "Training dashed, validation solid; with folds, thin lines are folds and thick ones their mean.",
        900,
    )
