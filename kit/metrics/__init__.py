"""How good predictions are: accuracy, log-loss, kappa, F1, calibration; and whether a difference is more than luck.

The one home of these numbers: every command that reports one calls the function here. As in scikit-learn, the truth
comes first.
"""

from kit.metrics.checks import ROUNDING, predicted_rows
from kit.metrics.competition_metrics import METRICS, Metric, against_baseline, competition_score, named
from kit.metrics.confidence import Calibration, calibration
from kit.metrics.scores import (
    FLOOR,
    accuracy,
    log_loss,
    macro_f1,
    quadratic_weighted_kappa,
    softmax,
    standard_error,
    true_class,
)
from kit.metrics.significance import SIGNIFICANT, Comparison, compare, difference_error, disagreement, mcnemar

__all__ = [
    "FLOOR",
    "METRICS",
    "ROUNDING",
    "SIGNIFICANT",
    "Calibration",
    "Comparison",
    "Metric",
    "accuracy",
    "against_baseline",
    "calibration",
    "compare",
    "competition_score",
    "difference_error",
    "disagreement",
    "log_loss",
    "macro_f1",
    "mcnemar",
    "named",
    "predicted_rows",
    "quadratic_weighted_kappa",
    "softmax",
    "standard_error",
    "true_class",
]
