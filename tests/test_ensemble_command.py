"""`python -m kit.ensemble` on small runs over the built-in sample: what it joins, refuses, prints and leaves."""

import functools
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from made import change, leave

from kit import competitions, ensemble, loaders, tracking
from kit.ensemble.__main__ import main
from kit.metrics import accuracy
from kit.tracking import Data

DIGITS = "digit-recognizer"


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    """Read the sample once for all tests here: every command loads it, and that would be half of their time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loaders, "load", functools.cache(loaders.load))
        yield


@pytest.fixture(scope="module")
def digits(loaded_once):
    return loaders.load(DIGITS, "sample", "data")


@pytest.fixture
def trained(workplace, digits):
    """Three small runs with five folds that belong together."""
    return [leave_run(f"net_{number}", digits, number) for number in range(3)]


def leave_run(name, dataset, seed, known=None, **fields):
    """Write a run as a training leaves it, with probabilities drawn from `seed`."""
    rng = np.random.default_rng(seed)
    oof = probabilities(rng, dataset.train_labels)
    if known is not None:
        oof[~known] = np.nan
    test = probabilities(rng, np.arange(len(dataset.test_ids)) % 10)
    seen = ["mnist"] if seed == 1 else []
    return leave(name, dataset, oof, test, **{"seed": seed, "seen": seen, "fit_seconds": 10.0 * (seed + 1), **fields})


def probabilities(rng, labels):
    logits = rng.normal(0, 1, (len(labels), 10))
    logits[np.arange(len(labels)), labels] += 3
    return (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)


def refusal(capsys, *argv):
    """The one line that a refused command leaves on stderr."""
    assert main(list(argv)) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize("method", ["mean", "weighted", "hill-climb", "stack"])
def test_an_ensemble_is_a_run_like_any_other(method, trained, digits, capsys):
    assert main(["net_0", "net_1", "net_2", "--method", method, "--name", "joined"]) == 0
    printed = capsys.readouterr().out
    run = tracking.find("joined")
    assert printed.splitlines()[-2:] == [f"run: {run.folder}", f"submission: {run.submission}"]
    assert "kit.submit" not in printed, "an ensemble of the sample may not be submitted"
    metrics, config = run.metrics(), run.config()
    oof, test = run.oof(), run.test()
    assert oof.dtype == test.dtype == np.float32
    assert metrics.validation_accuracy == accuracy(digits.train_labels, oof)
    assert metrics.validation_accuracy > max(one.validation_accuracy for one in metrics.members.values())
    np.testing.assert_allclose(test.sum(axis=1), 1, atol=1e-4)
    assert metrics.model == config.model == "ensemble"
    assert (config.ensemble.method, config.ensemble.members) == (method, ["net_0", "net_1", "net_2"])
    assert (metrics.fit_seconds, metrics.images_per_second, metrics.parameters) == (60.0, 100.0, 3000)
    assert metrics.seen == ["mnist"]
    assert len(metrics.fold_accuracies) == metrics.folds == 5
    assert np.mean(metrics.fold_accuracies) == pytest.approx(metrics.validation_accuracy, abs=2e-3)
    if method != "stack":
        assert sum(config.ensemble.weights.values()) == pytest.approx(1)
    assert len(list(run.figures.glob("*.png"))) == 3
    written = pd.read_csv(run.submission)
    assert list(written.columns) == ["ImageId", "Label"]
    np.testing.assert_array_equal(written["ImageId"], digits.test_ids)
    np.testing.assert_array_equal(written["Label"], test.argmax(axis=1))


def test_the_table_has_every_member_the_mean_and_the_method(trained, digits, capsys):
    assert main(["net_*", "--method", "weighted"]) == 0
    printed = capsys.readouterr().out
    for run in trained:
        assert f"{run.name}       {accuracy(digits.train_labels, run.oof()):8.3%}" in printed
    mean = np.mean([run.oof() for run in trained], axis=0)
    assert f"plain mean  {accuracy(digits.train_labels, mean):8.3%}" in printed
    assert "\nweighted    " in printed
    assert "all 1,491 training images" in printed
    assert printed.count("McNemar's p") == 2
    assert "SAMPLE DATA" in printed
    assert tracking.every(DIGITS)[-1].name.startswith("ensemble-")


def test_a_gain_within_noise_is_warned_of_and_a_real_one_is_not(trained, digits, capsys):
    main(["net_0", "net_1", "net_2", "--name", "real"])
    assert "warning" not in capsys.readouterr().out
    twin = leave_run("twin", digits, 0)
    almost = twin.oof()
    almost[:50] = 0.1
    twin.write_array("oof", almost)
    main(["net_0", "twin", "--name", "idle"])
    assert "warning: the difference from the best member (net_0) is within noise" in capsys.readouterr().out
    twin.write_array("oof", np.roll(twin.oof(), 1, axis=1))
    main(["net_0", "twin", "--method", "weighted", "--weights", "1,5", "--name", "worse"])
    printed = capsys.readouterr().out
    assert "warning: this is worse than the best member (net_0)." in printed
    assert "warning: this is worse than the plain mean." in printed


def test_without_folds_the_shared_validation_rows_score(workplace, digits, capsys):
    known = np.random.default_rng(0).random(len(digits.train_labels)) < 0.2
    fewer = known & (np.arange(len(known)) % 2 == 0)
    leave_run("a", digits, 0, known, folds=0)
    leave_run("b", digits, 1, fewer, folds=0)
    assert main(["a", "b", "--method", "hill-climb", "--name", "joined"]) == 0
    assert f"the {fewer.sum():,} of 1,491 training images that all runs have predicted" in capsys.readouterr().out
    run = tracking.find("joined")
    np.testing.assert_array_equal(np.isnan(run.oof()).any(axis=1), ~fewer)
    assert run.metrics().validation_images == fewer.sum()
    assert run.metrics().fold_accuracies is None


def test_an_ensemble_can_be_joined_again_but_a_pattern_passes_it_by(trained, capsys):
    assert main(["net_0", "net_1", "--method", "hill-climb", "--name", "net_both"]) == 0
    assert main(["net_both", "net_2", "--name", "again"]) == 0
    assert tracking.find("again").config().ensemble.members == ["net_both", "net_2"]
    assert main(["net_*", "net_1", "net_both", "--name", "all"]) == 0
    assert tracking.find("all").config().ensemble.members == ["net_0", "net_1", "net_2", "net_both"]


def test_given_weights_belong_to_the_runs_in_their_order(trained, workplace):
    folder = workplace / "runs" / DIGITS / "net_0"
    assert main(["net_1", str(folder), "--method", "weighted", "--weights", "3,1", "--name", "joined"]) == 0
    run = tracking.find("joined")
    assert run.config().ensemble.weights == {"net_1": 0.75, "net_0": 0.25}
    np.testing.assert_allclose(run.test(), 0.75 * trained[1].test() + 0.25 * trained[0].test(), atol=1e-6)


def test_geometric_mean_by_option(trained):
    assert main(["net_*", "--geometric", "--name", "joined"]) == 0
    product = np.prod([run.test().astype(np.float64) for run in trained], axis=0) ** (1 / 3)
    np.testing.assert_allclose(tracking.find("joined").test(), product / product.sum(axis=1, keepdims=True), atol=1e-5)


def test_runs_on_a_part_of_the_data_are_joined_on_that_part(workplace, digits):
    part = loaders.load(DIGITS, "sample", "data", 300)
    for seed in (0, 1):
        leave_run(f"quick_{seed}", part, seed)
    assert main(["quick_*", "--name", "joined"]) == 0
    assert tracking.find("joined").oof().shape == (300, 10)
    assert tracking.find("joined").config().data.limit == 300


def test_the_same_command_gives_the_same_files(trained):
    for name in ("one", "same"):
        assert main(["net_*", "--method", "weighted", "--seed", "4", "--name", name]) == 0
    one, same = tracking.find("one"), tracking.find("same")
    for file in ("oof.npy", "test.npy", "metrics.json", "config.yaml"):
        assert (one.folder / file).read_bytes() == (same.folder / file).read_bytes()


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"folds": 4}, "its folds is 4, not 5; train them with the same --folds"),
        ({"split_seed": 7}, "its split_seed is 7, not 0; train them with the same --split-seed"),
        ({"held_out_share": 0.1}, "its held_out_share is 0.1, not 0.0; train them with the same --held-out-share"),
        ({"source": "keras"}, "its source is keras, not sample; train them with the same --source"),
        ({"data_fingerprint": "f" * 64}, "its data_fingerprint is ffffffffffff…"),
        ({"competition": "cifar-10"}, "its competition is cifar-10, not digit-recognizer"),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(facts, reason, trained, capsys):
    change(trained[1], **facts)
    line = refusal(capsys, "net_*", "--name", "joined")
    assert reason in line
    assert f"{trained[1].folder} does not belong to {trained[0].folder}" in line
    assert not (tracking.RUNS / DIGITS / "joined").exists()


def test_the_validation_share_counts_where_there_are_no_folds(trained, capsys):
    change(trained[1], validation_share=0.2)
    assert main(["net_0", "net_1", "--name", "with-folds"]) == 0
    for run in trained[:2]:
        change(run, folds=0)
    assert "its validation_share is 0.2, not 0.1" in refusal(capsys, "net_0", "net_1")


def test_runs_of_another_competition_are_refused(trained, digits, capsys):
    other = leave_run("net_9", digits, 9, competition="cifar-10")
    line = refusal(capsys, "net_0", str(other.folder))
    assert "its competition is cifar-10, not digit-recognizer" in line
    assert "fits runs of cifar-10 and digit-recognizer; add --competition" in refusal(capsys, "net_*")
    assert main(["net_*", "--competition", DIGITS]) == 0
    line = refusal(capsys, str(trained[0].folder), str(trained[1].folder), "--competition", "cifar-10")
    assert "belongs to digit-recognizer, not to cifar-10" in line
    assert "unknown competition 'digits'" in refusal(capsys, "net_*", "--competition", "digits")


def test_runs_on_other_data_than_those_at_hand_are_refused(trained, capsys):
    for run in trained:
        config = run.config()
        other = Data(**{**config.data.model_dump(), "fingerprint": "0" * 64})
        run.rewrite_config(config.model_copy(update={"data": other}))
    assert "--data-dir" in refusal(capsys, "net_*")


def test_unfinished_and_damaged_runs_are_refused(trained, capsys):
    broken = trained[1]
    whole = {file: (broken.folder / file).read_bytes() for file in ("oof.npy", "test.npy", "metrics.json")}

    def with_oof(change_it):
        oof = broken.oof()
        change_it(oof)
        broken.write_array("oof", oof)

    def all_nan(oof):
        oof[:] = np.nan

    def half_a_row(oof):
        oof[3, 4:] = np.nan

    def logits(oof):
        oof[5] *= 7

    faults = [
        (lambda: (broken.folder / "metrics.json").unlink(), "is not finished: go on with"),
        (lambda: (broken.folder / "metrics.json").write_text("{"), "metrics.json is damaged"),
        (lambda: (broken.folder / "metrics.json").write_text('{"competition": "x"}'), "metrics.json is damaged: "),
        (lambda: (broken.folder / "oof.npy").unlink(), "oof.npy is missing"),
        (lambda: (broken.folder / "oof.npy").write_bytes(whole["oof.npy"][:500]), "oof.npy is damaged"),
        (lambda: broken.write_array("oof", np.ones((7, 10), np.float32) / 10), "oof.npy holds"),
        (lambda: with_oof(all_nan), "has no out-of-fold predictions"),
        (lambda: with_oof(half_a_row), "oof.npy, row 3:"),
        (lambda: with_oof(logits), "oof.npy, row 5:"),
        (lambda: broken.write_array("test", np.ones((7, 10), np.float32) / 10), "test.npy holds"),
        (lambda: broken.write_array("test", np.full_like(broken.test(), np.nan)), "test.npy"),
    ]
    for break_it, reason in faults:
        break_it()
        assert reason in refusal(capsys, "net_*", "--name", "joined")
        assert not (tracking.RUNS / DIGITS / "joined" / "config.yaml").exists()
        for file, content in whole.items():
            (broken.folder / file).write_bytes(content)
    assert main(["net_*", "--name", "joined"]) == 0


def test_a_pattern_joins_the_same_networks_once(trained, digits, capsys):
    """`net_0-tta` holds net_0's networks again."""
    parent = trained[0].config()
    again = leave_run("net_0-tta", digits, 0)
    again.rewrite_config(parent.model_copy(update={"kind": "tta", "parent": "net_0"}))
    assert main(["net_*", "--name", "joined"]) == 0
    assert tracking.find("joined").config().ensemble.members == ["net_0", "net_1", "net_2"]
    assert "same networks" in refusal(capsys, "net_0", "net_0-tta", "net_1")
    assert main(["net_0-*", "net_1", "--name", "by-copies"]) == 0


def test_a_run_that_lacks_predictions_it_claims_is_refused(trained, capsys):
    """As a diverged fold would leave it: its rows are NaN, the others right."""
    oof = trained[1].oof()
    oof[::3] = np.nan
    trained[1].write_array("oof", oof)
    assert "oof.npy" in refusal(capsys, "net_0", "net_1")


def test_runs_without_a_common_image_are_refused(workplace, digits, capsys):
    even = np.arange(len(digits.train_labels)) % 2 == 0
    leave_run("a", digits, 0, even, folds=0)
    leave_run("b", digits, 1, ~even, folds=0)
    assert "no training image was predicted out of fold by all" in refusal(capsys, "a", "b")


def test_too_few_common_images_are_refused(workplace, digits, capsys):
    for seed in (0, 1):
        leave_run(f"a{seed}", digits, seed, np.arange(len(digits.train_labels)) < 3, folds=0)
    assert "only 3 images were predicted by all runs; 5 are needed" in refusal(capsys, "a0", "a1")


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["net_0"], "at least two runs; net_0 means only"),
        (["net_0", "net_0"], "at least two runs"),
        (["net_0", "nett_1"], "Did you mean net_1?"),
        (["vgg*"], "no trained network's run fits 'vgg*'"),
        (["net_*", "--weights", "1,1,1"], "--weights goes with --method weighted"),
        (["net_*", "--method", "weighted", "--weights", "1,1"], "2 weights for 3 runs"),
        (["net_*", "--method", "weighted", "--weights", "1,-1,1"], "each must be 0 or more"),
        (["net_*", "--method", "weighted", "--weights", "0,0,0"], "not all 0"),
        (["net_*", "--method", "weighted", "--weights", "nan,1,1"], "each must be 0 or more"),
        (["net_*", "--method", "stack", "--geometric"], "--geometric goes with --method mean, weighted or snapshot"),
        (["net_*", "--name", "net_0"], "exists already; take another --name, or remove it"),
        (["net_*", "--name", "../up"], "cannot name a run"),
        (["net_*", "--seed", "-1"], "--seed -1"),
    ],
)
def test_wrong_flags_are_refused(argv, reason, trained, capsys):
    before = (trained[0].folder / "oof.npy").read_bytes()
    assert reason in refusal(capsys, *argv)
    assert (trained[0].folder / "oof.npy").read_bytes() == before


def test_words_for_weights_are_refused(trained, capsys):
    assert "--weights" in refusal(capsys, "net_*", "--weights", "a,b")


def test_two_folders_of_one_name_are_refused(trained, workplace, capsys):
    elsewhere = workplace / "old" / DIGITS / "net_0"
    elsewhere.parent.mkdir(parents=True)
    trained[0].folder.rename(elsewhere)
    leave_run("net_0", loaders.load(DIGITS, "sample"), 5)
    assert "two of the runs are called 'net_0'" in refusal(capsys, "net_0", str(elsewhere))


def test_files_are_plain_json_and_yaml(trained):
    assert main(["net_*", "--method", "hill-climb", "--name", "joined"]) == 0
    folder = tracking.find("joined").folder
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert set(metrics) >= {"competition", "source", "split_seed", "data_fingerprint", "validation_log_loss"}
    assert yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["ensemble"]["options"]["bags"] == 20
    assert competitions.get(metrics["competition"]).classes == tracking.find("joined").oof().shape[1]


def test_help_needs_no_heavy_import():
    code = (
        "import sys\nfrom kit.ensemble.__main__ import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print({'sklearn', 'scipy', 'pandas', 'matplotlib', 'keras', 'kaggle'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--method" in done.stdout
    assert done.stderr.strip() == "set()"


def test_a_network_that_counts_twice_through_ensembles_is_said(trained, digits, capsys):
    again = leave_run("net_0-tta", digits, 0)
    again.rewrite_config(trained[0].config().model_copy(update={"kind": "tta", "parent": "net_0"}))
    assert main(["net_0-tta", "net_1", "--name", "inner"]) == 0
    assert main(["inner", "net_2", "--name", "apart"]) == 0
    assert not capsys.readouterr().err
    for number, other in enumerate(("net_0", "net_1", "apart")):
        assert main(["inner", other, "--name", f"twice-{number}"]) == 0
        (line,) = capsys.readouterr().err.splitlines()
        assert "inner" in line
        assert other in line
    assert main(["inner", "--method", "snapshot", "--name", "x"]) == 2


def test_a_place_that_cannot_be_written_is_known_before_the_work(trained, workplace, monkeypatch, capsys):
    (workplace / "submissions").touch()
    monkeypatch.setattr(ensemble.build, "score", None)
    assert "submissions" in refusal(capsys, "net_0", "net_1", "--name", "joined")
    assert not (tracking.RUNS / DIGITS / "joined").exists()
