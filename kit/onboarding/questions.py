"""What the files do not tell, asked of the person at the terminal; a wrong answer is asked again at once."""

from collections.abc import Callable
from typing import Any

from kit import metrics
from kit.errors import UserError
from kit.onboarding.proposal import Proposal
from kit.onboarding.survey import shape_of
from kit.suggestions import nearest

YES_NO = {"yes": True, "y": True, "no": False, "n": False}
TEXTS = {
    "image_shape": "the images' height and width, as in 28x20?",
    "metric": f"by which metric does Kaggle score ({', '.join(metrics.METRICS)})?",
    "probability_of": "the probability of which class is to be submitted?",
    "handwriting": "are the images handwriting, light strokes on black?",
    "mirror_symmetric": "is a mirrored image still of its class?",
    "daily_limit": "how many submissions a day does Kaggle accept?",
    "code_only": "does Kaggle take notebooks only?",
    "fit": "of images with other proportions, crop the middle or pad (crop, pad)?",
}


def answers(proposal: Proposal, ask: Callable[[str], str], say: Callable[[str], object] = print) -> dict[str, Any]:
    """Ask for what the files do not tell; an empty answer takes what is likely.

    Args:
        proposal: what was found.
        ask: shows a question and returns the answer.
        say: shows what is wrong with an answer.

    Returns:
        Facts by name, each of which can be one.
    """
    found = {}
    for name, guess in proposal.guesses().items():
        shown = "" if guess is None else f" [{('no', 'yes')[guess] if isinstance(guess, bool) else guess}]"
        while name not in found:
            text = ask(f"{TEXTS[name]}{shown} ").strip()
            try:
                found[name] = guess if not text and guess is not None else answer(name, text, proposal)
            except UserError as error:
                say(str(error))
    return found


def answer(name: str, text: str, proposal: Proposal) -> Any:
    """Return what an answer means.

    Raises:
        UserError: it is no answer to this question; says which are.
    """
    if name == "image_shape":
        return shape_of(proposal.fields["pixels"], image_shape(text), str(proposal.folder))
    if name == "daily_limit":
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:5]) <= 1000):
            raise UserError(f"{text[:40]!r} is not a number from 1 to 1000.")
        return int(text)
    choices: dict[str, Any] = {
        "metric": {one: one for one in metrics.METRICS},
        "probability_of": {one: one for one in proposal.fields["class_names"]},
        "fit": {"crop": "crop", "pad": "pad"},
    }.get(name, YES_NO)
    chosen = next((value for choice, value in choices.items() if choice.lower() == text.lower()), None)
    if chosen is None:
        raise UserError(f"{text[:40]!r} is not one of {', '.join(choices)}.{nearest(text[:99], choices)}")
    return chosen


def image_shape(text: str) -> list[int]:
    """Return height and width, or height, width and channels, of a text such as 28x20 or 28x20x3.

    Raises:
        UserError: it is another text.
    """
    parts = text.lower().replace("×", "x").replace(",", "x").split("x")
    sides = [int(part) for part in map(str.strip, parts) if part.isascii() and part.isdigit() and len(part) < 5]
    if len(sides) != len(parts) or len(sides) not in (2, 3) or not all(1 <= side <= 4096 for side in sides):
        raise UserError(f"{text[:40]!r} is not a height and a width in pixels, as in 28x20 or 28x20x3.")
    if len(sides) == 3 and sides[2] not in (1, 3):
        raise UserError(f"{text[:40]!r}: images have 1 or 3 channels.")
    return sides


def likely(proposal: Proposal) -> dict[str, Any]:
    """Return what is likely, for those who want no questions.

    Raises:
        UserError: nothing is, as of the shape of images that are no squares.
    """
    guesses = proposal.guesses()
    if guesses.get("image_shape", "known") is None:
        count = proposal.fields["pixels"]
        raise UserError(f"{count} pixels an image are no square; give --image-shape HEIGHTxWIDTH.")
    return guesses
