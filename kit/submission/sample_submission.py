"""What a competition's sample submission asks for."""

import csv
import functools
import io
import os
import pathlib
from dataclasses import dataclass

import numpy as np

from kit.competitions import Competition
from kit.errors import UserError


@dataclass(frozen=True)
class SampleSubmission:
    """The columns and ids of a right submission.

    Attributes:
        place: where this is from, in words or as a path.
        columns: (id column, label column).
        ids: the ids as text, in their order.
    """

    place: str
    columns: tuple[str, str]
    ids: list[str]

    @functools.cached_property
    def positions(self) -> dict[str, int]:
        """The place of each id, counted from 0."""
        return {name: place for place, name in enumerate(self.ids)}


def find(competition: Competition, data_dir: str | pathlib.Path = "data") -> SampleSubmission:
    """Read the sample submission from where Kaggle's files lie, loose or in the bundle.

    Raises:
        UserError: Kaggle's files are not there, or damaged; says how to get them.
    """
    from kit.loaders import kaggle_files

    files = kaggle_files.locate(competition.name, data_dir)
    if files is None:
        raise UserError(
            f"{pathlib.Path(data_dir) / competition.name} has none of Kaggle's files to check against; get them with "
            f"`python -m kit.download {competition.name}`."
        )
    name = competition.files.sample_submission
    with files.open(name) as stream:
        return _parse(stream.read(), files.where(name), competition)


def of(given, competition: Competition) -> SampleSubmission:
    """Return the sample submission given as: a path, a table with `columns`, ids (m,), or one already read."""
    if isinstance(given, SampleSubmission):
        return given
    if isinstance(given, (str, os.PathLike)):
        path = pathlib.Path(given)
        try:
            return _parse(path.read_bytes(), str(path), competition)
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}).") from None
    columns = (competition.id_column, competition.label_column)
    if hasattr(given, "columns"):
        ids = given[competition.id_column]
        return SampleSubmission("the sample submission", columns, [str(one) for one in ids.tolist()])
    return SampleSubmission("the run", columns, [str(one) for one in np.asarray(given).tolist()])


def _parse(content: bytes, place: str, competition: Competition) -> SampleSubmission:
    columns = (competition.id_column, competition.label_column)
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error):
        rows = []
    if not rows or tuple(rows[0]) != columns or any(len(row) != 2 for row in rows) or len(rows) == 1:
        raise UserError(
            f"{place} is not the sample submission of {competition.name} ({','.join(columns)}); get it again: "
            f"`python -m kit.download {competition.name}`."
        )
    return SampleSubmission(place, columns, [row[0] for row in rows[1:]])
