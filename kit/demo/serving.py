"""Serve the page: on this machine alone, in a notebook's cell, or by a public link on request."""

import importlib.metadata
import os
import pathlib
import re
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kit import tracking
from kit.backend import start_keras
from kit.errors import Failure, UserError
from kit.tracking import Run

if TYPE_CHECKING:
    import gradio as gr

    from kit.demo.readers import Reader

OLDEST = (6, 31)  # of Gradio: what the tests have seen to request nothing from elsewhere
HERE = "127.0.0.1"
LARGEST_PORT = 65_535
VISITORS = 100  # whose last images are remembered, for corrections


def check_gradio() -> None:
    """Refuse to go on without Gradio; takes no time.

    Raises:
        UserError: it is not installed, or too old.
    """
    oldest = ".".join(map(str, OLDEST))
    try:
        installed = importlib.metadata.version("gradio")
    except importlib.metadata.PackageNotFoundError:
        raise UserError("the page needs Gradio: pip install gradio") from None
    if tuple(map(int, re.findall(r"\d+", installed)[:2])) < OLDEST:
        raise UserError(f"Gradio {installed} is too old; {oldest} is needed: pip install --upgrade gradio")


def launch(
    runs: str | Run | Sequence[str | Run],
    *,
    share: bool = False,
    port: int | None = None,
    data_dir: str | None = None,
    corrections: str | pathlib.Path | None = None,
) -> "gr.Blocks":
    """Serve the page and return at once; in a notebook it appears below the cell.

    Args:
        runs: one or several runs or ensembles of one competition, or their names; the first one's answer counts.
        share: whether to ask gradio.live for a public link, which lasts a week at most.
        port: at which one of 127.0.0.1; by default the first that is free from 7860 on.
        data_dir: the folder of all competitions' files, where they have moved.
        corrections: the folder of drawings that were read wrong; `corrections/<competition>` by default.

    Returns:
        Gradio's `Blocks`; its `close()` ends the server.

    Raises:
        UserError: Gradio is missing, the port is in use, or a run cannot be shown.
    """
    from kit.demo.corrections import usual

    check_gradio()
    check_port(port)
    if os.environ.get("KAGGLE_KERNEL_RUN_TYPE") and not share:
        raise UserError(
            "a Kaggle notebook shows the page only by a public link: switch its internet on, and give share=True."
        )
    given = [runs] if isinstance(runs, str | Run) else list(runs)
    found = [run if isinstance(run, Run) else tracking.find(run) for run in given]
    folder = usual(found[0].competition) if corrections is None else pathlib.Path(corrections)
    return serve(ready(found, data_dir), folder, share=share, port=port, server_name=HERE)


def ready(runs: Sequence[Run], data_dir: str | None = None, thresholds: Any = None) -> list["Reader"]:
    """Load runs, and let each answer once, which compiles it: the first visitor need not wait.

    Raises:
        UserError: as `readers.gather`.
    """
    for run in runs:
        run.metrics()
    start_keras()
    from kit.demo import readers

    found = readers.gather(runs, data_dir, thresholds)
    for reader in found:
        for count in (1, 2):
            images = np.zeros((count, *reader.competition.image_shape), np.uint8)
            reader.heat(images, reader.predict(images).argmax(axis=1))
    return found


def serve(
    readers: list["Reader"],
    folder: pathlib.Path | None,
    *,
    share: bool = False,
    port: int | None = None,
    server_name: str | None = None,
) -> "gr.Blocks":
    """Serve the page of runs that are loaded.

    Args:
        readers: the runs.
        folder: where corrections are kept; None keeps none.
        share, port: as of `launch`.
        server_name: the address to listen at; None for Gradio's, which Hugging Face's Spaces set.

    Raises:
        UserError: the port is in use.
        Failure: gradio.live gave no link.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import gradio as gr

    from kit.demo import page, view

    blocks = page.build(readers, folder)
    fonts = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]  # those of the visitor's machine
    try:
        blocks.launch(
            theme=gr.themes.Default(primary_hue="blue", font=fonts[0], font_mono=fonts[1]),
            css=(view.HERE / "templates" / "page.css").read_text(encoding="utf-8"),
            share=share,
            server_name=server_name,
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            height=900,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            state_session_capacity=VISITORS,
        )
    except OSError as error:
        raise UserError(f"no port could be had ({error}); take another --port.") from None
    if share and not blocks.share_url:
        blocks.close(verbose=False)
        raise Failure("gradio.live gave no public link; try again later, or leave out --share.")
    return blocks


def wait(blocks: "gr.Blocks") -> None:
    """Serve until Ctrl-C."""
    try:
        while True:
            time.sleep(0.3)
    except KeyboardInterrupt:
        pass
    finally:
        blocks.close(verbose=False)


def check_port(port: int | None) -> None:
    """Refuse a port of this machine that cannot be listened at.

    Raises:
        UserError: it is not between 1 and 65535, or in use, or not the user's to take.
    """
    if port is None:
        return
    if not 0 < port <= LARGEST_PORT:
        raise UserError(f"--port {port}: take a number from 1 to {LARGEST_PORT}.")
    try:
        with socket.socket() as tried:
            if os.name == "posix":  # one that was left a moment ago is free
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((HERE, port))
    except OSError as error:
        raise UserError(f"--port {port} cannot be had ({error.strerror}); take another one.") from None


def check_absent(folder: pathlib.Path) -> None:
    """Refuse the folder of a Space that is there already.

    Raises:
        UserError: it is.
    """
    if os.path.lexists(folder):
        raise UserError(f"--space {folder} exists already; take another folder, or remove it.")
