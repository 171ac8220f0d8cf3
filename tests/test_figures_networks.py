"""Figures of networks: they work on every kind of network, and show what is there."""

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
from kit.figures.layers import exciting_images

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


def test_a_dissected_network_answers_as_before(network):
    images = some(network)
    before = logits(network, images)
    found = layer_calls.layer_calls_of(network)
    np.testing.assert_allclose(layer_calls.as_array(found.read(images, found.logits)), before, rtol=1e-5, atol=1e-5)
    assert not any(isinstance(step.layer, keras.Model) for step in found.steps)
    np.testing.assert_array_equal(logits(network, images), before)


def test_a_dissected_network_can_still_be_saved(network, tmp_path):
    images = some(network)
    before = logits(network, images)
    figures.grad_cam(network, images)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", compile=False)
    np.testing.assert_allclose(logits(loaded, images), before, rtol=1e-5)


def test_features_are_what_the_classifier_sees(network):
    images = some(network, 5)
    seen = figures.features(network, images, batch_size=2)
    kernel, bias = network.get_layer("logits").get_weights()
    np.testing.assert_allclose(seen @ kernel + bias, logits(network, images), rtol=1e-4, atol=1e-3)


def test_layers_of_nested_networks_are_found_by_their_path():
    found = layer_calls.layer_calls_of(nested())
    assert found.step("logits").output is found.logits
    assert found.step("skipping/logits").output is not found.logits
    assert found.step("inner") is found.step("small/inner")
    assert "small/inner" in figures.structure_text(nested())


def test_dropout_and_augmentation_rest():
    images = keras.Input((8, 8, 1))
    x = layers.Dropout(0.9)(layers.RandomTranslation(0.5, 0.5, fill_mode="constant")(images))
    x = layers.Flatten()(layers.Conv2D(1, 1, kernel_initializer="ones")(x))
    found = layer_calls.layer_calls_of(keras.Model(images, layers.Dense(1)(x)))
    image = some(keras.Model(images, x), 1)
    np.testing.assert_array_equal(layer_calls.as_array(found.read(image, found.convolutions[0].output)), image)


def test_only_what_is_asked_for_is_computed():
    found = layer_calls.layer_calls_of(plain())
    called = []

    def noted(step, *arguments, **options):
        called.append(step.name)
        return step(*arguments, **options)

    found.read(np.zeros((1, 12, 12, 1)), found.step("conv1").output, noted)
    assert called == ["scale", "conv1"]


def test_what_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"no layer 'conv9'; it has scale, conv1"):
        layer_calls.layer_calls_of(plain()).step("conv9")
    flat = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError, match="no convolution"):
        figures.filters(flat)
    with pytest.raises(ValueError, match="no layer with maps"):
        figures.grad_cam(flat, np.zeros((1, 4, 4, 1)))
    with pytest.raises(ValueError, match="no input shape"):
        layer_calls.layer_calls_of(keras.Sequential([layers.Dense(2)]))


# --- gradients and what is made of them


def test_gradient_is_the_slope():
    slope = gradient_of(lambda x: keras.ops.sum(x**3))(np.array([1.0, -2.0, 0.5], np.float32))
    np.testing.assert_allclose(slope, [3, 12, 0.75], rtol=1e-6)


def test_grad_cam_finds_the_place_that_speaks_for_the_class():
    images = keras.Input((16, 16, 1), name="images")
    bright = layers.Conv2D(2, 3, padding="same", activation="relu", name="conv")(images)
    network = keras.Model(images, layers.Dense(2, name="logits")(layers.GlobalAveragePooling2D()(bright)))
    # Filter 0 answers to brightness and speaks for class 0, filter 1 to darkness and speaks for class 1.
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


def test_guided_gradients_hold_back_what_speaks_against():
    images = keras.Input((4, 4, 1), name="images")
    x = layers.Conv2D(2, 1, activation="relu", name="conv")(images)
    network = keras.Model(images, layers.Dense(1, name="logits")(layers.Flatten()(x)))
    network.get_layer("conv").set_weights([np.array([[[[1.0, 1.0]]]]), np.zeros(2)])
    network.get_layer("logits").set_weights([np.tile([[1.0], [-3.0]], (16, 1)), np.zeros(1)])
    pixels = np.full((1, 4, 4, 1), 10.0)
    np.testing.assert_allclose(attribution.guided_gradients(network, pixels, [0]), 1)  # plainly it would be 1 - 3


@pytest.mark.parametrize("guided", [True, False])
def test_grad_cam_of_any_network(network, guided):
    images = some(network)
    figure = figures.grad_cam(network, images, [0, 1, 2], ["a", "b", "c", "d"], guided)
    assert is_png(figure)
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
    said = [texts(figures.grad_cam(network, images, guided=False)) for network in (bare, ends, inside)]
    assert said[0] == said[1] == said[2]
    assert any("%" in text for text in said[0])


def test_grad_cam_keeps_away_from_maps_of_a_single_place():
    images = keras.Input((16, 16, 1), name="images")
    x = layers.Conv2D(3, 3, padding="same", name="wide")(images)
    x = layers.MaxPooling2D(8, name="tiny")(x)
    network = keras.Model(images, layers.Dense(2, name="logits")(layers.Flatten(name="flatten")(x)))
    chosen = attribution._last_with_places(layer_calls.layer_calls_of(network))
    assert chosen.layer.name == "wide"


def test_gradient_ascent_excites(network):
    layer = layer_calls.layer_calls_of(network).convolutions[-1].name
    images, shown = exciting_images(network, layer, count=3, steps=8)
    assert images.shape == (len(shown), *network.input_shape[1:])
    assert images.min() >= 0
    assert images.max() <= 255
    found = layer_calls.layer_calls_of(network)
    answer = layer_calls.as_array(found.read(images, found.step(layer).output)).mean((1, 2))
    grey = layer_calls.as_array(found.read(np.full_like(images[:1], 127.5), found.step(layer).output)).mean((1, 2))
    assert (answer[np.arange(len(shown)), shown] > grey[0, shown]).all()
    assert is_png(figures.gradient_ascent(network, count=2, steps=1))
    assert is_png(figures.gradient_ascent(network, "logits", count=9, steps=1, class_names=["a", "b", "c", "d"]))


# --- filters and outputs


def test_filters_and_outputs_of_any_network(network):
    assert is_png(figures.filters(network))
    assert is_png(figures.layer_outputs(network, some(network)[0], layers=3, channels=4))


def test_filters_have_the_colours_of_the_image_and_not_of_what_the_network_makes_of_it():
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
    found = layer_calls.layer_calls_of(network)
    outputs = layer_calls.as_array(found.read(image[None], found.step("conv1").output))[0]
    np.testing.assert_allclose(drawn, outputs[..., outputs.std((0, 1)).argmax()], rtol=1e-5)


# --- structure


def test_structure_of_any_network(network):
    assert is_png(figures.structure(network))
    told = figures.structure_text(network)
    for step in layer_calls.layer_calls_of(network).steps:
        assert step.name in told
    assert f"{network.count_params():,} weights" in told


def test_structure_words():
    told = figures.structure_text(skipping())
    assert "conv 3×3, 6" in told
    assert "stem_relu, conv2" in told  # what the sum reads
    boxes = graph._boxes(skipping())
    kinds = [box.kind for box in boxes]
    assert kinds.count(graph.CONVOLUTION) == 3
    assert kinds.count(graph.JOINING) == 1
    stem = next(box for box in boxes if "batch norm · ReLU" in box.lines)
    joined = next(box for box in boxes if box.kind == graph.JOINING)
    assert boxes.index(stem) in joined.inputs


def of_the_zoo(name, shape):
    options = {"weights": None} if name.startswith("vgg16") else {}
    if name == "combined":
        options = {"runs": [zoo.build(member, shape, 10) for member in ("lenet_small", "fast_cnn")]}
    return zoo.build(name, shape, 10, **options)


@pytest.mark.parametrize("name", zoo.names())
def test_structure_of_the_zoo_has_no_line_through_a_box(name):
    boxes = graph._boxes(of_the_zoo(name, (32, 32, 3)))
    plan = layout.arrange([box.inputs for box in boxes], 2.4)
    assert len(set(plan.places)) == len(boxes)
    for line in plan.lines:
        for (x1, y1), (x2, y2) in itertools.pairwise(line):
            for x, y in plan.places:
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
    chosen = "gradient or grad_cam or guided or ascent or dissected or features"
    call = [sys.executable, "-m", "pytest", "-q", __file__, "-k", f"({chosen}) and not backend and not zoo"]
    told = subprocess.run(
        call, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True, timeout=900
    )
    assert told.returncode == 0, told.stdout[-3000:]
