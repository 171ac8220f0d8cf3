"""A folder with a copy of the kit, where notebooks run as a participant's would: short, and without the internet."""

import os
import pathlib
import re
import shutil

import nbclient
import nbformat

from notebooks import outputs

ROOT = pathlib.Path(__file__).resolve().parents[1]
NOWHERE = "http://127.0.0.1:9"
COPIED = ("kit", "configs", "notebooks", "requirements.txt", "pyproject.toml")


def stage(folder: pathlib.Path) -> pathlib.Path:
    """Copy into `folder` what a clone of the repository would have, and return the folder that notebooks start in."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder / "notebooks"


def environment(**more: str) -> dict[str, str]:
    """The environment of a kernel: short notebooks, this interpreter's kit nowhere on the path, no internet.

    Two kernels run side by side on two cores, where threads of scikit-learn would wait for each other.
    """
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOWHERE)
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return plain | proxies | {"KIT_NOTEBOOKS": "short", "OMP_NUM_THREADS": "1"} | more


def read(path: pathlib.Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def client(notebook: nbformat.NotebookNode, folder: pathlib.Path) -> nbclient.NotebookClient:
    """What runs a notebook's cells in a kernel of this interpreter that starts in `folder`."""
    place = {"metadata": {"path": folder}}
    return nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=place)


def execute(notebook: nbformat.NotebookNode, folder: pathlib.Path, **more: str) -> nbformat.NotebookNode:
    """Run all cells from the first to the last.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised; the outputs until there are in `notebook`.
    """
    return client(notebook, folder).execute(env=environment(**more))


def text_of(cell: nbformat.NotebookNode) -> str:
    """Everything that a cell printed, commands included."""
    return "".join(output.get("text", "") for output in cell.get("outputs", []))


def printed(notebook: nbformat.NotebookNode) -> str:
    """Everything that the cells printed, commands included."""
    return "".join(text_of(cell) for cell in notebook.cells)


def trouble(notebook: nbformat.NotebookNode) -> list[str]:
    """What commands printed that went wrong: `!python -m kit…` does not stop a notebook."""
    return re.findall(r"^(?:error: |failed: |Traceback |.*No module named ).*$", printed(notebook), re.MULTILINE)


def figures(notebook: nbformat.NotebookNode) -> int:
    """How many figures the notebook shows."""
    return sum("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))


def shows_what_the_stored_notebook_shows(done: nbformat.NotebookNode, stored: pathlib.Path) -> None:
    """Compare kinds of outputs, cell by cell, where outputs are stored: numbers differ from machine to machine."""
    short, long = (outputs.shown(text) for text in (nbformat.writes(done), stored.read_text(encoding="utf-8")))
    if any(long):
        assert short == long
