"""A run's scores as text."""

from kit import metrics
from kit.evaluation.evaluation import Evaluation
from kit.figures import worst_mistakes


def selected(evaluation: Evaluation) -> str:
    """Say that the scores are too good where the images that were scored chose the epoch; else an empty text."""
    metric = metrics.named(evaluation.competition.metric)
    if not evaluation.run.metrics().selected_on_validation:
        return ""
    return (
        "The epoch was chosen on these same images (checkpoint: best, or patience): the "
        f"{metric.name} is slightly too {metric.too_good}."
    )


def summary(evaluation: Evaluation) -> str:
    """Return the scores of a run as lines of text: over all images, then one line for each class."""
    scores = evaluation.scores
    others = {
        "accuracy": f"{scores.accuracy:.2%} ± {scores.standard_error:.2%} ({scores.wrong:,} wrong)",
        "log-loss": f"{scores.log_loss:.4f}",
    }
    metric = metrics.named(evaluation.competition.metric)
    if metric.name != "accuracy":
        score = metric.score(evaluation.labels, evaluation.probabilities)
        error = metric.error(evaluation.labels, evaluation.probabilities)
        others.pop(metric.name, None)
        others = {metric.name: f"{metric.shown(score, error)} (by which Kaggle scores)"} | others
    width = max(19, *map(len, others))
    lines = [
        f"{evaluation.run.name} on {evaluation.competition.name}: {scores.images:,} of "
        f"{len(evaluation.dataset.train_labels):,} training images, predicted out of fold",
        "",
        *(f"{name:<{width}}  {text}" for name, text in others.items()),
        f"{'calibration error':<{width}}  {scores.calibration_error:.2%}",
        "",
    ]
    if doubt := selected(evaluation):
        lines[-1:] = [doubt, ""]
    width = max(5, *map(len, evaluation.competition.class_names))
    lines.append(f"{'class':<{width}}  precision   recall       F1   images  most often mistaken for")
    for name, row in scores.by_class.iterrows():
        shares = "".join(f"  {row[column]:>7.2%}" for column in ("recall", "f1"))
        lines.append(
            f"{name:<{width}}    {row['precision']:>7.2%}{shares}  {row['images']:>7,}  {row['mistaken_for']}".rstrip()
        )
    return "\n".join(lines)


def confusion(evaluation: Evaluation) -> str:
    """Return the confusion matrix as lines of text: a row is a true class, a column a predicted one; 0 is a dot."""
    names, counts = evaluation.competition.class_names, evaluation.scores.confusion
    cells = [["true \\ predicted", *names]]
    cells += [[name, *(str(count or "·") for count in row)] for name, row in zip(names, counts.tolist(), strict=True)]
    longest = len(str(counts.max()))
    widths = [max(longest, *map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))])
        for first, *rest in cells
    )


def mistakes(evaluation: Evaluation, count: int = 12) -> list[str]:
    """Return the worst mistakes as texts, such as "row 31 is 4, predicted 9 (99.1%)", the worst first.

    Args:
        evaluation: the run and its data. Rows are counted from 0 in the order of the training data.
        count: how many at most.
    """
    names, labels, probabilities = evaluation.competition.class_names, evaluation.labels, evaluation.probabilities
    return [
        f"row {evaluation.rows[number]} is {names[labels[number]]}, predicted {names[probabilities[number].argmax()]} "
        f"({probabilities[number].max():.1%})"
        for number in worst_mistakes(labels, probabilities, count)
    ]
