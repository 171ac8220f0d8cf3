"""What a competition's files say of it: layout, classes, image shape and submission."""

import csv
import io
import itertools
import math
import pathlib
import posixpath
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from kit.errors import UserError
from kit.loaders import decoding
from kit.loaders.layouts import images
from kit.loaders.tree import Tree, buffered
from kit.onboarding.proposal import Proposal

SAMPLED = 60  # images that are opened
MOST_ROWS = 1_000_000
MOST_CLASSES = 2000
PHOTO_SIDE, SMALL = 96, 64  # pixels: what photos are made, and the largest side that stays as it is
LABEL_COLUMNS = ("label", "class", "target", "category", "species", "breed", "diagnosis")
NOT_CLASSIFICATION = {
    "encodedpixels": "segmentation", "rle": "segmentation", "rle_mask": "segmentation", "segmentation": "segmentation",
    "predictionstring": "detection or multi-label", "bbox": "detection", "boxes": "detection",
}  # fmt: skip
ID_AT_END = re.compile(r"[._\-\s(]+(\d+|[0-9a-f]{6,})\)?$|(?<=[^\W\d_])\d+$")


@dataclass(frozen=True)
class Table:
    """A CSV file: its path in the tree, its header, its rows."""

    path: str
    header: list[str]
    rows: list[list[str]]

    def column(self, name: str) -> list[str]:
        """The texts of a column."""
        place = self.header.index(name)
        return [row[place] for row in self.rows]


def survey(slug: str, folder: pathlib.Path) -> Proposal:
    """Find out what can be known about a competition from its files.

    Raises:
        UserError: the files cannot be read, or are not those of an image classification; says in one line what is
            missing or not served.
    """
    tree = Tree(folder, slug, "check the folder, or download it again")
    if not tree.any():
        raise UserError(f"{folder} has no files; give the competition's files with --data FOLDER.")
    sample = _sample(tree)
    pictures = [path for path in tree.files if path.lower().endswith(decoding.SUFFIXES)]
    fields = _of_images(tree, sample, pictures) if pictures else _of_tables(tree, sample)
    fields |= _submission(sample, fields)
    return Proposal(slug, folder, tree, fields, len(pictures))


def _sample(tree: Tree) -> Table:
    found = [path for path in tree.files if re.search(r"submission[^/]*\.csv$", path, re.IGNORECASE)]
    if not found:
        raise UserError(f"{tree.folder} has no sample submission (a CSV with 'submission' in its name); add it.")
    sample = _table(tree, min(found, key=lambda path: (path.count("/"), path)))
    if len(sample.header) < 2 or not sample.rows:
        raise UserError(f"{tree.where(sample.path)} has no rows of an id and a prediction; the kit cannot serve it.")
    for name in sample.header[1:]:
        if kind := NOT_CLASSIFICATION.get(name.strip().lower()):
            raise UserError(
                f"column {name!r} of the sample submission asks for {kind}; the kit classifies whole images."
            )
    if len({row[0] for row in sample.rows}) < len(sample.rows):
        raise UserError("the sample submission has several rows an image (detection, segmentation or multi-label); "
                        "the kit predicts one class an image.")  # fmt: skip
    return sample


def _table(tree: Tree, path: str, most: int = MOST_ROWS) -> Table:
    where = tree.where(path)
    try:
        with tree.open(path) as stream, io.TextIOWrapper(buffered(stream), "utf-8-sig", newline="") as text:
            reader = csv.reader(text)
            header = [name.strip() for name in next(reader, [])]
            rows = [row for row in itertools.islice(reader, most) if len(row) == len(header)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{where} is not CSV in UTF-8 ({error}).") from None
    return Table(path, header, rows)


def _tables(tree: Tree, sample: Table, most: int = MOST_ROWS) -> list[Table]:
    paths = [path for path in tree.files if path.lower().endswith(".csv") and "submission" not in path.lower()]
    return [_table(tree, path, most) for path in sorted(paths)]


def _of_tables(tree: Tree, sample: Table) -> dict[str, Any]:
    """Find a training and a test table of pixels."""
    wide = [table for table in _tables(tree, sample, 200) if len(table.header) >= 50]
    named = {kind: [one for one in wide if kind in posixpath.basename(one.path).lower()] for kind in ("train", "test")}
    if not named["train"] or not named["test"]:
        raise UserError(f"{tree.folder} has neither images nor a train and a test table of pixels; the kit needs one.")
    train, test = named["train"][0], named["test"][0]
    shared = set(train.header) & set(test.header)
    id_column = sample.header[0] if sample.header[0] in test.header else ""
    if not id_column and not test.header[0].lower().startswith("pixel") and test.header[0].lower() in ("id", "imageid"):
        id_column = test.header[0]
    pixels = [name for name in test.header if name != id_column]
    labels = [name for name in train.header if name not in shared and name != id_column]
    if len(labels) != 1:
        what = "several label columns (multi-label)" if labels else "no label column"
        raise UserError(f"{tree.where(train.path)} has {what}; the kit needs one column of classes.")
    texts = _table(tree, train.path).column(labels[0])
    values = [
        value
        for row in train.rows
        for name, value in zip(train.header, row, strict=True)
        if name in shared and name != id_column
    ]
    if not all(value.strip().isdigit() and int(value) <= 255 for value in values):
        raise UserError(
            f"{tree.where(train.path)} holds other numbers than pixels from 0 to 255; it is no image table."
        )
    numbered = pixels == [f"pixel{number}" for number in range(len(pixels))]
    return {
        "image_shape": _square(len(pixels), tree.where(test.path)),
        "class_names": _classes(texts, labels[0]),
        "files": {
            "layout": "pixel-tables", "train": train.path, "test": test.path, "sample_submission": sample.path,
            "id_column": id_column, "label_column": labels[0], "pixel_prefix": "pixel" if numbered else "",
        },
    }  # fmt: skip


def _square(count: int, where: str) -> list[int]:
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side * side * channels == count:
            return [side, side, channels]
    raise UserError(
        f"{where} has {count} pixels an image, which is no square; write image_shape into a competition.yaml."
    )


def _of_images(tree: Tree, sample: Table, paths: list[str]) -> dict[str, Any]:
    """Find out which images are of the test, and where the labels of the others stand."""
    ids = [row[0] for row in sample.rows]
    known = images.by_id(paths, "")
    found = [known[one] for one in ids if one in known]
    ambiguous = [path for path in paths if "test" in posixpath.dirname(path).lower()]
    folders = Counter(map(posixpath.dirname, ambiguous or found))
    if not folders:
        raise UserError(
            f"no image is called as the sample submission's ids, such as {ids[0][:60]!r}; the kit needs that."
        )
    test = folders.most_common(1)[0][0]
    train = [path for path in paths if not images.within(path, test) or not test]
    files: dict[str, Any] = {"test": test, "sample_submission": sample.path}
    fields = _labelled(tree, sample, train or paths, test, files) or _by_folder(train, files) or _by_name(train, files)
    if fields is None:
        raise UserError(
            f"{tree.folder}: no table of labels, no folders of classes and no classes in the images' names were found; "
            "without labels (or with multi-label or masks) the kit cannot train."
        )
    return {"image_shape": _shape(tree, train or paths), **fields}


def _labelled(tree: Tree, sample: Table, train: list[str], test: str, files: dict[str, Any]) -> dict[str, Any] | None:
    known = images.by_id(train, "")
    for table in _tables(tree, sample):
        if len(table.header) < 2 or not table.rows:
            continue
        for id_column in table.header:
            texts = table.column(id_column)
            if sum(one in known for one in texts[:200]) < 0.9 * len(texts[:200]):
                continue
            if len(set(texts)) < len(texts):
                raise UserError(
                    f"{table.path} has several rows an image (detection or multi-label); one class an image is needed."
                )
            others = [name for name in table.header if name != id_column]
            label = _label_column(table, others, sample)
            folder = posixpath.commonpath(
                [posixpath.dirname(known[one]) or "." for one in texts if one in known] or ["."]
            )
            files |= {"layout": "labelled-images", "train": "" if folder == "." else folder, "labels": table.path,
                      "id_column": id_column, "label_column": label}  # fmt: skip
            files["train"] = files["train"] or "."
            return {"class_names": _classes(table.column(label), label), "files": files}
    return None


def _label_column(table: Table, others: list[str], sample: Table) -> str:
    if len(others) == 1:
        return others[0]
    for name in (sample.header[1], *LABEL_COLUMNS):
        fitting = [one for one in others if one.lower() == name.lower()]
        if fitting:
            return fitting[0]
    if set(sample.header[1:]) <= set(others):
        raise UserError(
            f"{table.path} has a column a class (multi-label, or one-hot); the kit needs one column of classes."
        )
    raise UserError(
        f"{table.path}: which of {', '.join(others)[:100]} is the label is not clear; write a competition.yaml."
    )


def _by_folder(train: list[str], files: dict[str, Any]) -> dict[str, Any] | None:
    """Take the folders that hold the images for the classes, if they lie in one folder."""
    parents = Counter(map(posixpath.dirname, train))
    if len(parents) < 2:
        return None
    above = Counter(map(posixpath.dirname, parents)).most_common(1)[0][0]
    inside = [parent for parent in parents if posixpath.dirname(parent) == above]
    files |= {"layout": "class-folders", "train": above or "."}
    return {"class_names": _classes([posixpath.basename(one) for one in inside], "folder", unique=True), "files": files}


def _by_name(train: list[str], files: dict[str, Any]) -> dict[str, Any] | None:
    stems = [posixpath.splitext(posixpath.basename(path))[0] for path in train]
    names = Counter(ID_AT_END.sub("", re.sub(r"^\d+[._\-\s]+", "", stem)) for stem in stems)
    if not 2 <= len(names) <= min(MOST_CLASSES, len(train) // 2) or "" in names:
        return None
    files |= {"layout": "file-names", "train": posixpath.commonpath([posixpath.dirname(path) or "." for path in train])}
    return {"class_names": _classes(list(names), "file name", unique=True), "files": files}


def _classes(texts: list[str], column: str, unique: bool = False) -> list[str]:
    """Return the class names in their order, or refuse what is not one class an image."""
    names = {text.strip() for text in texts}
    if any(not name for name in names):
        raise UserError(f"column {column!r}: some labels are empty; the kit needs a class for every image.")
    if all(re.fullmatch(r"-?\d+", name) for name in names):
        if len(names) > MOST_CLASSES or (not unique and len(names) > max(20, len(texts) // 2)):
            raise UserError(
                f"column {column!r} holds {len(names):,} different numbers: a regression; the kit classifies."
            )
        return sorted(names, key=int)
    if all(re.fullmatch(r"-?\d*\.?\d+(e-?\d+)?", name, re.IGNORECASE) for name in names):
        if any(float(name) != int(float(name)) for name in names):
            raise UserError(f"column {column!r} holds fractions: a regression; the kit classifies.")
        return sorted(names, key=float)
    parts = Counter(part for name in names for part in re.split(r"[ ,|;]+", name))
    if (
        not unique
        and len(names) > 3
        and sum(count > 1 for count in parts.values()) > 0.6 * len(parts)
        and any(part in names for part in parts if part not in (next(iter(names)),))
    ):
        raise UserError(
            f"column {column!r} holds several labels an image, such as {max(names, key=len)[:40]!r}: multi-label."
        )
    if not 2 <= len(names) <= MOST_CLASSES or (not unique and len(names) > max(20, len(texts) // 2)):
        raise UserError(f"column {column!r} holds {len(names):,} different texts; these cannot be the classes.")
    return sorted(names)


def _shape(tree: Tree, paths: list[str]) -> list[int]:
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


def _submission(sample: Table, fields: dict[str, Any]) -> dict[str, Any]:
    """Return what a submission's row holds."""
    header, names = sample.header, fields["class_names"]
    if len(header) > 2:
        by_text = {re.sub(r"\W", "", one).lower(): one for one in header[1:]}
        columns = [by_text.get(re.sub(r"\W", "", name).lower(), "") for name in names]
        if len(header) - 1 != len(names) or "" in columns:
            raise UserError(
                "the sample submission's columns are not the classes (multi-label?); the kit predicts one class an "
                "image."
            )
        found: dict[str, Any] = {"id_column": header[0], "predicts": "probabilities", "metric": "log-loss"}
        if list(header[1:]) != columns:
            found["class_names"] = [names[columns.index(one)] for one in header[1:]]
        if list(header[1:]) != found.get("class_names", names):
            found["probability_columns"] = list(header[1:])
        return found
    values = {row[1].strip() for row in sample.rows}
    found = {"id_column": header[0], "label_column": header[1], "predicts": "label", "metric": "accuracy"}
    if len(names) == 2 and any(re.fullmatch(r"0?\.\d+|1\.0+|0\.0+", value) for value in values):
        of = next((name for name in names if name.lower() == header[1].lower()), names[1])
        found |= {"predicts": "probability", "probability_of": of, "metric": "log-loss"}
    return found
