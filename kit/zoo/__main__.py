"""python -m kit.zoo: every network's parameters, arithmetic and published accuracy, as Markdown tables."""

import argparse

from kit import competitions, zoo
from kit.backend import start_keras
from kit.command_line import DONE, command


@command
def main(argv: list[str] | None = None) -> int:
    """Build every network for the images of one competition or of all; print a table for each."""
    parser = argparse.ArgumentParser(
        prog="python -m kit.zoo",
        description="Build every network of the zoo; print its parameters, arithmetic and published accuracy.",
    )
    names = competitions.names()
    parser.add_argument("--competition", metavar="NAME", help=f"one of {', '.join(names)}; all by default")
    wanted = parser.parse_args(argv).competition
    chosen = [competitions.get(name) for name in ([wanted] if wanted else names)]
    start_keras()
    print("\n\n".join("\n".join(_table(rules)) for rules in chosen))
    return DONE


def _table(rules):
    height, width, channels = rules.image_shape
    yield f"{rules.name}, {height}×{width}×{channels}, {rules.classes} classes\n"
    yield "| network | parameters | MFLOPs an image | published |"
    yield "| --- | --- | --- | --- |"
    for network in zoo.catalogue().values():
        cost = _cost(network.name, rules.image_shape, rules.classes)
        yield f"| `{network.name}`: {network.summary} | {cost} | {network.published} |"


def _cost(name, image_shape, classes):
    import keras

    from kit.zoo.cost import flops

    known = zoo.options(name)
    if "runs" in known:
        return "as its runs | as its runs"
    network = zoo.build(name, image_shape, classes, **({"weights": None} if "weights" in known else {}))
    words = f"{network.count_params():,} | {flops(network) / 1e6:,.1f}"
    keras.backend.clear_session(free_memory=False)
    return words


if __name__ == "__main__":
    raise SystemExit(main())
