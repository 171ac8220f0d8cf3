"""Runs side by side: all of them as a table, some of them against each other.

kit.runs.table("digit-recognizer")     a pandas DataFrame, a row a run
kit.runs.compare("fast-1", "slow-1")   recipe differences, tests of significance, learning curves
"""

from kit import lazy_imports

_MODULE = {"RunComparison": "pairs", "compare": "pairs", "table": "overview"}
__all__ = sorted(_MODULE)
__getattr__, __dir__ = lazy_imports.attributes(__name__, _MODULE)
