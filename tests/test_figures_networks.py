"""Figures of networks: drawn for every kind of network, and true to it."""

import itertools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from drawings import is_png, texts
from keras import layers

from kit import figures, zoo
from kit.figures import attribution, graph, layer_calls, layout
from kit.figures.gradients import gradient_of
from kit.figures.layers import maximizing_images

CLASSES = 4


def plain(shape=(12, 12, 1)):
    """Two convolutions with the activation inside."""
    images = keras.Input(shape, name="images")
    x = layers.Rescaling(1 / 255, name="scale")(images)
    x = layers.Conv2D(6, 3, activation="relu", name="conv1")(x)
    x = layers.Conv2D(5, 3, padding="same", activation="gelu", name="conv2")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(7, activation="relu", name="dense")(x)
    return keras.Model(images, layers.Dense(CLASSES, dtype="float32", name="logits")(x), name="plain")


def skipping(shape=(12, 12, 3)):
    """Batch norm, separate activations and a skip connection."""
    images = keras.Input(shape, name="images")
    x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(name="norm")(layers.Conv2D(6, 3, name="stem")(images)))
    y = layers.Activation("relu", name="act")(layers.Conv2D(6, 3, padding="same", name="conv")(x))
    x = layers.Add(name="add")([x, layers.Conv2D(6, 3, padding="same", name="conv2")(y)])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(images, layers.Dense(CLASSES, dtype="float32", name="logits")(x), name="skipping")


def nested(shape=(12, 12, 3)):
    """Two networks side by side within a third, an operation and a stack of layers."""
    images = keras.Input(shape, name="images")
    small = keras.Sequential([keras.Input(shape), layers.Conv2D(3, 3, name="inner"), layers.Flatten()], name="small")
    joined = layers.Concatenate(name="join")([skipping(shape)(keras.ops.flip(images, -1)), small(images)])
    return keras.Model(images, layers.Dense(CLASSES, name="logits")(joined), name="nested")


def stack(shape=(12, 12, 1)):
    """What a first notebook builds."""
    return keras.Sequential(
        [keras.Input(shape), layers.Conv2D(4, 3, name="conv"), layers.Flatten(), layers.Dense(CLASSES, name="logits")]
    )


BUILDERS = [plain, skipping, nested, stack]


@pytest.fixture(params=BUILDERS, ids=lambda build: build.__name__)
def network(request):
    keras.utils.set_random_seed(0)
    built = request.param()
    if request.param is plain:
        built.compile("adam", keras.losses.SparseCategoricalCrossentropy(True))
    return built


def some(network, count=3):
    return np.random.default_rng(0).integers(0, 256, (count, *network.input_shape[1:]), np.uint8)


def logits(network, images):
    return keras.ops.convert_to_numpy(network(np.asarray(images, np.float32), training=False))


# --- layer_calls


def test_calls_compute_what_the_network_computes(network):
    images = some(network)
    before = logits(network, images)
    found = layer_calls.layer_calls(network)
    np.testing.assert_allclose(layer_calls.as_array(found.compute(images, found.output)), before, rtol=1e-5, atol=1e-5)
    assert not any(isinstance(call.layer, keras.Model) for call in found.calls)
    np.testing.assert_array_equal(logits(network, images), before)


@pytest.mark.parametrize("network", [plain, nested], indirect=True)
def test_a_network_can_be_saved_after_figures_of_it(network, tmp_path):
    images = some(network)
    before = logits(network, images)
    figures.grad_cam(network, images)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", compile=False)
    np.testing.assert_allclose(logits(loaded, images), before, rtol=1e-5)


def test_features_are_the_inputs_of_the_classifier(network):
    images = some(network, 5)
    features = figures.features(network, images, batch_size=2)
    kernel, bias = network.get_layer("logits").get_weights()
    np.testing.assert_allclose(features @ kernel + bias, logits(network, images), rtol=1e-4, atol=1e-3)


def test_layers_of_nested_networks_are_found_by_their_path():
    found = layer_calls.layer_calls(nested())
    assert found.find("logits").output is found.output
    assert found.find("skipping/logits").output is not found.output
    assert found.find("inner") is found.find("small/inner")
    assert "small/inner" in figures.structure_text(nested())


def test_dropout_and_augmentation_are_off():
    images = keras.Input((8, 8, 1))
    x = layers.Dropout(0.9)(layers.RandomTranslation(0.5, 0.5, fill_mode="constant")(images))
    x = layers.Flatten()(layers.Conv2D(1, 1, kernel_initializer="ones")(x))
    found = layer_calls.layer_calls(keras.Model(images, layers.Dense(1)(x)))
    image = some(keras.Model(images, x), 1)
    np.testing.assert_array_equal(layer_calls.as_array(found.compute(image, found.convolutions[0].output)), image)


def test_only_layers_that_are_needed_are_called():
    found = layer_calls.layer_calls(plain())
    called = []

    def recorded(call, *arguments, **keywords):
        called.append(call.name)
        return call(*arguments, **keywords)

    found.compute(np.zeros((1, 12, 12, 1)), found.find("conv1").output, recorded)
    assert called == ["scale", "conv1"]


def test_what_a_network_lacks_is_an_error():
    with pytest.raises(ValueError, match=r"conv9.*scale, conv1"):
        layer_calls.layer_calls(plain()).find("conv9")
    flat = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)])
    for draw in (
        figures.filters,
        figures.gradient_ascent,
        lambda network: figures.grad_cam(network, np.zeros((1, 4, 4, 1))),
    ):
        with pytest.raises(ValueError, match="convolution"):
            draw(flat)
    with pytest.raises(ValueError, match=r"keras.Input"):
        layer_calls.layer_calls(keras.Sequential([layers.Dense(2)]))


# --- gradients


def test_gradient_is_the_slope():
    slope = gradient_of(lambda x: keras.ops.sum(x**3))(np.array([1.0, -2.0, 0.5], np.float32))
    np.testing.assert_allclose(slope, [3, 12, 0.75], rtol=1e-6)


def test_grad_cam_finds_the_region_that_raises_the_score():
    images = keras.Input((16, 16, 1), name="images")
    bright = layers.Conv2D(2, 3, padding="same", activation="relu", name="conv")(images)
    network = keras.Model(images, layers.Dense(2, name="logits")(layers.GlobalAveragePooling2D()(bright)))
    # Filter 0 responds to brightness and raises class 0, filter 1 responds to darkness and raises class 1.
    ones = np.ones((3, 3, 1, 1), np.float32) / 9
    network.get_layer("conv").set_weights([np.concatenate([ones, -ones], -1), np.array([0, 255], np.float32)])
    network.get_layer("logits").set_weights([np.eye(2, dtype=np.float32), np.zeros(2, np.float32)])
    image = np.zeros((1, 16, 16, 1), np.uint8)
    image[0, 2:7, 9:14] = 255
    (bright_map,), (dark_map,) = (attribution.grad_cam_maps(network, image, [one]) for one in (0, 1))
    assert bright_map[4, 11] == pytest.approx(1)
    assert bright_map[12, 3] == pytest.approx(0, abs=1e-6)
    assert dark_map[4, 11] == pytest.approx(0, abs=1e-6)
    assert dark_map[12, 3] > 0.9
    guided = attribution.guided_gradients(network, image, [0])[0, ..., 0]
    assert guided[4, 11] > 0
    assert guided[12, 3] == 0


def test_guided_gradients_leave_out_negative_gradients():
    images = keras.Input((4, 4, 1), name="images")
    x = layers.Conv2D(2, 1, activation="relu", name="conv")(images)
    network = keras.Model(images, layers.Dense(1, name="logits")(layers.Flatten()(x)))
    network.get_layer("conv").set_weights([np.array([[[[1.0, 1.0]]]]), np.zeros(2)])
    network.get_layer("logits").set_weights([np.tile([[1.0], [-3.0]], (16, 1)), np.zeros(1)])
    pixels = np.full((1, 4, 4, 1), 10.0)
    np.testing.assert_allclose(attribution.guided_gradients(network, pixels, [0]), 1)  # the plain gradient is 1 - 3


def test_grad_cam_of_any_network(network):
    images = some(network)
    assert is_png(figures.grad_cam(network, images, [0, 1, 2], ["a", "b", "c", "d"]))
    maps = attribution.grad_cam_maps(network, images, [0, 1, 2])
    assert maps.shape == images.shape[:3]
    assert maps.min() >= 0
    assert maps.max() <= 1


def test_grad_cam_of_a_network_that_ends_with_a_softmax():
    bare = stack((8, 8, 1))
    ends = keras.Sequential([bare, layers.Softmax()])
    inside = keras.models.clone_model(bare)
    inside.layers[-1].activation = keras.activations.softmax
    inside.set_weights(bare.get_weights())
    images = some(bare)
    drawn = [texts(figures.grad_cam(network, images, guided=False)) for network in (bare, ends, inside)]
    assert drawn[0] == drawn[1] == drawn[2]
    assert any("%" in text for text in drawn[0])


def test_grad_cam_uses_no_map_that_is_too_small():
    images = keras.Input((16, 16, 1), name="images")
    x = layers.Conv2D(3, 3, padding="same", name="wide")(images)
    x = layers.MaxPooling2D(8, name="tiny")(x)
    network = keras.Model(images, layers.Dense(2, name="logits")(layers.Flatten(name="flatten")(x)))
    chosen = attribution._last_with_maps(layer_calls.layer_calls(network))
    assert chosen.layer.name == "wide"


def test_gradient_ascent_activates(network):
    layer = layer_calls.layer_calls(network).convolutions[-1].name
    images, numbers = maximizing_images(network, layer, count=3, steps=8)
    assert images.shape == (len(numbers), *network.input_shape[1:])
    assert images.min() >= 0
    assert images.max() <= 255
    found = layer_calls.layer_calls(network)
    activation = layer_calls.as_array(found.compute(images, found.find(layer).output)).mean((1, 2))
    grey = layer_calls.as_array(found.compute(np.full_like(images[:1], 127.5), found.find(layer).output)).mean((1, 2))
    assert (activation[np.arange(len(numbers)), numbers] > grey[0, numbers]).all()
    assert is_png(figures.gradient_ascent(network, count=2, steps=1))
    assert is_png(figures.gradient_ascent(network, "logits", count=9, steps=1, class_names=["a", "b", "c", "d"]))


# --- filters and outputs


def test_filters_and_outputs_of_any_network(network):
    assert is_png(figures.filters(network))
    assert is_png(figures.layer_outputs(network, some(network)[0], layers=3, channels=4))


def test_filters_are_drawn_in_the_channels_of_the_image():
    images = keras.Input((8, 8, 3), name="images")
    x = keras.ops.flip(layers.Rescaling(1 / 255)(layers.ZeroPadding2D(2)(images)), axis=-1)
    network = keras.Model(images, layers.GlobalAveragePooling2D()(layers.Conv2D(2, 1, name="conv")(x)))
    last, first = [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]  # for the third channel, which is red once flipped; against blue
    network.get_layer("conv").set_weights([np.array([last, first]).T.reshape(1, 1, 3, 2), np.zeros(2)])
    drawn = [axes.images[0].get_array()[0, 0] for axes in figures.filters(network).axes]
    np.testing.assert_array_equal(drawn, [[255, 128, 128], [128, 128, 0]])
    grey = zoo.build("vgg16_transfer", (28, 28, 1), 10, weights=None)
    kernel = layer_calls.as_array(grey.get_layer("block1_conv1").get_weights()[0])[..., 0].sum(-1)
    drawn = figures.filters(grey, count=1).axes[0].images[0].get_array()
    np.testing.assert_allclose(drawn / np.abs(drawn).max(), kernel / np.abs(kernel).max(), rtol=1e-4, atol=1e-5)


def test_layer_outputs_are_the_layers_own():
    network = plain()
    image = some(network)[0]
    figure = figures.layer_outputs(network, image, channels=6)
    drawn = np.asarray([axes.images[0].get_array() for axes in figure.axes if axes.images][1])
    found = layer_calls.layer_calls(network)
    outputs = layer_calls.as_array(found.compute(image[None], found.find("conv1").output))[0]
    np.testing.assert_allclose(drawn, outputs[..., outputs.std((0, 1)).argmax()], rtol=1e-5)


# --- structure


def test_structure_of_any_network(network):
    assert is_png(figures.structure(network))
    text = figures.structure_text(network)
    for call in layer_calls.layer_calls(network).calls:
        assert call.name in text
    assert f"{network.count_params():,} parameters" in text


def test_structure_of_a_network_with_a_skip_connection():
    text = figures.structure_text(skipping())
    assert "conv 3×3, 6" in text
    assert "stem_relu, conv2" in text
    boxes = graph._boxes(skipping())
    kinds = [box.kind for box in boxes]
    assert kinds.count(graph.CONVOLUTION) == 3
    assert kinds.count(graph.MERGING) == 1
    stem = next(box for box in boxes if "batch norm · ReLU" in box.lines)
    merged = next(box for box in boxes if box.kind == graph.MERGING)
    assert boxes.index(stem) in merged.inputs


def of_the_zoo(name, shape):
    options = {"weights": None} if "weights" in zoo.options(name) else {}
    if name == "combined":
        options = {"runs": [zoo.build(member, shape, 10) for member in ("lenet_small", "fast_cnn")]}
    return zoo.build(name, shape, 10, **options)


DEEP = ("resnet_large", "resnet_v2_medium", "resnet_v2_large")  # as resnet_medium, with more boxes


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in DEEP else []) for name in zoo.names()]
)
def test_structure_of_the_zoo_has_no_line_through_a_box(name):
    boxes = graph._boxes(of_the_zoo(name, (32, 32, 3)))
    page = layout.arrange([box.inputs for box in boxes], 2.4)
    assert len(set(page.centres)) == len(boxes)
    for line in page.lines:
        for (x1, y1), (x2, y2) in itertools.pairwise(line):
            for x, y in page.centres:
                within = max(min(x1, x2), x - 1.1) <= min(max(x1, x2), x + 1.1)
                level = max(min(y1, y2), y - 0.35) <= min(max(y1, y2), y + 0.35)
                assert not (within and level), (name, (x1, y1), (x2, y2), (x, y))


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.names())
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3)], ids=["grey", "colour"])
def test_every_figure_of_every_network(name, shape):
    network = of_the_zoo(name, shape)
    images = some(network)
    for figure in (
        figures.filters(network),
        figures.layer_outputs(network, images[0]),
        figures.gradient_ascent(network, count=2, steps=2),
        figures.grad_cam(network, images, [1, 2, 3]),
        figures.structure(network),
    ):
        assert is_png(figure)
    assert figures.features(network, images).shape[0] == 3


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax"])
def test_on_another_backend(backend):
    pytest.importorskip(backend)
    chosen = "gradient or grad_cam or guided or ascent or calls or features"
    command = [sys.executable, "-m", "pytest", "-q", __file__, "-k", f"({chosen}) and not backend and not zoo"]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert finished.returncode == 0, finished.stdout[-3000:]
