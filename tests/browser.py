"""A headless Chromium that reports what a page does: its requests, its console, its images, its layout.

It is controlled by the DevTools protocol through a pipe, so that neither a driver nor a port is needed.
Reference: https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import contextlib
import json
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import threading

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMEOUT = 120  # seconds for an answer, on a machine that is busy with other tests
# The protocol's pipe is on descriptors 3 and 4, whatever they were here.
LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
QUIET = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
# Only the page itself makes requests, and no name resolves; a server on this machine is found.
RESOLVED = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
OFFLINE = ("--disable-background-networking", "--disable-component-update", RESOLVED)


def find() -> str | None:
    """Return the path of a Chromium, or None where there is none or its pipe cannot be had."""
    return next(filter(None, map(shutil.which, NAMES)), None) if os.name == "posix" else None


class Page:
    """A tab of a browser, and the events in it."""

    def __init__(self, process, sends, answers):
        self.process, self._sends, self._answers = process, sends, answers
        self.events, self._number, self._session = [], 0, None
        tab = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters) -> dict:
        """Send a command and return its result."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        self._sends.write(json.dumps(command).encode() + b"\0")
        self._sends.flush()
        answer = self._until(lambda message: message.get("id") == command["id"])
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def show(self, path: pathlib.Path | str, width: int, scheme: str = "light") -> None:
        """Load a file or an address in a window of `width` CSS pixels, in the colour scheme "light" or "dark"."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self.ask("Page.navigate", url=path if isinstance(path, str) else path.as_uri())
        if not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._until(lambda message: message.get("method") == "Page.loadEventFired")

    def value(self, script: str):
        """Return the value of an expression in the page; a promise is awaited."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    def drag(self, points) -> None:
        """Press the mouse at the first of the points (x, y), in CSS pixels of the window, and lift it at the last."""
        for number, (x, y) in enumerate([points[0], *points, points[-1]]):
            kind = "mousePressed" if not number else "mouseReleased" if number == len(points) + 1 else "mouseMoved"
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def screenshot(self, path: pathlib.Path) -> None:
        """Write the whole page as a PNG."""
        image = self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(image))

    def requests(self) -> list[str]:
        """The addresses that the page requested since it was shown, except for itself and its embedded data."""
        urls = [event["params"]["request"]["url"] for event in self._all("Network.requestWillBeSent")]
        return [url for url in urls if not url.startswith(("data:", "file:"))]

    def complaints(self) -> list[str]:
        """The messages in the console since the page was shown."""
        logged = [event["params"]["entry"]["text"] for event in self._all("Log.entryAdded")]
        thrown = [event["params"]["exceptionDetails"]["text"] for event in self._all("Runtime.exceptionThrown")]
        return logged + thrown + [str(event["params"]["args"]) for event in self._all("Runtime.consoleAPICalled")]

    def _all(self, method):
        self.ask("Browser.getVersion")  # events before this answer have arrived with it
        return [event for event in self.events if event["method"] == method]

    def _until(self, fits) -> dict:
        while True:
            message = self._answers.get(timeout=TIMEOUT)
            if message is None:
                raise RuntimeError(f"the browser ended with status {self.process.wait()}")
            if "method" in message:
                self.events.append(message)
            if fits(message):
                return message


@contextlib.contextmanager
def opened(program: str, folder: pathlib.Path):
    """Start the browser with an empty profile in `folder`; yield a `Page`."""
    to_read, sends = os.pipe()
    answers_from, to_write = os.pipe()
    # Away from 3 and 4, which the launcher overwrites.
    inherited = [_moved(descriptor) for descriptor in (to_read, to_write)]
    call = [sys.executable, "-c", LAUNCH, *map(str, inherited), program, "--remote-debugging-pipe", *QUIET, *OFFLINE]
    process = subprocess.Popen(
        [*call, f"--user-data-dir={folder}"], pass_fds=inherited, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for descriptor in inherited:
        os.close(descriptor)
    answers = queue.Queue()
    with open(sends, "wb") as sending, open(answers_from, "rb") as receiving:
        reader = threading.Thread(target=_read, args=(receiving, answers), daemon=True)
        reader.start()
        try:
            yield Page(process, sending, answers)
        finally:
            process.terminate()
            process.wait()
            reader.join()


def _moved(descriptor: int) -> int:
    import fcntl

    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD, 10)
    os.close(descriptor)
    return moved


def _read(receiving, answers):
    rest = b""
    while part := receiving.read1(1 << 16):
        *whole, rest = (rest + part).split(b"\0")
        for message in whole:
            answers.put(json.loads(message))
    answers.put(None)
