"""Cleaning documents: labels, quotes and pages follow the text, and nothing disappears in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.artifacts import Artifact, read_jsonl, write_jsonl
from lextune.core.errors import MachineError
from lextune.core.records import Document, Drop, FieldLabel, Message, Span
from lextune.core.stage import Context
from lextune.data import clean as cleaning
from lextune.data.clean import STAGE, CleanConfig, clean_document, clean_documents
from lextune.text.edits import restore
from lextune.text.spans import locate

UNTAGGED = CleanConfig(tags=False)
FOOTER = "Source: ACME INC, 10-K, 3/31/2012"
TEXT = f"The  buyer shall pay the\n\n1\n\n{FOOTER}\n\n\n  price to Acme.\nActs of  Acme â€œbindâ€\x9d it.\n"


def document(text: str = TEXT, **labels: tuple[str, ...]) -> Document:
    made = {
        field: FieldLabel(
            parts=parts, spans=tuple(locate(text, part) for part in parts), answer=" ".join(parts) or None
        )
        for field, parts in labels.items()
    }
    return Document(id="a", name="a.txt", sha256="0", text=text, labels=made)


def row(**changes: Any) -> Document:
    label = FieldLabel(parts=("It\u200b is  CafÃ©.",), answer="It\u200b is  CafÃ©.")
    return Document(id="r", name="r", sha256="0", text="Where?\n    here", labels={"output": label}).model_copy(
        update=changes
    )


def test_labels_and_pages_follow_the_text() -> None:
    source = document(Price=("The  buyer shall pay the\n\n1", "price to Acme."), Party=("Acme",), None_=())
    source = source.model_copy(update={"pages": (Span(start=0, end=65), Span(start=65, end=len(TEXT)))})
    (made,) = clean_document(source, UNTAGGED)
    assert isinstance(made, Document)
    assert made.text == "The buyer shall pay the\nprice to Acme.\nActs of Acme “bind” it.\n"
    assert restore(made.text, made.edits) == source.text
    assert made.labels["Price"].parts == ("The buyer shall pay the", "price to Acme.")
    assert made.labels["Party"].parts == ("Acme",)
    assert len(made.labels["Party"].spans[0]) == 2
    assert not made.labels["None_"].present
    for label in made.labels.values():
        for part, places in zip(label.parts, label.spans, strict=True):
            assert {made.text[p.start : p.end] for p in places} == {part}
    assert [made.text[p.start : p.end] for p in made.pages] == ["The buyer shall pay the\n", made.text[24:]]
    assert made.tags == {}


def test_a_part_in_furniture_is_dropped_and_its_field_is_not_assessed() -> None:
    source = document(Date=("3/31/2012",), Both=("3/31/2012", "price"))
    made, *drops = clean_document(source, UNTAGGED)
    assert isinstance(made, Document)
    assert "Date" not in made.labels
    assert made.labels["Both"].parts == ("price",)
    assert drops == [
        Drop(what="quote", where=f"a.txt, {field}", reason="gone in cleaning: '3/31/2012'")
        for field in ("Date", "Both")
    ]


def test_another_place_of_a_part_is_chosen_where_the_first_is_gone() -> None:
    text = f"Widget sells.\n\n{FOOTER}\n\nACME INC buys."
    places = locate(text, "ACME INC")
    source = document(text)
    label = FieldLabel(parts=("ACME INC",), spans=(places,))
    (made,) = clean_document(source.model_copy(update={"labels": {"Party": label}}), UNTAGGED)
    assert isinstance(made, Document)
    (span,) = made.labels["Party"].spans[0]
    assert made.text[span.start :] == "ACME INC buys."


def test_conversations_keep_their_layout() -> None:
    turns = (Message(role="system", content="Be\u200b  brief."),)
    (made,) = clean_document(row(turns=turns, rejected="No\u200b."), UNTAGGED)
    assert isinstance(made, Document)
    assert made.text == "Where?\n    here"
    assert made.turns == (Message(role="system", content="Be  brief."),)
    assert made.rejected == "No."
    assert made.labels["output"] == FieldLabel(parts=("It is  Café.",), answer="It is  Café.")


@pytest.mark.parametrize(
    ("source", "drop"),
    [
        (document(FOOTER), Drop(what="contract", where="a.txt", reason="nothing is left of its text after cleaning")),
        (row(text="\u200b"), Drop(what="row", where="r", reason="nothing is left of its text after cleaning")),
        (
            row(labels={"output": FieldLabel(parts=("\u200b",), answer="\u200b")}),
            Drop(what="row", where="r", reason="nothing is left of its answer after cleaning"),
        ),
    ],
)
def test_what_nothing_is_left_of_is_dropped(source: Document, drop: Drop) -> None:
    assert clean_document(source, UNTAGGED) == [drop]


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        ("It is fine.", "It\u200b is fine.", "chosen and rejected are the same after cleaning"),
        ("N/A\u200b", "N/A", "chosen and rejected are the same after cleaning"),
        ("It is fine.", "\u200b", "nothing is left of its rejected answer after cleaning"),
    ],
)
def test_a_preference_that_is_none_after_cleaning_is_dropped(chosen: str, rejected: str, reason: str) -> None:
    source = row(labels={"output": FieldLabel(parts=(chosen,), answer=chosen)}, rejected=rejected)
    assert clean_document(source, UNTAGGED) == [Drop(what="row", where="r", reason=reason)]


def test_an_answer_that_means_null_after_cleaning_becomes_null() -> None:
    source = row(labels={"output": FieldLabel(parts=("N/A\u200b",), answer="N/A\u200b")})
    made, drop = clean_document(source, UNTAGGED)
    assert isinstance(made, Document)
    assert made.labels == {"output": FieldLabel()}
    assert drop == Drop(what="quote", where="r, output", reason="means null after cleaning: 'N/A'")


def test_a_text_that_was_changed_before_leads_back_to_its_source() -> None:
    spaces = CleanConfig(encoding=False, furniture=False, tags=False)
    (once,) = clean_document(document(), spaces)
    assert isinstance(once, Document)
    (twice,) = clean_document(once, UNTAGGED)
    assert isinstance(twice, Document)
    assert restore(twice.text, twice.edits) == TEXT
    assert once.text != twice.text
    (again,) = clean_document(twice, UNTAGGED)
    assert again == twice


PIECES = st.sampled_from(["Acme ", "pays  ", "agree-\n", "ment", "\n\n", FOOTER, "\n", "â€œ", "\u200b", "\t", "Bee"])


@settings(max_examples=100)
@given(st.lists(PIECES, min_size=1, max_size=25).map("".join), st.data())
def test_every_place_of_a_label_is_in_the_text(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    part = text[start:end]
    spans = locate(text, part)
    if not spans:
        return
    label = FieldLabel(parts=(part,), spans=(spans,))
    made, *drops = clean_document(document(text).model_copy(update={"labels": {"F": label}}), UNTAGGED)
    if isinstance(made, Drop):
        return
    assert restore(made.text, made.edits) == text
    assert ("F" in made.labels) == (not drops)
    for span in made.labels["F"].spans[0] if "F" in made.labels else ():
        assert 0 <= span.start < span.end <= len(made.text)
        assert made.text[span.start : span.end].strip() == made.text[span.start : span.end]


def test_many_processes_make_what_one_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "BATCH_CHARACTERS", 3_000)
    sources = [
        document(f"{TEXT} {n}" if n % 5 else FOOTER, Party=("Acme",) if n % 5 else ()).model_copy(update={"id": str(n)})
        for n in range(30)
    ]
    alone = list(clean_documents(iter(sources), UNTAGGED, workers=1))
    assert list(clean_documents(iter(sources), UNTAGGED, workers=2)) == alone
    assert len(alone) == 30
    assert [item.id for item in alone if isinstance(item, Document)] == [str(n) for n in range(30) if n % 5]


def test_only_a_few_batches_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    class Now:
        """A pool that works when asked for the result."""

        def __init__(self, workers: int, mp_context: object) -> None:
            self.shut = False

        def submit(self, work: Callable[..., Any], *given: Any) -> Any:
            return type("Result", (), {"result": staticmethod(lambda: work(*given))})

        def shutdown(self, *, cancel_futures: bool) -> None:
            assert cancel_futures

    monkeypatch.setattr(cleaning, "ProcessPoolExecutor", Now)
    monkeypatch.setattr(cleaning, "BATCH_CHARACTERS", 1)
    taken = 0

    def source() -> Any:
        nonlocal taken
        for _ in range(1_000):
            taken += 1
            yield document()

    items = clean_documents(source(), UNTAGGED, workers=2)
    next(items)
    assert taken <= 2 * cleaning.AHEAD + 2
    items.close()  # type: ignore[attr-defined]


def test_a_process_that_was_killed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*given: Any) -> Any:
        raise cleaning.BrokenProcessPool

    monkeypatch.setattr(cleaning, "_side_by_side", killed)
    monkeypatch.setattr(cleaning, "BATCH_CHARACTERS", 1)
    with pytest.raises(MachineError) as error:
        list(clean_documents([document()] * 3, UNTAGGED, workers=2))
    assert str(error.value) == (
        "clean: a process that cleans documents was killed\n  -> free memory, or clean with one process"
    )


def test_the_stage_accounts_for_every_document(seal: Callable[..., Artifact], tmp_path: Path) -> None:
    rows = [document(Date=("3/31/2012",)), document(FOOTER), row(), document("Plain text.")]

    def fill(folder: Path) -> dict[str, Any]:
        write_jsonl(folder / "documents.jsonl", rows)
        write_jsonl(folder / "drops.jsonl", [])
        (folder / "nulls.json").write_text("[1]")
        return {"n_out": len(rows), "source": "given"}

    out = tmp_path / "out"
    out.mkdir()
    summary = STAGE.run(CleanConfig(), {"documents": seal("documents", fill)}, out, Context())
    assert summary == {
        "n_in": 4, "n_out": 3, "n_dropped": 1, "rejects": 2, "quotes_lost": 1, "changed": 1,
        "edits": summary["edits"], "source": "given",
    }  # fmt: skip
    made = list(read_jsonl(out / "documents.jsonl", Document))
    assert [d.tags.keys() for d in made] == [{"language", "drafting"}] * 3
    assert summary["edits"] == sum(len(d.edits) for d in made)
    assert {d.what for d in read_jsonl(out / "drops.jsonl", Drop)} == {"quote", "contract"}
    assert json.loads((out / "nulls.json").read_text()) == [1]
