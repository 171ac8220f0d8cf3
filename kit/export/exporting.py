"""A run written for another program, and refused unless that program predicts what Keras predicts."""

import contextlib
import functools
import io
import json
import logging
import pathlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

import kit
from kit import competitions, files, metrics
from kit.errors import Failure, UserError
from kit.export import comparison, folder, formats, int8, network, runtimes, script, speed
from kit.export import images as chosen
from kit.export.comparison import Agreement, Lost
from kit.export.formats import Format
from kit.export.images import Images
from kit.export.runtimes import Loaded
from kit.prediction import parts
from kit.prediction.parts import Joined, Networks
from kit.tracking import Run
from kit.training import transfer

NOISY = ("tf2onnx", "nncf", "root", "tensorflow", "absl")


@dataclass(frozen=True)
class Exported:
    """What an export has left.

    Attributes:
        folder: where it lies: the network's file, `network.json`, `predict.py`.
        file: the network's file in it.
        images: what it was compared on, as text.
        agreement: how its predictions compare with Keras's.
        lost: the accuracy that 8-bit integers cost; None in float32, which has to be equal.
        accuracy: of the file, on validation images; None where all labelled images were trained on, or there are none.
        standard_error: of the accuracy.
        bytes: of the network's file.
        milliseconds: what an image takes of one core; None where that was not measured.
    """

    folder: pathlib.Path
    file: pathlib.Path
    images: str
    agreement: Agreement
    lost: Lost | None
    accuracy: float | None
    standard_error: float | None
    bytes: int
    milliseconds: float | None


def export(
    run: Run,
    format: str,
    *,
    int8: bool = False,
    tta: bool = False,
    measure: bool = False,
    output: str | pathlib.Path | None = None,
    data_dir: str | None = None,
) -> Exported:
    """Export a run as one network, load it again in its own runtime, and compare it with Keras.

    Args:
        run: a training, whose folds are averaged, or an ensemble whose members lie beside it.
        format: one of `kit.export.FORMATS`.
        int8: whether to write 8-bit integers.
        tta: whether to average over augmented copies, also where the run was trained without.
        measure: whether to time it on one core.
        output: the folder to leave; by default `exports/<competition>/<run>-<format>`.
        data_dir: the folder of all competitions' files, where they have moved.

    Raises:
        UserError: the run or the format cannot be exported here, or the folder exists already.
        Failure: the file does not predict what Keras predicts; nothing is left.
    """
    found = formats.check(format, int8)
    if found.keras_name and keras.backend.backend() != "tensorflow":
        raise UserError(f"format: {format} is written with TensorFlow; set KERAS_BACKEND=tensorflow.")
    run.metrics()
    target = pathlib.Path(output) if output is not None else folder.usual(run, format, int8, tta)
    folder.check(target)
    competition = competitions.get(run.competition)
    shape = competition.image_shape
    part = parts.resolve(run, tta)

    @functools.cache
    def load(path: pathlib.Path, erf: bool = False) -> keras.Model:
        return network.in_float32(transfer.load_classifier(path, competition), erf)

    whole = network.whole(part, shape, functools.partial(load, erf=format == "onnx"))
    images = chosen.choose(run, part, data_dir)
    if int8 and images.labels is None:
        raise UserError(f"int8: {run.folder} has no validation images to measure the lost accuracy on.")
    expected = part.predict(images.compared, load)
    with folder.whole(target) as fresh:
        path = fresh / found.file
        with _blamed(f"{format} cannot be written by Keras {keras.__version__}"):
            _write(whole, found, path, images.calibration if int8 else None)
        with _blamed(f"{found.file} cannot be used by {found.runtime}"):
            loaded = runtimes.load(found, fresh)
            predicted = loaded.predict(images.compared)
        agreement = comparison.agreement(expected, predicted)
        if not np.isfinite(agreement.largest) or not (int8 or agreement.equal):
            raise Failure(f"{found.file} does not predict what Keras does: {agreement}; it was removed.")
        exported = Exported(
            folder=target,
            file=target / found.file,
            images=images.described,
            agreement=agreement,
            **_accuracies(images, expected, predicted, int8),
            bytes=folder.size(path),
            milliseconds=speed.milliseconds(format, fresh, shape) if measure else None,
        )
        files.write_text(fresh / "network.json", _described(run, found, loaded, images, exported, part))
        files.write_text(fresh / "predict.py", script.text(found, competition))
        del loaded  # Windows moves no folder whose files are open
    return exported


def _write(whole: keras.Model, found: Format, path: pathlib.Path, calibration: np.ndarray | None) -> None:
    runtimes.without_telemetry()
    if calibration is not None:
        int8.write(whole, found, path, calibration)
    elif found.keras_name:
        whole.export(str(path), format=found.keras_name, verbose=False)
    else:
        whole.save(path)


@contextlib.contextmanager
def _blamed(what: str) -> Iterator[None]:
    """Keep converters and runtimes quiet; whatever they raise becomes one line that begins with `what`."""
    loggers = [logging.getLogger(name) for name in NOISY]
    levels = [logger.level for logger in loggers]
    nowhere = io.StringIO()
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with (
            warnings.catch_warnings(action="ignore"),
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            yield
    except (OSError, MemoryError):
        raise
    except Exception as error:  # each package has kinds of its own
        raise Failure(f"{what} ({' '.join(f'{type(error).__name__}: {error}'.split())[:300]}).") from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _accuracies(images: Images, expected: np.ndarray, predicted: np.ndarray, int8: bool) -> dict[str, Any]:
    """The accuracy of what was exported, and what it lost, where the images tell."""
    lost = accuracy = error = None
    if images.labels is not None and int8:
        lost = comparison.accuracy_lost(images.labels, expected, predicted)
    if images.labels is not None and images.unseen:
        accuracy = metrics.accuracy(images.labels, predicted)
        error = metrics.standard_error(accuracy, len(images.labels))
    return {"lost": lost, "accuracy": accuracy, "standard_error": error}


def _described(
    run: Run, found: Format, loaded: Loaded, images: Images, exported: Exported, part: Networks | Joined
) -> str:
    """What `network.json` holds: all that another program has to know, and what was shown of the network."""
    competition = images.dataset.competition
    shape = [None, *competition.image_shape]
    content = {
        "run": run.name,
        "competition": competition.name,
        "networks": [f"{leaf.run.name}/{path.name}" for leaf in part.leaves() for path in leaf.paths],
        "augmented_copies": max(sum(map(len, leaf.groups)) for leaf in part.leaves()),
        "format": found.name,
        "file": found.file,
        "int8": exported.lost is not None,
        "input": {"name": loaded.input, "shape": shape, "dtype": "float32", "values": "pixels, 0 to 255"},
        "output": {
            "name": loaded.output,
            "shape": [None, competition.classes],
            "dtype": "float32",
            "values": "probabilities of the classes, in their order",
        },
        "classes": list(competition.class_names),
        "compared_with_keras": {
            "on": images.described,
            "labels_differ": exported.agreement.differing,
            "ties": exported.agreement.ties,
            "largest_difference": exported.agreement.largest,
        },
        "accuracy": exported.accuracy,
        "standard_error": exported.standard_error,
        "accuracy_lost": exported.lost.before - exported.lost.after if exported.lost else None,
        "accuracy_lost_standard_error": exported.lost.standard_error if exported.lost else None,
        "bytes": exported.bytes,
        "milliseconds": exported.milliseconds,
        "versions": {"kit": kit.__version__, **formats.versions(found)},
    }
    return json.dumps({key: value for key, value in content.items() if value is not None}, indent=2) + "\n"
