"""What a run's files hold, declared once: each file is checked when it is read, and errors name file and field."""

import json
import math
import pathlib
import stat
from typing import Annotated, Any, Literal, TypeVar

import pydantic
import yaml

from kit import yaml_files
from kit.errors import UserError
from kit.metrics import METRICS, named
from kit.recipes.plan import METHODS, Plan
from kit.recipes.recipe import FIELDS, Recipe, explanation, shown

LARGEST = 1 << 24  # bytes of a text file of a run; real ones have some thousand
MOST = 1 << 53  # of any count: what a floating-point number still holds exactly

Kind = Literal["network", "ensemble", "plan", "tta"]


Count = Annotated[int, pydantic.Field(ge=0, le=MOST)]
Share = Annotated[float, pydantic.Field(ge=0, le=1)]
Fingerprint = Annotated[str, pydantic.Field(pattern="^[0-9a-f]{64}$")]


class _Schema(pydantic.BaseModel):
    """Unknown fields are kept as they are, so that a person may note something of their own."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)


class ExtraData(_Schema):
    """A person's own images that a run was trained on beside the competition's; no image of them was validated on.

    Attributes:
        folder: where they lay, absolute.
        images: how many they were.
        fingerprint: SHA-256 of images and labels, their order included.
    """

    folder: str
    images: Count
    fingerprint: Fingerprint


class Data(_Schema):
    """Which data a run was trained on.

    Attributes:
        competition: Kaggle's name.
        source: "kaggle", "keras" or "sample".
        folder: the folder of all competitions' files, absolute.
        limit: how many training images were taken; 0 for all.
        fingerprint: SHA-256 of the training images and labels, their order included.
        extra: images that were added to each fold's training images.
    """

    competition: str
    source: Literal["kaggle", "keras", "sample"]
    folder: str
    limit: Count
    fingerprint: Fingerprint
    extra: ExtraData | None = None


class EnsembleConfig(_Schema):
    """How an ensemble was made.

    Attributes:
        method: "mean", "weighted", "hill-climb", "stack" or "snapshot".
        options: the estimator's parameters.
        members: the names of the runs that it joins.
        seed: of the nested folds and of the estimator.
        weights: each member's, where the method has weights.
        temperature: what the pooled logits are divided by, where the method fits one.
    """

    method: Literal["mean", "weighted", "hill-climb", "stack", "snapshot"]
    options: dict[str, Any] = {}
    members: list[str]
    seed: Count = 0
    weights: dict[str, float] | None = None
    temperature: float | None = None


class Config(_Schema):
    """`config.yaml`: what a run is, written before its first step.

    Attributes:
        kind: "network"; "ensemble"; "plan", an ensemble whose members one command trains; "tta", another run's networks
            that predicted again.
        data: which data it was trained on.
        recipe: of a network or of predicting again.
        plan: of a plan.
        ensemble: of an ensemble, and of a plan once it is joined.
        parent: of "tta": the name of the run whose networks these are.
    """

    kind: Kind
    data: Data
    recipe: Recipe | None = None
    plan: dict[str, Any] | None = None
    ensemble: EnsembleConfig | None = None
    parent: str | None = None

    @pydantic.field_validator("recipe", mode="before")
    @classmethod
    def _check_recipe(cls, recipe: Any) -> Any:
        return recipe if recipe is None or isinstance(recipe, Recipe) else _whole_recipe(recipe, "recipe")

    @pydantic.model_validator(mode="after")
    def _check_kind(self) -> "Config":
        needed = {"network": "recipe", "tta": "parent", "ensemble": "ensemble", "plan": "plan"}[self.kind]
        if getattr(self, needed) is None or (self.kind == "tta" and self.recipe is None):
            raise UserError(f"{needed}: is missing in a run of kind {self.kind}.")
        if self.plan is not None:
            self.planned()
        return self

    @property
    def model(self) -> str:
        """The network's name, or "ensemble"."""
        return self.recipe.model if self.recipe else "ensemble"

    def planned(self) -> Plan:
        """Return the plan.

        Raises:
            UserError: it is missing, or not what the kit wrote.
        """
        try:
            content = dict(self.plan or {})
            members = {
                str(name): _whole_recipe(fields, f"plan.members.{name}")
                for name, fields in dict(content["members"]).items()
            }
            if content["method"] not in METHODS or not isinstance(content["geometric"], bool) or len(members) < 2:
                raise UserError("plan: its method, its geometric or its members are damaged.")
            return Plan(members, content["method"], content["geometric"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"plan: {str(error)[:100]} is damaged.") from None


def _whole_recipe(fields: Any, where: str) -> Recipe:
    """Read the recipe of a run; where a part of it is lost, no default takes its place without a word."""
    if not isinstance(fields, dict) or not all(isinstance(name, str) for name in fields):
        raise UserError(f"{where}: is not a mapping of fields to values.")
    for state, names in (("missing", set(FIELDS) - set(fields)), ("unknown", set(fields) - set(FIELDS))):
        if names:
            first = shown(min(names))
            raise UserError(f"{where}: {first} is {state}; another version of the kit may have written it")
    try:
        return Recipe(**fields)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


class MemberMetrics(_Schema):
    """How good one member of an ensemble is, on the images that the ensemble is scored on."""

    validation_accuracy: Share
    validation_log_loss: float
    validation_score: float | None = None
    """By the competition's metric, where that is another than accuracy."""
    weight: float | None = None

    @property
    def score(self) -> float:
        """The score by the competition's metric."""
        return self.validation_accuracy if self.validation_score is None else self.validation_score


def _known(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"{name[:60]!r} is not one of {', '.join(METRICS)}")
    return name


MetricName = Annotated[str, pydantic.AfterValidator(_known)]


class Metrics(_Schema):
    """`metrics.json`: what a run reached.

    Attributes:
        competition, source, data_fingerprint: as in `Data`.
        model: the network's name, or "ensemble".
        seen: the public data sets that the run's networks have been trained on.
        seed, split_seed, folds, held_out_share, validation_share: the recipe's.
        validation_accuracy, validation_log_loss: over the images predicted out of fold; None where there are none.
        validation_images: how many these are.
        metric, validation_score, validation_score_error: where the competition scores by another metric than accuracy:
            its name, the score on the same images and its standard error.
        baseline_score: the score, by that metric, of the best constant prediction for the same images.
        beats_baseline: whether the run and each of its folds are significantly better; None with too few images.
        selected_on_validation: whether these images also chose the epoch (`checkpoint: best`, `patience`), which makes
            the scores a little too good.
        fold_accuracies, fold_scores: of each fold, the latter by the other metric.
        fit_seconds, images_per_second: of training.
        parameters: of one network, or of all members together.
        epochs, precision, peak_memory (bytes), hardware: how it was trained.
        test_accuracy: where the source has test labels.
        tta_weights: of each group of augmented copies.
        extra_data: as `Data.extra`.
        members: of an ensemble, by name.
    """

    competition: str
    model: str
    source: Literal["kaggle", "keras", "sample"]
    seen: list[str]
    seed: Count
    split_seed: Count
    folds: Count
    held_out_share: float = pydantic.Field(ge=0, lt=1)
    validation_share: float = pydantic.Field(ge=0, lt=1)
    data_fingerprint: Fingerprint
    validation_accuracy: Share | None
    validation_log_loss: float | None = pydantic.Field(ge=0)
    validation_images: Count
    metric: MetricName = "accuracy"
    validation_score: float | None = None
    validation_score_error: float | None = None
    baseline_score: float | None = None
    beats_baseline: bool | None = None
    selected_on_validation: bool = False
    fold_accuracies: list[Share] | None = None
    fold_scores: list[float] | None = None
    fit_seconds: float = pydantic.Field(ge=0)
    images_per_second: float = pydantic.Field(ge=0)
    parameters: Count
    epochs: Count | None = None
    precision: str | None = None
    peak_memory: Count | None = None
    hardware: dict[str, Any] | None = None
    test_accuracy: Share | None = None
    tta_weights: list[float] | None = None
    extra_data: ExtraData | None = None
    teacher: str | None = None
    teacher_share: float | None = None
    members: dict[str, MemberMetrics] | None = None

    @property
    def standard_error(self) -> float | None:
        """The standard error of `validation_accuracy`; None where there is none."""
        if self.validation_accuracy is None or not self.validation_images:
            return None
        return math.sqrt(self.validation_accuracy * (1 - self.validation_accuracy) / self.validation_images)

    @property
    def score(self) -> float | None:
        """The validation score by the competition's metric; None where there is none."""
        return self.validation_accuracy if self.metric == "accuracy" else self.validation_score

    @property
    def score_error(self) -> float | None:
        """The standard error of `score`."""
        return self.standard_error if self.metric == "accuracy" else self.validation_score_error

    @property
    def shortfall(self) -> str:
        """Say that the run has learned nothing; an empty text where it has, and where that is not known."""
        if self.beats_baseline is not False or self.score is None or self.baseline_score is None:
            return ""
        metric = named(self.metric)
        guessing = f"that of always guessing, {metric.shown(self.baseline_score)}"
        if self.fold_accuracies and metric.name == "accuracy":
            folds = ", ".join(f"{accuracy:.2%}" for accuracy in self.fold_accuracies)
            return f"accuracy by fold ({folds}) is not everywhere better than {guessing}"
        where = ", at least of a fold," if self.folds else ""
        return f"validation {metric.name} {metric.shown(self.score)}{where} is no better than {guessing}"

    @property
    def split(self) -> dict[str, Any]:
        """The fields that say which images trained and which validated."""
        share = "held_out_share" if self.folds else "validation_share"
        return {name: getattr(self, name) for name in ("folds", "split_seed", share)}


Schema = TypeVar("Schema", bound=_Schema)


def read_yaml(path: pathlib.Path, schema: type[Schema]) -> Schema:
    """Read and check a YAML file.

    Raises:
        UserError: the file is missing, not YAML, or a field is wrong; names file and field.
    """
    return _checked(yaml_files.parse(text(path, yaml_files.LARGEST), str(path)), path, schema)


def read_json(path: pathlib.Path, schema: type[Schema]) -> Schema:
    """Read and check a JSON file.

    Raises:
        UserError: the file is missing, not JSON, or a field is wrong; names file and field.
    """
    try:
        content = json.loads(text(path))
    except (ValueError, RecursionError):
        raise UserError(f"{path} is damaged: it is not JSON; train the run again.") from None
    return _checked(content, path, schema)


def text(path: pathlib.Path, largest: int = LARGEST) -> str:
    """Return the content of a text file of at most `largest` bytes.

    Raises:
        UserError: the file is missing, not a regular file, too large, or not UTF-8.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode) or state.st_size > largest:
            raise UserError(f"{path} is not a file that a run has; train the run again.")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} is missing; finish the run, or train it again.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is damaged: it is not UTF-8 text; train the run again.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from None


def _checked(content: Any, path: pathlib.Path, schema: type[Schema]) -> Schema:
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: it is not a list of fields; train the run again.")
    try:
        return schema.model_validate({str(name): value for name, value in content.items()}, strict=True)
    except pydantic.ValidationError as error:
        raise UserError(f"{path} is damaged: {explanation(error, schema).rstrip('.')}; train the run again.") from None
    except UserError as error:
        raise UserError(f"{path} is damaged: {str(error).rstrip('.')}; train the run again.") from None


def yaml_text(config: Config) -> str:
    """Return a config as YAML, without the fields that it does not have."""
    return yaml.safe_dump(config.model_dump(exclude_none=True), sort_keys=False, allow_unicode=True)
