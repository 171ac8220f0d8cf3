import keras
import numpy as np
import pytest

from kit import zoo
from kit.errors import UserError
from kit.recipes.recipe import Recipe
from kit.training import fit
from kit.training.batches import Batches

SHAPES = {"digits": (28, 28, 1), "colour": (32, 32, 3)}
HEAVY = ("resnet_medium", "resnet_large", "resnet_v2_medium", "resnet_v2_large")
WITHOUT_DOWNLOAD = {"vgg16_transfer": {"weights": None}, "vgg16_skip": {"weights": None}}
MEMBERS = ("fast_cnn", "lenet_small")  # of `combined`, which is made of trained networks

# Trainable and other weights together, for (28, 28, 1) and (32, 32, 3) images and ten classes.
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
    "vgg16_skip": (30_764_924, 30_764_924),
}


convert = keras.ops.convert_to_numpy


def build(name, shape, classes=10):
    options = WITHOUT_DOWNLOAD.get(name, {})
    if name == "combined":
        options = {"runs": [zoo.build(member, shape, classes) for member in MEMBERS]}
    return zoo.build(name, shape, classes, **options)


def test_the_catalogue_is_what_the_modules_register():
    for name, network in zoo.catalogue().items():
        builder = zoo.builder(name)
        assert builder.__name__ == name
        assert builder.published == network.published
        assert network.summary


@pytest.mark.parametrize("name", zoo.names())
def test_parameters(name):
    expected = PARAMETERS.get(name)
    for at, shape in enumerate(SHAPES.values()):
        network = build(name, shape)
        assert network.output_shape == (None, 10)
        assert network.layers[-1].name == "logits"
        names = [layer.name for layer in network.layers]
        assert len(set(names)) == len(names)
        assert not any(name.startswith(("conv2d", "dense_", "batch_normalization")) for name in names), "readable names"
        if expected:
            assert network.count_params() == expected[at]


@pytest.mark.parametrize("name", [name for name in zoo.names() if name not in HEAVY])
def test_trains_a_step_and_survives_saving(name, tmp_path):
    shape = SHAPES["digits"]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, *shape), dtype=np.uint8)
    targets = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    keras.utils.set_random_seed(0)
    network = build(name, shape, classes=3)
    adapt = zoo.builder(name).adapt
    if adapt:
        adapt(network, images)
    before = [convert(weight) for weight in network.trainable_variables]
    recipe = Recipe(batch_size=4, optimizer="sgd", learning_rate=0.1, warmup=0, momentum=0)
    model = fit.compiled(network, Batches(images, targets, recipe))
    inputs, labels = next(Batches(images, targets, recipe).epoch(0))
    assert np.isfinite(model.train_on_batch(inputs, labels)).all()
    moved = [
        not np.array_equal(was, convert(weight))
        for was, weight in zip(before, network.trainable_variables, strict=True)
    ]
    assert any(moved)
    assert moved[-1], "the gradient reaches the last layer"
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(convert(network(images)), convert(again(images)))


def test_frozen_convolutions_are_frozen_and_random_ones_are_not(tmp_path):
    loose = build("vgg16_transfer", SHAPES["colour"])
    assert all(weight.trainable for weight in loose.weights)
    base = keras.applications.VGG16(include_top=False, weights=None)
    path = tmp_path / "vgg16.weights.h5"
    base.save_weights(path)
    frozen = zoo.build("vgg16_transfer", SHAPES["digits"], 10, weights=str(path))
    trainable = {weight.path.split("/")[0] for weight in frozen.trainable_weights}
    assert trainable == {"head_dense", "logits"}
    first = frozen.get_layer("block1_conv1").get_weights()[0]
    np.testing.assert_array_equal(first, base.get_layer("block1_conv1").get_weights()[0])


def test_vgg16_sees_what_keras_preprocesses():
    network = build("vgg16_transfer", SHAPES["digits"])
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1), dtype=np.uint8)
    rgb = np.pad(np.repeat(image, 3, axis=3), ((0, 0), (2, 2), (2, 2), (0, 0))).astype(np.float32)
    wanted = keras.applications.vgg16.preprocess_input(rgb.copy())
    first = network.get_layer("block1_conv1")
    got = keras.Model(network.input, first.input)(image)
    np.testing.assert_allclose(convert(got), wanted, atol=1e-3)


def test_vgg16_from_chance_keeps_the_signals_size():
    network = build("vgg16_transfer", SHAPES["colour"])
    image = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    names = [f"block{block}_conv1" for block in range(1, 6)]
    sizes = [
        convert(out).std() for out in keras.Model(network.input, [network.get_layer(n).output for n in names])(image)
    ]
    assert min(sizes) > 0.3
    assert max(sizes) < 3


def test_imagenet_weights_that_cannot_be_had_are_explained(monkeypatch):
    def unplugged(*_, **__):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "VGG16", unplugged)
    with pytest.raises(UserError, match="--weights none"):
        zoo.build("vgg16_transfer", SHAPES["digits"], 10)


@pytest.mark.parametrize("content", [None, b"rubbish"])
def test_weights_that_are_none(tmp_path, content):
    path = tmp_path / "vgg16.h5"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"vgg16\.h5"):
        zoo.build("vgg16_transfer", SHAPES["digits"], 10, weights=str(path))


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(UserError, match=r"Did you mean resnet_small\?"):
        zoo.build("resnet_smal", (28, 28, 1), 10)
    with pytest.raises(UserError, match=r"Did you mean dropout\?"):
        zoo.build("digit_cnn", (28, 28, 1), 10, dropuot=0.1)
