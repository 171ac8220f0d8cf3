"""Networks that start from earlier runs: which weights they take, what they are made of, and what is refused."""

import contextlib
import dataclasses
import pathlib

import keras
import numpy as np
import pytest
from made import DIGITS, config, train

from kit import loaders, tracking, zoo
from kit.errors import UserError
from kit.loaders.limit import limited
from kit.recipes import Recipe
from kit.training import inference, lineage, transfer
from kit.training.setup import resolve

convert = keras.ops.convert_to_numpy
QUICK = Recipe(model="lenet_small", epochs=1, batch_size=32, precision="float32", validation_share=0.2)
JOINED = QUICK.replace(model="combined", options={"runs": "one, other"})


@pytest.fixture(scope="module")
def sample():
    return limited(loaders.load("digit-recognizer", "sample"), 200)


@pytest.fixture(scope="module")
def place(sample, tmp_path_factory):
    """A folder with two runs on one split of the sample, `one` and `other`."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train("one", sample, QUICK)
        train("other", dataclasses.replace(sample, seen=("mnist",)), QUICK.replace(model="fast_cnn"))
    return folder


@pytest.fixture
def here(place, monkeypatch):
    monkeypatch.chdir(place)


def build(recipe, dataset, **options):
    return transfer.build(recipe, dataset.competition, lineage.resolve(recipe, dataset), **options)


def saved(name, tmp_path, model, shape, **options):
    """An untrained network as a file."""
    path = tmp_path / f"{name}.keras"
    zoo.build(model, shape, 10, **options).save(path)
    return str(path)


# --- combined


def test_a_combined_run_weighs_its_members_outputs_and_needs_them_no_more(sample, here, tmp_path, monkeypatch):
    run, metrics = train("joined", sample, JOINED)
    assert metrics.seen == ["mnist"], "what a member has seen is inherited"
    network = transfer.load(run.network_path(0))
    assert {weight.path.split("/")[0] for weight in network.trainable_weights} == {"head_dense", "logits"}
    members = [transfer.load(tracking.find(name).network_path(0)) for name in ("one", "other")]
    images = sample.test_images[:8]
    join = keras.Model(network.input, network.get_layer("join").output)
    alone = np.concatenate([convert(member(images, training=False)) for member in members], axis=1)
    np.testing.assert_allclose(convert(join(images, training=True)), alone, rtol=1e-4, atol=1e-4)
    predicted, elsewhere = run.test(), tmp_path / "copy.keras"
    elsewhere.write_bytes(run.network_path(0).read_bytes())
    monkeypatch.chdir(tmp_path)
    alone = inference.predict(transfer.load(elsewhere), sample.test_images)
    np.testing.assert_allclose(alone, predicted, atol=1e-5)


def test_each_fold_joins_that_folds_networks(sample, here):
    folded = QUICK.replace(folds=2)
    for name in ("folds-a", "folds-b"):
        train(name, sample, folded)
    recipe = JOINED.replace(options={"runs": ["folds-a", "folds-b"]}, folds=2)
    run, metrics = train("folds-joined", sample, recipe)
    assert len(metrics.fold_accuracies) == 2
    for fold in (0, 1):
        part = transfer.load(run.network_path(fold)).get_layer("member2_conv1").get_weights()
        own = transfer.load(tracking.find("folds-b").network_path(fold)).get_layer("conv1").get_weights()
        np.testing.assert_array_equal(part[0], own[0])
    for other, field in ({"folds": 0}, "folds"), ({"held_out_share": 0.1}, "held_out_share"):
        with pytest.raises(UserError, match=rf"folds-a was trained on images .*{field} differs"):
            resolve(sample, recipe.replace(**other))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"options": {}}, "--options runs=ONE,OTHER"),
        ({"options": {"runs": "one"}}, "two or more"),
        ({"options": {"runs": "one,one"}}, "twice"),
        ({"options": {"runs": "one,othr"}}, "Did you mean other"),
        ({"split_seed": 1}, "split_seed differs"),
        ({"validation_share": 0.3}, "validation_share differs"),
        ({"options": {"runs": "one,unfinished"}}, "not finished"),
    ],
)
def test_members_that_would_make_a_false_figure_are_refused(sample, here, changes, words):
    with contextlib.suppress(ZeroDivisionError), tracking.place(DIGITS, "unfinished").begin(config(sample), "resume"):
        raise ZeroDivisionError
    with pytest.raises(UserError, match=words):
        resolve(sample, JOINED.replace(**changes))


def test_other_data_and_other_shapes_are_refused(sample, here):
    with pytest.raises(UserError, match="data_fingerprint differs"):
        resolve(limited(sample, 150), JOINED)
    pictures = limited(loaders.load("cifar-10", "sample"), 100)
    with pytest.raises(UserError, match="belongs to digit-recognizer, not to cifar-10"):
        resolve(pictures, JOINED.replace(options={"runs": "runs/digit-recognizer/one,runs/digit-recognizer/other"}))
    members = [zoo.build("lenet_small", shape, 10) for shape in ((28, 28, 1), (32, 32, 3))]
    with pytest.raises(UserError, match=r"member 2, lenet_small, is for images of \(32, 32, 3\)"):
        zoo.build("combined", (28, 28, 1), 10, runs=members)


def test_a_run_without_validation_may_join_what_it_likes(sample, here):
    _, metrics = train("everything", sample, JOINED.replace(validation_share=0.0, split_seed=3))
    assert metrics.validation_accuracy is None


# --- weights of a run


def test_neither_a_link_nor_a_teacher_hides_what_start_weights_have_seen(sample, here, tmp_path):
    other = QUICK.replace(split_seed=1)
    link = tmp_path / "link.keras"
    link.symlink_to(tracking.find("one").network_path(0).resolve())
    members = {"model": "combined", "options": {"runs": "one, other"}}
    for changes in ({"weights": str(link)}, {"weights": "one", "teacher": "one"}, {**members, "teacher": "one"}):
        with pytest.raises(UserError, match="split_seed"):
            lineage.resolve(other.replace(**changes), sample)


def test_each_fold_starts_from_its_own_network_and_other_splits_are_refused(sample, here):
    folded = QUICK.replace(folds=2)
    run, _ = train("folds", sample, folded)
    again = folded.replace(weights="folds")
    for fold in (0, 1):
        network, _ = build(again, sample, fold=fold)
        own = transfer.load(run.network_path(fold))
        np.testing.assert_array_equal(
            network.get_layer("conv1").get_weights()[0], own.get_layer("conv1").get_weights()[0]
        )
    with pytest.raises(UserError, match="split_seed differs"):
        resolve(sample, again.replace(split_seed=1))
    file = folded.replace(weights=str(run.network_path(0)))
    with pytest.raises(UserError, match="each fold starts from its own network"):
        resolve(sample, file)


@pytest.mark.parametrize(
    ("model", "options", "new"),
    [("resnet_small", {"width": 4}, {"stem_conv", "logits"}), ("airbench", {"width": 4}, {"whitening_conv", "logits"})],
)
def test_weights_from_pictures_to_digits(sample, tmp_path, model, options, new):
    """From colour to grey the first convolution cannot fit; all else is taken, and the head is new."""
    source = saved("colour", tmp_path, model, (32, 32, 3), **options)
    images = sample.train_images
    recipe = Recipe(model=model, options=options, weights=source)
    network, taken = build(recipe, sample, images=images)
    if model == "airbench":
        new = new | {"block1_conv1"}
    weighted = {layer.name for layer in network.layers if layer.weights}
    assert weighted - set(taken) == new
    there = transfer.load(pathlib.Path(source))
    for name in taken:
        for own, other in zip(network.get_layer(name).get_weights(), there.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(own, other)
    said = transfer.describe(network, taken)
    assert f"{len(taken)} of {len(weighted)} layers taken" in said
    assert all(name in said for name in new)
    if model == "airbench":
        fresh = zoo.build(model, (28, 28, 1), 10, **options)
        zoo.builder(model).adapt(fresh, images)
        kernels = [one.get_layer("whitening_conv").get_weights()[0] for one in (network, fresh)]
        np.testing.assert_array_equal(*kernels)


def test_a_run_on_pictures_starts_one_on_digits(sample, here, capsys):
    pictures = limited(loaders.load("cifar-10", "sample"), 100)
    quick = QUICK.replace(model="fast_cnn")
    train("pictures", pictures, quick)
    capsys.readouterr()
    _, metrics = train("from-pictures", sample, quick.replace(weights="runs/cifar-10/pictures", split_seed=5))
    said = "weights: 5 of 7 layers taken; new: block1_conv, logits, from runs/cifar-10/pictures"
    assert said in capsys.readouterr().out
    assert metrics.competition == "digit-recognizer"


def test_taken_whitening_is_not_computed_anew(sample, tmp_path):
    source = saved("grey", tmp_path, "airbench", (28, 28, 1), width=4)
    recipe = Recipe(model="airbench", options={"width": 4}, weights=source)
    network, taken = build(recipe, sample, images=sample.train_images)
    assert "whitening_conv" in taken
    own, other = (
        one.get_layer("whitening_conv").get_weights()[0] for one in (network, transfer.load(pathlib.Path(source)))
    )
    np.testing.assert_array_equal(own, other)
