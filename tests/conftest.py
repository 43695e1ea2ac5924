"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("LEXTUNE_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real contracts beside the checkout."""
    if not (SHARED / "cuad").is_dir():
        pytest.skip(f"no CUAD data: {SHARED / 'cuad'} is absent (set LEXTUNE_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def cuad_dir(shared_dir: Path) -> Path:
    """The folder of CUAD contracts in the official layout."""
    return shared_dir / "cuad"
