"""Snapshots: a rate that begins again, what each cycle's end predicts, and their ensemble."""

import functools

import numpy as np
import pytest
from made import leave, train

from kit import loaders, tracking
from kit.ensemble.__main__ import main
from kit.errors import UserError
from kit.recipes import Recipe
from kit.training import checkpoint, fit
from kit.training.schedule import Schedule

DIGITS = "digit-recognizer"
CYCLES = Recipe(
    model="lenet_small", epochs=4, snapshots=2, folds=2, batch_size=32, ema=0.5, precision="float32", shift=1
)


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    """Read the sample once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loaders, "load", functools.cache(loaders.load))
        yield


@pytest.fixture
def digits(loaded_once):
    return loaders.load(DIGITS, "sample", "data", 200)


def trained(name, dataset, **fields):
    recipe = Recipe(**{**CYCLES.as_dict(), **fields})
    return train(name, dataset, recipe)[0]


@pytest.mark.parametrize("kind", ["one-cycle", "cosine", "exponential", "constant"])
def test_every_cycle_is_the_whole_course(kind):
    one = [float(Schedule(kind, 2.0, 10, warmup=0.2, final=0.01)(step)) for step in range(10)]
    three = Schedule(kind, 2.0, 30, warmup=0.2, final=0.01, cycles=3)
    assert [float(three(step)) for step in range(30)] == one * 3
    assert float(three(30)) == pytest.approx(2.0 if kind == "constant" else 0.02, rel=1e-3)
    assert Schedule.from_config(three.get_config()).get_config() == three.get_config()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"snapshots": 1}, "10 epochs cannot be shared by 1 cycles"),
        ({"snapshots": 3}, "10 epochs cannot be shared by 3 cycles"),
        ({"snapshots": 5, "patience": 2}, "leave out patience"),
        ({"snapshots": 5, "unfreeze": 1}, "leave out unfreeze"),
    ],
)
def test_cycles_that_cannot_be_are_refused(fields, words):
    with pytest.raises(UserError, match=words):
        Recipe(epochs=10, **fields)


def test_a_snapshot_is_what_a_training_of_so_many_epochs_would_be(workplace, digits):
    run, short = trained("cycles", digits), trained("short", digits, epochs=2, snapshots=0)
    first, last = run.snapshots()
    np.testing.assert_array_equal(first.oof(), short.oof())
    np.testing.assert_array_equal(first.test(), short.test())
    np.testing.assert_array_equal(last.oof(), run.oof())
    np.testing.assert_array_equal(last.test(), run.test())
    assert (first.oof() != last.oof()).any()
    assert not np.isnan(first.oof()).any()
    assert (first.name, first.oof().dtype, first.test().shape) == ("cycles snapshot 1", np.float32, run.test().shape)
    assert not list(run.folder.rglob("*snapshot-*")), "the networks have predicted and are gone"


@pytest.mark.slow  # four trainings; test_training_session interrupts one without snapshots
def test_an_interrupted_training_keeps_its_snapshots(workplace, digits, monkeypatch):
    """Stopped within the second cycle, and once more right after it, before it has predicted."""
    flags = {"checkpoint": "best", "tta": True, "folds": 0}
    whole, save = trained("whole", digits, **flags), checkpoint.save
    for epochs in (3, 4):

        def then_stop(path, model, progress, epochs=epochs):
            save(path, model, progress)
            if len(progress["history"]) == epochs:
                raise KeyboardInterrupt

        monkeypatch.setattr(fit.checkpoint, "save", then_stop)
        with pytest.raises(KeyboardInterrupt):
            trained("stopped", digits, **flags)
    monkeypatch.setattr(fit.checkpoint, "save", save)
    stopped = trained("stopped", digits, **flags)
    for one, two in zip([whole, *whole.snapshots()], [stopped, *stopped.snapshots()], strict=True):
        np.testing.assert_array_equal(one.oof(), two.oof())
        np.testing.assert_array_equal(one.test(), two.test())


def test_their_mean_is_a_run_like_any_other(workplace, digits, capsys):
    run = trained("cycles", digits)
    assert main(["cycles", "--method", "snapshot", "--name", "joined"]) == 0
    printed = capsys.readouterr().out
    joined = tracking.find("joined")
    assert printed.splitlines()[-2:] == [f"run: {joined.folder}", f"submission: {joined.submission}"]
    assert "cycles snapshot 1" in printed
    assert "two members disagree on" in printed
    parts = run.snapshots()
    np.testing.assert_allclose(joined.oof(), (parts[0].oof() + parts[1].oof()) / 2, atol=1e-6)
    np.testing.assert_allclose(joined.test(), (parts[0].test() + parts[1].test()) / 2, atol=1e-6)
    metrics = joined.metrics()
    assert metrics.fit_seconds == pytest.approx(run.metrics().fit_seconds, abs=1e-3)
    assert metrics.parameters == 2 * run.metrics().parameters
    assert list(metrics.members) == joined.config().ensemble.members == ["cycles snapshot 1", "cycles snapshot 2"]
    assert joined.config().ensemble.method == "snapshot"
    assert main(["cycles", "joined", "--name", "again"]) == 0


def test_what_has_no_snapshots_is_refused(workplace, digits, capsys):
    leave("plain", digits, np.full((200, 10), np.nan))
    assert main(["plain", "--method", "snapshot"]) == 2
    assert "plain has no snapshots; train it with --snapshots N." in capsys.readouterr().err
    assert main(["plain", "other", "--method", "snapshot"]) == 2
    assert "joins the snapshots of one run, not 2 runs" in capsys.readouterr().err
