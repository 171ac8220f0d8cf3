"""A network's structure, as a table of text and as a graph of boxes."""

import collections
import math
import re
from dataclasses import dataclass

import keras
from matplotlib import patches

from kit.figures import layout, style
from kit.figures.layer_calls import LayerCall, layer_calls

ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU", "selu": "SELU", "elu": "ELU", "leaky_relu": "leaky ReLU"}
CONVOLUTION, POOLING, DENSE, MERGING, OTHER = "convolution", "pooling", "dense", "merging", "other"
FILLS = {CONVOLUTION: "#CBE2F4", POOLING: "#FBE0BF", DENSE: "#C9EADB", MERGING: "#F0D5E6", OTHER: "#EDEDED"}
MERGES = {"Add", "Concatenate", "Multiply", "Average", "Maximum"}
LINE_COLOUR = "#444444"
CHARACTER, NARROWEST = 0.092, 2.3  # inches: the width of a character in a box, and of the narrowest box
TITLE_HEIGHT = 0.6  # inches


@dataclass(frozen=True)
class Box:
    """A few layers drawn as one: at most one main layer, with the norms and activations around it.

    Attributes:
        lines: the text in it, the most important line first.
        kind: what it does; decides its colour.
        inputs: the numbers of the boxes whose outputs it uses.
    """

    lines: tuple[str, ...]
    kind: str
    inputs: tuple[int, ...]


def structure_text(network: keras.Model) -> str:
    """Return the network's layers as a table: name, operation, output shape, parameters, inputs.

    The inputs are left out where a layer uses the output of the line above. Layers of nested networks are listed in
    their place.

    Args:
        network: a functional or built sequential model.
    """
    found = layer_calls(network)
    source = {found.input: "images"} | {tensor: call.name for call in found.calls for tensor in call.outputs}
    rows = [("layer", "operation", "output", "parameters", "inputs"), ("images", "", _shape(found.input), "", "")]
    previous = found.input
    for call in found.calls:
        inputs = "" if call.inputs == (previous,) else ", ".join(source[tensor] for tensor in call.inputs)
        rows.append((call.name, operation(call.layer), _shape(call.output), f"{_parameters(call):,}", inputs))
        previous = call.output
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  {row[4]}".rstrip()
        for row in rows
    ]
    return "\n".join([f"{network.name}: {_totals(network)}", "", lines[0], "-" * len(lines[0]), *lines[1:]])


def structure(network: keras.Model) -> style.Figure:
    """Draw the network's layers as a graph, from the images at the top left to the logits, in columns.

    Norms, activations and dropout stand in the box of the layer that they follow. A skip connection is a line beside
    the boxes that it skips.

    Args:
        network: a functional or built sequential model.
    """
    boxes = _boxes(network)
    width = max(NARROWEST, CHARACTER * max(len(line) for box in boxes for line in box.lines))
    page = layout.arrange([box.inputs for box in boxes], width)
    height = page.height + TITLE_HEIGHT
    figure = style.Figure(figsize=(page.width, height), facecolor="white")
    title = f"{network.name}: {_totals(network)}"
    figure.text(0.5, 1 - TITLE_HEIGHT / 2 / height, title, ha="center", va="center", fontsize=style.LARGE)
    axes = figure.add_axes((0, 0, 1, page.height / height), xlim=(0, page.width), ylim=(page.height, 0))
    axes.set_axis_off()
    for points in page.lines:
        x, y = zip(*points, strict=True)
        axes.plot(x, y, color=LINE_COLOUR, linewidth=1.6, solid_joinstyle="round", zorder=1)
    for tip, tail in page.arrows:
        arrow = {"arrowstyle": "-|>", "color": LINE_COLOUR, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", xy=tip, xytext=tail, arrowprops=arrow, zorder=2)
    for box, (centre_x, centre_y) in zip(boxes, page.centres, strict=True):
        _draw_box(axes, box, centre_x, centre_y, width)
    return figure


def operation(layer) -> str:
    """Return what a layer does in a few words, such as "conv 3×3, 32 · ReLU"."""
    if isinstance(layer, keras.layers.Activation):
        return _activation(layer.activation)
    text = _convolution(layer) if hasattr(layer, "kernel_size") else _other_layer(layer)
    if getattr(layer, "activation", None) not in (None, keras.activations.linear):
        text += f" · {_activation(layer.activation)}"
    return text


def _convolution(layer) -> str:
    kinds = {"DepthwiseConv2D": "depthwise conv", "SeparableConv2D": "separable conv"}
    filters = f", {layer.filters}" if getattr(layer, "filters", None) else ""
    stride = f", stride {layer.strides[0]}" if max(layer.strides) > 1 else ""
    return f"{kinds.get(type(layer).__name__, 'conv')} {_times(layer.kernel_size)}{filters}{stride}"


def _other_layer(layer) -> str:
    match type(layer).__name__:
        case "Dense":
            return f"dense {layer.units}"
        case "Dropout":
            return f"dropout {layer.rate:g}"
        case "MaxPooling2D":
            return f"max pool {_times(layer.pool_size)}"
        case "AveragePooling2D":
            return f"average pool {_times(layer.pool_size)}"
        case "GlobalAveragePooling2D":
            return "global average pool"
        case "GlobalMaxPooling2D":
            return "global max pool"
        case "BatchNormalization":
            return "batch norm"
        case "LayerNormalization":
            return "layer norm"
        case "Rescaling":
            return "rescale"
        case "Normalization":
            return "normalize"
        case "ZeroPadding2D":
            return "zero padding"
        case "ReLU":
            return "ReLU"
        case name:
            return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _draw_box(axes, box: Box, x: float, y: float, width: float) -> None:
    corner = (x - width / 2, y - layout.BOX_HEIGHT / 2)
    outline = "round,pad=0,rounding_size=0.08"
    shape = patches.FancyBboxPatch(corner, width, layout.BOX_HEIGHT, boxstyle=outline)
    shape.set(facecolor=FILLS[box.kind], edgecolor="#333333", linewidth=1.2, zorder=3)
    axes.add_patch(shape)
    for number, line in enumerate(box.lines):
        height = y + 0.02 + 0.24 * (number - (len(box.lines) - 1) / 2)
        weight, size = ("bold", 12.0) if number == 0 else ("normal", 10.5)
        axes.text(x, height, line, weight=weight, fontsize=size, ha="center", va="center", zorder=4)


def _boxes(network: keras.Model) -> list[Box]:
    """Group the layers into boxes, the images first."""
    found = layer_calls(network)
    groups, box_of = _groups(found)
    boxes = [Box(("images", _shape(found.input)), OTHER, ())]
    for group in groups:
        main = next((call for call in group if _kind(call) != OTHER), group[0])
        place = group.index(main)
        first_line, *activation = operation(main.layer).split(" · ")
        second_line = " · ".join(
            [
                *(operation(call.layer) for call in group[:place]),
                *activation,
                *(operation(call.layer) for call in group[place + 1 :]),
            ]
        )
        last_line = _shape(group[-1].output)
        if count := sum(_parameters(call) for call in group):
            last_line += f"   {_abbreviated(count)} parameters"
        inside = {tensor for call in group for tensor in call.outputs}
        outside = [tensor for call in group for tensor in call.inputs if tensor not in inside]
        inputs = tuple(dict.fromkeys(box_of[tensor] for tensor in outside))
        lines = tuple(line for line in (first_line, second_line, last_line) if line)
        boxes.append(Box(lines, _kind(main), inputs))
    return boxes


def _groups(found) -> tuple[list[list[LayerCall]], dict]:
    """Return the calls of each box, and for every tensor the number of its box; the images are box 0.

    A call joins the box of its input where nothing else uses that input, and where it or that box has no main layer.
    """
    uses = collections.Counter(tensor for call in found.calls for tensor in call.inputs)
    groups: list[list[LayerCall]] = []
    box_of = {found.input: 0}
    for call in found.calls:
        box = box_of[call.inputs[0]] if call.inputs else 0
        only_use = len(call.inputs) == 1 and uses[call.inputs[0]] == 1 and box > 0
        if only_use and (_kind(call) == OTHER or all(_kind(other) == OTHER for other in groups[box - 1])):
            groups[box - 1].append(call)
        else:
            groups.append([call])
            box = len(groups)
        box_of.update(dict.fromkeys(call.outputs, box))
    return groups, box_of


def _kind(call: LayerCall) -> str:
    name = type(call.layer).__name__
    if hasattr(call.layer, "kernel_size"):
        return CONVOLUTION
    if "Pooling" in name:
        return POOLING
    if name == "Dense":
        return DENSE
    return MERGING if len(call.inputs) > 1 or name in MERGES else OTHER


def _activation(function) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return ACTIVATIONS.get(name, name)


def _shape(tensor) -> str:
    return " × ".join(str(length) for length in tensor.shape[1:])


def _parameters(call: LayerCall) -> int:
    return call.layer.count_params() if isinstance(call.layer, keras.layers.Layer) else 0


def _abbreviated(count: int) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return str(count)


def _totals(network: keras.Model) -> str:
    total = network.count_params()
    trainable = sum(math.prod(weight.shape) for weight in network.trainable_weights)
    return f"{total:,} parameters" + ("" if trainable == total else f", {trainable:,} of them trainable")


def _times(sizes) -> str:
    return "×".join(str(size) for size in sizes)
