"""A table of ids and labels, and a folder of images named by the ids."""

from kit.competitions import Competition, LabelledImages
from kit.loaders import sample_submission, tables
from kit.loaders.layouts import Arrays, images
from kit.loaders.tree import Tree


def read(competition: Competition, tree: Tree) -> Arrays:
    """Read all images; training images stand in the order of the table.

    Raises:
        UserError: a label is not a class, or an image is missing or damaged; names line and column, or the image.
    """
    names = competition.files
    assert isinstance(names, LabelledImages)
    test_ids = sample_submission.ids(competition, tree)
    where = tree.where(names.labels)
    with tree.open(names.labels) as stream:
        columns = (names.label_column,) if names.label_column else competition.label_texts
        ids, *texts = tables.columns(stream, where, (names.id_column, *columns), tree.remedy)
    if names.label_column:
        labels = tables.as_labels(texts[0], competition.label_texts, where, names.label_column, tree.remedy)
    else:
        labels = tables.one_hot(texts, columns, where, tree.remedy)
    images.check_counts(labels, competition, tree, names.labels)
    paths = images.for_ids(tree, names.train, ids, where, without=names.test if names.test != names.train else "")
    of_test = images.for_ids(tree, names.test, [str(one) for one in test_ids], tree.where(names.sample_submission))
    train_images = images.read(competition, tree, paths, names.train or "train")
    return train_images, labels, images.read(competition, tree, of_test, names.test or "test"), test_ids
