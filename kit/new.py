"""python -m kit.new: set up any image competition from its files, as facts and a first recipe in configs/."""

import argparse
import os
import pathlib
import sys

from kit.command_line import DONE, Parser, command
from kit.errors import UserError


@command
def main(argv: list[str] | None = None) -> int:
    """Find out what a competition's files say, ask for the rest, and write its facts and a first recipe."""
    arguments = _parser().parse_args(argv)
    from kit import loaders, onboarding
    from kit.onboarding import questions

    slug = arguments.competition
    onboarding.place_for(slug)
    if not arguments.yes:
        _check_terminal()
    folder = pathlib.Path(arguments.data or pathlib.Path("data") / slug)
    if arguments.data is None:
        from kit import kaggle_client

        kaggle_client.download(slug, folder)
    print(f"looking through {folder}", flush=True)
    found = onboarding.survey(slug, folder, arguments.image_shape)
    print(found)
    try:
        answers = questions.likely(found) if arguments.yes else questions.answers(found, input)
    except EOFError:
        raise UserError("the questions are not answered; nothing was written. --yes takes what is likely.") from None
    found = found.with_answers(answers)
    dataset = onboarding.loaded(found)  # what is wrong with the files shows before anything is written
    for path in onboarding.write(found, dataset):
        print(f"written: {path}")
    print(loaders.describe(dataset))
    if arguments.yes:
        print(f"taken as likely, check it on {dataset.competition.page}: {_shown(answers)}")
    print(
        f"\nnext:\n  python -m kit.train --competition {slug} --config first --name first\n"
        f"  python -m kit.evaluate {slug}/first\n  python -m kit.submit {slug}/first --dry-run"
    )
    return DONE


def _shown(answers: dict[str, object]) -> str:
    return ", ".join(f"{name} {str(value).lower()}" for name, value in answers.items())


def _check_terminal() -> None:
    """Refuse to begin where nobody can answer.

    Raises:
        UserError: there is no terminal, or it is a notebook's.
    """
    if not sys.stdin or not sys.stdin.isatty() or "JPY_PARENT_PID" in os.environ:
        raise UserError(
            "there is nobody to ask; add --yes to take what was found, and edit competition.yaml after that."
        )


def _image_shape(text: str) -> list[int]:
    from kit.onboarding import questions

    try:
        return questions.image_shape(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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
    parser.add_argument(
        "--image-shape",
        type=_image_shape,
        default=(),
        metavar="HxW",
        help="height and width of the images, as in 28x20 (what was found)",
    )
    parser.add_argument("--yes", action="store_true", help="take what was found and what is likely; ask nothing")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
