"""The formats: what each is called, which Keras writes it, and which packages it takes."""

import importlib.metadata
import importlib.util
from dataclasses import dataclass

from kit.errors import UserError


@dataclass(frozen=True)
class Format:
    """A format that `keras.Model.export` writes, or Keras's own.

    Attributes:
        name: as `--format` takes it.
        keras_name: as `keras.Model.export` takes it; empty for Keras's own.
        file: what the network's file is called; for "saved-model" a folder.
        since: the first version of Keras that writes it, beyond the oldest that the kit works with.
        packages: what writes and runs it: the module's name, and what pip calls it.
        int8_packages: what writes it with 8-bit integers besides; None where that cannot be had.
    """

    name: str
    keras_name: str
    file: str
    since: tuple[int, int] | None
    packages: tuple[tuple[str, str], ...]
    int8_packages: tuple[tuple[str, str], ...] | None = None

    @property
    def runtime(self) -> str:
        """What pip calls the package that runs it."""
        return self.packages[-1][1] if self.packages else "keras"


_ONNX = (("onnx", "onnx"), ("tf2onnx", "tf2onnx"), ("onnxruntime", "onnxruntime"))
FORMATS = {
    one.name: one
    for one in (
        Format("keras", "", "network.keras", None, ()),
        Format("saved-model", "tf_saved_model", "network", None, (("tensorflow", "tensorflow"),)),
        Format("onnx", "onnx", "network.onnx", None, _ONNX, ()),
        Format("litert", "litert", "network.tflite", (3, 13), (("ai_edge_litert", "ai-edge-litert"),), ()),
        Format("openvino", "openvino", "network.xml", (3, 11), (("openvino", "openvino"),), (("nncf", "nncf"),)),
    )
}


def check(name: str, int8: bool = False) -> Format:
    """Return the format called `name`, after checking that it can be written here; Keras is not started for it.

    Raises:
        UserError: there is no such format, this version of Keras does not write it, it has no 8-bit form, or a package
            is missing; says which.
    """
    if name not in FORMATS:
        raise UserError(f"format: {name!r} is not one of {', '.join(FORMATS)}.")
    found = FORMATS[name]
    if int8 and found.int8_packages is None:
        able = ", ".join(one.name for one in FORMATS.values() if one.int8_packages is not None)
        raise UserError(f"int8: {name} has no 8-bit form here; take one of {able}.")
    version = importlib.metadata.version("keras")
    if found.since and tuple(int(part) for part in version.split(".")[:2]) < found.since:
        since = ".".join(map(str, found.since))
        raise UserError(f"format: Keras {version} does not write {name}; Keras {since} and later do.")
    needed = found.packages + ((found.int8_packages or ()) if int8 else ())
    missing = [package for module, package in needed if importlib.util.find_spec(module) is None]
    if missing:
        raise UserError(f"format: {name}{' with int8' if int8 else ''} takes: pip install {' '.join(missing)}")
    return found


def versions(found: Format) -> dict[str, str]:
    """Return the version of Keras and of each package that writes or runs a format."""
    names = ["keras", *(package for _, package in found.packages)]
    return {name: importlib.metadata.version(name) for name in names}
