"""Distillation: what a teacher does to the labels, which teachers are refused, and that a network learns from one."""

import functools

import numpy as np
import pytest
from made import leave

from kit import loaders, tracking
from kit.command_line import DONE, WRONG_INPUT
from kit.ensemble.__main__ import main as ensemble
from kit.errors import UserError
from kit.loaders.limit import limited
from kit.recipes import Recipe
from kit.train import main
from kit.training import lineage, splits
from kit.training.setup import Training, resolve

DIGITS = "digit-recognizer"
QUICK = ["--source", "sample", "--limit", "300", "--model", "lenet_small", "--precision", "float32"]


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    """Read the sample once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loaders, "load", functools.cache(loaders.load))
        yield


@pytest.fixture
def digits(loaded_once):
    return limited(loaders.load(DIGITS, "sample", "data"), 300)


def teacher(dataset, oof, name="teacher", **fields):
    """Write a run as a training with folds leaves it."""
    return leave(name, dataset, oof, seen=["mnist"], **fields)


def beside(dataset):
    """A teacher's probabilities that take every digit for the next one."""
    return np.eye(10)[(dataset.train_labels + 1) % 10]


def split_of(dataset, recipe):
    folds = splits.splits(dataset.train_labels, recipe)
    return folds[0][0], Training(dataset, recipe, folds, lineage.resolve(recipe, dataset)).split(0)


def test_soft_labels_are_the_teachers_share_and_the_label(workplace, digits):
    oof = np.random.default_rng(0).dirichlet(np.ones(10), len(digits.train_labels)).astype(np.float32)
    oof[::3] = np.nan
    teacher(digits, oof)
    rows, split = split_of(digits, Recipe(teacher="teacher", teacher_share=0.7))
    _, plain = split_of(digits, Recipe())
    known = ~np.isnan(oof[rows, 0])
    assert known.any()
    assert not known.all()
    np.testing.assert_allclose(split.targets[known], 0.3 * plain.targets[known] + 0.7 * oof[rows][known], atol=1e-6)
    np.testing.assert_array_equal(split.targets[~known], plain.targets[~known])
    np.testing.assert_allclose(split.targets.sum(axis=1), 1, atol=1e-5)
    assert split.targets.dtype == np.float32
    np.testing.assert_array_equal(split.validation_labels, plain.validation_labels)


def test_a_network_learns_what_its_teacher_thinks(workplace, digits, capsys):
    """A teacher that is wrong everywhere shows whose labels were learnt, and that validation keeps to the truth."""
    teacher(digits, beside(digits))
    flags = ["--epochs", "8", "--batch-size", "32", "--teacher", "teacher", "--teacher-share", "1", "--name", "student"]
    assert main([*QUICK, *flags]) == DONE
    run = tracking.find("student")
    predicted, labels = run.oof(), digits.train_labels
    known = ~np.isnan(predicted[:, 0])
    said = predicted[known].argmax(axis=1)
    assert (said == (labels[known] + 1) % 10).mean() > 0.5
    assert run.metrics().validation_accuracy < 0.3
    assert (run.metrics().teacher, run.metrics().teacher_share) == ("teacher", 1.0)
    assert run.metrics().seen == ["mnist"]


def test_a_teacher_may_leave_out_what_its_student_validates_on(workplace, digits):
    common = [*QUICK, "--epochs", "1", "--split-seed", "3"]
    assert main([*common, "--folds", "2", "--held-out-share", "0.2", "--name", "teacher"]) == DONE
    student = Recipe(teacher="teacher", teacher_share=1.0, split_seed=3, validation_share=0.2)
    rows, split = split_of(digits, student)
    known = ~np.isnan(tracking.find("teacher").oof()).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(known), rows)
    np.testing.assert_allclose(split.targets, tracking.find("teacher").oof()[rows], atol=1e-6)
    metrics = tracking.find("teacher").metrics()
    assert (metrics.held_out_share, len(metrics.fold_accuracies)) == (0.2, 2)


def test_an_ensemble_teaches(workplace, digits):
    oofs = np.random.default_rng(1).dirichlet(np.ones(10), (2, len(digits.train_labels))).astype(np.float32)
    for name, oof in zip("ab", oofs, strict=True):
        teacher(digits, oof, name)
    assert ensemble(["a", "b", "--name", "both"]) == DONE
    rows, split = split_of(digits, Recipe(teacher="both", teacher_share=1.0))
    np.testing.assert_allclose(split.targets, oofs.mean(axis=0)[rows], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data_fingerprint": "0" * 64}, "teacher: runs/digit-recognizer/teacher was trained on other images"),
        ({"unfinished": True}, "teacher: runs/digit-recognizer/teacher is not finished"),
        ({"oof": "validation"}, "has predicted out of fold none of the images that this trains on"),
        ({"oof": "nothing"}, "teacher: runs/digit-recognizer/teacher has no out-of-fold predictions"),
        ({"name": "other"}, "teacher: there is no run 'teacher'"),
        ({"competition": "cifar-10"}, "teacher: there is no run 'teacher'"),
    ],
)
def test_what_cannot_teach_is_refused_before_anything_is_trained(workplace, digits, capsys, change, words):
    change = dict(change)
    oof, only, unfinished = beside(digits), change.pop("oof", None), change.pop("unfinished", False)
    if only:
        _, held_out = splits.splits(digits.train_labels, Recipe())[0]
        oof[~np.isin(np.arange(len(oof)), held_out) if only == "validation" else slice(None)] = np.nan
    run = teacher(digits, oof, **change)
    if unfinished:
        (run.folder / "metrics.json").unlink()
    with pytest.raises(UserError) as error:
        resolve(digits, Recipe(model="lenet_small", teacher="teacher"))
    assert words in str(error.value)
    assert main([*QUICK, "--teacher", "teacher", "--name", "student"]) == WRONG_INPUT
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not tracking.place(DIGITS, "student").folder.exists()
