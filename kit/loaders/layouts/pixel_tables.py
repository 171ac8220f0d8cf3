"""Tables with one image a row."""

from math import prod

import numpy as np

from kit.competitions import Competition, PixelTables
from kit.errors import UserError
from kit.loaders import pixel_tables, sample_submission, tables
from kit.loaders.kaggle_files import KaggleFiles
from kit.loaders.layouts import Arrays
from kit.loaders.tree import Tree


def read(competition: Competition, files: KaggleFiles | Tree) -> Arrays:
    """Read the training and the test table; the ids of a test table may be in another order than the submission's.

    Raises:
        UserError: a file is missing or wrong; names line and column.
    """
    names = competition.files
    assert isinstance(names, PixelTables)
    test_ids = sample_submission.ids(competition, files)
    numbered = competition.label_texts == tuple(map(str, range(competition.classes)))
    label = names.label_column
    train, labels, texts = _table(
        competition, files, names.train, label if numbered else None, () if numbered else (label,)
    )
    if not numbered:
        where = files.where(names.train)
        labels = tables.as_labels(texts[label], competition.label_texts, where, label, files.remedy)
    test, _, texts = _table(competition, files, names.test, None, (names.id_column,) if names.id_column else ())
    if names.id_column:
        test = test[_order(tables.as_ids(texts[names.id_column]), test_ids, competition, files)]
    elif len(test) != len(test_ids):
        raise UserError(
            f"{files.where(names.test)} has {len(test)} rows, but {files.where(names.sample_submission)} has "
            f"{len(test_ids)}; {files.remedy}"
        )
    shape = (-1, *competition.image_shape)
    return train.reshape(shape), labels, test.reshape(shape), test_ids


def _table(
    competition: Competition, files: KaggleFiles | Tree, name: str, label: str | None, texts: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, dict[str, list[str]]]:
    names = competition.files
    assert isinstance(names, PixelTables)
    count = prod(competition.image_shape)
    layout = pixel_tables.Layout(
        pixels=[f"{names.pixel_prefix}{number}" for number in range(count)] if names.pixel_prefix else [],
        label=label,
        classes=competition.classes,
        most_rows=competition.most_images,
        texts=texts,
        ignored=(names.id_column,) if names.id_column and name == names.train else (),
        pixel_count=count,
    )
    with files.open(name) as stream:
        return pixel_tables.read_with_texts(stream, files.where(name), layout, files.remedy)


def _order(there: np.ndarray, wanted: np.ndarray, competition: Competition, files: KaggleFiles | Tree) -> np.ndarray:
    """Return the rows of the test table in the order of the sample submission."""
    names = competition.files
    assert isinstance(names, PixelTables)
    where = files.where(names.test)
    row_of: dict[str, int] = {}
    for row, one in enumerate(there.tolist()):
        if row_of.setdefault(str(one), row) != row:
            raise UserError(f"{where}, line {row + 2}: id {one} is there twice; {files.remedy}")
    rows = [row_of.get(str(one), -1) for one in wanted.tolist()]
    if -1 in rows:
        missing = wanted[rows.index(-1)]
        raise UserError(
            f"{where}: id {missing} is missing though {files.where(names.sample_submission)} has it; {files.remedy}"
        )
    return np.array(rows)
