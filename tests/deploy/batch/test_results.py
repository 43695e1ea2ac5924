"""What a batch leaves: records as `extract` prints them, a table of answers, rates, and what it took."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace as Tools
from typing import Any

import pytest

from lextune.core.errors import MachineError
from lextune.core.records import Usage
from lextune.deploy.batch import results
from lextune.deploy.batch.ledger import Ledger, Spent
from lextune.deploy.batch.options import BatchOptions
from lextune.deploy.batch.summary import OTHER, REASONS, Tally
from lextune.text.reading import read_document


def table(out: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet

    return list(pyarrow.parquet.read_table(out / "answers.parquet").to_pylist())


def test_a_record_is_what_extract_gives(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="The law of Ohio – § 5.")
    batch.run()
    expected = tools.Scripted().answer(read_document(batch.folder / "a.txt")).record.as_json()
    assert tools.lines(batch.out / "records.jsonl") == [expected]


def test_answers_are_a_table(batch: Any, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "ROWS", 4)
    tools.write(batch.folder, a="Law: Ohio.", b="none", gone="none")
    (batch.folder / "p.html").write_text("<p>Ohio")
    batch.run()
    (batch.folder / "gone.txt").unlink()
    batch.run()
    rows = {(row["document"], row["field"]): row for row in table(batch.out)}
    assert len(rows) == len(table(batch.out)) == 12
    found = rows["a.txt", "Law"]
    assert json.loads(found.pop("answer")) == {"law": "Ohio"}
    assert len(found.pop("sha256")) == 64
    assert found == {
        **{
            "document": "a.txt",
            "type": None,
            "kind": "txt",
            "listed": True,
            "field": "Law",
            "confidence": 0.9,
            "status": "accepted",
        },
        **{"quotes": ["Ohio"], "page": [None], "start": [5], "end": [9]},
    }
    assert rows["b.txt", "Law"]["status"] == "absent"
    assert rows["b.txt", "Law"]["answer"] is None
    assert rows["b.txt", "Price"]["status"] == "not_assessed"
    assert rows["p.html", "Law"]["kind"] == "html"
    assert {name for (name, _), row in rows.items() if not row["listed"]} == {"gone.txt"}


def test_rates_are_by_field_and_by_type(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="Ohio", b="Ohio", c="none", d="none")
    (batch.folder / "Supply Agreement.html").write_text("<p>Ohio")
    summary = batch.run(options=BatchOptions(workers=1, min_confidence=0.95))
    assert summary["fields"]["Law"] == {
        **{"present": 3, "null": 2, "review": 3, "not_assessed": 0},
        **{"present_rate": 0.6, "null_rate": 0.4, "review_rate": 1.0},
    }
    assert summary["fields"]["Term"]["review_rate"] is None
    assert summary["fields"]["Price"]["not_assessed"] == 5
    assert summary["fields"]["Price"]["null_rate"] is None
    assert list(summary["types"]) == ["unknown", "Supply"]
    assert summary["types"]["Supply"]["present_rate"] == 0.5
    assert json.loads((batch.out / "summary.json").read_text()) == {k: v for k, v in summary.items() if k != "ledger"}
    assert json.loads((batch.out / "ledger.json").read_text()) == summary["ledger"]


def test_reasons_alike_are_counted_together_and_never_without_end() -> None:
    tally = Tally()
    for number in range(1000):
        tally.fail(f"page {number} of {number:,} at 0x{number:x}")
        tally.fail("a" * (number + 1))
    counts = tally.as_json()["failures"]
    assert counts["page N of N at N"] == 1000
    assert len(counts) == REASONS + 1
    assert counts[OTHER] == 1000 - (REASONS - 1)


def test_a_ledger_adds_up() -> None:
    ledger = Ledger()
    usage = Usage(seconds=2.0, prompt_tokens=100, generated_tokens=10, windows=3)
    told = usage.model_copy(update={"cached_tokens": 30})
    for run, wall, machines in ((1, 10.0, 1), (1, 20.0, 1), (2, 50.0, 2), (2, 40.0, 2)):
        ledger.add(Spent(run, wall, machines, 0.5, usage), answered=True, accepted=5, characters=250_000)
    other = Ledger()
    for answered in (True, True, False):  # a failure tells nothing of the engine
        other.add(Spent(1, 1.0, 1, 0.5, told if answered else Usage()), answered=answered, accepted=0, characters=1)
    assert other.as_json(None)["tokens"] == {"read": 200, "cached": 60, "written": 20}
    found = ledger.as_json(36.0)
    assert found == {
        **{"contracts": 4, "accepted_fields": 20, "characters": 1_000_000, "windows": 12, "runs": 2},
        "tokens": {"read": 400, "cached": None, "written": 40},
        "seconds": {"wall": 70.0, "answering": 8.0, "reading": 2.0},
        **{"machine_hours": round(120 / 3600, 6), "machine_price": 36.0},
        "cost": pytest.approx(1.2),
        "price_per_contract": pytest.approx(0.3),
        "price_per_accepted_field": pytest.approx(0.06),
        "contracts_per_hour": pytest.approx(4 * 3600 / 70),
        "million_characters_per_hour": pytest.approx(3600 / 70),
        "contracts_per_machine_hour": pytest.approx(120),
        "million_characters_per_machine_hour": pytest.approx(30),
    }


def test_a_ledger_of_nothing_says_nothing() -> None:
    found = Ledger().as_json(None)
    assert (found["cost"], found["price_per_contract"], found["contracts_per_hour"]) == (None, None, None)
    assert Ledger().as_json(2.0)["cost"] == 0


def test_a_ledger_goes_on_over_runs(batch: Any, tools: Tools) -> None:
    tools.write(batch.folder, a="Ohio", b="none")
    first = batch.run(options=BatchOptions(limit=1))["ledger"]
    second = batch.run(options=BatchOptions(machine_price=3600.0))["ledger"]
    assert (first["runs"], second["runs"]) == (1, 2)
    assert second["tokens"] == {"read": 200, "cached": None, "written": 6}
    assert second["accepted_fields"] == 1
    assert second["seconds"]["wall"] > first["seconds"]["wall"]
    assert second["cost"] == pytest.approx(second["seconds"]["wall"], abs=0.01)


def test_a_full_disk_is_told_and_the_last_results_stay(
    batch: Any, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.write(batch.folder, a="one")
    batch.run()
    tools.write(batch.folder, b="two")

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(results, "sync", full)
        with pytest.raises(MachineError, match="the disk is full"):
            batch.run()
    assert batch.names() == ["a.txt"]
    assert not (batch.out / ".partial").exists()
    expert = tools.Scripted()
    batch.run(expert)
    assert expert.asked == []
    assert batch.names() == ["a.txt", "b.txt"]
