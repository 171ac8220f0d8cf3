"""Everything that can be set about one training, declared once: flags, YAML files and Python share this model.

A field's name is its YAML key, its flag (`learning_rate` is `--learning-rate`) and its argument of `kit.fit`.
"""

import math
import reprlib
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import pydantic

from kit.errors import UserError
from kit.suggestions import nearest

GROUPS = {
    "network": "network",
    "optimisation": "optimisation",
    "augmentation": "augmentation",
    "validation": "validation",
    "prediction": "prediction",
    "hardware": "hardware",
}
"""The headings under which `--help` lists the fields."""

SEED_LIMIT = 2**31 - 1
LARGEST = 1e9


def _field(group: str, default: Any, text: str, low: float | None = None, high: float | None = None) -> Any:
    """A field of the recipe: its default, what `--help` says of it, and its range, both ends included."""
    high = high if high is not None or low is None else LARGEST
    return pydantic.Field(default, description=text, json_schema_extra={"group": group}, ge=low, le=high)


class Recipe(pydantic.BaseModel):
    """How one network is built, trained and read out; frozen. `python -m kit.train --help` describes every field.

    Example:
        recipe = Recipe(model="fast_cnn", epochs=4)
        recipe.replace(learning_rate=0.01)

    Raises:
        UserError: a field is unknown, or its value makes no sense; names the field and what it takes.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, coerce_numbers_to_str=True)

    model: str = _field("network", "resnet_small", "network of the zoo")
    options: dict[str, Any] = _field("network", {}, "the network's own options, as key=value; `kit.zoo` lists them")
    weights: str = _field(
        "network", "", "start from these weights: imagenet, none, a weights or .keras file, or a run's folder or name"
    )
    unfreeze: int = _field("network", 0, "fine-tune the last N frozen blocks in a second stage; 0: none", 0)
    unfreeze_epochs: int = _field("network", 0, "how many of the epochs are that second stage; 0: half", 0)
    unfreeze_factor: float = _field("network", 0.1, "learning rate of unfrozen layers, as a multiple", 0)
    cache_features: Literal["auto", "off"] = _field(
        "network", "auto", "compute what frozen layers give once an image, and keep it beside the data"
    )
    feature_copies: int = _field(
        "network", 0, "augmented copies an image whose features are kept; 0: augmented ones are not", 0, 1000
    )

    epochs: int = _field("optimisation", 10, "passes over the training images", 1, 100_000)
    batch_size: int = _field("optimisation", 128, "images a step, over all devices together", 1)
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop", "muon"] = _field("optimisation", "adamw", "optimizer")
    learning_rate: float = _field("optimisation", 0.002, "peak of the learning-rate schedule", 0, 1000)
    schedule: Literal["one-cycle", "cosine", "exponential", "constant"] = _field(
        "optimisation", "one-cycle", "learning-rate schedule"
    )
    warmup: float = _field("optimisation", 0.2, "share of the steps in which the learning rate rises", 0, 1)
    final_learning_rate: float = _field("optimisation", 0.0, "learning rate at the end, as a share of the peak", 0, 1)
    momentum: float = _field("optimisation", 0.9, "of sgd (Nesterov), rmsprop and muon", 0, 1)
    weight_decay: float = _field(
        "optimisation", 0.0, "decoupled, times the learning rate; not on biases and norms", 0, 1000
    )
    label_smoothing: float = _field("optimisation", 0.0, "share of each label spread over all classes", 0, 1)
    ema: float = _field("optimisation", 0.0, "momentum of the weights' moving average, which predicts; 0: none", 0, 1)
    lookahead: int = _field("optimisation", 0, "steps between Lookahead's slow updates; 0: none", 0)
    lookahead_alpha: float = _field("optimisation", 0.5, "share of the way that the slow weights follow", 0, 1)
    lookahead_decay: bool = _field("optimisation", False, "let alpha fall from 1 to that share, cubically (airbench)")
    norm_bias_factor: float = _field(
        "optimisation", 1.0, "learning rate of norm biases, as a multiple; they then decay (airbench: 64)", 0
    )
    snapshots: int = _field(
        "optimisation", 0, "repeat the schedule N times and keep what each end predicts; 0: once", 0, 1000
    )
    teacher: str = _field("optimisation", "", "distillation: a run whose out-of-fold probabilities soften the labels")
    teacher_share: float = _field("optimisation", 0.9, "share of each label that is the teacher's", 0, 1)

    shift: float = _field("augmentation", 0.0, "largest shift, pixels; whole ones unless rotated or scaled too", 0, 1e4)
    rotate: float = _field("augmentation", 0.0, "largest rotation, degrees", 0, 180)
    zoom: float = _field("augmentation", 0.0, "largest change of size, as a share", 0, 0.9)
    shear: float = _field("augmentation", 0.0, "largest shear, degrees", 0, 80)
    elastic: float = _field(
        "augmentation", 0.0, "elastic distortion: displacement's standard deviation, pixels", 0, 1e4
    )
    flip: Literal["none", "random", "alternating"] = _field(
        "augmentation", "none", "mirror at random, or in every second epoch"
    )
    fill_mode: Literal["constant", "reflect"] = _field("augmentation", "constant", "what lies outside the image")
    cutout: int = _field("augmentation", 0, "side of a square erased to the image's mean colour, pixels", 0, 10_000)

    validation_share: float = _field("validation", 0.1, "share of the training images kept for validation", 0, 0.9)
    folds: int = _field("validation", 0, "cross-validation with K folds; 0: one split", 0, 1000)
    held_out_share: float = _field(
        "validation", 0.0, "with folds: share of the images left out of all folds, for a student to validate on", 0, 0.9
    )
    split_seed: int = _field("validation", 0, "seed of the validation split or the folds", 0, SEED_LIMIT)
    seed: int = _field("validation", 0, "seed of weights, order, augmentation and dropout", 0, SEED_LIMIT)
    patience: int = _field("validation", 0, "stop after N epochs without a lower validation loss; 0: never", 0)
    checkpoint: Literal["last", "best"] = _field("validation", "last", "the epoch whose network predicts")

    tta: bool = _field("prediction", False, "test-time augmentation, weighted by out-of-fold log-loss")

    precision: Literal["auto", "float32", "bfloat16", "float16"] = _field("hardware", "auto", "compute precision")
    devices: str = _field("hardware", "auto", "auto: all accelerators, else the CPU; or how many")

    def __init__(self, /, **fields: Any):
        try:
            super().__init__(**fields)
        except pydantic.ValidationError as error:
            raise UserError(explanation(error, type(self))) from None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _check_types(cls, fields: Any) -> Any:
        """Refuse what pydantic would convert without a word: true is not 1, and 1 is not true."""
        checked = dict(fields)
        for name, value in checked.items():
            if name not in cls.model_fields:
                continue
            kind = cls.model_fields[name].annotation
            if isinstance(value, bool) and kind is not bool:
                raise UserError(f"{name}: {value!r} is not {_what(kind)}.")
            if kind is bool and not isinstance(value, bool):
                raise UserError(f"{name}: {value!r} is not {_what(kind)}.")
            if value is None and kind is str:
                checked[name] = ""
            if value is None and name == "options":
                checked[name] = {}
            if kind is int and isinstance(value, str):
                checked[name] = _number(value)
        return checked

    @pydantic.model_validator(mode="after")
    def _check_together(self) -> "Recipe":
        if self.folds == 1:
            raise UserError("folds: 1 is not cross-validation; take 0 for one split, or 2 and more.")
        if self.held_out_share and not self.folds:
            raise UserError("held_out_share: images are left out of folds only; one split has its validation_share.")
        if self.unfreeze and not 0 < (self.unfreeze_epochs or self.epochs // 2) < self.epochs:
            raise UserError(
                f"unfreeze: {self.unfreeze_epochs or 'half'} of {self.epochs} epochs leaves one of the two stages "
                "without any; take more --epochs or fewer --unfreeze-epochs."
            )
        if self.snapshots and (self.snapshots == 1 or self.epochs % self.snapshots):
            raise UserError(
                f"snapshots: {self.epochs} epochs cannot be shared by {self.snapshots} cycles of equal length; take 2 "
                "cycles or more, and a multiple of them as epochs."
            )
        for name in ("patience", "unfreeze") if self.snapshots else ():
            if getattr(self, name):
                raise UserError(f"snapshots: every cycle has to come to its end; leave out {name}.")
        if self.devices != "auto" and not (self.devices.isascii() and self.devices.isdigit() and int(self.devices)):
            raise UserError(f"devices: {shown(self.devices)} is neither auto nor a number of devices.")
        if not (self.folds or self.validation_share):
            for name, reason in (("tta", "its weights"), ("patience", "early stopping")):
                if getattr(self, name):
                    raise UserError(f"{name}: {reason} need validation images; set validation_share or folds.")
            if self.checkpoint == "best":
                raise UserError("checkpoint: best needs validation images; set validation_share or folds.")
        return self

    def replace(self, **changes: Any) -> "Recipe":
        """Return a copy with some fields changed, checked like a new one.

        Raises:
            UserError: as the constructor.
        """
        return Recipe(**{**self.as_dict(), **changes})

    def as_dict(self) -> dict[str, Any]:
        """Return every field by name, in the order of declaration; plain values for YAML."""
        return self.model_dump()

    def differences(self, other: "Recipe") -> dict[str, tuple[Any, Any]]:
        """Return the fields in which two recipes differ: (this one's value, the other's) by name."""
        mine, others = self.as_dict(), other.as_dict()
        return {name: (mine[name], others[name]) for name in mine if mine[name] != others[name]}

    @property
    def split_fields(self) -> tuple[str, ...]:
        """The names of the fields that decide which images train and which validate."""
        return "folds", "split_seed", "held_out_share" if self.folds else "validation_share"

    @property
    def augments(self) -> bool:
        """Whether the training images are augmented."""
        amounts = self.shift, self.rotate, self.zoom, self.shear, self.elastic, self.cutout
        return any(amounts) or self.flip != "none"

    @property
    def validates(self) -> bool:
        """Whether any image is kept for validation."""
        return bool(self.folds or self.validation_share)


FIELDS = tuple(Recipe.model_fields)
"""The names of all fields."""


def check_names(fields: Mapping[str, Any], where: str, also: tuple[str, ...] = ()) -> None:
    """Refuse fields that no recipe has.

    Args:
        fields: values by name.
        where: what the error calls the place that they come from.
        also: names that are allowed beside the recipe's.

    Raises:
        UserError: names the unknown field and the nearest known one.
    """
    for name in fields:
        if name not in (*FIELDS, *also):
            raise UserError(f"{where}: there is no field {shown(name)}.{nearest(str(name)[:99], (*FIELDS, *also))}")


def explanation(error: pydantic.ValidationError, schema: type[pydantic.BaseModel]) -> str:
    """Say in one line what is wrong with the first field that did not validate: its name, its value, what it takes."""
    first = error.errors()[0]
    name = ".".join(str(part)[:60] for part in first["loc"]) or "the file"
    value, context = first["input"], first.get("ctx", {})
    field = schema.model_fields.get(str(first["loc"][0])) if first["loc"] else None
    kind = field.annotation if field else None
    if first["type"] == "missing":
        return f"{name}: is missing."
    if first["type"] == "extra_forbidden":
        return f"there is no field {shown(name)}.{nearest(name[:99], schema.model_fields)}"
    if first["type"] == "literal_error":
        choices = get_args(kind) or (context.get("expected"),)
        return (
            f"{name}: {shown(value)} is not one of {', '.join(map(str, choices))}.{nearest(str(value)[:99], choices)}"
        )
    if first["type"] in ("greater_than_equal", "less_than_equal", "finite_number") and field:
        low, high = _range(field)
        limit = f"{low:g} or more" if high is None or high >= LARGEST else f"between {low:g} and {high:g}"
        return f"{name}: {shown(value)} must be {limit}."
    return f"{name}: {shown(value)} is not {_what(kind)}."


def _range(field: Any) -> tuple[float, float | None]:
    low, high = 0.0, None
    for bound in field.metadata:
        low, high = getattr(bound, "ge", low), getattr(bound, "le", high)
    return low, high


def _what(kind: Any) -> str:
    texts = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    return texts.get(kind, "a mapping of names to values" if get_origin(kind) is dict else "what belongs there")


def shown(value: Any) -> str:
    """Return a value as an error shows it: whatever it is, a short text."""
    try:
        text = reprlib.repr(value)
    except ValueError:  # Python refuses to write out a number of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:60]}…"


def _number(text: str) -> Any:
    """Return a whole number that is written as `1e3` or `7.0`, which YAML takes for text; anything else as it is."""
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if math.isfinite(number) and number == int(number) else text
