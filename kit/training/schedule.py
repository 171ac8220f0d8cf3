"""The course of the learning rate over the steps of a training."""

import keras
from keras import ops


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise to the peak, then one of four ways down; and again, as often as there are cycles.

    Args:
        kind: "one-cycle" (linear down), "cosine", "exponential" (the same factor a step) or "constant".
        peak: the highest rate.
        steps: how many steps the training has.
        warmup: share of `steps` in which the rate rises from near zero to `peak`.
        final: the rate after the last step, as a share of `peak`; "exponential" takes at least 0.001.
        cycles: how many times that course is run through, in equal parts of `steps`; `warmup` is of each.

    Reference: Smith and Topin 2018, https://arxiv.org/abs/1708.07120 (one-cycle); Loshchilov and Hutter 2016,
    https://arxiv.org/abs/1608.03983 (cosine, restarts); Huang et al. 2017, https://arxiv.org/abs/1704.00109 (why the
    network at the end of each cycle is worth keeping).
    """

    def __init__(self, kind: str, peak: float, steps: int, warmup: float = 0.0, final: float = 0.0, cycles: int = 1):
        self.kind, self.peak, self.steps, self.warmup, self.final = kind, peak, steps, warmup, final
        self.cycles = cycles

    def __call__(self, step):
        """The rate of step `step`, counted from 0, as a float32 scalar tensor."""
        length = max(self.steps // self.cycles, 1)
        step = ops.cast(step, "int32")
        step = ops.cast(step - length * ops.minimum(step // length, self.cycles - 1), "float32")
        rising = max(round(self.warmup * length), 0)
        rise = ops.minimum((step + 1.0) / (rising + 1.0), 1.0)
        gone = ops.clip((step - rising) / max(length - rising, 1), 0.0, 1.0)
        return self.peak * rise * self._descent(gone)

    def _descent(self, gone):
        if self.kind == "one-cycle":
            return 1.0 - (1.0 - self.final) * gone
        if self.kind == "cosine":
            return self.final + (1.0 - self.final) * 0.5 * (1.0 + ops.cos(3.14159265 * gone))
        if self.kind == "exponential":
            return ops.power(max(self.final, 1e-3), gone)
        return ops.ones_like(gone)

    def get_config(self) -> dict:
        """The arguments, as Keras asks for them."""
        names = ("kind", "peak", "steps", "warmup", "final", "cycles")
        return {name: getattr(self, name) for name in names}
