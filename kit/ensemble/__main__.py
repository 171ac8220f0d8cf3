"""python -m kit.ensemble: join runs into one, and say honestly whether that helps."""

import argparse
import datetime

from kit import competitions, tracking
from kit.command_line import DONE, Parser, command
from kit.errors import UserError
from kit.recipes.plan import METHODS

SNAPSHOT = "snapshot"


@command
def main(argv: list[str] | None = None) -> int:
    """Join the runs that the flags name; print how good the ensemble is and where it lies."""
    arguments = _parser().parse_args(argv)
    _check(arguments)
    print("reading the runs and their data", flush=True)

    from kit import ensemble, loaders

    if arguments.method == SNAPSHOT:
        members = ensemble.gather_snapshots(arguments.runs[0], arguments.competition, arguments.data_dir)
    else:
        members = ensemble.gather(arguments.runs, arguments.competition, arguments.data_dir)
    if arguments.weights is not None and len(arguments.weights) != len(members.runs):
        raise UserError(
            f"--weights: {len(arguments.weights)} weights for {len(members.runs)} runs; give one a run, in their order."
        )
    name = arguments.name or f"ensemble-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    run = ensemble.place(members.dataset.competition.name, name)
    print(loaders.describe(members.dataset))
    metric = members.dataset.competition.metric
    estimator = ensemble.estimator(arguments.method, arguments.geometric, arguments.weights, arguments.seed, metric)
    run = ensemble.join(run, members, arguments.method, estimator, arguments.seed, unique=arguments.name is None)
    print(f"\nnext:\n  python -m kit.evaluate {tracking.reference(run)}")
    if members.dataset.source == "kaggle":
        print(f"  python -m kit.submit {tracking.reference(run)}")
    print(f"run: {run.folder}")
    print(f"submission: {run.submission}")
    return DONE


def _parser() -> Parser:
    parser = Parser(
        "kit.ensemble",
        "Join runs of one competition into an ensemble; write its run and its submission CSV.",
        [
            ("python -m kit.ensemble 'resnet_*' digit_cnn-1", "the plain mean of all runs that the names fit"),
            ("python -m kit.ensemble 'fast*' --method hill-climb", "greedy selection by out-of-fold accuracy"),
            ("python -m kit.ensemble snapshots-1 --method snapshot", "of one training with --snapshots N"),
        ],
        "mean: every run counts the same. weighted: by --weights, or fitted to the lowest out-of-fold log-loss. "
        "hill-climb: greedy selection by the competition's metric, out of fold. stack: logistic regression on the "
        "runs' logits. "
        "snapshot: the mean of one run's snapshots, of a training with --snapshots N.",
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="a run's folder or name, or a pattern such as 'resnet_*'"
    )
    parser.add_argument("--method", choices=(*METHODS, SNAPSHOT), default="mean", help="how they are joined")
    parser.add_argument(
        "--geometric", action="store_true", help="of mean, weighted, snapshot: average logits, not probabilities"
    )
    parser.add_argument("--weights", type=_weights, metavar="W,W,…", help="weighted: one a run, in the runs' order")
    parser.add_argument("--name", metavar="NAME", help="of the run and its submission (ensemble, date and time)")
    parser.add_argument("--competition", metavar="C", help=f"{', '.join(competitions.names())} (the runs' own)")
    parser.add_argument("--data-dir", metavar="FOLDER", help="of the competitions' files (the runs' own)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the folds that score, and of hill-climb's bags"
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
    if arguments.method == SNAPSHOT and len(arguments.runs) > 1:
        raise UserError(
            f"--method snapshot joins the snapshots of one run, not {len(arguments.runs)} runs; give one, or take "
            "another method."
        )
    if arguments.geometric and arguments.method not in ("mean", "weighted", SNAPSHOT):
        raise UserError(f"--geometric goes with --method mean, weighted or snapshot, not {arguments.method}.")
    if arguments.weights is not None:
        if arguments.method != "weighted":
            raise UserError(f"--weights goes with --method weighted, not {arguments.method}.")
        if not all(0 <= weight < float("inf") for weight in arguments.weights) or not sum(arguments.weights):
            raise UserError("--weights: each must be 0 or more, and not all 0.")
    if not 0 <= arguments.seed < 2**32:
        raise UserError(f"--seed {arguments.seed}: take a number from 0 to {2**32 - 1}.")


if __name__ == "__main__":
    raise SystemExit(main())
