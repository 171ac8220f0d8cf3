"""Bringing a session's outcome here: download, verify by the far side's checksums, put in place."""

import json
import os
import pathlib
import shutil
import zipfile

import pydantic

from kit import files, tracking
from kit.errors import Failure, UserError, printable
from kit.kaggle_client import Kernels
from kit.remote import far_side, record
from kit.remote.record import FAILED, FETCHED, PAUSED, File, Manifest, Record
from kit.tracking import SUBMISSIONS, Config, Run, life, schema

STAGING = ".remote"  # in the run's folder: what is downloaded and not in place yet
LARGEST_MANIFEST = 1 << 22
ATTEMPTS = 2


class NothingThere(Failure):
    """The session has left nothing."""


class NotYet(Failure):
    """What Kaggle lists is not this session's."""


def fetch(kaggle: Kernels, run: Run, state_too: bool = False) -> Manifest:
    """Bring what a run's newest session has left to where a training here would have put it.

    What was downloaded stays when something fails, and is not downloaded again. The run's own `config.yaml` comes last:
    until then the run is not complete.

    Args:
        kaggle: the connection.
        run: with a record.
        state_too: whether the state of a training that is not finished is brought here as well.

    Returns:
        What the session says of itself.

    Raises:
        NothingThere: it has left nothing.
        NotYet: what is there is an earlier session's.
        Failure: a file does not arrive as the session left it.
    """
    with run.locked():
        known = record.read(run)
        assert known is not None
        kernel = known.last.kernel
        names, log = kaggle.outputs(kernel)
        if log:
            with life.writing(run.folder):
                files.write_text(run.folder / "remote.log", log)
        if far_side.MANIFEST not in names:
            raise NothingThere(f"{kernel.url} has left nothing.")
        staging = run.folder / STAGING
        with life.writing(staging):
            staging.mkdir(parents=True, exist_ok=True)
        manifest = _manifest(kaggle, known, staging)
        _check_paths(manifest, run, known)
        wanted = manifest.files if manifest.state == "complete" or state_too else {}
        for number, (name, file) in enumerate(manifest.files.items() if wanted else (), 1):
            _bring(kaggle, known, name, file, staging)
            print(f"fetched {number} of {len(wanted)}: {name}, {file.size:,} bytes", flush=True)
        with life.writing(run.folder):
            _settle(run, known, manifest, staging, bool(wanted))
    return manifest


def _settle(run: Run, known: Record, manifest: Manifest, staging: pathlib.Path, brought: bool) -> None:
    """Put what was brought in place and record how the session ended."""
    if manifest.state == "complete":
        _place(run, known, {name: staging / _local(name) for name in manifest.files})
        for name in known.runs:
            shutil.rmtree(tracking.place(run.competition, name).working, ignore_errors=True)
        ended = known.with_last(state=FETCHED)
    elif manifest.state == "unfinished":
        if brought:
            _unpack(run, known, staging / _local(far_side.STATE), staging / "state")
        ended = known.with_last(state=PAUSED, sha256=manifest.files[far_side.STATE].sha256)
    else:
        ended = known.with_last(state=FAILED)
    shutil.rmtree(staging, ignore_errors=True)
    record.write(run, ended)


def _manifest(kaggle: Kernels, known: Record, staging: pathlib.Path) -> Manifest:
    path = staging / far_side.MANIFEST
    kernel = known.last.kernel
    for last in (False, True):
        kaggle.download(kernel, far_side.MANIFEST, path)
        try:
            manifest = Manifest.model_validate(json.loads(files.content(path, LARGEST_MANIFEST)))
            break
        except (OSError, ValueError, RecursionError, pydantic.ValidationError):
            if last:
                raise Failure(
                    f"{far_side.MANIFEST} of {kernel} does not arrive as it was left; nothing is lost: try again with "
                    f"`python -m kit.remote --fetch {known.runs[-1]}`."
                ) from None
    if manifest.session != known.last.id:
        raise NotYet(f"what Kaggle lists of {kernel} is another session's; see {kernel.url}.")
    return manifest


def _check_paths(manifest: Manifest, run: Run, known: Record) -> None:
    """Refuse files that are not the run's: a name such as ../x would be written elsewhere."""
    trees = tuple(f"runs/{run.competition}/{name}/" for name in known.runs)
    tables = tuple(f"submissions/{run.competition}/{name}.csv" for name in known.runs)
    for name in manifest.files:
        plain = pathlib.PurePosixPath(name)
        safe = ".." not in plain.parts and str(plain) == name and "\\" not in name and printable(name) == name
        if manifest.state != "complete" and name == far_side.STATE:
            continue
        if not safe or not (name.startswith(trees) or name in tables):
            raise Failure(
                f"{known.last.kernel} has left {printable(name)[:100]}, which is not the run's; see its page."
            )
    needed = (f"{trees[-1]}config.yaml", f"{trees[-1]}metrics.json") if manifest.state == "complete" else ()
    if missing := [name for name in needed if name not in manifest.files]:
        raise Failure(f"{known.last.kernel} has left no {missing[0]}; see {known.last.kernel.url}/output.")
    if manifest.state == "unfinished" and far_side.STATE not in manifest.files:
        raise Failure(f"{known.last.kernel} has left no {far_side.STATE}; see {known.last.kernel.url}/output.")


def _local(name: str) -> str:
    """Where in the staging folder a file is kept."""
    return f"files/{name}"


def _bring(kaggle: Kernels, known: Record, name: str, file: File, staging: pathlib.Path) -> None:
    """Download a file unless it is here; it is taken only as the session left it."""
    path = staging / _local(name)
    if _is(path, file) or _is(_target(name), file):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.part")
    for _ in range(ATTEMPTS):
        kaggle.download(known.last.kernel, name, half)
        if _is(half, file):
            os.replace(half, path)
            return
    size = half.stat().st_size
    half.unlink()
    raise Failure(
        f"{name} does not arrive as the session left it ({size:,} of {file.size:,} bytes, or a wrong checksum); what "
        f"has arrived is kept: try again with `python -m kit.remote --fetch {known.runs[-1]}`."
    )


def _is(path: pathlib.Path, file: File) -> bool:
    try:
        return path.stat().st_size == file.size and far_side.checksum(path)["sha256"] == file.sha256
    except OSError:
        return False


def _place(run: Run, known: Record, sources: dict[str, pathlib.Path]) -> None:
    """Move files to where a training here would have written them, each run's config.yaml after its other files."""
    configs = [f"runs/{run.competition}/{name}/config.yaml" for name in known.runs]
    order = [name for name in sources if name not in configs] + [name for name in configs if name in sources]
    for name in order:
        source, target = sources[name], _target(name)
        if not source.exists():
            continue  # put in place by a fetch that was interrupted
        target.parent.mkdir(parents=True, exist_ok=True)
        if name in configs:
            _place_config(source, Run(target.parent), known)
        else:
            os.replace(source, target)


def _target(name: str) -> pathlib.Path:
    """Return where a training here would have written a file of a session."""
    top, _, rest = name.partition("/")
    return (tracking.RUNS if top == "runs" else SUBMISSIONS) / rest


def _place_config(source: pathlib.Path, run: Run, known: Record) -> None:
    """Write a config with the data folder of this machine in place of Kaggle's."""
    config = schema.read_yaml(source, Config)
    here = config.model_copy(update={"data": config.data.model_copy(update={"folder": known.data_dir})})
    files.write_text(run.folder / "config.yaml", schema.yaml_text(here))


def _unpack(run: Run, known: Record, archive: pathlib.Path, folder: pathlib.Path) -> None:
    """Put the state of a training that is not finished in place; `kit.train --resume` goes on with it here."""
    shutil.rmtree(folder, ignore_errors=True)
    trees = tuple(f"runs/{run.competition}/{name}/" for name in known.runs)
    tables = tuple(f"submissions/{run.competition}/{name}.csv" for name in known.runs)
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if not name.endswith("/")]
        if any(".." in name or not (name.startswith(trees) or name in tables) for name in names):
            raise UserError(f"{known.last.kernel} has left a state that is not the run's; see {known.last.kernel.url}.")
        opened.extractall(folder)
    _place(run, known, {name: folder / name for name in names})
