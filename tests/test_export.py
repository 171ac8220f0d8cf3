"""`python -m kit.export`: what is written predicts what Keras predicts, or is not there."""

import importlib.metadata
import importlib.util
import itertools
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from made import leave, uniform
from PIL import Image

import kit
from kit import competitions, export, loaders, zoo
from kit.command_line import DONE, FAILED, WRONG_INPUT
from kit.errors import Failure, UserError
from kit.export import comparison, exporting, folder, formats, images, network, runtimes, views
from kit.export.__main__ import main as command
from kit.prediction import parts
from kit.training import inference

DIGITS, SHAPE = "digit-recognizer", (28, 28, 1)
COMPETITION = competitions.get(DIGITS)
EQUAL = {"rtol": 0, "atol": 1e-5}
WITH_INT8 = ("onnx", "litert", "openvino")
EVERY_FORMAT = [
    pytest.param(name, marks=[pytest.mark.slow] if name in ("litert", "openvino") else []) for name in export.FORMATS
]


def can_be_written(name: str, int8: bool = False) -> bool:
    """Whether this Keras writes the format, and what it takes is installed."""
    try:
        return bool(formats.check(name, int8))
    except UserError:
        return False


def needed(name: str, int8: bool = False) -> None:
    if not can_be_written(name, int8):
        pytest.skip(f"{name} cannot be written here")


@pytest.fixture(scope="module")
def digits():
    return loaders.load(DIGITS, "sample", limit=200)


def random_network(dataset, model="lenet_small", seed=0, **options) -> keras.Model:
    """A network with random weights and statistics that tells images apart: its logits deviate by 2."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    competition = dataset.competition
    made = zoo.build(model, competition.image_shape, competition.classes, **options)
    for layer in made.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(0, 0.3, layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 1.5, layer.moving_variance.shape))
    # Logits of mean 0 for each class: else one class would have all the probability of every image.
    last = made.get_layer("logits")
    features = keras.Model(made.inputs[0], last.input).predict_on_batch(dataset.train_images[:50].astype(np.float32))
    mean, kernel = features.mean(axis=0), keras.ops.convert_to_numpy(last.kernel)
    kernel = kernel - np.outer(mean, mean @ kernel) / (mean @ mean)
    last.kernel.assign(kernel * 2 / (features @ kernel).std())
    return made


def made_run(name, dataset, count=1, model="lenet_small", folds=0, **options):
    """A run whose `count` networks were never trained; without folds a tenth of the images is for validation."""
    run = leave(name, dataset, uniform(len(dataset.train_labels)), folds=folds, competition=dataset.competition.name)
    for fold in range(count):
        random_network(dataset, model, seed=hash_of(name) + fold, **options).save(run.network_path(fold))
    return run


def hash_of(name: str) -> int:
    return sum(map(ord, name))


@pytest.fixture
def net(workplace, digits):
    return made_run("net", digits)


def load(path: pathlib.Path) -> keras.Model:
    return network.in_float32(keras.saving.load_model(path, compile=False))


def test_labels_agree_but_for_ties():
    expected = np.array([[0.5, 0.5 - 1e-7, 0], [0.2, 0.3, 0.5], [0.4, 0.4 - 5e-5, 0.2]], np.float32)
    swapped = expected[:, [1, 0, 2]]
    tied = comparison.agreement(expected[:1], swapped[:1])
    assert (tied.equal, tied.ties, tied.differing) == (True, 1, 0)
    near = comparison.agreement(expected[2:], swapped[2:])
    assert near.largest < comparison.TOLERANCE
    assert (near.equal, near.ties, near.differing) == (False, 0, 1)
    assert comparison.agreement(expected, expected).equal
    assert not comparison.agreement(expected, expected + 2e-4).equal
    assert not comparison.agreement(expected, np.full_like(expected, np.nan)).equal
    assert not comparison.agreement(expected, expected[:, :2]).equal


def test_the_accuracy_lost_has_the_standard_error_of_a_paired_difference():
    labels = np.zeros(400, int)
    right, wrong = np.array([0.9, 0.1]), np.array([0.1, 0.9])
    before, after = np.tile(right, (400, 1)), np.tile(right, (400, 1))
    before[:3], after[3:15] = wrong, wrong
    lost = comparison.accuracy_lost(labels, before, after)
    changes = (after.argmax(axis=1) == labels).astype(float) - (before.argmax(axis=1) == labels)
    assert (lost.lost, lost.gained) == (12, 3)
    assert lost.before - lost.after == pytest.approx(9 / 400)
    assert lost.standard_error == pytest.approx(changes.std() / 20)


def test_gelu_by_erf_is_gelu():
    x = np.linspace(-12, 12, 20_001, dtype=np.float32)
    ours, theirs = (keras.ops.convert_to_numpy(gelu(x)) for gelu in (network.gelu_by_erf, keras.activations.gelu))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("mirror_symmetric", "fill_mode"), itertools.product((False, True), ("constant", "reflect")))
def test_augmented_copies_are_those_of_prediction(mirror_symmetric, fill_mode):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 9, 12, 3), dtype=np.uint8)
    entry = keras.Input(pixels.shape[1:], name="images")
    identity = keras.Model(entry, keras.layers.Flatten()(entry))
    warped = inference._with_transform(identity, pixels.shape[1:], fill_mode)
    transforms = [one for group in inference.tta_groups(mirror_symmetric, fill_mode) for one in group]
    mine = keras.Model(entry, [views.view(entry, one) for one in transforms])
    for found, transform in zip(mine(pixels.astype(np.float32)), transforms, strict=True):
        if transform != inference.IDENTITY:
            expected = inference._logits(warped, pixels, transform).reshape(pixels.shape)
            np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3)  # of 255


def test_a_network_trained_in_bfloat16_is_exported_in_float32(digits):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        narrow = random_network(digits, "fast_cnn", width=4)
    finally:
        keras.config.set_dtype_policy("float32")
    wide = network.in_float32(narrow)
    assert {layer.compute_dtype for layer in wide.layers} == {"float32"}
    assert "bfloat16" in {layer.compute_dtype for layer in narrow.layers}
    np.testing.assert_array_equal(wide.get_weights()[0], narrow.get_weights()[0])


def test_folds_members_and_copies_are_one_network(workplace, digits):
    """Folds within a geometric pool within a weighted one with a temperature, all with augmented copies."""
    runs = [made_run("a", digits, count=2), made_run("b", digits), made_run("c", digits)]
    first, second, third = (parts.resolve(run, tta=True) for run in runs)
    inner = parts.Joined(runs[0], [first, second], np.array([0.5, 0.5]), True, 1.0)
    outer = parts.Joined(runs[0], [inner, third], np.array([0.3, 0.7]), False, 1.7)
    some = digits.train_images[:40]
    whole = network.whole(outer, SHAPE, load)
    expected = outer.predict(some, load)
    np.testing.assert_allclose(whole.predict_on_batch(some.astype(np.float32)), expected, **EQUAL)
    assert len(set(expected.argmax(axis=1))) > 1
    assert expected.max() - expected.min() > 0.1
    assert sum(isinstance(layer, keras.Model) for layer in whole.layers) == 4, "each network is called once"


def test_a_second_model_is_not_exported(net):
    joined = parts.Joined(net, [parts.resolve(net)], None, False, 1.0)
    with pytest.raises(UserError, match="stack"):
        network.whole(joined, SHAPE, load)


def test_the_images_compared_are_those_that_no_network_has_seen(workplace, digits):
    single, folds = made_run("single", digits), made_run("folds", digits, count=5, folds=5)
    held_out = images.choose(single, parts.resolve(single))
    assert (len(held_out.compared), held_out.unseen) == (20, True)
    as_bytes = {image.tobytes() for image in held_out.compared}
    assert not as_bytes & {image.tobytes() for image in held_out.calibration}
    out_of_fold = images.choose(folds, parts.resolve(folds))
    assert (len(out_of_fold.compared), out_of_fold.unseen) == (200, False)


def test_a_run_without_validation_images_is_compared_on_test_images(workplace, digits, monkeypatch):
    run = made_run("all", digits)
    config = run.config()
    everything = config.recipe.replace(validation_share=0)
    run.rewrite_config(config.model_copy(update={"recipe": everything}))
    run.write_array("oof", np.full((len(digits.train_labels), 10), np.nan, np.float32))
    chosen = images.choose(run, parts.resolve(run))
    assert chosen.labels is None
    assert len(chosen.compared) == len(digits.test_images)
    monkeypatch.setattr(formats, "check", lambda name, int8: formats.FORMATS[name])
    with pytest.raises(UserError, match="int8"):
        exporting.export(run, "onnx", int8=True)
    assert exporting.export(run, "keras").accuracy is None


def run_predict(exported: pathlib.Path, files: list[str]) -> list[str]:
    """What `predict.py` says of image files, in a process that cannot import the kit."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    guard = "import sys; sys.modules['kit'] = None; import runpy; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", guard, str(exported.resolve() / "predict.py"), *files],
        capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_an_export_is_used_without_the_kit(name, net, digits, scratch_home, capsys):
    needed(name)
    assert command(["net", "--format", name, "--tta"]) == DONE
    left = pathlib.Path("exports", DIGITS, f"net-tta-{name}")
    assert capsys.readouterr().out.splitlines()[-1] == f"export: {left}"
    about = json.loads((left / "network.json").read_text())
    assert about["classes"] == list(COMPETITION.class_names)
    assert (about["augmented_copies"], about["compared_with_keras"]["labels_differ"]) == (7, 0)
    assert about["bytes"] == folder.size(left / about["file"]) > 100_000
    some = digits.test_images[:6]
    for number, image in enumerate(some):
        Image.fromarray(image[..., 0]).save(f"{number}.png")
    expected = kit.Run("net").predict(some, tta=True)
    answers = run_predict(left, [f"{number}.png" for number in range(6)])
    assert [answer.split()[:2] for answer in answers] == [
        [f"{number}.png:", COMPETITION.class_names[row.argmax()]] for number, row in enumerate(expected)
    ]
    assert not list(left.parent.glob(".*")), "something half written was left"
    if name == "openvino":
        assert not (scratch_home / "intel").exists(), "OpenVINO's telemetry was on"


@pytest.mark.parametrize("name", [pytest.param(one, marks=pytest.mark.slow) for one in WITH_INT8])
def test_int8_says_what_it_costs(name, net):
    needed(name, int8=True)
    plain, small = (kit.Run("net").export(name, int8=int8) for int8 in (False, True))
    assert small.bytes < 0.5 * plain.bytes
    assert small.lost.images == 20
    assert plain.lost is None
    assert small.folder.name == f"net-{name}-int8"
    assert {path.name.split(".")[0] for path in small.folder.iterdir()} == {"network", "predict"}


@pytest.mark.slow
def test_the_time_of_an_image_is_measured_on_one_core(net):
    assert 0 < exporting.export(net, "keras", measure=True).milliseconds < 1000


def test_what_predicts_otherwise_is_refused_and_removed(net, digits, monkeypatch, capsys):
    monkeypatch.setattr(exporting, "_write", lambda whole, found, path, images: other.save(path))
    entry = keras.Input(SHAPE, name="images")
    other = keras.Model(entry, keras.ops.softmax(random_network(digits, seed=99)(entry)))
    assert command(["net", "--format", "keras"]) == FAILED
    assert capsys.readouterr().err.startswith("failed: network.keras")
    assert not list(pathlib.Path("exports", DIGITS).iterdir())


@pytest.mark.parametrize("error", [RuntimeError("no such operation"), KeyboardInterrupt, OSError(28, "full")])
def test_a_failed_export_leaves_nothing(error, net, monkeypatch):
    def fail(whole, found, path, images):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(exporting, "_write", fail)
    assert command(["net", "--format", "keras"]) == FAILED
    assert not list(pathlib.Path("exports", DIGITS).iterdir())


def test_what_a_killed_export_left_is_removed(workplace):
    left = workplace / ".here.partial"
    left.mkdir()
    (left / "half").write_text("x")
    with folder.whole(workplace / "here") as fresh:
        (fresh / "file").write_text("whole")
    assert [path.name for path in workplace.iterdir()] == ["here"]
    assert [path.name for path in (workplace / "here").iterdir()] == ["file"]


def test_a_folder_that_is_there_is_refused_before_keras_starts(net, monkeypatch, capsys):
    monkeypatch.setattr("kit.export.__main__.start_keras", lambda: pytest.fail("Keras was started"))
    pathlib.Path("mine").mkdir()
    assert command(["net", "--format", "keras", "--output", "mine"]) == WRONG_INPUT
    assert "mine" in capsys.readouterr().err


def test_what_is_missing_is_named_before_keras_starts(net, monkeypatch, capsys):
    monkeypatch.setattr("kit.export.__main__.start_keras", lambda: pytest.fail("Keras was started"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for name, package in (("onnx", "onnxruntime"), ("openvino", "openvino"), ("litert", "ai-edge-litert")):
        monkeypatch.setattr(importlib.metadata, "version", lambda name: "3.15.1")
        assert command(["net", "--format", name]) == WRONG_INPUT
        assert f"pip install {package}" in capsys.readouterr().err.replace("onnx tf2onnx ", "")
    for name, since in (("litert", "3.13"), ("openvino", "3.11")):
        monkeypatch.setattr(importlib.metadata, "version", lambda name: "3.10.0")
        assert command(["net", "--format", name]) == WRONG_INPUT
        assert since in capsys.readouterr().err
    for name in ("keras", "saved-model"):
        assert command(["net", "--format", name, "--int8"]) == WRONG_INPUT


def test_other_backends_write_keras_files_only(net, monkeypatch):
    needed("onnx")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UserError, match="KERAS_BACKEND=tensorflow"):
        exporting.export(net, "onnx")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="writes with TensorFlow")
def test_formats_are_those_that_this_keras_writes():
    """The version that a format is said to need is right for the one that is installed."""
    entry = keras.Input((2,))
    model = keras.Model(entry, entry)
    with pytest.raises(ValueError, match="formats are") as error:
        model.export("nowhere", format="nothing")
    version = tuple(int(part) for part in keras.__version__.split(".")[:2])
    for one in formats.FORMATS.values():
        written = not one.keras_name or repr(one.keras_name) in str(error.value)
        assert written == (one.since is None or version >= one.since), one.name


MATRIX = [
    *((name, {}) for name in zoo.names()),
    *(("transfer", {"backbone": backbone}) for backbone in ("MobileNetV3Small", "ResNet50", "DenseNet121")),
]
CHEAP = [("fast_cnn", {}), ("airbench", {"width": 8})]


def equal_or_refused(names, model, options, dataset) -> dict[str, str]:
    """Export a network with random weights; what is accepted also predicts other images as Keras does."""
    options = {**({"weights": None} if "weights" in zoo.options(model) else {}), **options}
    if model == "combined":
        options["runs"] = [random_network(dataset, one) for one in ("lenet_small", "fast_cnn")]
    run = made_run("any", dataset, model=model, **options)
    others = np.random.default_rng(1).integers(0, 256, (16, *dataset.train_images.shape[1:]), dtype=np.uint8)
    expected, results = parts.resolve(run).predict(others, load), {}
    assert expected.max(axis=1).mean() < 0.95, "a network that is sure of everything would agree with anything"
    assert expected.std(axis=0).max() > 1e-3
    for name in names:
        try:
            exported = exporting.export(run, name)
        except Failure as failure:
            results[name] = str(failure)
            assert not list(pathlib.Path("exports").glob(f"*/*{name}*"))
            continue
        found = runtimes.load(formats.FORMATS[name], exported.folder).predict(others)
        assert comparison.agreement(expected, found).largest <= comparison.TOLERANCE
        results[name] = "equal"
    return results


@pytest.mark.parametrize(("model", "options"), CHEAP)
def test_small_networks_are_equal_in_onnx(model, options, workplace, digits):
    """airbench among them: its exact GELU is what TensorFlow writes as an operation that ONNX lacks."""
    needed("onnx")
    assert equal_or_refused(["onnx"], model, options, digits) == {"onnx": "equal"}


@pytest.mark.slow
@pytest.mark.parametrize(("model", "options"), MATRIX, ids=lambda value: str(value))
def test_every_network_in_every_format_is_equal_or_refused(model, options, workplace):
    installed = [name for name in export.FORMATS if can_be_written(name)]
    results = equal_or_refused(installed, model, options, loaders.load("cifar-10", "sample", limit=200))
    print(f"{model} {options}: {results}")
    keras.backend.clear_session(free_memory=True)
