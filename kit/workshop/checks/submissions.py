"""Checks of a submission: the file, and what became of it."""

import pathlib

from kit import submission
from kit.errors import UserError
from kit.loaders import Dataset
from kit.workshop.checks.answers import StillMissing, good
from kit.workshop.practice_board import practice_score


def written(path: str | pathlib.Path, dataset: Dataset) -> None:
    """Check a submission's CSV as strictly as `python -m kit.submit` does, against `dataset`'s test ids."""
    path = pathlib.Path(path)
    if not path.exists():
        raise StillMissing(f"{path} is not there yet: table.to_csv(path, index=False)")
    try:
        checked = submission.check(path, dataset.competition, dataset.test_ids)
    except UserError as error:
        raise StillMissing(str(error)) from None
    good(f"{path} has {len(checked.labels):,} rows, as the competition wants them.")


def sent(path: str | pathlib.Path, dataset: Dataset, validation_accuracy: float) -> None:
    """Check that the submission at `path` was sent and has a score; score it on the practice board without Kaggle."""
    from kit import kaggle_client

    if dataset.test_labels is not None:
        score = practice_score(path, dataset)
        good(f"practice board: {score:.5f} on {len(dataset.test_labels):,} images, {_gap(score, validation_accuracy)}.")
    elif dataset.source != "kaggle" or not kaggle_client.has_credentials():
        print("Not sent: that needs Kaggle's images and your credentials. Come back to this cell when you have both.")
    else:
        score = _public_score(pathlib.Path(path), dataset)
        good(f"public score {score:.5f}, {_gap(score, validation_accuracy)}.")


def _public_score(path: pathlib.Path, dataset: Dataset) -> float:
    from kit.submission import ledger

    competition = dataset.competition
    content = submission.check(path, competition, dataset.test_ids)
    lines = [line for line in ledger.Ledger().lines(competition.name) if line.sha256 == content.sha256]
    if not lines or lines[-1].status == ledger.NOT_SENT:
        raise StillMissing(
            f"{path} is not on Kaggle yet: !python -m kit.submit {{path}}; its last line says what is wrong."
        )
    last = lines[-1]
    if last.status == ledger.ERROR:
        raise StillMissing(f"Kaggle could not score {path}; {competition.page}/submissions says why.")
    if last.public_score is None:
        raise StillMissing("Kaggle has it, and there is no score yet: !python -m kit.submit --status waits for it.")
    return last.public_score


def _gap(score: float, validation_accuracy: float) -> str:
    gap = score - validation_accuracy
    return f"{abs(gap):.5f} {'above' if gap > 0 else 'below'} your validation accuracy"
