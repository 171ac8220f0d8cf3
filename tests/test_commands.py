"""The commands as a person runs them: real processes, real exit statuses, what is printed and what is left."""

import csv
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from kit import tracking, zoo
from kit.command_line import DONE, WRONG_INPUT
from kit.recipes import recipe

ROOT = pathlib.Path(__file__).resolve().parents[1]
QUICK = ["--source", "sample", "--limit", "200", "--model", "lenet_small", "--epochs", "2", "--precision", "float32"]


def kit(verb, *flags, **options):
    call = [sys.executable, "-m", f"kit.{verb}" if verb else "kit", *flags]
    return subprocess.run(call, capture_output=True, text=True, timeout=300, **options)


def train(*flags):
    """The train command within this process, which has Keras already."""
    from kit.train import main

    return main([*QUICK, *flags])


# --- help


VERBS = ["benchmark", "download", "ensemble", "evaluate", "predict", "submit", "train", "zoo"]


def test_the_manual_lists_every_command():
    lines = kit("").stdout.splitlines()
    assert [line.split()[2] for line in lines if line.startswith("python -m kit.")] == [f"kit.{verb}" for verb in VERBS]


@pytest.mark.parametrize("verb", VERBS)
def test_help_starts_nothing_heavy(verb):
    script = (
        f"import runpy, sys; sys.argv = ['kit.{verb}', '--help']\n"
        "try: runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'keras', 'tensorflow', 'jax', 'kaggle', 'pandas', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0, shown.stderr
    assert "--help" in shown.stdout


def test_help_lists_the_networks():
    shown = kit("train", "--help").stdout
    for name in zoo.names():
        assert name in shown


# --- train


def test_a_training_leaves_all_that_is_promised(workplace, capsys):
    assert train("--name", "first") == DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["run: runs/digit-recognizer/first", "submission: submissions/digit-recognizer/first.csv"]
    steps = [re.fullmatch(r"(\w+): +([\d.]+) s(, [\d,]+ MB of memory at most so far)?", line) for line in lines]
    steps = [step for step in steps if step]
    assert [step[1] for step in steps] == ["load", "train", "predict", "figures", "submission"]
    assert float(steps[1][2]) > 0
    assert all(bool(step[3]) == (sys.platform != "win32") for step in steps)
    assert sum("SAMPLE DATA" in line for line in lines) == 2
    assert any(re.search(r"kit\.download digit-recognizer", line) for line in lines)
    run = tracking.find("first")
    left = {str(path.relative_to(run.folder)) for path in run.folder.rglob("*") if path.is_file()}
    assert left == {
        *("config.yaml", "history.csv", "metrics.json", "oof.npy", "test.npy", "fold-0.keras", "best-0.keras"),
        "figures/learning-curves.png",
    }
    promised = {
        *("competition", "model", "source", "seed", "folds", "validation_accuracy", "fit_seconds"),
        *("images_per_second", "parameters", "seen", "data_fingerprint", "precision", "hardware"),
    }
    assert promised <= set(run.metrics())
    rows = list(csv.reader(run.submission.open()))
    assert rows[0] == ["ImageId", "Label"]
    assert [int(label) for _, label in rows[1:]] == run.test().argmax(axis=1).tolist()
    assert recipe.from_dict(run.config()["recipe"]).epochs == 2


def test_the_same_command_twice_gives_the_same_bits(workplace):
    assert train("--name", "one") == train("--name", "two") == DONE
    np.testing.assert_array_equal(tracking.find("one").test(), tracking.find("two").test())
    assert tracking.find("one").submission.read_bytes() == tracking.find("two").submission.read_bytes()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--model", "resnet_smal"], "Did you mean resnet_small?"),
        (["--competition", "digit-recogniser"], "Did you mean digit-recognizer?"),
        (["--config", "nowhere.yaml"], "there is no recipe nowhere.yaml"),
        (["--name", "../up"], "cannot name a run"),
        (["--limit", "5"], "--limit 5"),
        (["--limit", "-5"], "--limit -5"),
        (["--resume", "--name", "none"], "is no run"),
        (["--weights", "nowhere"], "no run 'nowhere'"),
        (["--options", "depth=3"], "has no option 'depth'"),
        (["--options", "dropout=0.5"], "lenet_small has no option"),
        (["--devices", "99"], "devices"),
        (["--source", "kaggle"], "no Kaggle credentials"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(workplace, capfd, flags, words):
    from kit.train import main

    base = [] if "--resume" in flags else QUICK
    assert main([*base, *flags]) == WRONG_INPUT
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert words in said[0]
    assert not list(workplace.rglob("metrics.json"))
    assert not list(workplace.rglob("*.csv"))


def test_nothing_is_overwritten(workplace, capsys):
    assert train("--name", "mine") == DONE
    before = tracking.find("mine").metrics()
    assert train("--name", "mine") == WRONG_INPUT
    assert "exists already" in capsys.readouterr().err
    assert tracking.find("mine").metrics() == before


def test_resume_refuses_what_it_cannot_keep(workplace, capsys):
    from kit.train import main

    assert train("--name", "mine") == DONE
    assert main(["--resume", "--name", "mine"]) == WRONG_INPUT
    assert "is finished" in capsys.readouterr().err
    (tracking.find("mine").folder / "metrics.json").unlink()
    assert train("--name", "mine") == WRONG_INPUT
    assert "go on with --resume" in capsys.readouterr().err
    assert main(["--resume", "--name", "mine", "--epochs", "9"]) == WRONG_INPUT
    assert "leave out --epochs" in capsys.readouterr().err


# --- interruptions

LONG = [
    *("--source", "sample", "--limit", "400", "--model", "digit_cnn", "--options", "width=4", "--epochs", "4"),
    *("--folds", "2", "--batch-size", "32", "--precision", "float32", "--shift", "2", "--ema", "0.9"),
]


def begun(name):
    return subprocess.Popen(
        [sys.executable, "-m", "kit.train", *LONG, "--name", name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def progress(folder):
    """How many epochs and folds the run in `folder` has behind it."""
    epochs = 0
    for path in folder.glob(".working/state-*.npz"):
        with np.load(path) as file:
            epochs = len(json.loads(str(file["progress"]))["history"])
    return epochs, len(list(folder.glob(".working/fold-*.npz")))


def test_killed_at_random_moments_a_training_ends_as_if_nothing_had_been(workplace):
    whole = begun("whole")
    _, said = whole.communicate(timeout=300)
    assert whole.returncode == DONE, said
    killed = workplace / "runs" / "digit-recognizer" / "killed"
    rng, seen, process = random.Random(0), set(), begun("killed")
    for fold, epoch in ((0, 1), (0, 3), (1, 2)):
        while process.poll() is None:
            epochs, folds = progress(killed)
            if (folds, epochs) >= (fold, epoch):
                break
            time.sleep(0.01)
        time.sleep(rng.random() * 0.2)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        seen.add(progress(killed))
        process = subprocess.Popen(
            [sys.executable, "-m", "kit.train", "--resume", "--name", "killed"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    _, said = process.communicate(timeout=300)
    assert process.returncode == DONE, said
    assert len(seen) > 1, "it was killed at different moments"
    one, two = tracking.find("whole"), tracking.find("killed")
    np.testing.assert_array_equal(one.test(), two.test())
    np.testing.assert_array_equal(one.oof(), two.oof())
    assert one.submission.read_bytes() == two.submission.read_bytes()
    assert not list(killed.rglob(".*-*"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_ctrl_c_keeps_what_is_there_and_says_how_to_go_on(workplace):
    process = begun("stopped")
    folder = workplace / "runs" / "digit-recognizer" / "stopped"
    while process.poll() is None and progress(folder) < (1, 0):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert "python -m kit.train --resume --competition digit-recognizer --name stopped" in said
    assert progress(folder)[0] >= 1


def test_two_processes_do_not_train_one_run(workplace, capsys):
    from kit import locks
    from kit.train import main

    assert train("--name", "mine") == DONE
    run = tracking.find("mine")
    (run.folder / "metrics.json").unlink()
    with locks.locked(run.folder / ".working" / "lock"):
        assert main(["--resume", "--name", "mine"]) == WRONG_INPUT
    assert "another process" in capsys.readouterr().err
    assert main(["--resume", "--name", "mine"]) == DONE


# --- predict, benchmark


def test_predict_again_and_with_views(workplace, capsys):
    from kit.predict import main

    assert train("--name", "mine") == DONE
    run = tracking.find("mine")
    before, written = run.test(), run.submission.read_bytes()
    assert main(["digit-recognizer/mine"]) == DONE
    np.testing.assert_array_equal(run.test(), before)
    assert run.submission.read_bytes() == written
    assert main(["mine", "--tta"]) == DONE
    assert capsys.readouterr().out.splitlines()[-2] == "run: runs/digit-recognizer/mine-tta"
    bettered = tracking.find("mine-tta")
    assert (bettered.test() != before).any()
    assert sum(bettered.metrics()["tta_weights"]) == pytest.approx(1, abs=1e-3)
    assert main(["mine", "--tta"]) == WRONG_INPUT


def test_predict_refuses_other_data(workplace, capsys):
    from kit.predict import main

    assert train("--name", "mine") == DONE
    run = tracking.find("mine")
    run.write_config({**run.config(), "limit": 150})
    assert main(["mine"]) == WRONG_INPUT
    assert "other images" in capsys.readouterr().err


def test_benchmark_measures_beside_keras(workplace):
    shown = kit(
        "benchmark", "lenet_small", "--source", "sample", "--limit", "200", "--seeds", "1", "--target", "0.3",
        "--against", "keras-mnist-convnet", "--name", "quick", cwd=workplace, env={**os.environ},
    )  # fmt: skip
    assert shown.returncode == DONE, shown.stderr
    table = [line for line in shown.stdout.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in table[2:]] == ["lenet_small", "keras-mnist-convnet"]
    rows = list(csv.DictReader((workplace / "benchmarks" / "digit-recognizer" / "quick.csv").open()))
    assert {row["network"] for row in rows} == {"lenet_small", "keras-mnist-convnet"}
    assert all(float(row["training_images_per_second"]) > 0 for row in rows)
    assert "start, s" in table[0]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_killed_benchmark_leaves_no_training_behind(workplace):
    flags = ["simple_cnn", "--source", "sample", "--epochs", "1000", "--seeds", "1"]
    benchmark = subprocess.Popen([sys.executable, "-m", "kit.benchmark", *flags], cwd=workplace)
    try:
        children = pathlib.Path(f"/proc/{benchmark.pid}/task/{benchmark.pid}/children")
        wait_for(lambda: [child for child in children.read_text().split() if "spawn_main" in command_line(child)])
        started = children.read_text().split()
    finally:
        benchmark.kill()
        benchmark.wait()
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


def test_benchmark_of_the_whole_zoo_leaves_out_what_cannot_be_built_here(workplace, capsys, monkeypatch):
    from kit import benchmark, zoo
    from kit.errors import UserError

    measured = []

    def measure(job):
        if job.recipe.model == "vgg16_transfer":
            raise UserError("no weights here")
        measured.append(job)
        return benchmark.Measured(
            job.name, job.seed, [(2.0, 0.5)], 1.0, 10.0, 20.0, None, 7, "float32",
            {"accelerator": "", "processor": "a CPU", "cores": 1, "versions": {}},
        )  # fmt: skip

    monkeypatch.setattr(benchmark.measuring, "measure", measure)
    assert benchmark.main(["all", "--epochs", "2", "--seeds", "1", "--name", "every"]) == DONE
    assert {job.recipe.model for job in measured} == set(zoo.names()) - {"combined", "vgg16_transfer"}
    assert {job.recipe.epochs for job in measured} == {2}
    shown = capsys.readouterr().out
    assert "vgg16_transfer, seed 0: left out: no weights here" in shown
    assert shown.count("\n| ") == 2 + len(measured)


@pytest.mark.parametrize("flags", [["--seeds", "0"], ["nothing_like_it"], ["--target", "2"], ["--epochs", "0"]])
def test_a_benchmark_that_makes_no_sense(workplace, capsys, flags):
    from kit.benchmark import main

    assert main(flags) == WRONG_INPUT
    assert len(capsys.readouterr().err.splitlines()) == 1
