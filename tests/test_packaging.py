"""The kit installed: from a wheel, or editable from a checkout, into environments that have nothing else of it."""

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile

import pytest
import yaml

import kit
from kit import recipes

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILT_FROM = ("kit", "configs", "pyproject.toml", "hatch_build.py", "requirements.txt", "README.md", "LICENSE")
RECIPES = "; ".join(
    [
        "import kit.recipes as recipes",
        "print(recipes.names('digit-recognizer'), recipes.names('cifar-10'))",
        "print(recipes.resolve('digit-recognizer', None, {'model': 'resnet_small'}))",
    ]
)

pytest.importorskip("hatchling", reason="builds the wheel; tests/requirements.txt installs it")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what the package is built from, in a folder with the package's own name."""
    folder = tmp_path_factory.mktemp("parent") / "kit"
    folder.mkdir()
    for name in BUILT_FROM:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, checkout)
    (path,) = folder.iterdir()
    return path


class Environment:
    """A virtual environment that sees the packages of this one, but nothing of the kit."""

    def __init__(self, folder):
        venv.create(folder, with_pip=False, symlinks=os.name != "nt")
        self.folder, self.scripts = folder, folder / ("Scripts" if os.name == "nt" else "bin")
        self.variables = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib"), "PYTHONDONTWRITEBYTECODE": ""}

    def install(self, *arguments):
        pip("--python", self.folder, "install", "--no-deps", "--no-build-isolation", *arguments, env=self.variables)

    def run(self, program, *arguments, cwd):
        return subprocess.run(
            [self.scripts / program, *arguments],
            env=self.variables, cwd=cwd, capture_output=True, text=True, timeout=120, check=True,
        ).stdout  # fmt: skip

    def files(self):
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def environment(tmp_path):
    return Environment(tmp_path / "environment")


def pip(*arguments, env=None):
    call = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    subprocess.run(call, check=True, timeout=300, capture_output=True, env=env)


def in_this_checkout(tmp_path):
    return subprocess.run([sys.executable, "-c", RECIPES], cwd=tmp_path, capture_output=True, text=True).stdout


def test_a_wheel_has_all_of_the_package_and_nothing_else(wheel):
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = subprocess.run(["git", "ls-files", "kit", "configs"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    wanted = {f"kit/{name}" if name.startswith("configs/") else name for name in tracked.stdout.splitlines()}
    assert wanted <= inside
    assert {name.partition("/")[0] for name in inside} == {"kit"}
    assert not any("test" in pathlib.PurePath(name).name for name in inside)


def test_a_wheel_installs_the_commands_and_the_recipes_and_uninstalls_them(wheel, environment, tmp_path):
    before = environment.files()
    environment.install(wheel)
    assert environment.run("kit", "--version", cwd=tmp_path) == f"kit {kit.__version__}\n"
    assert "kit.train" in environment.run("python", "-m", "kit", cwd=tmp_path)
    assert "--epochs" in environment.run("kit", "train", "--help", cwd=tmp_path)
    printed = environment.run("python", "-c", RECIPES, cwd=tmp_path)
    assert printed == in_this_checkout(tmp_path)
    assert repr(recipes.names("digit-recognizer")) in printed
    pip("--python", environment.folder, "uninstall", "--yes", "kaggle-submission-kit")
    assert environment.files() == before


def test_an_editable_installation_works_from_any_folder(checkout, environment, tmp_path):
    """Beside a checkout called `kit`, too, where Python meets that folder first."""
    environment.install("--editable", checkout)
    for folder in (tmp_path, checkout, checkout.parent):
        assert environment.run("python", "-c", RECIPES, cwd=folder) == in_this_checkout(tmp_path)
        assert environment.run("python", "-c", "import kit; print(kit.__file__)", cwd=folder).startswith(str(checkout))


def test_what_a_wheel_asks_for_is_what_requirements_txt_says(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith("METADATA")]
    fields = [line.partition(": ") for line in archive.read(name).decode().split("\n\n")[0].splitlines()]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert {value for field, _, value in fields if field == "Requires-Dist"} == {
        line for line in lines if line and not line.startswith("#")
    }
    assert {field: value for field, _, value in fields}["Version"] == kit.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"


def test_the_files_around_the_code_agree_with_it():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == kit.__version__
    assert f"## [{kit.__version__}] - {citation['date-released']}" in (ROOT / "CHANGELOG.md").read_text(
        encoding="utf-8"
    )
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
    for platform in jobs["platforms"]["strategy"]["matrix"]["include"]:
        assert (ROOT / "tests" / f"constraints-{platform['name']}.txt").exists()
    lowest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert jobs["test"]["strategy"]["matrix"]["python"][0] == lowest


def test_the_oldest_versions_are_the_lower_bounds():
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    oldest = (ROOT / "tests" / "constraints-oldest.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in oldest if not line.startswith("#"))
    bounds = dict(line.split(">=") for line in lines)
    assert pinned.keys() == bounds.keys()
    for name, bound in bounds.items():
        assert f"{pinned[name]}.".startswith(f"{bound}."), name
