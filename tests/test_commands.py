"""The commands as a person runs them: real processes, real exit statuses, what is printed and what is left."""

import csv
import dataclasses
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import made_runs
import numpy as np
import pytest

from kit import tracking, zoo
from kit.command_line import DONE, WRONG_INPUT

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


VERBS = ["download", "train", "remote", "runs", "evaluate", "predict", "ensemble", "submit", "benchmark", "zoo"]


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
    assert train("--name", "first", "--verbose") == DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["run: runs/digit-recognizer/first", "submission: submissions/digit-recognizer/first.csv"]
    assert {"load:", "train:", "predict:", "figures:"} <= {line.split()[0] for line in lines if line.strip()}
    assert any("SAMPLE DATA" in line for line in lines)
    assert any(re.search(r"kit\.download digit-recognizer", line) for line in lines)
    run = tracking.find("first")
    left = {str(path.relative_to(run.folder)) for path in run.folder.rglob("*") if path.is_file()}
    assert left == {
        *("config.yaml", "history.csv", "metrics.json", "oof.npy", "test.npy", "fold-0.keras"),
        "figures/learning-curves.png",
    }
    promised = {
        *("competition", "model", "source", "seed", "folds", "validation_accuracy", "fit_seconds"),
        *("images_per_second", "parameters", "seen", "data_fingerprint", "precision", "hardware"),
    }
    assert promised <= set(json.loads((run.folder / "metrics.json").read_text()))
    rows = list(csv.reader(run.submission.read_text().splitlines()))
    assert rows[0] == ["ImageId", "Label"]
    assert [int(label) for _, label in rows[1:]] == run.test().argmax(axis=1).tolist()
    assert run.config().recipe.epochs == 2


def test_the_same_command_twice_gives_the_same_bits(workplace):
    assert train("--name", "one") == train("--name", "two") == DONE
    np.testing.assert_array_equal(tracking.find("one").test(), tracking.find("two").test())
    assert tracking.find("one").submission.read_bytes() == tracking.find("two").submission.read_bytes()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--model", "resnet_smal"], "Did you mean resnet_small?"),
        (["--competition", "digit-recogniser"], "Did you mean digit-recognizer?"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--name", "../up"], "cannot name a run"),
        (["--limit", "5"], "limit"),
        (["--limit", "-5"], "--limit"),
        (["--resume", "--name", "none"], "none"),
        (["--weights", "nowhere"], "nowhere"),
        (["--options", "depth=3"], "depth"),
        (["--options", "dropout=0.5"], "dropout"),
        (["--devices", "99"], "devices"),
        (["--source", "kaggle"], "credentials"),
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
    assert "mine" in capsys.readouterr().err
    assert tracking.find("mine").metrics() == before


def test_resume_refuses_what_it_cannot_keep(workplace, capsys):
    from kit.train import main

    assert train("--name", "mine") == DONE
    assert main(["--resume", "--name", "mine"]) == WRONG_INPUT
    assert "is finished" in capsys.readouterr().err
    (tracking.find("mine").folder / "metrics.json").unlink()
    assert train("--name", "mine") == WRONG_INPUT
    assert "--resume" in capsys.readouterr().err
    assert main(["--resume", "--name", "mine", "--epochs", "9"]) == WRONG_INPUT
    assert "--epochs" in capsys.readouterr().err


# --- interruptions

LONG = [
    *("--source", "sample", "--limit", "400", "--model", "lenet_small", "--epochs", "20"),
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
            epochs = len(json.loads(str(file["notes"]))["history"])
    return epochs, len(list(folder.glob(".working/fold-*.npz")))


def test_killed_at_random_moments_a_training_ends_as_if_nothing_had_been(workplace):
    from kit.train import main

    assert main([*LONG, "--name", "whole"]) == DONE
    killed = workplace / "runs" / "digit-recognizer" / "killed"
    rng, seen, process = random.Random(0), set(), begun("killed")
    for fold, epoch in ((0, 2), (1, 2)):
        while process.poll() is None:
            epochs, folds = progress(killed)
            if (folds, epochs) >= (fold, epoch):
                break
            time.sleep(0.05)
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
    """Before it comes, a second training of the same name is refused, and leaves the first one's config as it is."""
    from kit.train import main

    process = begun("stopped")
    folder = workplace / "runs" / "digit-recognizer" / "stopped"
    while process.poll() is None and progress(folder) < (1, 0):
        time.sleep(0.05)
    process.send_signal(signal.SIGSTOP)
    before = (folder / "config.yaml").read_bytes()
    assert main([*LONG, "--name", "stopped", "--seed", "2"]) == WRONG_INPUT
    assert (folder / "config.yaml").read_bytes() == before
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert "python -m kit.train --resume" in said
    assert progress(folder)[0] >= 1


def test_two_processes_do_not_train_one_run(workplace, capsys):
    from kit.train import main

    assert train("--name", "mine") == DONE
    run = tracking.find("mine")
    (run.folder / "metrics.json").unlink()
    with run.locked():
        assert main(["--resume", "--name", "mine"]) == WRONG_INPUT
    assert "mine" in capsys.readouterr().err
    assert main(["--resume", "--name", "mine"]) == DONE


# --- predict, benchmark


def test_predict_again_and_with_augmented_copies(workplace, capsys):
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
    assert sum(bettered.metrics().tta_weights) == pytest.approx(1, abs=1e-3)
    assert main(["mine", "--tta"]) == WRONG_INPUT


def test_predict_refuses_other_data(workplace, capsys):
    from kit.predict import main

    assert train("--name", "mine") == DONE
    run = tracking.find("mine")
    config = run.config()
    run.rewrite_config(config.model_copy(update={"data": config.data.model_copy(update={"limit": 150})}))
    assert main(["mine"]) == WRONG_INPUT
    assert "--data-dir" in capsys.readouterr().err


def test_an_ensemble_predicts_as_it_joins(workplace):
    import kit

    data = kit.load("digit-recognizer", "sample", limit=200)
    fields = {"epochs": 2, "precision": "float32", "batch_size": 32}
    first = kit.fit(data, "lenet_small", name="a", **fields)
    second = kit.fit(data, "mnist_cnn", name="b", **fields)
    from kit.ensemble.__main__ import main

    for method in ("mean", "weighted", "hill-climb", "stack"):
        assert main(["a", "b", "--method", method, "--name", method]) == DONE
        joined = kit.Run(method)
        np.testing.assert_allclose(joined.predict(data.test_images), joined.test(), atol=1e-4)
    assert np.abs(first.predict(data.test_images, tta=True) - first.test()).max() > 1e-4
    np.testing.assert_allclose(second.predict(data.test_images), second.test(), atol=1e-5)


def test_predicting_again_keeps_no_number_of_the_old_predictions(workplace, monkeypatch):
    """The test accuracy of a source with test labels belongs to the predictions that are there."""
    import kit
    from kit import loaders, prediction

    sample = loaders.load("digit-recognizer", "sample", limit=200)
    labels = np.arange(len(sample.test_ids)) % 10
    labelled = dataclasses.replace(sample, test_labels=labels)
    run = kit.fit(labelled, "lenet_small", name="mine", epochs=2, precision="float32")
    monkeypatch.setattr(loaders, "load_for", lambda data, data_dir=None: labelled)
    again = prediction.predict_again(run, with_tta=True)
    assert again.metrics().test_accuracy == (again.test().argmax(axis=1) == labels).mean()
    assert again.config().parent == "mine"
    assert again.config().kind == "tta"


@pytest.mark.parametrize(
    ("place", "flags"),
    [("submissions", []), ("runs/digit-recognizer/mine-tta", ["--tta"]), ("figures", ["--images", "x.png"])],
)
def test_predict_knows_a_place_that_cannot_be_written_before_its_work(workplace, monkeypatch, capsys, place, flags):
    """A file where a folder belongs stops root too."""
    from kit import loaders, photos, predict

    run = made_runs.made("mine")
    path = run.folder / place if place == "figures" else workplace / place
    path.touch()
    monkeypatch.setattr(loaders, "load_for", None)
    monkeypatch.setattr(photos, "matching", None)
    assert predict.main(["mine", *flags]) == WRONG_INPUT
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert str(place) in printed.err


def test_train_knows_a_place_that_cannot_be_written_before_it_reads(workplace, monkeypatch, capsys):
    from kit import loaders

    (workplace / "submissions").touch()
    monkeypatch.setattr(loaders, "load", None)
    assert train() == WRONG_INPUT
    assert "submissions" in capsys.readouterr().err
    assert not (workplace / "runs").exists()
