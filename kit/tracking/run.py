"""One run: its files, read and written through one place, and its life from the first byte to the last."""

import contextlib
import itertools
import json
import os
import pathlib
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from kit import files
from kit.errors import UserError
from kit.metrics import predicted_rows
from kit.tracking import arrays, history, life, schema
from kit.tracking.schema import Config, Metrics

if TYPE_CHECKING:
    import pandas as pd

RUNS = pathlib.Path("runs")
SUBMISSIONS = pathlib.Path("submissions")
ENOUGH = 1 << 20  # bytes; the smallest runs take about as much

State = Literal["absent", "begun", "trained", "complete"]


@dataclass(frozen=True)
class Run:
    """A run's folder, `runs/<competition>/<name>/`. Nobody else writes or deletes in it."""

    folder: pathlib.Path

    OOF: ClassVar[str] = "oof.npy"
    TEST: ClassVar[str] = "test.npy"
    REMOTE: ClassVar[str] = "remote.json"

    @property
    def name(self) -> str:
        """The run's name, its folder's."""
        return self.folder.name

    @property
    def competition(self) -> str:
        """The name of the competition that the run belongs to, its parent folder's."""
        return pathlib.Path(os.path.abspath(self.folder)).parent.name  # of a link: where it stands, not where it leads

    @property
    def submission(self) -> pathlib.Path:
        """Where the run's submission CSV lies: `submissions/<competition>/<name>.csv`."""
        return SUBMISSIONS / self.competition / f"{self.name}.csv"

    @property
    def figures(self) -> pathlib.Path:
        """The folder of the run's PNGs."""
        return self.folder / "figures"

    @property
    def working(self) -> pathlib.Path:
        """The folder of what an unfinished run goes on from; gone once the run is complete."""
        return self.folder / ".working"

    @property
    def state(self) -> State:
        """How far the run has come: "absent"; "begun"; "trained", so that only figures or CSV lack; "complete"."""
        if not os.path.exists(self.folder / "config.yaml"):
            return "begun" if self.elsewhere else "absent"
        if not os.path.exists(self.folder / "metrics.json"):
            return "begun"
        return "trained" if os.path.exists(self.working) else "complete"

    @property
    def elsewhere(self) -> bool:
        """Whether the run was begun on Kaggle, and nothing of it is here yet; see `kit.remote`."""
        there = os.path.exists(self.folder / self.REMOTE)
        return there and not os.path.exists(self.folder / "config.yaml")

    @property
    def resume_command(self) -> str:
        """The command that completes the run, ready to be pasted: the one that began it, but for trainings.

        Raises:
            UserError: `config.yaml` is damaged.
        """
        if self.elsewhere:
            return f"python -m kit.remote --follow {self.competition}/{shlex.quote(self.name)}"
        config, name = self.config(), shlex.quote(self.name)
        if config.kind == "tta" and config.parent:
            return f"python -m kit.predict {self._beside(config.parent)} --tta"
        if config.kind != "ensemble" or config.ensemble is None:
            return f"python -m kit.train --resume --competition {self.competition} --name {name}"
        made, options = config.ensemble, config.ensemble.options
        members = made.members
        if made.method == "snapshot":
            members = [made.members[0].rpartition(Snapshot.NUMBERED)[0]]
        flags = [f"--method {made.method}"]
        flags += ["--geometric"] if options.get("geometric") else []
        flags += [f"--weights {','.join(map(str, options['weights']))}"] if options.get("weights") else []
        flags += [f"--seed {made.seed}"] if made.seed else []
        return " ".join(["python -m kit.ensemble", *map(self._beside, members), *flags, f"--name {name}"])

    def _beside(self, name: str) -> str:
        """What to type for another run of the same competition."""
        return shlex.quote(f"{self.competition}/{name}")

    def network_path(self, fold: int) -> pathlib.Path:
        """Where the trained network of fold `fold`, counted from 0, lies."""
        return self.folder / f"fold-{fold}.keras"

    def network_paths(self) -> list[pathlib.Path]:
        """The run's trained networks, by fold; empty for an ensemble.

        Raises:
            UserError: one between them is missing.
        """
        paths = list(itertools.takewhile(os.path.isfile, map(self.network_path, itertools.count())))
        if len(paths) < sum(1 for _ in self.folder.glob("fold-*.keras")):
            raise UserError(f"{self.network_path(len(paths))} is missing; put it back, or train the run again.")
        return paths

    def config(self) -> Config:
        """What `config.yaml` holds.

        Raises:
            UserError: the file is missing or damaged; names the field.
        """
        path = self.folder / "config.yaml"
        if self.elsewhere:
            raise UserError(f"{self.folder} is being trained on Kaggle: `{self.resume_command}` brings it here.")
        if not os.path.exists(path):
            raise UserError(f"{path} is missing: {self.folder} is not a run. `python -m kit.runs` shows the runs.")
        return schema.read_yaml(path, Config)

    def metrics(self) -> Metrics:
        """What `metrics.json` holds.

        Raises:
            UserError: the run is not finished, or the file is damaged; names the field.
        """
        path = self.folder / "metrics.json"
        if not os.path.exists(path):
            if self.state == "absent":
                self.config()
            raise UserError(f"{self.folder} is not finished: go on with `{self.resume_command}`.")
        return schema.read_json(path, Metrics)

    @property
    def history(self) -> "pd.DataFrame":
        """A row an epoch: fold, epoch, seconds, learning_rate, loss, accuracy, val_loss, val_accuracy.

        Where the competition scores by another metric than accuracy and log-loss, also val_score.

        Raises:
            UserError: the file is missing or damaged; names the row and the column.
        """
        import pandas as pd

        path = self.folder / "history.csv"
        if not os.path.exists(path):
            raise UserError(f"{path} is missing: {self.folder} has no training of its own, or is not finished.")
        return pd.DataFrame(history.read(path))

    def images(self) -> int:
        """How many training images the run's data have, by the length of its out-of-fold probabilities.

        Raises:
            UserError: they are missing or damaged.
        """
        return self._shape(self.OOF, 2)[0]

    def oof(self) -> np.ndarray:
        """Out-of-fold probabilities, float32 (n_train, classes), NaN in rows that no fold has predicted.

        Raises:
            UserError: they are missing, damaged, or not probabilities.
        """
        return self._probabilities(self.OOF)[0]

    def test(self) -> np.ndarray:
        """Test probabilities, float32 (n_test, classes), in the sample submission's order.

        Raises:
            UserError: they are missing, damaged, or not probabilities; every row must have some.
        """
        probabilities, known = self._probabilities(self.TEST)
        if not known.all():
            raise UserError(f"{self.folder / self.TEST}, row {known.argmin()} holds NaN; train the run again.")
        return probabilities

    def snapshots(self) -> list["Snapshot"]:
        """What the run's networks predicted at the end of each cycle of the learning rate, as members of an ensemble.

        Raises:
            UserError: the run was trained without snapshots, or a file is damaged.
        """
        if not os.path.exists(self.folder / Snapshot.OOF):
            raise UserError(f"{self.folder} has no snapshots; train it with --snapshots N.")
        count = self._shape(Snapshot.OOF, 3)[0]
        return [Snapshot(self.folder, number, count) for number in range(count)]

    def begin(
        self, config: Config, existing: life.Existing = "refuse", unique: bool = False
    ) -> contextlib.AbstractContextManager["Run"]:
        """Begin the run, or go on with it, while no other process can; when the block ends well, it is complete.

        The lock is taken before the first byte is written. An exception leaves what was done, for "resume"; with
        "restart" it leaves nothing.

        Args:
            config: what it is.
            existing: what to do where it was begun before and is not complete: refuse; go on with it, if it was begun
                with the same config; or begin it anew.
            unique: whether name-2, name-3 … may be taken where the name is in use.

        Yields:
            The run that was begun.

        Raises:
            UserError: it exists already, was begun with another config, or another process is at it.
        """
        return life.begin(self, config, existing, unique)

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which no other process writes this run.

        Raises:
            UserError: another process is at it.
        """
        return life.locked(self)

    def check_writable(self, name: str = "", size: int = ENOUGH) -> None:
        """Check that the run can be written, before the work for it; nothing changes.

        Args:
            name: of a file in its folder; by default that of all files that a run leaves, and of its submission CSV.
            size: bytes that must fit on the disk.

        Raises:
            UserError: a folder cannot be written.
            Failure: the disk is full.
        """
        paths = [self.folder / "metrics.json", self.figures / "figure.png", self.submission]
        for path in [self.folder / name] if name else paths:
            life.check_writable(path, size)

    def rewrite_config(self, config: Config) -> None:
        """Replace `config.yaml`, for a plan that has become its ensemble."""
        with self._writing("config.yaml") as path:
            files.write_text(path, schema.yaml_text(config))

    def write_metrics(self, metrics: Metrics) -> None:
        """Write `metrics.json`, after which the run is trained."""
        content = metrics.model_dump(exclude_none=True, exclude_defaults=False)
        content |= {name: None for name in ("validation_accuracy", "validation_log_loss") if name not in content}
        with self._writing("metrics.json") as path:
            files.write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def write_history(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Write `history.csv`; each row has at least `tracking.history.COLUMNS`."""
        with self._writing("history.csv") as path:
            history.write(path, rows)

    def write_array(self, name: str, array: np.ndarray) -> None:
        """Write `<name>.npy`."""
        with self._writing(f"{name}.npy") as path, files.replacing(path) as fresh:
            np.save(fresh, array, allow_pickle=False)

    def write_figure(self, name: str, figure) -> pathlib.Path:
        """Write a matplotlib `Figure` as `figures/<name>.png` and return its path."""
        with self._writing(f"figures/{name}.png") as path, files.replacing(path) as fresh:
            figure.savefig(fresh, dpi=150, bbox_inches="tight")
        return path

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[pathlib.Path]:
        """Yield a file's path; that it cannot be written is said in a line (`life.writing`)."""
        path = self.folder / name
        with life.writing(path):
            yield path

    def _probabilities(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The probabilities in a file, and which rows hold some."""
        array = self._array(name)
        if array.ndim != 2 or not array.shape[1]:
            raise UserError(f"{self.folder / name} is damaged: its shape is {array.shape}; train the run again.")
        return array, predicted_rows(array, array.shape, str(self.folder / name))

    def _array(self, name: str) -> np.ndarray:
        return arrays.read(self.folder / name)

    def _shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        shape = arrays.shape(self.folder / name)
        if len(shape) != dimensions:
            raise UserError(f"{self.folder / name} is damaged: its shape is {shape}; train the run again.")
        return shape


@dataclass(frozen=True)
class Snapshot(Run):
    """One of a run's `count` snapshots, `number` counted from 0; to ensembles it is a run like any other."""

    number: int = 0
    count: int = 1

    NUMBERED: ClassVar[str] = " snapshot "
    OOF: ClassVar[str] = "snapshots-oof.npy"
    TEST: ClassVar[str] = "snapshots-test.npy"

    @property
    def name(self) -> str:
        """The run's name and the snapshot's number, counted from 1."""
        return f"{self.folder.name}{self.NUMBERED}{self.number + 1}"

    def metrics(self) -> Metrics:
        """The run's metrics, with this snapshot's share of the time."""
        metrics = super().metrics()
        return metrics.model_copy(update={"fit_seconds": metrics.fit_seconds / self.count})

    def _array(self, name: str) -> np.ndarray:
        array = super()._array(name)
        if array.ndim != 3 or len(array) != self.count:
            raise UserError(f"{self.folder / name} is damaged: it does not hold {self.count} snapshots; train again.")
        return array[self.number]
