import base64
import json
import os
import subprocess
import sys
import types

import pytest
from kaggle_stand_in import KEY, TOKEN, USER

from kit import kaggle_client
from kit.kaggle_client import credentials

BASIC = "Basic " + base64.b64encode(f"{USER}:{KEY}".encode()).decode()
JSON = json.dumps({"username": USER, "key": KEY})


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home with no credentials."""
    for name in list(os.environ):
        if name.startswith(("KAGGLE_", "XDG_CONFIG_HOME")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


def save(path, text: str, mode: int = 0o600):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def found() -> list[tuple[str, str]]:
    return [(one.place, one.authorization) for one in credentials.search()[0]]


def test_none():
    assert not kaggle_client.has_credentials()


def test_token_in_the_environment(monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", f" {TOKEN}\n")
    assert found() == [("KAGGLE_API_TOKEN", f"Bearer {TOKEN}")]
    assert kaggle_client.has_credentials()


def test_token_in_a_file_named_by_the_environment(monkeypatch, home):
    monkeypatch.setenv("KAGGLE_API_TOKEN", str(save(home / "elsewhere", TOKEN + "\n")))
    assert found() == [("KAGGLE_API_TOKEN", f"Bearer {TOKEN}")]


def test_a_token_longer_than_any_file_name(monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "x" * 5000)
    assert found() == [("KAGGLE_API_TOKEN", "Bearer " + "x" * 5000)]


@pytest.mark.parametrize("name", ["access_token", "access_token.txt"])
def test_token_file(home, name):
    path = save(home / ".kaggle" / name, TOKEN + "\r\n")
    assert found() == [(str(path), f"Bearer {TOKEN}")]


def test_the_token_of_a_kaggle_notebook(monkeypatch, home):
    monkeypatch.setenv("KAGGLE_API_V1_TOKEN", str(save(home / "token", TOKEN)))
    assert found() == [("KAGGLE_API_V1_TOKEN", f"Bearer {TOKEN}")]


def test_user_name_and_key_in_the_environment(monkeypatch):
    monkeypatch.setenv("KAGGLE_USERNAME", USER)
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    assert found() == [("KAGGLE_USERNAME and KAGGLE_KEY", BASIC)]


@pytest.mark.parametrize("folder", [".kaggle", ".config/kaggle"])
def test_kaggle_json_at_home(home, folder):
    path = save(home / folder / "kaggle.json", JSON)
    assert found() == [(str(path), BASIC)]


def test_kaggle_json_where_the_environment_says(monkeypatch, home):
    save(home / ".kaggle" / "kaggle.json", '{"username": "another", "key": "k"}')
    path = save(home / "configured" / "kaggle.json", "\ufeff" + JSON)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(home / "configured"))
    assert found() == [(str(path), BASIC)]


def test_the_environment_over_kaggle_json(monkeypatch, home):
    save(home / ".kaggle" / "kaggle.json", '{"username": "another", "key": "k"}')
    monkeypatch.setenv("KAGGLE_USERNAME", USER)
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    assert found() == [("KAGGLE_USERNAME and KAGGLE_KEY", BASIC)]


def test_oauth_log_in(home):
    path = save(home / ".kaggle" / "credentials.json", '{"refresh_token": "refresh", "access_token": ""}')
    (one,) = credentials.search()[0]
    assert (one.place, one.oauth) == (str(path), True)


def colab(monkeypatch, secrets: dict) -> None:
    def get(name):
        if name not in secrets:
            raise KeyError(name)
        return secrets[name]

    module = types.ModuleType("google.colab")
    module.userdata = types.SimpleNamespace(get=get)
    monkeypatch.setitem(sys.modules, "google.colab", module)


def test_colab_token(monkeypatch):
    colab(monkeypatch, {"KAGGLE_API_TOKEN": TOKEN})
    assert found() == [("Colab's secret KAGGLE_API_TOKEN", f"Bearer {TOKEN}")]


def test_colab_user_name_and_key(monkeypatch):
    colab(monkeypatch, {"KAGGLE_USERNAME": USER, "KAGGLE_KEY": KEY})
    assert found() == [("Colab's secrets KAGGLE_USERNAME and KAGGLE_KEY", BASIC)]


def test_colab_is_not_asked_where_there_is_something(monkeypatch):
    colab(monkeypatch, {})
    monkeypatch.setattr(sys.modules["google.colab"].userdata, "get", lambda name: pytest.fail("asked"))
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    assert kaggle_client.has_credentials()


def test_colab_secrets_are_handed_to_child_processes(monkeypatch):
    for name in credentials.COLAB_SECRETS:
        monkeypatch.setenv(name, "")
    assert not kaggle_client.hand_over_colab_secrets()
    colab(monkeypatch, {"KAGGLE_USERNAME": USER, "KAGGLE_KEY": KEY})
    assert kaggle_client.hand_over_colab_secrets()
    assert (os.environ["KAGGLE_USERNAME"], os.environ["KAGGLE_KEY"]) == (USER, KEY)
    assert not os.environ["KAGGLE_API_TOKEN"]


def test_the_order_is_the_official_client_s(monkeypatch, home):
    save(home / ".kaggle" / "access_token", "in-file")
    save(home / ".kaggle" / "kaggle.json", JSON)
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    assert [authorization for _, authorization in found()] == [f"Bearer {TOKEN}", "Bearer in-file", BASIC]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("kaggle.json", "{"),
        ("kaggle.json", "[]"),
        ("kaggle.json", "[" * 100_000),
        ("kaggle.json", '{"username": "a"}'),
        ("kaggle.json", '{"username": "a", "key": 3}'),
        ("access_token", "two words"),
        ("access_token", "schlüssel"),
        ("access_token", "x" * 100_000),
        ("credentials.json", "{}"),
        ("credentials.json", '{"refresh_token": ""}'),
        ("credentials.json", '{"refresh_token": "secret", "access_token": 3}'),
    ],
)
def test_damaged_files_are_named_without_what_is_in_them(home, capsys, name, content):
    save(home / ".kaggle" / name, content)
    assert not kaggle_client.has_credentials()
    (line,) = capsys.readouterr().err.splitlines()
    assert name in line
    assert not any(secret in line for secret in ("two words", "schlüssel", "xxx", "secret"))


def test_binary_and_unreadable_files_are_named(home, capsys):
    save(home / ".kaggle" / "kaggle.json", "").write_bytes(b"\xff\xfe\x00")
    (home / ".kaggle" / "access_token").mkdir()
    assert not kaggle_client.has_credentials()
    shown = capsys.readouterr().err
    assert "kaggle.json cannot be read" in shown
    assert "access_token cannot be read" in shown


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes among its files")
@pytest.mark.parametrize("where", ["file", "environment"])
def test_pipes_are_not_waited_for(home, capsys, monkeypatch, where):
    path = home / ".kaggle" / "access_token"
    path.parent.mkdir()
    os.mkfifo(path)
    if where == "environment":
        monkeypatch.setenv("KAGGLE_API_TOKEN", str(path))
    assert not kaggle_client.has_credentials()
    assert "access_token cannot be read" in capsys.readouterr().err


def test_a_user_without_a_home_has_the_environment(monkeypatch):
    """As in `docker run -u 1234`: no HOME, and no entry in the password file."""

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(credentials.pathlib.Path, "home", no_home)
    assert not kaggle_client.has_credentials()
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    assert found() == [("KAGGLE_API_TOKEN", f"Bearer {TOKEN}")]


def test_names_that_are_not_utf_8_are_sent_as_they_are(monkeypatch):
    monkeypatch.setenv("KAGGLE_USERNAME", "na\udcefve")
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    expected = "Basic " + base64.b64encode(b"na\xefve:" + KEY.encode()).decode()
    assert found() == [("KAGGLE_USERNAME and KAGGLE_KEY", expected)]


def test_half_of_a_pair_is_named(monkeypatch, capsys):
    monkeypatch.setenv("KAGGLE_USERNAME", USER)
    assert not kaggle_client.has_credentials()
    assert "KAGGLE_KEY is not" in capsys.readouterr().err


def test_a_key_without_a_name_is_not_shown(monkeypatch, capsys):
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    assert not kaggle_client.has_credentials()
    assert KEY not in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_files_that_others_can_read_are_warned_of(home):
    path = save(home / ".kaggle" / "kaggle.json", JSON, 0o644)
    assert f"chmod 600 {path}" in credentials.search()[0][0].warning()
    path.chmod(0o600)
    assert credentials.search()[0][0].warning() is None


def test_secrets_are_in_no_repr_and_taken_out_of_texts(monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    monkeypatch.setenv("KAGGLE_USERNAME", USER)
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    all_of_them = credentials.search()[0]
    assert len(all_of_them) == 2
    assert TOKEN not in repr(all_of_them)
    assert KEY not in repr(all_of_them)
    text = f"{TOKEN} {BASIC} for url: https://storage.test/a/b.zip?X-Signature=abc&x=1 is refused"
    redacted = credentials.redact(text, all_of_them)
    assert redacted == "*** Basic *** for url: https://storage.test/a/b.zip?… is refused"


def test_asking_for_credentials_imports_neither_kaggle_nor_requests(home):
    script = "import sys, kit.kaggle_client as k; k.has_credentials(); print({'kaggle', 'requests'} & {*sys.modules})"
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "set()\n"
    )
    assert not list(home.iterdir())
