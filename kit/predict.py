"""python -m kit.predict: a run's predictions for the competition's test images again, or for your own photos."""

from kit import tracking
from kit.backend import start_keras
from kit.command_line import DONE, Parser, command


@command
def main(argv: list[str] | None = None) -> int:
    """Predict test images again, with or without test-time augmentation, or photos from files."""
    arguments = _parser().parse_args(argv)
    run = tracking.find(arguments.run)
    run.metrics()
    start_keras()
    if arguments.images:
        from kit.photos import report

        return report(run, arguments.images)
    from kit.prediction import predict_again
    from kit.training import output

    print(f"predicting with {run.folder}", flush=True)
    target = predict_again(run, arguments.tta, arguments.data_dir)
    print(output.summary(target))
    print(f"run: {target.folder}")
    print(f"submission: {target.submission}")
    return DONE


def _parser() -> Parser:
    parser = Parser(
        "kit.predict",
        "Predict with a run or an ensemble: the competition's test images again, or photos of your own.",
        [
            (
                "python -m kit.predict fast-1 --images my-digit.png 'photos/*.jpg'",
                "the likeliest classes of each",
            ),
            ("python -m kit.predict fast-1 --tta", "test-time augmentation; leaves the run fast-1-tta"),
            ("python -m kit.predict fast-1", "write the submission CSV again"),
        ],
    )
    parser.add_argument("run", metavar="RUN", help="a run's or an ensemble's folder or name")
    parser.add_argument("--images", nargs="+", metavar="FILE", help="photos or drawings of your own, any size")
    parser.add_argument("--tta", action="store_true", help="average over augmented copies")
    parser.add_argument("--data-dir", metavar="FOLDER", help="of the competitions' files (the run's own)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
