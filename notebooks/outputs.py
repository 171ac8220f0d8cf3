"""What notebooks show: run, kept from build to build, small enough for a repository, written as slides."""

import ast
import base64
import io
import json
import os
import pathlib
import re
import shutil
import sys
import sysconfig
import tempfile

from kit.zoo.vgg16 import OWN_WEIGHTS_FILE, WEIGHTS_FILE

LARGEST = 1_500_000
"""Bytes of a notebook with its outputs."""
COLOURS = 128
SMALLEST = 0.4
STAGED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "data", "runs", "submissions", "benchmarks", "tests")
SECRET = re.compile(r"KAGGLE|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
MAGIC = re.compile(r"^(\s*)([!%].*)$", re.MULTILINE)
SET_UP = 1
"""The cell that finds the kit. It is the build's own, and says nothing that later cells depend on."""


def dumped(notebook: dict) -> str:
    """Return a notebook as the text of its file, the same for the same content."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def kept(built: str, stored: str) -> str:
    """Return the notebook `built` with the outputs of the notebook `stored`, as far as they still belong to it.

    A cell's outputs depend on all cells before it. So they are kept up to the first cell whose code has changed:
    comments and text may change.

    Args:
        built: a notebook without outputs.
        stored: the notebook that was built before, with or without outputs.
    """
    notebook, before = json.loads(built), _code_cells(json.loads(stored))
    for number, cell in enumerate(_code_cells(notebook)):
        if number >= len(before) or (number and _meaning(cell) != _meaning(before[number])):
            break
        cell["outputs"], cell["execution_count"] = before[number]["outputs"], before[number]["execution_count"]
    return dumped(notebook)


def without(text: str) -> str:
    """Return a notebook's text without its outputs."""
    notebook = json.loads(text)
    for cell in _code_cells(notebook):
        cell["outputs"], cell["execution_count"] = [], None
    return dumped(notebook)


def shown(text: str) -> list[list[str]]:
    """Return for each code cell of a notebook the kinds of what it shows, sorted: "image/png", "text/html", "error" …

    What cells print is left out: downloads and progress are printed on one machine and not on another.
    """
    cells = _code_cells(json.loads(text))
    kinds = [{kind for output in cell["outputs"] for kind in _kinds(output)} for cell in cells]
    return [sorted(found - {"stream"}) for found in kinds]


def executed(
    text: str,
    name: str,
    root: pathlib.Path,
    largest: int = LARGEST,
    data: pathlib.Path | None = None,
    weights: pathlib.Path | None = None,
) -> str:
    """Run a notebook in a copy of the repository, and return it with its outputs.

    It runs without credentials, so that nothing is sent to anybody, and leaves neither runs nor files in the
    repository. The competitions' files are there, and so are Keras's downloads.

    Args:
        text: the notebook without outputs.
        name: its file's name.
        root: the repository's folder.
        largest: bytes that the file may have. Figures lose colours, then size, until it has.
        data: the folder of all competitions' files; the repository's own by default.
        weights: a file of VGG16's ImageNet weights without its top; one in `data` or Keras's by default.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
        ValueError: the outputs are larger than `largest`, however small the figures.
    """
    import nbclient
    import nbformat

    with tempfile.TemporaryDirectory(prefix="notebook-") as scratch:
        place, home = pathlib.Path(scratch) / root.name, pathlib.Path(scratch) / "home"
        home.mkdir()
        shutil.copytree(root, place, ignore=STAGED)
        _link(place / "data", root / "data" if data is None else data, weights)
        variables = {key: value for key, value in os.environ.items() if not SECRET.search(key) and key != "PYTHONPATH"}
        keras_home = os.environ.get("KERAS_HOME", str(pathlib.Path.home() / ".keras"))
        variables |= {"HOME": str(home), "KERAS_HOME": keras_home, "COLUMNS": "120"}
        notebook = nbformat.reads(text, as_version=4)
        client = nbclient.NotebookClient(
            notebook,
            timeout=None,
            kernel_name="python3",
            coalesce_streams=True,
            record_timing=False,
            resources={"metadata": {"path": place / "notebooks"}},
        )
        client.execute(env=variables)
        result = json.loads(nbformat.writes(notebook))
        built = json.loads(text)
        for cell, ran in zip(_code_cells(built), _code_cells(result), strict=True):
            cell["outputs"], cell["execution_count"] = ran["outputs"], ran["execution_count"]
        return fitted(_without_places(dumped(built), place, home), name, largest)


def _link(folder: pathlib.Path, data: pathlib.Path, weights: pathlib.Path | None) -> None:
    """Make the notebook's `data` folder, of links: what the notebook writes there itself stays out of `data`."""
    folder.mkdir()
    for entry in data.iterdir() if data.is_dir() else ():
        (folder / entry.name).symlink_to(entry.resolve())
    if weights is not None:
        known = WEIGHTS_FILE if weights.suffixes[-2:] != [".weights", ".h5"] else OWN_WEIGHTS_FILE
        (folder / known).unlink(missing_ok=True)
        (folder / known).symlink_to(weights.resolve())


def fitted(text: str, name: str, largest: int) -> str:
    """Return a notebook's text with figures of few colours, and smaller ones while it has more bytes than `largest`.

    Raises:
        ValueError: it is larger, however small the figures; names the notebook.
    """
    scale = 1.0
    while True:
        notebook = json.loads(text)
        for cell in _code_cells(notebook):
            for output in cell["outputs"]:
                if "image/png" in output.get("data", {}):
                    output["data"]["image/png"] = _smaller(output["data"]["image/png"], scale)
        fitted = dumped(notebook)
        if len(fitted.encode()) <= largest:
            return fitted
        scale *= 0.85
        if scale < SMALLEST:
            raise ValueError(f"{name} has {len(fitted.encode()):,} bytes with its outputs, more than {largest:,}.")


def slides(path: pathlib.Path) -> pathlib.Path:
    """Write a notebook as an HTML slide show into the folder `slides` beside it, and return the file.

    A heading of the first or second level begins a slide, one of a deeper level a slide below it.
    """
    import nbconvert
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        heading = re.match(r"(#+) ", cell.source) if cell.cell_type == "markdown" else None
        kind = "-" if heading is None else "slide" if len(heading[1]) < 3 else "subslide"
        cell.metadata["slideshow"] = {"slide_type": kind}
    exporter = nbconvert.SlidesExporter(reveal_scroll=True)
    html, _ = exporter.from_notebook_node(notebook)
    target = path.parent / "slides" / f"{path.stem}.html"
    target.parent.mkdir(exist_ok=True)
    target.write_text(html, encoding="utf-8")
    return target


def _without_places(text: str, place: pathlib.Path, home: pathlib.Path) -> str:
    """Return a notebook's text without the folders of the machine that it ran on."""
    packages = sysconfig.get_paths()["purelib"]
    for folder, name in ((f"{place}/", ""), (str(place), "."), (str(home), "~"), (packages, "site-packages")):
        text = text.replace(folder, name)
    return text.replace(sys.prefix, "python").replace(sys.base_prefix, "python")


def _code_cells(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _meaning(cell: dict) -> str:
    """Return a cell's code without comments and layout."""
    text = "".join(cell["source"])
    try:
        return ast.dump(ast.parse(MAGIC.sub(lambda found: f"{found[1]}magic({found[2]!r})", text)))
    except SyntaxError:
        return text


def _kinds(output: dict) -> list[str]:
    return list(output["data"]) if "data" in output else [output["output_type"]]


def _smaller(png: str, scale: float) -> str:
    """Return a PNG in base64 with at most 128 colours, scaled; photographs bear that, and lines do anyway."""
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    memory = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(memory, "PNG", optimize=True)
    smaller = base64.b64encode(memory.getvalue()).decode()
    return min(png if scale == 1 else smaller, smaller, key=len)
