"""Fine-tuning in two stages: what is new learns while all else is frozen; then the last blocks learn too, but slower.

Reference: Keras's guide, https://keras.io/guides/transfer_learning/; Howard and Ruder 2018,
https://arxiv.org/abs/1801.06146 (why the blocks nearest to the head, and a learning rate of their own).
"""

import re
from dataclasses import dataclass

import keras

from kit.errors import UserError
from kit.recipes.recipe import Recipe
from kit.zoo.backbones import block_of

_MEMBER = re.compile(r"(?:member\d+_)*")


@dataclass(frozen=True)
class Stage:
    """A part of a training with its own optimizer and its own learning-rate schedule.

    Attributes:
        epochs: how many it has at most; `patience` may end it earlier.
        unfreeze: how many of the last frozen blocks are unfrozen as it begins.
    """

    epochs: int
    unfreeze: int = 0


def stages(recipe: Recipe) -> list[Stage]:
    """Return the stages of a training: one, or two where the recipe unfreezes."""
    if not recipe.unfreeze:
        return [Stage(recipe.epochs)]
    second = recipe.unfreeze_epochs or recipe.epochs // 2
    return [Stage(recipe.epochs - second), Stage(second, recipe.unfreeze)]


def freeze(network: keras.Model, names: list[str]) -> None:
    """Freeze the layers called `names` in place, but for the last layer, `logits`, and what its builder froze in part.

    Frozen batch norms compute with the statistics that they have.
    """
    for name in names:
        layer = network.get_layer(name)
        if name != "logits" and layer.weights[0].trainable:
            layer.trainable = False


def check(network: keras.Model, recipe: Recipe) -> None:
    """Refuse to unfreeze what is not there.

    Raises:
        UserError: nothing in `network` is frozen, or fewer blocks than the recipe unfreezes.
    """
    blocks = max(_frozen_blocks(network), key=len, default=[])
    if not blocks:
        raise UserError(f"unfreeze: nothing in {network.name} is frozen; start from trained weights with --weights.")
    if recipe.unfreeze > len(blocks):
        names = ", ".join(name for name, _ in blocks)
        raise UserError(
            f"unfreeze: {network.name} has only {len(blocks)} frozen blocks, {names}; not {recipe.unfreeze}."
        )


def unfreeze(network: keras.Model, count: int) -> list[keras.Layer]:
    """Unfreeze the last `count` frozen blocks of convolutions, and what is frozen after them; changed in place.

    A block is the convolutions whose names tell of the same one, as block5_conv1 and block5_conv2. In a
    `combined` network each member's last blocks are unfrozen. Batch norms stay frozen: on a few small steps their
    statistics would drift away from what the weights were trained with.

    Returns:
        The unfrozen layers, in the network's order.
    """
    unfrozen = []
    for blocks in _frozen_blocks(network) if count else []:
        whole = [layer for _, members in blocks for layer in members]
        kept = [layer for _, members in blocks[:-count] for layer in members]
        unfrozen += whole[len(kept) :]
    for layer in unfrozen:
        layer.trainable = True
    return unfrozen


def _frozen_blocks(network) -> list[list[tuple[str, list]]]:
    """For each member of a network (most have only one, themselves) its frozen blocks: (name, layers).

    Layers with weights that are no convolutions belong to the block before them.
    """
    members: dict[str, dict[str, list]] = {}
    for layer in network.layers:
        if layer.trainable or not layer.weights or isinstance(layer, keras.layers.BatchNormalization):
            continue
        member = _member(layer.name)
        blocks = members.setdefault(member, {})
        own = layer.name[len(member) :]
        if "conv" in type(layer).__name__.lower():
            blocks.setdefault(block_of(own), []).append(layer)
        elif blocks:
            blocks[list(blocks)[-1]].append(layer)
    return [list(blocks.items()) for blocks in members.values()]


def _member(name: str) -> str:
    """What the name of a layer of a `combined` network begins with, "member1_" say; an empty text in others."""
    found = _MEMBER.match(name)
    return found.group() if found else ""
