"""The download of a competition's bundle: gone on with after an interruption, taken only when it is whole."""

import os
import pathlib
import sys
import zipfile
import zlib
from collections.abc import Callable

from kit import locks
from kit.errors import Failure
from kit.kaggle_client.connection import Kaggle
from kit.kaggle_client.retries import RETRIES, Retries


def download(competition: str, folder: pathlib.Path, patience: Retries = RETRIES) -> pathlib.Path:
    """Fetch a competition's bundle, `<folder>/<competition>.zip`, unless it is there and whole.

    It grows in `<folder>/.download/` and is moved when its size is the announced one and every member's checksum is
    right; an interrupted download goes on where it stopped. Progress is shown on stderr. A second process waits.

    Args:
        competition: Kaggle's name of the competition.
        folder: where the bundle belongs; made if it is not there.
        patience: pauses and time-outs.

    Returns:
        The bundle's path.

    Raises:
        UserError: no credentials or wrong ones, not joined, no room on the disk.
        Failure: Kaggle or the network fails, or what arrives is no bundle; the half file is kept where it can be
            gone on with.
    """
    folder = pathlib.Path(folder)
    bundle, half = folder / f"{competition}.zip", folder / ".download" / f"{competition}.zip"

    def waiting() -> None:
        print(f"another process is downloading into {folder}; waiting for it.", file=sys.stderr)

    with locks.locked(folder / ".download" / "lock", waiting):
        if bundle.exists() and damage(bundle) is None:
            return bundle
        if not half.exists() or damage(half) is not None:
            kaggle = Kaggle(patience)
            print(f"downloading {competition} from Kaggle into {folder}", file=sys.stderr)
            _fetch(kaggle, competition, half)
        with half.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(half, bundle)
    return bundle


def damage(path: pathlib.Path) -> str | None:
    """Open a zip and check every member; return what is wrong with it, None where it is whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
            return f"{wrong} is damaged" if wrong else None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        return str(error)


def _fetch(kaggle: Kaggle, competition: str, half: pathlib.Path) -> None:
    """Download into `half` until it is whole; what cannot become whole is deleted."""
    kaggle.client.bundle = half

    def once() -> None:
        import requests

        try:
            kaggle.client.competition_download_files(competition, path=str(half.parent), quiet=False)
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == 416:
                _discard(half)  # there is more than Kaggle has now
            raise

    for last in (False, True):
        _go_on(kaggle, competition, half, once)
        size, expected = half.stat().st_size, kaggle.client.expected_size
        wrong = damage(half)
        if wrong is None and expected in (None, size):
            return
        with half.open("rb") as file:
            page = file.read(100).lstrip()[:1] == b"<"
        _discard(half)
        if last:
            raise Failure(
                f"what arrives for {competition} is no whole zip: {'a web page' if page else f'{size:,} bytes'}, "
                f"{wrong}; is there a log-in page of this network in the way? Try again, or download it in a browser "
                f"from https://www.kaggle.com/competitions/{competition}/data into {half.parent.parent}."
            )
        print("the download is damaged; starting over.", file=sys.stderr)


def _go_on(kaggle: Kaggle, competition: str, half: pathlib.Path, once: Callable[[], None]) -> None:
    """Call `once` until it ends well; while every round of attempts brings something, there is another round."""
    while True:
        before = _size(half)
        try:
            return kaggle.call(competition, once)
        except Failure:
            if _size(half) <= before:
                raise


def _size(path: pathlib.Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _discard(half: pathlib.Path) -> None:
    half.unlink(missing_ok=True)
    half.with_name(f"{half.name}.kaggle-partial").unlink(missing_ok=True)
