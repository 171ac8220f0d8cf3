"""The download of a competition's bundle: continued after an interruption, taken only when it is whole."""

import os
import pathlib
import sys
import zipfile
from collections.abc import Callable

from kit import locks
from kit.errors import Failure, UserError, printable
from kit.kaggle_client.connection import Kaggle
from kit.kaggle_client.retries import Retries

LARGEST = 1 << 32  # bytes of all members together; the largest bundle has a fifth of it, a zip bomb has more


def download(competition: str, folder: pathlib.Path, retries: Retries | None = None) -> pathlib.Path:
    """Fetch a competition's bundle, `<folder>/<competition>.zip`, unless it is there and whole.

    It grows in `<folder>/.download/` and is moved when its size is the announced one and every member's checksum is
    right; an interrupted download continues where it stopped. Progress is shown on stderr. A second process waits.

    Args:
        competition: Kaggle's name of the competition.
        folder: where the bundle belongs; made if it is not there.
        retries: pauses and time-outs, other than the usual ones.

    Returns:
        The bundle's path.

    Raises:
        UserError: no credentials or wrong ones, not joined, no room on the disk.
        Failure: Kaggle or the network fails, or what arrives is not a bundle; the half file is kept where the download
            can be continued.
    """
    folder = pathlib.Path(folder)
    bundle, half = folder / f"{competition}.zip", folder / ".download" / f"{competition}.zip"

    def waiting() -> None:
        print(f"another process is downloading into {folder}; waiting for it.", file=sys.stderr)

    with locks.locked(folder / ".download" / "lock", waiting):
        for path in (bundle, half):
            if os.path.lexists(path) and not path.is_file():
                raise UserError(f"{path} is not a file; move it away, so that the download can take its place.")
        if bundle.exists() and damage(bundle) is None:
            return bundle
        if not half.exists() or damage(half) is not None:
            kaggle = Kaggle(retries)
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
            members = archive.infolist()
            size = sum(member.file_size for member in members)
            if size > LARGEST:
                return f"it would unpack to {size:,} bytes"
            if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
                return "it is compressed otherwise than Kaggle's bundles"  # and may take gigabytes of memory a block
            wrong = archive.testzip()
            return f"{printable(wrong)} is damaged" if wrong else None
    except Exception as error:  # on damaged bytes zipfile and the decompressors raise a dozen kinds
        return printable(error) or type(error).__name__


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
        _continue(kaggle, competition, half, once)
        size, expected = _size(half), kaggle.client.expected_size
        wrong = damage(half) if size else "nothing arrived"
        if wrong is None and expected in (None, size):
            return
        page = size > 0 and _is_web_page(half)
        _discard(half)
        if last:
            raise Failure(
                f"what arrives for {competition} is not a whole zip: {'a web page' if page else f'{size:,} bytes'}, "
                f"{wrong}; is there a log-in page of this network in the way? Try again, or download it in a browser "
                f"from https://www.kaggle.com/competitions/{competition}/data into {half.parent.parent}."
            )
        print("the download is damaged; starting over.", file=sys.stderr)


def _continue(kaggle: Kaggle, competition: str, half: pathlib.Path, once: Callable[[], None]) -> None:
    """Call `once` until it ends well; while every round of attempts brings something, there is another round."""
    while True:
        before = _size(half)
        try:
            return kaggle.call(competition, once, progress=lambda: _size(half))
        except Failure:
            if _size(half) <= before:
                raise


def _is_web_page(path: pathlib.Path) -> bool:
    with path.open("rb") as file:
        return file.read(100).lstrip()[:1] == b"<"


def _size(path: pathlib.Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _discard(half: pathlib.Path) -> None:
    half.unlink(missing_ok=True)
    half.with_name(f"{half.name}.kaggle-partial").unlink(missing_ok=True)
