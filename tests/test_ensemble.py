"""The ensembles as estimators, on members drawn from seeds."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from kit import ensemble, metrics
from kit.ensemble import hill_climb
from kit.ensemble.scoring import fold_of_each

ESTIMATORS = [
    ensemble.Mean(),
    ensemble.Mean(geometric=True),
    ensemble.Weighted(),
    ensemble.Weighted(geometric=True),
    ensemble.Weighted(weights=[3, 1, 0, 2]),
    ensemble.HillClimb(bags=3, rounds=8),
    ensemble.Stack(),
]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)


def draw(members=4, images=400, classes=5, seed=0, sharpness=1.0):
    """Members of different skill that share some of their errors."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    shared = rng.normal(0, 0.8, (images, classes))
    shared[np.arange(images), labels] += 2.5
    noise = rng.normal(0, 1, (members, images, classes)) * rng.uniform(0.5, 2, (members, 1, 1))
    return softmax(sharpness * (shared + noise)), labels


def softmax(logits):
    chances = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (chances / chances.sum(axis=-1, keepdims=True)).astype(np.float32)


def accuracies(oof, labels):
    return np.array([metrics.accuracy(labels, member) for member in oof])


@every_estimator
def test_estimators_keep_scikit_learns_contract(estimator):
    oof, labels = draw()
    given, parameters = oof.copy(), estimator.get_params()
    fresh = clone(estimator)
    assert fresh.get_params() == parameters
    assert not [name for name in vars(fresh) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        fresh.predict_proba(oof)
    assert fresh.fit(oof, labels) is fresh
    assert fresh.get_params() == parameters
    np.testing.assert_array_equal(oof, given)
    predicted = fresh.predict_proba(oof[:, :50])
    assert predicted.dtype == np.float32
    assert predicted.shape == (50, 5)
    np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(fresh.predict(oof[:, :50]), predicted.argmax(axis=1))
    assert fresh.score(oof, labels) == metrics.accuracy(labels, fresh.predict_proba(oof))
    assert fresh.score(oof, labels) > 0.8


@every_estimator
def test_the_same_data_give_the_same_ensemble(estimator):
    oof, labels = draw()
    first, second = (clone(estimator).fit(oof, labels).predict_proba(oof) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@every_estimator
def test_memory_order_does_not_matter(estimator):
    oof, labels = draw()
    rows = np.arange(0, 400, 2)
    picked = oof[:, rows]
    assert not picked.flags.c_contiguous
    expected = clone(estimator).fit(np.ascontiguousarray(picked), labels[rows]).predict_proba(oof)
    np.testing.assert_array_equal(clone(estimator).fit(picked, labels[rows]).predict_proba(oof), expected)


@every_estimator
def test_wrong_arrays_are_refused(estimator):
    oof, labels = draw()
    fitted = clone(estimator).fit(oof, labels)
    with pytest.raises(ValueError, match="fitted on 4 members and 5 classes, asked for 3 members"):
        fitted.predict_proba(oof[:3])
    with pytest.raises(ValueError, match=r"must be \(members, images, classes\)"):
        fitted.fit(oof[0], labels)
    with pytest.raises(ValueError, match=r"labels have shape \(399,\)"):
        fitted.fit(oof, labels[1:])
    with pytest.raises(ValueError, match="integers from 0 to 4"):
        fitted.fit(oof, labels + 1)
    holed = oof.copy()
    holed[2, 7] = np.nan
    with pytest.raises(ValueError, match="member 2 has no prediction in row 7"):
        fitted.fit(holed, labels)


def test_mean_is_the_mean():
    oof, labels = draw()
    np.testing.assert_allclose(ensemble.Mean().fit(oof, labels).predict_proba(oof), oof.mean(axis=0), atol=1e-6)
    product = np.prod(oof.astype(np.float64), axis=0) ** 0.25
    expected = product / product.sum(axis=1, keepdims=True)
    geometric = ensemble.Mean(geometric=True).fit(oof, labels)
    np.testing.assert_allclose(geometric.predict_proba(oof), expected, atol=1e-5)


def test_geometric_mean_stands_members_that_are_certain():
    oof = np.array([[[1, 0, 0]], [[0, 0.5, 0.5]]], np.float32)
    predicted = ensemble.Mean(geometric=True).fit(oof, [0]).predict_proba(oof)
    assert np.isfinite(predicted).all()


def test_given_weights_are_taken_in_any_unit():
    oof, labels = draw(3)
    fitted = ensemble.Weighted([2, 1, 1]).fit(oof, labels)
    np.testing.assert_allclose(fitted.weights_, [0.5, 0.25, 0.25])
    np.testing.assert_allclose(fitted.predict_proba(oof), np.tensordot([0.5, 0.25, 0.25], oof, 1), atol=1e-6)
    equal = ensemble.Weighted([7, 7, 7]).fit(oof, labels).predict_proba(oof)
    np.testing.assert_allclose(equal, ensemble.Mean().fit(oof, labels).predict_proba(oof), atol=1e-6)


@pytest.mark.parametrize("weights", [[1, 2], [1, -1, 1], [0, 0, 0], [1, np.nan, 1], [1, np.inf, 1]])
def test_weights_off_the_simplex_are_refused(weights):
    oof, labels = draw(3)
    with pytest.raises(ValueError, match="3 weights of 0 or more are needed"):
        ensemble.Weighted(weights).fit(oof, labels)


@pytest.mark.parametrize("geometric", [False, True])
@pytest.mark.parametrize("sharpness", [0.3, 1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_fitted_weights_lie_on_the_simplex_and_never_lose_to_the_plain_mean(geometric, sharpness, seed):
    oof, labels = draw(6, seed=seed, sharpness=sharpness)
    fitted = ensemble.Weighted(geometric=geometric).fit(oof, labels)
    assert (fitted.weights_ >= 0).all()
    assert fitted.weights_.sum() == pytest.approx(1)
    plain = ensemble.Mean(geometric).fit(oof, labels).predict_proba(oof)
    loss = metrics.log_loss(labels, fitted.predict_proba(oof))
    assert loss <= metrics.log_loss(labels, plain) + 1e-6
    if geometric:  # convex: no single member is better either
        assert loss <= min(metrics.log_loss(labels, member) for member in oof) + 1e-4


def test_fitted_weights_find_those_that_the_labels_were_drawn_with():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (3, 20_000, 4))
    truth = softmax(np.tensordot([0.6, 0.4, 0.0], logits, 1))
    labels = (rng.random((20_000, 1)) > truth.cumsum(axis=1)).sum(axis=1).clip(max=3)
    fitted = ensemble.Weighted(geometric=True).fit(softmax(logits), labels)
    np.testing.assert_allclose(fitted.weights_, [0.6, 0.4, 0.0], atol=0.03)
    assert fitted.temperature_ == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("geometric", [False, True])
def test_fitted_weights_do_not_mistake_certainty_for_skill(geometric):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 5, 3000)
    truth = 3.0 * np.eye(5)[labels]
    careful = [softmax(0.3 * (truth + rng.normal(0, 1.0, truth.shape))) for _ in range(2)]
    sure = softmax(1.5 * (truth + rng.normal(0, 1.4, truth.shape)))
    oof = np.stack([*careful, sure])
    assert metrics.log_loss(labels, sure) < metrics.log_loss(labels, careful[0])
    assert metrics.accuracy(labels, sure) < metrics.accuracy(labels, careful[0])
    fitted = ensemble.Weighted(geometric=geometric).fit(oof, labels)
    assert fitted.temperature_ < 1
    assert fitted.score(oof, labels) > accuracies(oof, labels).max() + 0.005


@pytest.mark.parametrize("members", [2, 5, 30])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("looked_at", [hill_climb.MOST_PREDICTIONS, 400])
def test_hill_climb_never_loses_to_its_best_member(members, seed, looked_at, monkeypatch):
    monkeypatch.setattr(hill_climb, "MOST_PREDICTIONS", looked_at)
    oof, labels = draw(members, images=300, seed=seed)
    fitted = ensemble.HillClimb(bags=5, rounds=10, random_state=seed).fit(oof, labels)
    assert (fitted.weights_ >= 0).all()
    assert fitted.weights_.sum() == pytest.approx(1)
    assert fitted.score(oof, labels) >= accuracies(oof, labels).max()


def test_hill_climb_leaves_out_members_that_only_harm():
    oof, labels = draw(4, images=1000)
    noise = np.random.default_rng(1).dirichlet(np.full(5, 0.1), (6, 1000)).astype(np.float32)
    fitted = ensemble.HillClimb().fit(np.concatenate([oof, noise]), labels)
    assert fitted.weights_[4:].sum() < 0.1
    assert fitted.score(np.concatenate([oof, noise]), labels) > accuracies(oof, labels).max()


def test_hill_climb_adds_a_member_more_than_once():
    oof, labels = draw(3, images=1000)
    weights = ensemble.HillClimb().fit(oof, labels).weights_
    assert len(set(np.round(weights[weights > 0], 6))) > 1


def test_hill_climb_takes_one_of_equals():
    oof, labels = draw(1)
    fitted = ensemble.HillClimb().fit(np.repeat(oof, 3, axis=0), labels)
    np.testing.assert_array_equal(fitted.weights_, [1, 0, 0])


def test_hill_climbs_bags_depend_on_the_seed_alone():
    oof, labels = draw(30, images=600)
    one, same, other = (ensemble.HillClimb(random_state=seed).fit(oof, labels).weights_ for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_stack_mends_what_all_members_get_wrong():
    oof, labels = draw(3, images=1500)
    swapped = oof[:, :, [0, 2, 1, 3, 4]]
    assert ensemble.Mean().fit(swapped, labels).score(swapped, labels) < 0.7
    nested = ensemble.nested_probabilities(ensemble.Stack(), swapped, labels)
    assert metrics.accuracy(labels, nested) > accuracies(oof, labels).max()


def test_stack_gives_a_class_that_it_never_saw_no_chance():
    oof, labels = draw(3)
    rows = labels != 2
    predicted = ensemble.Stack().fit(oof[:, rows], labels[rows]).predict_proba(oof)
    assert predicted.shape == (400, 5)
    assert (predicted[:, 2] == 0).all()
    np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("estimator", "flattery"),
    [(ensemble.Weighted(), 0), (ensemble.HillClimb(), 0.03), (ensemble.Stack(), 0.05)],
    ids=repr,
)
def test_nested_estimate_is_honest_on_noise(estimator, flattery):
    rng = np.random.default_rng(0)
    noise, labels = rng.dirichlet(np.ones(10), (40, 250)).astype(np.float32), rng.integers(0, 10, 250)
    own = metrics.accuracy(labels, clone(estimator).fit(noise, labels).predict_proba(noise))
    honest = metrics.accuracy(labels, ensemble.nested_probabilities(estimator, noise, labels))
    assert abs(honest - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 250)
    assert own > honest + flattery


@every_estimator
def test_no_image_is_predicted_with_its_own_label(estimator):
    oof, labels = draw()
    fold = fold_of_each(labels, 5, 0)
    honest = ensemble.nested_probabilities(estimator, oof, labels)
    fitted = clone(estimator).fit(np.take(oof, np.flatnonzero(fold != 3), axis=1), labels[fold != 3])
    np.testing.assert_array_equal(honest[fold == 3], fitted.predict_proba(oof[:, fold == 3]))


def test_nested_mean_is_the_mean():
    oof, labels = draw()
    nested = ensemble.nested_probabilities(ensemble.Mean(), oof, labels, folds=7, seed=3)
    np.testing.assert_array_equal(nested, ensemble.Mean().fit(oof, labels).predict_proba(oof))


def test_nested_folds_depend_on_the_seed():
    oof, labels = draw()
    one, other = (ensemble.nested_probabilities(ensemble.Weighted(), oof, labels, seed=seed) for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_nested_folds_need_images():
    oof, labels = draw(images=4)
    with pytest.raises(ValueError, match="4 images are too few for 5 folds"):
        ensemble.nested_probabilities(ensemble.Mean(), oof, labels)


def test_folds_are_stratified_whatever_the_classes_sizes():
    labels = np.repeat([0, 1, 2, 3], [101, 53, 3, 1])
    fold = fold_of_each(labels, 5, 0)
    assert set(np.bincount(fold)) <= {31, 32}
    for label in range(4):
        counts = np.bincount(fold[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert not np.array_equal(fold, fold_of_each(labels, 5, 1))


def test_mcnemar_counts_and_weighs_the_images_that_change():
    labels = np.zeros(100, int)
    right, wrong = np.array([0.9, 0.1]), np.array([0.1, 0.9])
    first, second = np.tile(right, (100, 1)), np.tile(right, (100, 1))
    first[:10] = wrong
    second[10:12] = wrong
    found = metrics.mcnemar(labels, first, second)
    assert (found.gained, found.lost) == (10, 2)
    assert found.p_value == pytest.approx(0.03857, abs=1e-5)  # 2 * P(at most 2 of 12 tosses are heads)
    back = metrics.mcnemar(labels, second, first)
    assert (back.gained, back.lost, back.p_value) == (2, 10, found.p_value)
    assert metrics.mcnemar(labels, first, first).p_value == 1


def test_disagreement_is_the_share_of_images():
    predicted = np.array([[0, 1, 2, 2], [0, 1, 2, 0], [1, 1, 0, 0]])
    expected = [[0, 0.25, 0.75], [0.25, 0, 0.5], [0.75, 0.5, 0]]
    np.testing.assert_allclose(metrics.disagreement(predicted), expected)
