"""The calls of Kaggle's API that the kit makes, as the official client makes them; the guard keeps their answers."""

import pathlib
import sys
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
