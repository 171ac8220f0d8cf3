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
    label, pixels = names.label_column, _pixels(competition, files)
    train, labels, texts = _table(
        competition, files, names.train, pixels, label if numbered else None, () if numbered else (label,)
    )
    if not numbered:
        where = files.where(names.train)
        labels = tables.as_labels(texts[label], competition.label_texts, where, label, files.remedy)
    ids = (names.id_column,) if names.id_column else ()
    test, _, texts = _table(competition, files, names.test, pixels, None, ids)
    if names.id_column:
        test = test[_order(tables.as_ids(texts[names.id_column]), test_ids, competition, files)]
    elif len(test) != len(test_ids):
        raise UserError(
            f"{files.where(names.test)} has {len(test)} rows, but {files.where(names.sample_submission)} has "
            f"{len(test_ids)}; {files.remedy}"
        )
    shape = (-1, *competition.image_shape)
    return train.reshape(shape), labels, test.reshape(shape), test_ids


def _pixels(competition: Competition, files: KaggleFiles | Tree) -> list[str]:
    """Return what the columns of pixels are called: by their numbers, or as they stand in the training table."""
    names, count = competition.files, prod(competition.image_shape)
    assert isinstance(names, PixelTables)
    if names.pixel_prefix:
        return [f"{names.pixel_prefix}{number}" for number in range(count)]
    where = files.where(names.train)
    with files.open(names.train) as stream:
        header = pixel_tables.header_of(stream, where, files.remedy)
    pixels = [name for name in header if name not in (names.label_column, names.id_column)]
    if len(pixels) != count:
        raise UserError(
            f"{where}, line 1: {len(pixels)} columns of pixels, but the images have {count}; {files.remedy}"
        )
    return pixels


def _table(
    competition: Competition,
    files: KaggleFiles | Tree,
    name: str,
    pixels: list[str],
    label: str | None,
    texts: tuple[str, ...],
) -> tuple[np.ndarray, np.ndarray, dict[str, list[str]]]:
    names = competition.files
    assert isinstance(names, PixelTables)
    layout = pixel_tables.Layout(
        pixels=pixels,
        label=label,
        classes=competition.classes,
        most_rows=competition.most_images,
        texts=texts,
        ignored=(names.id_column,) if names.id_column and name == names.train else (),
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
