"""A run's report: one HTML file with its scores and figures."""

import pathlib

import numpy as np

from kit import figures, files, metrics
from kit.evaluation import page, table
from kit.evaluation.evaluation import Evaluation
from kit.evaluation.page import Fact, Image, Section, Table
from kit.evaluation.scores import BINS
from kit.tracking import Run

NAME = "report.html"
MISTAKES, EXPLAINED = 12, 8
LARGEST = 8 << 20  # bytes; reports have one to three million


def check_writable(run: Run) -> None:
    """Check that the run's report can be written, before the work for it.

    Raises:
        UserError: the folder cannot be written; names the file.
        Failure: the disk is full.
    """
    run.check_writable(NAME, LARGEST)


def write(evaluation: Evaluation) -> pathlib.Path:
    """Write `report.html` into the run's folder, whole or not at all, and return its path.

    The report explains mistakes by Grad-CAM where the run has networks. For an ensemble it uses those of the best
    member whose folder is still beside it.

    Raises:
        OSError: the folder is read-only or the disk full; names the file.
    """
    path = evaluation.run.folder / NAME
    files.write_text(path, html(evaluation))
    return path


def html(evaluation: Evaluation) -> str:
    """Return the report as HTML."""
    run, competition = evaluation.run, evaluation.competition
    sections = [
        _classes(evaluation),
        _mistakes(evaluation),
        _explained(evaluation),
        _confusion(evaluation),
        _calibration(evaluation),
        _members(evaluation),
        _training(evaluation),
    ]
    return page.render(
        page.Page(
            title=f"{run.name} – {competition.name}",
            heading=f"{run.name} on {competition.name}",
            notes=_notes(evaluation),
            facts=_facts(evaluation),
            sections=[section for section in sections if section],
        )
    )


def _notes(evaluation: Evaluation) -> list[str]:
    notes = []
    if evaluation.dataset.source == "sample":
        notes.append(f"These are sample data, not Kaggle's: {evaluation.dataset.origin}.")
    if doubt := table.selected(evaluation):
        notes.append(doubt)
    return notes


def _facts(evaluation: Evaluation) -> list[Fact]:
    scores, reached = evaluation.scores, evaluation.run.metrics()
    metric = metrics.named(evaluation.competition.metric)
    error = f"± {scores.standard_error:.2%} (standard error)"
    facts = [
        Fact("accuracy", f"{scores.accuracy:.2%}", f"{error}; {scores.wrong:,} of {scores.images:,} wrong"),
        Fact("log-loss", f"{scores.log_loss:.4f}", "0 is perfect"),
        Fact("calibration error", f"{scores.calibration_error:.2%}", f"ECE over {BINS} bins of confidence"),
        Fact("images", f"{scores.images:,}", f"of {len(evaluation.dataset.train_labels):,}, predicted out of fold"),
        Fact("network", reached.model, f"{reached.parameters:,} parameters"),
        Fact("training", f"{reached.fit_seconds:,.0f} s", f"{reached.images_per_second:,.0f} images per second"),
    ]
    if metric.name != "accuracy":
        score = metric.score(evaluation.labels, evaluation.probabilities)
        spread = metric.error(evaluation.labels, evaluation.probabilities)
        facts = [fact for fact in facts if fact.name != metric.name]
        facts.insert(0, Fact(metric.name, f"{score:.4f}", f"± {spread:.4f} (standard error); by which Kaggle scores"))
    folds = reached.fold_accuracies if metric.name == "accuracy" else reached.fold_scores
    if folds:
        what = "accuracies" if metric.name == "accuracy" else metric.name
        lowest, highest = metric.shown(min(folds)), metric.shown(max(folds))
        facts.insert(1, Fact("folds", f"{len(folds)}", f"{what} from {lowest} to {highest}"))
    return facts


def _classes(evaluation: Evaluation) -> Section:
    columns = ("class", "precision", "recall", "F1", "images", "most often mistaken for")
    rows = [
        (
            name,
            *(f"{row[column]:.2%}" for column in ("precision", "recall", "f1")),
            f"{row['images']:,}",
            row["mistaken_for"] or "none",
        )
        for name, row in evaluation.scores.by_class.iterrows()
    ]
    return Section("Scores by class", table=Table("scores by class", columns, rows, columns[-1:]))


def _mistakes(evaluation: Evaluation) -> Section | None:
    texts = table.mistakes(evaluation, MISTAKES)
    if not texts:
        return None
    figure = figures.wrong_predictions(
        evaluation.images,
        evaluation.labels,
        evaluation.probabilities,
        evaluation.competition.class_names,
        MISTAKES,
    )
    return Section(
        "Worst mistakes",
        Image(
            figure,
            f"The {len(texts)} mistakes with the least probability for the true class: {'; '.join(texts)}.",
            "Above each image is its true class, beside it are the three likeliest classes. The true class is blue.",
            760,
        ),
    )


def _explained(evaluation: Evaluation) -> Section | None:
    """Grad-CAM of the worst mistakes among the images that the first fold's network was not trained on."""
    run = evaluation.explained_by
    recipe = run.config().recipe if run else None
    if run is None or recipe is None:
        return None
    from kit.training import splits, transfer

    _, validation = splits.splits(evaluation.dataset.train_labels, recipe)[0]
    rows = np.flatnonzero(np.isin(evaluation.rows, validation))
    worst = rows[figures.worst_mistakes(evaluation.labels[rows], evaluation.probabilities[rows], EXPLAINED)]
    if not len(worst):
        return None
    names, labels = evaluation.competition.class_names, evaluation.labels[worst]
    network = transfer.load_classifier(run.network_paths()[0], evaluation.competition)
    predicted = evaluation.probabilities[worst].argmax(axis=1)
    pairs = [f"{names[true]} mistaken for {names[other]}" for true, other in zip(labels, predicted, strict=True)]
    owner = "this run" if run == evaluation.run else f"{run.name}, the best member that has networks"
    return Section(
        "Grad-CAM of mistakes",
        Image(
            figures.grad_cam(network, evaluation.images[worst], labels, names),
            f"Grad-CAM maps of {len(worst)} mistakes, for predicted and true class: {', '.join(pairs)}.",
            "Warm colours mark the regions that raise the score of the class above the image (Grad-CAM). The rows "
            "below show the single pixels that do (guided Grad-CAM). All predictions here are of one network, the "
            f"first fold's of {owner}, without test-time augmentation.",
            900,
        ),
    )


def _confusion(evaluation: Evaluation) -> Section:
    names, counts = evaluation.competition.class_names, evaluation.scores.confusion
    mistakes = counts - np.diag(np.diag(counts))
    pairs = [divmod(int(place), len(names)) for place in np.argsort(-mistakes.ravel(), kind="stable")[:3]]
    texts = [
        f"{names[row]} mistaken for {names[column]} ({mistakes[row, column]:,})"
        for row, column in pairs
        if mistakes[row, column]
    ]
    most_frequent = f"The most frequent mistakes: {', '.join(texts)}." if texts else "There are no mistakes."
    return Section(
        "Confusion matrix",
        Image(
            figures.confusion_matrix(evaluation.labels, evaluation.probabilities, names),
            f"Confusion matrix, one row for each true class, one column for each predicted class. {most_frequent}",
            f"A row is a true class, a column a predicted class; all off the diagonal is wrong. {most_frequent}",
            520,
        ),
        Table("confusion matrix as a table", ("true class", *names), [*zip(names, *counts.T.tolist(), strict=True)]),
    )


def _calibration(evaluation: Evaluation) -> Section:
    error = evaluation.scores.calibration_error
    return Section(
        "Calibration",
        Image(
            figures.calibration(evaluation.labels, evaluation.probabilities, BINS),
            f"Reliability diagram with a histogram of confidence; the expected calibration error is {error:.2%}.",
            "On the dashed line, a confidence of 80% means an accuracy of 80%. Below it the network is "
            "overconfident, above it underconfident.",
        ),
    )


def _members(evaluation: Evaluation) -> Section | None:
    members, metric = evaluation.run.metrics().members, metrics.named(evaluation.run.metrics().metric)
    if not members:
        return None
    named = () if metric.name in ("accuracy", "log-loss") else (metric.name,)
    rows = [
        (
            name,
            *(metric.shown(member.score) for _ in named),
            f"{member.validation_accuracy:.2%}",
            f"{member.validation_log_loss:.4f}",
            "" if member.weight is None else f"{member.weight:.3f}",
        )
        for name, member in members.items()
    ]
    columns = ("member", *named, "accuracy", "log-loss", "weight")
    return Section("Members", table=Table("members of the ensemble", columns, rows))


def _training(evaluation: Evaluation) -> Section | None:
    if not (evaluation.run.folder / "history.csv").exists():
        return None
    history, metric = evaluation.run.history, evaluation.competition.metric
    return Section(
        "Learning curves",
        Image(
            figures.learning_curves(history, metric=metric),
            f"Learning curves over {int(history['epoch'].max())} epochs: loss and score per epoch, {metric} against "
            "time.",
            "Training is dashed, validation solid. With folds, thin lines are folds and thick lines their mean.",
            900,
        ),
    )
