"""The probabilities of a run's networks, or of an ensemble's members joined as it joins them."""

import numpy as np

from kit import competitions, ensemble
from kit.ensemble.averaging import pool
from kit.errors import UserError
from kit.recipes import Recipe
from kit.tracking import Run
from kit.training import inference, setup, transfer

MOST_LEVELS = 5


def predict(run: Run, images: np.ndarray, tta: bool = False) -> np.ndarray:
    """Predict the classes of images.

    Args:
        run: a training, or an ensemble whose members still lie beside it.
        images: (n, h, w, c) uint8 in the competition's shape.
        tta: whether to average over augmented copies, also where the run was trained without.

    Returns:
        Probabilities, float32 (n, classes): the mean of the folds' networks; for an ensemble its own rule of joining.

    Raises:
        UserError: images of another shape; a network or a member is missing or damaged.
    """
    shape = competitions.get(run.competition).image_shape
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != shape or images.dtype != np.uint8:
        raise UserError(f"images must be (n, {', '.join(map(str, shape))}) uint8, not {images.shape} {images.dtype}.")
    return _predict(run, images, tta, MOST_LEVELS)


def _predict(run: Run, images: np.ndarray, tta: bool, levels: int) -> np.ndarray:
    config = run.config()
    if config.ensemble is not None:
        return _joined(run, images, tta, levels)
    paths = run.network_paths()
    if not paths and config.kind == "tta" and config.parent:
        paths = Run(run.folder.with_name(config.parent)).network_paths()
    if not paths or config.recipe is None:
        raise UserError(f"{run.folder} has no network to predict with; train the run again.")
    return np.mean([_by_network(path, images, config.recipe, tta, run) for path in paths], axis=0).astype(np.float32)


def _by_network(path, images: np.ndarray, recipe: Recipe, tta: bool, run: Run) -> np.ndarray:
    network = transfer.load_classifier(path, competitions.get(run.competition))
    copied = recipe.replace(tta=True) if tta and recipe.validates else recipe
    groups = setup.transforms(copied, competitions.get(run.competition))
    probabilities = inference.predict_groups(network, images, groups)
    weights = run.metrics().tta_weights
    if weights is None or len(weights) != len(groups):
        weights = [1 / len(groups)] * len(groups)
    return np.tensordot(np.asarray(weights), probabilities, axes=1)


def _joined(run: Run, images: np.ndarray, tta: bool, levels: int) -> np.ndarray:
    made = run.config().ensemble
    assert made is not None
    if not levels:
        raise UserError(f"{run.folder} is an ensemble of ensembles too deep to predict with.")
    members = []
    for name in made.members:
        member = Run(run.folder.with_name(name))
        if made.method == "snapshot" or member.state == "absent":
            raise UserError(
                f"{run.folder}: its member {name} has no network beside it; predict with a run of kit.train."
            )
        members.append(_predict(member, images, tta, levels - 1))
    stacked = np.stack(members)
    if made.weights is not None:
        weights = np.array([made.weights[name] for name in made.members])
        return pool(stacked, weights, bool(made.options.get("geometric")), made.temperature or 1.0)
    joined = ensemble.gather([str(run.folder.with_name(name)) for name in made.members])
    return ensemble.estimator(made.method, seed=made.seed).fit(joined.oof, joined.labels).predict_proba(stacked)
