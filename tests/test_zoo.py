"""What every network of the zoo has to be, whichever networks there are; and what some of them are known to be."""

import contextlib
import functools
import inspect
import pathlib

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit import competitions, recipes, zoo
from kit.errors import UserError
from kit.recipes import Recipe, plan
from kit.training import fit
from kit.training.batches import Batches

DIGITS, COLOUR = (28, 28, 1), (32, 32, 3)
MEMBERS = ("fast_cnn", "lenet_small")  # of `combined`, which is made of trained networks
SLOW_TO_BUILD = {"resnet_medium", "resnet_large", "resnet_v2_medium", "resnet_v2_large", "transfer", "vgg16_skip"}
SLOW_TO_TRAIN = {*SLOW_TO_BUILD, "vgg16_transfer"}

# All weights together, for (28, 28, 1) and (32, 32, 3) images and ten classes.
PARAMETERS = {
    "airbench": (1_964_456, 1_973_944),
    "airbench96": (9_903_144, 9_921_848),
    "lenet_small": (693_962, 923_914),
    "mnist_cnn": (1_199_882, 1_626_442),
    "simple_cnn": (889_834, 1_250_858),
    "combined": (739_502, 974_734),
    "cnn6": (1_477_354, 2_395_434),
    "digit_cnn": (327_242, 331_658),
    "resnet_small": (273_370, 273_658),
    "resnet_medium": (859_354, 859_642),
    "resnet_large": (1_738_330, 1_738_618),
    "resnet_v2_small": (221_978, 222_266),
    "resnet_v2_medium": (598_298, 598_586),
    "resnet_v2_large": (1_162_778, 1_163_066),
    "vgg16_transfer": (14_982_474, 14_982_474),
    "vgg16_skip": (30_827_388, 30_889_852),
}
DOCUMENTED = pathlib.Path(__file__).resolve().parents[1] / "docs" / "extending.md"

convert = keras.ops.convert_to_numpy


def names(slow):
    return [pytest.param(name, marks=[pytest.mark.slow] if name in slow else []) for name in zoo.names()]


@functools.cache
def build(name, shape=DIGITS, classes=10):
    """The network without weights from the internet; each is built once for all tests."""
    options = {"weights": None} if "weights" in zoo.options(name) else {}
    if "runs" in zoo.options(name):
        options = {"runs": [build(member, shape, classes) for member in MEMBERS]}
    return zoo.build(name, shape, classes, **options)


# --- every network


def check_structure(name):
    for number, shape in enumerate((DIGITS, COLOUR)):
        network = build(name, shape)
        assert (network.name, network.input_shape, network.output_shape) == (name, (None, *shape), (None, 10))
        last = network.layers[-1]
        assert (last.name, last.compute_dtype) == ("logits", "float32")
        names = [layer.name for layer in network.layers]
        assert len(set(names)) == len(names)
        assert not any(name.startswith(("conv2d", "dense_", "batch_normalization")) for name in names), "readable names"
        if name in PARAMETERS:
            assert network.count_params() == PARAMETERS[name][number]


def check_training_step(name, folder):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, *DIGITS), dtype=np.uint8)
    network = build(name)
    adapt = zoo.builder(name).adapt
    if adapt:
        adapt(network, images)
    before = [convert(weight) for weight in network.trainable_variables]
    recipe = Recipe(batch_size=4, optimizer="sgd", learning_rate=0.1, warmup=0, momentum=0)
    batches = Batches(images, np.eye(10, dtype=np.float32)[[0, 1, 2, 0]], recipe)
    model = fit.compiled(network, batches)
    model.run_eagerly = True  # its graph would take longer than all else here
    inputs, labels = next(batches.epoch(0))
    assert np.isfinite(model.train_on_batch(inputs, labels)).all()
    moved = [
        not np.array_equal(was, convert(weight))
        for was, weight in zip(before, network.trainable_variables, strict=True)
    ]
    assert moved[-1], "the gradient reaches the last layer"
    network.save(folder / "network.keras")
    again = keras.saving.load_model(folder / "network.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(convert(network(images)), convert(again(images)))


def test_the_catalogue_is_what_the_modules_register():
    for name, network in zoo.catalogue().items():
        builder = zoo.builder(name)
        assert builder.__name__ == name
        assert builder.published == network.published
        assert list(inspect.signature(builder).parameters)[2:] == list(network.options)
        assert network.summary


@pytest.mark.parametrize("name", names(SLOW_TO_BUILD))
def test_structure(name):
    check_structure(name)


@pytest.mark.parametrize("name", names(SLOW_TO_TRAIN))
def test_trains_a_step_and_survives_saving(name, tmp_path):
    check_training_step(name, tmp_path)


def test_a_pasted_network_is_one_of_the_zoo(tmp_path, monkeypatch, capsys):
    """As docs/extending.md has it: a file with a builder is all that a new network needs."""
    from kit.zoo.__main__ import main

    text = DOCUMENTED.read_text(encoding="utf-8").partition("## Add a network")[2].split("```python\n")[1]
    snippet = text.partition("```")[0].replace("my_network", "pasted")
    (tmp_path / "mine.py").write_text(snippet, encoding="utf-8")
    monkeypatch.setattr(zoo, "__path__", [*zoo.__path__, str(tmp_path)])
    zoo.catalogue.cache_clear()
    try:
        assert zoo.names()[-1] == "pasted"
        check_structure("pasted")
        check_training_step("pasted", tmp_path)
        with pytest.raises(UserError, match="width"):
            zoo.build("pasted", DIGITS, 10, width=0)
        assert main(["pasted", "--competition", "cifar-10"]) == 0
        assert "width=32" in capsys.readouterr().out
    finally:
        zoo.catalogue.cache_clear()


# --- options


WRONG = {
    int: [0, -1, 2.5, True, "abc", "", [1], {"a": 1}, 10**9, float("nan"), float("inf"), "1e400"],
    float: [-0.1, 1, 3, False, "abc", [0.5], float("nan"), "nan"],
    bool: [1, 0, "true", None, []],
    str: [3, 0.5, True, ["imagenet"]],
}


@pytest.mark.parametrize("name", zoo.names())
def test_an_option_takes_what_it_can_use_and_names_itself_else(name):
    for option, parameter in list(inspect.signature(zoo.builder(name)).parameters.items())[2:]:
        assert zoo.check_options(name, {option: parameter.default}) == {option: parameter.default}
        kind = next((kind for kind in WRONG if kind.__name__ in str(parameter.annotation)), None)
        for value in WRONG.get(kind, ()):
            with pytest.raises(UserError, match=option):
                zoo.check_options(name, {option: value})
    for option in ("classes", "input_shape", "widht", 1):
        with pytest.raises(UserError):
            zoo.check_options(name, {option: 5})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from([(name, option) for name in zoo.names() for option in zoo.options(name)]), VALUES)
def test_whatever_an_option_is_given_is_taken_or_refused(place, value):
    name, option = place
    with contextlib.suppress(UserError):
        assert list(zoo.check_options(name, {option: value})) == [option]


@pytest.mark.parametrize("competition", competitions.names())
def test_shipped_recipes_give_networks_options_that_they_take(competition):
    for name in recipes.names(competition):
        asked = plan.resolve(competition, name, {}, None) or recipes.resolve(competition, name)
        for recipe in asked.members.values() if isinstance(asked, plan.Plan) else [asked]:
            assert zoo.check_options(recipe.model, recipe.options) == recipe.options


def test_texts_of_a_command_line_become_numbers():
    assert zoo.check_options("digit_cnn", {"width": "1e1", "dropout": "1e-1"}) == {"width": 10, "dropout": 0.1}
    assert zoo.check_options("vgg16_skip", {"weights": "none", "dropout": "none"}) == {"weights": None, "dropout": None}


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(UserError, match="resnet_small"):
        zoo.build("resnet_smal", DIGITS, 10)
    with pytest.raises(UserError, match="dropout"):
        zoo.build("digit_cnn", DIGITS, 10, dropuot=0.1)
    with pytest.raises(UserError, match="classes"):
        zoo.build("fast_cnn", DIGITS, 10, classes=5)


def test_images_that_are_too_small_are_refused():
    for name in ("digit_cnn", "airbench"):
        with pytest.raises(UserError, match=name):
            zoo.build(name, (4, 4, 1), 10)


# --- logits


def small(outputs, shape=(8, 8, 1)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, outputs(keras.layers.Flatten()(inputs)), name="mine")


def dense(activation=None, classes=10, **options):
    return keras.layers.Dense(classes, activation=activation, **options)


def normalised(x):
    x = keras.ops.exp(dense()(keras.layers.Rescaling(1 / 255)(x)))
    return x / keras.ops.sum(x, axis=-1, keepdims=True)


@pytest.mark.parametrize(
    "outputs",
    [
        dense("softmax"),
        dense("sigmoid"),
        lambda x: keras.layers.Softmax()(dense()(x)),
        lambda x: keras.layers.Activation("softmax", dtype="float32")(dense()(x)),
        lambda x: keras.layers.Identity(dtype="float32")(dense("softmax", dtype="bfloat16")(x)),
        lambda x: small(dense("softmax"), (64,))(x),
        normalised,
        dense(classes=9),
        lambda x: [dense()(x), dense()(x)],
    ],
    ids=["softmax", "sigmoid", "layer", "activation", "bfloat16", "nested", "own", "nine", "two"],
)
def test_a_network_that_does_not_give_logits_is_refused(outputs):
    with pytest.raises(UserError, match="mine"):
        zoo.check_network(small(outputs), (8, 8, 1), 10)


def test_other_images_and_other_objects_are_refused():
    for network in (small(dense(), (8, 8, 3)), dense(), None):
        with pytest.raises(UserError):
            zoo.check_network(network, (8, 8, 1), 10)


@pytest.mark.parametrize(
    "outputs",
    [dense(), dense(kernel_initializer="zeros"), dense("log_softmax"), dense("relu"), dense("tanh")],
    ids=["plain", "zeros", "log_softmax", "relu", "tanh"],
)
def test_a_network_that_gives_logits_is_taken_and_stays_as_it_is(outputs):
    network = small(outputs)
    before = [convert(variable).copy() for variable in network.variables]
    zoo.check_network(network, (8, 8, 1), 10)
    for old, variable in zip(before, network.variables, strict=True):
        np.testing.assert_array_equal(old, convert(variable))


def test_building_refuses_a_softmax(monkeypatch):
    def builder(input_shape, classes):
        return small(dense("softmax", classes), input_shape)

    monkeypatch.setattr(zoo, "builder", lambda name: builder)
    with pytest.raises(UserError, match="softmax"):
        zoo.build("fast_cnn", (8, 8, 1), 10)


# --- VGG16


def test_frozen_convolutions_are_frozen_and_random_ones_are_not(tmp_path):
    loose = build("vgg16_transfer", COLOUR)
    assert all(weight.trainable for weight in loose.weights)
    base = keras.applications.VGG16(include_top=False, weights=None)
    path = tmp_path / "vgg16.weights.h5"
    base.save_weights(path)
    frozen = zoo.build("vgg16_transfer", DIGITS, 10, weights=str(path))
    trainable = {weight.path.split("/")[0] for weight in frozen.trainable_weights}
    assert trainable == {"head_dense", "logits"}
    first = frozen.get_layer("block1_conv1").get_weights()[0]
    np.testing.assert_array_equal(first, base.get_layer("block1_conv1").get_weights()[0])


def test_vgg16_gets_what_keras_preprocesses():
    network = build("vgg16_transfer")
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1), dtype=np.uint8)
    rgb = np.pad(np.repeat(image, 3, axis=3), ((0, 0), (2, 2), (2, 2), (0, 0))).astype(np.float32)
    wanted = keras.applications.vgg16.preprocess_input(rgb.copy())
    first = network.get_layer("block1_conv1")
    got = keras.Model(network.input, first.input)(image)
    np.testing.assert_allclose(convert(got), wanted, atol=1e-3)


def test_vgg16_from_scratch_keeps_the_signals_size():
    network = build("vgg16_transfer", COLOUR)
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    outputs = [network.get_layer(f"block{block}_conv1").output for block in range(1, 6)]
    sizes = [convert(out).std() for out in keras.Model(network.input, outputs)(images)]
    assert min(sizes) > 0.3
    assert max(sizes) < 3


def test_imagenet_weights_that_cannot_be_downloaded_are_explained(monkeypatch):
    def unplugged(*_, **__):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "VGG16", unplugged)
    with pytest.raises(UserError, match="--weights none"):
        zoo.build("vgg16_transfer", DIGITS, 10)


@pytest.mark.parametrize("content", [None, b"rubbish"])
def test_a_weights_file_that_is_missing_or_damaged_is_named(tmp_path, content):
    path = tmp_path / "vgg16.h5"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"vgg16\.h5"):
        zoo.build("vgg16_transfer", DIGITS, 10, weights=str(path))


def test_only_trained_networks_can_be_combined():
    for runs in ((), "one,other", 3, [build("fast_cnn")], [build("fast_cnn"), "other"]):
        with pytest.raises(UserError, match="combined"):
            zoo.build("combined", DIGITS, 10, runs=runs)
