"""Several trainings and the ensemble that joins them: what one command trains, member after member.

A plan is a YAML file with `members`, `seeds` or both, beside the fields of the recipe that all members share:

    method: mean            # how they are joined, as in `python -m kit.ensemble --help`
    folds: 5                # any field of the recipe, for every member
    members:
      resnet:               # the runs <plan>-resnet-0 and <plan>-resnet-1
        model: resnet_small
        seeds: 2
      fast:                 # the run <plan>-fast
        config: fast.yaml   # a recipe file, from this file's folder
        epochs: 4

Later wins: defaults < the network's own recipe < the plan's common fields < the member's `config` < the member's
fields < flags. `--seeds N` makes a plan of any recipe: N members that differ in nothing but their seed.
"""

import dataclasses
import pathlib
from dataclasses import dataclass
from typing import Any

import yaml

from kit import files, tracking, zoo
from kit.ensemble.registry import METHODS
from kit.errors import UserError
from kit.recipes import recipe
from kit.recipes.recipe import Recipe
from kit.suggestions import nearest
from kit.tracking import Run

FILE = "plan.yaml"
FIELDS = ("members", "seeds", "method", "geometric")
MEMBERS_OWN = ("config", "seeds")


@dataclass(frozen=True)
class Plan:
    """What to train, and how to join it.

    Attributes:
        members: each member's recipe by its short name, in the order of training.
        method: how they are joined, one of `kit.ensemble.registry.METHODS`.
        geometric: whether logits are averaged instead of probabilities.
    """

    members: dict[str, Recipe]
    method: str = "mean"
    geometric: bool = False

    def runs(self, run: Run) -> list[Run]:
        """The members' runs, where the plan's own is `run`: `<run>-<short name>` beside it."""
        return [tracking.place(run.competition, f"{run.name}-{member}") for member in self.members]

    def write(self, run: Run, origin: dict[str, Any]) -> None:
        """Write `plan.yaml` into the plan's run: every member's whole recipe, and `origin`, where its data come from.

        Args:
            run: of the ensemble.
            origin: competition, source and limit.
        """
        content = {**origin, "method": self.method, "geometric": self.geometric}
        content["members"] = {name: chosen.as_dict() for name, chosen in self.members.items()}
        files.write_text(run.folder / FILE, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))

    def difference(self, begun: "Plan") -> str:
        """Say in words where this plan is not the one that was `begun`; an empty text where they are the same."""
        for name in self.members.keys() ^ begun.members.keys():
            return f"member {name}: it is {'new' if name in self.members else 'gone'}"
        for name, chosen in self.members.items():
            for field, value in chosen.as_dict().items():
                if (before := getattr(begun.members[name], field)) != value:
                    return f"member {name}: {field} is {value}, and was {before}"
        for name in ("method", "geometric"):
            if getattr(self, name) != getattr(begun, name):
                return f"{name} is {getattr(self, name)}, and was {getattr(begun, name)}"
        return ""


def given(competition: str, config: str | None, flags: dict[str, Any], seeds: int | None) -> Plan | None:
    """Put together the plan that a command line asks for; None where it asks for a single training.

    Args:
        competition: whose `configs/<competition>/` has the networks' own recipes.
        config: the file of `--config`: a plan, or, with `seeds`, also a recipe.
        flags: the recipe's fields that were given as flags.
        seeds: `--seeds`, or None.

    Raises:
        UserError: a field is unknown or makes no sense, members cannot be joined, or two of them are the same
            training. Names the file, the member and the field.
    """
    file = recipe.mapping(pathlib.Path(config)) if config else {}
    if seeds is None and not file.keys() & set(FIELDS):
        return None
    where = str(config) if file.keys() & set(FIELDS) else "--seeds"
    common = {name: value for name, value in file.items() if name not in FIELDS}
    _check_common(common, file, where)
    if "members" not in file:
        layers = {"": [common, flags]}
        seeds_of = {"": seeds if seeds is not None else file.get("seeds", 1)}
    else:
        if "model" in flags:
            raise UserError(f"--model: {where} says which networks its members are; leave it out.")
        members = _members(file["members"], where)
        layers = {
            name: [common, _own_file(own, pathlib.Path(config).parent, f"{where}, member {name}"), own, flags]
            for name, own in members.items()
        }
        seeds_of = {
            name: seeds if seeds is not None else own.get("seeds", file.get("seeds", 1))
            for name, own in members.items()
        }
    recipes: dict[str, Recipe] = {}
    for name in layers:
        place = f"{where}, member {name}" if name else where
        parts = [{key: part[key] for key in part if key not in MEMBERS_OWN} for part in layers[name]]
        if name and not any(part.get("model") for part in parts):
            raise UserError(f"{place}: no model; say which network it is, as in `model: resnet_small`.")
        try:
            chosen = recipe.layered(competition, parts)
            zoo.find(chosen.model)
            seeded = _seeded(name, chosen, seeds_of[name])
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
        for short, member in seeded.items():
            if short in recipes:
                raise UserError(f"{place}: another member is called {short}; rename one.")
            recipes[short] = member
    _check_together(recipes, where)
    return Plan(recipes, str(file.get("method", "mean")), file.get("geometric", False))


def named_by_file(config: str | None) -> str | None:
    """The name that a plan's run has by default, its file's; None where the file is a recipe, or there is none."""
    if config and recipe.mapping(pathlib.Path(config)).keys() & set(FIELDS):
        return pathlib.Path(config).stem
    return None


def begun(run: Run) -> bool:
    """Whether `run` is a plan's, begun and not finished."""
    return (run.folder / FILE).exists() and not (run.folder / "config.yaml").exists()


def read(run: Run) -> tuple[Plan, dict[str, Any]]:
    """Return the plan that `run` was begun with, and its origin: competition, source and limit.

    Raises:
        UserError: `plan.yaml` is damaged.
    """
    path = run.folder / FILE
    content = recipe.mapping(path)
    try:
        members = {name: recipe.from_dict(fields) for name, fields in content["members"].items()}
        plan = Plan(members, content["method"], content["geometric"])
        return plan, {name: content[name] for name in ("competition", "source", "limit")}
    except (KeyError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error!r}); remove it and begin the plan anew.") from None


def unfinished(competition: str | None = None) -> list[Run]:
    """All plans' runs that were begun and not finished, of one competition or of all."""
    found = [Run(path.parent) for path in sorted(tracking.ROOT.glob(f"{competition or '*'}/*/{FILE}"))]
    return [run for run in found if begun(run)]


def _check_common(common, file, where):
    fields = [*FIELDS, *(setting.name for setting in dataclasses.fields(Recipe))]
    for name in common:
        if name not in fields:
            raise UserError(f"{where}: there is no field {name!r}.{nearest(name, fields)}")
    try:
        recipe.from_dict(common)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    method, geometric = file.get("method", "mean"), file.get("geometric", False)
    if method not in METHODS:
        raise UserError(f"{where}: method: {method!r} is not one of {', '.join(METHODS)}.{nearest(method, METHODS)}")
    if not isinstance(geometric, bool):
        raise UserError(f"{where}: geometric: {geometric!r} is not true or false.")
    if geometric and method not in ("mean", "weighted"):
        raise UserError(f"{where}: geometric: true goes with method: mean or weighted, not {method}.")


def _members(members, where):
    """The file's members by name, each a mapping of fields whose names are known."""
    if not isinstance(members, dict) or not members:
        raise UserError(f"{where}: members: name each member, with its fields indented below the name.")
    fields = [*MEMBERS_OWN, *(setting.name for setting in dataclasses.fields(Recipe))]
    for name, own in members.items():
        if not isinstance(own or {}, dict):
            raise UserError(f"{where}, member {name}: {own!r} is not a list of `field: value` lines.")
        for key in own or {}:
            if key not in fields:
                raise UserError(f"{where}, member {name}: there is no field {key!r}.{nearest(key, fields)}")
    return {str(name): own or {} for name, own in members.items()}


def _own_file(own, folder, place):
    """The fields of the recipe file that a member takes with `config`."""
    if "config" not in own:
        return {}
    try:
        return recipe.read(folder / str(own["config"]))
    except UserError as error:
        raise UserError(f"{place}: config: {error}") from None


def _seeded(name, chosen, seeds):
    """One recipe for each of `seeds`, by short name; only one keeps the member's own."""
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise UserError(f"seeds: {seeds!r} must be a whole number, 1 or more.")
    if name and seeds == 1:
        return {name: chosen}
    prefix = f"{name}-" if name else ""
    return {f"{prefix}{number}": dataclasses.replace(chosen, seed=chosen.seed + number) for number in range(seeds)}


def _check_together(recipes, where):
    """Refuse what could not be joined when all are trained, hours later."""
    if len(recipes) < 2:
        raise UserError(f"{where}: an ensemble joins at least two; take 2 seeds or more, or add a member.")
    first, *others = recipes
    for other in others:
        for field in recipe.split_fields(recipes[first].folds):
            one, two = getattr(recipes[first], field), getattr(recipes[other], field)
            if one != two:
                raise UserError(
                    f"{where}, member {other}: {field}: {two}, but {first} has {one}; "
                    f"only members with the same split can be joined: set {field} for all."
                )
    if not recipes[first].folds and not recipes[first].validation_share:
        raise UserError(f"{where}: nothing would tell how good the ensemble is; set folds or validation_share.")
    seen: dict[str, str] = {}
    for name, chosen in recipes.items():
        twin = seen.setdefault(repr(chosen), name)
        if twin != name:
            raise UserError(f"{where}, member {name}: it is the same training as {twin}; give it another seed.")
