"""Gradients of a number with respect to a tensor, the same on every Keras backend."""

import importlib
from collections.abc import Callable

import keras
import numpy as np


def gradient_of(function: Callable) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that maps an array to the gradient of `function` there.

    Args:
        function: takes one float32 tensor and returns a number; made of `keras.ops` and of networks called with
            `training=False`.

    Returns:
        A function of one float32 array that returns an array of its shape.

    Raises:
        NotImplementedError: the Keras backend has no gradients.
    """
    backend = keras.backend.backend()
    known = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
    if backend not in known:
        raise NotImplementedError(
            f"the backend {backend} has no gradients; use KERAS_BACKEND=tensorflow, jax or torch."
        )
    differentiate = known[backend](importlib.import_module(backend), function)
    return lambda array: np.asarray(keras.ops.convert_to_numpy(differentiate(keras.ops.convert_to_tensor(array))))


def _tensorflow(tensorflow, function):
    @tensorflow.function
    def differentiate(tensor):
        with tensorflow.GradientTape() as tape:
            tape.watch(tensor)
            value = function(tensor)
        return tape.gradient(value, tensor)

    # Traced explicitly: when called directly, TensorFlow warns of "excessive retracing" at the sixth figure.
    return lambda tensor: differentiate.get_concrete_function(tensor)(tensor)


def _jax(jax, function):
    return jax.grad(function)


def _torch(torch, function):
    def differentiate(tensor):
        tensor = tensor.detach().requires_grad_()
        return torch.autograd.grad(function(tensor), tensor)[0]

    return differentiate
