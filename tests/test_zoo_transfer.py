"""Any backbone of keras.applications under a head of one's own: pixels, heads, blocks, weights."""

import keras
import numpy as np
import pytest

from kit import zoo
from kit.errors import UserError
from kit.recipes import Recipe
from kit.training import fine_tuning, fit, frozen
from kit.training.batches import Batches
from kit.zoo import backbones

convert = keras.ops.convert_to_numpy
QUICK = {"MobileNetV2"}
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)

LAST_BLOCKS = {
    "VGG": ["block4", "block5"],
    "ResNet": ["conv5_block2", "conv5_block3"],
    "Xception": ["block13", "block14"],
    "InceptionV3": ["mixed9", "mixed10"],
    "InceptionResNetV2": ["block8_10", "conv_7b"],
    "MobileNetV2": ["block_16", "Conv_1"],
    "DenseNet121": ["conv5_block15", "conv5_block16"],
    "EfficientNetB0": ["block7a", "top"],
    "EfficientNetV2B0": ["block6h", "top"],
    "ConvNeXtTiny": ["stage_3_block_1", "stage_3_block_2"],
    "NASNetMobile": ["11", "12"],
}


def build(shape=(32, 32, 3), **options):
    return zoo.build("transfer", shape, 10, **{"weights": None, **options})


def weights_of(name, path, size=32):
    """A weights file of a backbone without top, whose numbers are random."""
    keras.utils.set_random_seed(1)
    base = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(size, size, 3))
    for weight in base.trainable_weights:
        if len(weight.shape) == 4:  # Keras's default initialisation lets signal and gradient vanish without norms
            weight.assign(keras.initializers.HeNormal(seed=1)(weight.shape))
    base.save_weights(path)
    return base


def test_the_table_holds_every_backbone_of_keras():
    here = {name for name in dir(keras.applications) if name[0].isupper()}
    assert {row.name for row in backbones.TABLE} == here
    assert backbones.find("vgg16").name == "VGG16"
    assert len(list(backbones.lines())) == len(here) + 1


# --- every backbone


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=[] if row.name in QUICK else pytest.mark.slow, id=row.name) for row in backbones.TABLE],
)
def test_a_backbone_trains_in_stages_and_survives_saving(row, tmp_path):
    size = row.smallest
    weights = tmp_path / "random.weights.h5"
    weights_of(row.name, weights, size)
    network = build(backbone=row.name, weights=str(weights), image_size=size, head="linear")
    assert {weight.path.split("/")[0] for weight in network.trainable_weights} == {"head_norm", "logits"}
    names = [layer.name for layer in network.layers]
    assert not any(name.startswith(("conv2d", "batch_normalization", "activation")) for name in names)
    parts = frozen.split(network)
    assert parts is not None, "its features can be kept"
    assert [layer.name for layer in parts.head.layers if layer.weights] == ["head_norm", "logits"]
    unfrozen = fine_tuning.unfreeze(network, 2)
    kernels = [layer for layer in unfrozen if "conv" in type(layer).__name__.lower()]
    blocks = list(dict.fromkeys(backbones.block_of(layer.name) for layer in kernels))
    wanted = next(
        (last for name, last in LAST_BLOCKS.items() if row.name.startswith(name) and "V2" not in row.name), None
    )
    wanted = LAST_BLOCKS.get(row.name, wanted)
    assert len(blocks) == 2
    if wanted and not row.name.startswith("DenseNet"):
        assert blocks == wanted
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms.pop().name == "head_norm"
    assert not any(norm.trainable for norm in norms)
    before = [
        convert(weight) for weight in (*kernels[-1].trainable_weights, *(w for n in norms[:2] for w in n.weights))
    ]
    batches = Batches(
        IMAGES, np.eye(10, dtype=np.float32)[[0, 1, 2, 0]], Recipe(batch_size=4, learning_rate=0.1, warmup=0)
    )
    model = fit.compiled(network, batches, unfrozen=unfrozen)
    model.run_eagerly = True
    inputs, targets = next(batches.epoch(0))
    assert np.isfinite(model.train_on_batch(inputs, targets)).all()
    after = [convert(weight) for weight in (*kernels[-1].trainable_weights, *(w for n in norms[:2] for w in n.weights))]
    moved = len(kernels[-1].trainable_weights)
    assert any((now != was).any() for now, was in zip(after[:moved], before[:moved], strict=True))
    assert all((now == was).all() for now, was in zip(after[moved:], before[moved:], strict=True))
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(convert(network(IMAGES)), convert(again(IMAGES)))


# --- what a backbone is fed


@pytest.mark.parametrize("name", ["VGG16", "MobileNetV2", pytest.param("DenseNet121", marks=pytest.mark.slow)])
def test_pixels_are_prepared_as_for_the_backbones_own_training(name, tmp_path):
    base = weights_of(name, tmp_path / "random.weights.h5", 48)
    module = {"VGG16": "vgg16", "MobileNetV2": "mobilenet_v2", "DenseNet121": "densenet"}[name]
    prepare = getattr(keras.applications, module).preprocess_input
    network = build(backbone=name, weights=str(tmp_path / "random.weights.h5"), image_size=48, head="linear")
    features = keras.Model(network.input, network.get_layer("pool").input)  # before the head
    enlarged = keras.ops.image.resize(IMAGES.astype("float32"), (48, 48))
    expected = base(prepare(convert(enlarged)), training=False)
    np.testing.assert_allclose(features(IMAGES), expected, rtol=1e-3, atol=1e-4)


def test_an_efficientnets_file_gets_the_division_that_downloads_get():
    network = build(backbone="EfficientNetB0", layer="stem")
    before, after = (network.get_layer(name) for name in ("stem_normalization_1", "imagenet_deviation"))
    assert after.input is before.output
    np.testing.assert_allclose(after.scale, 1 / np.sqrt([0.229, 0.224, 0.225]))


def test_grey_images_are_tripled_and_small_ones_enlarged():
    network = build((28, 28, 1), backbone="MobileNet", layer="3", head="linear")
    assert network.get_layer("enlarge").output.shape == (None, 32, 32, 3)
    assert network.output_shape == (None, 10)


# --- heads and blocks


def test_a_head_stands_on_an_earlier_block_or_layer():
    whole = build(backbone="VGG16", head="flatten")
    assert whole.get_layer("flatten").output.shape == (None, 512)
    block3 = build(backbone="VGG16", head="flatten", layer="block3")
    assert block3.get_layer("flatten").output.shape == (None, 4 * 4 * 256)
    assert "block4_conv1" not in {layer.name for layer in block3.layers}
    layer = build(backbone="VGG16", head="pooled", layer="block2_conv2", dropout=0.1)
    assert [one.units for one in layer.layers if one.name.startswith("head_dense")] == [1024, 512, 256]
    assert layer.get_layer("head_dropout1").rate == 0.1


def test_without_weights_all_is_trainable():
    network = build(backbone="MobileNetV2", layer="block_2")
    assert all(layer.trainable for layer in network.layers)
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in network.layers if "head" not in layer.name)


# --- weights


def test_a_file_of_the_whole_network_will_do(tmp_path):
    keras.utils.set_random_seed(4)
    whole = keras.applications.MobileNetV2(include_top=True, weights=None)
    whole.save_weights(tmp_path / "whole.weights.h5")
    network = build(backbone="MobileNetV2", weights=str(tmp_path / "whole.weights.h5"))
    for name in ("Conv1", "block_9_project", "Conv_1_bn"):
        for mine, theirs in zip(network.get_layer(name).weights, whole.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(convert(mine), convert(theirs))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"backbone": "ResNet34"}, "ResNet"),
        ({"head": "pool"}, "pooled"),
        ({"backbone": "VGG16", "layer": "block6"}, "block5"),
        ({"backbone": "Xception", "image_size": 64}, "71"),
        ({"weights": "nowhere.weights.h5"}, "nowhere.weights.h5"),
    ],
)
def test_what_is_wrong_is_said_with_the_nearest_right(options, named):
    with pytest.raises(UserError, match=named):
        build(**options)


def test_a_file_of_another_network_is_refused(tmp_path):
    weights_of("MobileNet", tmp_path / "other.weights.h5")
    with pytest.raises(UserError, match="VGG16"):
        build(backbone="VGG16", weights=str(tmp_path / "other.weights.h5"))


def test_without_the_internet_one_line_says_what_to_do(monkeypatch):
    def unreachable(*arguments, **options):
        raise Exception("URL fetch failure on https://storage.googleapis.com/weights.h5: None -- no route")

    monkeypatch.setattr(keras.applications, "MobileNetV2", unreachable)
    with pytest.raises(UserError, match="--weights") as raised:
        build(backbone="MobileNetV2", weights="imagenet")
    assert "\n" not in str(raised.value)
