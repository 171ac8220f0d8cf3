"""python -m kit.predict: a run's predictions for the competition's test images again, or for your own photos."""

import functools
import sys

from kit import competitions, tracking
from kit.backend import start_keras
from kit.command_line import DONE, WRONG_INPUT, Parser, command

MOST = 36  # photos in the figure


@command
def main(argv: list[str] | None = None) -> int:
    """Predict test images again, with or without test-time augmentation, or photos from files."""
    arguments = _parser().parse_args(argv)
    run = tracking.find(arguments.run)
    run.metrics()
    start_keras()
    if arguments.images:
        return _photos(run, arguments.images, arguments.tta)
    from kit.prediction import predict_again
    from kit.training import summary

    print(f"predicting with {run.folder}", flush=True)
    target = predict_again(run, arguments.tta, arguments.data_dir)
    print(summary.summary(target))
    print(f"run: {target.folder}")
    print(f"submission: {target.submission}")
    return DONE


def _photos(run: tracking.Run, paths: list[str], tta: bool) -> int:
    """Print the likeliest classes of each photo and draw what the network saw; name the files that cannot be used."""
    import numpy as np

    from kit import figures, prediction
    from kit.prediction.photos import likeliest

    competition = competitions.get(run.competition)
    run.check_writable("figures/photos.png")
    predict = functools.partial(prediction.predict, run, tta=tta)
    found, refused = prediction.predict_photos(predict, competition, paths)
    for error in refused:
        print(f"error: {error}", file=sys.stderr, flush=True)
    if not found:
        return WRONG_INPUT
    titles = [str(one.photo.path.with_name(one.photo.title)) for one in found]
    for title, one in zip(titles, found, strict=True):
        print(f"{title:<{max(map(len, titles))}}  {likeliest(one.probabilities, competition.class_names)}")
    shown = found[:MOST]
    figure = figures.prepared_photos(
        [one.photo.original for one in shown],
        [one.photo.box for one in shown],
        np.stack([one.photo.image for one in shown]),
        np.stack([one.probabilities for one in shown]),
        [one.photo.title for one in shown],
        competition.class_names,
    )
    some = f" (the first {MOST} of {len(found)})" if len(found) > MOST else ""
    print(f"what the network saw{some}: {run.write_figure('photos', figure)}")
    return WRONG_INPUT if refused else DONE


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
