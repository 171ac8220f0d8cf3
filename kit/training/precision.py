"""Which arithmetic is fastest on this machine and safe."""

import contextlib
import json
import time

import keras

from kit import files
from kit.recipes import Recipe
from kit.training import devices, fit
from kit.training.batches import Batches

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
STEPS = 8
GAIN = 1.05
"""Half the bits must be this much faster to be taken: they cost some accuracy in the last digits."""


def choose(recipe: Recipe, build, batches: Batches) -> str:
    """Return "float32", "bfloat16" or "float16" for the recipe.

    `auto` times a few training steps in each that is safe here and takes the fastest. The answer is remembered for this
    machine, network and batch, so that the same command computes the same numbers the next time.

    Args:
        recipe: its `precision` field decides, unless it is `auto`.
        build: called without arguments in each precision's policy; returns the network.
        batches: what it will be trained on.
    """
    if recipe.precision != "auto":
        return recipe.precision
    # float16 loses small gradients but for loss scaling, and only GPUs are faster with it.
    candidates = ["float32", "bfloat16", "float16"] if devices.accelerator() else ["float32", "bfloat16"]
    if not devices.accelerator() and "bf16" not in devices.processor():
        return "float32"  # a CPU without bfloat16 imitates it, slowly
    cache = files.user_cache()
    memory = cache / "precision.json" if cache else None
    key = _key(recipe, batches)
    known = _read(memory)
    if key not in known:
        times = _step_seconds(candidates, build, batches)
        fastest = min(times, key=times.get)
        known[key] = fastest if times[fastest] * GAIN < times["float32"] else "float32"
        if memory:
            with contextlib.suppress(OSError):  # where nothing can be kept it is measured again
                files.write_text(memory, json.dumps(_read(memory) | {key: known[key]}, indent=1))
        others = ", ".join(f"{name} {1000 * step:.0f} ms" for name, step in times.items())
        print(f"precision: {known[key]} (a step takes, measured once on this machine: {others})")
    return known[key]


def policy(precision: str) -> str:
    """Keras's name of the dtype policy for a precision: weights stay float32, the arithmetic may be narrower."""
    return POLICIES[precision]


def _step_seconds(candidates, build, batches):
    """The fastest of several steps in each precision, taken in turns, so that a busy moment hits them alike."""
    inputs, targets = next(batches.epoch(0))
    models = {name: _compiled(name, build, batches) for name in candidates}
    for model in models.values():
        model.train_on_batch(inputs, targets)  # compiles
    seconds = dict.fromkeys(candidates, float("inf"))
    for _ in range(STEPS):
        for name, model in models.items():
            begun = time.perf_counter()
            model.train_on_batch(inputs, targets)
            seconds[name] = min(seconds[name], time.perf_counter() - begun)
    return seconds


def _compiled(precision, build, batches):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy(precision))
    try:
        return fit.compiled(build(), batches)
    finally:
        keras.config.set_dtype_policy(before)


def _key(recipe, batches):
    hardware = devices.hardware()
    parts = [hardware["processor"], str(hardware["cores"]), hardware["accelerator"], hardware["backend"]]
    parts += [f"{name} {version}" for name, version in hardware["versions"].items()]
    parts += [recipe.model, json.dumps(recipe.options, sort_keys=True), str(batches.images.shape[1:])]
    return " | ".join([*parts, str(batches.size)])


def _read(memory):
    try:
        known = json.loads(memory.read_text(encoding="utf-8")) if memory else {}
    except (OSError, ValueError):
        return {}
    return {key: name for key, name in known.items() if name in POLICIES} if isinstance(known, dict) else {}
