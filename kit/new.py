"""python -m kit.new: set up any image competition from its files, as facts and a first recipe in configs/."""

import os
import pathlib
import sys
from typing import Any

from kit.command_line import DONE, Parser, command
from kit.errors import UserError

QUESTIONS = {
    "metric": "by which metric does Kaggle score (accuracy, log-loss, quadratic-weighted-kappa, macro-f1)?",
    "handwriting": "are the images handwriting, light strokes on black?",
    "mirror_symmetric": "is a mirrored image still of its class?",
    "daily_limit": "how many submissions a day does Kaggle accept?",
    "code_only": "does Kaggle take notebooks only?",
    "fit": "of images with other proportions, crop the middle or pad (crop, pad)?",
}


@command
def main(argv: list[str] | None = None) -> int:
    """Find out what a competition's files say, ask for the rest, and write its facts and a first recipe."""
    arguments = _parser().parse_args(argv)
    from kit import loaders, onboarding
    from kit.onboarding import proposal as onboarded

    slug = arguments.competition
    folder = pathlib.Path(arguments.data or pathlib.Path("data") / slug)
    if arguments.data is None:
        from kit import kaggle_client

        kaggle_client.download(slug, folder)
    print(f"looking through {folder}", flush=True)
    found = onboarding.survey(slug, folder)
    print(found)
    guesses = found.guesses()
    found = found.with_answers(guesses if arguments.yes else _ask(guesses))
    dataset = onboarding.loaded(found)  # what is wrong with the files shows before anything is written
    written = onboarding.write(found)
    for path in written:
        print(f"written: {path}")
    examples = written[0].parent / "examples.png"
    onboarded.sheet(dataset.competition, dataset.train_images, dataset.train_labels, examples)
    print(f"examples: {examples}")
    print(loaders.describe(dataset))
    print(
        f"\nnext:\n  python -m kit.train --competition {slug} --config first --name first\n"
        f"  python -m kit.evaluate {slug}/first\n  python -m kit.submit {slug}/first --dry-run"
    )
    return DONE


def _ask(guesses: dict[str, Any]) -> dict[str, Any]:
    """Ask the person at the terminal; an empty line takes what is likely.

    Raises:
        UserError: nobody can answer.
    """
    if not sys.stdin or not sys.stdin.isatty() or "JPY_PARENT_PID" in os.environ:
        raise UserError(
            "there is nobody to ask; add --yes to take what was found, and edit competition.yaml after that."
        )
    answers = {}
    for name, guess in guesses.items():
        shown = ("yes" if guess else "no") if isinstance(guess, bool) else guess
        text = input(f"{QUESTIONS[name]} [{shown}] ").strip()
        if not text:
            answers[name] = guess
        elif isinstance(guess, bool):
            answers[name] = text.lower() in ("y", "yes")
        else:
            answers[name] = int(text) if isinstance(guess, int) and text.isdigit() else text
    return answers


def _parser() -> Parser:
    parser = Parser(
        "kit.new",
        "Set up an image competition: download its files, find out their layout, classes, image shape and submission, "
        "and write configs/<competition>/competition.yaml and a first recipe.",
        [
            ("python -m kit.new Kannada-MNIST", "download, find out, ask, write"),
            ("python -m kit.new my-competition --data ~/files --yes", "from files that are there, without questions"),
        ],
    )
    parser.add_argument("competition", metavar="COMPETITION", help="Kaggle's name, as in kaggle.com/competitions/NAME")
    parser.add_argument("--data", metavar="FOLDER", help="where its files lie (they are downloaded to data/NAME)")
    parser.add_argument("--yes", action="store_true", help="take what was found and what is likely; ask nothing")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
