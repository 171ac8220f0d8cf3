"""What every ensemble has in common: scikit-learn's contract, with the members as an array's first axis."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted


class Ensemble(ClassifierMixin, BaseEstimator):
    """One prediction out of several members' probabilities.

    `score(test, labels)` is the accuracy, from scikit-learn's ClassifierMixin.

    Attributes:
        classes_: (classes,) integers, the labels.
        n_members_: how many members it was fitted on.
    """

    def predict(self, test: np.ndarray) -> np.ndarray:
        """Return the likeliest label of each image, (m,) integers, for members' probabilities (members, m, classes)."""
        return self.classes_[self.predict_proba(test).argmax(axis=1)]

    def _begin(self, oof, labels) -> tuple[np.ndarray, np.ndarray]:
        """Check what `fit` was given and set what it shows.

        Raises:
            ValueError: a shape, a label or a NaN is wrong; names it.
        """
        oof, labels = _stacked(oof), np.asarray(labels)
        if labels.shape != oof.shape[1:2]:
            raise ValueError(f"labels have shape {labels.shape}, but the members predict {oof.shape[1]} images")
        if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= oof.shape[2]:
            raise ValueError(f"labels must be integers from 0 to {oof.shape[2] - 1}")
        self.n_members_, self.classes_ = oof.shape[0], np.arange(oof.shape[2])
        return oof, labels.astype(np.intp)

    def _predictable(self, test) -> np.ndarray:
        """Check what `predict_proba` was given.

        Raises:
            ValueError: other members or classes than were fitted, or NaN.
            NotFittedError: `fit` comes first.
        """
        check_is_fitted(self)
        test = _stacked(test)
        if (test.shape[0], test.shape[2]) != (self.n_members_, len(self.classes_)):
            raise ValueError(
                f"fitted on {self.n_members_} members and {len(self.classes_)} classes, "
                f"asked for {test.shape[0]} members and {test.shape[2]} classes"
            )
        return test


def _stacked(probabilities) -> np.ndarray:
    # Rows picked by `oof[:, rows]` lie in another order in memory, in which every product would copy all of them.
    stacked = np.ascontiguousarray(probabilities, dtype=np.float32)
    if stacked.ndim != 3 or 0 in stacked.shape:
        raise ValueError(f"probabilities must be (members, images, classes), not of shape {stacked.shape}")
    for number, member in enumerate(stacked):
        known = np.isfinite(member).all(axis=1)
        if not known.all():
            row = int(known.argmin())
            raise ValueError(f"member {number} has no prediction in row {row}; give the rows that all members have")
    return stacked
