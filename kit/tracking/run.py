"""One run: its files, read and written through one place, and its life from the first byte to the last."""

import contextlib
import json
import pathlib
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from kit import files, locks
from kit.errors import UserError
from kit.tracking import schema
from kit.tracking.schema import Config, Metrics

RUNS = pathlib.Path("runs")
SUBMISSIONS = pathlib.Path("submissions")
MOST_OF_A_NAME = 20  # default names that are taken already: name-2, name-3 …

State = Literal["absent", "begun", "trained", "complete"]


@dataclass(frozen=True)
class Run:
    """A run's folder, `runs/<competition>/<name>/`. Nobody else writes or deletes in it."""

    folder: pathlib.Path

    OOF: ClassVar[str] = "oof.npy"
    TEST: ClassVar[str] = "test.npy"

    @property
    def name(self) -> str:
        """The run's name, its folder's."""
        return self.folder.name

    @property
    def competition(self) -> str:
        """The name of the competition that the run belongs to, its parent folder's."""
        return self.folder.resolve().parent.name

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
        if not (self.folder / "config.yaml").exists():
            return "absent"
        if not (self.folder / "metrics.json").exists():
            return "begun"
        return "trained" if self.working.exists() else "complete"

    def network_path(self, fold: int) -> pathlib.Path:
        """Where the trained network of fold `fold`, counted from 0, lies."""
        return self.folder / f"fold-{fold}.keras"

    def network_paths(self) -> list[pathlib.Path]:
        """The run's trained networks, by fold; empty for an ensemble."""
        numbered = {path.stem.removeprefix("fold-"): path for path in self.folder.glob("fold-*.keras")}
        return [numbered[number] for number in sorted(filter(str.isdigit, numbered), key=int)]

    def config(self) -> Config:
        """What `config.yaml` holds.

        Raises:
            UserError: the file is missing or damaged; names the field.
        """
        path = self.folder / "config.yaml"
        if not path.exists():
            raise UserError(f"{path} is missing: {self.folder} is not a run. `python -m kit.runs` shows the runs.")
        return schema.read_yaml(path, Config)

    def metrics(self) -> Metrics:
        """What `metrics.json` holds.

        Raises:
            UserError: the run is not finished, or the file is damaged; names the field.
        """
        path = self.folder / "metrics.json"
        if not path.exists():
            if self.state == "absent":
                self.config()
            raise UserError(
                f"{self.folder} is not finished: go on with `python -m kit.train --resume --name {self.name} "
                f"--competition {self.competition}`."
            )
        return schema.read_json(path, Metrics)

    def oof(self) -> np.ndarray:
        """Out-of-fold probabilities, float32 (n_train, classes), NaN in rows that no fold has predicted."""
        return self._array(self.OOF)

    def test(self) -> np.ndarray:
        """Test probabilities, float32 (n_test, classes), in the sample submission's order."""
        return self._array(self.TEST)

    def snapshots(self) -> list["Snapshot"]:
        """What the run's networks predicted at the end of each cycle of the learning rate, as members of an ensemble.

        Raises:
            UserError: the run was trained without snapshots, or a file is damaged.
        """
        if not (self.folder / Snapshot.OOF).exists():
            raise UserError(f"{self.folder} has no snapshots; train it with --snapshots N.")
        count = len(self._array(Snapshot.OOF))
        return [Snapshot(self.folder, number, count) for number in range(count)]

    @contextlib.contextmanager
    def begin(
        self, config: Config, existing: Literal["refuse", "resume", "restart"] = "refuse", unique: bool = False
    ) -> Iterator["Run"]:
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
        with self._free(config, existing, unique) as run:
            new = run.state == "absent"
            try:
                run.working.mkdir(parents=True, exist_ok=True)
                if new:
                    files.write_text(run.folder / "config.yaml", schema.yaml_text(config))
                yield run
                run._finish()
            except BaseException:
                if existing == "restart" or (new and run.state == "absent"):
                    shutil.rmtree(run.folder, ignore_errors=True)
                raise

    @contextlib.contextmanager
    def _free(self, config, existing, unique) -> Iterator["Run"]:
        """The first of name, name-2, … that may be begun, with its lock held."""
        for number in range(1, MOST_OF_A_NAME + 1):
            run = self if number == 1 else Run(self.folder.with_name(f"{self.name}-{number}"))
            with contextlib.ExitStack() as stack:
                try:
                    stack.enter_context(run.locked())
                    run._check_free(config, existing)
                except UserError:
                    if unique and number < MOST_OF_A_NAME:
                        continue
                    raise
                yield run
                return

    def _check_free(self, config: Config, existing: str) -> None:
        if self.state == "absent":
            return
        if self.state == "complete":
            raise UserError(f"{self.folder} exists already; take another --name, or remove it.")
        if existing == "restart":
            shutil.rmtree(self.folder)
        elif existing == "refuse":
            raise UserError(f"{self.folder} was begun and not finished; go on with --resume, or take another --name.")
        elif difference := _difference(self.config(), config):
            raise UserError(f"{self.folder} was begun otherwise: {difference}; take another --name to begin anew.")

    def locked(self):
        """Return a context in which no other process writes this run.

        Raises:
            UserError: another process is at it.
        """
        return _run_lock(self.folder)

    def _finish(self) -> None:
        """Remove what only an unfinished run needs; what this leaves is complete."""
        files.sweep(self.folder)
        shutil.rmtree(self.working)

    def rewrite_config(self, config: Config) -> None:
        """Replace `config.yaml`, for a plan that has become its ensemble."""
        files.write_text(self.folder / "config.yaml", schema.yaml_text(config))

    def write_metrics(self, metrics: Metrics) -> None:
        """Write `metrics.json`, after which the run is trained."""
        content = metrics.model_dump(exclude_none=True, exclude_defaults=False)
        content |= {name: None for name in ("validation_accuracy", "validation_log_loss") if name not in content}
        files.write_text(self.folder / "metrics.json", json.dumps(content, indent=2, allow_nan=False) + "\n")

    def write_array(self, name: str, array: np.ndarray) -> None:
        """Write `<name>.npy`."""
        with files.replacing(self.folder / f"{name}.npy") as fresh:
            np.save(fresh, array, allow_pickle=False)

    def write_figure(self, name: str, figure) -> pathlib.Path:
        """Write a matplotlib `Figure` as `figures/<name>.png` and return its path."""
        path = self.figures / f"{name}.png"
        with files.replacing(path) as fresh:
            figure.savefig(fresh, dpi=150, bbox_inches="tight")
        return path

    def _array(self, name: str) -> np.ndarray:
        path = self.folder / name
        if not path.exists():
            raise UserError(f"{path} is missing: {self.folder} is not finished.")
        try:
            array = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError, MemoryError, SyntaxError, zipfile.BadZipFile) as error:
            raise UserError(f"{path} is damaged ({' '.join(str(error).split())[:200]}); train the run again.") from None
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.ndim not in (2, 3):
            raise UserError(f"{path} is damaged: it does not hold probabilities; train the run again.")
        return array


@dataclass(frozen=True)
class Snapshot(Run):
    """One of a run's `count` snapshots, `number` counted from 0; to ensembles it is a run like any other."""

    number: int = 0
    count: int = 1

    OOF: ClassVar[str] = "snapshots-oof.npy"
    TEST: ClassVar[str] = "snapshots-test.npy"

    @property
    def name(self) -> str:
        """The run's name and the snapshot's number, counted from 1."""
        return f"{self.folder.name} snapshot {self.number + 1}"

    def metrics(self) -> Metrics:
        """The run's metrics, with this snapshot's share of the time."""
        metrics = super().metrics()
        return metrics.model_copy(update={"fit_seconds": metrics.fit_seconds / self.count})

    def _array(self, name: str) -> np.ndarray:
        array = super()._array(name)
        if array.ndim != 3 or len(array) != self.count:
            raise UserError(f"{self.folder / name} is damaged: it does not hold {self.count} snapshots; train again.")
        return array[self.number]


@contextlib.contextmanager
def _run_lock(folder: pathlib.Path) -> Iterator[None]:
    try:
        with locks.locked(folder.parent / ".locks" / f"{folder.name}.lock", wait=False):
            yield
    except locks.Busy:
        raise UserError(f"{folder} is being written by another process; let it finish.") from None


def _difference(begun: Config, asked: Config) -> str:
    """Say where the config of a run that was begun is not the one asked for; an empty text where it is the same."""
    if begun.kind != asked.kind:
        return f"it is a run of kind {begun.kind}"
    for name in ("competition", "source", "limit", "fingerprint"):
        before, now = getattr(begun.data, name), getattr(asked.data, name)
        if before != now:
            if name == "fingerprint":
                return f"its images, its labels or their order were not those of {asked.data.folder}"
            return f"its {name} was {before}, not {now}"
    if begun.recipe and asked.recipe:
        for name, (before, now) in begun.recipe.differences(asked.recipe).items():
            return f"its {name} was {before}, not {now}"
    if begun.kind == "plan":
        return asked.planned().difference(begun.planned())
    return "" if begun.parent == asked.parent else f"its parent was {begun.parent}"
