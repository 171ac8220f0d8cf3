"""Runs: what a training or an ensemble leaves behind in `runs/<competition>/<name>/`, every file whole or absent.

config.yaml          what it is, its data and its recipe; written before the first step
history.csv          a row an epoch
metrics.json         what was reached
oof.npy, test.npy    float32 probabilities (n_train, classes) and (n_test, classes)
snapshots-oof.npy    of a training with snapshots: what each cycle's end predicted, (snapshots, n_train, classes);
snapshots-test.npy   (snapshots, n_test, classes)
fold-<k>.keras       the trained networks
figures/             PNGs
.working/            what an unfinished run goes on from; removed last
"""

from kit.tracking import arrays
from kit.tracking.find import every, find, new, place, reference, unfinished, unused
from kit.tracking.fingerprint import fingerprint
from kit.tracking.run import RUNS, SUBMISSIONS, Run, Snapshot
from kit.tracking.schema import Config, Data, EnsembleConfig, ExtraData, MemberMetrics, Metrics

__all__ = [
    "RUNS",
    "SUBMISSIONS",
    "Config",
    "Data",
    "EnsembleConfig",
    "ExtraData",
    "MemberMetrics",
    "Metrics",
    "Run",
    "Snapshot",
    "arrays",
    "every",
    "find",
    "fingerprint",
    "new",
    "place",
    "reference",
    "unfinished",
    "unused",
]
