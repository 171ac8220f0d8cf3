"""The front door for Python: load a competition, train, look at the run. The commands use the same functions.

import kit
data = kit.load("digit-recognizer")
run = kit.fit(data, model="fast_cnn", epochs=4)
run.accuracy, run.history, run.predict(images), run.evaluate(), run.export("onnx"), run.submit(dry_run=True)
"""

import math
import pathlib
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from kit import loaders, metrics, tracking
from kit.backend import start_keras
from kit.errors import UserError
from kit.loaders import Dataset
from kit.recipes import plan
from kit.timings import Timings
from kit.training.flags import DEFAULT_COMPETITION

if TYPE_CHECKING:
    import keras

    from kit.evaluation.evaluation import Evaluation
    from kit.export import Exported
    from kit.training.learning_rate_finder import Sweep


class Run(tracking.Run):
    """A run, as `kit.fit` returns it and `kit.Run(name)` finds it.

    Args:
        run: the run's folder or name.
    """

    def __init__(self, run: str | pathlib.Path | tracking.Run):
        folder = run.folder if isinstance(run, tracking.Run) else tracking.find(str(run)).folder
        object.__setattr__(self, "folder", folder)

    def __repr__(self) -> str:
        try:
            reached = self.metrics()
        except UserError:
            return f"<Run {self.folder}, {self.state}>"
        metric, score = metrics.named(reached.metric), "no validation images"
        if reached.score is not None:
            score = f"{metric.name} {metric.shown(reached.score)}"
        return f"<Run {self.folder}: {reached.model}, {score}>"

    @property
    def accuracy(self) -> float | None:
        """The accuracy on images that its networks were not trained on, 0…1; None where none were kept."""
        return self.metrics().validation_accuracy

    @property
    def score(self) -> float | None:
        """The score on the same images by the competition's metric; None where none were kept."""
        return self.metrics().score

    @property
    def network(self) -> "keras.Model":
        """The trained network of the first fold, a `keras.Model` from pixels (0–255) to logits."""
        paths = self.network_paths()
        if not paths:
            raise UserError(f"{self.folder} has no network of its own; take one of the runs that it was made of.")
        start_keras()
        from kit.training.transfer import load as load_network

        return load_network(paths[0])

    def predict(self, images: np.ndarray, tta: bool = False) -> np.ndarray:
        """Predict classes with all of the run's networks, an ensemble's members included.

        Args:
            images: (n, h, w, c) uint8 in the competition's shape, as `Dataset` holds them.
            tta: whether to average over augmented copies.

        Returns:
            Probabilities, float32 (n, classes).
        """
        start_keras()
        from kit import prediction

        return prediction.predict(self, images, tta)

    def evaluate(self) -> "Evaluation":
        """Score the run on images that its networks were not trained on, and write its report."""
        from kit.evaluation import evaluation, report

        report.check_writable(self)
        found = evaluation.gather(self)
        if found.explained_by:
            start_keras()
        report.write(found)
        return found

    def export(self, format: str, int8: bool = False, tta: bool = False, output: str | None = None) -> "Exported":
        """Write the run as one network for other programs, and compare it with Keras; see `kit.export.export`.

        Args:
            format: "keras", "saved-model", "onnx", "litert" or "openvino".
            int8: whether to write 8-bit integers, where the format has them.
            tta: whether to average over augmented copies.
            output: the folder to leave; by default `exports/<competition>/<run>-<format>`.
        """
        start_keras()
        from kit.export import exporting

        return exporting.export(self, format, int8=int8, tta=tta, output=output)

    def demo(self, share: bool = False) -> Any:
        """Serve a page to draw on, in a notebook below the cell; see `kit.demo.launch`. Needs Gradio."""
        from kit.demo import serving

        return serving.launch(self, share=share)

    def submit(self, dry_run: bool = False, message: str | None = None) -> Any:
        """Check the run's submission and send it to Kaggle; with `dry_run` only check it."""
        from kit import submission

        return submission.submit(self, dry_run=dry_run, message=message)


def load(
    competition: str = DEFAULT_COMPETITION,
    source: str = "auto",
    data_dir: str | pathlib.Path = "data",
    limit: int = 0,
) -> Dataset:
    """Load a competition's images and labels; see `kit.loaders.load`."""
    return loaders.load(competition, source, data_dir, limit)


def fit(
    data: Dataset | str = DEFAULT_COMPETITION,
    model: str | None = None,
    *,
    config: str | pathlib.Path | None = None,
    name: str | None = None,
    seeds: int | None = None,
    extra_data: str | pathlib.Path | None = None,
    tensorboard: bool = False,
    time_limit: float | None = None,
    timings: Timings | None = None,
    **fields: Any,
) -> Run:
    """Train a network, or a plan of several, and leave its run, figures and submission CSV.

    Args:
        data: from `kit.load`, or a competition's name.
        model: a network of the zoo; its tuned recipe is taken if the competition has one.
        config: a recipe's or plan's name or file instead.
        name: of the run; by default the network's (or the plan's file's) with date and time.
        seeds: train that many networks that differ in their seeds, and join them.
        extra_data: a folder of your own images, in a folder a class, to train on too.
        tensorboard: whether to write what TensorBoard shows.
        time_limit: minutes after which to stop; `resume` goes on from the last whole epoch.
        timings: where to add what each step takes.
        **fields: any field of the recipe, such as `epochs=4`; see `kit.recipes.Recipe`.

    Returns:
        The run, complete.

    Raises:
        UserError: what was asked for cannot be trained; nothing is written.
        Failure: the training diverged, or the time limit is reached.
    """
    dataset = load(data) if isinstance(data, str) else data
    if not isinstance(dataset, Dataset):
        raise UserError(f"data: {type(data).__name__} is neither from kit.load nor a competition's name.")
    if extra_data is not None:
        from kit.loaders import extra as own_images

        dataset = own_images.add(dataset, own_images.read(extra_data, dataset.competition))
    competition = dataset.competition.name
    flags = fields | ({} if model is None else {"model": model})
    asked = plan.asked_for(competition, config, flags, seeds)
    if name is None and config is not None and isinstance(asked, plan.Plan) and seeds is None:
        name = pathlib.Path(config).stem
    start_keras()
    from kit.training import start

    return Run(start.fit(dataset, asked, name, _callbacks(tensorboard, time_limit), timings))


def find_learning_rate(
    data: Dataset | str = DEFAULT_COMPETITION,
    model: str | None = None,
    *,
    config: str | pathlib.Path | None = None,
    **fields: Any,
) -> "Sweep":
    """Train for some steps while the learning rate grows, and suggest one; nothing is written.

    Args:
        data, model, config, **fields: as for `fit`.

    Raises:
        UserError: what was asked for cannot be trained, or is a plan of several networks.
        Failure: the loss falls at no learning rate.
    """
    dataset = load(data) if isinstance(data, str) else data
    flags = fields | ({} if model is None else {"model": model})
    asked = plan.asked_for(dataset.competition.name, config, flags, None)
    if isinstance(asked, plan.Plan):
        raise UserError("a plan trains several networks; find the learning rate of one of them, with --model.")
    start_keras()
    from kit.training import learning_rate_finder, setup

    return learning_rate_finder.sweep(setup.resolve(dataset, asked))


def resume(
    run: tracking.Run | str,
    data_dir: str | pathlib.Path | None = None,
    *,
    tensorboard: bool = False,
    time_limit: float | None = None,
    timings: Timings | None = None,
) -> Run:
    """Go on with a run that was begun and is not complete.

    Args:
        run: a training's or a plan's, or its name.
        data_dir: the folder of all competitions' files, where they have moved.
        tensorboard, time_limit, timings: as for `fit`.

    Raises:
        UserError: the run is complete, or was begun on other data.
    """
    run = Run(run)
    data = run.config().data
    dataset = loaders.load_for(data, data_dir)
    if data.extra is not None:
        from kit.loaders import extra as own_images

        dataset = own_images.again(dataset, data.extra)
    start_keras()
    from kit.training import start

    return Run(start.resume(run, dataset, _callbacks(tensorboard, time_limit), timings))


def _callbacks(tensorboard: bool, time_limit: float | None):
    """Return what makes the callbacks of a fold; the time runs from now, for all folds and members together.

    Raises:
        UserError: the time limit is not a number of minutes above 0.
    """
    if time_limit is not None and not (isinstance(time_limit, int | float) and 0 < time_limit < math.inf):
        raise UserError(f"time_limit: {time_limit!r} is not a number of minutes above 0.")
    from kit.training import tensorboard as scalars
    from kit.training.time_limit import StopInTime

    if tensorboard:
        scalars.check()
    until = None if time_limit is None else time.monotonic() + 60 * time_limit

    def callbacks(run, fold):
        return [
            *([scalars.callback(run, fold)] if tensorboard else []),
            *([] if until is None else [StopInTime(until)]),
        ]

    return callbacks
