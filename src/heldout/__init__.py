"""heldout audits language models from the inside.

The public names are loaded when they are first used, so that reports and the command line's help open without torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from heldout import models, organisms, techniques
    from heldout.audits import audit
    from heldout.data import Suite
    from heldout.evidence import Bundle
    from heldout.models import CheckpointSuite, Model, Site, load
    from heldout.report import view

    __version__: str

__all__ = [
    "Bundle",
    "CheckpointSuite",
    "Model",
    "Site",
    "Suite",
    "__version__",
    "audit",
    "load",
    "models",
    "organisms",
    "techniques",
    "view",
]

_ROOMS = ("models", "organisms", "techniques")
_ROOM_OF = {
    "Bundle": "evidence",
    "CheckpointSuite": "models",
    "Model": "models",
    "Site": "models",
    "Suite": "data",
    "audit": "audits",
    "load": "models",
    "view": "report",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _installed_version()
    if name in _ROOMS:
        return import_module(f"heldout.{name}")
    if name in _ROOM_OF:
        return getattr(import_module(f"heldout.{_ROOM_OF[name]}"), name)
    raise AttributeError(f"module 'heldout' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _installed_version() -> str:
    try:
        return version("heldout")
    except PackageNotFoundError:
        return "unknown (heldout is not installed)"
