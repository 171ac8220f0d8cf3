"""The benchmark: what it measures, what it refuses, and how it shows it."""

import csv
import pathlib
import subprocess
import sys
import time

import pytest
from made import train

import kit
from kit import benchmark, zoo
from kit.benchmarking import contenders, measuring, report
from kit.benchmarking.jobs import Measured, start_seconds
from kit.command_line import DONE, FAILED, WRONG_INPUT
from kit.errors import Failure, UserError
from kit.recipes import Recipe

QUICK = ["--source", "sample", "--limit", "200", "--seeds", "1"]
FOLDER = pathlib.Path("benchmarks") / "digit-recognizer"
HARDWARE = {"accelerator": "", "processor": "a CPU", "cores": 1, "versions": {"python": "3.11"}}


def measured(name="fast", seed=0, epochs=((2.0, 0.5), (3.0, 0.75)), **fields):
    plain = {
        "start_seconds": 1.0,
        "training_speed": 1000.0,
        "inference_speed": 2000.0,
        "peak_memory": 10**9,
        "parameters": 7,
        "precision": "float32",
        "hardware": HARDWARE,
    }
    return Measured(name, seed, list(epochs), **{**plain, **fields})


def rows_of(name):
    return list(csv.DictReader((FOLDER / name).read_text(encoding="utf-8").splitlines()))


# --- what is measured


def test_recipes_are_measured_beside_kerass_example(workplace, capsys):
    flags = ["lenet_small", "--epochs", "2", "--target", "0.3", "--against", "keras-mnist-convnet", "--name", "quick"]
    assert benchmark.main([*flags, *QUICK]) == DONE
    rows = rows_of("quick.csv")
    assert {row["network"] for row in rows} == {"lenet_small", "keras-mnist-convnet"}
    assert all(float(row["training_images_per_second"]) > 0 for row in rows)
    assert (FOLDER / "quick.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert f"measurements: {FOLDER / 'quick.csv'}" in printed
    last = [row for row in rows if row["network"] == "lenet_small"][-1]
    assert f"lenet_small, seed 0: {float(last['validation_accuracy']):.2%}" in printed
    assert benchmark.main(["lenet_small", "--name", "quick"]) == WRONG_INPUT, "a file of results is not overwritten"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_killed_benchmark_leaves_no_training_behind(workplace):
    flags = ["simple_cnn", "--source", "sample", "--epochs", "1000", "--seeds", "1"]
    process = subprocess.Popen([sys.executable, "-m", "kit.benchmark", *flags], cwd=workplace)
    try:
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_for(lambda: [child for child in children.read_text().split() if "spawn_main" in command_line(child)])
        started = children.read_text().split()
    finally:
        process.kill()
        process.wait()
    wait_for(lambda: not any(command_line(child) for child in started))


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def command_line(process):
    """Empty if it has ended, whether or not its parent has taken note of that."""
    try:
        return pathlib.Path(f"/proc/{process}/cmdline").read_text()
    except FileNotFoundError:
        return ""


def test_start_weights_that_were_trained_on_the_validation_images_are_refused(workplace, capsys, monkeypatch):
    """Each seed has a split of its own, and a run's networks are honest on one."""
    monkeypatch.setattr(measuring, "measure", measuring._in_this_process)
    data = kit.load("digit-recognizer", "sample", limit=200)
    train("first", data, Recipe(model="lenet_small", epochs=1, precision="float32"))
    pathlib.Path("again.yaml").write_text("model: lenet_small\nepochs: 1\nweights: first\nprecision: float32\n")
    flags = ["again.yaml", "--source", "sample", "--limit", "200", "--name", "again"]
    assert benchmark.main([*flags, "--seeds", "2"]) == WRONG_INPUT
    assert "split_seed" in capsys.readouterr().err
    assert {row["seed"] for row in rows_of("again.csv")} == {"0"}


def test_times_and_accuracies_are_read_off_the_epochs():
    one = measured(epochs=[(2.0, 0.5), (3.0, 0.75), (4.0, 0.7)])
    assert (one.seconds, one.accuracy) == (4.0, 0.7)
    assert [one.seconds_to(target) for target in (0.5, 0.6, 0.9)] == [2.0, 3.0, None]
    assert [one.accuracy_within(seconds) for seconds in (1, 3.5, 9)] == [None, 0.75, 0.7]
    assert start_seconds([5.0, 6.0, 7.0]) == 4.0
    assert start_seconds([5.0]) == 0.0


# --- which recipes


def test_the_whole_zoo_without_what_needs_runs_or_cannot_be_built_here(workplace, capsys, monkeypatch):
    asked = []

    def measure(job):
        if job.recipe.model == "vgg16_transfer":
            raise UserError("no weights here")
        if job.recipe.model == "cnn6":
            raise Failure("diverged")
        asked.append(job)
        return measured(job.name, job.seed, peak_memory=None)

    monkeypatch.setattr(measuring, "measure", measure)
    assert benchmark.main(["all", "--epochs", "2", "--seeds", "1", "--name", "every", "--markdown"]) == DONE
    left_out = {"vgg16_transfer", "cnn6", *(name for name in zoo.names() if "runs" in zoo.options(name))}
    assert {job.recipe.model for job in asked} == set(zoo.names()) - left_out
    assert {job.recipe.epochs for job in asked} == {2}
    printed = capsys.readouterr().out
    assert "no weights here" in printed
    assert sum(line.startswith("| ") for line in printed.splitlines()) == 2 + len(asked)
    monkeypatch.setattr(measuring, "measure", lambda job: (_ for _ in ()).throw(Failure("diverged")))
    assert benchmark.main(["lenet_small", "--seeds", "1"]) == FAILED


def test_networks_names_and_files_are_recipes(tmp_path):
    (tmp_path / "mine.yaml").write_text("model: fast_cnn\nepochs: 4\n")
    found = contenders.resolve("digit-recognizer", ["fast", "lenet_small", str(tmp_path / "mine.yaml")])
    assert list(found) == ["fast", "lenet_small", "mine"]
    assert (found["fast"].model, found["lenet_small"].optimizer, found["mine"].epochs) == ("fast_cnn", "adam", 4)
    with pytest.raises(UserError, match="resnet_small"):
        contenders.resolve("digit-recognizer", ["resnet_smal"])
    (tmp_path / "fast.yaml").write_text("model: fast_cnn\n")
    with pytest.raises(UserError, match="rename"):
        contenders.resolve("digit-recognizer", ["fast", str(tmp_path / "fast.yaml")])
    (tmp_path / "blind.yaml").write_text("validation_share: 0\n")
    with pytest.raises(UserError, match="blind"):
        contenders.resolve("digit-recognizer", [str(tmp_path / "blind.yaml")])


@pytest.mark.parametrize(
    "flags",
    [
        ["--seeds", "0"],
        ["nothing_like_it"],
        ["three"],
        ["--target", "2"],
        ["--within", "nan"],
        ["--epochs", "0"],
        ["--limit", "-1"],
        ["--name", "../up"],
        ["--against", "itself"],
    ],
)
def test_a_benchmark_that_makes_no_sense_is_refused_before_anything_is_measured(workplace, capsys, flags):
    assert benchmark.main(flags) == WRONG_INPUT
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not list(workplace.iterdir())


# --- how it is shown

SLOW = {"parameters": 30_764_924, "training_speed": 12_345.6, "inference_speed": 123_456.7, "peak_memory": 12 * 10**9}
RESULTS = [
    measured(seed=0),
    measured(seed=1, epochs=[(2.0, 0.6), (5.0, 0.9)]),
    *(measured("vgg16_transfer_from_scratch", seed, [(4_321.0 + seed, 0.5)], **SLOW) for seed in (0, 1)),
]


def test_the_tables_fit_a_terminal_and_hold_the_means():
    lines = report.text(RESULTS, target=0.8, within=2.5).splitlines()
    assert max(map(len, lines)) <= 100
    rows = [line.split() for line in lines if line.startswith("fast ")]
    assert " ".join(rows[0]) == "fast 2 82.50 ± 10.61 4.0 ± 1.4 5.0 (1/2) 55.00 ± 7.07"
    assert " ".join(rows[1]) == "fast 1.0 1,000 2,000 1,000 7 float32"
    assert any("never" in line and "no epoch" in line for line in lines)


def test_the_markdown_table_has_the_same_columns_in_every_row():
    table = [line for line in report.markdown(RESULTS, 0.8, 2.5).splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert len({line.count("|") for line in table}) == 1
    assert "| fast | 2 | 82.50 ± 10.61 | 4.0 ± 1.4 | 5.0 (1/2) |" in table[2]
