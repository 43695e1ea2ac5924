"""lextune: from annotated legal documents to a deployed legal expert."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lextune.api import Release, batch, evaluate, load, run

__all__ = ["Release", "batch", "evaluate", "load", "run"]


def __getattr__(name: str) -> Any:
    """Import the Python calls when they are asked for: `import lextune` alone stays fast."""
    if name in __all__:
        from lextune import api

        return getattr(api, name)
    raise AttributeError(f"module 'lextune' has no attribute {name!r}")


class _Package(ModuleType):
    """Keeps `lextune.evaluate` the call: importing the subpackage of that name would put the module there."""

    @property
    def evaluate(self) -> Any:
        return __getattr__("evaluate")

    @evaluate.setter
    def evaluate(self, module: ModuleType) -> None:
        """Leave out what the import system would bind; `from lextune.evaluate import ...` does not need it."""


sys.modules[__name__].__class__ = _Package
