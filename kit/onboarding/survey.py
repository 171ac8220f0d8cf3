"""What a competition's files say of it: layout, classes, image shape and submission."""

import math
import pathlib
import posixpath
import re
from collections.abc import Sequence
from typing import Any

from kit.errors import UserError
from kit.loaders import archives, decoding
from kit.loaders.layouts import images
from kit.loaders.tree import Tree
from kit.onboarding import classes, csv_tables, image_files
from kit.onboarding.csv_tables import Table
from kit.onboarding.proposal import Proposal

LEAST_PIXELS = 50  # columns of a table of images
NOT_CLASSIFICATION = {
    "encodedpixels": "segmentation", "rle": "segmentation", "rle_mask": "segmentation", "segmentation": "segmentation",
    "predictionstring": "detection or multi-label", "bbox": "detection", "boxes": "detection",
}  # fmt: skip


def survey(slug: str, folder: pathlib.Path, image_shape: Sequence[int] = ()) -> Proposal:
    """Find out what can be known about a competition from its files.

    Args:
        slug: Kaggle's name of the competition.
        folder: where its files lie.
        image_shape: height and width, or height, width and channels, where the person knows them.

    Raises:
        UserError: the files cannot be read, or are not those of an image classification; says in one line what is
            missing or not served.
    """
    tree = Tree(folder, slug, "check the folder, or download it again")
    if not tree.any():
        raise UserError(f"{folder} has no files; give the competition's files with --data FOLDER.")
    _check_archives(tree)
    sample = _sample(tree)
    pictures = [path for path in tree.files if path.lower().endswith(decoding.SUFFIXES)]
    fields = image_files.described(tree, sample, pictures) if pictures else _of_tables(tree, sample, image_shape)
    if pictures and image_shape:
        fields["image_shape"] = [*image_shape[:2], *(image_shape[2:] or fields["image_shape"][2:])]
    fields |= _submission(sample, fields)
    return Proposal(slug, folder, tree, fields, len(pictures), tuple(_doubts(sample, fields, pictures)))


def _check_archives(tree: Tree) -> None:
    """Refuse archives inside of others that are not read, so that nobody trains on a part without a word."""
    for path in tree.files:
        if archives.suffix(path):
            raise UserError(f"{tree.where(path)} is an archive inside of an archive; unpack the outer one.")


def _sample(tree: Tree) -> Table:
    found = [path for path in tree.files if re.search(r"submission[^/]*\.csv$", path, re.IGNORECASE)]
    if not found:
        raise UserError(f"{tree.folder} has no sample submission (a CSV with 'submission' in its name); add it.")
    sample = csv_tables.read(tree, min(found, key=lambda path: ("sample" not in path.lower(), path.count("/"), path)))
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


def _of_tables(tree: Tree, sample: Table, image_shape: Sequence[int]) -> dict[str, Any]:
    """Find a training and a test table of pixels."""
    tables, problems = csv_tables.every(tree, 200)
    wide = [table for table in tables if len(table.header) >= LEAST_PIXELS]
    named = {kind: [one for one in wide if kind in posixpath.basename(one.path).lower()] for kind in ("train", "test")}
    if not named["train"] or not named["test"]:
        suffixes = ", ".join(sorted({posixpath.splitext(path)[1] for path in tree.files if "." in path})[:8])
        raise UserError(
            problems[0]
            if problems
            else f"{tree.folder} has neither images nor a train and a test table of pixels (there are: {suffixes}); "
            f"the kit reads {', '.join(decoding.SUFFIXES)} and .csv."
        )
    train, test = named["train"][0], named["test"][0]
    id_column, label = _columns(tree, sample, train, test)
    pixels = [name for name in train.header if name not in (id_column, label)]
    if set(pixels) != set(test.header) - {id_column}:
        odd = sorted(set(pixels) ^ (set(test.header) - {id_column}))
        raise UserError(
            f"{tree.where(test.path)}: column {odd[0][:40]!r} is not in both tables; the kit needs the same."
        )
    for number, row in enumerate(train.rows):
        for name, value in zip(train.header, row, strict=True):
            if name not in (id_column, label) and not (value.strip().isdigit() and int(value) <= 255):
                raise UserError(
                    f"{tree.where(train.path)}, line {number + 2}, column {name[:40]!r}: {value[:20]!r} is no pixel "
                    "from 0 to 255; it is no image table that the kit reads."
                )
    numbered = set(pixels) == {f"pixel{number}" for number in range(len(pixels))}
    if not numbered:
        _check_order(pixels, tree.where(train.path))
    texts = csv_tables.column(tree, train.path, label)
    return {
        "image_shape": shape_of(len(pixels), image_shape, tree.where(test.path)),
        "pixels": len(pixels),
        "class_names": classes.names_of(texts, label, tree.where(train.path)),
        "files": {
            "layout": "pixel-tables", "train": train.path, "test": test.path, "sample_submission": sample.path,
            "id_column": id_column, "label_column": label, "pixel_prefix": "pixel" if numbered else "",
        },
    }  # fmt: skip


def _columns(tree: Tree, sample: Table, train: Table, test: Table) -> tuple[str, str]:
    """Return the test table's column of ids, or an empty text, and the training table's column of labels."""
    id_column = sample.header[0] if sample.header[0] in test.header else ""
    if not id_column:
        id_column = next((name for name in test.header if name.lower() in ("id", "imageid", "image_id")), "")
    labels = [name for name in train.header if name not in test.header and name != id_column]
    if len(labels) != 1:
        what = f"columns that the test table lacks: {', '.join(labels)[:80]}" if labels else "no column of labels"
        raise UserError(f"{tree.where(train.path)} has {what}; the kit needs one column of classes.")
    return id_column, labels[0]


def _check_order(pixels: list[str], where: str) -> None:
    """Refuse columns whose numbers do not ascend: their order would be another than that of the pixels."""
    numbers = [[int(one) for one in re.findall(r"\d+", name)] for name in pixels]
    if all(numbers) and len({len(one) for one in numbers}) == 1 and numbers != sorted(numbers):
        first = next(number for number in range(1, len(numbers)) if numbers[number] < numbers[number - 1])
        raise UserError(
            f"{where}, line 1: column {pixels[first]!r} comes after {pixels[first - 1]!r}; put the pixels' columns in "
            "order, row by row."
        )


def shape_of(count: int, given: Sequence[int], where: str) -> list[int]:
    """Return the shape of images of `count` pixels: as given, or square; an empty list where it is neither.

    Raises:
        UserError: the shape that is given has another number of pixels.
    """
    if given:
        height, width = given[:2]
        channels = given[2] if len(given) > 2 else count // (height * width)
        if height * width * channels != count or channels not in (1, 3):
            raise UserError(
                f"{where} has {count} pixels an image, which are not {'x'.join(map(str, given))} of 1 or 3 channels."
            )
        return [height, width, channels]
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side * side * channels == count:
            return [side, side, channels]
    return []


def _submission(sample: Table, fields: dict[str, Any]) -> dict[str, Any]:
    """Return what a submission's row holds."""
    header, names = sample.header, fields["class_names"]
    if len(header) > 2:
        by_text = {_plain(one): one for one in header[1:]}
        columns = [name if name in header else by_text.get(_plain(name), "") for name in names]
        if sorted(columns) != sorted(header[1:]):
            lacking = next((name for name, column in zip(names, columns, strict=True) if not column), "")
            raise UserError(
                "the sample submission's columns are not the classes"
                + (f" (there is none of {lacking[:40]!r})" if lacking else "")
                + "; the kit predicts one class an image (no multi-label)."
            )
        found: dict[str, Any] = {"id_column": header[0], "predicts": "probabilities", "metric": "log-loss"}
        found["class_names"] = [names[columns.index(one)] for one in header[1:]]
        if list(header[1:]) != found["class_names"]:
            found["probability_columns"] = list(header[1:])
        return found
    values = {row[1].strip() for row in sample.rows}
    found = {"id_column": header[0], "label_column": header[1], "predicts": "label", "metric": "accuracy"}
    if len(names) == 2 and any(re.fullmatch(r"0?\.\d+|1\.0+|0\.0+", value) for value in values):
        of = next((name for name in names if _plain(name) in map(_plain, re.split(r"[\W_]+", header[1]))), names[1])
        return found | {"predicts": "probability", "probability_of": of, "metric": "log-loss"}
    if any(re.fullmatch(r"-?\d*\.\d+", value) and float(value) != int(float(value)) for value in values):
        raise UserError(
            f"column {header[1]!r} of the sample submission holds fractions for {len(names)} classes: a regression, or "
            "one class's probability of many; the kit predicts a class, or a probability of each."
        )
    numbers = tuple(map(str, range(len(names))))
    by_number = values <= set(numbers) and not any(name.isdigit() for name in names)
    if by_number and fields["files"]["layout"] in ("class-folders", "file-names"):
        found["label_values"] = list(numbers)
    return found


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _doubts(sample: Table, fields: dict[str, Any], pictures: Sequence[str]) -> list[str]:
    """Say what was taken although the files do not tell it for certain."""
    names, found, used = fields["class_names"], [], fields["files"]
    if left := [path for path in pictures if not any(images.within(path, used[part]) for part in ("train", "test"))]:
        found.append(
            f"{len(left):,} images lie neither in {used['train']} nor in {used['test']}, such as {left[0][:80]}"
        )
    if fields["predicts"] == "probability" and not names[1].isdigit():
        found.append(
            f"column {sample.header[1]!r} of the submission is taken for the probability of "
            f"{fields['probability_of']!r}"
        )
    if fields.get("label_values"):
        pairs = ", ".join(f"{number} for {name!r}" for number, name in list(enumerate(names))[:4])
        found.append(f"the sample submission holds numbers where the classes are words; {pairs}, … is taken")
    elif fields["predicts"] == "label":
        values = {row[1].strip() for row in sample.rows}
        if values and not values & set(names):
            found.append(f"the sample submission's labels, such as {sorted(values)[0][:40]!r}, are none of the classes")
    return found
