"""A submission kit for Kaggle's image competitions: from joined to scored.

    import kit
    data = kit.load("digit-recognizer")
    run = kit.fit(data, model="fast_cnn", epochs=4)
    run.accuracy, run.network, run.history, run.predict(images), run.evaluate(), run.submit(dry_run=True)
    kit.runs.table()

`python -m kit` lists the commands. Importing the package costs nothing: rooms are imported when they are first touched.
"""

from kit import interrupts as _interrupts
from kit import lazy_imports as _lazy_imports

__version__ = "0.2.0"
__all__ = ["Run", "find_learning_rate", "fit", "load", "resume"]

_ROOMS = (
    "competitions", "demo", "ensemble", "errors", "evaluation", "figures", "kaggle_client", "loaders", "metrics",
    "photos", "prediction", "recipes", "runs", "submission", "tracking", "workshop", "zoo",
)  # fmt: skip
__getattr__, __dir__ = _lazy_imports.attributes(__name__, dict.fromkeys(__all__, "api"), _ROOMS)

if _interrupts.started_as_command():
    _interrupts.listen()
