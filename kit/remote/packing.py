"""The kit as it is here, in one script: Kaggle takes one file."""

import base64
import io
import json
import pathlib
import tarfile
import textwrap
from typing import Any

import kit
from kit.errors import UserError
from kit.recipes import files

RECIPE = "recipe.yaml"
LARGEST = 900_000  # characters of a script; Kaggle documents no limit, and others that push there keep to this one
LINE = 120
FAR_SIDE = pathlib.Path(__file__).with_name("far_side.py")


def payload(recipe: str) -> str:
    """Return the package, its recipes and one more recipe as a .tar.xz in base64."""
    contents = {RECIPE: recipe.encode(), **package()}
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:xz", preset=9) as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return base64.b64encode(memory.getvalue()).decode("ascii")


def package() -> dict[str, bytes]:
    """Return the package's files and its recipes by path, as `kit/…` and `configs/…`.

    Changes that are not committed are in it; what other programs leave in these folders is not.
    """
    code = pathlib.Path(kit.__file__).parent
    trees = {"kit": code}
    if not (code / "configs").is_dir():
        trees["configs"] = files.folder("")
    contents = {}
    for name, tree in trees.items():
        for path in sorted(tree.rglob("*")):
            inside = path.relative_to(tree)
            hidden = any(part == "__pycache__" or part.startswith(".") for part in inside.parts)
            if path.is_file() and not hidden and path.suffix != ".pyc":
                contents[f"{name}/{inside.as_posix()}"] = path.read_bytes()
    return contents


def script(settings: dict[str, Any], recipe: str) -> str:
    """Return the script that does on Kaggle what `settings` say; see `far_side.main`.

    Raises:
        UserError: it is larger than Kaggle may take.
    """
    lines = "\n".join(textwrap.wrap(payload(recipe), LINE))
    text = (
        f"{FAR_SIDE.read_text(encoding='utf-8')}\n\nSETTINGS = json.loads({json.dumps(settings)!r})\n"
        f'PAYLOAD = """\n{lines}\n"""\n\nmain(SETTINGS, PAYLOAD)\n'
    )
    if len(text) > LARGEST:
        raise UserError(
            f"the kit makes a script of {len(text) / 1000:,.0f} kB, and Kaggle may take no more than "
            f"{LARGEST / 1000:.0f} kB; keep large files out of kit/ and configs/."
        )
    return text


def notebook(settings: dict[str, Any], recipe: str) -> str:
    """Return the same as a Jupyter notebook of one page of text and one cell of code."""
    text = (
        f"# {settings['runs'][-1]}\n\n"
        f"Trains on Kaggle and writes `submission.csv`. *Add input*: the competition {settings['competition']}. Choose "
        "an accelerator on the right, switch the internet off, *Save & Run All*, then *Submit to competition*."
    )
    cells = [
        {"cell_type": "markdown", "id": "about", "metadata": {}, "source": text},
        {
            "cell_type": "code", "id": "train", "execution_count": None, "outputs": [],
            "metadata": {"_kg_hide-input": True}, "source": script(settings, recipe),
        },
    ]  # fmt: skip
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1) + "\n"
