"""What a complete run reached, and what one may type next."""

import sys

from kit import metrics, tracking
from kit.errors import UserError
from kit.tracking import Run


def summary(run: Run) -> str:
    """Return what a complete run reached, beside the best of the earlier runs on the same data, in a few lines."""
    reached, config = run.metrics(), run.config()
    metric = metrics.named(reached.metric)
    accuracy = "no validation images"
    if reached.score is not None:
        kind = f"out-of-fold {metric.name} over {reached.folds} folds" if reached.folds else f"validation {metric.name}"
        accuracy = f"{kind} {metric.shown(reached.score, reached.score_error)} ({reached.validation_images:,} images)"
        if metric.name != "accuracy":
            accuracy += f", accuracy {reached.validation_accuracy:.2%}"
    if reached.test_accuracy is not None:
        accuracy += f", test accuracy {reached.test_accuracy:.2%}"
    lines = [
        f"{reached.model}: {accuracy} after {reached.fit_seconds:,.0f} s of training "
        f"({reached.images_per_second:,.0f} images a second, {reached.parameters:,} parameters)"
    ]
    if reached.selected_on_validation:
        lines.append(f"The same images chose the epoch, which makes that {metric.name} a little too {metric.too_good}.")
    best = _best_other(run)
    if best is not None and reached.score is not None and (other := best.metrics().score) is not None:
        ahead = metric.shown_difference(reached.score - other)
        lines.append(f"Best of your other runs on these data: {best.name}, {metric.shown(other)} (this one {ahead}).")
    if config.data.limit:
        lines.append(f"Trained on a part of the data only (--limit {config.data.limit}).")
    if config.data.extra:
        lines.append(f"Trained on {config.data.extra.images:,} more images, of {config.data.extra.folder}.")
    return "\n".join(lines)


def warn(run: Run) -> None:
    """Say on stderr that a complete run has learned nothing, where it has not, and what to do."""
    if shortfall := run.metrics().shortfall:
        recipe = run.config().recipe
        than = f" than {recipe.learning_rate:g}" if recipe else ""
        print(
            f"warning: {run.name} has learned nothing: its {shortfall}. Take a smaller --learning-rate{than}, more "
            "epochs, or look for wrong labels.",
            file=sys.stderr,
            flush=True,
        )


def next_commands(run: Run) -> str:
    """Return the commands that a person may type next, a line each; each works when pasted."""
    name = tracking.reference(run)
    commands = [
        (f"python -m kit.evaluate {name}", "what it gets wrong"),
        ("python -m kit.runs", "all runs side by side"),
    ]
    if run.metrics().source == "kaggle":
        commands.append((f"python -m kit.submit {name}", "check it, send it, see the score"))
    elif run.metrics().source == "sample":
        commands.append((f"python -m kit.download {run.competition}", "the real data"))
    width = max(len(command) for command, _ in commands)
    return "\n".join(["next:", *(f"  {command:<{width}}   {what}" for command, what in commands)])


def _best_other(run: Run) -> Run | None:
    own = run.metrics()
    metric, best, highest = metrics.named(own.metric), None, float("-inf")
    for other in tracking.every(run.competition):
        if other.folder.resolve() == run.folder.resolve() or other.state != "complete":
            continue
        try:
            reached = other.metrics()
        except UserError:
            continue
        if (reached.data_fingerprint, reached.metric) != (own.data_fingerprint, own.metric) or reached.score is None:
            continue
        if metric.gain(reached.score) > highest:
            best, highest = other, metric.gain(reached.score)
    return best
