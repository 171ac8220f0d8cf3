"""The page itself, in Gradio: a pad to draw on, the answer beside it, and what to do where that is wrong."""

import base64
import binascii
import html
import pathlib
from collections.abc import Sequence

import gradio as gr

from kit.demo import answers, corrections, view
from kit.demo.answers import Answer
from kit.demo.readers import Reader
from kit.errors import UserError, printable

TEMPLATES = view.HERE / "templates"
MOST_BUTTONS = 12  # classes; more are a list
LONGEST_NAME = 100


def build(readers: Sequence[Reader], folder: pathlib.Path | None) -> gr.Blocks:
    """Return the page.

    Args:
        readers: the runs; the first one's answer is the headline.
        folder: where corrections are kept; None keeps none.
    """
    competition = readers[0].competition
    names = list(competition.class_names)
    with gr.Blocks(title="draw" if competition.handwriting else "look", analytics_enabled=False) as page:
        gr.HTML(view.about(list(readers)), js_on_load=None)
        shown = gr.State(None)  # of one visitor; Gradio keeps those of others apart
        with gr.Row():
            with gr.Column(scale=4, min_width=320):
                pad = gr.HTML(
                    html_template=(TEMPLATES / "pad.html").read_text(encoding="utf-8"),
                    js_on_load=(TEMPLATES / "pad.js").read_text(encoding="utf-8"),
                    draws=competition.handwriting,
                    elem_id="pad",
                )
            with gr.Column(scale=5, min_width=320):
                answer = gr.HTML(view.answer(answers.read(readers, None, True)), js_on_load=None, elem_id="answer")
                with gr.Accordion("That was wrong?", open=False, visible=False, elem_id="wrong") as wrong:
                    which = gr.Radio([], label="Which one", visible=False, elem_id="which")
                    several = gr.Radio if len(names) <= MOST_BUTTONS else gr.Dropdown
                    right = several(names, value=None, label="It is", elem_id="right")
                    keep = gr.Button("Keep it with this label", elem_id="keep")
                kept = gr.HTML("", js_on_load=None, elem_id="kept")

        def look(event: gr.EventData):
            found = answers.read(readers, *_sent(event))
            count = len(found.seen)
            numbers = gr.update(choices=_numbers(count), value=None, visible=count > 1)
            offered = gr.update(visible=bool(count) and folder is not None)
            return view.answer(found, _number(event)), found, offered, numbers, gr.update(value=None), ""

        def correct(found: Answer | None, number: str | None, label: str | None):
            return f'<p class="kept">{html.escape(printable(_kept(found, number, label, folder)))}</p>'

        # Only the newest of the images that wait is looked at.
        pad.look(
            look,
            None,
            [answer, shown, wrong, which, right, kept],
            show_progress="hidden",
            trigger_mode="always_last",
            api_visibility="private",
        )
        keep.click(correct, [shown, which, right], kept, show_progress="hidden", api_visibility="private")
    return page


def _sent(event: gr.EventData) -> tuple[bytes | None, bool, str]:
    """Return the content of what a visitor sent, whether it was drawn, and the file's name; trusts nothing of it."""
    sent = event._data if isinstance(event._data, dict) else {}
    drawn, name = bool(sent.get("drawn")), str(sent.get("name") or "")[-LONGEST_NAME:]
    try:
        content = base64.b64decode(str(sent.get("image") or "").partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        content = b""
    return content or None, drawn, printable(name) or answers.DRAWN


def _number(event: gr.EventData) -> int:
    """Return which of its images a visitor's page has sent."""
    number = event._data.get("number") if isinstance(event._data, dict) else 0
    return number if isinstance(number, int) else 0


def _numbers(count: int) -> list[str]:
    return [str(number) for number in range(1, count + 1)]


def _kept(found: Answer | None, number: str | None, label: str | None, folder: pathlib.Path | None) -> str:
    """Keep a correction; say where, or what is missing."""
    if found is None or not found.seen or folder is None:
        return answers.DRAW
    if len(found.seen) > 1 and number not in _numbers(len(found.seen)):
        return "Say which one it was."
    if label not in found.competition.class_names:
        return "Say what it is."
    seen = found.seen[int(number) - 1 if number else 0]
    try:
        path = corrections.keep(folder, found.competition, seen.photo, str(label), found.content)
    except (UserError, OSError) as error:
        return f"It could not be kept: {error}"
    command = f"python -m kit.train --extra-data {folder / corrections.IMAGES}"
    return f"Kept as {path}. Train with it: {command}"
