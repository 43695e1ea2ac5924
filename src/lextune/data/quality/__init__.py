"""How good the labels of a dataset are: read a sample, let a model object, compare annotators.

Everything here reads a dataset several times and never holds it: functions take a `Read`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from lextune.core.records import Document

Read: TypeAlias = Callable[[], Iterable[Document]]
"""Starts a new pass over the same documents in the same order."""
