"""Greedy selection of members, with replacement, by out-of-fold accuracy."""

import numpy as np

from kit import metrics
from kit.ensemble.averaging import pool
from kit.ensemble.base import Ensemble

SMALLEST_BAG = 10  # fewer candidates than this leave a bag nothing to choose from
MOST_PREDICTIONS = 2_000_000  # members × images that are climbed on, at most: it bounds time and memory
RIVALS = 4  # classes that a climb watches beside an image's true one: those that the members' mean finds likeliest


class HillClimb(Ensemble):
    """Caruana's ensemble selection: begin with the best member, add again and again the one that helps most.

    A member can be added several times, which makes counts into weights. Each bag climbs on the best member and a
    random part of the others, and keeps the best ensemble on its way; the bags are averaged. What is climbed is the
    accuracy, which the leaderboard scores; of equally accurate steps, the one with the wider mean margin between the
    true class and its strongest rival is taken. Images that all members put into one class cannot change sides and
    are left out.

    Args:
        bags: how many climbs are averaged; only one where the members are too few to draw bags from.
        bag_share: the share of the members that a bag draws.
        rounds: members added in a climb, the first one included.
        random_state: seed of the bags.
        metric: what is climbed, one of `kit.metrics.METRICS`; margins part equals of accuracy only.

    Attributes:
        weights_: (members,) float64, 0 or more, their sum 1. On the data of the fit never less accurate than the best
            member.

    Reference:
        Caruana et al., "Ensemble Selection from Libraries of Models" (2004).
    """

    def __init__(
        self, bags: int = 20, bag_share: float = 0.5, rounds: int = 30, random_state: int = 0, metric: str = "accuracy"
    ):
        self.bags = bags
        self.bag_share = bag_share
        self.rounds = rounds
        self.random_state = random_state
        self.metric = metric

    def fit(self, oof: np.ndarray, labels: np.ndarray) -> "HillClimb":
        """Select members on out-of-fold probabilities (members, n, classes) and labels (n,)."""
        oof, labels = self._begin(oof, labels)
        members = self.n_members_
        if self.metric != "accuracy":
            self.weights_ = self._climb_metric(oof, labels)
            return self
        predicted = np.stack([member.argmax(axis=1).astype(np.int16) for member in oof])
        contested = np.flatnonzero((predicted != predicted[0]).any(axis=0))
        best = int((predicted == labels).sum(axis=1).argmax())
        only_best = np.eye(members)[best]
        if not len(contested):
            self.weights_ = only_best
            return self
        bags = self._climb_bags(oof, labels, contested, best)
        # The average of good ensembles need not be as good as they are: it has to show it, beside the best of them.
        candidates = [np.mean(bags, axis=0), only_best]
        right = [(pool(oof, weights).argmax(axis=1) == labels).sum() for weights in candidates]
        if right[0] < right[1]:
            candidates += bags
            right += [(pool(oof, weights).argmax(axis=1) == labels).sum() for weights in bags]
        self.weights_ = candidates[int(np.argmax(right))]
        return self

    def predict_proba(self, test: np.ndarray) -> np.ndarray:
        """Return float32 (m, classes) for members' probabilities (members, m, classes)."""
        return pool(self._predictable(test), self.weights_)

    def _climb_metric(self, oof, labels):
        """Climb on the metric itself; of each bag's ensemble, their mean and the best member, take the best."""
        metric = metrics.named(self.metric)
        rng = np.random.default_rng(self.random_state)
        images = min(len(labels), max(1, MOST_PREDICTIONS // (len(oof) * oof.shape[2])))
        rows = np.sort(rng.choice(len(labels), images, replace=False))
        some, truth = oof[:, rows], labels[rows]

        def gain(weights):
            return metric.gain(metric.score(labels, pool(oof, weights)))

        best = max(range(len(oof)), key=lambda member: gain(np.eye(len(oof))[member]))
        others = np.delete(np.arange(len(oof)), best)
        drawn = min(len(others), max(SMALLEST_BAG, round(self.bag_share * len(oof))) - 1)
        bags = []
        for _ in range(self.bags if drawn < len(others) else 1):
            candidates = [best, *np.sort(rng.choice(others, drawn, replace=False))]
            total, counts = some[best].copy(), np.eye(len(oof))[best]
            highest, best_counts = metric.gain(metric.score(truth, total)), counts.copy()
            for size in range(2, self.rounds + 1):
                gains = [metric.gain(metric.score(truth, (total + some[one]) / size)) for one in candidates]
                step = candidates[int(np.argmax(gains))]
                total += some[step]
                counts[step] += 1
                if max(gains) > highest:
                    highest, best_counts = max(gains), counts.copy()
            bags.append(best_counts / best_counts.sum())
        return max([np.mean(bags, axis=0), np.eye(len(oof))[best], *bags], key=gain)

    def _climb_bags(self, oof, labels, contested, best):
        """Return the weights, (members,), that each bag ends with."""
        rng = np.random.default_rng(self.random_state)
        members = len(oof)
        images = min(len(contested), MOST_PREDICTIONS // members)
        rows = np.sort(rng.choice(contested, images, replace=False))
        truths, rivals = _truths_and_rivals(oof, labels, rows)
        others = np.delete(np.arange(members), best)
        drawn = min(len(others), max(SMALLEST_BAG, round(self.bag_share * members)) - 1)
        bags = []
        for _ in range(self.bags if drawn < len(others) else 1):
            candidates = [best, *np.sort(rng.choice(others, drawn, replace=False))]
            bags.append(_climb(truths, rivals, candidates, self.rounds))
        return bags


def _climb(truths, rivals, candidates, rounds):
    """Climb on `candidates` from the first of them; returns the weights of the best ensemble on the way."""
    images = truths.shape[1]
    truth, rival = np.zeros_like(truths[0]), np.zeros_like(rivals[0])
    trial, strongest, margin = np.empty_like(rival), np.empty_like(truth), np.empty_like(truth)
    counts, best_counts, highest = np.zeros(len(truths)), np.zeros(len(truths)), -np.inf
    for size in range(1, rounds + 1):
        step, step_score = candidates[0], -np.inf
        for candidate in candidates if size > 1 else candidates[:1]:
            np.add(rival, rivals[candidate], out=trial)
            np.maximum.reduce(trial, axis=0, out=strongest)
            np.add(truth, truths[candidate], out=margin)
            margin -= strongest
            # The mean margin lies within (-1, 1): less than one image, so it only parts equals.
            score = np.count_nonzero(margin > 0) + float(margin.sum()) / (2 * size * images)
            if score > step_score:
                step, step_score = candidate, score
        truth += truths[step]
        rival += rivals[step]
        counts[step] += 1
        if step_score > highest:
            highest, best_counts = step_score, counts.copy()
    return best_counts / best_counts.sum()


def _truths_and_rivals(oof, labels, rows):
    """Return, for the images `rows`, the members' probabilities for the truth and for its rivals.

    Classes stand before images, as a maximum of whole rows is many times faster than one within each row.

    Returns:
        (members, rows) and (members, RIVALS, rows).
    """
    truth = labels[rows]
    together = sum(member[rows] for member in oof)
    together[np.arange(len(rows)), truth] = -1
    count = min(RIVALS, together.shape[1] - 1)
    strongest = np.ascontiguousarray(np.argpartition(-together, count - 1, axis=1)[:, :count].T)
    return np.stack([member[rows, truth] for member in oof]), np.stack([member[rows, strongest] for member in oof])
