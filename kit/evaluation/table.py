"""A run's scores as text."""

from kit.evaluation.evaluation import Evaluation
from kit.figures import worst_mistakes


def summary(judged: Evaluation) -> str:
    """Return the scores of a run as lines of text: over all images, then a line a class."""
    scores = judged.scores
    lines = [
        f"{judged.run.name} on {judged.dataset.competition.name}, {scores.images:,} out-of-fold images "
        f"of {len(judged.dataset.train_labels):,}",
        "",
        f"accuracy             {scores.accuracy:.2%} ± {100 * scores.accuracy_error:.2f} ({scores.wrong:,} wrong)",
        f"log-loss             {scores.log_loss:.4f}",
        f"calibration (ECE)    {scores.calibration_error:.2%}",
        "",
    ]
    width = max(5, *map(len, judged.rules.class_names))
    lines.append(f"{'class':<{width}}  precision   recall       F1   images  most often taken for")
    for name, row in scores.by_class.iterrows():
        shares = "".join(f"  {row[column]:>7.2%}" for column in ("recall", "f1"))
        lines.append(
            f"{name:<{width}}    {row['precision']:>7.2%}{shares}  {row['images']:>7,}  {row['mistaken_for']}".rstrip()
        )
    return "\n".join(lines)


def confusion(judged: Evaluation) -> str:
    """Return the confusion matrix as lines of text, a row a true class, a column a predicted one; 0 as a dot."""
    names, counts = judged.rules.class_names, judged.scores.confusion
    cells = [["true \\ predicted", *names]]
    cells += [[name, *(str(count or "·") for count in row)] for name, row in zip(names, counts.tolist(), strict=True)]
    longest = len(str(counts.max()))
    widths = [max(longest, *map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))])
        for first, *rest in cells
    )


def mistakes(judged: Evaluation, count: int = 12) -> list[str]:
    """Return the worst mistakes in words, such as "row 31 is 4, predicted 9 with 99.1 %", the worst first.

    Args:
        judged: the run and its data. Rows are counted from 0 in the order of the training data.
        count: how many at most.
    """
    names, labels = judged.rules.class_names, judged.labels
    return [
        f"row {judged.rows[one]} is {names[labels[one]]}, predicted {names[judged.probabilities[one].argmax()]} "
        f"with {100 * judged.probabilities[one].max():.1f} %"
        for one in worst_mistakes(labels, judged.probabilities, count)
    ]
