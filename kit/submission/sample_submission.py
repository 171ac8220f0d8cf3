"""What a competition's sample submission asks for."""

import csv
import functools
import io
import os
import pathlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from kit import files
from kit.competitions import Competition
from kit.errors import UserError

LARGEST = 1 << 25  # bytes; the largest here has 3 MB, a zip bomb has more


@dataclass(frozen=True)
class SampleSubmission:
    """The columns and ids of a right submission.

    Attributes:
        place: where this is from, as a path or a description.
        columns: the header.
        ids: the ids as text, in their order.
    """

    place: str
    columns: tuple[str, ...]
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

    there = kaggle_files.locate(competition, data_dir)
    if there is None:
        raise UserError(
            f"{pathlib.Path(data_dir) / competition.name} has none of Kaggle's files to check against; get them with "
            f"`python -m kit.download {competition.name}`."
        )
    name = competition.files.sample_submission
    with there.open(name) as stream:
        return _parse(stream.read(LARGEST), there.where(name), competition)


def of(given: Any, competition: Competition) -> SampleSubmission:
    """Return the sample submission given as: a path, a table with `columns`, ids (m,), or one already read."""
    if isinstance(given, SampleSubmission):
        return given
    if isinstance(given, (str, os.PathLike)):
        path = pathlib.Path(given)
        try:
            return _parse(files.content(path, LARGEST), str(path), competition)
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); give the sample submission.") from None
    columns = competition.columns
    if hasattr(given, "columns"):
        ids = given[competition.id_column]
        return SampleSubmission("the sample submission", columns, [str(one) for one in ids.tolist()])
    return SampleSubmission("the run", columns, [str(one) for one in np.asarray(given).tolist()])


def _parse(content: bytes, place: str, competition: Competition) -> SampleSubmission:
    columns = competition.columns
    ids = []
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        right = tuple(next(reader, ())) == columns
        for row in reader:
            right = right and len(row) == len(columns)
            if not right:
                break
            ids.append(row[0])
    except (UnicodeDecodeError, csv.Error):
        right = False
    if not right or not ids:
        raise UserError(
            f"{place} is not the sample submission of {competition.name} ({','.join(columns)}); get it again: "
            f"`python -m kit.download {competition.name}`."
        )
    return SampleSubmission(place, columns, ids)
