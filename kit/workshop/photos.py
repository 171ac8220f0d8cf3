"""A participant's own photos: the folder that they lie in, and a competition in Kaggle's form made of it."""

import pathlib
import shutil
from collections.abc import Iterable

import numpy as np
import pandas as pd
from PIL import Image

from kit import competitions, loaders
from kit.errors import UserError
from kit.loaders import decoding, kaggle_files
from kit.loaders.layouts import images
from kit.loaders.tree import Tree

CLASSES = ("cat", "dog")
DOGS_VS_CATS = "dogs-vs-cats-redux-kernels-edition"
MADE = pathlib.Path("data") / "cats-and-dogs-photos"
MARK = "made-by-the-workshop.txt"
FEWEST = 10
"""Photos of a class."""
WITHHELD = 0.2

WHERE_FROM = (
    "there are no photos. Make a folder {folder} with a folder for each class and photos in it ({folder}/cat/1.jpg, "
    "{folder}/dog/1.jpg, …). Or take Kaggle's cats and dogs: join "
    f"https://www.kaggle.com/competitions/{DOGS_VS_CATS}, and say `python -m kit.download {DOGS_VS_CATS}` (815 MB) or "
    f"put its files into data/{DOGS_VS_CATS}. Then run this again."
)


def photo_folder(folder: str | pathlib.Path = "photos", per_class: int = 1_000, cifar: str = "auto") -> pathlib.Path:
    """Return a folder that holds a folder of photos for each class, and print whose photos they are.

    The participant's own go first. Where there are none, cats and dogs are written to `data/cats-and-dogs-photos`: of
    Kaggle's dogs-vs-cats-redux if its files are there, else CIFAR-10's, which are as small as 32 × 32.

    Args:
        folder: where the participant's photos lie, if there are any.
        per_class: how many cats and dogs to write at most.
        cifar: the source of CIFAR-10's images, as `kit.loaders.load` takes it.

    Raises:
        UserError: the folder has fewer than two classes, or a class has fewer than ten photos; or there are no photos
            at all. It says how to get some.
    """
    own = pathlib.Path(folder)
    if own.is_dir():
        classes = of_classes(own)
        if len(classes) < 2:
            raise UserError(f"{own} has {len(classes)} folders with photos; make one for each class, at least two.")
        for name, paths in classes.items():
            if len(paths) < FEWEST:
                raise UserError(f"{own / name} has {len(paths)} photos; put at least {FEWEST} there.")
        print(f"Your photos, from {own}: {', '.join(f'{len(paths):,} {name}' for name, paths in classes.items())}.")
        return own
    found = kaggle_files.locate(competitions.get(DOGS_VS_CATS))
    if isinstance(found, Tree):
        _write(_of_kaggle(found, per_class))
        print(f"Photos of {DOGS_VS_CATS}, in {MADE}.")
        return MADE
    try:
        data = loaders.load("cifar-10", cifar)
    except UserError as error:
        raise UserError(f"{WHERE_FROM.format(folder=own)} ({error})") from None
    names = data.competition.class_names
    labels = {name: np.flatnonzero(data.train_labels == names.index(name))[:per_class] for name in CLASSES}
    _write((name, f"{row}.png", data.train_images[row]) for name, rows in labels.items() for row in rows)
    print(f"Cats and dogs of CIFAR-10 ({data.origin}), 32 × 32 pixels, in {MADE}. Photos of your own are larger.")
    return MADE


def of_classes(folder: str | pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Return the image files of each folder in `folder`, by its name; folders without images are left out."""
    found = {
        one.name: sorted(path for path in one.rglob("*") if path.suffix.lower() in decoding.SUFFIXES)
        for one in sorted(pathlib.Path(folder).iterdir())
        if one.is_dir() and not one.name.startswith(".")
    }
    return {name: paths for name, paths in found.items() if paths}


def as_competition(photos: str | pathlib.Path, folder: str | pathlib.Path) -> pd.DataFrame:
    """Copy photos into a competition's folder: `train/<class>/` with labels, `test/` with a fifth of them, without.

    A folder that this function has written before is written anew.

    Args:
        photos: a folder with a folder of photos for each class.
        folder: the competition's, `data/<its name>`.

    Returns:
        What Kaggle would keep secret: the columns `id`, a test photo's file name, and `label`, its class.

    Raises:
        UserError: the folder exists and holds something else.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and not (folder / MARK).exists():
        raise UserError(f"{folder} exists and was not made here; move it, or give another name.")
    shutil.rmtree(folder, ignore_errors=True)
    rng = np.random.default_rng(0)
    withheld = []
    for name, paths in of_classes(photos).items():
        (folder / "train" / name).mkdir(parents=True)
        order = rng.permutation(len(paths))
        split = round(len(paths) * WITHHELD)
        withheld += [(paths[place], name) for place in order[:split]]
        for place in order[split:]:
            shutil.copyfile(paths[place], folder / "train" / name / f"{place:05}{paths[place].suffix.lower()}")
    (folder / MARK).write_text(f"A copy of the photos in {photos}. It is written anew whenever the notebook runs.\n")
    (folder / "test").mkdir()
    answers = []
    for number, place in enumerate(rng.permutation(len(withheld)), 1):
        path, name = withheld[place]
        answers.append((f"{number:05}{path.suffix.lower()}", name))
        shutil.copyfile(path, folder / "test" / answers[-1][0])
    return pd.DataFrame(answers, columns=["id", "label"])


def _of_kaggle(tree: Tree, per_class: int) -> Iterable[tuple[str, str, bytes]]:
    """Yield class, file name and content of the first training photos of each class."""
    paths: dict[str, str] = {}
    counts = dict.fromkeys(CLASSES, 0)
    for path in images.of_folder(tree, "train", without="test"):
        name = path.rpartition("/")[2]
        found = images.class_in_name(name.rpartition(".")[0], CLASSES)
        if found is not None and counts[CLASSES[found]] < per_class:
            counts[CLASSES[found]] += 1
            paths[path] = CLASSES[found]
    for path, content in tree.contents(paths):
        yield paths[path], path.rpartition("/")[2], content()


def _write(photos: Iterable[tuple[str, str, bytes | np.ndarray]]) -> None:
    shutil.rmtree(MADE, ignore_errors=True)
    for name in CLASSES:
        (MADE / name).mkdir(parents=True)
    for name, file, content in photos:
        if isinstance(content, bytes):
            (MADE / name / file).write_bytes(content)
        else:
            Image.fromarray(content).save(MADE / name / file)
