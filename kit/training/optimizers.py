"""Keras's optimizers as a recipe asks for them, with what Keras lacks: Lookahead, and rates of each weight's own."""

import functools
from collections.abc import Callable, Sequence

import keras
from keras import ops

from kit.errors import UserError
from kit.recipe import Recipe
from kit.training.schedule import Schedule


def build(recipe: Recipe, network: keras.Model, steps: int, thawed: Sequence[keras.Layer] = ()):
    """Return the recipe's optimizer, built for `network`'s trainable weights.

    Args:
        recipe: says which one, and everything about it.
        network: whose `trainable_variables` it will move.
        steps: how many the schedule spans.
        thawed: layers whose weights move at the recipe's `thaw_rate`.

    Raises:
        UserError: the installed Keras does not have the optimizer.
    """
    base = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "lion": "Lion", "muon": "Muon"}
    if not hasattr(keras.optimizers, base[recipe.optimizer]):
        raise UserError(
            f"optimizer: Keras {keras.__version__} has no {recipe.optimizer}; take adamw, or a newer Keras."
        )
    options = {
        "learning_rate": Schedule(
            recipe.schedule,
            recipe.learning_rate,
            steps,
            recipe.warmup,
            recipe.final_learning_rate,
            recipe.snapshots or 1,
        ),
        "weight_decay": 0.0 if recipe.optimizer == "adamw" else None,  # AdamW insists on a number
        "global_clipnorm": recipe.clip_norm or None,
        "use_ema": recipe.average > 0,
        "ema_momentum": recipe.average or 0.99,
    }
    if recipe.optimizer in ("sgd", "rmsprop", "muon"):
        options["momentum"] = float(recipe.momentum)
    if recipe.optimizer in ("sgd", "muon"):
        options["nesterov"] = True
    if recipe.optimizer == "muon":
        options["adam_weight_decay"] = None  # Keras's own decays what is not a matrix, biases and norms too
    family = getattr(keras.optimizers, base[recipe.optimizer])
    optimizer = _steered(_muon(family) if recipe.optimizer == "muon" else family)(**options)
    weights = network.trainable_variables
    optimizer.steer(
        recipe.lookahead,
        _follow(recipe, steps),
        _decays(recipe, network),
        _multiples(recipe, network, thawed),
    )
    optimizer.build(weights)
    return optimizer


def _follow(recipe, steps):
    """How far Lookahead's slow weights follow in a step counted from 1: a share, as a function of the step."""
    if not recipe.lookahead_fall:
        return lambda step: recipe.lookahead_rate
    return lambda step: 1.0 - (1.0 - recipe.lookahead_rate) * (ops.cast(step, "float32") / steps) ** 3


def _norm_biases(network):
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization) and layer.center]
    return {id(layer.beta) for layer in norms}


def _decays(recipe, network):
    """Each trainable weight's decay, as a multiple of its rate.

    Norms' biases with a rate of their own decay by as much a step as the kernels, as airbench's do: at 64 times the
    rate, without any decay, they would wander off.
    """
    biases = _norm_biases(network) if recipe.norm_bias_rate > 1 else {}
    decays = []
    for weight in network.trainable_variables:
        alone = recipe.weight_decay / recipe.norm_bias_rate if id(weight) in biases else 0.0
        decays.append(recipe.weight_decay if len(weight.shape) > 1 else alone)
    return decays


def _multiples(recipe, network, thawed):
    """Each trainable weight's learning rate, as a multiple of the schedule's."""
    slow = {id(weight) for layer in thawed for weight in layer.weights}
    biases = _norm_biases(network)
    multiples = []
    for weight in network.trainable_variables:
        own = recipe.norm_bias_rate if id(weight) in biases else 1.0
        multiples.append(own * (recipe.thaw_rate if id(weight) in slow else 1.0))
    return multiples


@functools.cache
def _muon(base: type) -> type:
    """Keras's `Muon` for networks of convolutions.

    Keras's own orthogonalises what has two dimensions and leaves all else to AdamW: of such networks the last layer
    alone, the one that is better left to AdamW. Here every convolution's kernel is a matrix of (height · width ·
    channels in) × channels out, and dense layers are AdamW's. See https://kellerjordan.github.io/posts/muon/.
    """

    class Muon(base):
        def _should_use_adamw(self, variable):
            return len(variable.shape) != 4

        def _muon_update_step(self, gradient, variable, lr, m):
            self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
            ahead = ops.reshape(gradient + self.momentum * m, (-1, variable.shape[-1]))
            update = self.lr_adjust(lr * self.zeropower_via_newtonschulz5(ahead, self.ns_steps))
            self.assign_sub(variable, ops.reshape(update, variable.shape))

    return Muon


@functools.cache
def _steered(base: type) -> type:
    """A subclass of the Keras optimizer `base` with Lookahead, and rates and decay of each weight's own."""

    class Steered(base):
        def steer(self, lookahead: int, follow: Callable, decays: list[float], multiples: list[float]) -> None:
            """Say how, before `build`; the lists have a number for each weight."""
            self._lookahead, self._follow = lookahead, follow
            self._decays, self._multiples = decays, multiples
            self._slow_weights = []

        def build(self, variables):
            first = not self.built
            super().build(variables)
            if first and self._lookahead:
                self._slow_weights = [
                    self.add_variable_from_reference(weight, name="slow_weights") for weight in variables
                ]
                for slow, weight in zip(self._slow_weights, variables, strict=True):
                    slow.assign(ops.copy(weight))  # JAX hands over its arrays: one for both would be freed twice

        def update_step(self, gradient, variable, learning_rate):
            at = self._get_variable_index(variable)
            if self._multiples[at] != 1:
                learning_rate = learning_rate * self._multiples[at]
            if self._decays[at]:
                # Keras's own weight decay would take the schedule's rate and not the weight's own.
                self.assign_sub(variable, ops.convert_to_tensor(variable) * self._decays[at] * learning_rate)
            super().update_step(gradient, variable, learning_rate)
            if self._lookahead:
                self._look_ahead(variable)

        def _all_reduce_sum_gradients(self, grads_and_vars):
            """On one device, do without TensorFlow's sum over devices.

            It is made by a `tf.custom_gradient`, which TensorFlow never forgets: every network would stay in memory.
            """
            if self._distribution_strategy.num_replicas_in_sync == 1:
                return grads_and_vars
            return super()._all_reduce_sum_gradients(grads_and_vars)

        def _look_ahead(self, fast):
            """Zhang et al. 2019, https://arxiv.org/abs/1907.08610: every k steps the slow weights follow the fast.

            A choice by `where` and not by `cond`, so that the step stays one graph on every backend.
            """
            slow = self._slow_weights[self._get_variable_index(fast)]
            ahead, behind = ops.convert_to_tensor(fast), ops.convert_to_tensor(slow)
            due = ops.equal((self.iterations + 1) % self._lookahead, 0)
            followed = behind + self._follow(self.iterations + 1) * (ahead - behind)
            self.assign(fast, ops.where(due, followed, ahead))
            self.assign(slow, ops.where(due, followed, behind))

    Steered.__name__ = f"Steered{base.__name__}"
    return Steered
