"""The warnings from practice, at the edges of their limits."""

from __future__ import annotations

import json

import pytest

from lextune.core.records import Document, FieldLabel, Span
from lextune.data.warnings import Caution, Counted, Facts, OverWindow, cautions, percent

PRESENT = FieldLabel(parts=("a",), spans=((Span(start=0, end=1),),))


def codes(facts: Facts) -> list[str]:
    return [caution.code for caution in cautions(facts)]


def one(facts: Facts, code: str) -> Caution:
    return next(caution for caution in cautions(facts) if caution.code == code)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(0), ["few_examples"]),
        (Facts(199), ["few_examples"]),
        (Facts(200), ["may_overfit"]),
        (Facts(499), ["may_overfit"]),
        (Facts(500), []),
        (Facts(1000, by_type={"Lease": 500, "License": 500}), []),
        (Facts(1000, by_type={"Lease": 501, "License": 499}), ["one_type"]),
        (Facts(1000, by_type={"Lease": 400}), []),
        (Facts(1000, by_type={"Lease": 510}), ["one_type"]),
        (Facts(1000, positives={"Cap": 10}), []),
        (Facts(1000, positives={"Cap": 9}), ["rare_fields"]),
        (Facts(1000, positives={"Cap": 0}), ["rare_fields"]),
        (Facts(1000, over_window=OverWindow(50, 1000, 1024)), []),
        (Facts(1000, over_window=OverWindow(51, 1000, 1024)), ["over_window"]),
        (Facts(1000, over_window=OverWindow(0, 0, 1024)), []),
        (Facts(1000, negatives=1), []),
        (Facts(1000, negatives=0), ["no_negatives"]),
        (Facts(1000, negatives=None), []),
        (
            Facts(10, by_type={"A": 10}, positives={"Cap": 1}, over_window=OverWindow(9, 10, 8), negatives=0),
            ["few_examples", "one_type", "rare_fields", "over_window", "no_negatives"],
        ),
    ],
)
def test_each_warning_comes_from_its_limit_on(facts: Facts, expected: list[str]) -> None:
    assert codes(facts) == expected


def test_what_the_warnings_say() -> None:
    facts = Facts(
        150,
        "contracts",
        by_type={"Lease": 80, "License": 70},
        positives={"Cap": 9, "Insurance": 0, "Parties": 150},
        over_window=OverWindow(200, 1000, 512),
        negatives=0,
    )
    assert [str(caution) for caution in cautions(facts)] == [
        "150 contracts, fewer than 200: a prompt with worked examples will do as well\n"
        "  -> compare with the few-shot arm before you ship, or annotate more",
        "80 of 150 contracts (53.3 %) are of the type 'Lease'\n"
        "  -> add contracts of other types, or set balance.per_type",
        "2 of 3 fields stand in fewer than 10 contracts: Insurance (0), Cap (9)\n"
        "  -> annotate more of them or set balance.rare; their scores say little",
        "200 of 1000 training examples (20 %) are longer than 512 tokens and would not be trained on\n"
        "  -> raise train.max_tokens, or shorten the inputs",
        "none of the 150 contracts shows that something is absent: the model will always answer\n"
        "  -> add contracts or passages without the clauses, or raise train.negatives",
    ]
    assert str(one(Facts(499, "rows"), "may_overfit")) == (
        "499 rows, fewer than 500: the model may learn them by heart\n"
        "  -> train one or two epochs, and watch the validation loss"
    )


def test_a_message_names_five_fields_and_the_numbers_name_all() -> None:
    caution = one(Facts(1000, positives={f"F{i}": i for i in range(8)}), "rare_fields")
    assert caution.what.endswith(": F0 (0), F1 (1), F2 (2), F3 (3), F4 (4) and 3 more")
    assert caution.numbers == {"fields": [f"F{i}" for i in range(8)], "of": 8, "limit": 10}
    assert json.loads(json.dumps(caution.as_json()))["code"] == "rare_fields"


def test_of_types_that_are_alike_the_first_by_name_is_named() -> None:
    assert one(Facts(1, by_type={"B": 1, "A": 1}), "one_type").numbers["type"] == "A"


def test_documents_are_counted_as_what_they_are() -> None:
    counted = Counted()
    for number in range(3):
        labels = {"Cap": PRESENT if number else FieldLabel(), "Parties": PRESENT}
        counted.add(Document(id=str(number), name="", sha256="", text="a", contract_type="Lease", labels=labels))
    counted.add(Document(id="unlabelled", name="", sha256="", text="a"))
    facts = counted.facts()
    assert (facts.examples, facts.unit, facts.negatives) == (3, "contracts", 1)
    assert facts.positives == {"Cap": 2, "Parties": 3}
    assert facts.by_type == {"Lease": 3}
    assert counted.facts(negatives=7).negatives == 7
    row = Document(id="r", name="", sha256="", text="q", labels={"output": FieldLabel(parts=("a",), answer="a")})
    counted.add(row)
    assert counted.facts().unit == "examples"
    rows = Counted()
    rows.add(row)
    assert rows.facts(negatives=0) == Facts(1, "rows")


@pytest.mark.parametrize(("share", "text"), [(0.5, "50 %"), (0.501, "50.1 %"), (0.0504, "5.04 %"), (1.0, "100 %")])
def test_a_share_over_a_limit_reads_so(share: float, text: str) -> None:
    assert percent(share) == text
