"""The test images' ids, in the order in which a submission has to have them."""

import numpy as np

from kit.competitions import Competition
from kit.loaders import id_tables, tables
from kit.loaders.kaggle_files import KaggleFiles
from kit.loaders.tree import Tree


def ids(competition: Competition, files: KaggleFiles | Tree) -> np.ndarray:
    """Return the ids of the sample submission, (m,) int64 or texts.

    Raises:
        UserError: the file is missing or not as Kaggle serves it.
    """
    name = competition.files.sample_submission
    with files.open(name) as stream:
        where, columns = files.where(name), competition.columns
        if isinstance(files, KaggleFiles) and competition.sample is not None:
            return id_tables.read(stream, where, (columns[0], columns[1]), files.remedy)[0]
        return tables.as_ids(tables.columns(stream, where, columns, files.remedy, only=True)[0])
