"""The page as a folder for Hugging Face Spaces: the networks, the kit, and what they need, and nothing else.

app.py               starts the page
requirements.txt     the packages, in the versions that are installed here
README.md            with the header that Spaces read
kit/, configs/       the kit as it is here, and the competition's facts
runs/<competition>/  of each run config.yaml, metrics.json and networks; no predictions, figures or data
space.json           which runs, and below which confidence each doubts

Reference: https://huggingface.co/docs/hub/spaces-config-reference
"""

import importlib.metadata
import json
import pathlib
import shutil
import sys
from collections.abc import Sequence

import yaml

from kit import competitions
from kit.demo import readers, serving
from kit.errors import UserError
from kit.export import folder as folders
from kit.prediction import parts
from kit.remote import packing
from kit.tracking import Run

SETTINGS = "space.json"
PACKAGES = (
    *("gradio", "tensorflow", "keras", "numpy", "scipy", "scikit-learn", "threadpoolctl", "matplotlib", "pillow"),
    *("pandas", "pydantic", "pyyaml", "jinja2", "filelock", "tqdm"),
)
"""What the page needs; `kaggle` and what it talks to the net with are not among them."""

APP = """import os
import pathlib

os.chdir(pathlib.Path(__file__).resolve().parent)

from kit.demo import serving, space  # noqa: E402, from this folder

serving.wait(space.serve())
"""

README = """---
title: {title}
emoji: ✏️
colorFrom: blue
colorTo: gray
sdk: gradio
sdk_version: {gradio}
python_version: "{python}"
app_file: app.py
pinned: false
---

{what}, and see what networks read there. Trained with the Kaggle submission kit on
[{competition}]({page}).

| run | validation accuracy |
| --- | --- |
{runs}

Run it here: `pip install -r requirements.txt`, then `python app.py`.
"""


def write(path: pathlib.Path, runs: Sequence[Run], data_dir: str | None = None) -> pathlib.Path:
    """Write the folder, whole or not at all.

    Args:
        path: the folder; must not exist.
        runs: what the page shows, of one competition.
        data_dir: the folder of all competitions' files, where they have moved.

    Raises:
        UserError: the folder exists, or a run cannot be shown without its training images.
    """
    if path.exists() or path.is_symlink():
        raise UserError(f"--space {path} exists already; take another folder, or remove it.")
    for run in runs:
        run.metrics()
        _check(run)
    found = serving.ready(runs, data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    with folders.whole(path) as fresh:
        for run in _needed(runs):
            _copy(run, fresh / "runs" / run.competition / run.name)
        for name, content in _package(runs[0].competition).items():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).write_bytes(content)
        settings = {
            "runs": [f"{run.competition}/{run.name}" for run in runs],
            "likely_above": {reader.run.name: reader.likely_above for reader in found},
        }
        texts = {
            "app.py": APP,
            "requirements.txt": _requirements(),
            "README.md": _readme(runs, found),
            SETTINGS: json.dumps(settings, indent=2) + "\n",
        }
        for name, text in texts.items():
            (fresh / name).write_text(text, encoding="utf-8", newline="\n")
    return path


def serve():
    """Serve the page of the current folder, which `write` has written; nothing is kept of what visitors draw."""
    settings = json.loads(pathlib.Path(SETTINGS).read_text(encoding="utf-8"))
    runs = [Run(pathlib.Path("runs") / name) for name in settings["runs"]]
    blocks = serving.serve(serving.ready(runs, thresholds=settings["likely_above"]), None)
    print(f"draw at {blocks.local_url}   (Ctrl-C stops it)", flush=True)
    return blocks


def _check(run: Run) -> None:
    made = run.config().ensemble
    if made is not None and made.weights is None:
        raise UserError(
            f"{run.folder}: a second model joins its members ({made.method}), which is fitted on the training images "
            "and cannot travel without them; take an ensemble with weights, or a single run."
        )
    for member in readers.members(run):
        _check(member)


def _needed(runs: Sequence[Run]) -> list[Run]:
    """The runs, their members, and those whose networks they predict with."""
    found: dict[pathlib.Path, Run] = {}
    for run in runs:
        found.setdefault(run.folder, run)
        for member in _needed(readers.members(run)):
            found.setdefault(member.folder, member)
        for leaf in parts.resolve(run).leaves():
            for path in leaf.paths:
                found.setdefault(path.parent, Run(path.parent))
    return list(found.values())


def _copy(run: Run, place: pathlib.Path) -> None:
    """Copy what predicting needs; this machine's folders stay unnamed."""
    place.mkdir(parents=True)
    config = run.config()
    plain = config.model_copy(update={"data": config.data.model_copy(update={"folder": "data", "extra": None})})
    text = yaml.safe_dump(plain.model_dump(exclude_none=True), sort_keys=False, allow_unicode=True)
    (place / "config.yaml").write_text(text, encoding="utf-8", newline="\n")
    metrics = run.metrics().model_dump(exclude_none=True, exclude={"extra_data", "hardware"})
    metrics |= {name: metrics.get(name) for name in ("validation_accuracy", "validation_log_loss")}
    (place / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8", newline="\n")
    for path in run.network_paths():
        shutil.copyfile(path, place / path.name)


def _package(competition: str) -> dict[str, bytes]:
    """The kit's files, and the facts of this competition alone, the user's own where there are some."""
    files = {name: content for name, content in packing.package().items() if not name.startswith("configs/")}
    facts = competitions.folders.with_facts()[competition] / competitions.folders.FACTS
    return {**files, f"configs/{competition}/{competitions.folders.FACTS}": facts.read_bytes()}


def _requirements() -> str:
    return "".join(f"{name}=={importlib.metadata.version(name)}\n" for name in PACKAGES)


def _readme(runs: Sequence[Run], found: Sequence[readers.Reader]) -> str:
    competition = competitions.get(runs[0].competition)
    rows = []
    for reader in found:
        accuracy = "" if reader.accuracy is None else f"{reader.accuracy:.2%}"
        rows.append(f"| {reader.run.name} | {accuracy} |")
    return README.format(
        title=json.dumps(f"{runs[0].name} on {competition.name}", ensure_ascii=False),
        gradio=importlib.metadata.version("gradio"),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        what="Draw a digit, or several" if competition.handwriting else "Drop a photo",
        competition=competition.name,
        page=competition.page,
        runs="\n".join(rows),
    )
