"""Two versions of a data set compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.artifacts import Artifact, build_folder, write_jsonl
from lextune.core.errors import DataError
from lextune.core.records import Document, FieldLabel, Message, Span
from lextune.data.diff import REJECTED, Diff, as_text, diff

HEADER = {"stage": "documents", "stage_version": 1, "config": {}, "seed": 0, "inputs": {}, "parents": {}}
Version = Callable[..., Artifact]


def label(text: str, start: int = 0, answer: str | None = None) -> FieldLabel:
    return FieldLabel(parts=(text,), spans=((Span(start=start, end=start + len(text)),),), answer=answer)


NULL = FieldLabel()


def contract(name: str, text: str = "", kind: str | None = "Lease", **labels: FieldLabel) -> Document:
    return Document(id=name, name=name, sha256="0", text=text or f"text of {name}", contract_type=kind, labels=labels)


def row(name: str, text: str, answer: str, **more: Any) -> Document:
    labels = {"output": FieldLabel(parts=(answer,), answer=answer)}
    return Document(id=name, name=name, sha256="0", text=text, labels=labels, **more)


@pytest.fixture
def version(tmp_path: Path) -> Version:
    def make(name: str, *documents: Document) -> Artifact:
        def fill(folder: Path) -> dict[str, Any]:
            write_jsonl(folder / "documents.jsonl", documents)
            return {}

        return build_folder(tmp_path / name, {"kind": "documents", **HEADER}, fill)

    return make


def test_a_version_is_the_same_as_itself(version: Version) -> None:
    a = version("a", contract("1", Cap=label("x")), contract("2"))
    found = diff(a, a)
    assert (found.matched, found.same, found.by_field, found.by_type, found.details) == (2, 2, {}, {}, ())
    assert found.a == found.b
    assert found.a.hash == a.hash


def test_documents_are_matched_by_id_then_by_text(version: Version) -> None:
    a = version("a", contract("1"), contract("2"), contract("3", "alike"), contract("4", "alike"), contract("5"))
    b = version("b", contract("1"), contract("two", "text of 2"), contract("x", "alike"), contract("5", "rewritten"))
    found = diff(a, b)
    counts = {name: getattr(found, name) for name in ("matched", "same", "added", "removed", "renamed", "rewritten")}
    assert counts == {"matched": 4, "same": 1, "added": 0, "removed": 1, "renamed": 2, "rewritten": 1}
    assert found.removed_ids == ("4",)  # of equal texts the first is matched first


@pytest.mark.parametrize(
    ("before", "after", "kind", "was", "became"),
    [
        (NULL, label("cap", answer="Yes"), "added", None, "Yes: cap"),
        (label("cap"), NULL, "removed", "cap", None),
        (label("cap"), label("other"), "changed", "cap", "other"),
        (label("cap", answer="Yes"), label("cap", answer="No"), "changed", "Yes: cap", "No: cap"),
        (label("cap", 3), label("cap", 9), "moved", "at 3: cap", "at 9: cap"),
        (None, label("cap"), "assessed", None, "cap"),
        (label("cap"), None, "unassessed", "cap", None),
        (None, NULL, "assessed", None, None),
    ],
)
def test_what_becomes_of_a_label(
    version: Version, before: FieldLabel | None, after: FieldLabel | None, kind: str, was: str, became: str
) -> None:
    a, b = (contract("1", **({} if side is None else {"Cap": side})) for side in (before, after))
    found = diff(version("a", a), version("b", b))
    assert (found.relabelled, found.same, found.by_field) == (1, 0, {"Cap": {kind: 1}})
    assert found.by_type == {"Lease": {"relabelled": 1}}
    (change,) = found.details
    assert (change.document, change.field, change.kind, change.before, change.after) == ("1", "Cap", kind, was, became)


def test_in_another_text_places_move_by_themselves(version: Version) -> None:
    a = version("a", contract("1", "a cap", Cap=label("cap", 2)))
    b = version("b", contract("1", "my cap", Cap=label("cap", 3)))
    found = diff(a, b)
    assert (found.rewritten, found.relabelled) == (1, 0)


def test_a_later_occurrence_that_is_found_is_no_new_label(version: Version) -> None:
    more = FieldLabel(parts=("cap",), spans=((Span(start=0, end=3), Span(start=9, end=12)),))
    assert diff(version("a", contract("1", Cap=label("cap"))), version("b", contract("1", Cap=more))).relabelled == 0


def test_rows_of_conversations_are_compared_too(version: Version) -> None:
    turns = (Message(role="system", content="Be brief"),)
    a = version("a", row("1", "q", "a"), row("2", "q2", "a"), row("3", "q3", "a", rejected="b"), row("4", "q4", "a"))
    b = version(
        "b",
        row("1", "q", "b"),
        row("2", "q2", "a", turns=turns),
        row("3", "q3", "a", rejected="c"),
        row("4", "q4", "a"),
    )
    found = diff(a, b)
    assert (found.same, found.relabelled, found.rewritten) == (1, 2, 1)
    assert found.by_field == {"output": {"changed": 1}, REJECTED: {"changed": 1}}
    assert [(c.before, c.after) for c in found.details] == [("a", "b"), ("b", "c")]


def test_changes_are_counted_by_type(version: Version) -> None:
    a = version("a", contract("1", kind=None), contract("2", kind="Lease"), contract("3", kind="Supply"))
    b = version("b", contract("1", kind="Lease"), contract("2", kind="Lease"), contract("4", kind="Supply"))
    found = diff(a, b)
    assert found.by_type == {"Lease": {"retyped": 1}, "Supply": {"added": 1, "removed": 1}}


def test_what_is_shown_is_limited_and_what_is_counted_is_not(version: Version) -> None:
    a = version("a", *(contract(str(i), Cap=NULL, Fee=NULL) for i in range(9)), contract("gone 1"), contract("gone 2"))
    b = version("b", *(contract(str(i), Cap=label("c" * 200), Fee=label("f")) for i in range(9)))
    found = diff(a, b, shown=1)
    assert len(found.details) == len(found.removed_ids) == 1
    assert found.by_field == {"Cap": {"added": 9}, "Fee": {"added": 9}}
    assert len(found.details[0].after or "") == 80
    assert diff(a, b, shown=0).details == ()
    assert "and 1 more removed" in as_text(found)


def test_an_id_that_occurs_twice_is_refused(version: Version) -> None:
    a = version("a", contract("1"), contract("1", "other"))
    with pytest.raises(DataError) as caught:
        diff(a, version("b"))
    assert str(caught.value) == (
        f"{a.path}: the id '1' occurs twice\n  -> import the data again: every document needs an id of its own"
    )


def test_the_comparison_as_text(version: Version) -> None:
    a = version("a", contract("1", Cap=NULL), contract("2"))
    b = version("b", contract("1", Cap=label("cap")), contract("3"))
    assert as_text(diff(a, b)).splitlines() == [
        f"a ({a.hash[:12]}): 2 documents",
        f"b ({b.hash[:12]}): 2 documents",
        "0 same, 1 added, 1 removed, 1 relabelled, 0 rewritten, 0 retyped, 0 renamed",
        "field     added",
        "Cap           1",
        "contract type     added   removed  relabelled",
        "Lease                 1         1           1",
        "added: 3",
        "removed: 2",
        "1: Cap added: null -> 'cap'",
    ]


SOME = st.dictionaries(
    st.sampled_from("abcdefg"),
    st.tuples(st.sampled_from(["one", "two", "three"]), st.sampled_from([None, NULL, label("x"), label("y")])),
)


@given(SOME, SOME)
@settings(max_examples=40)
def test_every_document_is_counted_once(tmp_path_factory: Any, one: Any, two: Any) -> None:
    folder = tmp_path_factory.mktemp("versions")

    def make(name: str, side: Any) -> Artifact:
        documents = [contract(i, t, **({} if cap is None else {"Cap": cap})) for i, (t, cap) in side.items()]
        header = {"kind": "documents", **HEADER}
        return build_folder(folder / name, header, lambda f: {"n": write_jsonl(f / "documents.jsonl", documents)})

    a, b = make("a", one), make("b", two)
    there, back = diff(a, b), diff(b, a)
    for found, before, after in ((there, one, two), (back, two, one)):
        assert (found.a.documents, found.b.documents) == (len(before), len(after))
        assert found.matched + found.removed == len(before)
        assert found.matched + found.added == len(after)
        assert found.same <= found.matched
    assert (there.added, there.removed, there.relabelled) == (back.removed, back.added, _relabelled(there, back))


def _relabelled(there: Diff, back: Diff) -> int:
    """Matching by text may pair equal texts otherwise on the way back; without such pairs both counts agree."""
    return back.relabelled if not there.renamed else there.relabelled
