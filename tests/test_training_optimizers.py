"""Schedules and optimizers: learning rates, decay, Muon, Lookahead and averaged weights, step by step."""

from typing import get_args

import keras
import numpy as np
import pytest

from kit.recipes import Recipe
from kit.training import fit, optimizers
from kit.training.schedule import Schedule

convert = keras.ops.convert_to_numpy
NAMES = get_args(Recipe.model_fields["optimizer"].annotation)
PLAIN = {"optimizer": "sgd", "momentum": 0, "learning_rate": 1, "schedule": "constant", "warmup": 0}


@pytest.mark.parametrize("kind", get_args(Recipe.model_fields["schedule"].annotation))
def test_schedules_rise_to_the_peak_and_end_where_they_should(kind):
    rates = [float(Schedule(kind, 2.0, 100, warmup=0.2, final=0.01)(step)) for step in range(101)]
    assert max(rates) == pytest.approx(2.0)
    assert rates[0] < 0.2
    assert (np.diff(rates[:20]) > 0).all()
    assert rates[100] == pytest.approx(2.0 if kind == "constant" else 0.02, rel=1e-3)
    assert (np.diff(rates[21:]) <= 1e-6).all()


def test_cycles_repeat_the_schedule():
    once, thrice = Schedule("cosine", 1.0, 10, warmup=0.2), Schedule("cosine", 1.0, 30, warmup=0.2, cycles=3)
    rates = [float(thrice(step)) for step in range(30)]
    assert rates == pytest.approx(3 * [float(once(step)) for step in range(10)])


@pytest.fixture
def network():
    """A kernel, a norm without scale, a dense layer with bias; all weights are one."""
    inputs = keras.Input((4, 4, 2))
    x = keras.layers.Conv2D(3, 3, use_bias=False, name="conv")(inputs)
    x = keras.layers.BatchNormalization(scale=False, name="norm")(x)
    made = keras.Model(inputs, keras.layers.Dense(2, name="dense")(keras.layers.Flatten()(x)))
    for weight in made.trainable_variables:
        weight.assign(keras.ops.ones(weight.shape))
    return made


@pytest.mark.parametrize("name", NAMES)
def test_optimizers_descend(name, network):
    """Half the squared distance of every weight from a target: its gradient is the distance."""
    steps = 60
    optimizer = optimizers.build(Recipe(optimizer=name, learning_rate=0.1, warmup=0), network, steps)
    rng = np.random.default_rng(0)
    weights = network.trainable_variables
    targets = [rng.normal(size=weight.shape).astype(np.float32) for weight in weights]

    def distance():
        return sum(np.square(convert(weight) - target).sum() for weight, target in zip(weights, targets, strict=True))

    before = distance()
    for _ in range(steps):
        optimizer.apply([weight - target for weight, target in zip(weights, targets, strict=True)])
    assert distance() < 0.4 * before


@pytest.mark.parametrize("name", NAMES)
def test_weight_decay_spares_biases_and_norms(name, network):
    recipe = Recipe(optimizer=name, weight_decay=0.5, learning_rate=0.1, warmup=0)
    optimizer = optimizers.build(recipe, network, 10)
    optimizer.apply([keras.ops.zeros(weight.shape) for weight in network.trainable_variables])
    for weight in network.trainable_variables:
        left = 1 - 0.1 * 0.5 if len(weight.shape) > 1 else 1
        np.testing.assert_allclose(convert(weight), left, rtol=1e-6)


@pytest.mark.parametrize(("filters", "policy"), [(6, "float32"), (6, "mixed_bfloat16"), (48, "float32")])
def test_muon_moves_convolutions_by_matrices_without_a_preferred_direction(filters, policy):
    keras.config.set_dtype_policy(policy)
    try:
        inputs = keras.Input((8, 8, 4))
        convolved = keras.layers.Conv2D(filters, 3, use_bias=False)(inputs)
        network = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(convolved)))
    finally:
        keras.config.set_dtype_policy("float32")
    recipe = Recipe(optimizer="muon", learning_rate=0.1, schedule="constant", warmup=0)
    optimizer = optimizers.build(recipe, network, 10)
    kernel, dense, _ = network.trainable_variables
    before = [convert(weight) for weight in (kernel, dense)]
    rng = np.random.default_rng(0)
    sizes = np.resize([10, 5, 3, 1, 0.5, 0.3], filters)  # the filters' gradients differ much
    steep = rng.normal(size=kernel.shape) * sizes
    optimizer.apply([keras.ops.convert_to_tensor(steep, "float32"), keras.ops.ones(dense.shape), keras.ops.ones(3)])
    moved = (convert(kernel) - before[0]).reshape(36, filters)
    scale = 0.1 * 0.2 * max(36, filters) ** 0.5  # learning rate, Adam's size, longer side
    singular = np.linalg.svd(moved, compute_uv=False) / scale
    assert optimizer.compute_dtype == policy.removeprefix("mixed_")
    assert singular.min() > 0.4
    assert singular.max() < 1.4
    np.testing.assert_allclose(convert(dense) - before[1], -0.1, rtol=1e-3)  # Adam's first step


def test_norm_biases_and_unfrozen_layers_have_learning_rates_of_their_own(network):
    recipe = Recipe(**PLAIN).replace(learning_rate=0.1, norm_bias_factor=64, weight_decay=1, unfreeze_factor=0.5)
    optimizer = optimizers.build(recipe, network, 10, unfrozen=[network.get_layer("conv")])
    optimizer.apply([keras.ops.ones(weight.shape) for weight in network.trainable_variables])
    moved = {weight.path: convert(weight) - 1 for weight in network.trainable_variables}
    np.testing.assert_allclose(moved["norm/beta"], -6.4 - 0.1, rtol=1e-5)  # decays as the kernels do
    np.testing.assert_allclose(moved["dense/bias"], -0.1, rtol=1e-5)
    np.testing.assert_allclose(moved["dense/kernel"], -0.1 - 0.1, rtol=1e-5)
    np.testing.assert_allclose(moved["conv/kernel"], -0.05 - 0.05, rtol=1e-5)


def single_weight_after(recipe, steps, count):
    """A weight that begins at zero, after each of `count` steps of size one."""
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    optimizer = optimizers.build(recipe, network, steps)
    weight, seen = network.trainable_variables[0], []
    for _ in range(count):
        optimizer.apply([-keras.ops.ones(weight.shape)])
        seen.append(float(convert(weight)[0, 0]))
    return seen


def test_lookahead_follows_the_fast_weights_every_k_steps():
    assert single_weight_after(Recipe(**PLAIN, lookahead=3), 10, 6) == pytest.approx([1, 2, 1.5, 2.5, 3.5, 3.0])


def test_lookaheads_alpha_decays_from_one():
    halfway = (1 - 0.5 * 0.5**3) * 2
    seen = single_weight_after(Recipe(**PLAIN, lookahead=2, lookahead_decay=True), 4, 4)
    assert seen == pytest.approx([1, halfway, halfway + 1, halfway + 0.5 * 2])


def test_airbench94s_conversion_is_that_of_its_code():
    """Its loop in NumPy, values and order as published, against the kit's optimizer with the shipped recipe."""
    from kit import recipes

    recipe = recipes.resolve("cifar-10", "airbench94")
    momentum, batch, steps = 0.85, 1024, 400
    scale = batch * (1 + 1 / (1 - momentum))
    rate, decay = 11.5 / scale, 0.0153 * batch / scale
    weight, velocity, slow = 0.0, 0.0, 0.0
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    optimizer = optimizers.build(recipe, network, steps)
    ours, mine, published = network.trainable_variables[0], [], []
    for step in range(steps):
        warmup = int(steps * 0.23)
        part = (step - warmup) / (steps - warmup)
        factor = 0.2 + 0.8 * step / warmup if step < warmup else 1 - part + 0.07 * part
        gradient = batch * 1e-3 * (weight - 3) + decay / rate * weight  # of a summed loss, with coupled decay
        velocity = momentum * velocity + gradient
        weight -= rate * factor * (gradient + momentum * velocity)
        if (step + 1) % 5 == 0:
            share = 0.95**5 * ((step + 1) / steps) ** 3
            weight = slow = share * slow + (1 - share) * weight
        optimizer.apply([1e-3 * (ours - 3)])  # of a mean loss
        mine.append(float(convert(ours)[0, 0]))
        published.append(weight)
    np.testing.assert_allclose(mine[200:], published[200:], rtol=0.02)  # the warm-ups begin differently
    assert published[-1] < 1.5, "the decay counts as much as the gradient"


def test_averaged_weights_predict():
    images = np.random.default_rng(0).integers(0, 256, (64, 6, 6, 1), dtype=np.uint8)
    split = fit.Split(images, np.eye(2, dtype=np.float32)[np.arange(64) % 2], images[:0], np.zeros(0, int))
    recipe = Recipe(epochs=2, batch_size=16, learning_rate=0.01, precision="float32")

    def moved(chosen):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((6, 6, 1))
        network = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))
        start = convert(network.trainable_variables[0]).copy()
        fit.fit(network, split, chosen)
        return np.abs(convert(network.trainable_variables[0]) - start).sum()

    assert 0 < moved(recipe.replace(ema=0.999)) < 0.2 * moved(recipe), "1,000 steps' average has hardly left the start"
