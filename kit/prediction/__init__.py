"""Trained runs and ensembles asked again: for other images, or over augmented copies of the same ones."""

from kit import lazy_imports

_MODULE = {"predict": "networks", "predict_again": "again", "predict_photos": "photos"}
__all__ = sorted(_MODULE)
__getattr__, __dir__ = lazy_imports.attributes(__name__, _MODULE)
