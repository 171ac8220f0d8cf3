"""Networks written for other programs, and shown to predict there what they predict here.

exported = kit.export.export(tracking.find("first"), "onnx")
exported.folder, exported.agreement.largest
"""

from kit import lazy_imports

_MODULE = {"Exported": "exporting", "FORMATS": "formats", "export": "exporting"}
__all__ = sorted(_MODULE)
__getattr__, __dir__ = lazy_imports.attributes(__name__, _MODULE)
