"""Plans: what a file or `--seeds` says, several trainings and their ensemble by one command, interruptions."""

import dataclasses
import functools
import json
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from made import config

from kit import ensemble, loaders, tracking
from kit.command_line import DONE, WRONG_INPUT
from kit.errors import UserError
from kit.recipes import Recipe, plan
from kit.tracking import Config
from kit.train import main

DIGITS = "digit-recognizer"
SAMPLE = ["--source", "sample", "--limit", "200"]
TINY = {"folds": 2, "epochs": 1, "batch_size": 32, "precision": "float32"}
TWO = {**TINY, "members": {"a": {"model": "lenet_small"}, "b": {"model": "mnist_cnn"}}}
A = {"model": "lenet_small"}


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
    return plan.resolve(DIGITS, written(content), flags or {}, seeds)


# --- what a plan says


def test_later_layers_win(workplace):
    written({"epochs": 4, "shift": 4, "zoom": 0.4, "rotate": 4}, "recipes/own.yaml")
    common = {"method": "weighted", "geometric": True, "epochs": 3, "shift": 3, "elastic": 3}
    members = {"a": {**A, "extends": "own.yaml", "zoom": 0.5, "rotate": 5}, "b": {"model": "fast_cnn"}}
    top = written({**common, "members": members}, "recipes/top.yaml")
    planned = plan.resolve(DIGITS, top, {"rotate": "6.0"}, None)
    a, b = planned.members.values()
    assert (a.elastic, a.epochs, a.shift, a.zoom, a.rotate) == (3, 4, 4, 0.5, 6)
    assert b == Recipe(model="fast_cnn", epochs=3, shift=3, elastic=3, rotate=6), "the network's own recipe has no say"
    assert (planned.method, planned.geometric) == ("weighted", True)


def test_each_member_is_checked_with_what_it_inherits_and_the_common_part_never_alone(workplace):
    """Ten epochs, the default, cannot be shared by four cycles; the members' eight can."""
    planned = given({"snapshots": 4, "members": {"a": {**A, "epochs": 8}, "b": {**A, "epochs": 8, "seed": 1}}})
    assert [member.snapshots for member in planned.members.values()] == [4, 4]
    folded = given({"held_out_share": 0.1, "members": {"a": {**A, "folds": 2}, "b": {**A, "folds": 2, "seed": 1}}})
    assert [member.held_out_share for member in folded.members.values()] == [0.1, 0.1]
    with pytest.raises(UserError, match="member b"):
        given({"snapshots": 4, "members": {"a": {**A, "epochs": 8}, "b": {**A, "epochs": 9}}})


def test_seeds_make_members_on_one_split(workplace):
    planned = given({"seed": 5, "members": {"a": {"model": "lenet_small", "seeds": 2}, "b": {"model": "fast_cnn"}}})
    assert {name: member.seed for name, member in planned.members.items()} == {"a-0": 5, "a-1": 6, "b": 5}
    planned = plan.resolve(DIGITS, None, {"model": "fast_cnn"}, 3)
    assert {name: (member.seed, member.split_seed) for name, member in planned.members.items()} == {
        name: (seed, 0) for name, seed in (("0", 0), ("1", 1), ("2", 2))
    }
    assert list(given({"model": "fast_cnn", "seeds": 2}).members) == ["0", "1"]
    assert list(given({"model": "fast_cnn", "seeds": 2}, seeds=3).members) == ["0", "1", "2"]


def test_a_recipe_is_not_a_plan(workplace):
    assert given({"model": "fast_cnn", "epochs": 3}) is None
    assert plan.resolve(DIGITS, None, {"epochs": 3}, None) is None


@pytest.mark.parametrize(
    ("content", "flags", "named"),
    [
        ({"members": {"a": A}}, {}, "two"),
        ({"members": {}}, {}, "members"),
        ({"members": ["a", "b"]}, {}, "members"),
        ({"method": "mean"}, {}, "two"),
        ({"members": {"a": A, "b": {**A, "epoch": 3}}}, {}, "member b.*epoch.*Did you mean"),
        ({"members": {"a": A, "b": {**A, "epochs": 0}}}, {}, "member b: epochs"),
        ({"members": {"a": A, "b": 3}}, {}, "member b"),
        ({"members": {"a": A, "b": {"seed": 1}}}, {}, "member b: no model"),
        ({"members": {"a": A, "b": {**A, "seeds": 0}}}, {}, "member b: seeds"),
        ({"members": {"a": A, "b": {**A, "seeds": 1_000_000_000}}}, {}, "member b: seeds"),
        ({"members": {"a": A, "b": {**A, "extends": "no.yaml"}}}, {}, "extends.*no.yaml"),
        ({"members": {"a": A, "b": dict(A)}}, {}, "member b.*same training as a"),
        ({"members": {"a-0": A, "a": {**A, "seed": 3, "seeds": 2}}}, {}, "a-0"),
        ({"members": {"a": A, "A": {**A, "seed": 3}}}, {}, "member A.* a;"),
        ({"members": {"a": A, "b": {**A, "folds": 3}}}, {}, "member b: folds"),
        ({"members": {"a": A, "b": {**A, "split_seed": 3}}}, {}, "member b: split_seed"),
        ({"validation_share": 0, "seeds": 2}, {}, "validation_share"),
        ({"member": {"a": A}, "seeds": 2}, {}, "Did you mean members"),
        ({"method": "median", "seeds": 2}, {}, "method"),
        ({"geometric": True, "method": "stack", "seeds": 2}, {}, "geometric"),
        ({"geometric": "yes", "seeds": 2}, {}, "geometric"),
        ({"members": {"a": A, "b": {**A, "seed": 1}}}, {"model": "fast_cnn"}, "--model"),
        ("members:\n  a: {seed: 1}\n  a: {seed: 2}\n", {}, "line 3"),
    ],
)
def test_a_bad_plan_is_refused_in_one_line_that_names_the_place(workplace, content, flags, named):
    with pytest.raises(UserError, match=named) as error:
        given(content, flags)
    assert "\n" not in str(error.value)


def test_what_differs_is_named(workplace):
    one = given(TWO)
    assert one.difference(given(TWO)) == ""
    assert "member a: epochs" in given(TWO, {"epochs": 2}).difference(one)
    assert "method" in dataclasses.replace(one, method="stack").difference(one)
    assert "member c" in given({**TWO, "members": {**TWO["members"], "c": {**A, "seed": 1}}}).difference(one)


# --- one command


def test_a_plan_trains_its_members_and_their_ensemble(workplace, capsys):
    path = written(TWO)
    assert main([*SAMPLE, "--config", path]) == DONE
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[-2:] == ["run: runs/digit-recognizer/top", "submission: submissions/digit-recognizer/top.csv"]
    assert "member 1 of 2: top-a (lenet_small, seed 0)" in lines
    assert "member 2 of 2: top-b (mnist_cnn, seed 0)" in lines
    assert "two members disagree on" in printed
    run, members = tracking.find("top"), [tracking.find("top-a"), tracking.find("top-b")]
    np.testing.assert_allclose(run.test(), np.mean([member.test() for member in members], axis=0), atol=1e-6)
    assert not np.isnan(run.oof()).any()
    metrics = run.metrics()
    assert metrics.fit_seconds == pytest.approx(sum(member.metrics().fit_seconds for member in members))
    assert (metrics.model, list(metrics.members)) == ("ensemble", ["top-a", "top-b"])
    assert run.config().kind == "plan"
    assert all(member.submission.exists() and (member.folder / "history.csv").exists() for member in members)
    assert {path.stem for path in run.figures.glob("*.png")} == {
        *("learning-curves", "pairwise-disagreement", "gains-by-class", "changed-images")
    }
    assert run.state == "complete"

    assert main([*SAMPLE, "--config", path]) == WRONG_INPUT
    assert "exists already" in capsys.readouterr().err
    assert main(["--config", path, "--resume", "--name", "top"]) == WRONG_INPUT
    assert "leave out --config" in capsys.readouterr().err
    # A member that is there already is never trained over.
    assert main([*SAMPLE, "--config", path, "--name", "top-a"]) == WRONG_INPUT
    run.folder.rename(run.folder.with_name("elsewhere"))
    assert main([*SAMPLE, "--config", path]) == WRONG_INPUT
    assert "top-a exists already" in capsys.readouterr().err


def test_a_mistake_in_the_last_member_shows_before_the_first_is_trained(workplace, capfd):
    members = {**TWO["members"], "c": {"model": "lenet_small", "options": {"wdith": 3}}}
    assert main([*SAMPLE, "--config", written({**TWO, "members": members})]) == WRONG_INPUT
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 1
    assert "member c: lenet_small has no option 'wdith'" in said[0]
    assert not pathlib.Path("runs").exists()


class Unplugged(Exception):
    pass


def begun_plan(content=TWO):
    """A plan that was stopped before anything of it was trained."""
    run, data = tracking.place(DIGITS, "top"), loaders.load(DIGITS, "sample", "data", 200)
    with pytest.raises(Unplugged), run.begin(Config(kind="plan", data=data.record(), plan=given(content).as_dict())):
        _unplug(run)
    return run


def _unplug(run):
    raise Unplugged


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ([*SAMPLE, "--config", "top.yaml"], "--resume"),
        ([*SAMPLE, "--model", "lenet_small", "--name", "top"], "--resume"),
        (["--config", "top.yaml", "--resume"], "--config"),
        (["--limit", "10", "--resume"], "--limit"),
        (["--name", "top", "--epochs", "3", "--resume"], "--epochs"),
        (["--name", "other", "--resume"], "other"),
    ],
)
def test_an_unfinished_plan_goes_on_as_it_was_begun_or_not_at_all(workplace, capsys, flags, named):
    run = begun_plan()
    before = (run.folder / "config.yaml").read_bytes()
    assert main(flags) == WRONG_INPUT
    message = capsys.readouterr().err
    assert named in message
    assert message.count("\n") == 1
    assert (run.folder / "config.yaml").read_bytes() == before
    assert not list(workplace.rglob("metrics.json"))


def test_an_ensemble_does_not_take_a_plans_place(workplace):
    begun_plan()
    with pytest.raises(UserError):
        ensemble.place(DIGITS, "top")


def test_another_training_in_a_members_place_is_refused(workplace, capsys):
    begun_plan()
    data = loaders.load(DIGITS, "sample", "data", 200)
    with tracking.place(DIGITS, "top-a").begin(config(data, Recipe(model="fast_cnn"))):
        pass
    assert main(["--resume"]) == WRONG_INPUT
    assert "top-a" in capsys.readouterr().err


def test_seeds_and_what_is_missing_of_them(workplace, capsys):
    """`--seeds` is a plan like any other; resuming makes only what is not there."""
    command = [*SAMPLE, "--model", "lenet_small", "--epochs", "1", "--precision", "float32", "--seeds", "2"]
    assert main([*command, "--name", "two"]) == DONE
    run, members = tracking.find("two"), [tracking.find("two-0"), tracking.find("two-1")]
    assert [member.metrics().seed for member in members] == [0, 1]
    assert (members[0].test() != members[1].test()).any()
    whole = run.test()
    (run.folder / "metrics.json").unlink()
    for name in ("metrics.json", "fold-0.keras"):
        (members[1].folder / name).unlink()
    capsys.readouterr()
    assert main(["--resume"]) == DONE
    printed = capsys.readouterr().out
    assert printed.splitlines()[-2] == "run: runs/digit-recognizer/two"
    assert "accuracy:" not in printed.partition("member 2 of 2")[0], "the first is not trained again"
    np.testing.assert_array_equal(tracking.find("two").test(), whole)
    members[1].working.mkdir()
    members[1].submission.unlink()
    assert main(["--resume"]) == DONE, "a run that was stopped before its CSV is found"
    assert members[1].submission.exists()


# --- interruptions


def process(*flags):
    call = [sys.executable, "-m", "kit.train", *flags]
    return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def epochs_kept(run):
    for path in run.folder.glob(".working/state-0.npz"):
        with np.load(path) as file:
            return len(json.loads(str(file["notes"]))["history"])
    return 0


@pytest.mark.slow  # test_commands kills a training
def test_a_killed_plan_goes_on_and_equals_an_unbroken_one(workplace):
    """Killed within the second member: the same numbers as without."""
    wide = {"model": "lenet_small", "epochs": 20, "shift": 2}
    path = written({"epochs": 1, "batch_size": 32, "precision": "float32", "members": {"a": A, "b": wide}})
    assert main([*SAMPLE, "--config", path, "--name", "whole"]) == DONE
    place, training = tracking.place(DIGITS, "killed-b"), process(*SAMPLE, "--config", path, "--name", "killed")
    while training.poll() is None and epochs_kept(place) < 1:
        time.sleep(0.05)
    training.kill()
    training.communicate(timeout=300)
    assert training.returncode != DONE
    assert place.state == "begun", "killed too late to tell anything"
    kept = tracking.find("killed-a").metrics()
    assert main(["--resume", "--name", "killed"]) == DONE
    assert tracking.find("killed-a").metrics() == kept
    for name in ("", "-a", "-b"):
        whole, killed = tracking.find(f"whole{name}"), tracking.find(f"killed{name}")
        np.testing.assert_array_equal(whole.test(), killed.test())
        np.testing.assert_array_equal(whole.oof(), killed.oof())
        assert whole.submission.read_bytes() == killed.submission.read_bytes()
