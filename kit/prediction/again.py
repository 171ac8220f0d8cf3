"""All images of a run's competition predicted again by its networks, over augmented copies."""

from kit import loaders, metrics, tracking
from kit.errors import UserError
from kit.tracking import Config, Run
from kit.training import inference, output, session, setup, summary, tta
from kit.training.lineage import Lineage
from kit.training.setup import Training
from kit.training.splits import splits
from kit.training.transfer import load_classifier


def predict_again(run: Run, with_tta: bool = False, data_dir: str | None = None) -> Run:
    """Predict training and test images again, and leave what that gives: the run's CSV anew, or a run of its own.

    Args:
        run: a complete training, or an ensemble.
        with_tta: average over augmented copies; leaves the run `<name>-tta`.
        data_dir: the folder of all competitions' files, where they have moved.

    Returns:
        The run that holds the predictions.

    Raises:
        UserError: the run is not complete, its data have changed, `<name>-tta` exists already, or a place cannot be
            written.
        Failure: the disk is full.
    """
    config, reached = run.config(), run.metrics()
    already = config.recipe is not None and config.recipe.tta
    anew = with_tta and not already
    target = tracking.place(run.competition, f"{run.name}-tta") if anew else run
    target.check_writable()
    dataset = loaders.load_for(config.data, data_dir)
    if not anew:
        with run.locked():
            output.write_submission(run, dataset)
        return run
    if config.kind not in ("network", "tta") or config.recipe is None:
        raise UserError(f"{run.folder} is an ensemble; predict its members with --tta, and join those runs.")
    recipe = config.recipe.replace(tta=True)
    folds = splits(dataset.train_labels, recipe)
    paths = run.network_paths()
    if len(paths) != len(folds):
        raise UserError(
            f"{run.folder} has {len(paths)} of its {len(folds)} networks (fold-0.keras …); put them back, or train "
            "the run again."
        )
    again = Config(kind="tta", data=config.data, recipe=recipe, parent=run.name)
    with target.begin(again, "restart") as begun:
        training = Training(dataset, recipe, folds, Lineage())
        parts = []
        for (_, held_out), path in zip(folds, paths, strict=True):
            network, groups = load_classifier(path, dataset.competition), setup.transforms(recipe, dataset.competition)
            images_of = {"oof": dataset.train_images[held_out], "test": dataset.test_images}
            parts.append(
                {name: inference.predict_groups(network, images, groups) for name, images in images_of.items()}
            )
        oof, test, weights = tta.combine(dataset, folds, parts)
        begun.write_array("oof", oof)
        begun.write_array("test", test)
        output.write_submission(begun, dataset)
        accuracy = None if dataset.test_labels is None else metrics.accuracy(dataset.test_labels, test)
        found = session.reached(training, oof) | {"tta_weights": weights, "test_accuracy": accuracy}
        begun.write_metrics(reached.model_copy(update=found))
    summary.warn(target)
    return target
