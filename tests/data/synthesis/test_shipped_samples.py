"""The set in the package: what the generator gives, every field in it, small, and readable as a PDF."""

from __future__ import annotations

from collections import Counter
from importlib import resources
from pathlib import Path

import pytest

from lextune.core.records import Document
from lextune.data.dedupe import LEAK, similar_pairs
from lextune.data.importers.cuad import import_cuad
from lextune.data.synthesis import PDF_SEED, SAMPLE_COUNT, SAMPLE_SEED, generate, write_cuad_layout
from lextune.expert.schema import load_schema

SCHEMA = load_schema("clauses-47")
ALWAYS = ("Document Name", "Parties")
RESOURCES = Path(str(resources.files("lextune.resources")))
SHIPPED = RESOURCES / "sample_contracts"


@pytest.fixture(scope="module")
def documents() -> tuple[Document, ...]:
    imported = import_cuad(SHIPPED, SCHEMA)
    assert list(imported.rejects) == []
    return imported.documents


def test_the_set_is_what_the_generator_gives(tmp_path: Path) -> None:
    write_cuad_layout(generate(SAMPLE_COUNT, SAMPLE_SEED, schema=SCHEMA), tmp_path)
    made = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    shipped = {p.relative_to(SHIPPED): p.read_bytes() for p in SHIPPED.rglob("*") if p.is_file()}
    assert made == shipped, "the wording changed: write the set again (see lextune/data/synthesis/__init__.py)"


def test_the_set_is_small() -> None:
    assert sum(p.stat().st_size for p in SHIPPED.rglob("*") if p.is_file()) < 1_600_000


def test_every_field_is_present_in_five_or_more_and_absent_in_some(documents: tuple[Document, ...]) -> None:
    assert len(documents) == 48
    present = Counter(n for d in documents for n in SCHEMA.names if d.labels[n].present)
    for name in SCHEMA.names:
        assert present[name] >= 5, name
        assert name in ALWAYS or present[name] <= 47, name


def test_every_type_is_there_and_both_dialects(documents: tuple[Document, ...]) -> None:
    assert set(Counter(d.contract_type for d in documents).values()) == {4}
    laws = Counter(d.labels["Governing Law"].answer for d in documents)
    assert laws["England and Wales"] >= 6
    assert laws["New York"] >= 2


def test_no_two_contracts_would_leak(documents: tuple[Document, ...]) -> None:
    assert similar_pairs([d.text for d in documents], LEAK._replace(jaccard=0.25, containment=0.4)) == []


def test_the_pdf_holds_a_contract_that_is_not_in_the_set(documents: tuple[Document, ...]) -> None:
    import pypdfium2

    file = RESOURCES / "sample_contract.pdf"
    assert file.stat().st_size < 60_000
    (expected,) = generate(1, PDF_SEED, schema=SCHEMA)
    with pypdfium2.PdfDocument(file) as pdf:
        pages = [page.get_textpage().get_text_range() for page in pdf]
    assert len(pages) >= 3
    words = [w for number, page in enumerate(pages, start=1) for w in page.replace(f"Page {number}", "").split()]
    assert words == expected.text.split(), "the wording changed: run scripts/make_sample_pdf.py"
    assert expected.sha256 not in {d.sha256 for d in documents}
