"""The official `kaggle` client, imported without its side effects."""

import contextlib
import functools
import io
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from kit.errors import Failure, UserError
from kit.kaggle_client.retries import Retries

# Read by the client while it is imported: it would log in, print the Authorization header, or look for a token.
READ_AT_IMPORT = (
    "KAGGLE_API_TOKEN",
    "KAGGLE_API_V1_TOKEN",
    "KAGGLE_KERNEL_RUN_TYPE",
    "KAGGLE_ENABLE_OAUTH",
    "VERBOSE",
    "VERBOSE_OUTPUT",
)
CHUNK = 1 << 16  # bytes; what a broken connection loses at most


def stand_in() -> bool:
    """Say whether the tests have set http://localhost in Kaggle's place.

    Raises:
        UserError: KAGGLE_API_ENVIRONMENT is set to anything else.
    """
    environment = os.environ.get("KAGGLE_API_ENVIRONMENT") or "PROD"
    if environment not in ("PROD", "LOCALHOST"):
        raise UserError(f"KAGGLE_API_ENVIRONMENT is {environment!r}, which is not Kaggle; unset it.")
    return environment == "LOCALHOST"


@functools.cache
def client_class() -> type:
    """Import the client and return its `KaggleApi`.

    Importing it logs in over the network, makes a configuration folder, prints help on stdout and, up to 2.0, ends
    the process where there are no credentials. So it is imported with an empty home and a made-up name, and let go
    again afterwards: a later `import kaggle` of someone else finds it as if the kit had not been here.

    Raises:
        UserError: the package is missing.
        Failure: it cannot be imported.
    """
    there = "kaggle" in sys.modules
    try:
        with contextlib.nullcontext() if there else _empty_home(), contextlib.redirect_stdout(io.StringIO()):
            from kaggle.api.kaggle_api_extended import KaggleApi
    except ModuleNotFoundError as error:
        raise UserError(f"the package {error.name} is missing: `python -m pip install -r requirements.txt`.") from None
    except (Exception, SystemExit) as error:  # 2.0 ends the process; parts of different versions raise anything
        raise Failure(
            f"the kaggle client cannot be imported ({type(error).__name__}); update it: "
            "`python -m pip install -U kaggle`."
        ) from None
    if not there:
        for name in [name for name in sys.modules if name.partition(".")[0] == "kaggle"]:
            del sys.modules[name]
    return KaggleApi


def build(retries: Retries, local: bool) -> Any:
    """Return a client that knows no credential (the guard adds it) and repeats nothing by itself.

    Its `bundle` is where the next download goes, and its `expected_size` what Kaggle announced of the last one, bytes
    or None.
    """

    base: Any = client_class()

    class Client(base):
        args = ["--local"] if local else []
        bundle: pathlib.Path
        expected_size: int | None = None

        def download_file(
            self, response: Any, outfile: str, http_client: Any, quiet: bool = True, resume: bool = False, **_: Any
        ) -> Any:
            length = response.headers.get("Content-Length", "")
            self.expected_size = int(length) if length.isascii() and length.isdigit() and len(length) < 19 else None
            _check_space(self.bundle, self.expected_size)
            return super().download_file(
                response, str(self.bundle), http_client, quiet, True, CHUNK, max_retries=0, timeout=retries.read
            )

    client = Client()
    # With a token given, the client does not look for one; the guard takes it off every request.
    client.config_values = {"token": "none", "username": "none"}
    return client


def _check_space(path: pathlib.Path, size: int | None) -> None:
    there = path.stat().st_size if path.exists() else 0
    free = shutil.disk_usage(path.parent).free
    if size and size - there > free:
        raise UserError(
            f"{path.parent} has {free / 1e6:.0f} MB free and the download needs {(size - there) / 1e6:.0f} MB more; "
            "make room, or choose another place with --data-dir."
        )


@contextlib.contextmanager
def _empty_home() -> Iterator[None]:
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as home:
        for name in READ_AT_IMPORT:
            os.environ.pop(name, None)
        os.environ.update(HOME=home, USERPROFILE=home, KAGGLE_CONFIG_DIR=home)
        os.environ.update(KAGGLE_USERNAME="none", KAGGLE_KEY="none")
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
