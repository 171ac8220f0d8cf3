"""What notebooks need from Python: the stopwatch, the length, where data come from, practice, the certificate."""

import dataclasses
import os
import sys

import keras
import matplotlib.table
import matplotlib.text
import numpy as np
import pandas as pd
import pytest
from keras import layers

from kit import loaders, submission, workshop
from kit.errors import UserError
from kit.submission.ledger import Ledger, Line
from kit.workshop import drawings, summary, tracebacks
from kit.workshop.practice_board import practice_score

SAMPLE = loaders.load("digit-recognizer", "sample")


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
    assert workshop.choose(5, gpu=20, short=1) == 5
    monkeypatch.setattr("kit.training.devices.accelerator", lambda: "T4")
    assert workshop.choose(5, gpu=20, short=1) == 20
    assert workshop.choose(5, short=1) == 5
    monkeypatch.setenv(workshop.LENGTH, "short")
    assert workshop.choose(5, gpu=20, short=1) == 1
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


def test_images_come_from_kaggles_files_where_they_are_and_need_no_account_elsewhere(workplace, monkeypatch):
    monkeypatch.setenv(workshop.LENGTH, "short")
    assert workshop.source("digit-recognizer") == "sample"
    monkeypatch.setenv(workshop.LENGTH, "full")
    assert workshop.source("digit-recognizer") == "keras"
    folder = workplace / "data" / "digit-recognizer"
    folder.mkdir(parents=True)
    for name in ("train.csv", "test.csv", "sample_submission.csv"):
        (folder / name).touch()
    assert workshop.source("digit-recognizer") == "kaggle"


def test_practice_withholds_labels_that_only_the_board_knows(workplace):
    practice = workshop.practice(SAMPLE)
    count = len(practice.test_images)
    assert len(practice.train_images) + count == len(SAMPLE.train_images)
    assert count == pytest.approx(0.2 * len(SAMPLE.train_images), abs=1)
    assert np.array_equal(np.concatenate([practice.train_labels, practice.test_labels]), SAMPLE.train_labels)
    assert workshop.practice(practice) is practice
    path = workshop.submission_path("mine")
    answers = practice.test_labels.copy()
    answers[:10] = (answers[:10] + 1) % 10
    submission.write(path, SAMPLE.competition, practice.test_ids, answers)
    assert practice_score(path, practice) == pytest.approx(1 - 10 / count)
    with pytest.raises(UserError):
        practice_score(path, SAMPLE)


def test_the_training_table_is_kaggles(workplace):
    table = pd.read_csv(workshop.train_csv(SAMPLE, "new/train.csv", rows=30))
    assert list(table.columns) == ["label", *(f"pixel{number}" for number in range(784))]
    assert np.array_equal(table["label"], SAMPLE.train_labels[:30])
    assert np.array_equal(table.to_numpy()[:, 1:].reshape(30, 28, 28, 1), SAMPLE.train_images[:30])


def test_the_certificate_says_what_the_board_says(workplace):
    practice = workshop.practice(SAMPLE)
    path = workshop.submission_path("mine")
    submission.write(path, SAMPLE.competition, practice.test_ids, practice.test_labels)
    mine = workshop.entry("mine", path, practice, 0.98, 100)
    assert (mine.board, mine.score) == (summary.PRACTICE, 1.0)
    kaggle = dataclasses.replace(practice, source="kaggle", test_labels=None)
    assert workshop.entry("mine", path, kaggle, 0.98, 100).score is None
    digest = submission.check(path, kaggle.competition, kaggle.test_ids).sha256
    line = Ledger().intend(Line(kaggle.competition.name, path.as_posix(), digest, "", None, "a message"))
    Ledger().update(line, status="complete", reference=1, public_score=0.9885)
    sent = workshop.entry("mine", path, kaggle, 0.98, 100)
    assert (sent.board, sent.score) == (summary.KAGGLE, 0.9885)
    words = text_in(workshop.certificate("Someone $ Else", [mine, sent]))
    assert {"Someone $ Else", "mine.csv", "98.00% ± 1.40%", "0.98850", "1.00000"} <= words
    with pytest.raises(UserError):
        workshop.certificate("Someone", [])


def test_drawings_show_the_numbers_they_explain():
    words = text_in(drawings.neuron([0.0, 0.5, 1.0], [0.4, -0.6, 0.9], 0.1))
    assert {"0.70", "× -0.6", "bias +0.1"} <= words
    assert "0.00" in text_in(drawings.neuron([1.0], [-2.0], 0.5))  # ReLU of −1.5
    image = np.arange(16).reshape(4, 4)
    words = text_in(drawings.sliding_window(image, np.array([[0, 1], [0, 0]]), row=2, column=1))
    assert "pixel × weight: together 10" in words
    for wrong in (lambda: drawings.neuron([1], [1, 2], 0), lambda: drawings.sliding_window(image, np.eye(2), 3, 0)):
        with pytest.raises(ValueError, match="2"):
            wrong()
    paths = {"sgd": [np.array([-1.0, 1.0]), np.array([-0.5, 0.5])]}
    assert "sgd" in text_in(drawings.descents(paths, np.array([1.0, 10.0])))


def text_in(figure):
    cells = figure.findobj(matplotlib.table.Cell)
    return {text.get_text() for text in figure.findobj(matplotlib.text.Text) + [cell.get_text() for cell in cells]}


def test_an_expected_error_is_shown_and_an_interrupt_still_stops(capsys, monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        tracebacks.register()
        shell.run_cell_magic("expected_error", "", "{}['missing']")
        assert "'missing'" in capsys.readouterr().out
        shell.run_cell_magic("expected_error", "", "1")
        assert "No error" in capsys.readouterr().out
        with pytest.raises(KeyboardInterrupt):
            shell.run_cell_magic("expected_error", "", "raise KeyboardInterrupt")
    finally:
        InteractiveShell.clear_instance()
