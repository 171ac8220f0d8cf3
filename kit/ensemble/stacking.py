"""A second model on the members' logits."""

import numpy as np
from threadpoolctl import threadpool_limits

from kit.ensemble.base import Ensemble
from kit.ensemble.scoring import fold_of_each
from kit.metrics import true_class

CLIP = 1e-4  # logits below ln(1e-4) say only how sure a member was; a linear model would chase them
STRENGTHS = (0.01, 0.1, 1.0, 10.0)
INNER_FOLDS = 3


class Stack(Ensemble):
    """Multinomial logistic regression on the members' logits, its regularisation chosen by inner folds.

    It can correct what members get wrong together, such as a class that all of them neglect, which no mean can. It has
    classes² weights a member: with few images, compare it with the plain mean.

    Args:
        random_state: seed of the inner folds.

    Attributes:
        C_: the inverse regularisation strength with the lowest log-loss on the inner folds.
        model_: the fitted sklearn.linear_model.LogisticRegression.
        scale_: what the logits were divided by.

    Reference:
        Wolpert, "Stacked Generalization" (1992).
    """

    def __init__(self, random_state: int = 0):
        self.random_state = random_state

    def fit(self, oof: np.ndarray, labels: np.ndarray) -> "Stack":
        """Fit on out-of-fold probabilities (members, n, classes) and labels (n,).

        Raises:
            ValueError: all labels are the same.
        """
        oof, labels = self._begin(oof, labels)
        logits = _logits(oof)
        self.scale_ = float(logits.std()) or 1.0
        logits /= np.float32(self.scale_)
        with threadpool_limits(1):  # as in averaging: the products are small
            losses = np.zeros(len(STRENGTHS))
            folds = fold_of_each(labels, INNER_FOLDS, self.random_state)
            for fold in range(INNER_FOLDS):
                fitting, held_out = folds != fold, folds == fold
                for place, model in enumerate(_path(logits[fitting], labels[fitting], STRENGTHS)):
                    predicted = self._all_classes(model, logits[held_out])
                    losses[place] -= np.log(true_class(labels[held_out], predicted)).sum(dtype=np.float64)
            chosen = int(losses.argmin())
            self.C_ = STRENGTHS[chosen]
            *_, self.model_ = _path(logits, labels, STRENGTHS[: chosen + 1])
        return self

    def predict_proba(self, test: np.ndarray) -> np.ndarray:
        """Return float32 (m, classes) for members' probabilities (members, m, classes)."""
        logits = _logits(self._predictable(test))
        return self._all_classes(self.model_, logits / np.float32(self.scale_))

    def _all_classes(self, model, logits):
        """The model's probabilities with a column for every class, also for those that it was never shown."""
        predicted = np.zeros((len(logits), len(self.classes_)), np.float32)
        predicted[:, model.classes_] = model.predict_proba(logits)
        return predicted


def _path(logits, labels, strengths):
    """Yield the model for each strength in turn; each begins where the weaker one ended."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=1000, warm_start=True)
    for strength in strengths:
        yield model.set_params(C=strength).fit(logits, labels)


def _logits(probabilities):
    """The members' logits side by side, float32 (n, members × classes), each member's with mean 0."""
    images = probabilities.shape[1]
    beside = np.empty((images, probabilities.shape[0], probabilities.shape[2]), np.float32)
    for number, member in enumerate(probabilities):
        logits = np.log(np.maximum(member, np.float32(CLIP)))
        beside[:, number] = logits - logits.mean(axis=1, keepdims=True)
    return beside.reshape(images, -1)
