"""What is to be submitted: chosen, checked, and described, without the network."""

import os
import pathlib
from dataclasses import dataclass

import numpy as np

from kit.competitions import Competition
from kit.errors import printable
from kit.kaggle_client import Submission
from kit.submission import csv_file, distribution, provenance, sample_submission, selection
from kit.submission.ledger import NOT_SENT, Ledger, Line
from kit.tracking import Metrics, Run


@dataclass(frozen=True)
class Prepared:
    """A submission that is checked and not yet sent.

    Attributes:
        competition: where it belongs.
        checked: its content.
        line: what the ledger will hold of it.
        run, metrics: the run that predicted it, and what that reached; None for a CSV of no run.
        training_shares: of each class among the training labels, float64 (classes,); None where they are not known.
        warnings: what the person should know: a better run, a part of the data, other data.
        doubts: what looks like a mistake, so that the person is asked.
    """

    competition: Competition
    checked: csv_file.Checked
    line: Line
    run: Run | None
    metrics: Metrics | None
    training_shares: np.ndarray | None
    warnings: list[str]
    doubts: list[str]

    def __str__(self) -> str:
        """What is to be sent, as lines of text."""
        line = self.line
        lines = [
            f"competition: {line.competition}",
            f"file:        {line.file}, {len(self.checked.labels):,} rows, SHA-256 {line.sha256[:8]}…",
            f"run:         {line.run or 'none; where these predictions come from is not known'}",
        ]
        if self.metrics and self.metrics.score is not None:
            error = self.metrics.score_error
            measured = f"{self.metrics.score:.5f}" + (f" ± {error:.5f}" if error else "")
            lines.append(f"             {provenance.score_name(self.metrics)} {measured}")
        lines.append(f"message:     {line.message}")
        shares = self.checked.shares(self.competition.classes)
        lines.append(distribution.table(shares, self.training_shares, self.competition))
        return "\n".join([*lines, *(f"warning: {warning}." for warning in self.warnings)])


def prepare(
    target: Run | str | os.PathLike[str] | None = None,
    competition: str | None = None,
    *,
    best: bool = False,
    message: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> Prepared:
    """Choose and check a submission, without the network; the arguments are those of `posting.submit`.

    Raises:
        UserError: the choice is not clear, the CSV is not as Kaggle wants it, or its run must not be submitted.
    """
    path, chosen = selection.choose(target, competition, best)
    run = provenance.run_by_place(path, chosen)
    reached = provenance.guard_against_leaks(run, chosen) if run else None
    folder = _data_folder(run, data_dir)
    checked = csv_file.check(path, chosen, sample_submission.find(chosen, folder))
    if run is None and (run := provenance.run_by_content(checked, chosen)):
        reached = provenance.guard_against_leaks(run, chosen)
    shares = distribution.training_shares(chosen, folder)
    doubts = distribution.doubts(checked.labels, shares, chosen)
    warnings = []
    if run and reached:
        if differing := provenance.differing_rows(run, checked, chosen):
            doubts.insert(0, f"{differing:,} of {len(checked.labels):,} rows are not what run {run.name} predicts")
        if reached.shortfall:
            doubts.append(f"run {run.name} has learned nothing: its {reached.shortfall}")
        warnings = [*provenance.data_warnings(run, folder), *selection.better(run, reached, chosen)]
    line = Line(
        competition=chosen.name,
        file=printable(path.as_posix()),
        sha256=checked.sha256,
        run=printable(run.name) if run else "",
        metric=chosen.metric,
        validation_score=reached.score if reached and reached.metric == chosen.metric else None,
        message=" ".join(printable(message or provenance.message(run, reached, path)).split()),
    )
    return Prepared(chosen, checked, line, run, reached, shares, warnings, doubts)


def _data_folder(run: Run | None, given: str | os.PathLike[str] | None) -> pathlib.Path:
    """Return the folder of all data: the one given, else the one that the run was trained from, else data/."""
    if given is not None:
        return pathlib.Path(given)
    own = pathlib.Path(run.config().data.folder) if run else None
    return own if own and own.is_dir() else pathlib.Path("data")


def sent_before(prepared: Prepared, ledger: Ledger, listed: list[Submission]) -> list[str]:
    """Say whether the same predictions were sent before, by the ledger or by Kaggle's list."""
    line, path = prepared.line, prepared.checked.path
    known = [one for one in ledger.lines(line.competition) if one.sha256 == line.sha256 and one.status != NOT_SENT]
    if known:
        score = f", score {known[-1].public_score:.5f}" if known[-1].public_score is not None else ""
        return [f"the same predictions were sent on {known[-1].time[:16].replace('T', ' ')} UTC{score}"]
    size = len(prepared.checked.content)
    for one in listed:
        if line.content_mark in one.file_name or (one.file_name == path.name and one.size == size):
            when = f" on {one.time:%Y-%m-%d %H:%M} UTC" if one.time else ""
            return [f"Kaggle has {one.file_name} already, sent{when} from elsewhere (reference {one.reference})"]
    return []
