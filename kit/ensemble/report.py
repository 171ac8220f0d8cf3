"""What `python -m kit.ensemble` prints of an ensemble: how good it is, beside its members and their plain mean."""

import numpy as np

from kit import metrics
from kit.ensemble.members import Members

MOST_LINES = 20  # members in the table
WIDEST_MATRIX = 8  # members in the table of disagreements


def table(members: Members, weights: np.ndarray | None, joined: dict[str, np.ndarray]) -> str:
    """Return accuracy and log-loss of every member and of `joined`, a line each, the best members first.

    Args:
        members: what was joined.
        weights: (members,), or None for a method without weights.
        joined: out-of-fold probabilities (n, classes) of the plain mean and of the ensemble, by name.
    """
    labels = members.labels
    order = np.argsort(-members.accuracies, kind="stable")
    width = max(map(len, [*members.names, *joined]))
    lines = [f"{'run':<{width}}  accuracy  log-loss{'' if weights is None else '  weight'}"]
    for number in order[:MOST_LINES]:
        share = "" if weights is None else f"  {weights[number]:6.3f}"
        lines.append(_line(members.names[number], width, members.oof[number], labels) + share)
    if len(order) > MOST_LINES:
        lines.append(f"… and {len(order) - MOST_LINES} more; metrics.json has them all")
    lines += [_line(name, width, probabilities, labels) for name, probabilities in joined.items()]
    metric = metrics.named(members.dataset.competition.metric)
    if metric.name != "accuracy":
        scored = {members.names[members.best]: members.oof[members.best], **joined}
        lines.append("")
        for name, probabilities in scored.items():
            shown = metric.shown(metric.score(labels, probabilities), metric.error(labels, probabilities))
            lines.append(f"{metric.name}: {name} {shown}")
    return "\n".join(lines)


def comparison(members: Members, nested: np.ndarray, mean: np.ndarray | None) -> str:
    """Return what the ensemble gains on its best member and on the plain mean, with a warning where that is noise.

    Args:
        members: what was joined.
        nested: (n, classes), the ensemble's nested out-of-fold probabilities.
        mean: (n, classes), those of the plain mean; None where the ensemble is the plain mean.
    """
    labels = members.labels
    rivals = [(f"the best member ({members.names[members.best]})", members.oof[members.best])]
    if mean is not None:
        rivals.append(("the plain mean", mean))
    lines = []
    for rival, probabilities in rivals:
        found = metrics.mcnemar(labels, probabilities, nested)
        points = 100 * (found.gained - found.lost) / len(labels)
        lines.append(
            f"against {rival}: {points:+.3f} points ({found.gained} images gained, {found.lost} lost; "
            f"McNemar's p = {found.p_value:.2g})"
        )
        if not found.significant:
            lines.append(f"warning: the difference from {rival} is within noise.")
        elif found.lost > found.gained:
            lines.append(f"warning: this is worse than {rival}.")
    return "\n".join(lines)


def disagreements(members: Members) -> str:
    """Return on what share of the images each pair of members disagrees: a table for few, a summary for many."""
    shares = members.disagreement
    pairs = shares[np.triu_indices(len(shares), 1)]
    summary = (
        f"two members disagree on {pairs.mean():.2%} of the images on average ({pairs.min():.2%} to {pairs.max():.2%})"
    )
    if len(shares) > WIDEST_MATRIX:
        return summary
    width = max(map(len, members.names)) + 4
    lines = [summary, " " * width + "".join(f"{f'[{number}]':>8}" for number in range(1, len(shares) + 1))]
    for number, (name, row) in enumerate(zip(members.names, shares, strict=True)):
        cells = "".join("       –" if other == number else f"{share:8.2%}" for other, share in enumerate(row))
        lines.append(f"{f'[{number + 1}] {name}':<{width}}{cells}")
    return "\n".join(lines)


def scored_on(members: Members) -> str:
    """Say on which training images an ensemble of `members` is scored on."""
    every = len(members.dataset.train_labels)
    if len(members.rows) == every:
        return f"all {every:,} training images"
    return f"the {len(members.rows):,} of {every:,} training images that all runs have predicted out of fold"


def _line(name, width, probabilities, labels):
    accuracy, loss = metrics.accuracy(labels, probabilities), metrics.log_loss(labels, probabilities)
    return f"{name:<{width}}  {accuracy:8.3%}  {loss:8.4f}"
