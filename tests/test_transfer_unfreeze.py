"""Training in two stages: the head alone, then the last frozen blocks at a learning rate of their own."""

import keras
import numpy as np
import pytest
from made import train

from kit import loaders, zoo
from kit.errors import UserError
from kit.loaders.limit import limited
from kit.recipes import Recipe
from kit.training import checkpoint, fine_tuning, fit, lineage, optimizers, transfer

convert = keras.ops.convert_to_numpy
SHAPE = (28, 28, 1)
RECIPE = Recipe(
    model="digit_cnn",
    options={"width": 4},
    epochs=4,
    unfreeze=1,
    unfreeze_epochs=2,
    batch_size=32,
    precision="float32",
    ema=0.9,
    lookahead=3,
    weight_decay=0.01,
    shift=2,
)


@pytest.fixture(scope="module")
def sample():
    return limited(loaders.load("digit-recognizer", "sample"), 160)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A network for pictures, as a file; nothing is new but the first convolution and the head."""
    keras.utils.set_random_seed(7)
    path = tmp_path_factory.mktemp("source") / "pictures.keras"
    zoo.build("digit_cnn", (32, 32, 3), 10, width=4).save(path)
    return str(path)


def split_of(dataset, fold=0):
    targets = np.eye(10, dtype=np.float32)[dataset.train_labels]
    images, labels = dataset.train_images, dataset.train_labels
    return fit.Split(images[40:], targets[40:], images[:40], labels[:40], fold)


def trained(recipe, dataset, paths=None):
    keras.utils.set_random_seed(recipe.seed)
    network, _ = transfer.build(recipe, dataset.competition, lineage.resolve(recipe.replace(split_seed=0), dataset))
    start = {layer.name: layer.get_weights() for layer in network.layers}
    history = fit.fit(network, split_of(dataset), recipe, paths)
    return network, start, history


def changed(network, start):
    """The names of the layers whose weights are no longer those of `start`."""
    return {
        layer.name
        for layer in network.layers
        if any((now != was).any() for now, was in zip(layer.get_weights(), start[layer.name], strict=True))
    }


@pytest.fixture(scope="module")
def whole(sample, source):
    """A training that nothing interrupted: the network, its first weights and its history."""
    return trained(RECIPE.replace(weights=source), sample)


def test_first_the_head_learns_then_the_last_block(sample, source, whole):
    recipe = RECIPE.replace(weights=source)
    network, start, history = whole
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert np.diff([row["seconds"] for row in history]).min() > 0
    new = {"block1_conv1", "logits"}
    assert changed(network, start) == new | {"block3_conv1"}, "norms and all other blocks are as they were"
    first, begun, _ = trained(recipe.replace(unfreeze_epochs=3, epochs=4), sample)
    assert changed(first, begun) == changed(network, start)


def test_the_stages_have_their_own_schedules(sample, source):
    recipe = RECIPE.replace(weights=source, schedule="one-cycle", warmup=0.0, unfreeze_epochs=1)
    _, _, history = trained(recipe, sample)
    rates = [row["learning_rate"] for row in history]
    assert rates[0] > rates[1] > rates[2]
    assert rates[3] > rates[2], "the second stage begins anew"


class Unplugged(Exception):
    pass


def test_a_training_broken_within_and_between_stages_ends_as_an_unbroken_one(
    sample, source, whole, tmp_path, monkeypatch
):
    recipe, paths = RECIPE.replace(weights=source), fit.CheckpointPaths(tmp_path / "state.npz", tmp_path / "best.keras")
    network, _, history = whole
    original = checkpoint.save
    for epoch in (1, 2, 3):

        def save_and_break(path, model, progress, epoch=epoch):
            original(path, model, progress)
            if len(progress["history"]) == epoch:
                raise Unplugged

        monkeypatch.setattr(checkpoint, "save", save_and_break)
        with pytest.raises(Unplugged):
            trained(recipe, sample, paths)
    monkeypatch.undo()
    resumed, _, resumed_history = trained(recipe, sample, paths)
    for one, two in zip(network.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(convert(one), convert(two))
    for row, again in zip(history, resumed_history, strict=True):
        assert {**row, "seconds": 0} == {**again, "seconds": 0}


def test_patience_ends_a_stage_and_not_the_training(sample, source):
    recipe = RECIPE.replace(
        weights=source,
        epochs=12,
        unfreeze_epochs=6,
        patience=1,
        learning_rate=0.5,
        schedule="constant",
        ema=0,
    )
    _, _, history = trained(recipe, sample)
    first = [row["val_loss"] for row in history if row["stage"] == 0]
    assert len(first) < 6
    assert first[-1] >= min(first[:-1])
    assert any(row["stage"] == 1 for row in history)


def test_folds_are_fine_tuned_too(sample, source, workplace):
    recipe = RECIPE.replace(weights=source, epochs=2, unfreeze_epochs=1, folds=2)
    run, metrics = train("unfrozen", sample, recipe)
    assert len(metrics.fold_accuracies) == 2
    rows = (run.folder / "history.csv").read_text().splitlines()[1:]
    assert [row.split(",")[:2] for row in rows] == [["0", "1"], ["0", "2"], ["1", "1"], ["1", "2"]]


# --- which blocks


def frozen_vgg(model="vgg16_transfer"):
    network = zoo.build(model, SHAPE, 10, weights=None)
    fine_tuning.freeze(
        network, [layer.name for layer in network.layers if layer.name.startswith("block") and layer.weights]
    )
    return network


@pytest.mark.parametrize("model", ["vgg16_transfer", "vgg16_skip"])
def test_vgg16s_blocks_are_those_of_the_paper(model):
    network = frozen_vgg(model)
    assert [layer.name for layer in fine_tuning.unfreeze(network, 2)] == [
        f"block{block}_conv{conv}" for block in (4, 5) for conv in (1, 2, 3)
    ]
    trainable = {weight.path.split("/")[0] for weight in network.trainable_weights}
    assert "block4_conv1" in trainable
    assert "block3_conv3" not in trainable


def test_each_member_of_a_combined_network_unfreezes_its_last_block():
    members = [zoo.build("resnet_small", SHAPE, 10, width=4), zoo.build("lenet_small", SHAPE, 10)]
    network = zoo.build("combined", SHAPE, 10, runs=members)
    unfrozen = {layer.name for layer in fine_tuning.unfreeze(network, 1)}
    assert unfrozen == {
        "member1_stage3_block3_conv1",
        "member1_stage3_block3_conv2",
        "member1_logits",
        "member2_conv1",
        "member2_dense1",
        "member2_logits",
    }
    assert not any(layer.trainable for layer in network.layers if layer.name.endswith("_norm"))


def test_a_resnets_block_is_unfrozen_with_its_skip_connection():
    network = zoo.build("resnet_small", SHAPE, 10, width=4)
    fine_tuning.freeze(network, [layer.name for layer in network.layers if layer.weights])
    assert network.get_layer("logits").trainable
    unfrozen = {layer.name for layer in fine_tuning.unfreeze(network, 3)}
    assert {"stage3_block1_skip", "stage3_block1_conv1", "stage3_block3_conv2"} <= unfrozen
    assert not any(name.startswith("stage2") for name in unfrozen)


def test_the_whitening_stays_frozen():
    network = zoo.build("airbench", SHAPE, 10, width=4)
    fine_tuning.freeze(network, [layer.name for layer in network.layers if layer.weights])
    assert len(fine_tuning.unfreeze(network, 3)) == 6
    assert not network.get_layer("whitening_conv").kernel.trainable


def test_unfrozen_weights_move_slower_and_decay_slower():
    network = frozen_vgg()
    unfrozen = fine_tuning.unfreeze(network, 1)
    recipe = Recipe(
        optimizer="sgd",
        momentum=0,
        learning_rate=1,
        schedule="constant",
        warmup=0,
        unfreeze_factor=0.01,
        weight_decay=0.5,
    )
    optimizer = optimizers.build(recipe, network, 10, unfrozen)
    before = {weight.path: convert(weight) for weight in network.trainable_variables}
    optimizer.apply([keras.ops.zeros(weight.shape) for weight in network.trainable_variables])
    for weight in network.trainable_variables:
        if len(weight.shape) > 1:
            share = 0.01 if weight.path.startswith("block5") else 1
            np.testing.assert_allclose(convert(weight), before[weight.path] * (1 - 0.5 * share), rtol=1e-5, atol=1e-9)
    before = {weight.path: convert(weight) for weight in network.trainable_variables}
    optimizer = optimizers.build(recipe.replace(weight_decay=0), network, 10, unfrozen)
    optimizer.apply([keras.ops.ones(weight.shape) for weight in network.trainable_variables])
    for weight in network.trainable_variables:
        share = 0.01 if weight.path.startswith("block5") else 1
        np.testing.assert_allclose(before[weight.path] - convert(weight), share, rtol=1e-2)


# --- what is refused


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "vgg16_transfer", "options": {}, "weights": "none"}, "nothing in vgg16_transfer is frozen"),
        ({"model": "lenet_small", "options": {}}, "nothing in lenet_small is frozen"),
        ({"unfreeze": 8}, "only 3 frozen blocks, block1, block2, block3; not 8"),
    ],
)
def test_what_cannot_be_unfrozen_is_refused(sample, source, changes, words):
    recipe = RECIPE.replace(**{"weights": source if "unfreeze" in changes else "", **changes})
    with pytest.raises(UserError, match=words):
        transfer.build(recipe, sample.competition, lineage.resolve(recipe, sample))


@pytest.mark.parametrize(
    "fields", [{"epochs": 1}, {"epochs": 3, "unfreeze_epochs": 3}, {"epochs": 2, "unfreeze_epochs": 5}]
)
def test_both_stages_need_an_epoch(fields):
    with pytest.raises(UserError, match="two stages"):
        Recipe(unfreeze=1, **fields)
