"""Any backbone of `keras.applications` with ImageNet weights, and a new head on its last or on an earlier block.

References: Keras's guide to transfer learning, https://keras.io/guides/transfer_learning/; Yosinski et al. 2014,
https://arxiv.org/abs/1411.1792 (earlier blocks are the more general ones).
"""

import math
import pathlib
import warnings
from typing import Annotated, Any

import keras
import pydantic
from keras import layers, ops

from kit.errors import UserError
from kit.suggestions import nearest
from kit.zoo import backbones, register
from kit.zoo.blocks import classifier, norm
from kit.zoo.option_types import Rate
from kit.zoo.vgg16 import IMAGENET_MEAN, he_normal

HEADS = ("pooled", "flatten", "linear")
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
Side = Annotated[int, pydantic.Field(ge=32, le=1024, description="side that images are enlarged to, pixels")]


@register(published="see its list of backbones: python -m kit.zoo transfer")
def transfer(
    input_shape,
    classes,
    backbone: str = "EfficientNetV2B0",
    image_size: Side | None = None,
    head: str = "pooled",
    layer: str | None = None,
    weights: str | None = "imagenet",
    dropout: Rate | None = None,
):
    """A backbone of keras.applications, frozen at its ImageNet weights, with a new head.

    The backbone's batch norms compute with the statistics that they have, and its own dropout is left out. A batch
    norm of the head's own comes first.

    Args:
        input_shape, classes: as for every builder; one channel is tripled.
        backbone: its name in keras.applications; listed below.
        image_size: side that images are enlarged to inside the network; by default their own, or the smallest that the
            backbone takes.
        head: pooled: global average pooling, dense layers of 1024, 512 and 256; flatten: a dense layer of 512 on all
            features; linear: global average pooling alone.
        layer: the layer or block of the backbone that the head stands on, such as block4; the last one by default.
        weights: "imagenet" (downloaded by Keras once), a weights file with or without top, or None: random and
            trainable.
        dropout: rate in the head; 0.5 by default.

    Raises:
        UserError: there is no such backbone, layer or head, or its weights are neither on the internet nor in the file.
    """
    row = backbones.find(backbone)
    if head not in HEADS:
        raise UserError(f"transfer, option head: {head!r} is not one of {', '.join(HEADS)}.{nearest(head, HEADS)}")
    size = image_size or max(*input_shape[:2], row.smallest)
    if size < row.smallest:
        raise UserError(
            f"transfer, option image_size: {row.name} takes images of {row.smallest}×{row.smallest} and more, not "
            f"of {size}."
        )
    images = keras.Input(input_shape, name="images")
    features = _features(images, row, size, layer, weights)
    return keras.Model(images, _head(features, classes, head, 0.5 if dropout is None else dropout), name="transfer")


def _prepared(images, preprocessing, size):
    """The images in three channels, enlarged, with the preprocessing that the backbone was trained with."""
    height, width, channels = images.shape[1:]
    if channels not in (1, 3):
        raise UserError(f"transfer takes images of one or three channels, not {channels}.")
    x = layers.Concatenate(name="grey_to_rgb")([images] * 3) if channels == 1 else images
    if (height, width) != (size, size):
        x = layers.Resizing(size, size, name="enlarge")(x)
    if preprocessing == backbones.TF:
        return layers.Rescaling(1 / 127.5, offset=-1.0, name="imagenet_scale")(x)
    if preprocessing == backbones.TORCH:
        x = layers.Rescaling(1 / 255, name="imagenet_scale")(x)
        mean, variance = (0.485, 0.456, 0.406), tuple(deviation**2 for deviation in IMAGENET_DEVIATION)
        return layers.Normalization(mean=mean, variance=variance, name="imagenet_mean")(x)
    if preprocessing == backbones.CAFFE:
        x = layers.Normalization(mean=IMAGENET_MEAN, variance=(1.0, 1.0, 1.0), name="imagenet_mean")(x)
        return ops.flip(x, axis=-1)  # trained on blue, green, red
    return x


def _features(images, row, size, layer, weights):
    """The output of `layer`, or of the backbone, for `images`: a copy of the backbone on their prepared pixels."""
    base = _base(row, size, weights)
    prepared = _prepared(images, row.preprocessing, size)
    own = [inner for inner in base.layers if not isinstance(inner, layers.InputLayer)]
    blocks = row.blocks([inner.name for inner in own])
    keras_names = [inner.name for inner in own]
    names = dict(zip(keras_names, backbones.own_names(keras_names, blocks), strict=True))
    outputs: dict[str, Any] = {}
    copies: dict[str, Any] = {}

    def renamed(inner):
        config = inner.get_config()  # of an operation that is no layer too
        return type(inner).from_config({**config, "name": names.get(inner.name, inner.name)})

    def called(inner, inputs, *others, **options):
        inputs = prepared if inputs is images else inputs
        if isinstance(inner, layers.Dropout):
            output = inputs
        else:
            copies[inner.name] = inner
            output = inner(inputs, *others, **options)
        if isinstance(inner, layers.Normalization) and _lacks_deviation(row, weights):
            scales = [1 / math.sqrt(deviation) for deviation in IMAGENET_DEVIATION]
            output = layers.Rescaling(scales, name="imagenet_deviation")(output)
        outputs[inner.name] = output
        return output

    keras.models.clone_model(base, images, clone_function=renamed, call_function=called)
    for inner in own:
        copy = copies.get(names[inner.name])
        if copy is not None:
            copy.set_weights(inner.get_weights())
            copy.trainable = weights is None
    if layer is None:
        return outputs[names[base.layers[-1].name]]
    last_of = {block: names[inner.name] for inner, block in zip(own, blocks, strict=True)}
    known = {**last_of, **{name: name for name in outputs}}
    if layer not in known or len(outputs[known[layer]].shape) != 4:
        raise UserError(
            f"transfer, option layer: {row.name} has no layer or block {layer!r} that a head can stand on; its blocks "
            f"are {', '.join(last_of)}.{nearest(layer, list(known))}"
        )
    return outputs[known[layer]]


def _head(x, classes, head, rate):
    # Normalised first: a backbone's features are of any size, VGG16's third block's in the hundreds, where a dense
    # layer's units die in the first steps.
    if head == "flatten":
        x = norm(layers.Flatten(name="flatten")(x), "head_norm")
        x = layers.Dense(512, activation="relu", name="head_dense")(x)
        x = layers.Dropout(rate, name="head_dropout")(x)
        return classifier(x, classes)
    x = norm(layers.GlobalAveragePooling2D(name="pool")(x), "head_norm")
    if head == "pooled":
        for number, width in enumerate((1024, 512, 256), 1):
            x = layers.Dense(width, activation="relu", name=f"head_dense{number}")(x)
            x = layers.Dropout(rate, name=f"head_dropout{number}")(x)
    return classifier(x, classes)


def _lacks_deviation(row, weights) -> bool:
    """Whether Keras left out a division that EfficientNetB0 to B7 were trained with: only downloads get it."""
    return row.name.startswith("EfficientNetB") and weights != "imagenet"


def _base(row, size, weights):
    """The backbone without its top, from `keras.applications`, with its weights."""
    build = getattr(keras.applications, row.name)
    shape = (size, size, 3)
    if weights is None:
        return he_normal(build(include_top=False, weights=None, input_shape=shape), row.name.startswith("VGG"))
    if weights == "imagenet":
        try:
            return build(include_top=False, weights="imagenet", input_shape=shape)
        except Exception as error:  # Keras raises a bare Exception when a download fails
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{row.name}'s ImageNet weights could not be downloaded ({reason}). Fetch the file where there is "
                "internet and give it with --weights FILE, or start from scratch with --weights none."
            ) from None
    if not pathlib.Path(weights).is_file():
        raise UserError(f"--weights {weights}: there is no such file.")
    base = build(include_top=False, weights=None, input_shape=shape)
    try:
        _load(base, weights)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        if not _take_from_whole(base, build, weights):
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"--weights {weights} does not hold {row.name}'s weights ({reason}).") from None
    return base


def _take_from_whole(base, build, weights) -> bool:
    """Load a file of the whole network, with its 1,000 classes, and take what `base` has of it; whether that fits."""
    whole = build(include_top=True, weights=None)
    try:
        _load(whole, weights)
    except (ValueError, OSError, KeyError, UserWarning):
        return False
    into, of = ([inner for inner in network.layers if inner.weights] for network in (base, whole))
    for target, source in zip(into, of, strict=False):
        if [weight.shape for weight in target.weights] != [weight.shape for weight in source.weights]:
            return False
        target.set_weights(source.get_weights())
    return True


def _load(network, weights) -> None:
    """Load a weights file; where Keras would warn that layers keep their random weights, the warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        network.load_weights(weights)
