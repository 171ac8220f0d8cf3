"""python -m kit.ensemble: join runs into one, and say honestly whether that helps."""

import argparse
import datetime

from kit import competitions
from kit.command_line import DONE, command
from kit.errors import UserError

METHODS = ("mean", "weighted", "hill-climb", "stack")


@command
def main(argv: list[str] | None = None) -> int:
    """Join the runs that the flags name; print how good the ensemble is and where it lies."""
    arguments = _parser().parse_args(argv)
    _check(arguments)

    from kit import ensemble, loaders
    from kit.ensemble import joining, report

    members = ensemble.gather(arguments.runs, arguments.competition, arguments.data_dir)
    name = arguments.name or f"ensemble-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    run = joining.place(members.dataset.competition, name)
    estimator = _estimator(arguments, len(members.runs))
    folds = joining.nested_folds(members)
    if len(members.rows) < folds:
        raise UserError(f"only {len(members.rows)} images were predicted by all runs; {folds} are needed at least.")
    print(loaders.describe(members.dataset))
    print(
        f"{len(members.runs)} runs; judged on {_judged_on(members)}, each by an ensemble fitted without it\n",
        flush=True,
    )

    plain_mean = ensemble.Mean().fit(members.oof, members.labels).predict_proba(members.oof)
    nested = ensemble.nested_probabilities(estimator, members.oof, members.labels, folds, arguments.seed)
    fitted = estimator.fit(members.oof, members.labels)
    is_plain_mean = arguments.method == "mean" and not arguments.geometric
    label = arguments.method + (", geometric" if arguments.geometric else "")
    joined = {"plain mean": plain_mean} | ({} if is_plain_mean else {label: nested})
    print(report.table(members, getattr(fitted, "weights_", None), joined), end="\n\n")
    print(report.disagreements(members), end="\n\n")
    print(report.comparison(members, nested, None if is_plain_mean else plain_mean))
    joining.write(run, members, arguments.method, fitted, nested, arguments.seed)
    print(f"figures: {run.figures}")
    print(f"run: {run.folder}")
    print(f"submission: {run.submission}")
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kit.ensemble",
        description="Join runs of one competition into an ensemble; write its run and its submission CSV.",
        epilog="mean: every run counts the same. weighted: by --weights, or fitted to the lowest out-of-fold log-loss. "
        "hill-climb: greedy selection by out-of-fold accuracy. stack: logistic regression on the runs' logits.",
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="a run's folder or name, or a pattern such as 'resnet_*'"
    )
    parser.add_argument("--method", choices=METHODS, default="mean", help="how they are joined (default: mean)")
    parser.add_argument("--geometric", action="store_true", help="mean, weighted: average logits, not probabilities")
    parser.add_argument("--weights", type=_weights, metavar="W,W,…", help="weighted: one a run, in the runs' order")
    parser.add_argument(
        "--name", metavar="NAME", help="of the run and its submission (default: ensemble, date and time)"
    )
    parser.add_argument("--competition", metavar="C", help=f"{', '.join(competitions.names())}; default: the runs' own")
    parser.add_argument(
        "--data-dir", default="data", metavar="FOLDER", help="of the competitions' files (default: data)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the folds that judge, and of hill-climb's bags"
    )
    return parser


def _weights(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} are not numbers such as 2,1,1") from None


def _check(arguments) -> None:
    if arguments.competition:
        competitions.get(arguments.competition)
    if arguments.geometric and arguments.method not in ("mean", "weighted"):
        raise UserError(f"--geometric goes with --method mean or weighted, not {arguments.method}.")
    if arguments.weights is not None:
        if arguments.method != "weighted":
            raise UserError(f"--weights goes with --method weighted, not {arguments.method}.")
        if not all(0 <= weight < float("inf") for weight in arguments.weights) or not sum(arguments.weights):
            raise UserError("--weights: each must be 0 or more, and not all 0.")
    if arguments.seed < 0:
        raise UserError(f"--seed {arguments.seed}: take 0 or more.")


def _estimator(arguments, members: int):
    from kit import ensemble

    if arguments.method == "mean":
        return ensemble.Mean(arguments.geometric)
    if arguments.method == "hill-climb":
        return ensemble.HillClimb(random_state=arguments.seed)
    if arguments.method == "stack":
        return ensemble.Stack(random_state=arguments.seed)
    if arguments.weights is not None and len(arguments.weights) != members:
        raise UserError(
            f"--weights: {len(arguments.weights)} weights for {members} runs; give one a run, in their order."
        )
    return ensemble.Weighted(arguments.weights, arguments.geometric)


def _judged_on(members) -> str:
    every = len(members.dataset.train_labels)
    if len(members.rows) == every:
        return f"all {every:,} training images"
    return f"the {len(members.rows):,} of {every:,} training images that all runs have predicted out of fold"


if __name__ == "__main__":
    raise SystemExit(main())
