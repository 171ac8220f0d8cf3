"""Checks of a competition made of photos: how many there are, its sample submission, its facts, a run on it."""

import csv
import pathlib
from typing import Any

from kit import competitions, metrics, tracking
from kit.errors import UserError
from kit.workshop.checks.answers import StillMissing, filled, good
from kit.workshop.photos import of_classes


def counted(answer: Any, folder: str | pathlib.Path) -> None:
    """Check the number of photos in each folder of `folder`, as a dict from the folder's name."""
    wanted = {name: len(paths) for name, paths in of_classes(folder).items()}
    if not isinstance(filled(answer), dict):
        raise StillMissing(f"this is {type(answer).__name__}; a dict is wanted, such as {{'cat': 10, 'dog': 12}}.")
    if set(answer) != set(wanted):
        raise StillMissing(f"the keys are {', '.join(map(str, answer))}; the folders are {', '.join(wanted)}.")
    for name, count in wanted.items():
        if answer[name] != count:
            raise StillMissing(f"{name} has {count:,} photos, and not {answer[name]}.")
    good(f"{', '.join(f'{count:,} {name}' for name, count in wanted.items())}.")


def sample_submission(path: str | pathlib.Path, folder: str | pathlib.Path) -> None:
    """Check a sample submission: `id,label`, a row for each photo in `<folder>/test`, in the order of their names."""
    path, folder = pathlib.Path(path), pathlib.Path(folder)
    if not path.exists():
        raise StillMissing(f"{path} is not there yet: table.to_csv(path, index=False)")
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    if header != ["id", "label"]:
        hint = ". index=False leaves the row numbers out" if header and not header[0] else ""
        raise StillMissing(f"the first line is {','.join(header)!r}, and 'id,label' is wanted{hint}.")
    wanted = sorted(one.name for one in (folder / "test").iterdir())
    ids, classes = [row[0] for row in rows], [one.name for one in (folder / "train").iterdir()]
    if sorted(ids) != wanted:
        raise StillMissing(f"there are {len(ids):,} ids; the names of the {len(wanted):,} files in {folder / 'test'} "
                           f"are wanted, such as {wanted[0]}: path.name")  # fmt: skip
    if ids != wanted:
        raise StillMissing("the ids are in no order; sorted(…) puts them into one that everybody can repeat.")
    if strange := {row[1] for row in rows} - set(classes):
        raise StillMissing(f"{min(strange)!r} is no class; take one of {', '.join(sorted(classes))}.")
    good(f"{len(ids):,} rows, the first is {','.join(rows[0])}.")


def set_up(name: str) -> None:
    """Check that `kit.new` has set up the competition `name`."""
    try:
        competition = competitions.get(name)
    except UserError:
        raise StillMissing(
            f"there is no competition {name} yet: !python -m kit.new {name} --yes; its last line says what is wrong."
        ) from None
    shape = " × ".join(map(str, competition.image_shape))
    good(f"{competition.name}: {', '.join(competition.class_names)}; images of {shape}.")


def run(name: str, competition: str, model: str = "", least: float = 0.0) -> None:
    """Check that a run is complete.

    Args:
        name: the run's.
        competition: on which it was trained.
        model: the zoo's name of its network; any by default.
        least: the validation accuracy that it has to reach, 0…1.
    """
    try:
        reached = tracking.find(f"{competition}/{name}").metrics()
    except UserError as error:
        raise StillMissing(f"there is no complete run {name} of {competition} yet ({error})") from None
    if model and reached.model != model:
        raise StillMissing(f"the network of {name} is {reached.model}, and {model} is wanted: --model {model}")
    accuracy = reached.validation_accuracy
    if accuracy is None:
        raise StillMissing(f"nothing has validated {name}; train it with validation images.")
    if accuracy < least:
        raise StillMissing(f"{accuracy:.1%} of the validation images are right, and {least:.1%} is wanted: try again.")
    deviation = metrics.standard_error(accuracy, reached.validation_images)
    good(f"{name}: {accuracy:.2%} ± {deviation:.2%} of {reached.validation_images:,} validation images.")
