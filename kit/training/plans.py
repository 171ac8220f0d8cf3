"""Several trainings and their ensemble, as a plan says: member after member, then joined."""

import contextlib
from collections.abc import Callable, Iterator

from kit import ensemble, tracking
from kit.ensemble import build
from kit.errors import Failure, UserError
from kit.loaders import Dataset
from kit.recipes import Recipe
from kit.recipes.plan import Plan
from kit.timings import Timings
from kit.tracking import Config, Run
from kit.training import output
from kit.training.setup import Training, resolve

Trainer = Callable[[Training, Run], Run]


def member_runs(plan: Plan, run: Run) -> dict[str, Run]:
    """Return the members' runs by short name, where the plan's own is `run`: `<run>-<short name>` beside it."""
    return {name: tracking.place(run.competition, f"{run.name}-{name}") for name in plan.members}


def train(plan: Plan, dataset: Dataset, run: Run, resume: bool, train_one: Trainer, timings: Timings) -> Run:
    """Train the plan's members that are not trained yet, one after the other, and join all of them into `run`.

    Every member is resolved before the first one is trained: a mistake in the last one shows now and not hours later.

    Args:
        plan: what to train, and how to join it.
        dataset: what to train on.
        run: where the ensemble goes.
        resume: whether the plan was begun before.
        train_one: trains one member into its run.
        timings: where to add what joining takes.

    Raises:
        UserError, Failure: a member's, with its name.
    """
    members = member_runs(plan, run)
    trainings: dict[str, Training | None] = {}
    for name, member in members.items():
        if member.state != "absent" and not resume:
            raise UserError(f"{member.folder} exists already; take another --name, or go on with --resume.")
        with _named(name):
            recipe = as_begun(member, plan.members[name])
            trainings[name] = None if member.state == "complete" else resolve(dataset, recipe)
    with run.begin(Config(kind="plan", data=dataset.record(), plan=plan.as_dict()), "resume" if resume else "refuse"):
        for number, (name, member) in enumerate(members.items(), 1):
            recipe, training = plan.members[name], trainings[name]
            about = f"{recipe.model}, seed {recipe.seed}{'' if training else ', trained already'}"
            print(f"\nmember {number} of {len(members)}: {member.name} ({about})", flush=True)
            if training:
                with _named(name):
                    train_one(training, member)
        print()
        with timings.measure("ensemble"):
            _join(plan, run, list(members.values()), dataset)
    return run


def as_begun(member: Run, recipe: Recipe) -> Recipe:
    """Return the recipe that a plan's member goes on with: in the precision that it was begun in, if it was.

    Raises:
        UserError: the member's run is another training's.
    """
    if member.state == "absent":
        return recipe
    begun = member.config().recipe
    if begun is None or member.config().kind != "network":
        raise UserError(f"{member.folder} is not the plan's member; remove it, or take another --name for the plan.")
    wanted = recipe.replace(precision=begun.precision) if recipe.precision == "auto" else recipe
    for name, (before, now) in begun.differences(wanted).items():
        raise UserError(
            f"{member.folder} is not the plan's member: its {name} is {before}, not {now}; remove it, or take another "
            "--name for the plan."
        )
    return begun


def _join(plan: Plan, run: Run, members: list[Run], dataset: Dataset) -> None:
    output.write_curves(run, members, dataset.competition)
    joined = ensemble.read(members, dataset)
    build.check(joined)
    test = joined.test()
    fitted, nested = build.score(
        joined, plan.method, ensemble.estimator(plan.method, plan.geometric, metric=dataset.competition.metric), 0
    )
    config = build.ensemble_config(joined, plan.method, fitted, 0)
    run.rewrite_config(run.config().model_copy(update={"ensemble": config}))
    build.write(run, joined, fitted, nested, test)


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    """Say of which member an error is."""
    try:
        yield
    except (UserError, Failure) as error:
        raise type(error)(f"member {name}: {error}") from None
