"""What `python -m kit.ensemble` prints of an ensemble: how good it is, beside its members and their plain mean."""

import numpy as np

from kit import metrics
from kit.ensemble.members import Members

SHOWN = ("accuracy", "log-loss")  # of every member and ensemble, whatever the competition scores by
MOST_LINES = 20  # members in the table
WIDEST_MATRIX = 8  # members in the table of disagreements


def table(members: Members, weights: np.ndarray | None, joined: dict[str, np.ndarray]) -> str:
    """Return the scores of every member and of `joined`, a line each, the best members first.

    These are accuracy and log-loss, and before them the metric that the competition scores by, where it is another.

    Args:
        members: what was joined.
        weights: (members,), or None for a method without weights.
        joined: out-of-fold probabilities (n, classes) of the plain mean and of the ensemble, by name.
    """
    labels = members.labels
    metric = metrics.named(members.dataset.competition.metric)
    order = np.argsort(-members.gains, kind="stable")
    width = max(map(len, [*members.names, *joined]))
    first = "" if metric.name in SHOWN else f"  {metric.name}"
    lines = [f"{'run':<{width}}{first}  accuracy  log-loss{'' if weights is None else '  weight'}"]
    for number in order[:MOST_LINES]:
        share = "" if weights is None else f"  {weights[number]:6.3f}"
        lines.append(_line(members.names[number], width, members.oof[number], labels, metric) + share)
    if len(order) > MOST_LINES:
        lines.append(f"… and {len(order) - MOST_LINES} more; metrics.json has them all")
    lines += [_line(name, width, probabilities, labels, metric) for name, probabilities in joined.items()]
    return "\n".join(lines)


def comparison(members: Members, nested: np.ndarray, mean: np.ndarray | None) -> str:
    """Return what the ensemble gains on its best member and on the plain mean, with a warning where that is noise.

    Args:
        members: what was joined.
        nested: (n, classes), the ensemble's nested out-of-fold probabilities.
        mean: (n, classes), those of the plain mean; None where the ensemble is the plain mean.
    """
    labels, metric = members.labels, metrics.named(members.dataset.competition.metric)
    rivals = [(f"the best member ({members.names[members.best]})", members.oof[members.best])]
    if mean is not None:
        rivals.append(("the plain mean", mean))
    lines = []
    for rival, probabilities in rivals:
        found = metrics.compare(metric.name, labels, probabilities, nested)
        if metric.name == "accuracy":
            ahead = f"{100 * (found.gained - found.lost) / len(labels):+.3f} points"
        else:
            ahead = f"{found.difference:+.5f} {metric.name}"
        lines.append(
            f"against {rival}: {ahead} ({found.gained} images gained, {found.lost} lost; "
            f"{found.test.removesuffix(' test')} p = {found.p_value:.2g})"
        )
        if not found.significant:
            lines.append(f"warning: the difference from {rival} is within noise.")
        elif metric.gain(found.difference) < 0:
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


def _line(name, width, probabilities, labels, metric):
    accuracy, loss = metrics.accuracy(labels, probabilities), metrics.log_loss(labels, probabilities)
    own = "" if metric.name in SHOWN else f"  {metric.score(labels, probabilities):{len(metric.name)}.4f}"
    return f"{name:<{width}}{own}  {accuracy:8.3%}  {loss:8.4f}"
