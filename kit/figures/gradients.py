"""Gradients of a number with respect to a tensor, the same on every Keras backend."""

import importlib
from collections.abc import Callable

import keras
import numpy as np


def gradient_of(function: Callable) -> Callable[..., np.ndarray]:
    """Return a function that maps an array to the gradient of `function` there.

    Args:
        function: takes a float32 tensor, and other tensors that are held constant, and returns a number; made of
            `keras.ops` and of networks called with `training=False`.

    Returns:
        A function of a float32 array and the constants' arrays that returns an array of the first one's shape. It is
        compiled once for each combination of shapes.

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

    def gradient(*arrays: np.ndarray) -> np.ndarray:
        return np.asarray(keras.ops.convert_to_numpy(differentiate(*map(keras.ops.convert_to_tensor, arrays))))

    return gradient


def _tensorflow(tensorflow, function):
    @tensorflow.function
    def differentiate(tensor, *constants):
        with tensorflow.GradientTape() as tape:
            tape.watch(tensor)
            value = function(tensor, *constants)
        return tape.gradient(value, tensor)

    # Traced explicitly: when called directly, TensorFlow warns of "excessive retracing" at the sixth figure.
    return lambda *tensors: differentiate.get_concrete_function(*tensors)(*tensors)


def _jax(jax, function):
    return jax.grad(function)


def _torch(torch, function):
    def differentiate(tensor, *constants):
        tensor = tensor.detach().requires_grad_()
        return torch.autograd.grad(function(tensor, *constants), tensor)[0]

    return differentiate
