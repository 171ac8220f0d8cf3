"""Everything that can be set about a training, in one frozen dataclass.

A field's name is its flag (`learning_rate` is `--learning-rate`) and its YAML key. Later wins:
defaults < the network's own recipe < `--config FILE` < flags.
"""

import argparse
import dataclasses
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from kit.errors import UserError
from kit.suggestions import nearest

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"


def _setting(default: Any, words: str, choices: tuple[str, ...] = (), low: float | None = None, high: float = 1e12):
    """A recipe's field: its default, what `--help` says of it, and the values that make sense."""
    metadata = {"help": words, "choices": choices, "low": low, "high": high}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Recipe:
    """How one network is built, trained and read out. See each field's help, or `python -m kit.train --help`.

    Raises:
        UserError: a field's value makes no sense; names the field and what it takes.
    """

    model: str = _setting("resnet_small", "network of the zoo")
    options: dict = _setting({}, "the network's own options, as key=value; the zoo's docstrings name them")
    weights: str = _setting("", "start from these weights: imagenet, none, a .keras file, or a run's folder or name")
    unfreeze: int = _setting(0, "second phase: the last N frozen blocks of convolutions learn too; 0: none", low=0)
    unfreeze_epochs: int = _setting(0, "how many of the epochs, the last ones, are that phase; 0: half", low=0)
    unfreeze_factor: float = _setting(0.1, "multiple of the rate for what was unfrozen", low=0)

    epochs: int = _setting(10, "passes over the training images", low=1)
    batch_size: int = _setting(128, "images a step, over all devices together", low=1)
    optimizer: str = _setting(
        "adamw", "rule of the weights' steps", ("sgd", "adam", "adamw", "rmsprop", "lion", "muon")
    )
    learning_rate: float = _setting(0.002, "the schedule's peak", low=0)
    schedule: str = _setting("one-cycle", "course of the rate", ("one-cycle", "cosine", "exponential", "constant"))
    warmup: float = _setting(0.2, "share of the steps in which the rate rises to its peak", low=0, high=1)
    final_learning_rate: float = _setting(0.0, "the rate at the end, as a share of the peak", low=0, high=1)
    norm_bias_factor: float = _setting(
        1.0, "multiple of the rate for norm biases, which then decay; airbench: 64", low=0
    )
    snapshots: int = _setting(0, "repeat the rate's course N times, and keep what each end predicts; 0: once", low=0)
    momentum: float = _setting(0.9, "of sgd (Nesterov), rmsprop and muon", low=0, high=1)
    weight_decay: float = _setting(0.0, "decoupled, times the rate; not on biases and norms", low=0)
    label_smoothing: float = _setting(0.0, "share of each label spread over all classes", low=0, high=1)
    clip_norm: float = _setting(0.0, "largest norm of all gradients together; 0: no clipping", low=0)
    ema: float = _setting(0.0, "momentum of the weights' moving average, which then predicts; 0: none", low=0, high=1)
    lookahead: int = _setting(0, "steps between Lookahead's slow updates; 0: none", low=0)
    lookahead_alpha: float = _setting(0.5, "share of the way that the slow weights follow", low=0, high=1)
    lookahead_alpha_rises: bool = _setting(False, "let that share fall from 1, slowly at first, as airbench does")
    dropout: float = _setting(-1.0, "one rate for all of the network's dropouts; -1: its own rates", low=-1, high=1)

    shift: float = _setting(0.0, "augmentation: largest shift, pixels; whole ones if nothing else bends it", low=0)
    rotate: float = _setting(0.0, "augmentation: largest rotation, degrees", low=0, high=180)
    zoom: float = _setting(0.0, "augmentation: largest change of size, as a share", low=0, high=0.9)
    shear: float = _setting(0.0, "augmentation: largest shear, degrees", low=0, high=80)
    elastic: float = _setting(0.0, "augmentation: spread of the pushes of an elastic distortion, pixels", low=0)
    flip: str = _setting(
        "none", "augmentation: mirror at random, or every second epoch", ("none", "random", "alternating")
    )
    fill_mode: str = _setting(
        "constant", "what lies outside the image", ("constant", "reflect")
    )
    cutout: int = _setting(0, "augmentation: side of a square erased to the image's mean colour, pixels", low=0)
    mixup: float = _setting(0.0, "MixUp's alpha; 0: none", low=0)
    cutmix: float = _setting(0.0, "CutMix's alpha; 0: none", low=0)
    teacher: str = _setting("", "distillation: a run or ensemble whose out-of-fold probabilities soften the labels")
    teacher_share: float = _setting(0.9, "how much of each label is the teacher's", low=0, high=1)

    validation_share: float = _setting(0.1, "share of the training images kept for validation", low=0, high=0.9)
    folds: int = _setting(0, "cross-validation with K folds; 0: one split", low=0)
    held_out_share: float = _setting(
        0.0, "with folds: share of the images left out of all, for a student to validate on", low=0, high=0.9
    )
    seed: int = _setting(0, "of weights, order, augmentation and dropout", low=0, high=2**31 - 1)
    split_seed: int = _setting(0, "of the validation split or the folds", low=0, high=2**31 - 1)
    patience: int = _setting(0, "stop after N epochs without a lower validation loss; 0: never", low=0)
    checkpoint: str = _setting("last", "which epoch's network predicts", ("last", "best"))
    tta: bool = _setting(False, "test-time augmentation: several views, weighted by out-of-fold log-loss")

    precision: str = _setting("auto", "of the network's arithmetic", ("auto", "float32", "bfloat16", "float16"))
    devices: str = _setting("auto", "auto: all accelerators, else the CPU; or how many")

    def __post_init__(self):
        for setting in dataclasses.fields(self):
            _check(setting, getattr(self, setting.name))
        if self.folds == 1:
            raise UserError("folds: 1 is no cross-validation; take 0 for one split, or 2 and more.")
        if self.held_out_share and not self.folds:
            raise UserError("held_out_share: images are left out of folds only; one split has its validation_share.")
        if self.unfreeze and not 0 < (self.unfreeze_epochs or self.epochs // 2) < self.epochs:
            raise UserError(
                f"unfreeze: {self.unfreeze_epochs or 'half'} of {self.epochs} epochs leaves one of the two "
                "stages without any; "
                "take more --epochs or fewer --unfreeze-epochs."
            )
        if self.snapshots:
            self._check_snapshots()
        if self.devices != "auto" and (not str(self.devices).isdigit() or int(self.devices) < 1):
            raise UserError(f"devices: {self.devices!r} is neither auto nor a number of devices.")

    def _check_snapshots(self):
        if self.snapshots == 1 or self.epochs % self.snapshots:
            raise UserError(
                f"snapshots: {self.epochs} epochs cannot be shared by {self.snapshots} cycles of equal length; take 2 "
                "cycles or more, and a multiple of them as epochs."
            )
        for name in ("patience", "unfreeze"):
            if getattr(self, name):
                raise UserError(f"snapshots: every cycle has to come to its end; leave out {name}.")

    def as_dict(self) -> dict[str, Any]:
        """Every field by name, in the order of the dataclass; plain values for YAML."""
        return dataclasses.asdict(self)


def split_fields(folds: int) -> tuple[str, ...]:
    """The fields, of a recipe and of a run's metrics, that decide which images train and which validate.

    Args:
        folds: how many of them; 0 for one split. The share that the other kind of split goes by decides nothing.
    """
    return "folds", "split_seed", "held_out_share" if folds else "validation_share"


def resolve(competition: str, config: str | None = None, flags: dict[str, Any] | None = None) -> Recipe:
    """Put a recipe together: defaults < the network's own recipe < `config` < `flags`.

    Args:
        competition: whose `configs/<competition>/<network>.yaml` is the network's own recipe, if there is one.
        config: a YAML file with any of the recipe's fields.
        flags: fields by name, as given on the command line.

    Raises:
        UserError: a file cannot be read, a key is unknown (names the nearest), or a value makes no sense.
    """
    return layered(competition, [read(pathlib.Path(config)) if config else {}, flags or {}])


def layered(competition: str, layers: Sequence[dict[str, Any]]) -> Recipe:
    """Put a recipe together from fields by name, later layers winning, over the network's own recipe.

    Args:
        competition: whose `configs/<competition>/<network>.yaml` lies below all layers, if there is one.
        layers: fields by name; `options` are joined, not replaced.

    Raises:
        UserError: the network's own recipe cannot be read, a key is unknown, or a value makes no sense.
    """
    model = next((layer["model"] for layer in reversed(layers) if layer.get("model")), Recipe.model)
    own = CONFIGS / competition / f"{model}.yaml"
    merged: dict[str, Any] = {"model": model}
    for layer in [read(own) if own.exists() else {}, *layers]:
        options = _converted("options", layer.get("options") or {}, dict)
        merged = {**merged, **layer, "options": {**merged.get("options", {}), **options}}
    return from_dict(merged)


def read(path: pathlib.Path) -> dict[str, Any]:
    """Read a recipe file; returns its fields, unchecked but for their names.

    Raises:
        UserError: the file is missing, not YAML, not a mapping, or has an unknown key.
    """
    fields = mapping(path)
    if fields.keys() & {"members", "seeds"}:
        raise UserError(f"{path} is a plan of several trainings; only `python -m kit.train --config` takes one.")
    _known(fields, str(path))
    return fields


class _EachKeyOnce(yaml.SafeLoader):
    """YAML, but a key that comes twice is an error: the first one's value would be lost without a word."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        for at, key in enumerate(keys):
            if key in keys[:at]:
                line = node.value[at][0].start_mark.line + 1
                raise yaml.YAMLError(f"{key!r} comes a second time in line {line}; rename or remove one")
        return super().construct_mapping(node, deep)


def mapping(path: pathlib.Path) -> dict[str, Any]:
    """Read a YAML file of `key: value` lines, unchecked.

    Raises:
        UserError: the file is missing, not YAML, or not a mapping.
    """
    try:
        fields = yaml.load(path.read_text(encoding="utf-8"), _EachKeyOnce)
    except FileNotFoundError:
        here = sorted(str(near.name) for near in path.parent.glob("*.yaml"))
        raise UserError(f"there is no recipe {path}.{nearest(path.name, here)}") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path} is not a YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(fields or {}, dict):
        raise UserError(f"{path} is not a list of `field: value` lines.")
    return fields or {}


def from_dict(fields: dict[str, Any]) -> Recipe:
    """Make a recipe of fields by name; text from YAML becomes the number that it spells (`1e-3` is text there).

    Raises:
        UserError: a key is unknown or a value makes no sense.
    """
    _known(fields, "the recipe")
    kinds = {setting.name: type(_default(setting)) for setting in dataclasses.fields(Recipe)}
    return Recipe(**{name: _converted(name, value, kinds[name]) for name, value in fields.items()})


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Give `parser` a flag for every field; flags that were not given stay out of the parsed namespace."""
    group = parser.add_argument_group("recipe (defaults: the network's own recipe in configs/)")
    for setting in dataclasses.fields(Recipe):
        default, words = _default(setting), setting.metadata["help"]
        options: dict[str, Any] = {"dest": setting.name, "default": argparse.SUPPRESS, "help": words}
        if isinstance(default, bool):
            options["action"] = argparse.BooleanOptionalAction
        elif isinstance(default, dict):
            options |= {"nargs": "+", "metavar": "KEY=VALUE", "action": _Options}
        else:
            options |= {"type": type(default), "metavar": "|".join(setting.metadata["choices"]) or _metavar(default)}
        group.add_argument(f"--{setting.name.replace('_', '-')}", **options)


def flags_given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The recipe's fields that were given as flags."""
    names = {setting.name for setting in dataclasses.fields(Recipe)}
    return {name: value for name, value in vars(arguments).items() if name in names}


class _Options(argparse.Action):
    """Read `width=32 activation=gelu` into a dict, numbers as numbers."""

    def __call__(self, parser, namespace, values, option_string=None):
        pairs = {}
        for text in values:
            key, equals, value = text.partition("=")
            if not equals:
                parser.error(f"{option_string}: {text!r} is not of the form key=value")
            pairs[key] = yaml.safe_load(value)
        setattr(namespace, self.dest, {**getattr(namespace, self.dest, {}), **pairs})


def _default(setting: dataclasses.Field) -> Any:
    return {} if setting.default is dataclasses.MISSING else setting.default


def _metavar(default: Any) -> str:
    return {int: "N", float: "X", str: "TEXT"}[type(default)]


def _known(fields: dict[str, Any], where: str) -> None:
    names = [setting.name for setting in dataclasses.fields(Recipe)]
    for key in fields:
        if key not in names:
            raise UserError(f"{where}: there is no field {key!r}.{nearest(key, names)}")


def _converted(name: str, value: Any, kind: type) -> Any:
    if kind in (int, float) and not isinstance(value, bool):
        try:
            number = float(value)
            if kind is float:
                return number
            if number == int(number):
                return int(number)
        except (TypeError, ValueError, OverflowError):
            pass
    elif kind is str and isinstance(value, (str, int)) and not isinstance(value, bool):
        return str(value)
    elif kind is str and value is None:
        return ""
    elif isinstance(value, kind):
        return value
    words = {int: "a whole number", float: "a number", bool: "true or false", dict: "a mapping", str: "text"}
    raise UserError(f"{name}: {value!r} is not {words[kind]}.")


def _check(setting: dataclasses.Field, value: Any) -> None:
    choices, low, high = (setting.metadata[key] for key in ("choices", "low", "high"))
    if choices and value not in choices:
        raise UserError(f"{setting.name}: {value!r} is not one of {', '.join(choices)}.{nearest(value, choices)}")
    if low is not None and not low <= value <= high:  # not (a <= b) also refuses NaN
        limit = f"{low:g} or more" if high >= 1e12 else f"between {low:g} and {high:g}"
        raise UserError(f"{setting.name}: {value!r} must be {limit}.")
