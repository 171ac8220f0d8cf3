"""What a training or an ensemble leaves behind: `runs/<competition>/<name>/`, every file whole or absent.

config.yaml          the recipe, every field, and which competition, source and network
history.csv          a row an epoch
metrics.json         what was reached
oof.npy, test.npy    float32 probabilities (n_train, classes) and (n_test, classes)
snapshots-oof.npy    of a training with snapshots: what each cycle's end predicted, (snapshots, n_train, classes);
snapshots-test.npy   (snapshots, n_test, classes)
fold-<k>.keras       the trained networks
figures/             PNGs
plan.yaml            of an ensemble that was trained by one command: its members' recipes
"""

import hashlib
import json
import pathlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import yaml

from kit import competitions, files
from kit.errors import UserError
from kit.suggestions import nearest

ROOT = pathlib.Path("runs")
SUBMISSIONS = pathlib.Path("submissions")


@dataclass(frozen=True)
class Run:
    """A run's folder, `runs/<competition>/<name>/`, read and written through one place."""

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
        """The folder of the run's PNGs; made when it is asked for."""
        folder = self.folder / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def finished(self) -> bool:
        """Whether the run reached its end; `metrics.json` is written last."""
        return (self.folder / "metrics.json").exists()

    def network_path(self, fold: int) -> pathlib.Path:
        """Where the trained network of fold `fold`, counted from 0, lies."""
        return self.folder / f"fold-{fold}.keras"

    def network_paths(self) -> list[pathlib.Path]:
        """The run's trained networks, by fold; empty for an ensemble."""
        return sorted(self.folder.glob("fold-*.keras"), key=lambda path: int(path.stem.split("-")[1]))

    def config(self) -> dict:
        """What `config.yaml` holds.

        Raises:
            UserError: the file is missing or not YAML.
        """
        path = self.folder / "config.yaml"
        try:
            return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except FileNotFoundError:
            raise UserError(f"{path} is missing: {self.folder} is no run. `ls {ROOT}/*` shows the runs.") from None
        except yaml.YAMLError as error:
            raise UserError(f"{path} is not YAML ({str(error).splitlines()[0]}); train the run again.") from None

    def metrics(self) -> dict:
        """What `metrics.json` holds.

        Raises:
            UserError: the run is not finished, or the file is damaged.
        """
        path = self.folder / "metrics.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(
                f"{self.folder} is not finished: go on with `python -m kit.train --resume --name {self.name} "
                f"--competition {self.competition}`."
            ) from None
        except ValueError:
            raise UserError(f"{path} is damaged; train the run again.") from None

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

    def write_config(self, config: dict) -> None:
        """Write `config.yaml`."""
        files.write_text(self.folder / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))

    def write_metrics(self, metrics: dict) -> None:
        """Write `metrics.json`, which marks the run as finished."""
        files.write_text(self.folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")

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
        try:
            return np.load(path, allow_pickle=False)
        except FileNotFoundError:
            raise UserError(f"{path} is missing: {self.folder} is not finished.") from None
        except (ValueError, EOFError, OSError) as error:
            raise UserError(f"{path} is damaged ({error}); train the run again.") from None


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

    def metrics(self) -> dict:
        """The run's metrics, with this snapshot's share of the time."""
        metrics = super().metrics()
        return {**metrics, "fit_seconds": metrics["fit_seconds"] / self.count}

    def _array(self, name: str) -> np.ndarray:
        return super()._array(name)[self.number]


def every(competition: str | None = None) -> list[Run]:
    """All runs, finished or not, of one competition or of all, oldest first."""
    folders = [path.parent for path in ROOT.glob(f"{competition or '*'}/*/config.yaml")]
    return [Run(folder) for folder in sorted(folders, key=lambda folder: (folder / "config.yaml").stat().st_mtime)]


def find(reference: str, competition: str | None = None) -> Run:
    """Return the run that `reference` means: a run's folder, or its name, or its competition's and its name.

    Raises:
        UserError: there is none, or a name that several competitions have; says which there are.
    """
    folder = pathlib.Path(reference)
    if (folder / "config.yaml").exists():
        return Run(folder)
    known = every(competition)
    fitting = [run for run in known if reference in (run.name, f"{run.competition}/{run.name}")]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        folders = ", ".join(str(run.folder) for run in fitting)
        raise UserError(f"several runs are called {reference!r}: {folders}; give the folder.")
    hint = nearest(reference, [run.name for run in known]) or f" `ls {ROOT}/*` shows the runs."
    raise UserError(f"no run {reference!r}.{hint}")


def fingerprint(images: np.ndarray, labels: np.ndarray) -> str:
    """What tells one set of training data from another, order included: SHA-256 of shapes and bytes, as hex.

    Args:
        images: (n, h, w, c) uint8.
        labels: (n,) integers.
    """
    digest = hashlib.sha256()
    for array in (np.ascontiguousarray(images, np.uint8), np.ascontiguousarray(labels, np.uint8)):
        digest.update(str(array.shape).encode())
        digest.update(array.data)
    return digest.hexdigest()


def place(competition: str, name: str) -> Run:
    """Return the run called `name`, whether or not it exists yet.

    Raises:
        UserError: `name` cannot be a folder's name, or the competition is unknown.
    """
    if not name or name in (".", "..") or any(letter in name for letter in '/\\:*?"<>|\0') or name != name.strip():
        raise UserError(f"{name!r} cannot name a run; use letters, digits, '-', '_' and '.'.")
    return Run(ROOT / competitions.get(competition).name / name)
