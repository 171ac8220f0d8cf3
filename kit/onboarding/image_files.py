"""Which of a competition's image files are of the test, and where the labels of the others stand."""

import posixpath
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from kit.errors import UserError
from kit.loaders import decoding
from kit.loaders.layouts import images
from kit.loaders.tree import Tree
from kit.onboarding import classes, csv_tables
from kit.onboarding.csv_tables import Table

SAMPLED = 60  # images that are opened
PHOTO_SIDE, SMALL = 96, 64  # pixels: what photos are made, and the largest side that stays as it is
MOST_MISSING = 0.5  # of a table's rows that may have no image, so that the loader names the first
TEST = re.compile(r"(?<![a-z])test(?!(?!ing|set|data|im)[a-z])", re.IGNORECASE)
TRAIN = re.compile(r"(?<![a-z])train", re.IGNORECASE)
PARTS = re.compile(r"(train|test|val|valid|validation|dev|extra|samples?)[\W\d_]*", re.IGNORECASE)
NO_CLASSES = re.compile(r"(images?|imgs?|photos?|masks?|annotations?|labels?)[\W\d_]*", re.IGNORECASE)
ID_AT_END = re.compile(r"[._\-\s(]+(\d+|[0-9a-f]{6,})\)?$|(?<=[^\W\d_])\d+$")


def described(tree: Tree, sample: Table, paths: list[str]) -> dict[str, Any]:
    """Return layout, classes and image shape, as fields of `competition.yaml`.

    Args:
        tree: the competition's files.
        sample: the sample submission.
        paths: of all images.

    Raises:
        UserError: these are not the files of an image classification, or what they are is not clear.
    """
    test, others = _test_folder(tree, sample, paths)
    train = [path for path in paths if not any(images.within(path, folder) for folder in others)] or paths
    files: dict[str, Any] = {"test": test or ".", "sample_submission": sample.path}
    tables, problems = csv_tables.every(tree)
    found = _labelled(tree, sample, tables, train) or _by_folder(tree, train) or _by_name(train)
    if found is None:
        raise UserError(_nothing_found(tree, tables, problems, train))
    layout, names = found
    return {"image_shape": shape(tree, train), "class_names": names, "files": {**files, **layout}}


def _test_folder(tree: Tree, sample: Table, paths: list[str]) -> tuple[str, list[str]]:
    """Return the folder of the test images, and all folders that are not for training."""
    ids = [row[0] for row in sample.rows]
    named = sorted({folder for path in paths if (folder := _part(path, TEST))})
    found = {
        folder: _how_many(ids, [path for path in paths if images.within(path, folder)], folder) for folder in named
    }
    best = max(found, key=lambda folder: found[folder], default="")
    if best and found[best]:
        return best, named
    known = images.by_id(paths, "")
    folders = {posixpath.dirname(path) for one in ids if (path := images.meant(known, one))}
    if not folders:
        some = next((path for path in paths if best and images.within(path, best)), paths[0])
        raise UserError(
            f"{tree.where(sample.path)}: no image is called as its ids, such as {ids[0][:60]!r} (images are called as "
            f"{some[:80]!r}); the kit needs test images that are named by these ids."
        )
    test = posixpath.commonpath([folder or "." for folder in folders])
    test = "" if test == "." else test
    return test, [*named, *([test] if test else [])]


def _part(path: str, kind: re.Pattern[str]) -> str:
    """Return the path up to the first folder that is called as `kind` says."""
    parts = path.split("/")[:-1]
    place = next((number for number, part in enumerate(parts) if kind.search(part)), None)
    return "" if place is None else "/".join(parts[: place + 1])


def _how_many(ids: Sequence[str], paths: list[str], folder: str) -> int:
    known = images.by_id(paths, folder)
    return sum(bool(images.meant(known, one)) for one in ids)


def _labelled(tree: Tree, sample: Table, tables: list[Table], train: list[str]) -> Any:
    """Take the table whose ids are the most training images' names, one called as a test table's last."""
    known = images.by_id(train, "")
    submitted = {row[0] for row in sample.rows}
    best: tuple[tuple[bool, bool, int], Table, str] | None = None
    for table in tables:
        of_test = bool(TEST.search(posixpath.basename(table.path)) and not TRAIN.search(posixpath.basename(table.path)))
        for name in table.header:
            texts = table.column(name)
            count = sum(bool(images.meant(known, one)) for one in texts)
            if not count or count < MOST_MISSING * len(texts) or table.header.count(name) > 1:
                continue
            rank = (not of_test, set(texts) != submitted, count)
            if len(table.header) > 1 and (best is None or rank > best[0]):
                best = (rank, table, name)
    if best is None or not best[0][0]:
        return None
    _, table, id_column = best
    where, texts = tree.where(table.path), table.column(id_column)
    if len(set(texts)) < len(texts):
        twice = Counter(texts).most_common(1)[0][0]
        raise UserError(
            f"{where}, column {id_column!r}: {twice[:60]!r} is there more than once (detection or multi-label); one "
            "row an image is needed."
        )
    if absent := [one for one in texts if not images.meant(known, one)]:
        raise UserError(
            f"{where}, column {id_column!r}: there is no image of {absent[0][:60]!r} ({len(absent):,} of "
            f"{len(texts):,} rows have none); add the images, or remove the rows."
        )
    columns = classes.label_columns(table, id_column, sample.header[1:], where)
    one_hot = len(columns) > 1
    names = columns if one_hot else classes.names_of(table.column(columns[0]), columns[0], where)
    folder = posixpath.commonpath([posixpath.dirname(images.meant(known, one)) or "." for one in texts])
    layout = {
        "layout": "labelled-images", "train": folder, "labels": table.path, "id_column": id_column,
        "label_column": "" if one_hot else columns[0],
    }  # fmt: skip
    return layout, names


def _by_folder(tree: Tree, train: list[str]) -> Any:
    """Take the folders that hold the images for the classes, if they lie in one folder."""
    groups: dict[str, set[str]] = {}
    for parent in {posixpath.dirname(path) for path in train}:
        groups.setdefault(posixpath.dirname(parent), set()).add(posixpath.basename(parent))
    if "" in groups.get("", set()):  # images beside the folders
        groups[""].discard("")
    if len(groups) > 1:
        called = {folder: names for folder, names in groups.items() if TRAIN.search(folder)}
        if len(called) != 1:
            if not any(len(names) > 1 for names in groups.values()):
                return None
            raise UserError(
                f"{tree.folder}: images lie in several folders of folders ({', '.join(sorted(groups))[:120]}); which "
                "of them are the classes is not clear; put the classes' folders into one folder called train."
            )
        groups = called
    ((above, names),) = groups.items()
    if not names or (not above and len(names) < 2) or any(map(NO_CLASSES.fullmatch, names)):
        return None
    if any(map(PARTS.fullmatch, names)) and not TRAIN.search(above):  # inside of train/, "train" is a vehicle
        return None
    return {"layout": "class-folders", "train": above or "."}, classes.names_of(
        sorted(names), "folder", str(tree.folder / above), unique=True
    )


def _by_name(train: list[str]) -> Any:
    if any(re.search("mask", posixpath.dirname(path), re.IGNORECASE) for path in train):
        return None
    stems = [posixpath.splitext(posixpath.basename(path))[0] for path in train]
    names = Counter(ID_AT_END.sub("", re.sub(r"^\d+[._\-\s]+", "", stem)) for stem in stems)
    if not 2 <= len(names) <= min(classes.MOST_CLASSES, len(train) // 2):
        return None
    if not all(re.search(r"[^\W\d_]", name) for name in names):
        return None
    folder = posixpath.commonpath([posixpath.dirname(path) or "." for path in train])
    return {"layout": "file-names", "train": folder}, classes.names_of(sorted(names), "file name", folder, unique=True)


def _nothing_found(tree: Tree, tables: list[Table], problems: list[str], train: list[str]) -> str:
    """Say why there are no labels: of a table that might have them, how its ids and the images' names differ."""
    if problems:
        return problems[0]
    if any(re.search("mask", path, re.IGNORECASE) for path in train):
        return f"{tree.folder} has masks and no labels: a segmentation; the kit classifies whole images."
    with_labels = [table for table in tables if len(table.header) > 1 and table.rows]
    if with_labels:
        table = max(with_labels, key=lambda table: len(table.rows))
        return (
            f"{tree.where(table.path)}: no column holds the names of the images, such as {train[0][:80]!r} (line 2 "
            f"begins with {table.rows[0][0][:40]!r}); name the images by its ids, with or without the extension."
        )
    return (
        f"{tree.folder}: no table of labels, no folders of classes and no classes in the images' names were found; "
        "without labels the kit cannot train."
    )


def shape(tree: Tree, paths: list[str]) -> list[int]:
    """Return the image shape: small images of one size as they are, others as squares.

    Raises:
        UserError: an image is damaged; names it.
    """
    some = sorted(paths)[:: max(1, len(paths) // SAMPLED)][:SAMPLED]
    sizes: Counter[tuple[int, int, str]] = Counter()
    for path, content in tree.contents(some):
        try:
            sizes[decoding.size_of(content())] += 1
        except ValueError as error:
            raise UserError(f"{tree.where(path)} {error}; replace or remove it.") from None
    channels = 1 if all(mode in ("1", "L", "I;16", "LA") for _, _, mode in sizes) else 3
    shapes = {(height, width) for height, width, _ in sizes}
    if len(shapes) == 1 and max(next(iter(shapes))) <= SMALL:
        return [*next(iter(shapes)), channels]
    side = min(PHOTO_SIDE, max(8, sorted(min(shape) for shape in shapes)[len(shapes) // 2]))
    return [side, side, channels]
