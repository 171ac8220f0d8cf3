"""The networks as a table: parameters, arithmetic and published accuracy, for one image shape."""

import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import keras

from kit import zoo
from kit.competitions import Competition
from kit.zoo import backbones, option_types
from kit.zoo.cost import flops

AS_ITS_RUNS = "as its runs"


def rows(competition: Competition) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield, for every network: name, summary, parameters, MFLOPs for an image, published accuracy."""
    for network in zoo.catalogue().values():
        yield network.name, network.summary, *cost(network.name, competition), network.published


def cost(name: str, competition: Competition) -> tuple[str, str]:
    """Build a network; return its number of parameters and its MFLOPs for an image, as text."""
    known = zoo.options(name)
    if "runs" in known:
        return AS_ITS_RUNS, AS_ITS_RUNS
    start = {"weights": None} if "weights" in known else {}
    network = zoo.build(name, competition.image_shape, competition.classes, **start)
    try:
        megaflops = f"{flops(network) / 1e6:,.1f}"
    except ValueError:
        megaflops = "not known"
    parameters = f"{network.count_params():,}"
    keras.backend.clear_session(free_memory=False)
    return parameters, megaflops


def title(competition: Competition) -> str:
    """Return a competition's name, image shape and number of classes, as a heading."""
    height, width, channels = competition.image_shape
    return f"{competition.name}, {height}×{width}×{channels}, {competition.classes} classes"


def text(competition: Competition, width: int) -> Iterator[str]:
    """Yield the table's lines, aligned and of at most `width` columns."""
    first_column = max(len(name) for name in zoo.names())
    indent = " " * (first_column + 28)
    yield title(competition)
    yield f"{'network':<{first_column}}  {'parameters':>11}  {'MFLOPs':>11}  published"
    for name, _, parameters, megaflops, published in rows(competition):
        first, *others = textwrap.wrap(published, width - len(indent)) or [""]
        yield f"{name:<{first_column}}  {parameters:>11}  {megaflops:>11}  {first}".rstrip()
        yield from (f"{indent}{line}" for line in others)


def markdown(competition: Competition) -> Iterator[str]:
    """Yield the lines of the table in Markdown."""
    yield f"{title(competition)}\n"
    yield "| network | parameters | MFLOPs an image | published |"
    yield "| --- | --- | --- | --- |"
    for name, summary, parameters, megaflops, published in rows(competition):
        yield f"| `{name}`: {summary} | {parameters} | {megaflops} | {published} |"


def description(name: str, competitions: list[Competition], width: int) -> Iterator[str]:
    """Yield the lines that describe one network: what it is, what it costs, and what its options take."""
    network = zoo.find(name)
    yield from textwrap.wrap(f"{name}: {network.summary}", width)
    if network.published:
        yield from textwrap.wrap(f"published: {network.published}", width)
    for competition in competitions:
        parameters, megaflops = cost(name, competition)
        if parameters != AS_ITS_RUNS:
            sizes = f"{title(competition)}: {parameters} parameters, {megaflops} MFLOPs an image"
            yield from textwrap.wrap(sizes, width, subsequent_indent=" " * 6)
    described = options(name)
    yield "\noptions, with their defaults:" if described else "\nIt has no options."
    for option, (default, takes, meaning) in described.items():
        yield f"  {option}={default}  ({takes})" if takes else f"  {option}={default}"
        yield from textwrap.wrap(meaning, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
    for option, (default, _, _) in list(described.items())[:1]:
        yield f"\nexample: python -m kit.train --model {name} --options {option}={default}"
    if "backbone" in described:
        yield "\nbackbones, with what https://keras.io/api/applications lists for the whole network:"
        yield from (f"  {line}" for line in backbones.lines())


def options(name: str) -> dict[str, tuple[str, str, str]]:
    """Return, for each option of a network: its default, what it takes, and what it means."""
    builder = zoo.builder(name)
    documented = _documented(inspect.getdoc(builder) or "")
    described = {}
    for option, parameter in option_types.of(builder).items():
        meaning = documented.get(option) or option_types.meaning(parameter.annotation)
        takes = option_types.takes(parameter.annotation)
        described[option] = _shown(parameter.default), takes, meaning.rstrip(".")
    return described


def _shown(default: Any) -> str:
    if default == ():
        return "RUN,RUN"
    return str(default).lower() if default is None or isinstance(default, bool) else str(default)


def _documented(docstring: str) -> dict[str, str]:
    """Read the `Args:` of a docstring: {"width": "filters of the first block; …"}."""
    section = re.search(r"^Args:\n((?: +.*\n?)+)", docstring, re.MULTILINE)
    found: dict[str, str] = {}
    current = ""
    for line in textwrap.dedent(section.group(1) if section else "").splitlines():
        named = re.match(r"(\w+): (.*)", line)
        if named:
            current = named.group(1)
            found[current] = named.group(2)
        elif current and line.startswith(" "):
            found[current] += f" {line.strip()}"
        else:
            current = ""
    return found
