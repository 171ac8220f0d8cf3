"""Networks in 8-bit integers, by each format's own tools; the ranges of values come from training images.

Reference: Jacob et al. 2018, https://arxiv.org/abs/1712.05877. Input and output stay float32.
"""

import os
import pathlib
from collections.abc import Callable

import keras
import numpy as np

from kit.export.formats import Format


def write(network: keras.Model, found: Format, path: pathlib.Path, images: np.ndarray) -> None:
    """Write `network` with 8-bit weights and activations.

    Args:
        network: pixels to probabilities, in float32.
        found: the format.
        path: the file.
        images: (n, h, w, c) uint8, for calibration.
    """
    _WRITERS[found.name](network, path, [image[None].astype(np.float32) for image in images])


def _litert(network: keras.Model, path: pathlib.Path, images: list[np.ndarray]) -> None:
    import tensorflow

    network.export(
        str(path),
        format="litert",
        verbose=False,
        optimizations=[tensorflow.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ({network.inputs[0].name: image} for image in images),
    )


def _onnx(network: keras.Model, path: pathlib.Path, images: list[np.ndarray]) -> None:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # else its makers are told of its use
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.images = iter(images)

        def get_next(self):
            image = next(self.images, None)
            return None if image is None else {network.inputs[0].name: image}

    plain, folded = path.with_name("plain.onnx"), path.with_name("folded.onnx")
    network.export(str(plain), format="onnx", verbose=False)
    quant_pre_process(str(plain), str(folded), skip_symbolic_shape=True)  # batch norms become part of convolutions
    quantize_static(str(folded), str(path), Reader(), per_channel=True)
    plain.unlink()
    folded.unlink()


def _openvino(network: keras.Model, path: pathlib.Path, images: list[np.ndarray]) -> None:
    import nncf
    import openvino

    plain = path.with_name("plain.xml")
    network.export(str(plain), format="openvino", verbose=False)
    quantized = nncf.quantize(openvino.Core().read_model(plain), nncf.Dataset(images), subset_size=len(images))
    openvino.save_model(quantized, path, compress_to_fp16=False)
    plain.unlink()
    plain.with_suffix(".bin").unlink()


_WRITERS: dict[str, Callable[[keras.Model, pathlib.Path, list[np.ndarray]], None]] = {
    "litert": _litert,
    "onnx": _onnx,
    "openvino": _openvino,
}
