"""A network's structure, as text and as a graph of boxes."""

import collections
import math
import re
from dataclasses import dataclass

import keras
from matplotlib import patches

from kit.figures import layout, style
from kit.figures.layer_calls import Step, layer_calls_of

ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU", "selu": "SELU", "elu": "ELU", "leaky_relu": "leaky ReLU"}
CONVOLUTION, POOLING, DENSE, JOINING, OTHER = "convolution", "pooling", "dense", "joining", "other"
FILLS = {CONVOLUTION: "#CBE2F4", POOLING: "#FBE0BF", DENSE: "#C9EADB", JOINING: "#F0D5E6", OTHER: "#EDEDED"}
JOINS = {"Add": "add", "Concatenate": "concatenate", "Multiply": "multiply", "Average": "average", "Maximum": "maximum"}


@dataclass(frozen=True)
class Box:
    """A few layers drawn as one: at most one that computes, with the norms and activations around it.

    Attributes:
        lines: what is written in it, the most important first.
        kind: what it does, for its colour.
        inputs: the boxes before it, by number.
    """

    lines: tuple[str, ...]
    kind: str
    inputs: tuple[int, ...]


def structure_text(network: keras.Model) -> str:
    """Return the network's layers as a table: name, what it does, its output, its weights, what it reads.

    `reads` is empty where a layer takes what the line above gives. Layers of nested networks are listed in their place.

    Args:
        network: a functional or built sequential model.
    """
    layer_calls = layer_calls_of(network)
    givers = {layer_calls.images: "images"} | {
        tensor: step.name for step in layer_calls.steps for tensor in step.outputs
    }
    rows = [("layer", "what it does", "output", "weights", "reads"), ("images", "", _size(layer_calls.images), "", "")]
    before = layer_calls.images
    for step in layer_calls.steps:
        reads = "" if step.inputs == (before,) else ", ".join(givers[one] for one in step.inputs)
        rows.append((step.name, words(step.layer), _size(step.output), f"{_weights(step):,}", reads))
        before = step.output
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  {row[4]}".rstrip()
        for row in rows
    ]
    return "\n".join([f"{network.name}: {_counts(network)}", "", lines[0], "-" * len(lines[0]), *lines[1:]])


def structure(network: keras.Model) -> style.Figure:
    """Draw the network's layers as a graph, from the images at the top left to the logits, in columns.

    Norms, activations and dropouts stand in the box of the layer that they belong to; a skip connection is a line
    beside the boxes that it skips.

    Args:
        network: a functional or built sequential model.
    """
    boxes = _boxes(network)
    width = max(2.3, 0.092 * max(len(line) for box in boxes for line in box.lines))
    plan = layout.arrange([box.inputs for box in boxes], width)
    figure = style.Figure(figsize=(plan.width, plan.height + 0.6), facecolor="white")
    share = plan.height / (plan.height + 0.6)
    figure.text(0.5, (1 + share) / 2, f"{network.name}: {_counts(network)}", **_centred(style.LARGE))
    axes = figure.add_axes((0, 0, 1, share), xlim=(0, plan.width), ylim=(plan.height, 0))
    axes.set_axis_off()
    for line in plan.lines:
        axes.plot(*zip(*line, strict=True), color="#444444", linewidth=1.6, solid_joinstyle="round", zorder=1)
    for tip, tail in plan.arrows:
        arrow = {"arrowstyle": "-|>", "color": "#444444", "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", xy=tip, xytext=tail, arrowprops=arrow, zorder=2)
    for box, (x, y) in zip(boxes, plan.places, strict=True):
        corner = (x - width / 2, y - layout.BOX / 2)
        shape = patches.FancyBboxPatch(corner, width, layout.BOX, boxstyle="round,pad=0,rounding_size=0.08")
        shape.set(facecolor=FILLS[box.kind], edgecolor="#333333", linewidth=1.2, zorder=3)
        axes.add_patch(shape)
        for number, line in enumerate(box.lines):
            height = y + 0.02 + 0.24 * (number - (len(box.lines) - 1) / 2)
            weight = "bold" if number == 0 else "normal"
            axes.text(x, height, line, weight=weight, zorder=4, **_centred(12 if number == 0 else 10.5))
    return figure


def words(layer) -> str:
    """Return what a layer does in a few words, such as "conv 3×3, 32 · ReLU"."""
    name = type(layer).__name__
    known = {
        "Dense": lambda: f"dense {layer.units}",
        "Dropout": lambda: f"dropout {layer.rate:g}",
        "BatchNormalization": lambda: "batch norm",
        "LayerNormalization": lambda: "layer norm",
        "Activation": lambda: _activation(layer.activation),
        "ReLU": lambda: "ReLU",
        "Rescaling": lambda: "scale",
        "Normalization": lambda: "normalize",
        "ZeroPadding2D": lambda: "pad",
        "GlobalAveragePooling2D": lambda: "global average pool",
        "GlobalMaxPooling2D": lambda: "global max pool",
        "MaxPooling2D": lambda: f"max pool {_times(layer.pool_size)}",
        "AveragePooling2D": lambda: f"average pool {_times(layer.pool_size)}",
        **{join: lambda join=join: JOINS[join] for join in JOINS},
    }
    if hasattr(layer, "kernel_size"):
        kind = {"DepthwiseConv2D": "depthwise conv", "SeparableConv2D": "separable conv"}.get(name, "conv")
        filters = f", {layer.filters}" if getattr(layer, "filters", None) else ""
        stride = f", stride {layer.strides[0]}" if max(layer.strides) > 1 else ""
        said = f"{kind} {_times(layer.kernel_size)}{filters}{stride}"
    else:
        said = known.get(name, lambda: re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())()
    if name != "Activation" and getattr(layer, "activation", None) not in (None, keras.activations.linear):
        said += f" · {_activation(layer.activation)}"
    return said


def _boxes(network: keras.Model) -> list[Box]:
    """Gather the layers into boxes, the images first."""
    layer_calls = layer_calls_of(network)
    readers = collections.Counter(tensor for step in layer_calls.steps for tensor in step.inputs)
    groups: list[list[Step]] = []
    home = {layer_calls.images: 0}
    for step in layer_calls.steps:
        giver = home[step.inputs[0]] if step.inputs else 0
        alone = len(step.inputs) == 1 and readers[step.inputs[0]] == 1 and giver > 0
        if alone and (_kind(step) == OTHER or all(_kind(other) == OTHER for other in groups[giver - 1])):
            groups[giver - 1].append(step)
        else:
            groups.append([step])
            giver = len(groups)
        home.update(dict.fromkeys(step.outputs, giver))
    boxes = [Box(("images", _size(layer_calls.images)), OTHER, ())]
    for group in groups:
        computing = next((step for step in group if _kind(step) != OTHER), group[0])
        main, *own = words(computing.layer).split(" · ")
        place = group.index(computing)
        extras = [*(words(step.layer) for step in group[:place]), *own, *(words(s.layer) for s in group[place + 1 :])]
        size = _size(group[-1].output)
        if count := sum(_weights(step) for step in group):
            size += f"   {_short(count)} weights"
        lines = (main, *([" · ".join(extras)] if extras else []), size)
        inside = {tensor for step in group for tensor in step.outputs}
        outside = [tensor for step in group for tensor in step.inputs if tensor not in inside]
        boxes.append(Box(lines, _kind(computing), tuple(dict.fromkeys(home[tensor] for tensor in outside))))
    return boxes


def _kind(step: Step) -> str:
    name = type(step.layer).__name__
    if hasattr(step.layer, "kernel_size"):
        return CONVOLUTION
    if "Pooling" in name:
        return POOLING
    if name == "Dense":
        return DENSE
    return JOINING if len(step.inputs) > 1 or name in JOINS else OTHER


def _activation(function) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return ACTIVATIONS.get(name, name)


def _size(tensor) -> str:
    return " × ".join(str(length) for length in tensor.shape[1:])


def _weights(step: Step) -> int:
    return step.layer.count_params() if isinstance(step.layer, keras.layers.Layer) else 0


def _short(count: int) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return str(count)


def _counts(network: keras.Model) -> str:
    total = network.count_params()
    trained = sum(math.prod(weight.shape) for weight in network.trainable_weights)
    return f"{total:,} weights" + ("" if trained == total else f", {trained:,} of them trained")


def _times(sizes) -> str:
    return "×".join(str(size) for size in sizes)


def _centred(size: float) -> dict:
    return {"ha": "center", "va": "center", "fontsize": size}
