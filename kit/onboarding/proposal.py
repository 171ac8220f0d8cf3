"""What was found out about a competition, as text, as a sheet of examples, and as the files that are written of it."""

import dataclasses
import pathlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from kit import competitions, files, zoo
from kit.competitions import Competition, facts, folders
from kit.errors import UserError
from kit.loaders import Dataset, kaggle_files, kaggle_source
from kit.loaders.tree import Tree

SMALL = 64  # pixels: larger images are photos


@dataclass(frozen=True)
class Proposal:
    """What `competition.yaml` will say.

    Attributes:
        slug: Kaggle's name of the competition.
        folder: where its files lie.
        tree: the files.
        fields: the facts, by name.
        images: how many image files there are; 0 for tables.
        doubts: what was taken although the files do not tell it for certain.
    """

    slug: str
    folder: pathlib.Path
    tree: Tree
    fields: dict[str, Any]
    images: int
    doubts: tuple[str, ...] = ()

    def __str__(self) -> str:
        """What was found, as lines of text."""
        known, served = self.fields, self.fields["files"]
        names = known["class_names"]
        shape = "×".join(map(str, known["image_shape"])) or f"{known['pixels']} pixels of a shape that is not known"
        row = {"label": "a label", "probability": f"the probability of {known.get('probability_of')}"}
        lines = [
            f"competition:  {self.slug}",
            f"layout:       {served['layout']}, train: {served['train']}, test: {served['test']}",
            f"images:       {shape}" + (f", from {self.images:,} image files" if self.images else ""),
            f"classes:      {len(names)}: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}",
            f"submission:   {served['sample_submission']}, {known['id_column']} and "
            f"{row.get(known['predicts'], 'a probability a class')}",
            f"metric:       {known['metric']}",
            *(f"check:        {doubt}" for doubt in self.doubts),
        ]
        return "\n".join(lines)

    def guesses(self) -> dict[str, Any]:
        """Return the facts that the files do not tell, with what is likely; None where nothing is."""
        names, shape = self.fields["class_names"], self.fields["image_shape"]
        signs, small = all(len(name) == 1 for name in names), not shape or max(shape[:2]) <= SMALL
        guesses: dict[str, Any] = {} if shape else {"image_shape": None}
        guesses["metric"] = self.fields["metric"]
        if "probability_of" in self.fields:
            guesses["probability_of"] = self.fields["probability_of"]
        guesses |= {"handwriting": signs and small and (not shape or shape[2] == 1), "mirror_symmetric": not signs}
        guesses |= {"daily_limit": 5, "code_only": False}
        return guesses | ({"fit": "crop"} if self.images else {})

    def with_answers(self, answers: dict[str, Any]) -> "Proposal":
        """Return the proposal with what was answered."""
        fields = {name: value for name, value in {**self.fields, **answers}.items() if name != "pixels"}
        return dataclasses.replace(self, fields=fields)

    def competition(self) -> Competition:
        """Return the competition that the facts describe.

        Raises:
            UserError: they do not fit together.
        """
        return facts.competition({"name": self.slug, **self._placed()}, "the facts found")

    def _placed(self) -> dict[str, Any]:
        """Return the facts, with the files' folder where it is not the usual one."""
        usual = pathlib.Path("data") / self.slug
        here = self.folder.resolve()
        return self.fields if here == usual.resolve() else {**self.fields, "folder": str(here)}


def loaded(proposal: Proposal) -> Dataset:
    """Read all images of a competition that has no file of facts yet.

    Raises:
        UserError: the facts do not fit together, or a file is damaged.
    """
    made = dataclasses.replace(proposal.competition(), folder=str(proposal.folder.resolve()))
    there = kaggle_files.locate(made)
    assert there is not None  # the survey has found files
    return kaggle_source.load(made, there)


def place_for(slug: str) -> pathlib.Path:
    """Return the folder that a competition's facts will lie in.

    Raises:
        UserError: the name cannot be one of Kaggle's, or the competition has facts there already.
    """
    if not folders.NAME.fullmatch(slug):
        raise UserError(f"{slug[:100]!r} is not a competition's name, as in kaggle.com/competitions/NAME.")
    place = folders.own() / slug
    if (place / folders.FACTS).exists():
        raise UserError(f"{place / folders.FACTS} exists already; edit it, or remove it first.")
    return place


def write(proposal: Proposal, dataset: Dataset) -> list[pathlib.Path]:
    """Write a sheet of examples, `first.yaml` and `competition.yaml` into the user's folder; the facts last.

    Args:
        proposal: what was found out.
        dataset: the competition's images.

    Returns:
        The files' paths.

    Raises:
        UserError: the competition has facts there already.
    """
    made = proposal.competition()
    place = place_for(proposal.slug)
    content = {"name": proposal.slug, **proposal._placed()}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    place.mkdir(parents=True, exist_ok=True)
    sheet(made, dataset.train_images, dataset.train_labels, place / "examples.png")
    recipe = yaml.safe_dump(_recipe(made), sort_keys=False)
    command = f"# python -m kit.train --competition {proposal.slug} --config first\n# Not yet measured.\n"
    files.write_text(place / "first.yaml", command + recipe)
    files.write_text(place / folders.FACTS, f"# {made.page}\n{text}")
    competitions.read(place / folders.FACTS)
    return [place / name for name in (folders.FACTS, "first.yaml", "examples.png")]


def _recipe(competition: Competition) -> dict[str, Any]:
    """Return a first recipe: a quick network for small images, a pretrained one for photos where the zoo has it."""
    side = min(competition.image_shape[:2])
    mirrored = {"flip": "random"} if competition.mirror_symmetric else {}
    if max(competition.image_shape[:2]) <= SMALL:
        model = "fast_cnn" if side >= 16 else "lenet_small"
        return {"model": model, "epochs": 8, "learning_rate": 0.01, "shift": max(1, side // 16), **mirrored}
    if "transfer" in zoo.names() and competition.image_shape[2] == 3:
        return {"model": "transfer", "epochs": 6, "batch_size": 64, **mirrored}
    return {"model": "resnet_small", "epochs": 15, "batch_size": 64, "shift": side // 12, **mirrored}


def sheet(competition: Competition, images: np.ndarray, labels: np.ndarray, path: pathlib.Path) -> None:
    """Write a PNG with up to five example images of up to twelve classes, a row a class.

    Args:
        competition: whose classes.
        images: (n, h, w, c) uint8.
        labels: (n,) integers.
        path: where to.
    """
    from PIL import Image, ImageDraw

    height, width, channels = competition.image_shape
    scale = max(1, 64 // max(height, width))
    classes = range(min(12, competition.classes))
    cell = (width * scale + 4, height * scale + 4)
    page = Image.new("RGB", (160 + 5 * cell[0], len(classes) * cell[1]), "white")
    draw = ImageDraw.Draw(page)
    for row, label in enumerate(classes):
        draw.text((4, row * cell[1] + cell[1] // 2 - 6), competition.class_names[label][:24], fill="black")
        for column, number in enumerate(np.flatnonzero(labels == label)[:5]):
            image = Image.fromarray(images[number] if channels == 3 else images[number, ..., 0])
            big = image.resize((width * scale, height * scale), Image.Resampling.NEAREST)
            page.paste(big, (160 + column * cell[0], row * cell[1] + 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as fresh:
        page.save(fresh, "PNG")
