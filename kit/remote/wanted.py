"""Which training is wanted, resolved and checked here, before anything is sent."""

import datetime
import os
import pathlib
from argparse import Namespace
from dataclasses import dataclass
from typing import Any

import yaml

from kit import competitions, files, recipes, tracking, zoo
from kit.errors import UserError
from kit.recipes import Recipe, flags, plan
from kit.recipes.plan import Plan
from kit.remote.packing import RECIPE
from kit.training.flags import DEFAULT_COMPETITION


@dataclass(frozen=True)
class Wanted:
    """A training that can travel.

    Attributes:
        competition: its name.
        runs: the names of the runs that it makes; a plan's members first, its own last.
        arguments: of kit.train there; {code} stands for the kit's folder.
        recipe: the recipe or the plan, whole, as YAML.
        data_dir: the folder of all competitions' files here, absolute.
    """

    competition: str
    runs: list[str]
    arguments: list[str]
    recipe: str
    data_dir: str

    @property
    def run(self) -> tracking.Run:
        """The run that it makes."""
        return tracking.place(self.competition, self.runs[-1])


def resolve(arguments: Namespace) -> Wanted:
    """Return the training that the flags of `kit.train` ask for.

    The recipe travels whole, so that what was resolved here is what is trained there.

    Raises:
        UserError: the recipe, the plan or the name makes no sense, or it needs what a session does not have.
    """
    competition = competitions.get(arguments.competition or DEFAULT_COMPETITION).name
    fields = flags.given(arguments)
    zoo.find(fields.get("model", zoo.names()[0]))
    asked = plan.resolve(competition, arguments.config, fields, arguments.seeds)
    one = asked or recipes.resolve(competition, arguments.config, fields)
    members = asked.members if asked else {}
    for recipe in members.values() if asked else [one]:
        _check_travels(recipe)
    if arguments.extra_data:
        raise UserError(f"--extra-data: {arguments.extra_data} is here, not on Kaggle; train on it here.")
    if arguments.source == "keras":
        raise UserError("--source keras: a session on Kaggle has no internet; leave it out for the competition's data.")
    name = arguments.name or _new_name(competition, one, arguments)
    runs = [tracking.place(competition, each).name for each in (*(f"{name}-{short}" for short in members), name)]
    forwarded = ["--competition", competition, "--name", name, "--config", f"{{code}}/{RECIPE}"]
    forwarded += ["--source", "sample" if arguments.source == "sample" else "kaggle"]
    forwarded += ["--limit", str(arguments.limit)] if arguments.limit else []
    forwarded += [f"--{flag}" for flag in ("tensorboard", "verbose") if getattr(arguments, flag)]
    text = yaml.safe_dump(one.as_dict(), sort_keys=False, allow_unicode=True)
    return Wanted(competition, runs, forwarded, text, files.path_text(os.path.abspath(arguments.data_dir or "data")))


def _check_travels(recipe: Any) -> None:
    """Refuse what lies on this machine's disk, or would have to be downloaded there."""
    if recipe.teacher:
        raise UserError(f"teacher: the run {recipe.teacher} is here, not on Kaggle; train its student here.")
    options = zoo.options(recipe.model)
    if "runs" in options:
        raise UserError(f"model: {recipe.model} is made of runs that are here, not on Kaggle; train it here.")
    if recipe.weights not in ("", "none", "imagenet"):
        raise UserError(f"weights: {recipe.weights} is here, not on Kaggle; train from it here, or take another start.")
    if "weights" in options and recipe.weights != "none" and recipe.options.get("weights", "") not in (None, "none"):
        raise UserError(
            f"weights: {recipe.model} would download ImageNet's, and a session on Kaggle has no internet; take "
            "--weights none, or train it here."
        )


def _new_name(competition: str, asked: Recipe | Plan, arguments: Namespace) -> str:
    if isinstance(asked, Plan) and arguments.seeds is None:
        return pathlib.Path(arguments.config).stem
    first = next(iter(asked.members.values())) if isinstance(asked, Plan) else asked
    return tracking.unused(competition, f"{first.model}-{datetime.datetime.now():%Y%m%d-%H%M%S}").name
