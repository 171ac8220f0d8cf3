"""What Kaggle answers, declared once: every answer of its API is checked where it enters, before anybody acts on it."""

import datetime
import json
import math
from typing import Annotated, Any, Literal, TypeVar

import pydantic
from pydantic import BeforeValidator
from pydantic.alias_generators import to_camel

from kit.errors import Failure, printable

LONGEST_NUMBER = 19  # digits of a 64-bit number
SHOWN = 60


class NotKaggles(Exception):
    """An answer that is not JSON, such as a network's log-in page; the next attempt may get another."""


def _number(value: Any) -> Any:
    """Take digits for a number, which is how protocol buffers write 64-bit ones."""
    digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= LONGEST_NUMBER
    return int(value) if digits else value


def _score(value: Any) -> Any:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return value
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def _time(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        time = datetime.datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return value


def _status(value: Any) -> Any:
    return value.rpartition(".")[2].lower() if isinstance(value, str) else value


def _seconds(value: Any) -> Any:
    """Take a duration as protocol buffers write it, "3600.5s"."""
    if not isinstance(value, str) or not value.endswith("s"):
        return value
    try:
        return float(value[:-1])
    except ValueError:
        return value


Count = Annotated[int, BeforeValidator(_number), pydantic.Field(ge=0)]
Reference = Annotated[int, BeforeValidator(_number), pydantic.Field(gt=0)]
Text = Annotated[str, pydantic.AfterValidator(printable)]
Seconds = Annotated[float, BeforeValidator(_seconds), pydantic.Field(ge=0)]
Time = Annotated[datetime.datetime | None, BeforeValidator(_time)]


class Answer(pydantic.BaseModel):
    """Any answer. Fields that the kit does not read are not looked at; `code` is an error's, even in a good answer."""

    model_config = pydantic.ConfigDict(
        strict=True, frozen=True, extra="ignore", alias_generator=to_camel, allow_inf_nan=False
    )

    code: int | None = None


class ListedSubmission(Answer):
    """One submission of `ListSubmissions`. What is missing has the protocol's default; a pending status is one."""

    ref: Reference
    file_name: Text | None = None
    description: Text | None = None
    total_bytes: Count | None = None
    date: Time = None
    status: Annotated[Literal["pending", "complete", "error"], BeforeValidator(_status)] = "pending"
    public_score: Annotated[float | None, BeforeValidator(_score)] = None
    error_description: Text | None = None


class ListSubmissions(Answer):
    """A page of the person's submissions."""

    submissions: list[ListedSubmission] = []


class GetSubmissionLimits(Answer):
    """How many submissions there were, and how many more Kaggle takes now; all 0 where it does not say."""

    num_today: Count = 0
    num_total: Count = 0
    num_allowed_now: Count = 0


class StartSubmissionUpload(Answer):
    """Where to upload a file, and the token that stands for it then."""

    token: Annotated[str, pydantic.Field(min_length=1)]
    create_url: Annotated[str, pydantic.Field(pattern="^https?://")]


class CreateSubmission(Answer):
    """The new submission's reference."""

    ref: Reference
    message: Text | None = None


class GenerateAccessToken(Answer):
    """The token of an OAuth log-in."""

    token: Annotated[str, pydantic.Field(pattern="^[!-~]+$")]


class IntrospectToken(Answer):
    """Whose token it is."""

    active: bool = False
    username: Text | None = None


class SaveKernel(Answer):
    """The kernel that was pushed, or, also in a good answer, why it was not."""

    ref: Text | None = None
    url: Text | None = None
    version_number: Count | None = None
    error: Text | None = None
    invalid_competition_sources: list[Text] | None = None
    invalid_kernel_sources: list[Text] | None = None
    invalid_dataset_sources: list[Text] | None = None
    invalid_model_sources: list[Text] | None = None


KernelState = Literal["queued", "running", "complete", "error", "cancel_requested", "cancel_acknowledged", "new_script"]


class GetKernelSessionStatus(Answer):
    """How far a kernel's session is; "queued" is the protocol's default."""

    status: Annotated[KernelState, BeforeValidator(_status)] = "queued"
    failure_message: Text | None = None


class OutputFile(Answer):
    """A file that a session has left, and a signed URL of it."""

    file_name: Annotated[Text, pydantic.Field(min_length=1)]
    url: Annotated[str, pydantic.Field(pattern="^https?://")]


class ListKernelSessionOutput(Answer):
    """A page of the files that a session has left."""

    files: list[OutputFile] | None = None
    log: str | None = None
    next_page_token: str | None = None


class AcceleratorQuota(Answer):
    """How long an accelerator was used this week, and how long it may be."""

    time_used: Seconds = 0.0
    total_time_allowed: Seconds = 0.0


class GetAcceleratorQuotaStatistics(Answer):
    """The week's quota of each accelerator."""

    quota_refresh_time: Time = None
    gpu_quota: AcceleratorQuota | None = None
    tpu_quota: AcceleratorQuota | None = None


AnyAnswer = TypeVar("AnyAnswer", bound=Answer)

ANSWERS: dict[str, type[Answer]] = {
    declared.__name__: declared
    for declared in (
        ListSubmissions,
        GetSubmissionLimits,
        StartSubmissionUpload,
        CreateSubmission,
        GenerateAccessToken,
        IntrospectToken,
        SaveKernel,
        GetKernelSessionStatus,
        ListKernelSessionOutput,
        GetAcceleratorQuotaStatistics,
    )
}
"""The declaration of each call's answer, by the call's name."""


def parse(name: str, text: str) -> Answer:
    """Check the answer to the call `name`.

    Returns:
        It, as declared; or, where `code` is that of an error, no more than an `Answer`.

    Raises:
        NotKaggles: it is not JSON.
        Failure: it is, and is not what the kit expects; names call and field.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise NotKaggles(f"the answer to {name} is not JSON") from None
    try:
        answer = Answer.model_validate(content)
        failed = answer.code is not None and answer.code >= 400
        return answer if failed else ANSWERS.get(name, Answer).model_validate(content)
    except pydantic.ValidationError as error:
        raise Failure(
            f"Kaggle's answer to {name} is not what the kit expects ({_first(error)}); nothing is lost: try again "
            "later, then check for a newer version of the kit."
        ) from None


def _first(error: pydantic.ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{place} is missing"
    value = printable(json.dumps(first["input"]))
    shown = value if len(value) <= SHOWN else f"{value[:SHOWN]}..."
    return f"{place}: {shown}" if place else shown
