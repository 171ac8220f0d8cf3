"""python -m kit.zoo: the networks' parameters, arithmetic and published accuracy; or one network and its options."""

import shutil
from collections.abc import Iterable

from kit import competitions, zoo
from kit.backend import start_keras
from kit.command_line import DONE, Parser, command

NARROWEST, WIDEST = 80, 100


@command
def main(argv: list[str] | None = None) -> int:
    """Build the networks for the images of one competition or of all, and print what they cost."""
    arguments = _parser().parse_args(argv)
    names = [arguments.competition] if arguments.competition else competitions.names()
    chosen = [competitions.get(name) for name in names]
    if arguments.network:
        zoo.find(arguments.network)
    start_keras()
    from kit.zoo import table

    width = min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)
    if arguments.network:
        _show(table.description(arguments.network, chosen, width))
        return DONE
    for number, competition in enumerate(chosen):
        if number:
            print()
        _show(table.markdown(competition) if arguments.markdown else table.text(competition, width))
    if not arguments.markdown:
        print("\nMFLOPs: of one image's forward pass. `python -m kit.zoo NETWORK` tells more.")
    return DONE


def _show(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


def _parser() -> Parser:
    parser = Parser(
        "kit.zoo",
        "Print the networks' parameters, arithmetic and published accuracy; or describe one network and its options.",
        [
            ("python -m kit.zoo --competition cifar-10", "all networks, for CIFAR-10's images"),
            ("python -m kit.zoo fast_cnn", "what it is, and which options it takes"),
            ("python -m kit.zoo --markdown", "the tables in Markdown"),
        ],
    )
    parser.add_argument("network", nargs="?", metavar="NETWORK", help="describe this one, with its options")
    known = ", ".join(competitions.names())
    parser.add_argument("--competition", metavar="NAME", help=f"for the images of: {known} (each of them)")
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
