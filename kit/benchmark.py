"""python -m kit.benchmark: time and accuracy of networks side by side, several seeds each, as a table and a CSV."""

import argparse
import csv
import datetime
import io
import pathlib

from kit import competitions, files, zoo
from kit.benchmarking import measuring
from kit.benchmarking.measuring import KERAS_MNIST_CONVNET, Job, Measured, mean_and_spread
from kit.command_line import DONE, command
from kit.errors import UserError
from kit.recipes import recipe

ROOT = pathlib.Path("benchmarks")
ALL = "all"


@command
def main(argv: list[str] | None = None) -> int:
    """Measure every contender once a seed, in turns, so that a slow minute of the machine hits them alike."""
    arguments = _parser().parse_args(argv)
    if arguments.seeds < 1 or not 0 < arguments.target <= 1 or arguments.within <= 0:
        raise UserError("take --seeds 1 or more, --target between 0 and 1, --within more than 0 seconds.")
    contenders = _contenders(arguments)
    path = ROOT / arguments.competition / f"{arguments.name or f'{datetime.datetime.now():%Y%m%d-%H%M%S}'}.csv"
    if path.exists():
        raise UserError(f"{path} exists already; take another --name, or remove it.")
    results: list[Measured] = []
    for seed in range(arguments.seeds):
        for name, chosen in contenders.items():
            job = Job(
                name, chosen, arguments.competition, arguments.source, arguments.data_dir, arguments.limit, seed,
                arguments.target,
            )  # fmt: skip
            try:
                results.append(measuring.measure(job))
            except UserError as error:
                if ALL not in arguments.contenders:
                    raise
                print(f"{name}, seed {seed}: left out: {error}", flush=True)
                continue
            print(_line(results[-1], arguments.target), flush=True)
            _write(path, results, arguments)
    if not results:
        raise UserError("nothing could be measured.")
    print(f"\n{_table(results, arguments)}\n\n{_hardware(results[0])}\nmeasurements: {path}")
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kit.benchmark", description=__doc__.partition(": ")[2])
    parser.add_argument(
        "contenders",
        nargs="*",
        metavar="RECIPE",
        help=f"networks, names in configs/<competition>/, or recipe files; {ALL}: every network that needs no runs",
    )
    parser.add_argument(
        "--competition", default="digit-recognizer", metavar="NAME", help=", ".join(competitions.names())
    )
    parser.add_argument("--source", default="auto", help="auto, kaggle, keras or sample (default: auto)")
    parser.add_argument(
        "--data-dir", default="data", metavar="FOLDER", help="of the competitions' files (default: data)"
    )
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="train on N images only, for a quick try")
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="trainings each, every one with its own split"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="the same for every recipe (default: its own)")
    parser.add_argument("--target", type=float, default=0.99, metavar="X", help="validation accuracy to time (0.99)")
    parser.add_argument(
        "--within", type=float, default=15.0, metavar="SECONDS", help="fit time to read accuracy at (15)"
    )
    parser.add_argument("--against", choices=[KERAS_MNIST_CONVNET], help="a reference from elsewhere, in the same run")
    parser.add_argument(
        "--name", metavar="NAME", help="of the CSV in benchmarks/<competition>/ (default: date and time)"
    )
    return parser


def _contenders(arguments) -> dict[str, recipe.Recipe | None]:
    competition = competitions.get(arguments.competition).name
    contenders: dict[str, recipe.Recipe | None] = {}
    same = {} if arguments.epochs is None else {"epochs": arguments.epochs}
    asked = []
    for name in arguments.contenders or ["resnet_small"]:
        asked += [network for network in zoo.names() if network != "combined"] if name == ALL else [name]
    for name in asked:
        known = recipe.CONFIGS / competition / f"{name}.yaml"
        if name.endswith((".yaml", ".yml")):
            chosen = recipe.resolve(competition, name, same)
        elif known.exists() and name not in zoo.names():
            chosen = recipe.resolve(competition, str(known), same)
        else:  # a network, whose own recipe need not name it
            chosen = recipe.resolve(competition, None, {"model": name} | same)
        zoo.find(chosen.model)
        contenders[pathlib.Path(name).stem if name.endswith((".yaml", ".yml")) else name] = chosen
    if arguments.against:
        contenders[arguments.against] = None
    return contenders


def _line(measured, target):
    reached = measured.seconds_to(target)
    when = f"{target:.1%} after {reached:.1f} s" if reached is not None else f"never {target:.1%}"
    seconds, accuracy = measured.epochs[-1]
    return f"{measured.name}, seed {measured.seed}: {accuracy:.2%} after {seconds:.1f} s of fit; {when}"


def _table(results, arguments):
    header = [
        "network", "n", "validation accuracy, %", "fit, s", f"s to {arguments.target:.1%}",
        f"accuracy at {arguments.within:g} s, %", "start, s", "training, images/s", "inference, images/s",
        "peak memory, MB", "parameters", "precision",
    ]  # fmt: skip
    rows = [header, ["---"] * len(header)]
    for name in dict.fromkeys(measured.name for measured in results):
        same = [measured for measured in results if measured.name == name]
        reached = [seconds for one in same if (seconds := one.seconds_to(arguments.target)) is not None]
        within = [accuracy for one in same if (accuracy := one.accuracy_within(arguments.within)) is not None]
        memory = [one.peak_memory / 1e6 for one in same if one.peak_memory]
        missed = "" if len(reached) == len(same) else f" ({len(reached)} of {len(same)})"
        rows.append(
            [
                name,
                str(len(same)),
                _spread([100 * one.epochs[-1][1] for one in same], 2),
                _spread([one.epochs[-1][0] for one in same], 1),
                (_spread(reached, 1) if reached else "never") + (missed if reached else ""),
                _spread([100 * accuracy for accuracy in within], 2) if within else "no epoch done",
                _spread([one.start_seconds for one in same], 1),
                _spread([one.training_rate for one in same], 0),
                _spread([one.inference_rate for one in same], 0),
                _spread(memory, 0) if memory else "not told",
                f"{same[0].parameters:,}",
                "/".join(sorted({one.precision for one in same})),
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _spread(values, digits):
    mean, spread = mean_and_spread(values)
    return f"{mean:,.{digits}f} ± {spread:,.{digits}f}" if len(values) > 1 else f"{mean:,.{digits}f}"


def _hardware(measured):
    hardware = measured.hardware
    versions = ", ".join(f"{name} {version}" for name, version in hardware["versions"].items())
    return f"{hardware['accelerator'] or hardware['processor']}, {hardware['cores']} cores; {versions}"


def _write(path, results, arguments):
    columns = [
        "competition", "network", "seed", "epoch", "seconds", "validation_accuracy", "start_seconds",
        "training_images_per_second", "inference_images_per_second", "peak_memory_bytes", "parameters", "precision",
        "hardware",
    ]  # fmt: skip
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    for one in results:
        rest = [one.start_seconds, one.training_rate, one.inference_rate, one.peak_memory, one.parameters]
        for epoch, (seconds, accuracy) in enumerate(one.epochs, 1):
            row = [arguments.competition, one.name, one.seed, epoch, round(seconds, 3), round(accuracy, 6)]
            table.writerow([*row, *(round(value, 3) if value else "" for value in rest), one.precision, _hardware(one)])
    files.write_text(path, text.getvalue())


if __name__ == "__main__":
    raise SystemExit(main())
