"""The exercises' checks: after each gap, one of them says in one message what is still missing, and stops there.

A check that is content prints a line that begins with ✓ and returns None; every other raises `StillMissing`.
"""

from kit.workshop.checks.answers import StillMissing
from kit.workshop.checks.arrays import different, examples, from_table, mistakes, predicted, probabilities, split
from kit.workshop.checks.networks import built, compiled, designed, features, frozen, head, trained
from kit.workshop.checks.photos import counted, run, sample_submission, set_up
from kit.workshop.checks.submissions import sent, written

__all__ = [
    "StillMissing",
    "built",
    "compiled",
    "counted",
    "designed",
    "different",
    "examples",
    "features",
    "from_table",
    "frozen",
    "head",
    "mistakes",
    "predicted",
    "probabilities",
    "run",
    "sample_submission",
    "sent",
    "set_up",
    "split",
    "trained",
    "written",
]
