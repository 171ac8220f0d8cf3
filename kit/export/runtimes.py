"""Exported networks, loaded again by the program that each format is made for."""

import os
import pathlib
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kit.export.formats import FORMATS, Format

BATCH_SIZE = 256


@dataclass(frozen=True)
class Loaded:
    """An exported network in its own runtime.

    Attributes:
        call: from pixels (n, h, w, c) float32 in 0–255 to probabilities (n, classes) float32.
        input, output: what the runtime calls the two.
    """

    call: Callable[[np.ndarray], np.ndarray]
    input: str
    output: str

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities, float32 (n, classes), of images (n, h, w, c) uint8, computed in batches."""
        batches = [images[start : start + BATCH_SIZE] for start in range(0, len(images), BATCH_SIZE)]
        return np.concatenate([self.call(batch.astype(np.float32)) for batch in batches])


def load(found: Format, folder: pathlib.Path, threads: int = 0) -> Loaded:
    """Load the network in `folder`.

    Args:
        found: its format.
        folder: where it was exported to.
        threads: how many may compute; 0 for as many as the runtime likes. TensorFlow's are set for its process.
    """
    return _LOADERS[found.name](folder / found.file, threads)


def _keras(path: pathlib.Path, threads: int) -> Loaded:
    import keras

    network = keras.saving.load_model(path, compile=False, safe_mode=True)
    return Loaded(lambda pixels: network.predict_on_batch(pixels), network.inputs[0].name, "probabilities")


def _saved_model(path: pathlib.Path, threads: int) -> Loaded:
    import tensorflow

    saved = tensorflow.saved_model.load(str(path))
    signature = saved.signatures["serving_default"]
    (name,), (output,) = signature.structured_input_signature[1], signature.structured_outputs
    return Loaded(lambda pixels: signature(**{name: tensorflow.constant(pixels)})[output].numpy(), name, output)


def _onnx(path: pathlib.Path, threads: int) -> Loaded:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # else its makers are told of its use
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (entry,), (end,) = session.get_inputs(), session.get_outputs()
    return Loaded(lambda pixels: session.run([end.name], {entry.name: pixels})[0], entry.name, end.name)


def _litert(path: pathlib.Path, threads: int) -> Loaded:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads or None)
    (names,) = interpreter.get_signature_list().values()
    (name,), (output,) = names["inputs"], names["outputs"]
    runner = interpreter.get_signature_runner()
    return Loaded(lambda pixels: runner(**{name: pixels})[output], name, output)


def without_telemetry() -> None:
    """Keep OpenVINO, in this process, from sending what is imported and converted to its makers."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as if it were not installed


def _openvino(path: pathlib.Path, threads: int) -> Loaded:
    without_telemetry()
    import openvino

    # Left to itself it computes in bfloat16 where the CPU can, which is not what Keras does.
    options = {"INFERENCE_PRECISION_HINT": "f32"} | ({"INFERENCE_NUM_THREADS": str(threads)} if threads else {})
    network = openvino.Core().compile_model(str(path), "CPU", options)
    entry, end = network.inputs[0], network.outputs[0]
    return Loaded(lambda pixels: network(pixels)[end], entry.get_any_name(), end.get_any_name())


_LOADERS = dict(zip(FORMATS, (_keras, _saved_model, _onnx, _litert, _openvino), strict=True))
