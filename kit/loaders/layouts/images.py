"""What the layouts of image files share: which files are a folder's images, and how they become arrays."""

import contextlib
import posixpath
import re
from collections.abc import Sequence

import numpy as np

from kit.competitions import Competition
from kit.errors import UserError
from kit.loaders import decoding
from kit.loaders.tree import Tree


def of_folder(tree: Tree, folder: str, without: str = "") -> list[str]:
    """Return the paths of the images in a folder and below it, sorted; "" or "." means all.

    Args:
        tree: the competition's files.
        folder: the folder's path in the tree.
        without: a folder whose images are left out.

    Raises:
        UserError: there are none.
    """
    found = sorted(
        path
        for path in tree.files
        if path.lower().endswith(decoding.SUFFIXES) and within(path, folder) and not (without and within(path, without))
    )
    if not found:
        raise UserError(f"{tree.folder / folder} has no images (nor has an archive of its name); {tree.remedy}")
    return found


def within(path: str, folder: str) -> bool:
    """Whether a path lies in a folder or below it."""
    return folder in ("", ".") or path.startswith(f"{folder.strip('/')}/")


def by_id(paths: Sequence[str], folder: str) -> dict[str, str]:
    """Return the path that each id may mean: an image's path, the end of it, or either without the extension.

    What two images could be called is left out, unless it is one's whole path, or its path in `folder`.
    """
    found = {path: path for path in paths}
    inside = ((path.removeprefix(f"{folder}/"), path) for path in paths)
    ends = (
        ("/".join(parts[start:]), path) for path in paths for parts in [path.split("/")] for start in range(len(parts))
    )
    for named in (inside, ends):
        meant: dict[str, str] = {}
        for name, path in named:
            for key in {name, posixpath.splitext(name)[0]}:
                if meant.setdefault(key, path) != path:
                    meant[key] = ""
        for key, path in meant.items():
            if path:
                found.setdefault(key, path)
    return found


def meant(known: dict[str, str], name: str) -> str:
    """Return the path that an id means by what `by_id` returned, or an empty text; its extension may be another's."""
    name = name.strip().removeprefix("./")
    bare, suffix = posixpath.splitext(name)
    return known.get(name) or (known.get(bare, "") if suffix.lower() in decoding.SUFFIXES else "")


def for_ids(tree: Tree, folder: str, ids: Sequence[str], ids_from: str, without: str = "") -> list[str]:
    """Return the path of each id's image.

    Raises:
        UserError: an id has no image, or it is not clear which; names it.
    """
    known = by_id(of_folder(tree, folder, without), folder)
    paths = [known.get(one) or meant(known, one) for one in ids]
    if "" in paths:
        missing = [one for one, path in zip(ids, paths, strict=True) if not path]
        raise UserError(
            f"{tree.folder / folder}: there is no image of {missing[0][:80]!r} ({len(missing):,} images in all) "
            f"though {ids_from} has its id; {tree.remedy}"
        )
    return paths


def read(competition: Competition, tree: Tree, paths: Sequence[str], title: str) -> np.ndarray:
    """Decode images, (n, height, width, channels) uint8 in the order of `paths`.

    Raises:
        UserError: one is not an image, damaged or too large; names it.
    """
    if len(paths) > competition.most_images:
        raise UserError(
            f"{tree.folder} has {len(paths):,} images, more than most_images ({competition.most_images:,}) allows; "
            "raise it in competition.yaml, or check the folder."
        )
    images = np.empty((len(paths), *competition.image_shape), np.uint8)
    row_of = {path: row for row, path in enumerate(paths)}
    if len(row_of) < len(paths):
        raise UserError(f"{tree.folder}: two ids mean the same image; make them the images' whole names.")
    with contextlib.closing(tree.contents(paths)) as found:
        contents = ((row_of[path], path, tree.files[path].size, content) for path, content in found)
        decoding.decode_all(contents, images, competition.fit, tree.where, tree.remedy, title)
    return images


def check_counts(labels: np.ndarray, competition: Competition, tree: Tree, folder: str) -> None:
    """Refuse training labels that lack a class.

    Raises:
        UserError: names the class.
    """
    counts = np.bincount(labels, minlength=competition.classes)
    if not counts.all():
        missing = competition.class_names[int(counts.argmin())]
        raise UserError(f"{tree.folder / folder} has no images of the class {missing!r}; {tree.remedy}")


def class_in_name(stem: str, names: Sequence[str]) -> int | None:
    """Return the number of the class that a file's name begins or ends with, as in `cat.0` or `17_cat`; else None.

    Of several the longest name is taken: `cat_fish.3` is of `cat_fish`, not of `cat`.
    """
    for number in sorted(range(len(names)), key=lambda number: -len(names[number])):
        name = re.escape(names[number])
        if re.match(rf"{name}(?![^\W\d_])", stem) or re.search(rf"(?<![^\W\d_]){name}$", stem):
            return number
    return None
