"""The backbones of `keras.applications`: what each costs, what it reached on ImageNet, and how it wants its pixels.

Sizes, parameters and top-1 accuracies are those that https://keras.io/api/applications lists, for the whole network
with its 1,000 classes; a cell that it leaves out is empty here too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kit.errors import UserError
from kit.suggestions import nearest

INSIDE = "inside"  # the network begins with its own preprocessing
CAFFE, TF, TORCH = "caffe", "tf", "torch"  # as `keras.applications.imagenet_utils` names them

_BLOCKS = (
    r"\w*(stage_\d+_block_\d+)_",  # ConvNeXt
    r"(conv\d+_block\d+)_",  # ResNet, DenseNet
    r"(block\d+_\d+)_",  # InceptionResNetV2
    r"(block\d+[a-z]?)_",  # VGG, Xception, EfficientNet
    r"(block_\d+)_",  # MobileNetV2
    r"(expanded_conv(?:_\d+)?)_[a-z]",  # MobileNetV2 and V3
    r"(mixed\d+|mixed_\d[a-z])(?:_[a-z]|$)",  # Inception
    r"conv_(?:dw|pw|pad)_(\d+)",  # MobileNet
    r"\w*(?:normal|reduction|adjust)\w*?_((?:stem_|reduce_)?\d+)$",  # NASNet
    r"(conv_7b|[Cc]onv_1)(?:_|$)",  # the last convolutions of InceptionResNetV2, MobileNetV2 and V3
)
_UNNAMED = re.compile(
    r"(conv2d|separable_conv2d|batch_normalization|layer_normalization|activation|re_lu|add|concatenate|"
    r"zero_padding2d|max_pooling2d|average_pooling2d|cropping2d|rescaling|normalization|custom_scale_layer)(_\d+)?"
)


@dataclass(frozen=True)
class Backbone:
    """One network of `keras.applications`.

    Attributes:
        name: its name there.
        megabytes: its weights file, in MB.
        top_1: accuracy on ImageNet's validation images, in per cent.
        parameters: in millions.
        preprocessing: what its pixels go through: one of "inside", "caffe", "tf" and "torch".
        smallest: the smallest side of an image that it takes.
        ends: whether only the last layer of a block has a telling name; else the first has.
    """

    name: str
    megabytes: float | None
    top_1: float | None
    parameters: float | None
    preprocessing: str
    smallest: int = 32
    ends: bool = False

    def blocks(self, layers: list[str]) -> list[str]:
        """Return the block of each of its layers, whose names are given in its order.

        A layer whose name tells nothing, such as the one that adds a residual, belongs to the block around it.
        """
        found = [_telling(layer) for layer in layers]
        numbers = range(len(layers))
        current = "" if self.ends else "stem"
        for number in reversed(numbers) if self.ends else numbers:
            current = found[number] = found[number] or current
        return found


def block_of(layer: str) -> str:
    """Return the name of a layer's block: what the names of all its layers begin with.

    Args:
        layer: the layer's name, of a backbone as `transfer` builds it, or of any other network, where the block is
            the name up to the last `_`.
    """
    return _telling(layer) or layer.rpartition("_")[0] or layer


def own_names(layers: list[str], blocks: list[str]) -> list[str]:
    """Return names that do not depend on what was built before.

    Keras numbers the layers that a backbone does not name, through all networks of a process. Here they are called
    after their block.
    """
    counts: dict[str, int] = {}
    names = []
    for layer, block in zip(layers, blocks, strict=True):
        unnamed = _UNNAMED.fullmatch(layer)
        if unnamed:
            stem = f"{block}_{unnamed.group(1)}" if block else unnamed.group(1)
            counts[stem] = counts.get(stem, 0) + 1
            layer = f"{stem}_{counts[stem]}"
        names.append(layer)
    return names


def _telling(layer: str) -> str:
    """The block that a layer's name tells of, or an empty text."""
    for pattern in () if _UNNAMED.fullmatch(layer) else _BLOCKS:
        found = re.match(pattern, layer)
        if found:
            return found.group(1)
    return ""


TABLE = (
    Backbone("VGG16", 528, 71.3, 138.4, CAFFE),
    Backbone("VGG19", 549, 71.3, 143.7, CAFFE),
    Backbone("ResNet50", 98, 74.9, 25.6, CAFFE),
    Backbone("ResNet101", 171, 76.4, 44.7, CAFFE),
    Backbone("ResNet152", 232, 76.6, 60.4, CAFFE),
    Backbone("ResNet50V2", 98, 76.0, 25.6, TF),
    Backbone("ResNet101V2", 171, 77.2, 44.7, TF),
    Backbone("ResNet152V2", 232, 78.0, 60.4, TF),
    Backbone("Xception", 88, 79.0, 22.9, TF, 71),
    Backbone("InceptionV3", 92, 77.9, 23.9, TF, 75, ends=True),
    Backbone("InceptionResNetV2", 215, 80.3, 55.9, TF, 75, ends=True),
    Backbone("MobileNet", 16, 70.4, 4.3, TF),
    Backbone("MobileNetV2", 14, 71.3, 3.5, TF),
    Backbone("MobileNetV3Small", None, None, None, INSIDE),
    Backbone("MobileNetV3Large", None, None, None, INSIDE),
    Backbone("DenseNet121", 33, 75.0, 8.1, TORCH),
    Backbone("DenseNet169", 57, 76.2, 14.3, TORCH),
    Backbone("DenseNet201", 80, 77.3, 20.2, TORCH),
    Backbone("NASNetMobile", 23, 74.4, 5.3, TF),
    Backbone("NASNetLarge", 343, 82.5, 88.9, TF),
    Backbone("EfficientNetB0", 29, 77.1, 5.3, INSIDE),
    Backbone("EfficientNetB1", 31, 79.1, 7.9, INSIDE),
    Backbone("EfficientNetB2", 36, 80.1, 9.2, INSIDE),
    Backbone("EfficientNetB3", 48, 81.6, 12.3, INSIDE),
    Backbone("EfficientNetB4", 75, 82.9, 19.5, INSIDE),
    Backbone("EfficientNetB5", 118, 83.6, 30.6, INSIDE),
    Backbone("EfficientNetB6", 166, 84.0, 43.3, INSIDE),
    Backbone("EfficientNetB7", 256, 84.3, 66.7, INSIDE),
    Backbone("EfficientNetV2B0", 29, 78.7, 7.2, INSIDE),
    Backbone("EfficientNetV2B1", 34, 79.8, 8.2, INSIDE),
    Backbone("EfficientNetV2B2", 42, 80.5, 10.2, INSIDE),
    Backbone("EfficientNetV2B3", 59, 82.0, 14.5, INSIDE),
    Backbone("EfficientNetV2S", 88, 83.9, 21.6, INSIDE),
    Backbone("EfficientNetV2M", 220, 85.3, 54.4, INSIDE),
    Backbone("EfficientNetV2L", 479, 85.7, 119.0, INSIDE),
    Backbone("ConvNeXtTiny", 109, 81.3, 28.6, INSIDE),
    Backbone("ConvNeXtSmall", 192, 82.3, 50.2, INSIDE),
    Backbone("ConvNeXtBase", 339, 85.3, 88.5, INSIDE),
    Backbone("ConvNeXtLarge", 755, 86.3, 197.7, INSIDE),
    Backbone("ConvNeXtXLarge", 1310, 86.7, 350.1, INSIDE),
)

BACKBONES = {backbone.name: backbone for backbone in TABLE}


def find(name: str) -> Backbone:
    """Return a backbone by its name, however it is capitalised.

    Raises:
        UserError: there is none of that name; names the nearest.
    """
    for backbone in TABLE:
        if backbone.name.lower() == name.lower():
            return backbone
    raise UserError(f"transfer, option backbone: there is no {name!r}.{nearest(name, list(BACKBONES))} See `kit.zoo`.")


def lines() -> Iterator[str]:
    """Yield the lines of the table, for `python -m kit.zoo transfer`."""
    yield f"{'backbone':<18}  {'MB':>6}  {'parameters':>11}  {'ImageNet':>8}  smallest image"
    for row in TABLE:
        megabytes = "" if row.megabytes is None else f"{row.megabytes:,.0f}"
        parameters = "" if row.parameters is None else f"{row.parameters:.1f} M"
        top_1 = "" if row.top_1 is None else f"{row.top_1:.1f}%"
        yield f"{row.name:<18}  {megabytes:>6}  {parameters:>11}  {top_1:>8}  {row.smallest}×{row.smallest}"
