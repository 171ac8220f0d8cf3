"""Learning-rate schedules over the steps of a training."""

import keras
from keras import ops


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up to the peak, then one of four decays; repeated in every cycle.

    Args:
        kind: the decay: "one-cycle" (linear), "cosine", "exponential" (the same factor a step) or "constant".
        peak: the highest learning rate.
        steps: how many steps the training has.
        warmup: share of the steps in which the learning rate rises from near zero to `peak`.
        final: learning rate after the last step, as a share of `peak`; "exponential" takes at least 0.001.
        cycles: how many equal parts of `steps` the schedule is repeated in; `warmup` is a share of each.

    Reference: Smith and Topin 2018, https://arxiv.org/abs/1708.07120 (one-cycle); Loshchilov and Hutter 2016,
    https://arxiv.org/abs/1608.03983 (cosine, restarts); Huang et al. 2017, https://arxiv.org/abs/1704.00109 (why the
    network at the end of each cycle is worth keeping).
    """

    def __init__(self, kind: str, peak: float, steps: int, warmup: float = 0.0, final: float = 0.0, cycles: int = 1):
        self.kind, self.peak, self.steps, self.warmup, self.final = kind, peak, steps, warmup, final
        self.cycles = cycles

    def __call__(self, step):
        """Return the learning rate of step `step`, counted from 0, as a float32 scalar tensor."""
        length = max(self.steps // self.cycles, 1)
        step = ops.cast(step, "int32")
        step = ops.cast(step - length * ops.minimum(step // length, self.cycles - 1), "float32")
        warmup = max(round(self.warmup * length), 0)
        rise = ops.minimum((step + 1.0) / (warmup + 1.0), 1.0)
        progress = ops.clip((step - warmup) / max(length - warmup, 1), 0.0, 1.0)
        return self.peak * rise * self._decay(progress)

    def _decay(self, progress):
        if self.kind == "one-cycle":
            return 1.0 - (1.0 - self.final) * progress
        if self.kind == "cosine":
            return self.final + (1.0 - self.final) * 0.5 * (1.0 + ops.cos(3.14159265 * progress))
        if self.kind == "exponential":
            return ops.power(max(self.final, 1e-3), progress)
        return ops.ones_like(progress)

    def get_config(self) -> dict:
        """The arguments, as Keras asks for them."""
        names = ("kind", "peak", "steps", "warmup", "final", "cycles")
        return {name: getattr(self, name) for name in names}
