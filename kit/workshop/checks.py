"""The exercise's checks: after each gap, one of them says in one message what is still missing, and stops there.

A check that is content prints a line that begins with ✓ and returns None; every other raises `StillMissing`.
"""

import pathlib

import keras
import numpy as np
from keras import layers

from kit import submission
from kit.errors import Readable, UserError
from kit.loaders import Dataset
from kit.workshop.stopwatch import Stopwatch

CONVOLUTIONS = (layers.Conv2D, layers.SeparableConv2D, layers.DepthwiseConv2D)
POOLINGS = (layers.MaxPooling2D, layers.AveragePooling2D, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU)
LARGEST_RATE = 0.03


class StillMissing(Readable):
    """A gap of the exercise is not filled, or filled wrongly; the text says what to do next."""


def examples(chosen: np.ndarray, images: np.ndarray, labels: np.ndarray, digit: int) -> None:
    """Check that `chosen` are all of `images` (n, h, w, c) whose label is `digit`, in their order."""
    chosen = _array(chosen)
    wanted = images[labels == digit]
    if chosen.dtype == bool:
        raise StillMissing(
            f"this is yes or no for each label. Use it as an index into the images: images[labels == {digit}]"
        )
    if chosen.shape == images.shape[1:]:
        raise StillMissing(f"this is one image. All images with the label {digit} are wanted: images[labels == …]")
    if chosen.shape != wanted.shape or not np.array_equal(chosen, wanted):
        raise StillMissing(
            f"there are {len(wanted):,} images with the label {digit}, and these are {len(chosen):,} others."
        )
    good(f"{len(chosen):,} images of a {digit}, each {' × '.join(map(str, chosen.shape[1:]))}.")


def split(train_images, train_labels, validation_images, validation_labels, whole: int) -> None:
    """Check two parts, images (n, h, w, c) and labels (n,) each, of a data set of `whole` images."""
    parts = [_array(part) for part in (train_images, train_labels, validation_images, validation_labels)]
    if [part.ndim for part in parts] != [4, 1, 4, 1]:
        raise StillMissing(
            "images and labels are mixed up. train_test_split returns, in this order: training images, validation "
            "images, training labels, validation labels."
        )
    train, train_truth, held_out, truth = parts
    if (len(train), len(held_out)) != (len(train_truth), len(truth)):
        raise StillMissing(
            f"{len(train):,} training images have {len(train_truth):,} labels, and {len(held_out):,} validation images "
            f"{len(truth):,}: give images and labels to one and the same train_test_split."
        )
    if len(train) + len(held_out) != whole:
        raise StillMissing(f"{len(train):,} + {len(held_out):,} images are not {whole:,}: each belongs to one part.")
    if not 0.05 <= len(held_out) / whole <= 0.4:
        raise StillMissing(
            f"{len(held_out) / whole:.0%} of the images validate. Take about a fifth (test_size=0.2): fewer say little "
            "about the network, and the network learns from what is left."
        )
    shares = [np.bincount(part, minlength=truth.max() + 1) / len(part) for part in (train_truth, truth)]
    if np.abs(shares[0] - shares[1]).max() > 1.5 / len(truth):
        raise StillMissing("the digits are not spread alike over both parts: add stratify=labels.")
    good(f"{len(train):,} images to learn from, {len(held_out):,} to validate with.")


def built(network, image_shape: tuple[int, int, int], classes: int) -> None:
    """Check a network's layers: images of `image_shape` in, `classes` numbers out, convolutions and pooling between."""
    _is_network(network)
    if not network.built:
        raise StillMissing(f"the network does not know its images' size: begin with keras.Input({image_shape}).")
    if tuple(network.input_shape[1:]) != image_shape:
        raise StillMissing(f"the network wants images of {network.input_shape[1:]}, and these are of {image_shape}.")
    own = _layers(network)
    convolutions = [layer for layer in own if isinstance(layer, CONVOLUTIONS)]
    if not convolutions:
        raise StillMissing("there is no convolution yet, such as layers.Conv2D(32, 3, activation='relu').")
    if not any(isinstance(layer, POOLINGS) for layer in own) and all(_strides(one) == 1 for one in convolutions):
        raise StillMissing("there is no pooling yet: put layers.MaxPooling2D() after the convolutions.")
    if len(network.output_shape) != 2:
        raise StillMissing(
            f"for each image comes out a block of {network.output_shape[1:]}: put layers.Flatten() before the dense "
            "layers."
        )
    if network.output_shape[-1] != classes:
        raise StillMissing(
            f"for each image come out {network.output_shape[-1]} numbers. One for each of the {classes} classes is "
            f"wanted: let the last layer be layers.Dense({classes})."
        )
    apart = any(isinstance(layer, ACTIVATIONS) for layer in own)
    silent = [
        one for one in own[:-1] if isinstance(one, (*CONVOLUTIONS, layers.Dense)) and _activation(one) == "linear"
    ]
    if silent and not apart:
        raise StillMissing(
            f"{silent[0].name} has no activation: without activation='relu' two layers are no more than one."
        )
    if _activation(own[-1]) not in ("linear", "softmax"):
        raise StillMissing(
            f"the last layer has the activation {_activation(own[-1])}: leave it out, logits may be negative."
        )
    good(f"{len(convolutions)} convolutions, {network.count_params():,} weights.")


def compiled(network) -> None:
    """Check that loss, optimizer and metric suit whole-numbered labels and the network's last layer."""
    _is_network(network)
    if not network.compiled:
        raise StillMissing("the network is not compiled: network.compile(optimizer=…, loss=…, metrics=…)")
    loss = network.loss
    if loss is None:
        raise StillMissing("there is no loss yet: without one the network does not know what is wrong.")
    name = (loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)).replace("_", "").lower()
    if name == "categoricalcrossentropy":
        raise StillMissing(
            "labels here are numbers such as 7, not ten zeros and ones: take SparseCategoricalCrossentropy."
        )
    if name != "sparsecategoricalcrossentropy":
        raise StillMissing(f"{name} is not a loss for ten classes: take keras.losses.SparseCategoricalCrossentropy.")
    logits, softmax = bool(getattr(loss, "from_logits", False)), _activation(_layers(network)[-1]) == "softmax"
    if not logits and not softmax:
        raise StillMissing(
            "the last layer has no softmax, and the loss takes its numbers for probabilities. Nothing fails, and the "
            "network learns badly: tell the loss from_logits=True."
        )
    if logits and softmax:
        raise StillMissing("softmax twice, in the last layer and by from_logits=True: leave out one of them.")
    metrics = network.get_compile_config().get("metrics") or []
    named = [one if isinstance(one, str) else one["config"]["name"] for one in np.atleast_1d(metrics)]
    if "accuracy" not in named:
        raise StillMissing("the accuracy is not measured yet: metrics=['accuracy'].")
    rate = getattr(network.optimizer, "learning_rate", None)
    if not isinstance(network.optimizer, keras.optimizers.SGD) and rate is not None and float(rate) > LARGEST_RATE:
        raise StillMissing(
            f"a learning rate of {float(rate):g} is too large for {type(network.optimizer).__name__}: try 0.001."
        )
    good(f"{type(network.optimizer).__name__} and a loss that fits the last layer.")


def trained(clock: Stopwatch, least: float = 0.2) -> None:
    """Check that `fit` was told the stopwatch and validation images, and that the accuracy is above `least`."""
    history = clock.history
    if history.empty:
        raise StillMissing("no epoch is done yet: network.fit(…, callbacks=[clock])")
    last = history.iloc[-1]
    if not np.isfinite(last["loss"]):
        raise StillMissing("the loss is no number any more: the learning rate is too large. Build, compile, fit again.")
    if "val_accuracy" not in history:
        raise StillMissing("nothing was validated: fit(…, validation_data=(validation_images, validation_labels))")
    if last["val_accuracy"] <= least:
        raise StillMissing(
            f"{last['val_accuracy']:.1%} of the validation images are right, and guessing gets 10 %: train for more "
            "epochs, or look at the learning rate."
        )
    good(f"{last['val_accuracy']:.2%} of the validation images are right after {len(history)} epochs.")


def probabilities(chances, images: np.ndarray, classes: int) -> None:
    """Check probabilities (n, classes) for `images`: none negative, each row adding up to 1."""
    chances = _array(chances)
    if chances.shape == (len(images),):
        raise StillMissing("this is one number an image. Keep all ten for now; argmax comes later.")
    if chances.shape != (len(images), classes):
        raise StillMissing(
            f"the shape is {chances.shape}, and ({len(images)}, {classes}) is wanted: predict these images."
        )
    if chances.min() < 0 or not np.allclose(chances.sum(axis=1), 1, atol=1e-3):
        raise StillMissing(
            "these are logits: the rows do not add up to 1. keras.ops.softmax makes probabilities of them."
        )
    good(f"each of the {len(images):,} rows adds up to 1.")


def mistakes(wrong, labels: np.ndarray, chances: np.ndarray) -> None:
    """Check that `wrong` are the rows whose likeliest class is not the label, as numbers (k,)."""
    wrong = _array(wrong)
    wanted = np.flatnonzero(np.asarray(chances).argmax(axis=1) != labels)
    if wrong.dtype == bool:
        raise StillMissing("this is yes or no for each image: np.flatnonzero makes row numbers of it.")
    if len(wanted) != len(labels) / 2 and len(wrong) == len(labels) - len(wanted):
        raise StillMissing("these are the right ones: != instead of == finds the wrong ones.")
    if not np.array_equal(np.sort(wrong.ravel()), wanted):
        raise StillMissing(f"{len(wanted):,} predictions are wrong, and these are {wrong.size:,} other rows.")
    good(f"{len(wanted):,} of {len(labels):,} are wrong, {len(wanted) / len(labels):.2%}.")


def predicted(digits, dataset: Dataset) -> None:
    """Check the predicted classes (m,) of `dataset`'s test images."""
    digits, count = _array(digits), len(dataset.test_images)
    classes = dataset.competition.classes
    if digits.shape == (count, classes):
        raise StillMissing("these are ten numbers an image. The place of the largest is the digit: .argmax(axis=1)")
    if digits.shape == (classes,) and classes != count:
        raise StillMissing("this is one number a class: argmax goes along the classes, axis=1.")
    if digits.shape != (count,):
        raise StillMissing(f"the shape is {digits.shape}, and ({count},) is wanted: predict dataset.test_images.")
    if digits.dtype.kind not in "ui":
        raise StillMissing(f"the digits are {digits.dtype}; whole numbers are wanted.")
    if len(np.unique(digits)) == 1:
        raise StillMissing(f"every prediction is {digits[0]}: was this network trained?")
    good(f"{count:,} predictions.")


def written(path: str | pathlib.Path, dataset: Dataset) -> None:
    """Check a submission's CSV as strictly as `python -m kit.submit` does, against `dataset`'s test ids."""
    path = pathlib.Path(path)
    if not path.exists():
        raise StillMissing(f"{path} is not there yet: table.to_csv(path, index=False)")
    try:
        checked = submission.check(path, dataset.competition, dataset.test_ids)
    except UserError as error:
        raise StillMissing(str(error)) from None
    good(f"{path} has {len(checked.labels):,} rows, as the competition wants them.")


def sent(path: str | pathlib.Path, dataset: Dataset, validation_accuracy: float) -> None:
    """Check that the submission at `path` was sent and has a score; without credentials, say that it was not.

    What was predicted for the sample is never sent, and not asked for.
    """
    from kit import kaggle_client
    from kit.submission import ledger

    if dataset.source != "kaggle" or not kaggle_client.has_credentials():
        print("not sent: that needs Kaggle's images and your credentials. Come back to this cell when you have both.")
        return
    competition = dataset.competition
    content = submission.check(path, competition, dataset.test_ids)
    lines = [line for line in ledger.Ledger().lines(competition.name) if line.sha256 == content.sha256]
    if not lines or lines[-1].status == ledger.NOT_SENT:
        raise StillMissing(
            f"{path} is not on Kaggle yet: !python -m kit.submit {{path}}; its last line says what is wrong."
        )
    last = lines[-1]
    if last.status == ledger.ERROR:
        raise StillMissing(f"Kaggle could not score {path}; {competition.page}/submissions says why.")
    if last.public_score is None:
        raise StillMissing("Kaggle has it, and there is no score yet: !python -m kit.submit --status waits for it.")
    gap = last.public_score - validation_accuracy
    words = f"{abs(gap):.5f} {'above' if gap > 0 else 'below'} your validation accuracy"
    good(f"public score {last.public_score:.5f}, {words}.")


def _filled(value):
    """Return a gap's value.

    Raises:
        StillMissing: the gap is still `...`.
    """
    if value is ...:
        raise StillMissing("the gap above is still open: put your code in place of the three dots, and run the cell.")
    return value


def _array(value) -> np.ndarray:
    return np.asarray(_filled(value))


def _is_network(network) -> None:
    if not isinstance(_filled(network), keras.Model):
        raise StillMissing(f"this is {type(network).__name__}, no network: keras.Sequential([…]) makes one of layers.")


def _layers(network) -> list:
    """A network's layers, those of networks within it in their place."""
    parts = [_layers(layer) if isinstance(layer, keras.Model) else [layer] for layer in network.layers]
    return [layer for part in parts for layer in part]


def _activation(layer) -> str:
    """The name of what a layer does to its outputs; "linear" for nothing."""
    if isinstance(layer, layers.Softmax):
        return "softmax"
    return getattr(getattr(layer, "activation", None), "__name__", "linear")


def _strides(layer) -> int:
    return max(np.atleast_1d(layer.strides))


def good(message: str) -> None:
    """Print that a check is content."""
    print(f"✓ {message}")
