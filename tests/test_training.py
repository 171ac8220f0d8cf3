"""The engine: augmentation, schedules, optimizers, repeatability, resume, folds."""

import dataclasses
import gc

import keras
import numpy as np
import pytest

from kit import loaders, tracking
from kit.errors import UserError
from kit.loaders.limit import limited
from kit.recipes import Recipe
from kit.training import (
    augmentation,
    checkpoint,
    devices,
    fit,
    inference,
    optimizers,
    precision,
    session,
    splits,
    transfer,
)
from kit.training.batches import Batches
from kit.training.schedule import Schedule

convert = keras.ops.convert_to_numpy
EVERYTHING = Recipe(
    model="digit_cnn",
    options={"width": 4},
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
    mixup=0.2,
    cutmix=1,
    ema=0.9,
    lookahead=3,
    label_smoothing=0.1,
    clip_norm=1,
    weight_decay=0.01,
)


@pytest.fixture(scope="module")
def sample():
    return limited(loaders.load("digit-recognizer", "sample"), 240)


def split_of(dataset):
    targets = np.eye(10, dtype=np.float32)[dataset.train_labels]
    return fit.Split(dataset.train_images[40:], targets[40:], dataset.train_images[:40], dataset.train_labels[:40])


def trained(recipe, dataset, paths=None):
    keras.utils.set_random_seed(recipe.seed)
    network, _ = transfer.build(recipe, (28, 28, 1), 10, dataset.competition.name)
    history = fit.fit(network, split_of(dataset), recipe, paths)
    return [convert(weight) for weight in network.weights], history


# --- augmentation


def bend(images, **numbers):
    inputs = {"images": images, **{name: np.asarray(value, np.float32) for name, value in numbers.items()}}
    return convert(augmentation.Augment()(inputs))


def moved(shift_x=0.0, shift_y=0.0, degrees=0.0, zoom=1.0, shear=0.0, mirror=False):
    return augmentation.affine([shift_x], [shift_y], [degrees], [zoom], [shear], [mirror])


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (1, 9, 9, 2), dtype=np.uint8)


def test_whole_movements_move_whole_pixels(picture):
    original = picture.astype(np.float32)
    np.testing.assert_allclose(bend(picture, affine=moved()), original, atol=1e-3)
    right = bend(picture, affine=moved(shift_x=2))
    np.testing.assert_allclose(right[:, :, 2:], original[:, :, :-2], atol=1e-3)
    assert (right[:, :, :2] == 0).all()
    down = bend(picture, affine=moved(shift_y=3))
    np.testing.assert_allclose(down[:, 3:], original[:, :-3], atol=1e-3)
    np.testing.assert_allclose(bend(picture, affine=moved(mirror=True)), original[:, :, ::-1], atol=1e-3)
    np.testing.assert_allclose(bend(picture, affine=moved(degrees=90)), np.rot90(original, -1, (1, 2)), atol=1e-2)


def test_zoom_and_shear_keep_the_centre(picture):
    larger = bend(picture, affine=moved(zoom=2.0))
    np.testing.assert_allclose(larger[0, 4, 4], picture[0, 4, 4], atol=1e-3)
    np.testing.assert_allclose(larger[0, 4, 6], picture[0, 4, 5], atol=1e-3)
    leaning = bend(picture, affine=moved(shear=45))
    np.testing.assert_allclose(leaning[0, 4], picture[0, 4], atol=1e-3)
    np.testing.assert_allclose(leaning[0, 3, :-1], picture[0, 3, 1:], atol=1e-2)


def test_the_border_reflects(picture):
    inputs = {"images": picture, "affine": moved(shift_x=2)}
    reflected = convert(augmentation.Augment("reflect")(inputs))
    np.testing.assert_allclose(reflected[0, :, 1], picture[0, :, 1], atol=1e-3)
    np.testing.assert_allclose(reflected[0, :, 0], picture[0, :, 2], atol=1e-3)


def test_elastic_bends_smoothly(picture):
    none = bend(picture, elastic=np.zeros((1, 5, 5, 2)))
    np.testing.assert_allclose(none, picture.astype(np.float32), atol=1e-3)
    everywhere = bend(picture, elastic=np.tile([1.0, 0.0], (1, 5, 5, 1)))  # the same push everywhere is a shift
    np.testing.assert_allclose(everywhere[:, :, :-1], picture[:, :, 1:].astype(np.float32), atol=1e-2)


def test_boxes_erase_and_mix(picture):
    box = np.array([[2, 1, 5, 4]])
    erased = bend(picture, cutout=box)
    mean = np.broadcast_to(picture[0].mean(axis=(0, 1)), (3, 3, picture.shape[-1]))
    np.testing.assert_allclose(erased[0, 1:4, 2:5], mean, atol=1e-3)
    assert (erased[0, 4:] == picture[0, 4:]).all()
    partner = 255 - picture
    mixed = bend(picture, mix_box=box, partners=partner)
    np.testing.assert_array_equal(mixed[0, 1:4, 2:5], partner[0, 1:4, 2:5])
    half = bend(picture, mix=[0.5], partners=partner)
    np.testing.assert_allclose(half, 127.5)


@pytest.mark.parametrize("fields", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_mixed_labels_say_what_the_pixels_say(fields):
    """Black images of class 0 and white ones of class 1: a mixed image's mean brightness is its share of class 1."""
    images = np.zeros((64, 8, 8, 1), np.uint8)
    images[32:] = 255
    targets = np.eye(2, dtype=np.float32)[np.repeat([0, 1], 32)]
    inputs, mixed = next(Batches(images, targets, Recipe(batch_size=64, **fields)).epoch(0))
    brightness = convert(augmentation.Augment()(inputs)).mean(axis=(1, 2, 3)) / 255
    np.testing.assert_allclose(brightness, mixed[:, 1], atol=1e-5)
    assert ((mixed[:, 1] > 0.01) & (mixed[:, 1] < 0.99)).any()


def test_alternating_flip_mirrors_each_image_every_second_epoch():
    recipe, rng = Recipe(flip="alternating"), np.random.default_rng(0)
    first, second = (augmentation.draw(recipe, 10, (8, 8, 1), epoch, rng)["affine"][:, 0] for epoch in (0, 1))
    assert (first == -second).all()
    assert (first == -1).sum() == 5


def test_draws_stay_within_the_recipe():
    recipe = Recipe(shift=3, rotate=15)
    numbers = augmentation.draw(recipe, 1000, (28, 28, 1), 0, np.random.default_rng(0))["affine"]
    degrees = np.rad2deg(np.arctan2(-numbers[:, 3], numbers[:, 4]))
    assert 14 < abs(degrees).max() <= 15.001
    back = -np.linalg.solve(numbers[:, [0, 1, 3, 4]].reshape(-1, 2, 2), numbers[:, [2, 5], None])[..., 0]
    assert 2.9 < abs(back).max() <= 3.001


@pytest.mark.parametrize("flip", ["none", "alternating"])
def test_shifts_alone_are_by_whole_pixels_and_keep_the_picture_sharp(flip):
    recipe, shape = Recipe(shift=2, flip=flip, fill_mode="reflect"), (8, 8, 3)
    rng = np.random.default_rng(0)
    numbers = augmentation.draw(recipe, 500, shape, 0, rng)
    steps, counts = np.unique(np.abs(numbers["affine"][:, 2]), return_counts=True)
    assert steps.tolist() == [0, 1, 2]
    assert counts[0] == pytest.approx(100, rel=0.35)  # of -2, -1, 0, 1, 2 all equally likely
    checkered = rng.choice([0, 255], (500, *shape)).astype(np.uint8)
    bent = convert(augmentation.Augment("reflect")({"images": checkered, **numbers}))
    assert set(np.unique(bent)) == {0, 255}
    between = augmentation.draw(dataclasses.replace(recipe, shift=1.5), 50, shape, 0, rng)["affine"]
    assert (between[:, 2] % 1 != 0).all()


def test_no_augmentation_draws_nothing():
    assert augmentation.draw(Recipe(), 10, (28, 28, 1), 0, np.random.default_rng(0)) == {}


# --- batches, schedule, optimizer


def test_an_epoch_shows_every_image_once():
    images = np.arange(50, dtype=np.uint8).reshape(50, 1, 1, 1)
    batches = Batches(images, np.eye(50, dtype=np.float32), Recipe(batch_size=10))
    first, again, next_epoch = (
        np.concatenate([part["images"].ravel() for part, _ in batches.epoch(e)]) for e in (0, 0, 1)
    )
    assert sorted(first) == list(range(50))
    assert (first == again).all()
    assert (first != next_epoch).any()
    for inputs, targets in batches.epoch(3):
        assert (targets.argmax(1) == inputs["images"].ravel()).all()


@pytest.mark.parametrize("kind", ["one-cycle", "cosine", "exponential", "constant"])
def test_schedules_rise_to_the_peak_and_end_where_they_should(kind):
    rates = [float(Schedule(kind, 2.0, 100, warmup=0.2, final=0.01)(step)) for step in range(101)]
    assert max(rates) == pytest.approx(2.0)
    assert rates[0] < 0.2
    assert (np.diff(rates[:20]) > 0).all()
    assert rates[100] == pytest.approx(2.0 if kind == "constant" else 0.02, rel=1e-3)
    assert (np.diff(rates[21:]) <= 1e-6).all()


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop", "lion", "muon"])
def test_optimizers_learn(name, sample):
    rate = {"sgd": 0.05, "lion": 3e-4}.get(name, 3e-3)
    recipe = Recipe(
        model="lenet_small", epochs=3, batch_size=32, optimizer=name, learning_rate=rate, precision="float32"
    )
    _, history = trained(recipe, sample)
    assert history[-1]["loss"] < 0.95 * history[0]["loss"]


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop", "lion", "muon"])
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_weight_decay_spares_biases_and_norms(name, decay):
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()])
    for weight in network.trainable_variables:
        weight.assign(keras.ops.ones(weight.shape))
    optimizer = optimizers.build(Recipe(optimizer=name, weight_decay=decay, learning_rate=0.1, warmup=0), network, 10)
    optimizer.apply([keras.ops.zeros(weight.shape) for weight in network.trainable_variables])
    for weight in network.trainable_variables:
        left = 1 - 0.1 * decay if len(weight.shape) == 2 else 1
        np.testing.assert_allclose(convert(weight), left, rtol=1e-6)


@pytest.mark.parametrize(("filters", "policy"), [(6, "float32"), (6, "mixed_bfloat16"), (48, "float32")])
def test_muon_moves_convolutions_by_matrices_without_a_preferred_direction(filters, policy):
    keras.config.set_dtype_policy(policy)
    try:
        inputs = keras.Input((8, 8, 4))
        convolved = keras.layers.Conv2D(filters, 3, use_bias=False)(inputs)
        network = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(convolved)))
    finally:
        keras.config.set_dtype_policy("float32")
    recipe = Recipe(optimizer="muon", learning_rate=0.1, schedule="constant", warmup=0)
    optimizer = optimizers.build(recipe, network, 10)
    kernel, dense, _ = network.trainable_variables
    before = [convert(weight) for weight in (kernel, dense)]
    rng = np.random.default_rng(0)
    spread = np.resize([10, 5, 3, 1, 0.5, 0.3], filters)  # the filters' gradients differ much
    steep = rng.normal(size=kernel.shape) * spread
    optimizer.apply([keras.ops.convert_to_tensor(steep, "float32"), keras.ops.ones(dense.shape), keras.ops.ones(3)])
    moved = (convert(kernel) - before[0]).reshape(36, filters)
    scale = 0.1 * 0.2 * max(36, filters) ** 0.5  # rate, Adam's size, longer side
    sizes = np.linalg.svd(moved, compute_uv=False) / scale
    assert optimizer.compute_dtype == policy.removeprefix("mixed_")
    assert sizes.min() > 0.4
    assert sizes.max() < 1.4
    np.testing.assert_allclose(convert(dense) - before[1], -0.1, rtol=1e-3)  # Adam's first step is the rate


def test_norms_biases_have_a_rate_of_their_own():
    inputs = keras.Input((2,))
    outputs = keras.layers.BatchNormalization(scale=False, name="norm")(keras.layers.Dense(3, name="dense")(inputs))
    network = keras.Model(inputs, outputs)
    recipe = Recipe(
        optimizer="sgd",
        momentum=0,
        learning_rate=0.1,
        schedule="constant",
        warmup=0,
        norm_bias_factor=64,
        weight_decay=1,
    )
    network.get_layer("norm").beta.assign(keras.ops.ones(3))
    optimizer = optimizers.build(recipe, network, 10)
    before = [convert(weight) for weight in network.trainable_variables]
    optimizer.apply([keras.ops.ones(weight.shape) for weight in network.trainable_variables])
    moved = {
        weight.path: convert(weight) - was for weight, was in zip(network.trainable_variables, before, strict=True)
    }
    np.testing.assert_allclose(moved["norm/beta"], -6.4 - 0.1, rtol=1e-6)  # decays as the kernels do
    np.testing.assert_allclose(moved["dense/bias"], -0.1, rtol=1e-6)


def test_lookahead_follows_the_fast_weights_every_k_steps():
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    recipe = Recipe(optimizer="sgd", momentum=0, learning_rate=1, schedule="constant", warmup=0, lookahead=3)
    optimizer = optimizers.build(recipe, network, 10)
    weight, seen = network.trainable_variables[0], []
    for _ in range(6):
        optimizer.apply([-keras.ops.ones(weight.shape)])
        seen.append(float(convert(weight)[0, 0]))
    assert seen == pytest.approx([1, 2, 1.5, 2.5, 3.5, 3.0])


def test_lookaheads_share_falls_from_all_of_the_way():
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    recipe = Recipe(
        optimizer="sgd",
        momentum=0,
        learning_rate=1,
        schedule="constant",
        warmup=0,
        lookahead=2,
        lookahead_decay=True,
    )
    optimizer = optimizers.build(recipe, network, 4)
    weight, seen = network.trainable_variables[0], []
    for _ in range(4):
        optimizer.apply([-keras.ops.ones(weight.shape)])
        seen.append(float(convert(weight)[0, 0]))
    halfway = (1 - 0.5 * 0.5**3) * 2
    assert seen == pytest.approx([1, halfway, halfway + 1, halfway + 0.5 * 2])


def test_the_average_predicts(sample):
    recipe = Recipe(model="lenet_small", epochs=2, batch_size=32, ema=0.999, learning_rate=0.01, precision="float32")
    averaged, history = trained(recipe, sample)
    keras.utils.set_random_seed(0)
    start = [convert(weight) for weight in transfer.build(recipe, (28, 28, 1), 10, "digit-recognizer")[0].weights]
    plain, _ = trained(Recipe(**{**recipe.as_dict(), "average": 0.0}), sample)
    far, near = (sum(abs(one - two).sum() for one, two in zip(start, ends, strict=True)) for ends in (plain, averaged))
    assert near < 0.2 * far, "an average over 1,000 steps has hardly left the start after 12"
    assert all(np.isfinite(row["val_loss"]) for row in history)


# --- repeatability and resume


def test_same_seed_same_bits_other_seed_other_bits(sample):
    first, _ = trained(EVERYTHING, sample)
    second, _ = trained(EVERYTHING, sample)
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
    other, _ = trained(Recipe(**{**EVERYTHING.as_dict(), "seed": 1}), sample)
    assert any((one != two).any() for one, two in zip(first, other, strict=True))


class Unplugged(Exception):
    pass


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_broken_training_ends_as_an_unbroken_one(sample, tmp_path, monkeypatch, epoch):
    paths = fit.CheckpointPaths(tmp_path / "state.npz", tmp_path / "best.keras")
    whole, history = trained(EVERYTHING, sample)
    original = checkpoint.save

    def save_and_break(path, learner, progress):
        original(path, learner, progress)
        if len(progress["history"]) == epoch:
            raise Unplugged

    monkeypatch.setattr(checkpoint, "save", save_and_break)
    with pytest.raises(Unplugged):
        trained(EVERYTHING, sample, paths)
    monkeypatch.undo()
    resumed, resumed_history = trained(EVERYTHING, sample, paths)
    for one, two in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(one, two)
    for row, resumed_row in zip(history, resumed_history, strict=True):
        assert {**row, "seconds": 0} == {**resumed_row, "seconds": 0}
    assert np.diff([row["seconds"] for row in resumed_history]).min() > 0


@pytest.mark.parametrize("content", [b"", b"rubbish", "other"])
def test_a_state_that_is_none_is_named(sample, tmp_path, content):
    paths = fit.CheckpointPaths(tmp_path / "state.npz", tmp_path / "best.keras")
    recipe = Recipe(model="lenet_small", epochs=1, batch_size=64, precision="float32")
    if content == "other":
        trained(Recipe(**{**recipe.as_dict(), "model": "mnist_cnn"}), sample, paths)
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
    other = dataclasses.replace(recipe, model="mnist_cnn")
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
    for train, rest in folds:
        assert not set(train) & set(rest)
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
        for train, rest in folds:
            assert set(train) == set(rows) - set(rest)
            assert list(train) == sorted(train)
            np.testing.assert_allclose(np.bincount(labels[rest]), np.bincount(labels[rows]) / 3, atol=1)
        assert not set(held_out) & set(rows)


def test_splits_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="folds"):
        splits.splits(np.array([0, 0, 1, 1]), Recipe(folds=3))
    with pytest.raises(UserError, match="folds: a class has only 2 images; take at most 2 folds"):
        splits.splits(np.repeat([0, 1], 4), Recipe(folds=3, held_out_share=0.5))
    with pytest.raises(UserError, match="held_out_share"):
        splits.splits(np.array([0, 1] * 5), Recipe(folds=2, held_out_share=0.1))
    with pytest.raises(UserError, match="validation_share"):
        splits.splits(np.array([0, 1] * 5), Recipe(validation_share=0.1))


def test_folds_leave_a_whole_run(sample, workplace):
    recipe = Recipe(model="lenet_small", epochs=2, batch_size=32, folds=3, precision="float32", tta=True)
    run = tracking.place("digit-recognizer", "folds")
    run.write_config({"competition": "digit-recognizer", "source": "sample", "limit": 240, "recipe": recipe.as_dict()})
    metrics = session.train(sample, recipe, run)
    oof, test = run.oof(), run.test()
    assert oof.dtype == test.dtype == np.float32
    assert oof.shape == (240, 10)
    np.testing.assert_allclose(oof.sum(1), 1, atol=1e-3)
    np.testing.assert_allclose(test.sum(1), 1, atol=1e-3)
    assert metrics["validation_accuracy"] == pytest.approx((oof.argmax(1) == sample.train_labels).mean())
    assert len(metrics["fold_accuracies"]) == 3
    assert sum(metrics["tta_weights"]) == pytest.approx(1, abs=1e-3)
    assert len(run.network_paths()) == 3
    assert not (run.folder / ".working").exists()
    header, *rows = (run.folder / "history.csv").read_text().splitlines()
    assert header == "fold,epoch,seconds,learning_rate,loss,accuracy,val_loss,val_accuracy"
    assert [row.split(",")[:2] for row in rows] == [[str(fold), str(epoch)] for fold in range(3) for epoch in (1, 2)]
    for fold, (_, rest) in enumerate(splits.splits(sample.train_labels, recipe)):
        network = transfer.load(run.network_path(fold))
        plain = inference.predict(network, sample.train_images[rest])
        assert (plain.argmax(1) == oof[rest].argmax(1)).mean() > 0.8


def test_no_fold_outlives_itself(sample, workplace, monkeypatch):
    objects, train_fold = [], session._fold

    def counted(*arguments):
        part = train_fold(*arguments)
        objects.append(len(gc.get_objects()))
        return part

    monkeypatch.setattr(session, "_fold", counted)
    recipe = Recipe(model="fast_cnn", epochs=1, folds=3, batch_size=64, precision="float32", lookahead=2)
    run = tracking.place("digit-recognizer", "folded")
    run.write_config({"recipe": recipe.as_dict()})
    session.train(sample, recipe, run)
    assert objects[2] - objects[1] < 500  # one step's graph has thousands


def test_without_folds_only_validation_rows_are_predicted(sample, workplace):
    recipe = Recipe(
        model="lenet_small", epochs=1, batch_size=32, precision="float32", validation_share=0.25, checkpoint="best"
    )
    run = tracking.place("digit-recognizer", "plain")
    session.train(sample, recipe, run)
    ((_, held_out),) = splits.splits(sample.train_labels, recipe)
    predicted = np.flatnonzero(~np.isnan(run.oof()).any(axis=1))
    np.testing.assert_array_equal(predicted, held_out)


def test_weights_of_a_run_start_another(sample, workplace):
    recipe = Recipe(model="lenet_small", epochs=1, batch_size=32, precision="float32")
    first = tracking.place("digit-recognizer", "first")
    first.write_config({"competition": "digit-recognizer"})
    session.train(sample, recipe, first)
    network, taken = transfer.build(
        Recipe(**{**recipe.as_dict(), "weights": "first"}), (28, 28, 1), 10, "digit-recognizer"
    )
    assert taken == ["conv1", "dense1", "logits"]
    _, without_head = transfer.build(Recipe(**{**recipe.as_dict(), "weights": "first"}), (28, 28, 1), 10, "cifar-10")
    assert without_head == ["conv1", "dense1"]
    np.testing.assert_array_equal(
        network.get_layer("conv1").get_weights()[0],
        transfer.load(first.network_path(0)).get_layer("conv1").get_weights()[0],
    )
    with pytest.raises(UserError, match="no layer"):
        transfer.build(Recipe(model="resnet_small", weights="first"), (28, 28, 1), 10, "cifar-10")


# --- inference


def test_views_average_and_need_no_copy_of_all(sample):
    keras.utils.set_random_seed(0)
    network, _ = transfer.build(Recipe(model="lenet_small"), (28, 28, 1), 10, "digit-recognizer")
    images = sample.train_images[:30]
    left = inference.View("left", shift_x=-1)
    plain, shifted = inference.predict(network, images), inference.predict(network, images, [left])
    both = inference.predict(network, images, [inference.PLAIN, left])
    np.testing.assert_allclose(both, (plain + shifted) / 2, atol=1e-6)
    by_hand = np.zeros_like(images)
    by_hand[:, :, :-1] = images[:, :, 1:]
    np.testing.assert_allclose(shifted, inference.predict(network, by_hand), atol=1e-4)
    assert len(inference.predict(network, images[:0])) == 0


def test_views_have_the_border_of_the_training(sample):
    keras.utils.set_random_seed(0)
    network, _ = transfer.build(Recipe(model="lenet_small"), (28, 28, 1), 10, "digit-recognizer")
    images = 255 - sample.train_images[:30]  # bright edges, so that a black one shows
    folded = np.concatenate([images[:, :, 1:], images[:, :, -2:-1]], axis=2)
    expected = inference.predict(network, folded)
    black, reflected = (
        inference.predict(network, images, [inference.View("left", shift_x=-1, fill_mode=fill_mode)])
        for fill_mode in ("constant", "reflect")
    )
    np.testing.assert_allclose(reflected, expected, atol=1e-4)
    assert np.abs(black - expected).max() > 1e-3
    recipe = Recipe(tta=True, fill_mode="reflect")
    for competition in ("digit-recognizer", "cifar-10"):
        moved = [view for group in session.groups_of_views(recipe, competition) for view in group if view.shift_x]
        assert moved
        assert {view.fill_mode for view in moved} == {"reflect"}


def test_only_symmetric_competitions_are_mirrored():
    names = [view.name for group in inference.views(False, "constant") for view in group]
    assert not any("mirror" in name for name in names)
    assert any("mirror" in view.name for group in inference.views(True, "constant") for view in group)


def test_what_the_first_weights_have_seen_is_inherited(sample, workplace):
    recipe = Recipe(model="lenet_small", epochs=1, batch_size=32, precision="float32")
    first = tracking.place("digit-recognizer", "first")
    first.write_config({"competition": "digit-recognizer"})
    session.train(dataclasses.replace(sample, seen=("mnist",)), recipe, first)
    second = tracking.place("digit-recognizer", "second")
    metrics = session.train(sample, dataclasses.replace(recipe, weights="first"), second)
    assert metrics["seen"] == ["mnist"]
    by_file = tracking.place("digit-recognizer", "third")
    path = str(second.network_path(0))
    assert session.train(sample, dataclasses.replace(recipe, weights=path), by_file)["seen"] == ["mnist"]


def test_a_network_from_elsewhere_cannot_bring_code_along(tmp_path):
    network = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x)])
    network.save(tmp_path / "evil.keras")
    with pytest.raises(UserError, match=r"evil\.keras"):
        transfer.load(tmp_path / "evil.keras")
