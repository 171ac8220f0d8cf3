"""Plans: what a file or `--seeds` says, several trainings and their ensemble by one command, interruptions."""

import dataclasses
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml

from kit import loaders, tracking
from kit.command_line import DONE, WRONG_INPUT
from kit.errors import UserError
from kit.recipes import plan
from kit.recipes.recipe import Recipe
from kit.train import main

DIGITS = "digit-recognizer"
SAMPLE = ["--source", "sample", "--limit", "200"]
TINY = {"folds": 2, "epochs": 1, "batch_size": 32, "precision": "float32"}
TWO = {**TINY, "members": {"a": {"model": "lenet_small"}, "b": {"model": "digit_cnn", "options": {"width": 2}}}}


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    """Read the sample once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loaders, "load", functools.cache(loaders.load))
        yield


def written(content, name="top.yaml"):
    path = pathlib.Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return str(path)


def given(content, flags=None, seeds=None):
    return plan.given(DIGITS, written(content), flags or {}, seeds)


# --- what a plan says


def test_later_layers_win(workplace):
    written({"epochs": 4, "shift": 4, "zoom": 0.4, "rotate": 4}, "recipes/own.yaml")
    planned = plan.given(
        DIGITS,
        written(
            {
                "method": "weighted",
                "geometric": True,
                "epochs": 3,
                "shift": 3,
                "elastic": 3,
                "members": {
                    "a": {"model": "lenet_small", "config": "own.yaml", "zoom": 0.5, "rotate": 5},
                    "b": {"model": "fast_cnn"},
                },
            },
            "recipes/top.yaml",
        ),
        {"rotate": 6.0},
        None,
    )
    a, b = planned.members.values()
    assert (a.schedule, a.elastic, a.epochs, a.shift, a.zoom, a.rotate) == ("constant", 3, 4, 4, 0.5, 6)
    assert (b.model, b.learning_rate, b.epochs, b.rotate) == ("fast_cnn", 0.01, 3, 6)
    assert (planned.method, planned.geometric) == ("weighted", True)


def test_seeds_make_members_on_one_split(workplace):
    planned = given({"seed": 5, "members": {"a": {"model": "lenet_small", "seeds": 2}, "b": {"model": "fast_cnn"}}})
    assert {name: member.seed for name, member in planned.members.items()} == {"a-0": 5, "a-1": 6, "b": 5}
    planned = plan.given(DIGITS, None, {"model": "fast_cnn"}, 3)
    assert {name: (member.seed, member.split_seed) for name, member in planned.members.items()} == {
        name: (seed, 0) for name, seed in (("0", 0), ("1", 1), ("2", 2))
    }
    assert list(given({"model": "fast_cnn", "seeds": 2}).members) == ["0", "1"]
    assert list(given({"model": "fast_cnn", "seeds": 2}, seeds=3).members) == ["0", "1", "2"]


def test_a_recipe_is_no_plan(workplace):
    assert given({"model": "fast_cnn", "epochs": 3}) is None
    assert plan.given(DIGITS, None, {"epochs": 3}, None) is None


A = {"model": "lenet_small"}


@pytest.mark.parametrize(
    ("content", "flags", "words"),
    [
        ({"members": {"a": A}}, {}, "top.yaml: an ensemble joins at least two"),
        ({"members": {}}, {}, "top.yaml: members: name each member"),
        ({"members": ["a", "b"]}, {}, "top.yaml: members: name each member"),
        ({"method": "mean"}, {}, "top.yaml: an ensemble joins at least two"),
        ({"members": {"a": A, "b": {**A, "epoch": 3}}}, {}, "top.yaml, member b: there is no field 'epoch'. Did you"),
        ({"members": {"a": A, "b": {**A, "epochs": 0}}}, {}, "top.yaml, member b: epochs: 0 must be 1 or more"),
        ({"members": {"a": A, "b": {**A, "options": 3}}}, {}, "top.yaml, member b: options: 3 is not a mapping"),
        ({"members": {"a": A, "b": 3}}, {}, "top.yaml, member b: 3 is not a list"),
        ({"members": {"a": A, "b": {"seed": 1}}}, {}, "top.yaml, member b: no model"),
        ({"members": {"a": A, "b": {"model": "lenet"}}}, {}, "top.yaml, member b: unknown network 'lenet'"),
        ({"members": {"a": A, "b": {**A, "seeds": 0}}}, {}, "top.yaml, member b: seeds: 0 must be a whole number"),
        ({"members": {"a": A, "b": {**A, "config": "no.yaml"}}}, {}, "member b: config: there is no recipe no.yaml"),
        ({"members": {"a": A, "b": dict(A)}}, {}, "top.yaml, member b: it is the same training as a"),
        ({"members": {"a-0": A, "a": {**A, "seed": 3, "seeds": 2}}}, {}, "member a: another member is called a-0"),
        ({"members": {"a": A, "b": {**A, "folds": 3}}}, {}, "member b: folds: 3, but a has 0"),
        ({"members": {"a": A, "b": {**A, "split_seed": 3}}}, {}, "member b: split_seed: 3, but a has 0"),
        (
            {"members": {"a": {**A, "folds": 3}, "b": {**A, "folds": 3, "held_out_share": 0.1}}},
            {},
            "member b: held_out_share: 0.1, but a has 0.0",
        ),
        ({"validation_share": 0, "seeds": 2}, {}, "set folds or validation_share"),
        ({"member": {"a": A}, "seeds": 2}, {}, "top.yaml: there is no field 'member'. Did you mean members?"),
        ({"epochs": 0, "seeds": 2}, {}, "top.yaml: epochs: 0 must be"),
        ({"method": "median", "seeds": 2}, {}, "top.yaml: method: 'median' is not one of mean, "),
        ({"geometric": True, "method": "stack", "seeds": 2}, {}, "geometric: true goes with method: mean"),
        ({"geometric": "yes", "seeds": 2}, {}, "geometric: 'yes' is not true or false"),
        ({"members": {"a": A, "b": {**A, "seed": 1}}}, {"model": "fast_cnn"}, "--model: top.yaml says which"),
        ("members:\n  a: {seed: 1}\n  a: {seed: 2}\n", {}, "'a' comes a second time in line 3"),
    ],
)
def test_a_bad_plan_is_told_of_in_one_line(workplace, content, flags, words):
    with pytest.raises(UserError) as error:
        given(content, flags)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_what_differs_is_named(workplace):
    one = given(TWO)
    assert one.difference(given(TWO)) == ""
    assert given(TWO, {"epochs": 2}).difference(one) == "member a: epochs is 2, and was 1"
    assert dataclasses.replace(one, method="stack").difference(one) == "method is stack, and was mean"
    assert "member c: it is new" in given({**TWO, "members": {**TWO["members"], "c": {**A, "seed": 1}}}).difference(one)


def test_a_written_plan_is_read_again(workplace):
    run, planned = tracking.place(DIGITS, "top"), given(TWO)
    origin = {"competition": DIGITS, "source": "sample", "limit": 200}
    planned.write(run, origin)
    assert plan.read(run) == (planned, origin)
    assert plan.unfinished() == [run]
    (run.folder / plan.FILE).write_text("members: {}\n")
    with pytest.raises(UserError, match="is damaged"):
        plan.read(run)


# --- one command


def test_a_plan_trains_its_members_and_their_ensemble(workplace, capsys):
    config = written(TWO)
    assert main([*SAMPLE, "--config", config]) == DONE
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[-2:] == ["run: runs/digit-recognizer/top", "submission: submissions/digit-recognizer/top.csv"]
    assert "member 1 of 2: top-a (lenet_small, seed 0)" in lines
    assert "member 2 of 2: top-b (digit_cnn, seed 0)" in lines
    assert "two members disagree on" in printed
    run, members = tracking.find("top"), [tracking.find("top-a"), tracking.find("top-b")]
    np.testing.assert_allclose(run.test(), np.mean([member.test() for member in members], axis=0), atol=1e-6)
    assert not np.isnan(run.oof()).any()
    metrics = run.metrics()
    assert metrics["fit_seconds"] == pytest.approx(sum(member.metrics()["fit_seconds"] for member in members))
    assert (metrics["model"], list(metrics["members"])) == ("ensemble", ["top-a", "top-b"])
    assert all(member.submission.exists() and (member.folder / "history.csv").exists() for member in members)
    assert {path.stem for path in run.figures.glob("*.png")} == {
        *("learning-curves", "pairwise-disagreement", "gains-by-class", "changed-images")
    }
    assert not (run.folder / ".working").exists()

    assert main([*SAMPLE, "--config", config]) == WRONG_INPUT
    assert "exists already" in capsys.readouterr().err
    assert main([*SAMPLE, "--config", config, "--resume"]) == WRONG_INPUT
    assert "is finished" in capsys.readouterr().err
    # A member that is there already is never trained over.
    assert main([*SAMPLE, "--config", config, "--name", "top-a"]) == WRONG_INPUT
    run.folder.rename(run.folder.with_name("elsewhere"))
    assert main([*SAMPLE, "--config", config]) == WRONG_INPUT
    assert "top-a exists already" in capsys.readouterr().err


def test_a_mistake_in_the_last_member_shows_before_the_first_is_trained(workplace, capfd):
    members = {**TWO["members"], "c": {"model": "lenet_small", "options": {"wdith": 3}}}
    assert main([*SAMPLE, "--config", written({**TWO, "members": members})]) == WRONG_INPUT
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1
    assert "member c: lenet_small has no option 'wdith'" in said[0]
    assert not pathlib.Path("runs").exists()


def begun_plan(content=TWO):
    """A plan that was stopped before anything of it was trained."""
    run = tracking.place(DIGITS, "top")
    given(content).write(run, {"competition": DIGITS, "source": "sample", "limit": 200})
    return run


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([*SAMPLE, "--config", "top.yaml"], "begun and not finished; go on with --resume"),
        ([*SAMPLE, "--model", "lenet_small", "--name", "top"], "begun and not finished; go on with --resume"),
        ([*SAMPLE, "--config", "top.yaml", "--epochs", "3", "--resume"], "member a: epochs is 3, and was 1"),
        ([*SAMPLE, "--config", "top.yaml", "--seeds", "2", "--resume"], "member "),
        (
            ["--source", "keras", "--limit", "200", "--config", "top.yaml", "--resume"],
            "source is keras, and was sample",
        ),
        (["--config", "top.yaml", "--resume"], "limit is 0, and was 200"),
        (["--name", "top", "--epochs", "3", "--resume"], "leave out --epochs"),
        (["--name", "other", "--config", "top.yaml", "--resume"], "no run that was begun"),
    ],
)
def test_an_unfinished_plan_goes_on_as_it_was_begun_or_not_at_all(workplace, capsys, flags, words):
    run = begun_plan()
    before = (run.folder / plan.FILE).read_bytes()
    assert main(flags) == WRONG_INPUT
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert (run.folder / plan.FILE).read_bytes() == before
    assert not list(workplace.rglob("metrics.json"))


def test_an_ensemble_does_not_take_a_plans_place(workplace):
    from kit import ensemble

    begun_plan()
    with pytest.raises(UserError, match="begun and not finished"):
        ensemble.place(DIGITS, "top")


def test_another_training_in_a_members_place_is_refused(workplace, capsys):
    begun_plan()
    member = tracking.place(DIGITS, "top-a")
    member.write_config(
        {"competition": DIGITS, "source": "sample", "limit": 200, "recipe": Recipe(model="fast_cnn").as_dict()}
    )
    assert main(["--resume"]) == WRONG_INPUT
    assert "top-a is not the plan's member: its model is fast_cnn, not lenet_small" in capsys.readouterr().err


def test_seeds_and_what_is_missing_of_them(workplace, capsys):
    """`--seeds` is a plan like any other; resuming makes only what is not there, be it no more than a CSV."""
    command = [*SAMPLE, "--model", "lenet_small", "--epochs", "1", "--precision", "float32", "--seeds", "2"]
    assert main([*command, "--name", "two"]) == DONE
    run, members = tracking.find("two"), [tracking.find("two-0"), tracking.find("two-1")]
    assert [member.metrics()["seed"] for member in members] == [0, 1]
    assert (members[0].test() != members[1].test()).any()
    whole = run.test()
    for name in ("config.yaml", "metrics.json"):
        (run.folder / name).unlink()
    members[0].submission.unlink()
    for name in ("metrics.json", "fold-0.keras"):
        (members[1].folder / name).unlink()
    capsys.readouterr()
    assert main(["--resume"]) == DONE
    printed = capsys.readouterr().out
    assert printed.splitlines()[-2] == "run: runs/digit-recognizer/two"
    assert "accuracy:" not in printed.partition("member 2 of 2")[0], "the first is not trained again"
    assert all(member.submission.exists() for member in members)
    np.testing.assert_array_equal(tracking.find("two").test(), whole)
    assert main([*command, "--name", "two", "--resume"]) == WRONG_INPUT
    members[1].submission.unlink()
    assert main(["--resume", "--name", "two-1"]) == DONE, "so does a training by itself"
    assert members[1].submission.exists()


# --- interruptions


def process(*flags):
    call = [sys.executable, "-m", "kit.train", *flags]
    return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def epochs_kept(run):
    for path in run.folder.glob(".working/state-0.npz"):
        with np.load(path) as file:
            return len(json.loads(str(file["progress"]))["history"])
    return 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_a_killed_plan_goes_on_and_equals_an_unbroken_one(workplace):
    """Killed and then stopped by Ctrl-C within the second member: the same numbers as without either."""
    wide = {"model": "digit_cnn", "options": {"width": 2}, "epochs": 12, "shift": 2}
    config = written({"epochs": 1, "batch_size": 32, "precision": "float32", "members": {"a": A, "b": wide}})
    assert main([*SAMPLE, "--config", config, "--name", "whole"]) == DONE
    place, resume = tracking.place(DIGITS, "killed-b"), []
    for how, epochs in ((signal.SIGKILL, 1), (signal.SIGINT, 3)):
        training = process(*SAMPLE, "--config", config, "--name", "killed", *resume)
        while training.poll() is None and epochs_kept(place) < epochs:
            time.sleep(0.01)
        training.send_signal(how)
        _, said = training.communicate(timeout=300)
        assert training.returncode != DONE
        assert not place.finished, "stopped too late to tell anything"
        kept, resume = tracking.find("killed-a").metrics(), ["--resume"]
    assert "python -m kit.train --resume --competition digit-recognizer --name killed" in said
    assert "Traceback" not in said
    assert main([*SAMPLE, "--config", config, "--name", "killed", "--resume"]) == DONE
    assert tracking.find("killed-a").metrics() == kept
    for name in ("", "-a", "-b"):
        whole, killed = tracking.find(f"whole{name}"), tracking.find(f"killed{name}")
        np.testing.assert_array_equal(whole.test(), killed.test())
        np.testing.assert_array_equal(whole.oof(), killed.oof())
        assert whole.submission.read_bytes() == killed.submission.read_bytes()
