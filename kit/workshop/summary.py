"""The end of an exercise: what was reached, by which network, on which board."""

import datetime
import pathlib
from dataclasses import dataclass

from matplotlib.transforms import Bbox

from kit import metrics, submission
from kit.errors import UserError
from kit.figures import style
from kit.loaders import Dataset
from kit.submission.ledger import Ledger
from kit.workshop.practice_board import practice_score

KAGGLE, PRACTICE, NOWHERE = "Kaggle's public leaderboard", "the practice board", "not sent"


@dataclass(frozen=True)
class Entry:
    """One line of the certificate.

    Attributes:
        name: the network's or run's.
        file: its submission's.
        accuracy: on validation images, 0…1.
        images: how many validation images.
        board: which board has scored it.
        score: the board's, 0…1, or None.
    """

    name: str
    file: str
    accuracy: float
    images: int
    board: str
    score: float | None


def entry(name: str, path: str | pathlib.Path, dataset: Dataset, accuracy: float, images: int) -> Entry:
    """Look up what became of a submission, in the ledger or on the practice board.

    Args:
        name: what to call the network.
        path: the submission's CSV.
        dataset: what it predicts.
        accuracy: the network's validation accuracy, 0…1.
        images: how many images validated it.

    Raises:
        UserError: the CSV is missing or not what the competition wants.
    """
    path = pathlib.Path(path)
    if dataset.test_labels is not None:
        return Entry(name, path.name, accuracy, images, PRACTICE, practice_score(path, dataset))
    content = submission.check(path, dataset.competition, dataset.test_ids)
    lines = [line for line in Ledger().lines(dataset.competition.name) if line.sha256 == content.sha256]
    scores = [line.public_score for line in lines if line.public_score is not None]
    return Entry(name, path.name, accuracy, images, KAGGLE if scores else NOWHERE, scores[-1] if scores else None)


def certificate(who: str, entries: list[Entry], task: str = "that read handwritten digits") -> style.Figure:
    """Draw a page that says what was reached: each network's validation accuracy, submission, board and score.

    Args:
        who: the participant's name.
        entries: from `entry`.
        task: what the networks do, to stand after "neural networks".

    Raises:
        UserError: there is no entry.
    """
    if not entries:
        raise UserError("a certificate needs at least one network.")
    best = max(entries, key=lambda one: (one.score is not None, one.score or one.accuracy))
    figure = style.new_figure(11, 4.6 + 0.45 * len(entries))
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(linewidth=3, color=style.COLOURS[0])
    reached = f"{best.accuracy:.2%} on validation" if best.score is None else f"{best.score:.5f} on {best.board}"
    lines = [(0.86, "From joined to scored", 26, "bold"), (0.74, who, 22, "normal"),
             (0.64, f"built, trained and measured neural networks {task},", 13, "normal"),
             (0.58, f"and reached {reached} with {best.name}.", 13, "normal")]  # fmt: skip
    for height, text, size, weight in lines:
        axes.text(0.5, height, text, ha="center", va="center", fontsize=size, weight=weight, parse_math=False)
    rows = [
        (
            one.name,
            one.file,
            f"{one.accuracy:.2%} ± {metrics.standard_error(one.accuracy, one.images):.2%}",
            one.board,
            "" if one.score is None else f"{one.score:.5f}",
        )
        for one in entries
    ]
    table = axes.table(
        rows,
        colLabels=["network", "submission", "validation accuracy", "board", "score"],
        colWidths=[0.22, 0.22, 0.2, 0.24, 0.12],
        cellLoc="left",
        colLoc="left",
        bbox=Bbox.from_bounds(0.06, 0.14, 0.88, 0.36),
        edges="horizontal",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(12)
    axes.text(0.94, 0.06, f"{datetime.date.today():%d %B %Y}", ha="right", va="center", fontsize=11)
    return figure
