"""`predict.py`, the program that lies beside an exported network and needs nothing of the kit."""

from kit.competitions import Competition
from kit.export.formats import Format

_SCRIPT = '''\
"""Tell what is on image files: python predict.py FILE [FILE ...]

Needs {packages}; how the network was made and what it takes stands in network.json.
"""

import json
import pathlib
import sys

import numpy as np
{imports}
from PIL import Image, ImageOps

folder = pathlib.Path(__file__).resolve().parent
about = json.loads((folder / "network.json").read_text(encoding="utf-8"))
height, width, channels = about["input"]["shape"][1:]
{load}

for name in sys.argv[1:]:
    image = ImageOps.exif_transpose(Image.open(name)).convert("RGB" if channels == 3 else "L")
    image = ImageOps.{fit}(image, (width, height))
    pixels = np.asarray(image, "float32").reshape(1, height, width, channels)
    probabilities = {call}
    best = int(np.argmax(probabilities))
    print(f"{{name}}: {{about['classes'][best]}} ({{probabilities[best]:.1%}})")
'''

# Of each format: imports, how the network is loaded, how it is called on `pixels`.
_PARTS = {
    "keras": (
        "import keras",
        'network = keras.saving.load_model(folder / "{file}", compile=False)',
        "network.predict(pixels, verbose=0)[0]",
    ),
    "saved-model": (
        "import tensorflow as tf",
        'network = tf.saved_model.load(str(folder / "{file}"))',
        "network.serve(pixels).numpy()[0]",
    ),
    "onnx": (
        'import os\n\nos.environ["ORT_DISABLE_TELEMETRY"] = "1"  # else its makers are told of its use\n'
        "import onnxruntime",
        'network = onnxruntime.InferenceSession(folder / "{file}")',
        'network.run(None, {{about["input"]["name"]: pixels}})[0][0]',
    ),
    "litert": (
        "from ai_edge_litert.interpreter import Interpreter",
        'network = Interpreter(str(folder / "{file}")).get_signature_runner()',
        'network(**{{about["input"]["name"]: pixels}})[about["output"]["name"]][0]',
    ),
    "openvino": (
        'sys.modules["openvino_telemetry"] = None  # else its makers are told of every import\nimport openvino',
        'options = {{"INFERENCE_PRECISION_HINT": "f32"}}  # else it may compute in bfloat16\n'
        'network = openvino.Core().compile_model(folder / "{file}", "CPU", options)',
        "network(pixels)[0][0]",
    ),
}


def text(found: Format, competition: Competition) -> str:
    """Return the program for a format and a competition's images."""
    imports, load, call = _PARTS[found.name]
    return _SCRIPT.format(
        packages=f"{found.runtime}, numpy and pillow",
        imports=imports,
        load=load.format(file=found.file),
        fit="fit" if competition.fit == "crop" else "pad",
        call=call.format(),
    )
