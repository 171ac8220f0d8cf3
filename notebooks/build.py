"""Build the notebooks from their sources in notebooks/src: `make notebooks`, or `python -m notebooks.build`.

A source is a Python file in jupytext's percent format. The build is the same every time, byte for byte, so that a test
can compare it with what is committed. Outputs are no part of a source: `--execute 01` runs a notebook and stores them
in its .ipynb, and every later build keeps them as long as the code that made them is the same. How to write a source
stands in notebooks/README.md.
"""

import argparse
import csv
import io
import os
import pathlib
import re
import subprocess
import sys
import time
import tomllib

from kit import files
from notebooks import outputs, sources

FOLDER = pathlib.Path(__file__).resolve().parent
PYPROJECT = FOLDER.parent / "pyproject.toml"
TIMINGS = FOLDER.parent / "docs" / "results" / "notebooks.csv"
MACHINES = ("two_cores", "colab_t4", "kaggle_t4")
"""Columns of TIMINGS, in minutes."""
PLACEHOLDER = "/OWNER/"
BRANCH = "main"

SET_UP = """\
# Finds the kit, or fetches it on Colab and Kaggle. What is installed there already stays as it is.
import os
import pathlib
import sys

here = pathlib.Path.cwd()
fetched = here / "{name}"
home = next((place for place in (here, *here.parents) if (place / "kit" / "workshop").is_dir()), fetched)
if not home.exists():{placeholder}
    !git clone --quiet --depth 1 {repository} {{fetched}}
if home == fetched:
    if not home.exists():
        sys.exit("The kit could not be fetched. On Kaggle: panel on the right, Session options, switch Internet on.")
    %pip install --quiet --requirement {{fetched / "requirements.txt"}}
os.chdir(home)
sys.path.insert(0, str(home))

from kit import workshop

workshop.start()"""
NOWHERE = """
    sys.exit("This notebook does not know its repository. Open it in a clone of the kit, or run `make notebooks`.")"""

# What Colab and Kaggle keep in a notebook: that it wants a GPU, and on Kaggle the internet and the competition's files.
METADATA = {
    "accelerator": "GPU",
    "colab": {"gpuType": "T4", "provenance": []},
    "kaggle": {
        "accelerator": "nvidiaTeslaT4",
        "dataSources": [{"databundleVersionId": 861823, "sourceId": 3004, "sourceType": "competition"}],
        "isGpuEnabled": True,
        "isInternetEnabled": True,
        "language": "python",
        "sourceType": "notebook",
    },
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def main(arguments: list[str] | None = None, folder: pathlib.Path = FOLDER) -> int:
    """Build every notebook in `folder`, and remove those that have no source any more."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.build", description=main.__doc__.partition(",")[0] + ".")
    parser.add_argument("--execute", nargs="+", default=[], metavar="NAME", help="run these and keep their outputs: 01")
    parser.add_argument("--slides", nargs="+", default=[], metavar="NAME", help="write these as HTML slides: 01 02")
    parser.add_argument("--data-dir", type=pathlib.Path, help="all competitions' files, for --execute (data)")
    parser.add_argument("--weights", type=pathlib.Path, help="VGG16's ImageNet weights without top, for --execute")
    parser.add_argument(
        "--record", choices=MACHINES, help=f"write the minutes of --execute into {TIMINGS.name} as these"
    )
    options = parser.parse_args(arguments)
    if options.record and os.environ.get("KIT_NOTEBOOKS") == "short":
        parser.error("the short form's minutes say nothing; unset KIT_NOTEBOOKS, or leave --record out")
    for path in (options.data_dir, options.weights):
        if path is not None and not path.exists():
            parser.error(f"there is no {path}")
    address = repository()
    built = {name: text for source in sources.every(folder) for name, text in build(source, address).items()}
    executed, shown = _chosen(parser, options.execute, built), _chosen(parser, options.slides, built)
    executed = [name for name in executed if name.replace(".ipynb", "-solution.ipynb") not in built]
    for path in set(folder.glob("*.ipynb")) - {folder / name for name in built}:
        path.unlink()
    for name, text in built.items():
        path = folder / name
        files.write_text(path, outputs.kept(text, path.read_text(encoding="utf-8")) if path.exists() else text)
        print(path.name)
    for name in executed:
        print(f"{name}: running, which can take half an hour", flush=True)
        begun = time.monotonic()
        done = outputs.executed(built[name], name, folder.parent, data=options.data_dir, weights=options.weights)
        files.write_text(folder / name, done)
        minutes = (time.monotonic() - begun) / 60
        print(f"{name}: {minutes:.1f} minutes", flush=True)
        if options.record:
            record(pathlib.Path(name).stem, options.record, minutes)
    for name in shown:
        print(outputs.slides(folder / name))
    if PLACEHOLDER in address:
        print(f"note: the badges lead to {address}; set [project.urls] Repository in pyproject.toml to your fork.")
    return 0


def record(notebook: str, machine: str, minutes: float, path: pathlib.Path = TIMINGS) -> None:
    """Write how long a notebook took into the table of timings.

    Args:
        notebook: its name, a row of the table.
        machine: a column of the table, one of `MACHINES`.
        minutes: from its first cell to its last.
        path: the table, a CSV.

    Raises:
        ValueError: the table has no such row.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if notebook not in [row["notebook"] for row in rows]:
        raise ValueError(f"{path} has no row {notebook}; add it.")
    for row in rows:
        if row["notebook"] == notebook:
            row[machine] = f"{minutes:.0f}" if minutes >= 1 else "1"
    text = io.StringIO()
    table = csv.DictWriter(text, ["notebook", "aim", *MACHINES], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    files.write_text(path, text.getvalue())


def repository(pyproject: pathlib.Path = PYPROJECT) -> str:
    """Return the repository's address on the web, without a slash at its end.

    It is `[project.urls] Repository` of `pyproject.toml`; where that is still the placeholder, the address of the git
    remote `origin`, which is printed, if there is one.
    """
    address = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["urls"]["Repository"].rstrip("/")
    if PLACEHOLDER not in address:
        return address
    command = ["git", "-C", str(pyproject.parent), "remote", "get-url", "origin"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return address
    remote = re.fullmatch(r"(?:https?://(?:[^@/]*@)?|ssh://git@|git@)([\w.-]+)[:/](.+?)(?:\.git)?/?", answer)
    if not remote:
        return address
    found = f"https://{remote[1]}/{remote[2]}"
    print(f"note: pyproject.toml names no repository; the badges lead to the git remote origin, {found}.")
    return found


def build(source: pathlib.Path, address: str) -> dict[str, str]:
    """Build the notebooks of one source, without outputs.

    Args:
        source: a file in jupytext's percent format, UTF-8, whose first cell is Markdown and begins with a heading.
        address: the repository's, for badges and the set-up cell.

    Returns:
        File name to content: one notebook, or an exercise and its solution.

    Raises:
        ValueError: the source does not begin with a heading, or a solution has no end; names the file.
    """
    return {f"{name}.ipynb": _notebook(name, cells, address) for name, cells in sources.read(source).items()}


def set_up(address: str) -> str:
    """Return the code of the cell that finds the kit, or fetches it from `address`."""
    placeholder = NOWHERE if PLACEHOLDER in address else ""
    return SET_UP.format(repository=address, name=address.rpartition("/")[2], placeholder=placeholder)


def _chosen(parser: argparse.ArgumentParser, prefixes: list[str], built: dict[str, str]) -> list[str]:
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in built):
            parser.error(f"there is no notebook {prefix}; there are {', '.join(built)}")
    return [name for name in built if name.startswith(tuple(prefixes))] if prefixes else []


def _notebook(name: str, cells: list[sources.Cell], address: str) -> str:
    title, _, rest = cells[0].text.partition("\n")
    first = sources.Cell("markdown", f"{title}\n\n{_badges(name, address)}\n{rest}")
    used: set[str] = set()
    whole = [first, sources.Cell("code", set_up(address)), *cells[1:]]
    content = {"cells": [_cell(cell, used) for cell in whole], "metadata": METADATA}
    return outputs.dumped(content | {"nbformat": 4, "nbformat_minor": 5})


def _badges(name: str, address: str) -> str:
    file = f"{address}/blob/{BRANCH}/notebooks/{name}.ipynb"
    colab = f"https://colab.research.google.com/github/{file.partition('github.com/')[2]}"
    return (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})\n"
        f"[![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)]"
        f"(https://kaggle.com/kernels/welcome?src={file})"
    )


def _cell(cell: sources.Cell, used: set[str]) -> dict:
    identity = cell.identity(used)
    used.add(identity)
    content = {"cell_type": cell.kind, "id": identity, "metadata": {}, "source": cell.text.splitlines(keepends=True)}
    return content | {"execution_count": None, "outputs": []} if cell.kind == "code" else content


if __name__ == "__main__":
    sys.exit(main())
