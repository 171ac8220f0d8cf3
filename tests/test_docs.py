"""The documentation holds: links lead somewhere, commands are accepted, snippets run, tables are what the CSVs give."""

import argparse
import importlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import bundles
import numpy as np
import pytest
import yaml

from docs import build
from kit import competitions, recipes
from kit.recipes import flags, plan

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md")), ROOT / "submissions" / "README.md"]
VERBS = (
    *("new", "download", "train", "remote", "runs", "evaluate", "predict", "ensemble", "submit", "demo"),
    *("export", "benchmark", "zoo"),
)
IN_PACKAGE = ("remote", "ensemble", "demo", "export", "zoo")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OTHER_PROGRAMS = ("cd", "git", "make", "source", "pip")

PRIVATE_WORDS = re.compile(
    r"from[ _]chance|\bthaw|chances|certainty|too (careful|sure)|seen_as|\blooks?:|\bviews\b|\bpictures?\b|\bbends?\b|"
    r"keeper|EpochEnd|memory at most|on_demand|anatomy|\bjudged|\bjudging|\bjoining|is no (CSV|file|run)|"
    r"slow down|what was seen|--average|\bkeep: (last|best)|course of the rate|spread of the pushes|canvas",
    re.IGNORECASE,
)


def identity(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: pathlib.Path, language: str) -> list[str]:
    return [code for name, code in FENCE.findall(path.read_text(encoding="utf-8")) if name == language]


def prose(path: pathlib.Path) -> str:
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: pathlib.Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    for link in links:
        if link.startswith(("https://", "http://")):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


def test_every_page_is_listed():
    listed = set(re.findall(r"\]\(([\w-]+\.md)", (ROOT / "docs" / "index.md").read_text(encoding="utf-8")))
    assert listed == {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").split()) <= 900


@pytest.mark.parametrize("path", [*PAGES, *sorted((ROOT / "configs").rglob("*.yaml"))], ids=identity)
def test_only_words_of_the_field(path):
    found = PRIVATE_WORDS.search(path.read_text(encoding="utf-8"))
    assert not found, found[0]


@pytest.mark.parametrize("page", build.pages(), ids=identity)
def test_tables_are_what_the_csv_files_give(page):
    text = page.read_text(encoding="utf-8")
    assert build.rendered(text) == text, "run `python -m docs.build`"


def test_results_name_networks_and_recipes_that_exist():
    from kit import zoo

    assert {row["network"] for row in build.rows("networks")} <= set(zoo.names())
    for table, competition in (("digits", "digit-recognizer"), ("cifar-10", "cifar-10")):
        assert {row["recipe"].split(",")[0] for row in build.rows(table)} <= set(recipes.names(competition))
    machines = {row["machine"] for row in build.rows("machines")}
    for table in ("digits", "cifar-10", "time-to-accuracy"):
        assert {row["machine"] for row in build.rows(table)} <= machines


@pytest.mark.parametrize(("table", "competition"), [("digits", "digit-recognizer"), ("cifar-10", "cifar-10")])
def test_recipes_say_the_accuracy_of_the_results(table, competition):
    for row in build.rows(table):
        path = recipes.folder(competition) / f"{row['recipe']}.yaml"
        header = path.read_text(encoding="utf-8") if path.exists() else ""
        assert not header or f"{float(row['accuracy']):.2f}" in header, row["recipe"]


def test_the_architecture_is_the_contract():
    (layers,) = (
        contract["layers"]
        for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    documented = [
        set(re.findall(r"`(\w+)`", first)) for first in re.findall(r"^\| ((?:`\w+` ?)+) \|", page, re.MULTILINE)
    ]
    assert documented == [set(re.findall(r"\w+", layer)) for layer in layers]


def commands(path: pathlib.Path) -> list[str]:
    """Every command of a page's shell blocks, and of its text where it stands in backticks."""
    lines = [line for block in blocks(path, "bash") for line in block.replace("\\\n", " ").splitlines()]
    inline = [" ".join(code.split()) for code in re.findall(r"`(python -m kit[^`]*)`", prose(path))]
    return [" ".join(parts) for line in [*lines, *inline] if (parts := shlex.split(line, comments=True))]


def command_module(verb: str):
    return importlib.import_module(f"kit.{verb}.__main__" if verb in IN_PACKAGE else f"kit.{verb}")


class Parsed(BaseException):
    """Ends a command when its flags are parsed."""


@pytest.fixture
def parse(monkeypatch):
    """A function that parses a command's arguments as the command does, and returns them."""
    original = argparse.ArgumentParser.parse_args

    def parse_args(parser, *positional, **named):
        raise Parsed(parser, original(parser, *positional, **named))

    def parsed(verb, arguments):
        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
        with pytest.raises(Parsed) as caught:
            command_module(verb).main(arguments)
        return caught.value.args

    return parsed


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_every_command_is_accepted(page, parse, capsys):
    for command in commands(page):
        program, *arguments = shlex.split(command)
        if program in OTHER_PROGRAMS:
            assert program != "make" or all(f"\n{target}:" in (ROOT / "Makefile").read_text() for target in arguments)
            continue
        assert program == "python", command
        assert arguments[0] == "-m", command
        package, _, verb = arguments[1].partition(".")
        if package != "kit":
            assert (ROOT / f"{arguments[1].replace('.', '/')}.py").exists(), command
        elif verb:
            assert verb in VERBS, command
            _, parsed = parse(verb, arguments[2:])
            if verb == "train":
                check_recipe(parsed)


def check_recipe(arguments):
    """The recipe or the plan that a documented training asks for makes sense."""
    config = getattr(arguments, "config", None)
    if config and "/" not in config and config.endswith(".yaml"):
        return  # a file of the reader's; its text is tested with the YAML blocks
    competition = arguments.competition or "digit-recognizer"
    fields = flags.given(arguments)
    assert plan.resolve(competition, config, fields, arguments.seeds) or recipes.resolve(competition, config, fields)


def test_every_flag_is_some_commands(parse, capsys):
    known = {"--check", "--help", "--version"}
    for verb in VERBS:
        required = {
            "new": ["x"],
            "download": ["digit-recognizer"],
            "evaluate": ["r"],
            "predict": ["r"],
            "ensemble": ["r"],
            "demo": ["r"],
            "export": ["r", "--format", "keras"],
        }
        parser, _ = parse(verb, required.get(verb, ["fast"] if verb == "benchmark" else []))
        known |= set(parser._option_string_actions)
    for page in PAGES:
        for code in re.findall(r"`([^`]*)`", prose(page)):
            assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", code)) <= known, code


@pytest.mark.parametrize("text", blocks(ROOT / "docs" / "recipes.md", "yaml"))
def test_documented_recipe_files(text, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    if plan.is_plan(yaml.safe_load(text)):
        assert len(plan.resolve("digit-recognizer", path, {}, None).members) > 1
    else:
        assert recipes.resolve("digit-recognizer", path, {}).model


@pytest.fixture
def newcomer(workplace):
    """What the README's commands find: a clone, and Kaggle's files, here of the built-in sample's digits."""
    shutil.copytree(ROOT / "docs" / "images", workplace / "docs" / "images")
    train, labels, test = competitions.get("digit-recognizer").sample()
    rows = np.column_stack([labels, train.reshape(len(train), -1)])
    files = {
        "train.csv": bundles.table(["label", *bundles.PIXELS], rows.tolist()),
        "test.csv": bundles.table(bundles.PIXELS, test.reshape(len(test), -1).tolist()),
        "sample_submission.csv": bundles.table(["ImageId", "Label"], [(row + 1, 0) for row in range(len(test))]),
    }
    folder = workplace / "data" / "digit-recognizer"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return workplace


NEEDS_NETWORK = ("kit.download",)


def test_a_newcomers_walk(newcomer, capsys):
    walk = [shlex.split(command) for block in blocks(README, "bash") for command in block.splitlines()]
    walk = [command for command in walk if command[0] == "python" and command[2] not in NEEDS_NETWORK]
    assert len(walk) >= 5
    for _, _, module, *arguments in walk:
        assert command_module(module.removeprefix("kit.")).main(arguments) == 0, capsys.readouterr().err
        output = capsys.readouterr()
        assert output.out.strip()
        assert "Traceback" not in output.err


def test_the_readmes_python(newcomer, capsys):
    (code,) = blocks(README, "python")
    assert len([line for line in code.splitlines() if line.strip()]) == 8
    exec(compile(code, "README.md", "exec"), {})
    assert "dry run" in capsys.readouterr().out


def test_the_guides_python():
    for page in (ROOT / "docs" / "ensembles.md",):
        for code in blocks(page, "python"):
            exec(compile(code, page.name, "exec"), {})


def test_a_pasted_network_trains(tmp_path):
    (network,) = blocks(ROOT / "docs" / "extending.md", "python")
    shutil.copytree(ROOT / "kit", tmp_path / "kit", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "kit" / "zoo" / "my_network.py").write_text(network, encoding="utf-8")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    command = [sys.executable, "-m", "kit.train", "--source", "sample", "--limit", "500"]
    command += ["--model", "my_network", "--options", "width=8", "--epochs", "2"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "submissions" / "digit-recognizer").glob("*.csv"))
