"""Packages that find a name in its module when it is first asked for, so that importing them costs nothing."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence


def attributes(package: str, module_of: Mapping[str, str], modules: Sequence[str] = ()) -> tuple[Callable, Callable]:
    """Return a package's `__getattr__` and `__dir__`.

    Args:
        package: its `__name__`.
        module_of: for each public name the package's module that defines it.
        modules: the package's modules that are public themselves.

    Reference:
        PEP 562, "Module __getattr__ and __dir__".
    """

    def find(name: str):
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{module_of[name]}"), name)

    def known() -> list[str]:
        return sorted({*vars(sys.modules[package]), *module_of, *modules})

    return find, known
