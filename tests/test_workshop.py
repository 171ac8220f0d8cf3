"""The exercise's checks take what is right and say of each usual mistake what is missing; the stopwatch counts."""

import dataclasses
import os
import sys

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from sklearn.model_selection import train_test_split

from kit import competitions, loaders, submission, tracking, workshop
from kit.errors import UserError
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
        (LABELS == 7, "as an index"),
        (IMAGES[7], "one image"),
        (IMAGES[LABELS == 1], "others"),
        (IMAGES[:5], "these are 5"),
        (np.array([7]), "there are 20 images"),
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
        ([layers.Dense(10)], "no network"),
        (network(shape=None), "keras.Input((28, 28, 1))"),
        (network(shape=(32, 32, 3)), "wants images of (32, 32, 3)"),
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


def compiled(loss, optimizer="adam", metrics=("accuracy",), **options):
    made = network(**options)
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
        (clock({"loss": 2.3, "val_accuracy": 0.11}), "guessing gets 10 %"),
    ],
)
def test_trained_wrongly(given, hint):
    assert hint in refused(checks.trained, given)


CHANCES = np.roll(np.eye(10), 1, axis=1)[LABELS] * (LABELS < 3)[:, None] + np.eye(10)[LABELS] * (LABELS >= 3)[:, None]


def test_probabilities():
    checks.probabilities(CHANCES, IMAGES, 10)
    checks.probabilities(keras.ops.softmax(RNG.normal(size=(200, 10))), IMAGES, 10)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (RNG.normal(size=(200, 10)), "logits"),
        (CHANCES.argmax(axis=1), "argmax comes later"),
        (CHANCES[:50], "(200, 10) is wanted"),
    ],
)
def test_probabilities_that_are_none(given, hint):
    assert hint in refused(checks.probabilities, given, IMAGES, 10)


def test_mistakes():
    checks.mistakes(np.flatnonzero(LABELS < 3), LABELS, CHANCES)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (LABELS < 3, "flatnonzero"),
        (np.flatnonzero(LABELS >= 3), "these are the right ones"),
        (np.arange(12), "60 predictions are wrong"),
    ],
)
def test_mistakes_that_are_none(given, hint):
    assert hint in refused(checks.mistakes, given, LABELS, CHANCES)


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
        assert "not sent" in capsys.readouterr().out
    monkeypatch.setenv("KAGGLE_API_TOKEN", "a-token")
    checks.sent(path, SAMPLE, 0.99)
    assert "not sent" in capsys.readouterr().out
    assert "not on Kaggle yet" in refused(checks.sent, path, dataset, 0.99)
    ledger, digest = Ledger(), submission.check(path, SAMPLE.competition, SAMPLE.test_ids).sha256
    line = ledger.intend(Line(SAMPLE.competition.name, path.as_posix(), digest, "", None, "a message"))
    assert "no score yet" in refused(checks.sent, path, dataset, 0.99)
    line = ledger.update(line, status="not sent")
    assert "not on Kaggle yet" in refused(checks.sent, path, dataset, 0.99)
    line = ledger.update(line, status="error", reference=1)
    assert "could not score" in refused(checks.sent, path, dataset, 0.99)
    ledger.update(line, status="complete", public_score=0.9885)
    checks.sent(path, dataset, 0.99)
    assert "✓ public score 0.98850, 0.00150 below your validation accuracy." in capsys.readouterr().out
    assert path == tracking.SUBMISSIONS / "digit-recognizer" / "mine.csv"


def test_the_stopwatch_counts_fit_and_not_validation(monkeypatch):
    times = iter([100.0, 105.0, 108.0, 110.0, 200.0, 201.0])
    monkeypatch.setattr("kit.workshop.stopwatch.time.perf_counter", lambda: next(times))
    watch = workshop.Stopwatch()
    watch.on_train_begin()
    watch.on_test_begin()
    watch.on_test_end()
    watch.on_epoch_end(0, {"loss": 1.0})
    watch.on_train_begin()
    watch.on_epoch_end(0, {"loss": 0.5})
    assert watch.history.to_dict("list") == {"epoch": [1, 2], "seconds": [7.0, 8.0], "loss": [1.0, 0.5]}
    assert watch.seconds == 8.0


def test_the_stopwatch_keeps_what_fit_tells():
    watch, made = workshop.Stopwatch(), keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    made.compile("sgd", "mse", metrics=["accuracy"])
    data = (np.zeros((8, 2)), np.zeros(8))
    made.fit(*data, validation_data=data, epochs=2, callbacks=[watch], verbose=0)
    assert list(watch.history) == ["epoch", "seconds", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert watch.history["seconds"].is_monotonic_increasing


def test_long_and_short(monkeypatch):
    monkeypatch.delenv(workshop.LENGTH, raising=False)
    assert workshop.choose(5, short=1) == 5
    monkeypatch.setenv(workshop.LENGTH, "short")
    assert workshop.choose(5, short=1) == 1
    monkeypatch.setenv(workshop.LENGTH, "brief")
    with pytest.raises(UserError, match="KIT_NOTEBOOKS=brief: take short or full"):
        workshop.choose(5, short=1)


def test_credentials_are_found_or_asked_for(capsys, monkeypatch):
    assert not workshop.credentials()
    assert "settings/api" in capsys.readouterr().out
    monkeypatch.setenv("KAGGLE_API_TOKEN", "a-token")
    assert workshop.credentials()
    told = capsys.readouterr().out
    assert "found" in told
    assert "a-token" not in told


def test_start_says_what_it_runs_on_and_leads_python_to_this_interpreter(capsys, monkeypatch):
    monkeypatch.setenv("PATH", "/somewhere/else")
    workshop.start()
    assert os.environ["PATH"].split(os.pathsep)[0] == os.path.dirname(sys.executable)
    assert f"Keras {keras.__version__} on {keras.backend.backend()}, " in capsys.readouterr().out
    first = keras.random.normal((3,))
    workshop.start()
    assert np.array_equal(first, keras.random.normal((3,)))
