"""python -m kit.predict: a trained run's view of the competition's test images, or of your own pictures."""

import argparse

from kit import competitions, tracking
from kit.backend import start_keras
from kit.command_line import DONE, command
from kit.errors import UserError
from kit.recipes import recipe


@command
def main(argv: list[str] | None = None) -> int:
    """Predict test images again, with or without test-time augmentation, or pictures from files."""
    arguments = _parser().parse_args(argv)
    run = tracking.find(arguments.run)
    if not run.network_paths():
        raise UserError(f"{run.folder} has no network of its own; predict with one of the runs that it was made of.")
    if arguments.images:
        from kit.photos import report

        start_keras()
        return report(run, arguments.images)
    from kit import loaders, submission
    from kit.loaders.limit import limited

    config = run.config()
    dataset = limited(loaders.load(config["competition"], config["source"], arguments.data_dir), config["limit"])
    print(loaders.describe(dataset), flush=True)
    start_keras()
    from kit.training import session

    chosen = recipe.from_dict({**config["recipe"], **({"tta": True} if arguments.tta else {})})
    target = tracking.place(run.competition, f"{run.name}-tta") if chosen.tta and not config["recipe"]["tta"] else run
    if target.finished and target != run:
        raise UserError(f"{target.folder} exists already; remove it to predict again.")
    metrics = session.predict_again(dataset, chosen, run, target)
    rules = competitions.get(run.competition)
    submission.write(target.submission, rules, dataset.test_ids, target.test().argmax(axis=1).astype("uint8"))
    before = run.metrics()["validation_accuracy"]
    if metrics["validation_accuracy"] is not None and before is not None:
        print(f"validation accuracy {metrics['validation_accuracy']:.2%} ({run.name}: {before:.2%})")
    print(f"run: {target.folder}")
    print(f"submission: {target.submission}")
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kit.predict", description=__doc__.partition(": ")[2])
    parser.add_argument("run", metavar="RUN", help="a run's folder or name")
    parser.add_argument("--images", nargs="+", metavar="FILE", help="pictures of your own, any size and colour")
    parser.add_argument("--tta", action="store_true", help="test-time augmentation; leaves a run of its own, RUN-tta")
    parser.add_argument(
        "--data-dir", default="data", metavar="FOLDER", help="of the competitions' files (default: data)"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
