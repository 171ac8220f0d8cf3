"""python -m kit.demo: a page on which one draws or drops a photo, and sees what runs read there."""

import pathlib

from kit import tracking
from kit.command_line import DONE, Parser, command
from kit.demo import serving
from kit.errors import UserError


@command
def main(argv: list[str] | None = None) -> int:
    """Serve the page, or write it as a folder for Hugging Face Spaces."""
    arguments = _parser().parse_args(argv)
    serving.check_gradio()
    serving.check_port(arguments.port)
    runs = [tracking.find(run) for run in arguments.runs]
    if arguments.space:
        return _write_space(runs, arguments)
    print("loading", flush=True)
    blocks = serving.launch(
        runs,
        share=arguments.share,
        port=arguments.port,
        data_dir=arguments.data_dir,
        corrections=arguments.corrections,
    )
    print(
        f"draw at {blocks.local_url}{f' or {blocks.share_url}' if blocks.share_url else ''}   (Ctrl-C stops it)",
        flush=True,
    )
    serving.wait(blocks)
    return DONE


def _write_space(runs: list[tracking.Run], arguments) -> int:
    from kit.demo import space

    others = [name for name in ("share", "port", "corrections") if getattr(arguments, name)]
    if others:
        raise UserError(f"--space only writes a folder; leave out --{others[0]}.")
    folder = space.write(pathlib.Path(arguments.space), runs, arguments.data_dir)
    print(f"space: {folder}")
    print(f"try it: python {folder / 'app.py'}")
    print("next: make a Space at https://huggingface.co/new-space (Gradio), and push what is in this folder to it.")
    return DONE


def _parser() -> Parser:
    parser = Parser(
        "kit.demo",
        "Draw with mouse, pen or finger, or drop a photo, and see what the network sees, its probabilities, and "
        "Grad-CAM. Several runs, or an ensemble and its members, answer side by side.",
        [
            ("python -m kit.demo first", "the page of one run"),
            ("python -m kit.demo first second", "two runs side by side"),
            ("python -m kit.demo first --space my-space", "the page as a folder for Hugging Face Spaces"),
        ],
        "Needs Gradio: pip install gradio. The page is served to this machine alone, unless --share.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's or an ensemble's folder or name")
    parser.add_argument("--port", type=int, metavar="N", help="of 127.0.0.1 (the first that is free from 7860 on)")
    parser.add_argument("--share", action="store_true", help="also a public link through gradio.live")
    parser.add_argument(
        "--corrections", metavar="FOLDER", help="where drawings are kept that were read wrong (corrections/COMPETITION)"
    )
    parser.add_argument("--space", metavar="FOLDER", help="write a folder for Hugging Face Spaces; serve nothing")
    parser.add_argument("--data-dir", metavar="FOLDER", help="of the competitions' files (the run's own)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
