"""A training from its first step to its run: repeatability, resume, divergence, precision, folds, inference."""

import dataclasses
import gc
import zipfile

import keras
import numpy as np
import pytest
from made import DIGITS, train

from kit import competitions, loaders, metrics, tracking
from kit.comparison import overview
from kit.errors import Failure, UserError
from kit.loaders.limit import limited
from kit.recipes import Recipe
from kit.training import (
    checkpoint,
    devices,
    fit,
    inference,
    lineage,
    precision,
    session,
    setup,
    splits,
    start,
    transfer,
)
from kit.training.batches import Batches

convert = keras.ops.convert_to_numpy
QUICK = Recipe(model="lenet_small", epochs=1, batch_size=32, precision="float32")
EVERYTHING = Recipe(
    model="fast_cnn",
    epochs=3,
    batch_size=32,
    precision="float32",
    shift=2,
    rotate=10,
    zoom=0.1,
    shear=5,
    elastic=1,
    flip="alternating",
    cutout=6,
    ema=0.9,
    lookahead=3,
    label_smoothing=0.1,
    weight_decay=0.01,
)


@pytest.fixture(scope="module")
def sample():
    return limited(loaders.load("digit-recognizer", "sample"), 240)


def split_of(dataset):
    targets = np.eye(10, dtype=np.float32)[dataset.train_labels]
    return fit.Split(dataset.train_images[40:], targets[40:], dataset.train_images[:40], dataset.train_labels[:40])


def build(recipe, dataset, **options):
    return transfer.build(recipe, dataset.competition, lineage.resolve(recipe, dataset), **options)


def trained(recipe, dataset, paths=None):
    keras.utils.set_random_seed(recipe.seed)
    network, _ = build(recipe, dataset)
    history = fit.fit(network, split_of(dataset), recipe, paths)
    return [convert(weight) for weight in network.weights], history


# --- repeatability and resume


@pytest.fixture(scope="module")
def whole(sample):
    """A training that nothing interrupted: its weights and its history."""
    return trained(EVERYTHING, sample)


def test_another_seed_gives_other_bits(sample, whole):
    other, _ = trained(EVERYTHING.replace(seed=1), sample)
    assert any((one != two).any() for one, two in zip(whole[0], other, strict=True))


class Unplugged(Exception):
    pass


def test_a_training_broken_twice_ends_with_the_same_bits(sample, whole, tmp_path, monkeypatch):
    paths = fit.CheckpointPaths(tmp_path / "state.npz", tmp_path / "best.keras")
    weights, history = whole
    original = checkpoint.save
    for epoch in (1, 2):

        def save_and_break(path, model, progress, epoch=epoch):
            original(path, model, progress)
            if len(progress["history"]) == epoch:
                raise Unplugged

        monkeypatch.setattr(checkpoint, "save", save_and_break)
        with pytest.raises(Unplugged):
            trained(EVERYTHING, sample, paths)
    monkeypatch.undo()
    resumed, resumed_history = trained(EVERYTHING, sample, paths)
    for one, two in zip(weights, resumed, strict=True):
        np.testing.assert_array_equal(one, two)
    for row, resumed_row in zip(history, resumed_history, strict=True):
        assert {**row, "seconds": 0} == {**resumed_row, "seconds": 0}
    assert np.diff([row["seconds"] for row in resumed_history]).min() > 0


@pytest.mark.parametrize("content", [b"", b"rubbish", "other"])
def test_a_state_that_is_none_is_named(sample, tmp_path, content):
    paths = fit.CheckpointPaths(tmp_path / "state.npz", tmp_path / "best.keras")
    recipe = Recipe(model="lenet_small", epochs=1, batch_size=64, precision="float32")
    if content == "other":
        trained(recipe.replace(model="mnist_cnn"), sample, paths)
    else:
        paths.state.write_bytes(content)
    with pytest.raises(UserError, match=r"state\.npz"):
        trained(recipe, sample, paths)


def test_patience_stops(sample):
    recipe = Recipe(
        model="lenet_small",
        epochs=30,
        batch_size=64,
        patience=2,
        learning_rate=0.05,
        schedule="constant",
        precision="float32",
    )
    _, history = trained(recipe, sample)
    losses = [row["val_loss"] for row in history]
    assert len(losses) < 30
    assert len(losses) == int(np.argmin(losses)) + 3


# --- numbers that would be wrong


@pytest.mark.parametrize("fields", [{}, {"folds": 2}, {"precision": "bfloat16"}])
def test_a_training_that_diverges_fails_and_claims_nothing(sample, workplace, fields):
    recipe = QUICK.replace(**{"epochs": 4, "learning_rate": 1000, "weight_decay": 1000, "optimizer": "sgd", **fields})
    with pytest.raises(Failure, match="--learning-rate"):
        train("diverged", sample, recipe)
    run = tracking.find("diverged")
    assert run.state == "begun"
    assert not {"metrics.json", "oof.npy", "test.npy"} & {path.name for path in run.folder.iterdir()}
    assert not run.submission.exists()


def test_a_training_that_has_learned_nothing_says_so_and_its_run_remembers_it(sample, workplace, capsys):
    digits = limited(loaders.load(DIGITS, "sample"), 1000)
    for name, rate in (("nothing", 1000), ("something", 0.05)):
        recipe = QUICK.replace(epochs=2, optimizer="sgd", learning_rate=rate, validation_share=0.2)
        run = start.fit(digits, recipe, name)
        warned = capsys.readouterr().err.splitlines()
        assert run.metrics().beats_baseline == bool(run.metrics().shortfall == "") == (not warned) == (rate < 1)
        assert len(warned) == (rate > 1)
        assert rate < 1 or "nothing" in warned[0]
    frame = overview.table()
    assert dict(zip(frame["name"], frame["note"].notna(), strict=True)) == {"nothing": True, "something": False}


def test_a_fold_that_has_learned_nothing_is_not_hidden_by_the_others(sample):
    digits = limited(loaders.load(DIGITS, "sample"), 600)
    training = setup.resolve(digits, QUICK.replace(folds=3))
    oof = np.full((600, 10), 0.05, np.float32)
    oof[np.arange(600), digits.train_labels] = 0.55
    assert session.reached(training, oof)["beats_baseline"] is True
    oof[training.folds[1][1]] = np.eye(10, dtype=np.float32)[3]
    assert session.reached(training, oof)["beats_baseline"] is False


@pytest.mark.parametrize("metric", metrics.METRICS)
def test_a_score_is_compared_with_that_of_the_best_constant_prediction(metric):
    rng = np.random.default_rng(0)
    labels = rng.choice(5, 1000, p=[0.6, 0.1, 0.1, 0.1, 0.1])
    right = np.full((1000, 5), 0.02)
    right[np.arange(1000), np.where(rng.random(1000) < 0.8, labels, rng.integers(0, 5, 1000))] = 0.92
    shares = np.tile(np.bincount(labels) / 1000, (1000, 1))
    noise = np.random.default_rng(1).dirichlet(np.ones(5) * 50, 1000)
    for probabilities, beats in ((right, True), (shares, False), (noise, False), (np.eye(5)[[0] * 1000], False)):
        assert metrics.against_baseline(metric, labels, probabilities)["beats_baseline"] is beats
    few = metrics.against_baseline(metric, labels[:50], right[:50])
    assert few["beats_baseline"] is None
    wanted = {"accuracy": np.mean(labels == 0), "quadratic-weighted-kappa": 0.0}
    found = metrics.against_baseline(metric, labels, right)["baseline_score"]
    assert found == pytest.approx(wanted.get(metric, found))


def test_a_network_that_predicts_what_is_not_finite_fails(sample):
    network, _ = build(QUICK, sample)
    network.get_layer("logits").bias.assign(np.full(10, np.nan))
    with pytest.raises(Failure):
        inference.predict(network, sample.test_images[:3])


def test_rows_that_were_validated_on_must_have_a_prediction(sample):
    training = setup.resolve(sample, QUICK.replace(folds=3))
    oof = np.full((240, 10), 0.1, np.float32)
    assert session.reached(training, oof)["validation_images"] == 240
    oof[training.folds[1][1]] = np.nan
    with pytest.raises(UserError):
        session.reached(training, oof)
    with pytest.raises(UserError):
        session.reached(training, np.ones((240, 10), np.float32))


def test_resuming_on_other_data_is_refused(sample, workplace, monkeypatch):
    def unplugged(*arguments):
        raise Unplugged

    with monkeypatch.context() as patched:
        patched.setattr(session, "_metrics", unplugged)
        with pytest.raises(Unplugged):
            train("mine", sample, QUICK)
    reversed_rows = dataclasses.replace(
        sample, train_images=sample.train_images[::-1], train_labels=sample.train_labels[::-1]
    )
    before = (tracking.find("mine").folder / "config.yaml").read_bytes()
    with pytest.raises(UserError):
        train("mine", reversed_rows, QUICK)
    with pytest.raises(UserError):
        train("mine", sample, QUICK.replace(seed=2))
    assert (tracking.find("mine").folder / "config.yaml").read_bytes() == before
    train("mine", sample, QUICK)


@pytest.mark.parametrize("left", ["state", "fold"])
@pytest.mark.parametrize("field", ["split_seed", "seed"])
def test_what_is_left_of_another_recipe_is_not_gone_on_from(sample, workplace, monkeypatch, left, field):
    """`config.yaml` was edited: the same shapes, other rows, and predictions that would count for the wrong images."""

    def unplugged(*arguments):
        raise Unplugged

    recipe = QUICK.replace(folds=2)
    with monkeypatch.context() as patched:
        patched.setattr(*((session, "_metrics") if left == "fold" else (session, "_predicted")), unplugged)
        with pytest.raises(Unplugged):
            train("mine", sample, recipe)
    run = tracking.find("mine")
    run.rewrite_config(run.config().model_copy(update={"recipe": recipe.replace(**{field: 7})}))
    with pytest.raises(UserError, match=field):
        start.resume(run, sample)


@pytest.mark.parametrize(
    "fields",
    [
        {"devices": "99"},
        {"devices": "3", "batch_size": 128},
        {"devices": "2", "batch_size": 500, "validation_share": 0.0375},  # 231 of the images train
        {"model": "resnet_smal"},
        {"options": {"depth": 3}},
        {"options": {"dropout": 0.5}},
        {"weights": "nowhere"},
        {"weights": "nowhere.keras"},
        {"teacher": "nobody"},
        {"unfreeze": 1},
        {"folds": 200},
    ],
)
def test_what_can_be_known_at_the_start_fails_at_the_start(sample, workplace, fields):
    with pytest.raises(UserError):
        train("never", sample, QUICK.replace(**{"epochs": 4, **fields}))
    assert not tracking.RUNS.exists()


def test_a_run_of_another_competition_with_the_teachers_name_does_not_teach(sample, workplace):
    photos = limited(loaders.load("cifar-10", "sample"), 100)
    train("teacher", photos, QUICK.replace(folds=2))
    with pytest.raises(UserError):
        setup.resolve(sample, QUICK.replace(teacher="teacher"))
    own, _ = train("teacher", sample, QUICK.replace(folds=2))
    assert lineage.resolve(QUICK.replace(teacher="teacher"), sample).teacher.folder == own.folder


# --- precision


@pytest.fixture
def bfloat16_machine(monkeypatch):
    """A CPU that has bfloat16, on which steps take what the test says; counts the measurements."""
    measured = []

    def step_seconds(candidates, build, batches):
        measured.append(candidates)
        return {"float32": 0.1, "bfloat16": 0.06}

    monkeypatch.setattr(devices, "processor", lambda: "CPU avx512_bf16")
    monkeypatch.setattr(devices, "accelerator", lambda: "")
    monkeypatch.setattr(precision, "_step_seconds", step_seconds)
    return measured


def batches_of(dataset, recipe):
    return Batches(dataset.train_images, np.eye(10, dtype=np.float32)[dataset.train_labels], recipe)


def test_auto_takes_the_faster_arithmetic_and_remembers_it(sample, bfloat16_machine, scratch_home):
    recipe = Recipe(model="lenet_small")
    assert precision.choose(recipe, None, batches_of(sample, recipe)) == "bfloat16"
    assert precision.choose(recipe, None, batches_of(sample, recipe)) == "bfloat16"
    assert len(bfloat16_machine) == 1
    other = recipe.replace(model="mnist_cnn")
    precision.choose(other, None, batches_of(sample, other))
    assert len(bfloat16_machine) == 2
    for memory in scratch_home.rglob("precision.json"):
        memory.write_text("{rubbish")
    precision.choose(recipe, None, batches_of(sample, recipe))
    assert len(bfloat16_machine) == 3


def test_what_is_asked_for_is_not_measured(sample, bfloat16_machine, monkeypatch):
    recipe = Recipe(precision="float32")
    assert precision.choose(recipe, None, batches_of(sample, recipe)) == "float32"
    monkeypatch.setattr(devices, "processor", lambda: "old CPU avx2")
    assert precision.choose(Recipe(), None, batches_of(sample, recipe)) == "float32"
    assert not bfloat16_machine


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_narrow_arithmetic_keeps_wide_weights(sample, name, tmp_path):
    keras.config.set_dtype_policy(precision.policy(name))
    try:
        weights, history = trained(Recipe(model="lenet_small", epochs=2, batch_size=32, ema=0.5), sample)
    finally:
        keras.config.set_dtype_policy("float32")
    assert all(weight.dtype == np.float32 for weight in weights)
    assert history[1]["loss"] < history[0]["loss"]
    paths = fit.CheckpointPaths(tmp_path / "state.npz", tmp_path / "best.keras")
    keras.config.set_dtype_policy(precision.policy(name))
    try:
        trained(Recipe(model="lenet_small", epochs=2, batch_size=32, ema=0.5), sample, paths)
        resumed, again = trained(Recipe(model="lenet_small", epochs=2, batch_size=32, ema=0.5), sample, paths)
    finally:
        keras.config.set_dtype_policy("float32")
    assert len(again) == 2
    for one, two in zip(weights, resumed, strict=True):
        np.testing.assert_array_equal(one, two)


# --- splits and whole runs


def test_splits_are_stratified_seeded_and_cover_everything():
    labels = np.random.default_rng(0).integers(0, 10, 1000)
    folds = splits.splits(labels, Recipe(folds=5))
    assert sorted(np.concatenate([rest for _, rest in folds])) == list(range(1000))
    for train_rows, rest in folds:
        assert not set(train_rows) & set(rest)
        np.testing.assert_allclose(np.bincount(labels[rest]), np.bincount(labels) / 5, atol=1)
    ((_, one),), ((_, same),), ((_, other),) = (splits.splits(labels, Recipe(split_seed=seed)) for seed in (0, 0, 1))
    assert (one == same).all()
    assert set(one) != set(other)
    assert len(one) == 100


def test_what_a_student_validates_on_is_left_out_of_all_folds():
    labels = np.random.default_rng(0).integers(0, 10, 1000)
    for seed in (0, 1):
        ((rows, held_out),) = splits.splits(labels, Recipe(split_seed=seed, validation_share=0.2))
        folds = splits.splits(labels, Recipe(split_seed=seed, folds=3, held_out_share=0.2))
        assert sorted(np.concatenate([rest for _, rest in folds])) == list(rows)
        for train_rows, rest in folds:
            assert set(train_rows) == set(rows) - set(rest)
            assert list(train_rows) == sorted(train_rows)
            np.testing.assert_allclose(np.bincount(labels[rest]), np.bincount(labels[rows]) / 3, atol=1)
        assert not set(held_out) & set(rows)


def test_splits_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="folds"):
        splits.splits(np.array([0, 0, 1, 1]), Recipe(folds=3))
    with pytest.raises(UserError, match=r"folds: .* at most 2 folds"):
        splits.splits(np.repeat([0, 1], 4), Recipe(folds=3, held_out_share=0.5))
    with pytest.raises(UserError, match=r"folds: .* --limit"):  # one fold is none
        splits.splits(np.array([0, 0, 1]), Recipe(folds=2))
    with pytest.raises(UserError, match="held_out_share"):
        splits.splits(np.array([0, 1] * 5), Recipe(folds=2, held_out_share=0.1))
    with pytest.raises(UserError, match="validation_share"):
        splits.splits(np.array([0, 1] * 5), Recipe(validation_share=0.1))


def test_folds_leave_a_whole_run(sample, workplace):
    recipe = Recipe(model="lenet_small", epochs=2, batch_size=32, folds=3, precision="float32", tta=True)
    run, metrics = train("folds", sample, recipe)
    oof, test = run.oof(), run.test()
    assert oof.dtype == test.dtype == np.float32
    assert oof.shape == (240, 10)
    np.testing.assert_allclose(oof.sum(1), 1, atol=1e-3)
    np.testing.assert_allclose(test.sum(1), 1, atol=1e-3)
    assert metrics.validation_accuracy == pytest.approx((oof.argmax(1) == sample.train_labels).mean())
    assert len(metrics.fold_accuracies) == 3
    assert sum(metrics.tta_weights) == pytest.approx(1, abs=1e-3)
    assert len(run.network_paths()) == 3
    assert not (run.folder / ".working").exists()
    header, *rows = (run.folder / "history.csv").read_text().splitlines()
    assert header == "fold,epoch,seconds,learning_rate,loss,accuracy,val_loss,val_accuracy"
    assert [row.split(",")[:2] for row in rows] == [[str(fold), str(epoch)] for fold in range(3) for epoch in (1, 2)]
    for fold, (_, rest) in enumerate(splits.splits(sample.train_labels, recipe)):
        network = transfer.load(run.network_path(fold))
        plain = inference.predict(network, sample.train_images[rest])
        assert (plain.argmax(1) == oof[rest].argmax(1)).mean() > 0.8


@pytest.mark.slow  # three folds, to see that memory does not grow
def test_no_fold_outlives_itself(sample, workplace, monkeypatch):
    objects, train_fold = [], session._fold

    def counted(*arguments):
        part = train_fold(*arguments)
        objects.append(len(gc.get_objects()))
        return part

    monkeypatch.setattr(session, "_fold", counted)
    recipe = Recipe(model="fast_cnn", epochs=1, folds=3, batch_size=64, precision="float32", lookahead=2)
    train("folded", sample, recipe)
    assert objects[2] - objects[1] < 500  # one step's graph has thousands


def test_without_folds_only_validation_rows_are_predicted(sample, workplace):
    recipe = Recipe(
        model="lenet_small", epochs=1, batch_size=32, precision="float32", validation_share=0.25, checkpoint="best"
    )
    run, metrics = train("plain", sample, recipe)
    assert metrics.selected_on_validation
    ((_, held_out),) = splits.splits(sample.train_labels, recipe)
    predicted = np.flatnonzero(~np.isnan(run.oof()).any(axis=1))
    np.testing.assert_array_equal(predicted, held_out)


def test_weights_of_a_run_start_another(sample, workplace):
    first, _ = train("first", sample, QUICK)
    second = QUICK.replace(weights="first")
    network, taken = build(second, sample)
    assert taken == ["conv1", "dense1", "logits"]
    found = lineage.resolve(second, sample)
    _, without_head = transfer.build(second, dataclasses.replace(competitions.get(DIGITS), name="elsewhere"), found)
    assert without_head == ["conv1", "dense1"]
    np.testing.assert_array_equal(
        network.get_layer("conv1").get_weights()[0],
        transfer.load(first.network_path(0)).get_layer("conv1").get_weights()[0],
    )
    with pytest.raises(UserError):
        build(Recipe(model="resnet_small", weights="first"), sample)


# --- inference


def test_augmented_copies_are_averaged(sample):
    keras.utils.set_random_seed(0)
    network, _ = build(Recipe(model="lenet_small"), sample)
    images = sample.train_images[:30]
    left = inference.Transform("left", shift_x=-1)
    plain, shifted = inference.predict(network, images), inference.predict(network, images, [left])
    both = inference.predict(network, images, [inference.IDENTITY, left])
    np.testing.assert_allclose(both, (plain + shifted) / 2, atol=1e-6)
    by_hand = np.zeros_like(images)
    by_hand[:, :, :-1] = images[:, :, 1:]
    np.testing.assert_allclose(shifted, inference.predict(network, by_hand), atol=1e-4)
    assert len(inference.predict(network, images[:0])) == 0


def test_augmented_copies_have_the_fill_mode_of_the_training(sample):
    keras.utils.set_random_seed(0)
    network, _ = build(Recipe(model="lenet_small"), sample)
    images = 255 - sample.train_images[:30]  # bright edges, so that a black one shows
    folded = np.concatenate([images[:, :, 1:], images[:, :, -2:-1]], axis=2)
    expected = inference.predict(network, folded)
    black, reflected = (
        inference.predict(network, images, [inference.Transform("left", shift_x=-1, fill_mode=fill_mode)])
        for fill_mode in ("constant", "reflect")
    )
    np.testing.assert_allclose(reflected, expected, atol=1e-4)
    assert np.abs(black - expected).max() > 1e-3
    recipe = Recipe(tta=True, fill_mode="reflect")
    for competition in ("digit-recognizer", "cifar-10"):
        groups = setup.transforms(recipe, competitions.get(competition))
        moved = [transform for group in groups for transform in group if transform.shift_x]
        assert moved
        assert {transform.fill_mode for transform in moved} == {"reflect"}


def test_only_symmetric_competitions_are_mirrored():
    names = [transform.name for group in inference.tta_groups(False, "constant") for transform in group]
    assert not any("mirror" in name for name in names)
    assert any("mirror" in transform.name for group in inference.tta_groups(True, "constant") for transform in group)


def test_what_the_first_weights_have_seen_is_inherited(sample, workplace):
    train("first", dataclasses.replace(sample, seen=("mnist",)), QUICK)
    second, metrics = train("second", sample, QUICK.replace(weights="first"))
    assert metrics.seen == ["mnist"]
    _, by_file = train("third", sample, QUICK.replace(weights=str(second.network_path(0))))
    assert by_file.seen == ["mnist"]


def test_a_network_that_unpacks_to_far_more_than_it_has_is_not_unpacked(tmp_path):
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    network.save(tmp_path / "whole.keras")
    with zipfile.ZipFile(tmp_path / "whole.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name, method in (("packed", zipfile.ZIP_DEFLATED), ("bomb", zipfile.ZIP_DEFLATED)):
        more = bytes(100_000_000) if name == "bomb" else b""
        with zipfile.ZipFile(tmp_path / f"{name}.keras", "w", method) as archive:
            for part, content in parts.items():
                archive.writestr(part, content + more)
    assert transfer.load(tmp_path / "packed.keras").count_params() == network.count_params()
    with pytest.raises(UserError, match=r"bomb\.keras.* GB"):
        transfer.load(tmp_path / "bomb.keras")


def test_a_network_from_elsewhere_cannot_bring_code_along(tmp_path):
    network = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x)])
    network.save(tmp_path / "evil.keras")
    with pytest.raises(UserError, match=r"evil\.keras"):
        transfer.load(tmp_path / "evil.keras")
