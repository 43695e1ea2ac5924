"""lextune: from annotated legal documents to a deployed legal expert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lextune.api import Release, evaluate, load, run

__all__ = ["Release", "evaluate", "load", "run"]


def __getattr__(name: str) -> Any:
    """Import the Python calls when they are asked for: `import lextune` alone stays fast."""
    if name in __all__:
        from lextune import api

        return getattr(api, name)
    raise AttributeError(f"module 'lextune' has no attribute {name!r}")
