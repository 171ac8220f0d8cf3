"""Ensembles of runs: estimators on the members' probabilities, scored by nested folds, and the run that they leave.

    members = kit.ensemble.gather(["resnet_*"], competition="digit-recognizer")
    climbed = kit.ensemble.HillClimb().fit(members.oof, members.labels)
    out_of_fold = kit.ensemble.nested_probabilities(kit.ensemble.HillClimb(), members.oof, members.labels)
    labels = climbed.predict(members.test())
    run = kit.ensemble.join(kit.ensemble.place("digit-recognizer", "top"), members, "mean", kit.ensemble.Mean())

The estimators keep scikit-learn's contract, with the members as an array's first axis: `fit(oof, labels)` takes
(members, n, classes), `predict_proba(test)` (members, m, classes).
"""

from kit import lazy_imports

# Found when first asked for: scikit-learn takes longer to import than `--help` may.
_MODULE = {
    "HillClimb": "hill_climb",
    "Mean": "averaging",
    "Members": "members",
    "Stack": "stacking",
    "Weighted": "averaging",
    "estimator": "registry",
    "gather": "members",
    "gather_snapshots": "members",
    "join": "build",
    "nested_probabilities": "scoring",
    "place": "build",
    "read": "members",
}
__all__ = sorted(_MODULE)
__getattr__, __dir__ = lazy_imports.attributes(__name__, _MODULE)
