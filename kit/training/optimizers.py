"""The optimizers of a recipe: Keras's, and what it lacks: Muon for kernels, Lookahead, per-weight learning rates."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from kit.recipes.recipe import Recipe
from kit.training.schedule import Schedule


class Muon(keras.optimizers.AdamW):
    """Momentum whose steps are orthogonalised, for the kernels of convolutions; AdamW for all else.

    A kernel is taken as a matrix of (height · width · channels in) × channels out. Its step is the nearest matrix whose
    singular values are all equal, so that no direction is learnt before the others. Steps have AdamW's size, so that
    AdamW's learning rates serve: Jordan 2024, https://kellerjordan.github.io/posts/muon/, scaled as in
    https://arxiv.org/abs/2502.16982. `keras.optimizers.Muon` does the opposite: it leaves convolutions to AdamW and
    orthogonalises dense layers, also the last one, which is better left out.
    """

    POLYNOMIAL = 3.4445, -4.7750, 2.0315
    ROUNDS = 5
    ADAMS_SIZE = 0.2  # root mean square of AdamW's steps, as a multiple of the learning rate

    def __init__(self, momentum: float = 0.9, compute_dtype: str = "float32", **options):
        super().__init__(**options)
        self.momentum = momentum
        self.compute_dtype = compute_dtype  # of the iteration, which forgives bfloat16's errors
        self._kernel_momenta: list = []

    def build(self, variables):
        """Add a momentum for each kernel."""
        super().build(variables)
        if not self._kernel_momenta:
            self._kernel_momenta = [
                self.add_variable_from_reference(weight, name="kernel_momentum") if len(weight.shape) == 4 else None
                for weight in variables
            ]

    def update_step(self, gradient, variable, learning_rate):
        """Move one weight."""
        momentum = self._kernel_momenta[self._get_variable_index(variable)]
        if momentum is None:
            super().update_step(gradient, variable, learning_rate)
            return
        gradient = ops.cast(gradient, variable.dtype)
        self.assign(momentum, gradient + self.momentum * ops.convert_to_tensor(momentum))
        ahead = gradient + self.momentum * ops.convert_to_tensor(momentum)  # Nesterov's
        matrix = ops.reshape(ahead, (-1, variable.shape[-1]))
        size = self.ADAMS_SIZE * max(matrix.shape) ** 0.5 * ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, ops.reshape(size * self._orthogonal(matrix), variable.shape))

    def _orthogonal(self, matrix):
        """Singular values of about 1 in place of `matrix`'s own: five rounds of a Newton-Schulz iteration."""
        kept = matrix.dtype
        matrix = ops.cast(matrix / (ops.norm(matrix) + 1e-7), self.compute_dtype)
        tall = matrix.shape[0] > matrix.shape[1]
        a, b, c = self.POLYNOMIAL
        one = ops.eye(min(matrix.shape), dtype=matrix.dtype)
        for _ in range(self.ROUNDS):
            square = ops.transpose(matrix) @ matrix if tall else matrix @ ops.transpose(matrix)
            factor = a * one + b * square + c * square @ square
            matrix = matrix @ factor if tall else factor @ matrix
        return ops.cast(matrix, kept)


FAMILIES = {
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
    "muon": Muon,
}


def build(
    recipe: Recipe,
    network: keras.Model,
    steps: int,
    unfrozen: Sequence[keras.Layer] = (),
    learning_rate: keras.optimizers.schedules.LearningRateSchedule | None = None,
):
    """Return the recipe's optimizer, built for `network`'s trainable weights.

    Args:
        recipe: says which one, and everything about it.
        network: whose `trainable_variables` it will move.
        steps: how many the schedule spans.
        unfrozen: layers whose learning rate is multiplied by the recipe's `unfreeze_factor`.
        learning_rate: another schedule than the recipe's.
    """
    family = FAMILIES[recipe.optimizer]
    options: dict[str, Any] = {
        "learning_rate": learning_rate
        or Schedule(
            recipe.schedule,
            recipe.learning_rate,
            steps,
            recipe.warmup,
            recipe.final_learning_rate,
            recipe.snapshots or 1,
        ),
        "weight_decay": 0.0 if issubclass(family, keras.optimizers.AdamW) else None,  # AdamW insists on a number
        "use_ema": recipe.ema > 0,
        "ema_momentum": recipe.ema or 0.99,
    }
    if recipe.optimizer in ("sgd", "rmsprop", "muon"):
        options["momentum"] = float(recipe.momentum)
    if recipe.optimizer == "sgd":
        options["nesterov"] = True
    if recipe.optimizer == "muon" and network.compute_dtype == "bfloat16":
        options["compute_dtype"] = "bfloat16"
    optimizer = _with_lookahead(family)(**options)
    optimizer.configure(
        recipe.lookahead,
        _lookahead_alpha(recipe, steps),
        _decays(recipe, network),
        _factors(recipe, network, unfrozen),
    )
    optimizer.build(network.trainable_variables)
    return optimizer


def _lookahead_alpha(recipe, steps):
    """Return Lookahead's alpha, the share that slow weights follow, as a function of the step, counted from 1."""
    if not recipe.lookahead_decay:
        return lambda step: recipe.lookahead_alpha
    return lambda step: 1.0 - (1.0 - recipe.lookahead_alpha) * (ops.cast(step, "float32") / steps) ** 3


def _norm_biases(network):
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization) and layer.center]
    return {id(layer.beta) for layer in norms}


def _decays(recipe, network):
    """Return each trainable weight's decay, as a multiple of its learning rate.

    Norm biases with a learning rate of their own decay by as much a step as the kernels, as airbench's do: at 64 times
    the learning rate they would grow without bounds.
    """
    biases = _norm_biases(network) if recipe.norm_bias_factor > 1 else set()
    decays = []
    for weight in network.trainable_variables:
        of_bias = recipe.weight_decay / recipe.norm_bias_factor if id(weight) in biases else 0.0
        decays.append(recipe.weight_decay if len(weight.shape) > 1 else of_bias)
    return decays


def _factors(recipe, network, unfrozen):
    """Return each trainable weight's learning rate, as a multiple of the schedule's."""
    slow = {id(weight) for layer in unfrozen for weight in layer.weights}
    biases = _norm_biases(network)
    factors = []
    for weight in network.trainable_variables:
        own = recipe.norm_bias_factor if id(weight) in biases else 1.0
        factors.append(own * (recipe.unfreeze_factor if id(weight) in slow else 1.0))
    return factors


@functools.cache
def _with_lookahead(base: type) -> type:
    """Return a subclass of the Keras optimizer `base` with Lookahead, and with learning rate and decay per weight."""

    class Extended(base):
        def configure(self, interval: int, alpha: Callable, decays: list[float], factors: list[float]) -> None:
            """Set, before `build`, Lookahead's interval in steps and its alpha; and a decay and a factor per weight."""
            self._interval, self._alpha = interval, alpha
            self._decays, self._factors = decays, factors
            self._slow_weights: list = []

        def build(self, variables):
            first = not self.built
            super().build(variables)
            if first and self._interval:
                self._slow_weights = [
                    self.add_variable_from_reference(weight, name="slow_weights") for weight in variables
                ]
                for slow, weight in zip(self._slow_weights, variables, strict=True):
                    slow.assign(ops.copy(weight))  # JAX hands over its arrays: one for both would be freed twice

        def update_step(self, gradient, variable, learning_rate):
            index = self._get_variable_index(variable)
            if self._factors[index] != 1:
                learning_rate = learning_rate * self._factors[index]
            if self._decays[index]:
                # Keras's own weight decay would take the schedule's learning rate, without the weight's factor.
                self.assign_sub(variable, ops.convert_to_tensor(variable) * self._decays[index] * learning_rate)
            super().update_step(gradient, variable, learning_rate)
            if self._interval:
                self._follow(variable)

        def _all_reduce_sum_gradients(self, grads_and_vars):
            """On one device, do without TensorFlow's sum over devices.

            It is made by a `tf.custom_gradient`, which TensorFlow never forgets: every network would stay in memory.
            """
            if self._distribution_strategy.num_replicas_in_sync == 1:
                return grads_and_vars
            return super()._all_reduce_sum_gradients(grads_and_vars)

        def _follow(self, fast):
            """Zhang et al. 2019, https://arxiv.org/abs/1907.08610: every k steps the slow weights follow the fast.

            A choice by `where` and not by `cond`, so that the step stays one graph on every backend.
            """
            slow = self._slow_weights[self._get_variable_index(fast)]
            ahead, behind = ops.convert_to_tensor(fast), ops.convert_to_tensor(slow)
            due = ops.equal((self.iterations + 1) % self._interval, 0)
            followed = behind + self._alpha(self.iterations + 1) * (ahead - behind)
            self.assign(fast, ops.where(due, followed, ahead))
            self.assign(slow, ops.where(due, followed, behind))

    Extended.__name__ = f"Extended{base.__name__}"
    return Extended
