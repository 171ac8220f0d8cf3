"""What runs on Kaggle: unpacks the kit, trains with it, stops in time, and leaves checksums of what it made.

This file is the head of the pushed script, so it knows nothing but the standard library. It stands in the folder
`working`, beside `input` with the attached data.

Kaggle throws away what a session leaves that fails or runs out of time. So whatever happens, this ends by itself,
before its time is up, and without an error.
"""

import base64
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from typing import Any

MANIFEST, STATE, SUBMISSION = "kit-manifest.json", "kit-state.zip", "submission.csv"
MOST_RESERVE = 1200.0  # seconds; for starting, predicting, figures, and the packing of a state
RESERVED = 0.1  # of a session's time, if that is less
LAST_LINES = 40
PHONE = "https://www.kaggle.com/settings/account"


def main(settings: dict[str, Any], payload: str) -> None:
    """Train as `settings` say with the kit in `payload`, and leave what came of it in the working folder.

    Args:
        settings: session, its identity; seconds, after which Kaggle ends it; competition; arguments of kit.train, in
            which {code} stands for the kit's folder; runs, the names of the runs that it makes, its own last;
            accelerator, "t4x2", "tpu" or "none"; state, of an earlier session that is gone on from, or None: kernel,
            "owner/slug", and sha256 of what it left; notebook, whether a submission.csv is wanted.
        payload: the kit as a .tar.xz in base64.
    """
    began = time.monotonic()
    working = pathlib.Path.cwd()
    if working.name != "working":
        working = pathlib.Path("/kaggle/working")
    inputs = working.parent / "input"
    code = pathlib.Path(tempfile.mkdtemp(prefix="kit-"))
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(payload)), mode="r:xz") as archive:
        archive.extractall(code, filter="data")
    reserve = min(MOST_RESERVE, RESERVED * settings["seconds"])
    found, backend, notes = accelerator(settings["accelerator"])
    print(f"session {settings['session']} on {found}", flush=True)
    for note in notes:
        print(f"note: {note}", flush=True)
    if settings["state"]:
        restore(settings["state"], inputs, working)
    left = settings["seconds"] - reserve - (time.monotonic() - began)
    command = [sys.executable, "-u", "-m", "kit.train"]
    command += [argument.replace("{code}", str(code)) for argument in settings["arguments"]]
    command += ["--data-dir", str(data_folder(inputs, settings["competition"])), "--time-limit", f"{left / 60:.3f}"]
    status, lines = train(command, code, working, backend, left + reserve / 2)
    state, paths = collect(working, settings["competition"], settings["runs"])
    csv = working / "submissions" / settings["competition"] / f"{settings['runs'][-1]}.csv"
    if settings["notebook"] and csv.exists():
        shutil.copy(csv, working / SUBMISSION)
    manifest = {
        "session": settings["session"],
        "state": state,
        "status": status,
        "lines": lines,
        "notes": notes,
        "hardware": found,
        "seconds": round(time.monotonic() - began, 1),
        "files": {path.relative_to(working).as_posix(): checksum(path) for path in paths},
    }
    half = working / f"{MANIFEST}.part"
    half.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    half.replace(working / MANIFEST)
    shutil.rmtree(code, ignore_errors=True)
    print(f"session {settings['session']} ends: {state}, {len(paths)} files", flush=True)


def accelerator(wanted: str) -> tuple[str, str | None, list[str]]:
    """Return what there is to train on, the backend of Keras for it, and notes for who asked for something else."""
    gpus = [line.split(" (")[0] for line in output(["nvidia-smi", "-L"]).splitlines() if line.startswith("GPU")]
    if wanted == "tpu":
        if output([sys.executable, "-c", "import jax; print(jax.default_backend())"]).endswith("tpu"):
            return "a TPU", "jax", []
        return (
            "the CPU",
            None,
            ["Kaggle gave this session an image without TPU; try again, or take --accelerator t4x2."],
        )
    if wanted != "none" and not gpus:
        return "the CPU", None, [f"Kaggle gave this session no GPU; verify your phone number at {PHONE}."]
    return ", ".join(gpus) or "the CPU", None, []


def output(command: list[str]) -> str:
    """Return what a command prints, or an empty text where it is not there or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def data_folder(inputs: pathlib.Path, competition: str) -> pathlib.Path:
    """Return the folder that holds the competition's folder: newer images have one for all competitions."""
    newer = inputs / "competitions"
    return newer if (newer / competition).exists() else inputs


def restore(state: dict[str, Any], inputs: pathlib.Path, working: pathlib.Path) -> None:
    """Unpack what an earlier session left, where Kaggle has attached its output."""
    owner, _, slug = state["kernel"].partition("/")
    places = [inputs / "notebooks" / owner / slug, inputs / "notebooks" / slug, inputs / slug, inputs / owner / slug]
    paths = [place / STATE for place in places if (place / STATE).exists()]
    paths = paths or [path for pattern in ("*/", "*/*/", "*/*/*/") for path in inputs.glob(pattern + STATE)]
    for path in paths:
        if state["sha256"] in (None, checksum(path)["sha256"]):
            with zipfile.ZipFile(path) as archive:
                archive.extractall(working)
            return
    raise SystemExit(f"error: the state that {state['kernel']} left is not attached, or not as it was left")


def train(
    command: list[str], code: pathlib.Path, working: pathlib.Path, backend: str | None, seconds: float
) -> tuple[int, list[str]]:
    """Run a training, its output going on to the log; end it where it does not end by itself.

    Returns:
        Its exit status and its last lines.
    """
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(code), os.environ.get("PYTHONPATH", "")]))
    if backend:
        environment["KERAS_BACKEND"] = backend
    process = subprocess.Popen(
        command, cwd=working, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        encoding="utf-8", errors="replace",
    )  # fmt: skip
    timer = threading.Timer(max(1.0, seconds), process.kill)  # an epoch that takes longer than any before it
    timer.daemon = True
    timer.start()
    lines: list[str] = []
    with process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines = [*lines[1 - LAST_LINES :], line.rstrip()[:1000]]
    timer.cancel()
    return process.returncode, lines


def collect(working: pathlib.Path, competition: str, runs: list[str]) -> tuple[str, list[pathlib.Path]]:
    """Return what the training has become, "complete", "unfinished" or "nothing", and the files to fetch.

    What is unfinished is put into one archive: folders whose name begins with a dot are no output of a session.
    """
    top = working / "runs" / competition
    shutil.rmtree(top / ".locks", ignore_errors=True)
    own = top / runs[-1]
    trees = [tree for tree in (working / "runs", working / "submissions") if tree.exists()]
    paths = sorted(path for tree in trees for path in tree.rglob("*") if path.is_file())
    if (own / "config.yaml").exists() and (own / "metrics.json").exists() and not (own / ".working").exists():
        return "complete", paths
    if not any((top / name / "config.yaml").exists() for name in runs):
        return "nothing", []
    with zipfile.ZipFile(working / STATE, "w", zipfile.ZIP_STORED) as archive:
        for path in paths:
            archive.write(path, path.relative_to(working))
    for tree in trees:
        shutil.rmtree(tree)
    return "unfinished", [working / STATE]


def checksum(path: pathlib.Path) -> dict[str, Any]:
    """Return a file's size in bytes and its SHA-256 as hex."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
            size += len(part)
    return {"size": size, "sha256": digest.hexdigest()}
