"""tinynn: machine learning from scratch in NumPy, for molecular simulation and chemistry."""

import importlib
import pkgutil
from types import ModuleType

__version__ = "0.1.0"


def __getattr__(name: str) -> ModuleType:
    """Import a submodule when it is first used, so that ``import tinynn`` alone stays fast."""
    if name in __dir__() and not name.startswith("_"):
        return importlib.import_module(f"tinynn.{name}")
    raise AttributeError(f"module 'tinynn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({"__version__", *(module.name for module in pkgutil.iter_modules(__path__))})
