"""Features of frozen layers: where a network is cut, that the training is the same, what is kept on disk."""

import os

import keras
import numpy as np
import pytest
from made import train

from kit import files, loaders, zoo
from kit.loaders.limit import limited
from kit.recipes import Recipe
from kit.training import feature_cache, features, fine_tuning, fit, frozen, inference

SHAPE = (16, 16, 3)
RECIPE = Recipe(epochs=3, batch_size=16, learning_rate=0.01, precision="float32", label_smoothing=0.1)
AUGMENTED = {"shift": 2.0, "flip": "random", "cutout": 4}


def small(frozen_layers=("conv1", "conv1_norm", "conv2"), outputs=1):
    """A network of two frozen convolutions with a norm, dropout in its head, and one or two tensors at the cut."""
    keras.utils.set_random_seed(1)
    images = keras.Input(SHAPE, name="images")
    x = keras.layers.Rescaling(1 / 255, name="scale")(images)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv1")(x)
    first = x = keras.layers.BatchNormalization(name="conv1_norm")(x)
    x = keras.ops.relu(keras.layers.Conv2D(6, 3, strides=2, name="conv2")(x))
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(8, activation="relu", name="head_dense")(x)
    x = keras.layers.Dropout(0.3, name="head_dropout")(x)
    if outputs == 2:
        x = keras.layers.Concatenate(name="join")([x, keras.layers.GlobalAveragePooling2D(name="branch")(first)])
    network = keras.Model(images, keras.layers.Dense(3, name="logits")(x), name="small")
    for name in frozen_layers:
        network.get_layer(name).trainable = False
    return network


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, *SHAPE), dtype=np.uint8), rng.integers(0, 3, 60)
    return fit.Split(images[:40], np.eye(3, dtype=np.float32)[labels[:40]], images[40:], labels[40:])


@pytest.fixture
def cache(tmp_path):
    return feature_cache.Cache([tmp_path / "cache"])


def trained(split, recipe, cache=None, network=None, paths=None):
    network = network or small(outputs=2)
    return network, fit.fit(network, split, recipe, paths, cache=cache)


def assert_same(one, two, **tolerance):
    for mine, other in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, **{"rtol": 1e-4, "atol": 1e-5, **tolerance})


# --- where the network is cut


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_head_on_features_gives_the_networks_logits(split, cache, outputs):
    network = small(outputs=outputs)
    parts = frozen.split(network)
    assert len(parts.frozen.outputs) == outputs
    kept = cache.features(parts, split.images)
    values = list(kept.rows(slice(0, 7)).values())
    logits = parts.head(values if outputs > 1 else values[0], training=False)
    np.testing.assert_allclose(logits, network(split.images[:7], training=False), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(kept.predict(parts.head), inference.predict(network, split.images), atol=1e-6)


def test_the_cut_lies_before_whatever_learns_or_is_random():
    assert frozen.split(small(frozen_layers=())) is None
    assert frozen.split(small(frozen_layers=("conv1",))) is None, "one layer is not worth it"
    norm_learns = frozen.split(small(frozen_layers=("conv1", "conv2")))
    assert norm_learns is None, "what follows a norm that learns is not constant"
    images = keras.Input(SHAPE)
    x = keras.layers.Conv2D(4, 3, name="a", trainable=False)(images)
    x = keras.layers.Conv2D(4, 3, name="b", trainable=False)(keras.layers.Conv2D(4, 3, name="c", trainable=False)(x))
    x = keras.layers.Conv2D(4, 3, name="d", trainable=False)(keras.layers.Dropout(0.5)(x))
    network = keras.Model(images, keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(x)))
    assert {layer.name for layer in frozen.split(network).frozen.layers} >= {"a", "b", "c"}
    assert "d" in {layer.name for layer in frozen.split(network).head.layers}


# --- the same training


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9, "lookahead": 2}, {**AUGMENTED, "feature_copies": 3}])
def test_a_training_on_features_is_the_training_of_the_whole_network(split, cache, changes):
    recipe = RECIPE.replace(**changes)
    whole, history = trained(split, recipe)
    on_features, again = trained(split, recipe, cache)
    assert list((cache.places[0]).glob("*/0.npy")), "features were kept"
    assert_same(whole, on_features)
    np.testing.assert_allclose([row["val_loss"] for row in history], [row["val_loss"] for row in again], rtol=1e-4)


def test_copies_are_taken_in_turn(split, cache):
    recipe = RECIPE.replace(**AUGMENTED, feature_copies=2)
    batches = fit.Batches(split.images, split.targets, recipe)
    data = features.FeatureBatches(batches, frozen.split(small()), cache)
    assert data.compute(0, 4)
    epochs = [np.concatenate([inputs["features0"] for inputs, _ in data.epoch(epoch)]) for epoch in range(4)]
    rows = [batches.draw(epoch)[0][: len(epochs[0])] for epoch in range(4)]

    def by_row(epoch):
        return dict(zip(rows[epoch].tolist(), epochs[epoch], strict=True))

    first, second, third = by_row(0), by_row(1), by_row(2)
    shared = sorted(set(first) & set(second) & set(third))
    assert all(np.array_equal(first[row], third[row]) for row in shared)
    assert not all(np.array_equal(first[row], second[row]) for row in shared)


def test_unfreezing_moves_the_cut(split, cache):
    network = small()
    before = frozen.split(network)
    network.get_layer("conv2").trainable = True
    assert frozen.split(network) is None
    keras.utils.set_random_seed(2)
    vgg = zoo.build("vgg16_transfer", (32, 32, 3), 10, weights=None)
    fine_tuning.freeze(vgg, [layer.name for layer in vgg.layers if layer.name.startswith("block") and layer.weights])
    assert frozen.split(vgg).frozen.output_shape == (None, 512)
    fine_tuning.unfreeze(vgg, 1)
    assert frozen.split(vgg).frozen.output_shape == (None, 2, 2, 512)
    assert before.frozen.output_shape == (None, 216)


@pytest.mark.parametrize("changes", [{"cache_features": "off"}, AUGMENTED])
def test_features_are_not_kept_where_the_recipe_forbids_it(split, cache, changes):
    trained(split, RECIPE.replace(epochs=1, **changes), cache, small())
    assert not cache.places[0].exists()


# --- on disk


def computations(monkeypatch):
    """A list that grows by one whenever a chunk is computed."""
    made, original = [], feature_cache.Features._computed

    def counted(self, rows):
        made.append(rows)
        return original(self, rows)

    monkeypatch.setattr(feature_cache.Features, "_computed", counted)
    return made


def test_features_are_computed_once_for_equal_networks_and_images(split, cache, monkeypatch):
    made = computations(monkeypatch)
    one = cache.features(frozen.split(small()), split.images)
    two = cache.features(frozen.split(small()), split.images)
    assert len(made) == 1, "an equal network, with other numbers in its layers' names"
    np.testing.assert_array_equal(one.rows(slice(None))["features0"], two.rows(slice(None))["features0"])
    other = small()
    other.get_layer("conv2").bias.assign(np.ones(6))
    cache.features(frozen.split(other), split.images)
    cache.features(frozen.split(small()), split.images[1:])
    cache.features(frozen.split(small(outputs=2)), split.images)
    keras.backend.clear_session()
    assert len(made) == 4


def test_an_interrupted_computation_goes_on_and_damaged_chunks_are_made_anew(split, cache, monkeypatch):
    monkeypatch.setattr(frozen.Parts, "batch_size", 8)
    monkeypatch.setattr(feature_cache, "MOST_BATCHES", 1)
    parts, written = frozen.split(small()), files.write_text
    whole = feature_cache.Cache([cache.places[0] / "other"]).features(parts, split.images)
    expected = whole.rows(slice(None))["features0"].copy()

    def interrupted(path, text):
        written(path, text)
        if text.count("null") == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(files, "write_text", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.features(parts, split.images)
    monkeypatch.setattr(files, "write_text", written)
    made = computations(monkeypatch)
    resumed = cache.features(parts, split.images)
    assert [rows.start for rows in made] == [24, 32]
    np.testing.assert_array_equal(resumed.rows(slice(None))["features0"], expected)
    path = cache.places[0] / resumed.key / "0.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    made.clear()
    repaired = cache.features(parts, split.images)
    assert [rows.start for rows in made] == [32]
    np.testing.assert_array_equal(repaired.rows(slice(None))["features0"], expected)


def test_bfloat16_loses_nothing_on_disk(split, cache):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        parts = frozen.split(small())
    finally:
        keras.config.set_dtype_policy(before)
    kept = cache.features(parts, split.images)
    direct = keras.ops.convert_to_numpy(keras.ops.cast(parts.frozen(split.images.astype("float32")), "float32"))
    assert kept.bytes == direct.size * 2
    np.testing.assert_allclose(kept.rows(slice(None))["features0"], direct, rtol=0.02, atol=0.02)


def test_without_room_the_training_goes_on_with_the_whole_network(split, cache, monkeypatch, capsys, tmp_path):
    whole, _ = trained(split, RECIPE)
    paths = fit.CheckpointPaths(tmp_path / "state.npz", tmp_path / "best.keras")
    trained(split, RECIPE.replace(epochs=3), cache, paths=paths)
    monkeypatch.setattr(feature_cache, "LIMIT", 10)
    full = feature_cache.Cache([tmp_path / "full"])
    alone, _ = trained(split, RECIPE, full)
    assert "not kept" in capsys.readouterr().out
    assert not list(full.places[0].glob("*/"))
    assert_same(whole, alone, rtol=0, atol=0)


def test_the_oldest_features_make_room(split, cache, monkeypatch):
    parts = frozen.split(small())
    first = cache.features(parts, split.images)
    monkeypatch.setattr(feature_cache, "LIMIT", first.bytes + 2000)
    second = cache.features(parts, split.images[:30])
    assert second is None, "what this process uses stays"
    assert feature_cache.Cache([cache.places[0].parent]).features(parts, split.images[:30])
    assert not (cache.places[0] / first.key).exists()


# --- in a run


def test_a_broken_training_goes_on_as_an_unbroken_one_with_or_without_features(split, tmp_path, monkeypatch):
    recipe = RECIPE.replace(epochs=4)
    whole, _ = trained(split, recipe, feature_cache.Cache([tmp_path / "a"]))
    original = fit.checkpoint.save

    def save_and_break(path, variables, progress):
        original(path, variables, progress)
        if len(progress["history"]) == 2:
            raise InterruptedError

    monkeypatch.setattr(fit.checkpoint, "save", save_and_break)
    paths = fit.CheckpointPaths(tmp_path / "state.npz", tmp_path / "best.keras")
    with pytest.raises(InterruptedError):
        trained(split, recipe, feature_cache.Cache([tmp_path / "a"]), paths=paths)
    monkeypatch.undo()
    state = paths.state.read_bytes()
    resumed, _ = trained(split, recipe, feature_cache.Cache([tmp_path / "a"]), paths=paths)
    assert_same(whole, resumed, rtol=0, atol=0)
    paths.state.write_bytes(state)
    monkeypatch.setattr(feature_cache, "LIMIT", 1)
    without_disk, _ = trained(split, recipe, feature_cache.Cache([tmp_path / "b"]), paths=paths)
    assert_same(whole, without_disk)


def test_a_run_predicts_the_same_with_and_without_features(workplace):
    dataset = limited(loaders.load("digit-recognizer", "sample"), 120)
    keras.utils.set_random_seed(3)
    zoo.build("digit_cnn", (28, 28, 1), 10, width=4).save("source.keras")
    recipe = RECIPE.replace(
        model="digit_cnn", options={"width": 4}, weights="source.keras", unfreeze=1, epochs=2, checkpoint="best"
    )
    kept, metrics = train("kept", dataset, recipe)
    off, others = train("off", dataset, recipe.replace(cache_features="off"))
    np.testing.assert_allclose(kept.oof(), off.oof(), atol=1e-4)
    np.testing.assert_allclose(kept.test(), off.test(), atol=1e-4)
    assert metrics.parameters == others.parameters


def deeply_nested(folder):
    (folder / feature_cache.PROGRESS).write_text("[" * 100_000)


def other_values(folder):
    (folder / feature_cache.PROGRESS).write_text('["a", null, NaN, {}, 1e400]')


def a_folder_for_a_file(folder):
    (folder / "0.npy").unlink()
    (folder / "0.npy").mkdir()


def a_pipe(folder):
    (folder / feature_cache.PROGRESS).unlink()
    os.mkfifo(folder / feature_cache.PROGRESS)


def half_written(folder):
    with (folder / "0.npy").open("r+b") as file:
        file.truncate(3000)


def another_header(folder):
    with (folder / "0.npy").open("r+b") as file:
        file.write(b"\x93NUMPY\x07\x00" + b"\xff" * 50)


def a_flipped_bit(folder):
    content = bytearray((folder / "0.npy").read_bytes())
    content[-5] ^= 16
    (folder / "0.npy").write_bytes(content)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes in folders")
@pytest.mark.parametrize(
    "damage",
    [deeply_nested, other_values, a_folder_for_a_file, a_pipe, half_written, another_header, a_flipped_bit],
)
def test_damaged_features_are_computed_anew_or_not_kept_and_never_wrong(split, tmp_path, damage):
    parts = frozen.split(small())
    cache = feature_cache.Cache([tmp_path / "first", tmp_path / "second"])
    whole = {name: array.copy() for name, array in cache.features(parts, split.images).rows(slice(None)).items()}
    (folder,) = (path for path in (tmp_path / "first" / "features").iterdir() if path.is_dir())
    damage(folder)
    again = feature_cache.Cache([tmp_path / "first", tmp_path / "second"]).features(parts, split.images)
    for name, array in again.rows(slice(None)).items():
        np.testing.assert_array_equal(array, whole[name])
