"""A network laid open: every layer's call with what goes in and comes out, nested networks too."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.SeparableConv2D, keras.layers.DepthwiseConv2D)


@dataclass(frozen=True)
class Step:
    """One call of one layer.

    Attributes:
        layer: the layer, or the `keras.ops` operation.
        inputs: the symbolic tensors that go in.
        output: the symbolic tensor that comes out.
    """

    layer: keras.Operation
    inputs: tuple
    output: keras.KerasTensor


@dataclass(frozen=True)
class Anatomy:
    """What `dissect` finds.

    Attributes:
        images: the symbolic input.
        steps: every layer's call, each after those that it depends on.
    """

    images: keras.KerasTensor
    steps: tuple[Step, ...]

    @property
    def logits(self) -> keras.KerasTensor:
        """The network's symbolic output."""
        return self.steps[-1].output

    @property
    def convolutions(self) -> list[Step]:
        """The convolutions' calls, from the input on.

        Raises:
            ValueError: the network has none.
        """
        found = [step for step in self.steps if isinstance(step.layer, CONVOLUTIONS)]
        if not found:
            raise ValueError("the network has no convolution to look into; take one of the zoo's.")
        return found

    def step(self, name: str) -> Step:
        """Return the call of the layer `name`.

        Raises:
            ValueError: there is no such layer; lists them.
        """
        for step in self.steps:
            if step.layer.name == name:
                return step
        known = ", ".join(step.layer.name for step in self.steps)
        raise ValueError(f"the network has no layer {name!r}; it has {known}.")

    def network(self, outputs) -> keras.Model:
        """Return the network from the images to `outputs`, one or several of the steps' tensors."""
        return keras.Model(self.images, outputs)


def dissect(
    network: keras.Model, call: Callable = lambda layer, *inputs, **options: layer(*inputs, **options)
) -> Anatomy:
    """Follow an image through `network` layer by layer, with nested networks inlined; the weights stay shared.

    Args:
        network: a functional or built sequential model with one input and one output.
        call: called as `call(layer, *inputs, **options)` in place of every layer; returns its output. Whatever it
            puts before, after or instead of the layer becomes part of the networks made from the anatomy.

    Raises:
        ValueError: the network is neither, or its input's shape is not known yet.
    """
    if not getattr(network, "inputs", None):
        raise ValueError(f"{network.name} has no input shape yet: build it with keras.Input((h, w, c)) first.")
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise ValueError(
            f"{network.name} has {len(network.inputs)} inputs and {len(network.outputs)} outputs, not one."
        )
    images = keras.Input(network.inputs[0].shape[1:], dtype=network.inputs[0].dtype, name="images")
    steps: list[Step] = []
    _follow(network, images, call, steps)
    return Anatomy(images, tuple(steps))


def features(network: keras.Model, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """Return what the network's last layer with weights – the classifier – gets to see, float32 (n, d).

    Args:
        network: pixels to logits.
        images: (n, h, w, c), pixel values 0…255.
        batch_size: images at once.
    """
    anatomy = dissect(network)
    last = next(step for step in reversed(anatomy.steps) if getattr(step.layer, "weights", None))
    reading = anatomy.network(last.inputs[0])
    batches = (
        np.asarray(images[start : start + batch_size], np.float32) for start in range(0, len(images), batch_size)
    )
    seen = [keras.ops.cast(reading(batch, training=False), "float32") for batch in batches]
    return np.concatenate([keras.ops.convert_to_numpy(part) for part in seen]).reshape(len(images), -1)


def _follow(network, inputs, call, steps):
    """Call `network`'s layers on `inputs`, note each call in `steps`, and return the output."""
    output = None

    def note(layer, *args, **options):
        nonlocal output
        if isinstance(layer, keras.Model):
            output = _follow(layer, args[0], call, steps)
        else:
            output = call(layer, *args, **options)
            tensors = [one for one in keras.tree.flatten((args, options)) if isinstance(one, keras.KerasTensor)]
            steps.append(Step(layer, tuple(tensors), output))
        return output

    # A model around the same graph is functional even where `network` is sequential, and never compiled, so that
    # cloning has no optimizer to copy.
    around = keras.Model(network.input, network.output)
    keras.models.clone_model(around, input_tensors=inputs, clone_function=lambda layer: layer, call_function=note)
    return output
