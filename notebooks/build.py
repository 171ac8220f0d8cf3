"""Build the notebooks from their sources in notebooks/src: `make notebooks`, or `python -m notebooks.build`.

A source is a Python file in jupytext's percent format. One with gaps becomes two notebooks: NAME.ipynb, to be filled
in, and NAME-solution.ipynb. The build is the same every time, byte for byte, so that a test can compare it with what
is committed. How to write a source stands in notebooks/README.md.
"""

import hashlib
import json
import pathlib
import re
import sys
import textwrap
import tomllib

import jupytext

from kit import files

FOLDER = pathlib.Path(__file__).resolve().parent
PYPROJECT = FOLDER.parent / "pyproject.toml"
BRANCH = "main"
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
EXERCISE, SOLUTION = "exercise", "solution"
GAP = re.compile(rf"^([ \t]*){BEGIN}:?[ \t]*(.*)\n((?:.*\n)*?)[ \t]*{END}[ \t]*$", re.MULTILINE)

SET_UP = """\
# Finds the kit, or fetches it on Colab and Kaggle. What is installed there already stays as it is.
import os
import pathlib
import sys

here = pathlib.Path.cwd()
fetched = here / "{name}"
home = next((place for place in (here, *here.parents) if (place / "kit" / "workshop").is_dir()), fetched)
if not home.exists():
    !git clone --quiet --depth 1 {repository} {{fetched}}
if home == fetched:
    if not home.exists():
        sys.exit("The kit could not be fetched. On Kaggle: panel on the right, Session options, switch Internet on.")
    %pip install --quiet --requirement {{fetched / "requirements.txt"}}
os.chdir(home)
sys.path.insert(0, str(home))

from kit import workshop

workshop.start()"""

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


def main() -> int:
    """Build every notebook in place and remove those that have no source any more."""
    address = repository()
    built = {FOLDER / name: text for source in sources() for name, text in build(source, address).items()}
    for path in set(FOLDER.glob("*.ipynb")) - set(built):
        path.unlink()
    for path, text in built.items():
        files.write_text(path, text)
        print(path.relative_to(FOLDER.parent))
    if "/OWNER/" in address:
        print(f"note: the badges lead to {address}; set [project.urls] Repository in pyproject.toml to your fork.")
    return 0


def repository(pyproject: pathlib.Path = PYPROJECT) -> str:
    """The repository's address, as `[project.urls]` of `pyproject.toml` has it, without a slash at its end."""
    return tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["urls"]["Repository"].rstrip("/")


def sources() -> list[pathlib.Path]:
    """The sources of all notebooks, in their order."""
    return sorted((FOLDER / "src").glob("*.py"))


def build(source: pathlib.Path, address: str) -> dict[str, str]:
    """Build the notebooks of one source.

    Args:
        source: a file in jupytext's percent format, UTF-8, whose first cell is Markdown and begins with a heading.
        address: the repository's, for badges and the set-up cell.

    Returns:
        File name to content: one notebook, or two if the source has gaps.

    Raises:
        ValueError: the source does not begin with a heading, or a solution has no end; names the file.
    """
    read = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    cells = [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in read.cells]
    if not cells or cells[0][0] != "markdown" or not cells[0][1].startswith("# "):
        raise ValueError(f"{source.name}: the first cell must be Markdown and begin with '# ' and a title.")
    if any(GAP.sub("", text).count("# BEGIN SOL") + GAP.sub("", text).count("# END SOL") for _, text, _ in cells):
        raise ValueError(f"{source.name}: a line {BEGIN!r} or {END!r} stands alone; they come in pairs.")
    if not any(GAP.search(text) for _, text, _ in cells):
        return {f"{source.stem}.ipynb": _notebook(source.stem, cells, address)}
    exercise = [(kind, GAP.sub(_gap, text), tags) for kind, text, tags in cells if SOLUTION not in tags]
    solution = [(kind, GAP.sub(_solved, text), tags) for kind, text, tags in cells if EXERCISE not in tags]
    solved = f"{source.stem}-solution"
    title, _, rest = solution[0][1].partition("\n")
    solution[0] = ("markdown", f"{title} – solution\n{rest}", [])
    return {
        f"{source.stem}.ipynb": _notebook(source.stem, exercise, address),
        f"{solved}.ipynb": _notebook(solved, solution, address),
    }


def _gap(found: re.Match) -> str:
    """What stands in the exercise for a solution: the words after the marker, and `name = ...` for what it defines.

    A statement that defines nothing becomes `...`; lines within a call or a list, which end in a comma, leave nothing.
    """
    indent, words, solution = found.groups()
    lines = [f"# YOUR CODE HERE: {words}" if words else "# YOUR CODE HERE"]
    if not solution.rstrip().endswith(","):
        names = re.findall(r"^(\w+(?:, \w+)*) = ", textwrap.dedent(solution), re.MULTILINE)
        lines += [f"{name.replace(',', ' =')} = ..." for name in dict.fromkeys(names)] or ["..."]
    return textwrap.indent("\n".join(lines), indent)


def _solved(found: re.Match) -> str:
    return found.group(3).rstrip("\n")


def _notebook(name: str, cells: list[tuple], address: str) -> str:
    title, _, rest = cells[0][1].partition("\n")
    set_up = SET_UP.format(repository=address, name=address.rpartition("/")[2])
    whole = [("markdown", f"{title}\n\n{_badges(name, address)}\n{rest}"), ("code", set_up)]
    whole += [(kind, text) for kind, text, _ in cells[1:]]
    used: set[str] = set()
    content = {"cells": [_cell(kind, text, used) for kind, text in whole], "metadata": METADATA}
    return json.dumps(content | {"nbformat": 4, "nbformat_minor": 5}, indent=1, ensure_ascii=False) + "\n"


def _badges(name: str, address: str) -> str:
    file = f"{address}/blob/{BRANCH}/notebooks/{name}.ipynb"
    colab = f"https://colab.research.google.com/github/{file.partition('github.com/')[2]}"
    return (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})\n"
        f"[![Open in Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)]"
        f"(https://kaggle.com/kernels/welcome?src={file})"
    )


def _cell(kind: str, text: str, used: set[str]) -> dict:
    """One cell of the notebook format, its id from its content, so that one new cell changes no other's."""
    first = hashlib.sha256(f"{kind} {text}".encode()).hexdigest()[:8]
    identity = next(one for number in range(len(used) + 1) if (one := f"{first}-{number}") not in used)
    used.add(identity)
    cell = {"cell_type": kind, "id": identity, "metadata": {}, "source": text.splitlines(keepends=True)}
    return cell | {"execution_count": None, "outputs": []} if kind == "code" else cell


if __name__ == "__main__":
    sys.exit(main())
