"""python -m kit.export: a run or an ensemble as one network for other programs, compared with Keras."""

from kit import tracking
from kit.backend import start_keras
from kit.command_line import DONE, Parser, command
from kit.export import folder, formats


@command
def main(argv: list[str] | None = None) -> int:
    """Export a run; print how it compares with Keras and where it lies."""
    arguments = _parser().parse_args(argv)
    formats.check(arguments.format, arguments.int8)
    run = tracking.find(arguments.run)
    run.metrics()
    folder.check(arguments.output or folder.usual(run, arguments.format, arguments.int8, arguments.tta))
    start_keras()
    from kit.export import exporting

    print(f"exporting {run.folder} as {arguments.format}", flush=True)
    exported = exporting.export(
        run,
        arguments.format,
        int8=arguments.int8,
        tta=arguments.tta,
        measure=arguments.measure,
        output=arguments.output,
        data_dir=arguments.data_dir,
    )
    print(f"compared with Keras on {exported.images}: {exported.agreement}")
    if exported.lost:
        print(f"accuracy lost by int8: {exported.lost}")
    if exported.accuracy is not None and exported.standard_error is not None:
        print(f"accuracy: {exported.accuracy:.2%} ± {100 * exported.standard_error:.2f} ({exported.images})")
    else:
        print("accuracy: not known of this network, as all images with labels trained a part of it")
    print(f"size: {exported.bytes / 1e6:,.2f} MB")
    if exported.milliseconds is not None:
        print(f"time: {exported.milliseconds:.2f} ms an image on one core")
    print(f"\nnext:\n  python {exported.folder / 'predict.py'} IMAGE")
    print(f"export: {exported.folder}")
    return DONE


def _parser() -> Parser:
    parser = Parser(
        "kit.export",
        "Export a run or an ensemble as one network for other programs: folds, members and augmented copies inside. "
        "It is loaded again in the format's own runtime and refused unless it predicts what Keras predicts.",
        [
            ("python -m kit.export first --format onnx", "for ONNX Runtime, in exports/<competition>/first-onnx"),
            ("python -m kit.export top --format litert --int8", "8-bit integers for phones; prints what that costs"),
            ("python -m kit.export first --format openvino --tta --measure", "with augmented copies, and timed"),
        ],
        "The network takes pixels from 0 to 255 as in the competition's files, and gives probabilities. network.json "
        "says the names, shapes and classes; predict.py beside it shows how it is used, and needs nothing of the kit.",
    )
    parser.add_argument("run", metavar="RUN", help="a run's or an ensemble's folder or name")
    parser.add_argument("--format", required=True, choices=tuple(formats.FORMATS), help="what to write")
    parser.add_argument("--int8", action="store_true", help="of onnx, litert, openvino: 8-bit integers")
    parser.add_argument("--tta", action="store_true", help="average over augmented copies")
    parser.add_argument("--measure", action="store_true", help="time one image on one core")
    parser.add_argument("--output", metavar="FOLDER", help="the folder to write (exports/<competition>/<run>-<format>)")
    parser.add_argument("--data-dir", metavar="FOLDER", help="of the competitions' files (the run's own)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
