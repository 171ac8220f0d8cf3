"""Write the tables of both README.md and of docs/ from the CSV files in docs/results: `python -m docs.build`.

A table stands between `<!-- table: NAME -->` and `<!-- /table -->`; what is between them is replaced. With `--check`
nothing is written, and the exit status is 1 where a table is not what the CSV files give.
"""

import csv
import pathlib
import re
import sys
import tomllib
from collections.abc import Callable, Iterable
from decimal import Decimal

from kit import files
from kit.recipes.recipe import Recipe
from kit.zoo.backbones import TABLE as TABLE_OF_BACKBONES

DOCS = pathlib.Path(__file__).resolve().parent
RESULTS = DOCS / "results"
TABLE = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- /table -->)", re.DOTALL)
CLONE = re.compile(r"(git clone )https://\S+")

Row = dict[str, str]
Column = tuple[str, str | Callable[[Row], str]]
"""A column's heading, and the CSV column that it shows or a function of the row."""


def pages() -> list[pathlib.Path]:
    """Return the Markdown files that may hold tables."""
    return [DOCS.parent / "README.md", DOCS.parent / "notebooks" / "README.md", *sorted(DOCS.glob("*.md"))]


def rendered(text: str) -> str:
    """Return a page's text with its tables, and the address to clone, written anew.

    Raises:
        KeyError: the page asks for a table that there is not.
    """
    text = CLONE.sub(lambda found: f"{found[1]}{_repository()}", text)
    return TABLE.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[3]}", text)


def _repository() -> str:
    return tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]


def rows(name: str) -> list[Row]:
    """Return the rows of `docs/results/<name>.csv`, values as text."""
    with (RESULTS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _markdown(columns: Iterable[Column], shown: Iterable[Row]) -> str:
    columns = list(columns)
    lines = [[heading for heading, _ in columns], ["---"] * len(columns)]
    for row in shown:
        lines.append([value(row) if callable(value) else _number(row[value]) for _, value in columns])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(text: str) -> str:
    """Group the thousands of a number; leave any other text."""
    return f"{Decimal(text):,}" if re.fullmatch(r"\d+(\.\d+)?", text) else text


def _measured(name: str) -> Callable[[Row], str]:
    """Show a column with its standard deviation, where it has one."""

    def text(row: Row) -> str:
        deviation = row[f"{name}_sd"]
        return _number(row[name]) + (f" ± {_number(deviation)}" if deviation else "")

    return text


def _code(name: str) -> Callable[[Row], str]:
    """Show a column as code, up to the comma where words follow."""

    def text(row: Row) -> str:
        code, comma, rest = row[name].partition(",")
        return f"`{code}`{comma}{rest}" if code else ""

    return text


def _duration(row: Row) -> str:
    seconds = Decimal(row["fit_seconds"])
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _csv(name: str, *columns: Column) -> Callable[[], str]:
    return lambda: _markdown(columns, rows(name))


SHORT = {"digits": ("fast", "fast_cnn", "resnet_small", "single", "top"), "cifar-10": ("fast", "single")}


def _short() -> str:
    """The README's table: which recipe for which time."""
    chosen = [(name, row) for name, recipes in SHORT.items() for row in rows(name) if row["recipe"] in recipes]
    order = sorted(chosen, key=lambda item: (list(SHORT).index(item[0]), Decimal(item[1]["fit_seconds"])))
    columns = (
        ("images", "images"),
        ("fit", _duration),
        ("accuracy, %", _measured("accuracy")),
        ("command", _code("command")),
    )
    named = [row | {"command": _plain(row["command"], row["recipe"], name), "images": name} for name, row in order]
    return _markdown(columns, named)


def _plain(command: str, recipe: str, name: str) -> str:
    """The command that trains the recipe once, where the results come from a longer one."""
    if "kit.train" in command and " --seed " not in command:
        return command
    return f"python -m kit.train {'--competition cifar-10 ' if name == 'cifar-10' else ''}--config {recipe}"


def _fields() -> str:
    """Every field of a recipe, by group."""
    columns = (("flag", _code("flag")), ("default", _code("default")), ("group", "group"), ("what it sets", "text"))
    shown = []
    for name, field in Recipe.model_fields.items():
        default = "" if field.default == {} else str(field.default)
        group = dict(field.json_schema_extra or {})["group"]
        row = {"flag": f"--{name.replace('_', '-')}", "group": group, "text": str(field.description)}
        shown.append(row | {"default": {"False": "off", "True": "on"}.get(default, default)})
    return _markdown(columns, shown)


RECIPE = (
    ("recipe", _code("recipe")),
    ("network", "network"),
    ("epochs", "epochs"),
    ("accuracy, %", _measured("accuracy")),
    ("on", "scored_on"),
    ("fit, s", _measured("fit_seconds")),
    ("n", "n"),
    ("machine", "machine"),
    ("command", _code("command")),
    ("note", "note"),
)


def _backbones() -> str:
    """The backbones of the network `transfer`."""
    columns = (
        ("backbone", _code("name")),
        ("weights, MB", "megabytes"),
        ("parameters, M", "parameters"),
        ("ImageNet top-1, %", "top_1"),
        ("smallest side", "smallest"),
    )
    shown = []
    for backbone in TABLE_OF_BACKBONES:
        cells = {heading: getattr(backbone, heading) for heading in ("megabytes", "parameters", "top_1")}
        texts = {heading: "" if value is None else str(value) for heading, value in cells.items()}
        shown.append({"name": backbone.name, "smallest": str(backbone.smallest), **texts})
    return _markdown(columns, shown)


TABLES: dict[str, Callable[[], str]] = {
    "backbones": _backbones,
    "transfer": _csv(
        "transfer",
        ("trained", "trained"),
        ("training images", "images"),
        ("epochs", "epochs"),
        ("accuracy, %", lambda row: f"{row['accuracy']} ± {row['standard_error']}"),
        ("of images", "validation_images"),
        ("fit, s", "fit_seconds"),
        ("n", "n"),
        ("machine", "machine"),
        ("command", _code("command")),
        ("note", "note"),
    ),
    "notebooks": _csv(
        "notebooks",
        ("notebook", _code("notebook")),
        ("aim", "aim"),
        ("two cores", "two_cores"),
        ("Colab, T4", "colab_t4"),
        ("Kaggle, T4", "kaggle_t4"),
    ),
    "fields": _fields,
    "short": _short,
    "machines": _csv("machines", ("machine", "machine"), ("what it is", "description")),
    "digits": _csv("digits", *RECIPE),
    "cifar-10": _csv("cifar-10", *RECIPE),
    "variations": _csv(
        "variations",
        ("competition", "competition"),
        ("recipe", _code("recipe")),
        ("change", "change"),
        ("epochs", "epochs"),
        ("accuracy, %", "accuracy"),
        ("fit, s", "fit_seconds"),
        ("n", "n"),
    ),
    "ensembles": _csv(
        "ensembles",
        ("competition", "competition"),
        ("ensemble", "ensemble"),
        ("members, %", "members"),
        ("ensemble, %", "accuracy"),
        ("images gained", "gained"),
        ("images lost", "lost"),
        ("McNemar's p", "p"),
        ("members disagree on, %", "disagree"),
        ("n", "n"),
        ("note", "note"),
    ),
    "time-to-accuracy": _csv(
        "time-to-accuracy",
        ("recipe", _code("recipe")),
        ("validation accuracy, %", "target"),
        ("reached by", lambda row: f"{row['reached']} of {row['n']} seeds"),
        ("after, s of fit", _measured("seconds")),
        ("training, images a second", _measured("images_per_second")),
        ("machine", "machine"),
        ("note", "note"),
    ),
    "networks": _csv(
        "networks",
        ("network", lambda row: f"`{row['network']}`" + (f", {row['variant']}" if row["variant"] else "")),
        ("parameters", "parameters"),
        ("MFLOPs an image", "mflops"),
        ("digits, %", "digits_accuracy"),
        ("fit, s", "digits_fit_seconds"),
        ("CIFAR-10, %", "cifar_accuracy"),
        ("fit, s", "cifar_fit_seconds"),
        ("published", "published"),
    ),
    "whole-bundle": _csv(
        "whole-bundle", ("step", "step"), ("s", "seconds"), ("peak memory so far, MB", "peak_memory_mb")
    ),
    "exports": _csv(
        "exports",
        ("network", "network"),
        ("format", lambda row: f"`{row['format']}`" + (", int8" if row["int8"] else "")),
        ("MB", "megabytes"),
        ("ms an image", "milliseconds"),
        ("accuracy, %", _measured("accuracy")),
        ("lost by int8, points", _measured("lost")),
        ("largest difference from Keras", "largest_difference"),
    ),
    "effects": _csv("effects", ("change", "change"), ("measured on", "measured_on"), ("effect", "effect"), ("n", "n")),
    "unlikely": _csv("unlikely", ("images", "what"), ("called unlikely", "unlikely"), ("of", "n")),
    "costs": _csv("costs", ("what", "what"), ("value", "value"), ("conditions", "conditions"), ("n", "n")),
}


def main(argv: list[str] | None = None) -> int:
    """Write the tables; with `--check` only compare them."""
    check = (sys.argv[1:] if argv is None else argv) == ["--check"]
    stale = [path for path in pages() if rendered(path.read_text(encoding="utf-8")) != path.read_text(encoding="utf-8")]
    for path in stale:
        print(f"{path.relative_to(DOCS.parent)}: {'is stale; run python -m docs.build' if check else 'written'}")
        if not check:
            files.write_text(path, rendered(path.read_text(encoding="utf-8")))
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
