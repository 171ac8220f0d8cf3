"""The submission: its CSV, its checks, the ledger of what was sent, and sending it once.

write(path, competition, test_ids, labels)      whole or not at all
check(path, competition, sample_submission)     raises a UserError that names row and remedy
submit(run_or_csv, dry_run=True)                the whole way, from the choice of a run to its score
follow()                                        what was sent and has no score yet
history.show()                                  all submissions, best first
"""

from kit.submission import history
from kit.submission.csv_file import Checked, check, write
from kit.submission.following import follow
from kit.submission.posting import Result, submit
from kit.submission.preparation import Prepared, prepare
from kit.submission.sample_submission import SampleSubmission

__all__ = [
    "Checked",
    "Prepared",
    "Result",
    "SampleSubmission",
    "check",
    "follow",
    "history",
    "prepare",
    "submit",
    "write",
]
