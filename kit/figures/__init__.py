"""All figures of the kit: functions that take arrays, tables or a network and return a matplotlib `Figure`.

`kit.figures.learning_curves(…)` finds the function in its module when it is first used, so that importing this
package costs nothing.
"""

from kit import lazy_imports

_MODULE = {
    "accuracy_against_seconds": "benchmarks",
    "augmentation": "images",
    "calibration": "reliability_diagram",
    "changed_images": "ensembles",
    "class_examples": "images",
    "confusion_matrix": "predictions",
    "correct_predictions": "predictions",
    "disagreement": "predictions",
    "features": "layer_calls",
    "filters": "layers",
    "gains_by_class": "ensembles",
    "grad_cam": "attribution",
    "gradient_ascent": "layers",
    "gradient_descent": "descent",
    "label_histogram": "images",
    "labelled_images": "images",
    "layer_outputs": "layers",
    "learning_curves": "curves",
    "learning_rate_sweep": "learning_rates",
    "pairwise_disagreement": "ensembles",
    "pca_components": "components",
    "pca_scatter": "components",
    "pixel_histogram": "images",
    "pixel_histograms_by_class": "images",
    "prepared_photos": "predictions",
    "structure": "graph",
    "structure_text": "graph",
    "tsne_scatter": "components",
    "validation_against_public": "scores",
    "worst_mistakes": "predictions",
    "wrong_predictions": "predictions",
}
__all__ = sorted(_MODULE)
__getattr__, __dir__ = lazy_imports.attributes(__name__, _MODULE)
