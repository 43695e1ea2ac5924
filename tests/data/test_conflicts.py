"""The same clause labelled in two ways is found; what only looks like it is not."""

from __future__ import annotations

from lextune.core.records import Document, FieldLabel, Message, Span
from lextune.data.conflicts import LISTED, Conflict, conflicts

LAW = (
    "This Agreement shall be governed by and construed under the laws of the State of Ohio without regard to conflicts."
)
CAP = "In no event shall either party be liable to the other for more than the fees paid hereunder in the last year."
OTHER = "The Supplier delivers the goods that are listed in the first schedule to the place that is named there."


def contract(
    name: str, clauses: list[str], labels: dict[str, str | None], annotator: str | None = None, share: float = 1.0
) -> Document:
    """Return a contract; `labels` has the clause that each field quotes (of it the first `share`)."""
    text = "\n\n".join(clauses)
    made = {}
    for field, clause in labels.items():
        if clause is None:
            made[field] = FieldLabel()
        else:
            start = text.index(clause)
            span = Span(start=start, end=start + round(len(clause) * share))
            made[field] = FieldLabel(parts=(text[span.start : span.end],), spans=((span,),))
    return Document(id=name, name=name, sha256="", text=text, labels=made, annotator=annotator)


def found(*documents: Document) -> list[Conflict]:
    return list(conflicts(lambda: iter(documents)))


def test_a_clause_labelled_here_and_not_there() -> None:
    one = contract("a", [OTHER, LAW], {"Governing Law": LAW})
    two = contract("b", [LAW.replace("Ohio", "OHIO,")], {"Governing Law": None})
    (conflict,) = found(one, two)
    assert conflict.kind == "unlabelled"
    assert conflict.counts == {"Governing Law": (1, 1)}
    assert conflict.total == 2
    assert conflict.text == LAW[:79] + "…"
    places = [(p.document, one.text[p.start : p.end] == LAW, p.labels) for p in conflict.places]
    assert places == [("a", True, ("Governing Law",)), ("b", False, ())]


def test_a_clause_labelled_as_two_fields() -> None:
    fields = {"Cap": None, "Law": None}
    (conflict,) = found(contract("a", [LAW], fields | {"Law": LAW}), contract("b", [LAW], fields | {"Cap": LAW}))
    assert (conflict.kind, conflict.counts) == ("fields", {"Cap": (1, 1), "Law": (1, 1)})


def test_two_annotators_of_one_text() -> None:
    one = contract("a", [OTHER, LAW], {"Law": LAW}, annotator="x")
    (conflict,) = found(one, contract("b", [OTHER, LAW], {"Law": None}, annotator="y"))
    assert (conflict.kind, {p.annotator for p in conflict.places}) == ("annotators", {"x", "y"})


def test_no_conflict_where_there_is_none() -> None:
    labelled = contract("a", [LAW], {"Law": LAW})
    assert found(labelled, contract("b", [OTHER, LAW], {"Law": LAW})) == []
    assert found(labelled, contract("b", [LAW], {"Cap": None})) == []  # never looked for there
    assert found(labelled, contract("b", [CAP], {"Law": None})) == []
    assert found(contract("a", [LAW], {"Law": LAW}, share=0.3), contract("b", [LAW], {"Law": None})) == []
    assert found(contract("a", ["Law of Ohio."], {"Law": "Law of Ohio."}), contract("b", ["Law of Ohio."], {})) == []
    assert found() == []


def test_a_line_on_every_page_is_furniture() -> None:
    pages = [OTHER, LAW, OTHER, OTHER]
    assert found(contract("a", pages, {"Law": OTHER}), contract("b", [OTHER], {"Law": None})) == []


def row(name: str, answer: str, text: str = "Is this clause a cap on the liability of the supplier?") -> Document:
    turns = (Message(role="system", content=CAP),)
    labels = {"output": FieldLabel(parts=(answer,), answer=answer)}
    return Document(id=name, name=name, sha256="", text=text, turns=turns, labels=labels)


def test_rows_with_different_short_answers() -> None:
    (conflict,) = found(row("a", "Yes"), row("b", "No"), row("c", "yes"))
    assert (conflict.kind, conflict.counts) == ("answers", {"output: no": (1, 2), "output: yes": (2, 1)})
    assert conflict.places[0].document == "b"
    assert found(row("a", "Yes " * 30), row("b", "No")) == []


def test_places_are_counted_and_the_first_listed_and_the_largest_come_first() -> None:
    many = [contract(f"d{i}", [LAW], {"Law": LAW if i == 40 else None}) for i in range(50)]
    pair = [contract("e", [CAP], {"Cap": CAP}), contract("f", [CAP], {"Cap": None})]
    first, second = found(*pair, *many)
    assert (first.total, len(first.places), first.places[0].document) == (50, LISTED, "d40")
    assert first.counts == {"Law": (1, 49)}
    assert second.total == 2
