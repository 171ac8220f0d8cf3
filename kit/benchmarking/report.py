"""A benchmark's results: a line for each training, tables, a CSV, and accuracy against seconds as a figure."""

import csv
import io
import pathlib
import statistics
import textwrap
from collections.abc import Mapping, Sequence

from kit import files
from kit.benchmarking.jobs import Measured

COLUMNS = (
    *("competition", "network", "seed", "epoch", "seconds", "validation_accuracy", "start_seconds"),
    *("training_images_per_second", "inference_images_per_second", "peak_memory_bytes", "parameters", "precision"),
    "hardware",
)
WIDTH = 100


def line(measured: Measured, target: float) -> str:
    """Return one training's outcome as a line."""
    reached = measured.seconds_to(target)
    when = f"never {target:.1%}" if reached is None else f"{target:.1%} after {reached:.1f} s"
    return (
        f"{measured.name}, seed {measured.seed}: {measured.accuracy:.2%} after {measured.seconds:.1f} s of fit; {when}"
    )


def text(results: Sequence[Measured], target: float, within: float) -> str:
    """Return two aligned tables of at most 100 columns, accuracy and time, then speed and size; and the hardware.

    Args:
        results: all trainings.
        target: the accuracy (0–1) whose time is asked for.
        within: the seconds of fit at which the accuracy is asked for.
    """
    named = _named(results)
    reached = [["network", "n", *named, "accuracy, %", "fit, s", f"s to {target:.1%}", f"% at {within:g} s"]]
    costs = [["network", "start, s", "training/s", "inference/s", "memory, MB", "parameters", "precision"]]
    for name, same in _by_name(results).items():
        cells = _cells(same, target, within)
        reached.append([name, *(cells[key] for key in ("n", *named, "accuracy", "fit", "target", "within"))])
        mean = {key: cells[key].partition(" ±")[0] for key in ("start", "training", "inference", "memory")}
        costs.append([name, *mean.values(), cells["parameters"], cells["precision"]])
    notes = (
        "accuracy: on validation images, without test-time augmentation; mean ± standard deviation of n trainings. "
        "training, inference: images a second, once compiled. " + hardware(results[0])
    )
    return "\n\n".join([_aligned(reached), _aligned(costs), "\n".join(textwrap.wrap(notes, WIDTH))])


def markdown(results: Sequence[Measured], target: float, within: float) -> str:
    """Return one table in Markdown, and the hardware below it; arguments as for `text`."""
    header = [
        "network", "n", *_named(results), "validation accuracy, %", "fit, s",
        f"s to {target:.1%}", f"accuracy at {within:g} s, %",
        "start, s", "training, images/s", "inference, images/s", "peak memory, MB", "parameters", "precision",
    ]  # fmt: skip
    rows = [header, ["---"] * len(header)]
    rows += [[name, *_cells(same, target, within).values()] for name, same in _by_name(results).items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + f"\n\n{hardware(results[0])}"


def hardware(measured: Measured) -> str:
    """Return what was measured on: device, cores and versions."""
    facts = measured.hardware
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return f"{facts['accelerator'] or facts['processor']}, {facts['cores']} cores; {versions}"


def write_csv(path: pathlib.Path, competition: str, results: Sequence[Measured]) -> None:
    """Write a row for each epoch of each training."""
    memory = io.StringIO()
    table = csv.writer(memory, lineterminator="\n")
    table.writerow([*COLUMNS, *(f"last_{name}" for name in _named(results))])
    for one in results:
        last = [round(one.score, 6) if one.score is not None else "" for _ in _named(results)]
        rest = [one.start_seconds, one.training_speed, one.inference_speed, one.peak_memory, one.parameters]
        for epoch, (seconds, accuracy) in enumerate(one.epochs, 1):
            row = [competition, one.name, one.seed, epoch, round(seconds, 3), round(accuracy, 6)]
            table.writerow(
                [*row, *(round(value, 3) if value else "" for value in rest), one.precision, hardware(one), *last]
            )
    files.write_text(path, memory.getvalue())


def write_figure(path: pathlib.Path, competition: str, results: Sequence[Measured]) -> None:
    """Draw validation accuracy against seconds of fit, as a PNG."""
    import pandas as pd

    from kit import figures
    from kit.figures import style

    rows = [
        (one.name, one.seed, epoch, seconds, accuracy)
        for one in results
        for epoch, (seconds, accuracy) in enumerate(one.epochs, 1)
    ]
    table = pd.DataFrame(rows, columns=["recipe", "seed", "epoch", "seconds", "accuracy"])
    with files.replacing(path) as fresh:
        fresh.write_bytes(style.png(figures.accuracy_against_seconds(table, competition)))


def _named(results: Sequence[Measured]) -> list[str]:
    """The metric that the competition scores by, where it is another than accuracy."""
    return [] if results[0].metric == "accuracy" else [results[0].metric]


def _by_name(results: Sequence[Measured]) -> dict[str, list[Measured]]:
    return {name: [one for one in results if one.name == name] for name in dict.fromkeys(one.name for one in results)}


def _cells(same: Sequence[Measured], target: float, within: float) -> Mapping[str, str]:
    """One recipe's results as text, in the order of the Markdown table's columns."""
    reached = [seconds for one in same if (seconds := one.seconds_to(target)) is not None]
    early = [100 * accuracy for one in same if (accuracy := one.accuracy_within(within)) is not None]
    memory = [one.peak_memory / 1e6 for one in same if one.peak_memory]
    return {
        "n": str(len(same)),
        **{name: _mean([one.score for one in same if one.score is not None], 4) for name in _named(same)},
        "accuracy": _mean([100 * one.accuracy for one in same], 2),
        "fit": _mean([one.seconds for one in same], 1),
        "target": _of_all(reached, same, 1) or "never",
        "within": _of_all(early, same, 2) or "no epoch",
        "start": _mean([one.start_seconds for one in same], 1),
        "training": _mean([one.training_speed for one in same], 0),
        "inference": _mean([one.inference_speed for one in same], 0),
        "memory": _mean(memory, 0),
        "parameters": f"{same[0].parameters:,}",
        "precision": "/".join(sorted({one.precision for one in same})),
    }


def _of_all(values: Sequence[float], same: Sequence[Measured], digits: int) -> str:
    """The mean of the trainings that have a value, and how many have where some do not."""
    if not values:
        return ""
    return _mean(values, digits) + (f" ({len(values)}/{len(same)})" if len(values) < len(same) else "")


def _mean(values: Sequence[float], digits: int) -> str:
    """Mean ± standard deviation (n - 1); "not known" of nothing."""
    if not values:
        return "not known"
    mean = f"{statistics.fmean(values):,.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):,.{digits}f}" if len(values) > 1 else mean


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )
