"""The calls of Kaggle's API that the kit makes, as the official client makes them; the guard keeps their answers."""

import pathlib
import sys
from collections.abc import Callable
from typing import Any


def list_submissions(client: Any, competition: str, page: int, size: int) -> None:
    """Ask for a page of the person's submissions, newest first, pages counted from 1."""
    client.competition_submissions(competition, page_number=page, page_size=size)


def get_submission_limits(client: Any, competition: str) -> None:
    """Ask how many submissions are left today; `KaggleApi` itself has this call only since 2.1."""
    from kagglesdk.competitions.types.competition_api_service import ApiGetSubmissionLimitsRequest

    request = ApiGetSubmissionLimitsRequest()
    request.competition_name = competition
    with client.build_kaggle_client() as kaggle:
        kaggle.competitions.competition_api_client.get_submission_limits(request)


def upload(client: Any, path: pathlib.Path, competition: str) -> None:
    """Ask for a place for a file, and upload it there. The client does not raise if that fails: see the answer."""
    from kagglesdk.competitions.types.competition_api_service import ApiStartSubmissionUploadRequest

    status = path.stat()
    request = ApiStartSubmissionUploadRequest()
    request.competition_name = competition
    request.file_name = path.name
    request.content_length = status.st_size
    request.last_modified_epoch_seconds = int(status.st_mtime)
    with client.build_kaggle_client() as kaggle:
        place = kaggle.competitions.competition_api_client.start_submission_upload(request)
    client.upload_complete(str(path), place.create_url, quiet=not sys.stderr.isatty())


def create_submission(client: Any, token: str, message: str, competition: str) -> None:
    """Submit an uploaded file."""
    from kagglesdk.competitions.types.competition_api_service import ApiCreateSubmissionRequest

    request = ApiCreateSubmissionRequest()
    request.competition_name = competition
    request.blob_file_tokens = token
    request.submission_description = message
    with client.build_kaggle_client() as kaggle:
        kaggle.competitions.competition_api_client.create_submission(request)


def generate_access_token(client: Any) -> None:
    """Ask for the access token that belongs to the log-in left by `kaggle auth login`."""
    from kagglesdk import KaggleCredentials

    with client.build_kaggle_client() as kaggle:
        KaggleCredentials.load(client=kaggle).generate_access_token()


def introspect_token(client: Any, token: str) -> None:
    """Ask whose access token it is."""
    from kagglesdk.security.types.oauth_service import IntrospectTokenRequest

    request = IntrospectTokenRequest()
    request.token = token
    with client.build_kaggle_client() as kaggle:
        kaggle.security.oauth_client.introspect_token(request)


def save_kernel(client: Any, fields: dict[str, Any]) -> None:
    """Push a kernel: save a version of it and run it."""
    from kagglesdk.kernels.types.kernels_api_service import ApiSaveKernelRequest

    request = ApiSaveKernelRequest()
    for name, value in fields.items():
        setattr(request, name, value)
    with client.build_kaggle_client() as kaggle:
        kaggle.kernels.kernels_api_client.save_kernel(request)


def kernel_status(client: Any, owner: str, slug: str, version: int | None) -> None:
    """Ask how far a kernel's session is."""
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelSessionStatusRequest

    request = _of_version(ApiGetKernelSessionStatusRequest(), owner, slug, version)
    with client.build_kaggle_client() as kaggle:
        kaggle.kernels.kernels_api_client.get_kernel_session_status(request)


def kernel_output(client: Any, owner: str, slug: str, version: int | None, size: int, token: str) -> None:
    """Ask for a page of the files that a kernel's session has left."""
    from kagglesdk.kernels.types.kernels_api_service import ApiListKernelSessionOutputRequest

    request = _of_version(ApiListKernelSessionOutputRequest(), owner, slug, version)
    request.page_size = size
    if token:
        request.page_token = token
    with client.build_kaggle_client() as kaggle:
        kaggle.kernels.kernels_api_client.list_kernel_session_output(request)


def accelerator_quota(client: Any) -> None:
    """Ask how much of the week's quota is used; older clients do not know the call."""
    from kagglesdk.kernels.types import kernels_api_service

    request = kernels_api_service.ApiGetAcceleratorQuotaStatisticsRequest()
    with client.build_kaggle_client() as kaggle:
        kaggle.kernels.kernels_api_client.get_accelerator_quota_statistics(request)


def has_log_stream(client: Any) -> bool:
    """Say whether this version of the client can follow a log; older ones cannot."""
    return hasattr(client, "kernels_logs_stream")


def stream_log(client: Any, kernel: str, version: int | None, handle: Callable[[dict], None]) -> None:
    """Hand over each event of a kernel's log, from the first one, until the session ends."""
    named = version and hasattr(client, "_kernel_version_label")
    for event in client.kernels_logs_stream(f"{kernel}/{version}" if named else kernel):
        handle(event)


def _of_version(request: Any, owner: str, slug: str, version: int | None) -> Any:
    """Name kernel and version; the label is "v2", and older clients know no versions."""
    request.user_name, request.kernel_slug = owner, slug
    if version and hasattr(request, "version_label"):
        request.version_label = f"v{version}"
    return request
