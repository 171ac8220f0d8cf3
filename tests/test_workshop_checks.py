"""The exercise's checks take what is right, and say of each usual mistake what is missing."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from sklearn.model_selection import train_test_split

from kit import competitions, loaders, submission, tracking, workshop
from kit.submission.ledger import Ledger, Line
from kit.workshop import checks

SPARSE = keras.losses.SparseCategoricalCrossentropy
SAMPLE = loaders.load("digit-recognizer", "sample")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (200, 28, 28, 1), dtype=np.uint8)
LABELS = (np.arange(200) % 10).astype(np.uint8)
SHAPE = (28, 28, 1)


def network(*middle, last=None, shape=SHAPE):
    middle = middle or (layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten())
    return keras.Sequential([*([keras.Input(shape)] if shape else []), *middle, last or layers.Dense(10)])


def refused(check, *given, **options):
    with pytest.raises(checks.StillMissing) as missing:
        check(*given, **options)
    assert missing.value._render_traceback_() == [str(missing.value)]
    return str(missing.value)


@pytest.mark.parametrize(
    ("check", "options"),
    [
        (checks.examples, (IMAGES, LABELS, 7)),
        (checks.split, (..., ..., ..., 200)),
        (checks.built, (SHAPE, 10)),
        (checks.compiled, ()),
        (checks.probabilities, (IMAGES, 10)),
        (checks.mistakes, (LABELS, np.eye(10)[LABELS])),
        (checks.different, (np.eye(10)[LABELS], np.eye(10)[LABELS])),
        (checks.from_table, (..., SAMPLE)),
        (checks.designed, (None, 1_000, 0.5)),
        (checks.predicted, (SAMPLE,)),
    ],
)
def test_an_open_gap_is_said_to_be_open(check, options):
    assert "still open" in refused(check, ..., *options)


def test_examples(capsys):
    checks.examples(IMAGES[LABELS == 7], IMAGES, LABELS, 7)
    assert "✓ 20 images of a 7, each 28 × 28 × 1." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("chosen", "hint"),
    [
        (LABELS == 7, "images[labels"),
        (IMAGES[7], "this is one image"),
        (IMAGES[LABELS == 1], "others"),
        (IMAGES[:5], "these are 5"),
        (np.array([7]), "these are 1 others"),
    ],
)
def test_examples_that_are_others(chosen, hint):
    assert hint in refused(checks.examples, chosen, IMAGES, LABELS, 7)


def parts(**options):
    train, held_out, train_labels, truth = train_test_split(IMAGES, LABELS, random_state=0, **options)
    return train, train_labels, held_out, truth


def test_split():
    checks.split(*parts(test_size=0.2, stratify=LABELS), whole=200)
    checks.split(*parts(test_size=0.33, stratify=LABELS), whole=200)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (train_test_split(IMAGES, LABELS, random_state=0), "in this order"),
        ((IMAGES[:160], LABELS[:150], IMAGES[160:], LABELS[150:]), "one and the same"),
        ((IMAGES, LABELS, IMAGES[:40], LABELS[:40]), "each belongs to one part"),
        (parts(test_size=0.6, stratify=LABELS), "about a fifth"),
        (parts(test_size=0.2), "stratify"),
    ],
)
def test_split_wrongly(given, hint):
    assert hint in refused(checks.split, *given, whole=200)


def test_built():
    checks.built(network(), SHAPE, 10)
    checks.built(network(last=layers.Dense(10, activation="softmax")), SHAPE, 10)
    apart = (layers.Conv2D(4, 3, strides=2), layers.BatchNormalization(), layers.ReLU(), layers.Flatten())
    checks.built(network(*apart), SHAPE, 10)
    checks.built(network(keras.Sequential([layers.Conv2D(4, 3, 2, activation="relu"), layers.Flatten()])), SHAPE, 10)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ([layers.Dense(10)], "not a network"),
        (network(shape=None), "keras.Input((28, 28, 1))"),
        (network(shape=(32, 32, 3)), "takes images of (32, 32, 3)"),
        (network(layers.Flatten()), "no convolution"),
        (network(layers.Conv2D(4, 3, activation="relu"), layers.Flatten()), "no pooling"),
        (network(layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D()), "Flatten"),
        (network(last=layers.Dense(1)), "layers.Dense(10)"),
        (network(layers.Conv2D(4, 3), layers.MaxPooling2D(), layers.Flatten()), "no activation"),
        (network(last=layers.Dense(10, activation="relu")), "leave it out"),
    ],
)
def test_built_wrongly(given, hint):
    assert hint in refused(checks.built, given, SHAPE, 10)


def compiled(loss, optimizer="adam", metrics=("accuracy",), middle=(), **options):
    made = network(*middle, **options)
    made.compile(optimizer=optimizer, loss=loss, metrics=list(metrics))
    return made


def test_compiled():
    softmax = layers.Dense(10, activation="softmax")
    checks.compiled(compiled(SPARSE(from_logits=True)))
    checks.compiled(compiled("sparse_categorical_crossentropy", last=softmax))
    checks.compiled(compiled(SPARSE(), last=softmax, metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")]))
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
    checks.compiled(compiled(SPARSE(from_logits=True), keras.optimizers.AdamW(rate)))
    checks.compiled(compiled(SPARSE(from_logits=True), keras.optimizers.SGD(0.1)))


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (network(), "not compiled"),
        (compiled(None), "no loss"),
        (compiled("categorical_crossentropy"), "take SparseCategoricalCrossentropy"),
        (compiled(keras.losses.CategoricalCrossentropy(from_logits=True)), "take SparseCategoricalCrossentropy"),
        (compiled("mse"), "not a loss for ten classes"),
        (compiled(keras.losses.BinaryCrossentropy()), "not a loss for ten classes"),
        (compiled(SPARSE()), "from_logits=True"),
        (compiled("sparse_categorical_crossentropy"), "from_logits=True"),
        (compiled(SPARSE(from_logits=True), last=layers.Dense(10, activation="softmax")), "softmax twice"),
        (compiled(SPARSE(from_logits=True), metrics=()), "metrics=['accuracy']"),
        (compiled(SPARSE(from_logits=True), keras.optimizers.Adam(0.5)), "0.5 is too large for Adam"),
    ],
)
def test_compiled_wrongly(given, hint):
    assert hint in refused(checks.compiled, given)


def clock(*epochs):
    made = workshop.Stopwatch()
    made.on_train_begin()
    for number, logs in enumerate(epochs):
        made.on_epoch_end(number, logs)
    return made


def test_trained(capsys):
    right = {"loss": 0.5, "accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.75}
    checks.trained(clock(right, right))
    assert "75.00% of the validation images are right after 2 epochs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (clock(), "no epoch"),
        (clock({"loss": 0.5, "accuracy": 0.9}), "validation_data"),
        (clock({"loss": float("nan"), "val_accuracy": 0.1}), "learning rate is too large"),
        (clock({"loss": 2.3, "val_accuracy": 0.11}), "20.0% is wanted"),
    ],
)
def test_trained_wrongly(given, hint):
    assert hint in refused(checks.trained, given)


PROBABILITIES = (
    np.roll(np.eye(10), 1, axis=1)[LABELS] * (LABELS < 3)[:, None] + np.eye(10)[LABELS] * (LABELS >= 3)[:, None]
)


def test_probabilities():
    checks.probabilities(PROBABILITIES, IMAGES, 10)
    checks.probabilities(keras.ops.softmax(RNG.normal(size=(200, 10))), IMAGES, 10)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (RNG.normal(size=(200, 10)), "logits"),
        (PROBABILITIES.argmax(axis=1), "argmax comes later"),
        (PROBABILITIES[:50], "(200, 10) is wanted"),
    ],
)
def test_probabilities_that_are_none(given, hint):
    assert hint in refused(checks.probabilities, given, IMAGES, 10)


def test_mistakes():
    checks.mistakes(np.flatnonzero(LABELS < 3), LABELS, PROBABILITIES)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (LABELS < 3, "flatnonzero"),
        (np.flatnonzero(LABELS >= 3), "!= instead of =="),
        (np.arange(12), "60 predictions are wrong"),
    ],
)
def test_mistakes_that_are_none(given, hint):
    assert hint in refused(checks.mistakes, given, LABELS, PROBABILITIES)


def test_different():
    other = np.eye(10)[LABELS]
    checks.different(np.flatnonzero(LABELS < 3), PROBABILITIES, other)
    assert "flatnonzero" in refused(checks.different, LABELS < 3, PROBABILITIES, other)
    assert "other rows" in refused(checks.different, np.arange(60, 120), PROBABILITIES, other)


def test_from_table():
    labels, images = SAMPLE.train_labels[:50], SAMPLE.train_images[:50]
    checks.from_table(labels, images, SAMPLE)
    flat = images.reshape(50, -1)
    assert "drop" in refused(checks.from_table, labels, np.column_stack([labels, flat]), SAMPLE)
    assert "shape" in refused(checks.from_table, labels, flat, SAMPLE)
    assert "uint8" in refused(checks.from_table, labels, images.astype(int), SAMPLE)
    assert "row by row" in refused(checks.from_table, labels, images.transpose(0, 2, 1, 3), SAMPLE)
    assert "label" in refused(checks.from_table, labels[::-1], images, SAMPLE)


def test_designed():
    good = clock({"loss": 0.1, "val_accuracy": 0.995})
    against = (layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dropout(0.5))
    network_of_mine = compiled(SPARSE(from_logits=True), middle=against)
    checks.designed(network_of_mine, good, most_weights=50_000, least=0.99)
    assert "27,090" in refused(checks.designed, network_of_mine, good, 20_000, 0.99)
    assert "99.6%" in refused(checks.designed, network_of_mine, good, 50_000, 0.996)
    without = compiled(SPARSE(from_logits=True))
    assert "overfitting" in refused(checks.designed, without, good, 50_000, 0.99)


TEST = len(SAMPLE.test_images)


def test_predicted():
    checks.predicted(np.arange(TEST) % 10, SAMPLE)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (np.zeros((TEST, 10)), "argmax(axis=1)"),
        (np.arange(10), "axis=1"),
        (np.arange(200) % 10, f"({TEST},) is wanted"),
        ((np.arange(TEST) % 10).astype(float), "whole numbers"),
        (np.full(TEST, 8), "every prediction is 8"),
    ],
)
def test_predicted_wrongly(given, hint):
    assert hint in refused(checks.predicted, given, SAMPLE)


def table(**columns):
    return pd.DataFrame({"ImageId": SAMPLE.test_ids, "Label": np.arange(TEST) % 10} | columns)


def test_written(workplace):
    path = workshop.submission_path("mine")
    assert "not there yet" in refused(checks.written, path, SAMPLE)
    table().to_csv(path, index=False)
    checks.written(path, SAMPLE)


@pytest.mark.parametrize(
    ("wrong", "options", "hint"),
    [
        (table(), {}, "header"),
        (table(ImageId=SAMPLE.test_ids - 1), {"index": False}, "ImageId"),
        (table(Label=np.arange(TEST) % 10 + 0.0), {"index": False}, "Label"),
        (table().rename(columns={"Label": "label"}), {"index": False}, "header"),
        (table()[:-1], {"index": False}, "missing ImageId is 306"),
    ],
)
def test_written_wrongly(workplace, wrong, options, hint):
    path = workshop.submission_path("mine")
    wrong.to_csv(path, **options)
    message = refused(checks.written, path, SAMPLE)
    assert hint in message
    assert "\n" not in message


def test_sent(workplace, capsys, monkeypatch):
    dataset, path = dataclasses.replace(SAMPLE, source="kaggle"), workshop.submission_path("mine")
    submission.write(path, competitions.get("digit-recognizer"), SAMPLE.test_ids, np.arange(TEST) % 10)
    for without in (SAMPLE, dataset):
        checks.sent(path, without, 0.99)
        assert "Not sent" in capsys.readouterr().out
    monkeypatch.setenv("KAGGLE_API_TOKEN", "a-token")
    checks.sent(path, SAMPLE, 0.99)
    assert "Not sent" in capsys.readouterr().out
    assert "not on Kaggle yet" in refused(checks.sent, path, dataset, 0.99)
    ledger, digest = Ledger(), submission.check(path, SAMPLE.competition, SAMPLE.test_ids).sha256
    line = ledger.intend(Line(SAMPLE.competition.name, path.as_posix(), digest, "", None, "a message"))
    assert "no score yet" in refused(checks.sent, path, dataset, 0.99)
    line = ledger.update(line, status="not sent")
    assert "not on Kaggle yet" in refused(checks.sent, path, dataset, 0.99)
    line = ledger.update(line, status="error", reference=1)
    assert "could not score" in refused(checks.sent, path, dataset, 0.99)
    ledger.update(line, status="complete", reference=1, public_score=0.9885)
    checks.sent(path, dataset, 0.99)
    assert "✓ public score 0.98850, 0.00150 below your validation accuracy." in capsys.readouterr().out
    assert path == tracking.SUBMISSIONS / "digit-recognizer" / "mine.csv"


def test_frozen_features_and_a_head_on_them(capsys):
    base = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3)])
    assert "112 of its weights" in refused(checks.frozen, base)
    base.trainable = False
    checks.frozen(base)
    prepared = RNG.normal(size=(5, 8, 8, 3)).astype("float32")
    right = base.predict(prepared, verbose=0)
    checks.features(right, base, prepared)
    assert "still open" in refused(checks.features, ..., base, prepared)
    assert "the shape is" in refused(checks.features, right[:3], base, prepared)
    assert "prepared(…) first" in refused(checks.features, base.predict(prepared * 9, verbose=0), base, prepared)
    checks.head(network(layers.GlobalAveragePooling2D(), shape=(6, 6, 4)), (6, 6, 4), 10)
    assert "✓ 50 weights" in capsys.readouterr().out
    assert "begin with" in refused(checks.head, network(layers.Flatten(), shape=(4,)), (6, 6, 4), 10)
    assert "comes last" in refused(checks.head, network(layers.Dense(3), shape=(6, 6, 4)), (6, 6, 4), 10)
    relu = network(layers.Flatten(), last=layers.Dense(10, activation="relu"), shape=(6, 6, 4))
    assert "activation" in refused(checks.head, relu, (6, 6, 4), 10)
