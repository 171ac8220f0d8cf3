"""An answer as HTML: what each run read, what it saw, and where it looked. Needs no Gradio."""

import base64
import functools
import io
import pathlib

import jinja2
import numpy as np

from kit.demo import answers
from kit.demo.answers import Answer, Reading
from kit.demo.readers import Reader
from kit.figures import attribution

HERE = pathlib.Path(__file__).parent
MOST_BARS = 12  # classes; of more the likeliest are shown
MOST_SHOWN = 24  # drawings of one photo whose bars are shown


def answer(shown: Answer, number: int = 0) -> str:
    """Return what the page shows for an answer to its image `number`; whatever names hold is escaped."""
    return _template().render(answer=shown, number=number, headline=answers.headline(shown), most=MOST_SHOWN)


def about(readers: list[Reader]) -> str:
    """Return the page's first lines: what to do, and which runs read."""
    return _template("about.html").render(readers=readers, competition=readers[0].competition)


def embedded(pixels: np.ndarray) -> str:
    """Return pixels (h, w, 1 or 3) of 0…255 as the address of an image that is embedded."""
    from PIL import Image

    pixels = np.clip(np.round(pixels), 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def overlaid(image: np.ndarray, heat: np.ndarray) -> str:
    """Return Grad-CAM over the image that it explains, as the address of an image that is embedded."""
    return embedded(attribution.overlay(image, heat))


def bars(reading: Reading) -> list[tuple[str, float, bool]]:
    """Return name, probability and whether it is the likeliest, of the classes that are shown."""
    names, probabilities = reading.reader.competition.class_names, reading.probabilities
    shown = range(len(names)) if len(names) <= MOST_BARS else np.argsort(-probabilities, kind="stable")[:MOST_BARS]
    return [(names[label], float(probabilities[label]), int(label) == reading.label) for label in shown]


@functools.cache
def _template(name: str = "answer.html") -> jinja2.Template:
    loader = jinja2.FileSystemLoader(HERE / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {"embedded": embedded, "overlaid": overlaid, "bars": bars}
    return environment.get_template(name)
