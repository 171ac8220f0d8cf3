"""Several trainings and how they are joined: what one command trains, member after member.

A plan is a YAML file with `members`, `seeds` or both, beside the fields of the recipe that all members share:

    method: mean            # how they are joined, as in `python -m kit.ensemble --help`
    folds: 5                # any field of the recipe, for every member
    members:
      resnet:               # the runs <plan>-resnet-0 and <plan>-resnet-1
        model: resnet_small
        seeds: 2
      fast:                 # the run <plan>-fast
        extends: fast       # a recipe's name, or a file beside this one
        epochs: 4

Later wins: defaults < the plan's common fields < the recipe that the member extends < the member's fields < flags.
`--seeds N` makes a plan of any recipe: N members that differ in nothing but their seed.
"""

import pathlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kit import yaml_files
from kit.errors import UserError
from kit.recipes import files
from kit.recipes.files import EXTENDS, PLAN_FIELDS
from kit.recipes.recipe import Recipe, check_names, shown
from kit.suggestions import nearest

METHODS = ("mean", "weighted", "hill-climb", "stack")
"""The ways to join members, by the commands' words for them."""
MOST_MEMBERS = 200


@dataclass(frozen=True)
class Plan:
    """What to train, and how to join it.

    Attributes:
        members: each member's recipe by its short name, in the order of training.
        method: how they are joined, one of METHODS.
        geometric: whether logits are averaged instead of probabilities.
    """

    members: dict[str, Recipe]
    method: str = "mean"
    geometric: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as plain values for YAML."""
        members = {name: recipe.as_dict() for name, recipe in self.members.items()}
        return {"method": self.method, "geometric": self.geometric, "members": members}

    def difference(self, begun: "Plan") -> str:
        """Say in words where this plan is not the one that was `begun`; an empty text where they are the same."""
        for name in self.members.keys() ^ begun.members.keys():
            return f"member {name}: it is {'new' if name in self.members else 'gone'}"
        for name, recipe in self.members.items():
            for field, (value, before) in recipe.differences(begun.members[name]).items():
                return f"member {name}: {field} is {value}, and was {before}"
        for name in ("method", "geometric"):
            if getattr(self, name) != getattr(begun, name):
                return f"{name} is {getattr(self, name)}, and was {getattr(begun, name)}"
        return ""


def is_plan(fields: Mapping[str, Any]) -> bool:
    """Whether the fields of a file are a plan's."""
    return bool(fields.keys() & set(PLAN_FIELDS))


def resolve(
    competition: str, config: str | pathlib.Path | None, flags: Mapping[str, Any], seeds: int | None
) -> Plan | None:
    """Put together the plan that a command line asks for; None where it asks for a single training.

    Args:
        competition: whose recipes are meant by names.
        config: the name or file of `--config`: a plan, or, with `seeds`, also a recipe.
        flags: the recipe's fields that were given as flags.
        seeds: `--seeds`, or None.

    Raises:
        UserError: a field is unknown or makes no sense, members cannot be joined, or two of them are the same
            training. Names the file, the member and the field.
    """
    path = files.locate(config, competition) if config is not None else None
    file = yaml_files.mapping(path) if path else {}
    if not is_plan(file):
        if seeds is None:
            return None
        recipe = files.resolve(competition, config, flags)
        return _plan({"": recipe}, {"": seeds}, {}, "--seeds")
    assert path is not None
    where = str(path)
    common = {name: value for name, value in file.items() if name not in PLAN_FIELDS}
    check_names(file, where, (*PLAN_FIELDS, EXTENDS))
    common = files.inherited(common, path, competition)
    if "members" not in file:
        recipe = _recipe([common, flags], where)
        return _plan({"": recipe}, {"": seeds if seeds is not None else file.get("seeds", 1)}, file, where)
    if "model" in flags:
        raise UserError(f"--model: {where} says which networks its members are; leave it out.")
    recipes, seeds_of = {}, {}
    for name, own in _members(file["members"], where).items():
        place = f"{where}, member {name}"
        own_seeds = own.pop("seeds", file.get("seeds", 1))
        seeds_of[name] = seeds if seeds is not None else own_seeds
        layers = [common, files.inherited(own, path, competition), flags]
        if not any(layer.get("model") for layer in layers):
            raise UserError(f"{place}: no model; say which network it is, as in `model: resnet_small`.")
        recipes[name] = _recipe(layers, place)
    return _plan(recipes, seeds_of, file, where)


def asked_for(
    competition: str, config: str | pathlib.Path | None, flags: Mapping[str, Any], seeds: int | None = None
) -> "Recipe | Plan":
    """Return what a command line or a call of `kit.fit` asks for: a recipe, or a plan of several.

    Args:
        competition, config, flags, seeds: as for `resolve`.

    Raises:
        UserError: as `resolve`, and as `kit.recipes.resolve`.
    """
    planned = resolve(competition, config, flags, seeds)
    return files.resolve(competition, config, flags) if planned is None else planned


def _recipe(layers: list[Mapping[str, Any]], where: str) -> Recipe:
    try:
        return Recipe(**files.merged(*layers))
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _plan(recipes: Mapping[str, Recipe], seeds_of: Mapping[str, Any], file: Mapping[str, Any], where: str) -> Plan:
    """Deal out the seeds, and check that the members can be joined."""
    members: dict[str, Recipe] = {}
    taken: dict[str, str] = {}
    for name, recipe in recipes.items():
        place = f"{where}, member {name}" if name else where
        for short, member in _seeded(name, recipe, seeds_of[name], place, len(members)).items():
            twin = taken.setdefault(unicodedata.normalize("NFC", short).casefold(), short)
            if short in members or twin != short:  # on many disks they would have one folder
                raise UserError(f"{place}: another member is called {twin}; rename one.")
            members[short] = member
    method, geometric = _method(file, where)
    _check_together(members, where)
    return Plan(members, method, geometric)


def _method(file: Mapping[str, Any], where: str) -> tuple[str, bool]:
    method, geometric = file.get("method", "mean"), file.get("geometric", False)
    if method not in METHODS:
        raise UserError(
            f"{where}: method: {shown(method)} is not one of {', '.join(METHODS)}.{nearest(shown(method), METHODS)}"
        )
    if not isinstance(geometric, bool):
        raise UserError(f"{where}: geometric: {shown(geometric)} is not true or false.")
    if geometric and method not in ("mean", "weighted"):
        raise UserError(f"{where}: geometric: true goes with method: mean or weighted, not {method}.")
    return str(method), geometric


def _members(members: Any, where: str) -> dict[str, dict[str, Any]]:
    """The file's members by name, each a mapping of fields whose names are known."""
    if not isinstance(members, dict) or not members:
        raise UserError(f"{where}: members: name each member, with its fields indented below the name.")
    for name, own in members.items():
        if not re.fullmatch(r"[\w.+-]{1,60}", name if isinstance(name, str) else shown(name)):
            raise UserError(
                f"{where}: members: {shown(name)} cannot be a part of a run's name; take letters and digits."
            )
        if not isinstance(own or {}, dict):
            raise UserError(f"{where}, member {name}: {shown(own)} is not a list of `field: value` lines.")
        check_names(own or {}, f"{where}, member {name}", (EXTENDS, "seeds"))
    return {str(name): dict(own or {}) for name, own in members.items()}


def _seeded(name: str, recipe: Recipe, seeds: Any, where: str, before: int) -> dict[str, Recipe]:
    """One recipe for each of `seeds`, by short name; only one keeps the member's own."""
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise UserError(f"{where}: seeds: {shown(seeds)} must be a whole number, 1 or more.")
    if seeds + before > MOST_MEMBERS:
        raise UserError(
            f"{where}: seeds: {shown(seeds)} trainings are more than the {MOST_MEMBERS:,} that a plan can have."
        )
    if name and seeds == 1:
        return {name: recipe}
    prefix = f"{name}-" if name else ""
    try:
        return {f"{prefix}{number}": recipe.replace(seed=recipe.seed + number) for number in range(seeds)}
    except UserError as error:
        raise UserError(f"{where}: seeds: {error}") from None


def _check_together(members: Mapping[str, Recipe], where: str) -> None:
    """Refuse what could not be joined when all are trained, hours later."""
    if len(members) < 2:
        raise UserError(f"{where}: an ensemble joins at least two; take 2 seeds or more, or add a member.")
    first, *others = members
    for other in others:
        for field in members[first].split_fields:
            one, two = getattr(members[first], field), getattr(members[other], field)
            if one != two:
                raise UserError(
                    f"{where}, member {other}: {field}: {two}, but {first} has {one}; "
                    f"only members with the same split can be joined: set {field} for all."
                )
    if not members[first].validates:
        raise UserError(f"{where}: nothing would tell how good the ensemble is; set folds or validation_share.")
    seen: dict[str, str] = {}
    for name, recipe in members.items():
        twin = seen.setdefault(repr(recipe), name)
        if twin != name:
            raise UserError(f"{where}, member {name}: it is the same training as {twin}; give it another seed.")
