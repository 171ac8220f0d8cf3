"""Every call of a layer in a network, those of nested networks included, with its input and output tensors."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.SeparableConv2D, keras.layers.DepthwiseConv2D)


@dataclass(frozen=True, eq=False)
class LayerCall:
    """One call of one layer.

    Attributes:
        name: the layer's name; in a nested network after that network's name, as in `vgg16/block1_conv1`.
        layer: the layer, or the `keras.ops` operation.
        arguments: its positional arguments: symbolic tensors and other values.
        keywords: its keyword arguments, likewise.
        outputs: the symbolic tensors that it returns.
    """

    name: str
    layer: keras.Operation
    arguments: tuple
    keywords: dict
    outputs: tuple[keras.KerasTensor, ...]

    @property
    def inputs(self) -> tuple[keras.KerasTensor, ...]:
        """The symbolic tensors among its arguments."""
        return tuple(_symbolic_tensors((self.arguments, self.keywords)))

    @property
    def output(self) -> keras.KerasTensor:
        """The symbolic tensor that it returns, the first where there are several."""
        return self.outputs[0]

    def __call__(self, *arguments, **keywords):
        """Call the layer in inference mode: dropout and augmentation do nothing."""
        if "training" in inspect.signature(self.layer.call).parameters:
            keywords["training"] = False
        return self.layer(*arguments, **keywords)


@dataclass(frozen=True)
class LayerCalls:
    """The calls of a network, as `layer_calls` returns them.

    Attributes:
        input: the network's symbolic input.
        calls: every call, each after the calls whose outputs it uses.
        output: the network's symbolic output.
    """

    input: keras.KerasTensor
    calls: tuple[LayerCall, ...]
    output: keras.KerasTensor

    @property
    def convolutions(self) -> list[LayerCall]:
        """The calls of convolutions, from the input on.

        Raises:
            ValueError: the network has none.
        """
        found = [call for call in self.calls if isinstance(call.layer, CONVOLUTIONS)]
        if not found:
            raise ValueError("the network has no convolution; this figure needs one.")
        return found

    def find(self, name: str) -> LayerCall:
        """Return the call of the layer `name`; the name of the nested network before it may be left out.

        Raises:
            ValueError: there is no such layer; the message lists the layers.
        """
        for names in ([call.name for call in self.calls], [call.layer.name for call in self.calls]):
            if name in names:
                return self.calls[names.index(name)]
        known = ", ".join(call.name for call in self.calls)
        raise ValueError(f"the network has no layer {name!r}; it has {known}.")

    def compute(self, images, wanted, apply: Callable = LayerCall.__call__):
        """Run the network on images and return the values of symbolic tensors; other layers are not called.

        Args:
            images: (n, h, w, c) array or tensor, pixel values 0…255.
            wanted: a symbolic tensor of the calls, or a list of them.
            apply: `apply(call, *arguments, **keywords)` replaces every call; it may change the call's output.

        Returns:
            The tensor, or the list of tensors.
        """
        values = {self.input: keras.ops.convert_to_tensor(images, "float32")}

        def with_values(structure):
            return keras.tree.map_structure(lambda item: values[item] if _is_symbolic(item) else item, structure)

        for call in self._needed_for(_symbolic_tensors(wanted)):
            outputs = apply(call, *with_values(call.arguments), **with_values(call.keywords))
            values.update(zip(call.outputs, keras.tree.flatten(outputs), strict=True))
        return with_values(wanted)

    def _needed_for(self, tensors: list) -> list[LayerCall]:
        """The calls that `tensors` depend on."""
        needed, chosen = set(tensors), []
        for call in reversed(self.calls):
            if needed & set(call.outputs):
                chosen.append(call)
                needed |= set(call.inputs)
        return chosen[::-1]


def layer_calls(network: keras.Model) -> LayerCalls:
    """List the calls of all layers of a network, and of the networks that are layers of it.

    Args:
        network: a functional or built sequential model with one input and one output.

    Raises:
        ValueError: the network is neither, or its input shape is unknown.
    """
    if not getattr(network, "inputs", None):
        raise ValueError(
            f"{network.name} has no input shape yet, or is neither functional nor sequential: "
            "build it with keras.Input((h, w, c)) first."
        )
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise ValueError(
            f"{network.name} has {len(network.inputs)} inputs and {len(network.outputs)} outputs, not one of each."
        )
    tracer = _Tracer()
    images = keras.KerasTensor(network.inputs[0].shape, "float32")
    (output,) = tracer.trace(network, [images])
    return LayerCalls(images, tuple(tracer.calls), output)


def features(network: keras.Model, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """Return the features of images: the inputs of the network's last layer with weights, float32 (n, d).

    Args:
        network: maps pixels to logits.
        images: (n, h, w, c), pixel values 0…255.
        batch_size: images in a batch.
    """
    found = layer_calls(network)
    classifier = next(call for call in reversed(found.calls) if getattr(call.layer, "weights", None))
    batches = (images[start : start + batch_size] for start in range(0, len(images), batch_size))
    inputs = [as_array(found.compute(batch, classifier.inputs[0])) for batch in batches]
    return np.concatenate(inputs).reshape(len(images), -1)


def as_array(tensor) -> np.ndarray:
    """Return a tensor of any backend and precision as a float32 array."""
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


@dataclass
class _Tracer:
    """Records the calls of a network's layers.

    Attributes:
        calls: the calls so far.
        outer: for an input or output tensor of a nested network, the tensor that stands for it in `calls`.
    """

    calls: list[LayerCall] = field(default_factory=list)
    outer: dict[keras.KerasTensor, keras.KerasTensor] = field(default_factory=dict)

    def trace(self, network: keras.Model, inputs: Sequence, path: str = "") -> list:
        """Record the calls of `network`'s layers on `inputs` and return the outputs."""

        def record(layer, *arguments, **keywords):
            output = layer(*arguments, **keywords)
            outputs = keras.tree.flatten(output)
            arguments, keywords = keras.tree.map_structure(self._resolve, (arguments, keywords))
            if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
                inner = self.trace(layer, _symbolic_tensors((arguments, keywords)), f"{path}{layer.name}/")
                self.outer.update(zip(outputs, inner, strict=True))
            else:
                self.calls.append(LayerCall(path + layer.name, layer, arguments, keywords, tuple(outputs)))
            return output

        # Keras lets one watch the calls only while it clones a network. A nested network counts as one layer there
        # and is cloned by itself: names are unique within a network, and both may have a layer of the same name. The
        # model around the graph is functional even where `network` is sequential, and it has no optimizer to copy.
        own_inputs = [keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype) for tensor in network.inputs]
        self.outer.update(zip(own_inputs, inputs, strict=True))
        clone = keras.models.clone_model(
            keras.Model(network.inputs, network.outputs),
            input_tensors=own_inputs,
            clone_function=lambda layer: layer,
            call_function=record,
        )
        return [self._resolve(tensor) for tensor in clone.outputs]

    def _resolve(self, item):
        return self.outer.get(item, item) if _is_symbolic(item) else item


def _is_symbolic(item) -> bool:
    return isinstance(item, keras.KerasTensor)


def _symbolic_tensors(structure) -> list:
    return [item for item in keras.tree.flatten(structure) if _is_symbolic(item)]
