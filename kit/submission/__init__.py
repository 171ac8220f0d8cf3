"""The submission CSV, its checks and the ledger of what was sent. Nothing here goes to the network.

write(path, competition, test_ids, labels)       whole or not at all
check(path, competition, sample_submission)      raises a UserError that names row and remedy
find_sample_submission(competition, data_dir)    what to check against
"""

from kit.submission.csv_file import Checked, check, write
from kit.submission.sample_submission import SampleSubmission
from kit.submission.sample_submission import find as find_sample_submission

__all__ = ["Checked", "SampleSubmission", "check", "find_sample_submission", "write"]
