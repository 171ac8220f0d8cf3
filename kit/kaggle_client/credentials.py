"""Which Kaggle credentials this person has: every form that the official client takes, and Colab's secrets.

Nothing here goes to the network or imports `kaggle`. A credential's secret is in no `repr` and no message.
"""

import base64
import json
import os
import pathlib
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

TOKEN_PAGE = "https://www.kaggle.com/settings/api"
COLAB_SECRETS = ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY")
LARGEST = 1 << 16  # bytes of a file of credentials; real ones have some hundred


@dataclass(frozen=True)
class Credential:
    """One way to prove to Kaggle who one is.

    Attributes:
        place: where it was found, for the person who put it there.
        file: the file that holds it, or None.
        authorization: the value of the Authorization header; empty for OAuth, which first asks Kaggle for one.
        secrets: every text that must never be shown.
    """

    place: str
    file: pathlib.Path | None
    authorization: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    @property
    def oauth(self) -> bool:
        """Whether this is the log-in that `kaggle auth login` leaves."""
        return not self.authorization

    def warning(self) -> str | None:
        """Say how to protect a file that other people on this machine can read; None where it is protected."""
        if self.file is None or os.name == "nt":
            return None
        try:
            readable = self.file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
        except OSError:  # removed a moment ago
            return None
        return f"{self.file} can be read by other users: `chmod 600 {self.file}`." if readable else None


class Unusable(Exception):
    """A credential is there but cannot be used; the text says why, without the secret."""


def search() -> tuple[list[Credential], list[str]]:
    """Return the credentials in the order in which the official client takes them, and why others cannot be used."""
    found: list[Credential] = []
    unusable: list[str] = []
    for form in (_notebook_token, _token_variable, _token_files, _key, _oauth, _colab):
        if found and form is _colab:
            break  # Colab asks the person in front of it
        try:
            found.extend(form())
        except Unusable as reason:
            unusable.append(str(reason))
    return found, unusable


def has_credentials() -> bool:
    """Say whether there are Kaggle credentials in any form; asks neither the network nor the `kaggle` package.

    What is there and cannot be used (a damaged kaggle.json, a name without a key) is named on stderr.
    """
    found, unusable = search()
    if not found:
        for reason in unusable:
            print(f"note: {reason}", file=sys.stderr)
    return bool(found)


def hand_over_colab_secrets() -> bool:
    """Put Colab's secrets into this process's environment, so that the commands it starts (`!python -m …`) have them.

    Returns:
        Whether there is now a token, or a user name with a key, in the environment.
    """
    for name in COLAB_SECRETS:
        value = os.environ.get(name) or _colab_secret(name)
        if value:
            os.environ[name] = value
    return bool(os.environ.get("KAGGLE_API_TOKEN")) or all(os.environ.get(name) for name in COLAB_SECRETS[1:])


def redact(text: str, credentials: list[Credential]) -> str:
    """Return `text` without any credential's secret, and without the queries of URLs, which may be signed."""
    for credential in credentials:
        for secret in credential.secrets:
            text = text.replace(secret, "***")
    return re.sub(r"(https?://[^\s?'\"<>]+)\?[^\s'\"<>)]+", r"\1?…", text)


def _token(place: str, value: str, file: pathlib.Path | None = None) -> Credential:
    if not value.isascii() or not value.isprintable() or " " in value:
        raise Unusable(f"{place} does not hold an access token, which is one word; make a new one at {TOKEN_PAGE}.")
    return Credential(place, file, f"Bearer {value}", (value,))


def _notebook_token() -> Iterator[Credential]:
    path = os.environ.get("KAGGLE_API_V1_TOKEN")
    if path and (value := _read(pathlib.Path(path))):
        yield _token("KAGGLE_API_V1_TOKEN", value)


def _token_variable() -> Iterator[Credential]:
    value = os.environ.get("KAGGLE_API_TOKEN", "").strip()
    if not value:
        return
    if os.path.exists(value):
        value = _read(pathlib.Path(value))
        if not value:
            raise Unusable(f"KAGGLE_API_TOKEN names an empty file; save the token there, or make one at {TOKEN_PAGE}.")
    yield _token("KAGGLE_API_TOKEN", value)


def _token_files() -> Iterator[Credential]:
    for path in _at_home("access_token", "access_token.txt"):
        if value := _read(path):
            yield _token(str(path), value, path)
            return


def _key() -> Iterator[Credential]:
    file, saved = _kaggle_json()
    user = os.environ.get("KAGGLE_USERNAME", "").strip() or saved.get("username")
    key = os.environ.get("KAGGLE_KEY", "").strip() or saved.get("key")
    if not user and not key:
        return
    if not user or not key:
        there, missing = ("KAGGLE_USERNAME", "KAGGLE_KEY") if user else ("KAGGLE_KEY", "KAGGLE_USERNAME")
        raise Unusable(f"{there} is set and {missing} is not; set both, or make a token at {TOKEN_PAGE}.")
    from_file = key == saved.get("key")
    basic = _basic(user, key)
    place = str(file) if from_file else "KAGGLE_USERNAME and KAGGLE_KEY"
    yield Credential(place, file if from_file else None, f"Basic {basic}", (key, basic))


def _basic(user: str, key: str) -> str:
    return base64.b64encode(f"{user}:{key}".encode(errors="surrogateescape")).decode()


def _kaggle_json() -> tuple[pathlib.Path | None, dict]:
    for path in _places_of_kaggle_json():
        text = _read(path)
        if not text:
            continue
        try:
            saved = json.loads(text)
            return path, {name: saved[name].strip() for name in ("username", "key")}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Unusable(
                f"{path} is not the file that Kaggle gives, {{'username': …, 'key': …}}; get a new one at {TOKEN_PAGE}."
            ) from None
    return None, {}


def _places_of_kaggle_json() -> list[pathlib.Path]:
    if configured := os.environ.get("KAGGLE_CONFIG_DIR"):
        return [pathlib.Path(configured) / "kaggle.json"]
    if configured := os.environ.get("XDG_CONFIG_HOME"):
        return [*_at_home("kaggle.json"), pathlib.Path(configured) / "kaggle" / "kaggle.json"]
    return [*_at_home("kaggle.json"), *_at_home("kaggle.json", folder=".config/kaggle")]


def _oauth() -> Iterator[Credential]:
    for path in _at_home("credentials.json"):
        text = _read(path)
        if not text:
            return
        try:
            saved = json.loads(text)
            secrets = [saved["refresh_token"], saved.get("access_token") or saved["refresh_token"]]
            if not all(isinstance(secret, str) and secret for secret in secrets):
                raise ValueError
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Unusable(f"{path} is damaged; run `kaggle auth login` again.") from None
        yield Credential(str(path), path, "", tuple(secrets))


def _colab() -> Iterator[Credential]:
    token, user, key = (_colab_secret(name) for name in COLAB_SECRETS)
    if token:
        yield _token("Colab's secret KAGGLE_API_TOKEN", token)
    if user and key:
        basic = _basic(user, key)
        yield Credential("Colab's secrets KAGGLE_USERNAME and KAGGLE_KEY", None, f"Basic {basic}", (key, basic))


def _colab_secret(name: str) -> str:
    try:
        from google.colab import userdata  # type: ignore[import-untyped, import-not-found, unused-ignore]

        return (userdata.get(name) or "").strip()
    except Exception:  # no Colab, no such secret, not granted to this notebook, no kernel in a child process
        return ""


def _read(path: pathlib.Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            raise Unusable(f"{path} cannot be read (it is not a file of credentials).")
        return path.read_text(encoding="utf-8-sig").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        raise Unusable(f"{path} cannot be read ({getattr(error, 'strerror', None) or 'it is not text'}).") from None


def _at_home(*names: str, folder: str = ".kaggle") -> list[pathlib.Path]:
    """Return these files in the person's home; none for somebody without one, as in `docker run -u 1234`."""
    try:
        return [pathlib.Path.home() / folder / name for name in names]
    except RuntimeError:
        return []
