"""Kaggle's kernels: push a script, follow its session, bring back what it leaves."""

import base64
import contextlib
import datetime
import os
import pathlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kit.errors import Failure, UserError
from kit.kaggle_client import answers, calls, schema
from kit.kaggle_client.connection import MOST_PAGES, AnswerLost, Kaggle
from kit.kaggle_client.credentials import Credential
from kit.kaggle_client.retries import Retries

PAGE_SIZE = 20  # Kaggle gives no more at once, whatever is asked for
CHUNK = 1 << 18
PHONE = "https://www.kaggle.com/settings/account"


@dataclass(frozen=True)
class Kernel:
    """A kernel and one of its versions.

    Attributes:
        owner, slug: as in its address, https://www.kaggle.com/code/OWNER/SLUG.
        version: counted from 1; None where it is not known.
    """

    owner: str
    slug: str
    version: int | None = None

    def __str__(self) -> str:
        return f"{self.owner}/{self.slug}"

    @property
    def url(self) -> str:
        """Its page."""
        return f"https://www.kaggle.com/code/{self}"


@dataclass(frozen=True)
class Push:
    """What is pushed: a private kernel with a competition's data attached and without the internet.

    Attributes:
        text: the script's, or the notebook's, source.
        competition: whose data are attached.
        machine: Kaggle's name of the accelerator; None for none.
        seconds: after which Kaggle ends the session.
        kernels: whose outputs are attached, as "owner/slug".
    """

    text: str = field(repr=False)
    competition: str
    machine: str | None
    seconds: int
    kernels: tuple[str, ...] = ()

    def fields(self, kernel: Kernel) -> dict[str, Any]:
        """Return the request's fields; nothing is left to a default, because the client's differ from Kaggle's."""
        fields = {
            "slug": str(kernel),
            "new_title": kernel.slug,  # another title would make another kernel
            "text": self.text,
            "language": "python",
            "kernel_type": "script",
            "is_private": True,
            "enable_gpu": bool(self.machine and self.machine.startswith("Nvidia")),
            "enable_tpu": bool(self.machine and self.machine.startswith("Tpu")),
            "enable_internet": False,
            "session_timeout_seconds": self.seconds,
            "competition_data_sources": [self.competition],
            "dataset_data_sources": [],
            "kernel_data_sources": list(self.kernels),
            "model_data_sources": [],
            "category_ids": [],
        }
        return fields | ({"machine_shape": self.machine} if self.machine else {})


@dataclass(frozen=True)
class Quota:
    """An accelerator's quota, in seconds, and when it begins anew."""

    used: float
    allowed: float
    refresh: datetime.datetime | None

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return max(0.0, self.allowed - self.used)


class Kernels(Kaggle):
    """A connection to Kaggle that pushes kernels too."""

    def __init__(self, retries: Retries | None = None):
        super().__init__(retries)
        self._urls: dict[str, str] = {}

    def owner(self) -> str:
        """Return the person's user name, which is a part of a kernel's address.

        Raises:
            UserError: Kaggle does not say it, and KAGGLE_USERNAME is not set.
            Failure: Kaggle cannot be reached.
        """
        credential = self._tried[-1]
        if name := _user(credential):
            return name
        token = self._guard.authorization.removeprefix("Bearer ")
        with contextlib.suppress(UserError):
            self.call("your account", calls.introspect_token, self.client, token)
            answer = self._answer("IntrospectToken", schema.IntrospectToken)
            if answer.username:
                return answer.username
        if name := os.environ.get("KAGGLE_USERNAME", "").strip():
            return name
        raise UserError(
            f"Kaggle does not say whose the token in {credential.place} is; set KAGGLE_USERNAME to your user name."
        )

    def quotas(self) -> dict[str, Quota]:
        """Return the week's quotas by kind, "gpu" and "tpu"; empty where Kaggle or the client do not tell."""
        try:
            self.call("your quota", calls.accelerator_quota, self.client)
            answer = self._answer("GetAcceleratorQuotaStatistics", schema.GetAcceleratorQuotaStatistics)
        except (UserError, Failure):
            return {}  # a courtesy: without it the push itself says that the quota is used up
        kinds = {"gpu": answer.gpu_quota, "tpu": answer.tpu_quota}
        return {
            kind: Quota(one.time_used, one.total_time_allowed, answer.quota_refresh_time)
            for kind, one in kinds.items()
            if one is not None and one.total_time_allowed
        }

    def push(self, push: Push, kernel: Kernel) -> Kernel:
        """Push a kernel and start its session: one request, which is never repeated.

        Returns:
            The kernel as Kaggle has it, with its version.

        Raises:
            AnswerLost: it may have been pushed, whatever the answer was.
            UserError, Failure: it was not, and says why.
        """
        _, call, error = self._attempt(None, calls.save_kernel, self.client, push.fields(kernel))
        if call is None:
            raise self._explanation(call, error, push.competition)
        if call.status == 401 and call.failure is None and self._next_credential():
            return self.push(push, kernel)
        answer = call.answer
        if error is None and isinstance(answer, schema.SaveKernel):
            if reason := _reason(answer, push):
                raise reason
            return _as_saved(answer, kernel)
        explained = _refusal(answers.kaggles_message(call.text), push) if call.failure is None else None
        explained = explained or self._explanation(call, error, push.competition)
        if call.status == 413:
            explained = UserError(
                f"Kaggle refuses the script of {len(push.text) / 1000:,.0f} kB as too large; keep large files out of "
                "kit/ and configs/."
            )
        if answers.never_left(call.failure):
            raise explained
        raise AnswerLost(explained, answers.refused(call), answers.late(call), answers.asked_pause(call))

    def status(self, kernel: Kernel) -> schema.GetKernelSessionStatus | None:
        """Return how far the kernel's session is; None where Kaggle has no such kernel.

        Raises:
            UserError, Failure: Kaggle refuses, or cannot be asked.
        """
        try:
            self.call(str(kernel), calls.kernel_status, self.client, kernel.owner, kernel.slug, kernel.version)
        except UserError:
            # Kaggle forbids what does not exist.
            if self._guard.calls and self._guard.calls[-1].status in (403, 404):
                return None
            raise
        return self._answer("GetKernelSessionStatus", schema.GetKernelSessionStatus)

    def outputs(self, kernel: Kernel) -> tuple[list[str], str]:
        """Return the names of all files that the kernel's session has left, and its log.

        Raises:
            UserError, Failure: Kaggle refuses, or cannot be asked.
        """
        self._urls, token, log = {}, "", ""
        for _ in range(MOST_PAGES):
            self.call(str(kernel), self._page, kernel, token)
            page = self._answer("ListKernelSessionOutput", schema.ListKernelSessionOutput)
            self._urls.update((one.file_name, one.url) for one in page.files or [])
            log = log or page.log or ""
            if not page.next_page_token or page.next_page_token == token:
                break
            token = page.next_page_token
        return sorted(self._urls), log

    def download(self, kernel: Kernel, name: str, path: pathlib.Path) -> None:
        """Download a file that the kernel's session has left; each attempt writes it anew.

        Args:
            kernel: whose.
            name: as `outputs` has it.
            path: where to; it may be a part of the file until this returns.

        Raises:
            UserError, Failure: Kaggle refuses, has no such file, or the network fails.
        """
        import requests

        def once() -> None:
            url = self._urls.pop(name, None)  # a signed URL runs out: another attempt takes a new one
            if url is None:
                token = ""
                while True:
                    self._page(kernel, token)
                    page = self._answer("ListKernelSessionOutput", schema.ListKernelSessionOutput)
                    self._urls.update((one.file_name, one.url) for one in page.files or [])
                    if name in self._urls or not page.next_page_token or page.next_page_token == token:
                        break
                    token = page.next_page_token
                url = self._urls.pop(name, None)
            if url is None:
                raise Failure(f"Kaggle no longer lists {name} of {kernel}; see {kernel.url}/output.")
            with requests.get(url, stream=True) as response, path.open("wb") as file:
                response.raise_for_status()
                for part in response.iter_content(CHUNK):
                    file.write(part)

        self.call(str(kernel), once, progress=lambda: path.stat().st_size if path.exists() else 0)

    def follow_log(self, kernel: Kernel, skip: int, show: Callable[[str], None]) -> tuple[int, bool]:
        """Show the lines of a running session's log as they come.

        Args:
            kernel: whose.
            skip: how many events were shown before; Kaggle begins with the first one each time.
            show: given each text, which need not be a whole line.

        Returns:
            How many events were shown in all, and whether there is such a log at all: not with older clients.
        """
        if not calls.has_log_stream(self.client):
            return skip, False
        count = 0

        def handle(event: dict) -> None:
            nonlocal count
            count += 1
            if count > skip and isinstance(event, dict) and isinstance(event.get("data"), str):
                show(event["data"])

        _, call, error = self._attempt(
            lambda: count, calls.stream_log, self.client, str(kernel), kernel.version, handle
        )
        missing = call is not None and call.failure is None and (call.status or 0) >= 400
        return max(skip, count), not missing and not (call is None and error is not None)

    def _page(self, kernel: Kernel, token: str) -> None:
        calls.kernel_output(self.client, kernel.owner, kernel.slug, kernel.version, PAGE_SIZE, token)


def _user(credential: Credential) -> str:
    """Return the user name of a credential that has one."""
    kind, _, value = credential.authorization.partition(" ")
    if kind != "Basic":
        return ""
    return base64.b64decode(value).decode(errors="surrogateescape").partition(":")[0]


def _as_saved(answer: schema.SaveKernel, kernel: Kernel) -> Kernel:
    """Return the kernel under the name that Kaggle gave it: "/code/owner/slug" or "owner/slug"."""
    parts = (answer.ref or "").strip("/").split("/")
    owner, slug = parts[-2:] if len(parts) >= 2 else (kernel.owner, kernel.slug)
    return Kernel(owner, slug, answer.version_number or 1)


def _reason(answer: schema.SaveKernel, push: Push) -> Exception | None:
    """Return why a good answer means that nothing was started; None where it was."""
    if answer.error:
        return _refusal(answer.error, push) or UserError(f'Kaggle refuses the session: "{answer.error.rstrip(".")}".')
    if answer.invalid_competition_sources:
        return _rules(push.competition)
    for kind in ("kernel", "dataset", "model"):
        if wrong := getattr(answer, f"invalid_{kind}_sources"):
            return UserError(f"Kaggle cannot attach {', '.join(wrong)}; it was deleted or is another person's.")
    return None


def _refusal(text: str, push: Push) -> Exception | None:
    """Return the remedy for what Kaggle says when it refuses a push; None where the text is none of the known ones."""
    lower = text.lower()
    quoted = f'Kaggle says: "{text.rstrip(".")}"'
    if "session count" in lower or "concurrent" in lower or "already running" in lower:
        return UserError(f"{quoted}; wait until one of your sessions ends: `python -m kit.remote --status`.")
    if "quota" in lower:
        return UserError(f"{quoted}; wait for the next week, or take --accelerator none.")
    if "phone" in lower or "verif" in lower:
        return UserError(f"{quoted}; verify your phone number at {PHONE}.")
    if "rules" in lower or "accept" in lower:
        return _rules(push.competition)
    if "too large" in lower or "too long" in lower or "too big" in lower or "maximum length" in lower:
        return UserError(f"{quoted}; keep large files out of kit/ and configs/.")
    return None


def _rules(competition: str) -> UserError:
    return UserError(
        f"Kaggle does not attach {competition}'s data; join the competition and accept its rules at "
        f"https://www.kaggle.com/competitions/{competition}/rules."
    )
