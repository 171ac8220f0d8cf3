"""Kaggle's kernels on loopback: takes what the unmodified client pushes, and really runs it, with Kaggle's folders."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field

from kaggle_stand_in import SIGNATURE, STORAGE, USER, Answer, KaggleStandIn, _Handler, error

PAGE = 20
CALLS = {
    "IntrospectToken": "introspect_token",
    "SaveKernel": "save_kernel",
    "GetKernelSessionStatus": "get_kernel_session_status",
    "ListKernelSessionOutput": "list_kernel_session_output",
    "GetAcceleratorQuotaStatistics": "get_accelerator_quota_statistics",
}


@dataclass
class Session:
    """A version of a kernel and its session.

    Attributes:
        asked: what was pushed.
        root: stands for /kaggle.
        states: what the status is, one after the other; the last one stays.
        log: what it prints, a text a line.
        outputs: what it leaves, by name.
    """

    asked: dict
    root: pathlib.Path
    states: list[str] = field(default_factory=lambda: ["QUEUED", "RUNNING", "COMPLETE"])
    log: list[str] = field(default_factory=list)
    outputs: dict[str, bytes] = field(default_factory=dict)
    message: str = ""
    process: subprocess.Popen | None = None

    @property
    def settings(self) -> dict:
        """What the far side is told."""
        quoted = re.search(r"^SETTINGS = json.loads\((.*)\)$", self.asked["text"], re.MULTILINE)
        return json.loads(eval(quoted[1]))

    @property
    def working(self) -> pathlib.Path:
        return self.root / "working"


class KernelsStandIn(KaggleStandIn):
    """Kaggle with kernels.

    Attributes:
        folder: where the sessions' folders are.
        work: what a pushed session does in place of running its script; None to run it.
        sessions: by slug, its versions.
        data: files of the attached competition, by name.
        refusal: an answer to the next push, in place of a session.
        quota: seconds of GPU used, and allowed; None where Kaggle does not tell.
        logs: whether there is a live log.
        newer: whether data lie in input/competitions, or in input as in older images.
    """

    def __init__(self, folder: pathlib.Path):
        super().__init__()
        self.folder = folder
        self.work: Callable[[Session], None] | None = None
        self.sessions: dict[str, list[Session]] = {}
        self.data: dict[str, bytes] = {}
        self.refusal: dict | Answer | None = None
        self.quota: tuple[float, float] | None = (3600.0, 108000.0)
        self.logs, self.newer = True, True

    @property
    def handler(self):
        return KernelsHandler

    @property
    def only(self) -> Session:
        """The one session there is; more than one, or none, is an error."""
        ((session,),) = self.sessions.values()
        return session

    def introspect_token(self, asked: dict) -> dict:
        return {"active": True, "username": USER}

    def get_accelerator_quota_statistics(self, asked: dict) -> dict | Answer:
        if self.quota is None:
            return error(404, "Not found")
        used, allowed = self.quota
        return {
            "quotaRefreshTime": "2026-11-28T00:00:00Z",
            "gpuQuota": {"timeUsed": f"{used:g}s", "totalTimeAllowed": f"{allowed:g}s"},
        }

    def save_kernel(self, asked: dict) -> dict | Answer:
        if self.refusal is not None:
            return self.refusal
        if wrong := [name for name in asked["competitionDataSources"] if name not in self.joined]:
            return {"error": "", "invalidCompetitionSources": wrong}
        slug = asked["slug"].partition("/")[2]
        versions = self.sessions.setdefault(slug, [])
        session = Session(asked, self.folder / f"{slug}-{len(versions) + 1}")
        versions.append(session)
        session.working.mkdir(parents=True)
        if self.work:
            self.work(session)
        else:
            self._run(session)
        ref = f"/code/{asked['slug']}"
        return {"ref": ref, "url": f"https://www.kaggle.com{ref}", "versionNumber": len(versions)}

    def get_kernel_session_status(self, asked: dict) -> dict | Answer:
        session = self._session(asked)
        if session is None:
            return error(403, "Permission 'kernels.get' was denied")
        state = session.states[0] if len(session.states) == 1 else session.states.pop(0)
        return {"status": state, **({"failureMessage": session.message} if state == "ERROR" else {})}

    def list_kernel_session_output(self, asked: dict) -> dict | Answer:
        session = self._session(asked)
        if session is None:
            return error(404, "Not found")
        first = int(asked.get("pageToken") or 0)
        names = sorted(session.outputs)
        slug, number = asked["kernelSlug"], self.sessions[asked["kernelSlug"]].index(session)
        url = f"{STORAGE}/outputs/{slug}/{number}/"
        page = [
            {"fileName": name, "url": f"{url}{urllib.parse.quote(name)}?sig={SIGNATURE}"}
            for name in names[first : first + PAGE]
        ]
        more = {"nextPageToken": str(first + PAGE)} if first + PAGE < len(names) else {}
        return {"files": page, "log": "", **more}

    def _session(self, asked: dict) -> Session | None:
        """The version that is asked for by its label, "v2"; the first one where none is."""
        versions = self.sessions.get(asked["kernelSlug"], [])
        label = asked.get("versionLabel") or "v1"
        number = int(label[1:]) if re.fullmatch(r"v\d+", label) else 0
        return versions[number - 1] if 0 < number <= len(versions) else None

    def _run(self, session: Session) -> None:
        """Run the pushed script in a process of its own, in `working` beside `input`."""
        for competition in session.asked["competitionDataSources"]:
            folder = session.root / "input" / ("competitions" if self.newer else ".") / competition
            folder.mkdir(parents=True)
            for name, content in self.data.items():
                (folder / name).write_bytes(content)
        for kernel in session.asked.get("kernelDataSources", []):
            for name, content in self.sessions[kernel.partition("/")[2]][-1].outputs.items():
                path = session.root / "input" / "notebooks" / kernel / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        script = session.root / "script.py"
        script.write_text(session.asked["text"], encoding="utf-8")
        session.states = ["RUNNING"]
        session.process = subprocess.Popen(
            [sys.executable, str(script)], cwd=session.working, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip

        def watch() -> None:
            with session.process:
                session.log.extend(session.process.stdout)
            ended = session.process.returncode
            if not ended:  # what a session leaves that fails is thrown away
                for path in session.working.rglob("*"):
                    inside = path.relative_to(session.working)
                    if path.is_file() and not any(part.startswith(".") for part in inside.parts):
                        session.outputs[inside.as_posix()] = path.read_bytes()
            shutil.rmtree(session.root, ignore_errors=True)
            session.states = ["ERROR" if ended else "COMPLETE"]

        threading.Thread(target=watch, daemon=True).start()


class KernelsHandler(_Handler):
    kaggle: KernelsStandIn

    def _call(self) -> Answer:
        name = self.request_.name
        if name not in CALLS:
            return super()._call()
        if self.headers.get("Authorization") not in self.kaggle.authorizations:
            return error(401, "Unauthenticated")
        result = getattr(self.kaggle, CALLS[name])(json.loads(self.request_.body or b"{}"))
        return result if isinstance(result, Answer) else Answer(body=json.dumps(result).encode())

    def do_GET(self) -> None:
        if "/kernels/logs/stream/" in self.path:
            self._serve("LogStream", self._log)
        else:
            super().do_GET()

    def _log(self) -> Answer:
        session = self.kaggle.sessions[self.url.path.rpartition("/")[2]][-1]
        if not self.kaggle.logs:
            return error(404, "Not found")
        if session.process:
            session.process.wait()
        events = [json.dumps({"stream_name": "stdout", "data": text}) for text in session.log]
        body = "".join(f"data: {event}\n\n" for event in [*events, "END_OF_LOG"])
        return Answer(200, body.encode(), {"Content-Type": "text/event-stream"})

    def _file(self) -> Answer:
        parts = urllib.parse.unquote(self.url.path).split("/", 4)
        if parts[1] != "outputs":
            return super()._file()
        assert "Authorization" not in self.headers
        return Answer(
            200, self.kaggle.sessions[parts[2]][int(parts[3])].outputs[parts[4]], {"Content-Type": "text/csv"}
        )
