"""What the networks run on: CPU, one GPU, several, a TPU. The only file that may import TensorFlow."""

import contextlib
import os
import pathlib
import platform
from collections.abc import Iterator

import keras

from kit.errors import UserError

SPLITS_CPU = (2, 21)
"""The first TensorFlow whose collective operations neither hang nor fail between devices that share a CPU."""


def check(wanted: str, batch_size: int) -> None:
    """Refuse devices that are not there, and batches that they cannot share, before anything is built.

    Args:
        wanted: as for `prepare`.
        batch_size: images a step, over all devices together.

    Raises:
        UserError: there are fewer devices than wanted, the batch size is not a multiple of their number, or the
            TensorFlow here cannot show a CPU as several.
    """
    backend, accelerated = keras.backend.backend(), bool(accelerator())
    if backend == "tensorflow" and not accelerated:
        available = os.cpu_count() or 1  # TensorFlow can show the CPU as that many; asking it would settle on one
    else:
        available = len(keras.distribution.list_devices()) if backend in ("tensorflow", "jax") else 1
    count = (available if accelerated else 1) if wanted == "auto" else int(wanted)
    if count > available:
        kind = "accelerators" if accelerated else "CPU devices"
        raise UserError(f"devices: {count} wanted, but there are only {available} {kind}.")
    if count > 1 and backend == "tensorflow" and not accelerated and tensorflow_version() < SPLITS_CPU:
        raise UserError(
            f"devices: this TensorFlow may hang on a CPU that is shown as {count} devices; take --devices 1, or "
            f"TensorFlow {'.'.join(map(str, SPLITS_CPU))} or newer."
        )
    if batch_size % count:
        raise UserError(
            f"devices: {count} devices cannot share batches of {batch_size} images; take --batch-size "
            f"{count * max(1, round(batch_size / count))}."
        )


def prepare(wanted: str) -> contextlib.AbstractContextManager:
    """Choose the devices and make trainings repeatable on them.

    Args:
        wanted: "auto" for all accelerators, else the one CPU; or how many devices, as text.

    Returns:
        The scope in which networks are built and trained.

    Raises:
        UserError: there are fewer devices than wanted, or the backend cannot use several.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _tensorflow(wanted)
    if backend == "jax":
        return _jax(wanted)
    if wanted not in ("auto", "1"):
        raise UserError(f"devices: the kit cannot use several on {backend}; take KERAS_BACKEND=tensorflow or jax.")
    return contextlib.nullcontext()


@contextlib.contextmanager
def shared_statistics(network: keras.Model) -> Iterator[None]:
    """While training on several devices, let batch norms see the whole batch and not only their device's part.

    Only TensorFlow needs to be told, and what it was told must not be saved: no other backend could load it.
    """
    norms = []
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        if tensorflow.distribute.get_strategy().num_replicas_in_sync > 1:
            norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.synchronized = True
    try:
        yield
    finally:
        for layer in norms:
            layer.synchronized = False


def accelerator() -> str:
    """The first accelerator's name, or an empty text where there is only the CPU."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        gpus = tensorflow.config.list_physical_devices("GPU")
        return tensorflow.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else ""
    if keras.backend.backend() == "jax":
        import jax

        first = jax.devices()[0]
        return "" if first.platform == "cpu" else first.device_kind
    return ""


def run_eagerly() -> None:
    """Let this process's networks run call by call, which is cheaper than a graph where they make only a few steps."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.run_functions_eagerly(True)


def tensorflow_version() -> tuple[int, int]:
    """TensorFlow's version, of which two numbers count."""
    import tensorflow

    major, minor, *_ = tensorflow.__version__.split(".")
    return int(major), int(minor)


def hardware() -> dict:
    """What the numbers of a run were measured on: names, counts and versions, plain values."""
    versions = {"python": platform.python_version(), "keras": keras.__version__}
    backend = keras.backend.backend()
    versions[backend] = __import__(backend).__version__
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "accelerator": accelerator(),
        "backend": backend,
        "versions": versions,
    }


def processor() -> str:
    """The CPU's name, with those of its abilities that decide about bfloat16."""
    info = pathlib.Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    lines = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    abilities = set(fields.get("flags", "").split()) & {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}
    return " ".join([fields.get("model name", platform.machine()), *sorted(abilities)])


def _tensorflow(wanted):
    import tensorflow

    tensorflow.config.experimental.enable_op_determinism()
    kind = "GPU" if tensorflow.config.list_physical_devices("GPU") else "CPU"
    count = 1 if wanted == "auto" and kind == "CPU" else 0 if wanted == "auto" else int(wanted)
    if kind == "CPU" and count > 1:
        _split_cpu(tensorflow, count)
    names = [device.name for device in tensorflow.config.list_logical_devices(kind)]
    if count > len(names):
        raise UserError(f"devices: {count} wanted, but there is only {len(names)} {kind}.")
    used = names[: count or None]
    return tensorflow.distribute.MirroredStrategy(used).scope() if len(used) > 1 else contextlib.nullcontext()


def _split_cpu(tensorflow, count):
    """Show the CPU as `count` devices, which tries the path of several GPUs where there is none."""
    cpu = tensorflow.config.list_physical_devices("CPU")[0]
    configuration = [tensorflow.config.LogicalDeviceConfiguration()] * count
    with contextlib.suppress(RuntimeError):  # TensorFlow is already running: what it has must do
        tensorflow.config.set_logical_device_configuration(cpu, configuration)


def _jax(wanted):
    available = keras.distribution.list_devices()
    count = (1 if accelerator() == "" else len(available)) if wanted == "auto" else int(wanted)
    if count > len(available):
        hint = " XLA_FLAGS=--xla_force_host_platform_device_count=N shows a CPU as N." if accelerator() == "" else ""
        raise UserError(f"devices: {count} wanted, but JAX shows only {len(available)}.{hint}")
    if count == 1:
        return contextlib.nullcontext()
    return keras.distribution.DataParallel(devices=available[:count], auto_shard_dataset=False).scope()
