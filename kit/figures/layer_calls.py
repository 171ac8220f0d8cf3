"""A network laid open: every layer's call with what goes in and comes out, nested networks too."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.SeparableConv2D, keras.layers.DepthwiseConv2D)


@dataclass(frozen=True, eq=False)
class Step:
    """One call of one layer.

    Attributes:
        name: the layer's name; for a layer of a nested network with that one's before it, as in `vgg16/block1_conv1`.
        layer: the layer, or the `keras.ops` operation.
        arguments: what it is called with, symbolic tensors and all else.
        options: the same, given by name.
        outputs: the symbolic tensors that come out.
    """

    name: str
    layer: keras.Operation
    arguments: tuple
    options: dict
    outputs: tuple[keras.KerasTensor, ...]

    @property
    def inputs(self) -> tuple[keras.KerasTensor, ...]:
        """The symbolic tensors that go in."""
        return tuple(_tensors((self.arguments, self.options)))

    @property
    def output(self) -> keras.KerasTensor:
        """The symbolic tensor that comes out, the first where there are several."""
        return self.outputs[0]

    def __call__(self, *arguments, **options):
        """Call the layer as a trained network does, with dropout and augmentation at rest."""
        if "training" in inspect.signature(self.layer.call).parameters:
            options["training"] = False
        return self.layer(*arguments, **options)


@dataclass(frozen=True)
class LayerCalls:
    """What `layer_calls_of` finds.

    Attributes:
        images: the symbolic input.
        steps: every layer's call, each after those that it depends on.
        logits: the symbolic output.
    """

    images: keras.KerasTensor
    steps: tuple[Step, ...]
    logits: keras.KerasTensor

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
        """Return the call of the layer `name`; the nested network's name before it may be left out.

        Raises:
            ValueError: there is no such layer; lists them.
        """
        for step in self.steps:
            if step.name == name:
                return step
        for step in self.steps:
            if step.layer.name == name:
                return step
        known = ", ".join(step.name for step in self.steps)
        raise ValueError(f"the network has no layer {name!r}; it has {known}.")

    def read(self, images, wanted, call: Callable = Step.__call__):
        """Let images through the network, as far as is needed, and read off symbolic tensors.

        Args:
            images: (n, h, w, c) array or tensor, pixel values 0…255.
            wanted: one of the steps' tensors, or a list of them.
            call: called as `call(step, *arguments, **options)` in place of every step; may change what comes out.

        Returns:
            The tensor, or the list of tensors.
        """
        values = {self.images: keras.ops.convert_to_tensor(images, "float32")}

        def known(structure):
            return keras.tree.map_structure(lambda one: values[one] if _is_tensor(one) else one, structure)

        for step in self._needed_for(_tensors(wanted)):
            made = call(step, *known(step.arguments), **known(step.options))
            values.update(zip(step.outputs, keras.tree.flatten(made), strict=True))
        return known(wanted)

    def _needed_for(self, tensors: list) -> list[Step]:
        """The steps without which `tensors` cannot be computed."""
        needed, chosen = set(tensors), []
        for step in reversed(self.steps):
            if needed & set(step.outputs):
                chosen.append(step)
                needed |= set(step.inputs)
        return chosen[::-1]


def layer_calls_of(network: keras.Model) -> LayerCalls:
    """Follow an image through `network` layer by layer, also through networks that are layers of it.

    Args:
        network: a functional or built sequential model with one input and one output.

    Raises:
        ValueError: the network is neither, or its input's shape is not known yet.
    """
    if not getattr(network, "inputs", None):
        raise ValueError(
            f"{network.name} has no input shape yet, or is neither functional nor sequential: "
            "build it with keras.Input((h, w, c)) first."
        )
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise ValueError(
            f"{network.name} has {len(network.inputs)} inputs and {len(network.outputs)} outputs, not one."
        )
    way = _Way()
    images = keras.KerasTensor(network.inputs[0].shape, "float32")
    (logits,) = way.follow(network, [images])
    return LayerCalls(images, tuple(way.steps), logits)


def features(network: keras.Model, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """Return what the network's last layer with weights – the classifier – gets to see, float32 (n, d).

    Args:
        network: pixels to logits.
        images: (n, h, w, c), pixel values 0…255.
        batch_size: images at once.
    """
    layer_calls = layer_calls_of(network)
    last = next(step for step in reversed(layer_calls.steps) if getattr(step.layer, "weights", None))
    batches = (images[start : start + batch_size] for start in range(0, len(images), batch_size))
    seen = [as_array(layer_calls.read(batch, last.inputs[0])) for batch in batches]
    return np.concatenate(seen).reshape(len(images), -1)


def as_array(tensor) -> np.ndarray:
    """Return a tensor of any backend and precision as a float32 array."""
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


@dataclass
class _Way:
    """The way through a network, noted step by step.

    Attributes:
        steps: the calls so far.
        same: for a tensor on the border of a nested network, the one that the steps speak of in its place.
    """

    steps: list[Step] = field(default_factory=list)
    same: dict[keras.KerasTensor, keras.KerasTensor] = field(default_factory=dict)

    def follow(self, network: keras.Model, inputs: Sequence, path: str = "") -> list:
        """Note the calls of `network`'s layers on `inputs` and return the outputs."""

        def note(layer, *arguments, **options):
            output = layer(*arguments, **options)
            ends = keras.tree.flatten(output)
            spoken = keras.tree.map_structure(self._spoken_of, (arguments, options))
            if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
                inner = self.follow(layer, _tensors(spoken), f"{path}{layer.name}/")
                self.same.update(zip(ends, inner, strict=True))
            else:
                self.steps.append(Step(path + layer.name, layer, *spoken, tuple(ends)))
            return output

        # Cloning is how Keras lets one watch the calls. A nested network counts as one layer there and is cloned by
        # itself: names have to be unique in a network, and both may have a layer of the same. The model around the
        # graph is functional even where `network` is sequential, and not compiled: no optimizer to copy.
        own = [keras.Input(batch_shape=one.shape, dtype=one.dtype) for one in network.inputs]
        self.same.update(zip(own, inputs, strict=True))
        around = keras.Model(network.inputs, network.outputs)
        clone = keras.models.clone_model(
            around, input_tensors=own, clone_function=lambda layer: layer, call_function=note
        )
        return [self._spoken_of(one) for one in clone.outputs]

    def _spoken_of(self, one):
        return self.same.get(one, one) if _is_tensor(one) else one


def _is_tensor(one) -> bool:
    return isinstance(one, keras.KerasTensor)


def _tensors(structure) -> list:
    return [one for one in keras.tree.flatten(structure) if _is_tensor(one)]
