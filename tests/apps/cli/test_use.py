"""`lextune extract`, `evaluate` and `serve`, with a release that needs no model."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lextune import api
from lextune.apps.cli.use import record_table
from lextune.core.errors import ContextError, UserError
from lextune.core.records import Document, DocumentInfo, FieldAnswer, Prediction, Quote, Record
from lextune.deploy.guard import LOG
from lextune.deploy.settings import ServiceSettings

SAMPLES = Path(api.__file__).parent / "resources" / "sample_contracts"
Asked = list[tuple[Path, str | None]]


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    file = tmp_path / "contract.txt"
    file.write_text("The law of Spain governs this Agreement.")
    return file


def test_a_record_is_shown_as_a_table(cli: Any, released: Asked, contract: Path) -> None:
    found = cli("extract", contract)
    assert found.code == 0
    assert "contract.txt, read by tried" in found.out
    assert "The law of Spain" in found.out
    assert "46 not found" in found.out
    assert "1 not assessed" in found.out
    assert released == [(None, None)]


def test_a_record_is_one_line_of_json(cli: Any, released: Asked, contract: Path) -> None:
    found = cli("extract", contract, contract, "--json", "--release", "mine", "--engine", "transformers")
    assert len(found.out.splitlines()) == 2
    record = found.json()
    assert record["document"]["name"] == "contract.txt"
    assert record["fields"]["Governing Law"]["quotes"][0]["text"] == "The law of Spain"
    assert record["not_assessed"] == ["Payment Terms"]
    assert released == [(Path("mine"), "transformers")]


@pytest.mark.usefixtures("released")
def test_a_confidence_limit_is_passed_on(cli: Any, contract: Path) -> None:
    for limit, status in (("0.7", "accepted"), ("0.8", "review")):
        record = cli("extract", contract, "--json", "--min-confidence", limit).json()
        assert record["fields"]["Governing Law"]["status"] == status


@pytest.mark.usefixtures("released")
def test_text_and_page_are_written(cli: Any, contract: Path, tmp_path: Path) -> None:
    page, text = tmp_path / "page.html", tmp_path / "text.txt"
    assert cli("extract", contract, "--html", page, "--text-out", text).code == 0
    assert text.read_text() == contract.read_text()
    assert "The law of Spain" in page.read_text()


@pytest.mark.usefixtures("released")
def test_a_page_for_two_documents_is_refused(cli: Any, contract: Path) -> None:
    for option in ("--html", "--text-out"):
        found = cli("extract", contract, contract, option, "x")
        assert found.code == 2
        assert found.err == (
            "error: --html and --text-out are for one document\n  -> give one file, or leave them out\n"
        )


@pytest.mark.usefixtures("released")
def test_a_page_that_cannot_be_written_is_told(cli: Any, contract: Path) -> None:
    found = cli("extract", contract, "--html", "none/page.html")
    assert found.code == 3
    assert found.err.startswith("error: none/page.html: cannot write: No such file or directory\n")


@pytest.mark.usefixtures("released")
def test_one_document_that_cannot_be_read_does_not_stop_the_others(cli: Any, contract: Path) -> None:
    found = cli("extract", "none.pdf", contract, "--json")
    assert found.code == 2
    assert len(found.out.splitlines()) == 1
    assert found.json()["document"]["name"] == "contract.txt"
    assert "error: none.pdf: no such file" in found.err
    assert "error: 1 of 2 documents could not be answered\n  -> see the errors above\n" in found.err


def test_one_document_that_cannot_be_answered_does_not_stop_the_others(
    cli: Any, released: Asked, contract: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = api.Release.predict

    def sometimes(self: api.Release, document: Document, **options: Any) -> Prediction:
        if document.name == "long.txt":
            raise ContextError("the prompt has 9,000 tokens", do="shorten it")
        return predict(self, document, **options)

    monkeypatch.setattr(api.Release, "predict", sometimes)
    long = contract.with_name("long.txt")
    long.write_text("so long")
    found = cli("extract", long, contract, "--json")
    assert (found.code, found.json()["document"]["name"]) == (2, "contract.txt")
    assert found.err.startswith(f"error: {long}: the prompt has 9,000 tokens")
    alone = cli("extract", long)
    assert (alone.code, alone.err) == (2, f"error: {long}: the prompt has 9,000 tokens\n  -> shorten it\n")


@pytest.mark.usefixtures("released")
def test_a_name_that_is_not_utf_8_is_shown(cli: Any, contract: Path) -> None:
    named = contract.rename(contract.with_name(os.fsdecode(b"Vertrag_\xfc.txt")))
    for option in ("--json", "--min-confidence=0"):
        found = cli("extract", named, option)
        assert found.code == 0
        assert "Vertrag_\ufffd.txt" in found.out


def test_a_contract_does_not_steer_the_terminal() -> None:
    quote = Quote(text="\x1b[8mlaw\x1b]52;c;eA==\x07", start=0, end=20, page=None)
    answer = FieldAnswer(answer="\x1b[2J", quotes=(quote,), confidence=0.9, status="accepted")
    info = DocumentInfo(name="\x1b]0;x\x07.txt", sha256="ab" * 32, characters=40, pages=0)
    record = Record(document=info, release="r", schema_name="s", fields={"Law": answer})
    shown = Console(width=200, record=True, file=io.StringIO())
    shown.print(record_table(record))
    assert not {"\x1b", "\x07"} & set(shown.export_text())


@pytest.mark.usefixtures("released")
def test_the_only_document_that_cannot_be_read_is_told_once(cli: Any) -> None:
    found = cli("extract", "none.pdf")
    assert (found.code, found.err, found.out) == (2, "error: none.pdf: no such file\n  -> check the path\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["extract", "a.pdf", "--release", "runs/demo"],
        ["evaluate", "--data", "d", "--release", "runs/demo"],
        ["serve", "runs/demo"],
        ["batch", "d", "--out", "o", "--release", "runs/demo"],
    ],
)
def test_where_a_release_is_not_there_it_is_told_how_to_make_one(cli: Any, words: list[str]) -> None:
    found = cli(*words)
    assert not Path("o").exists()
    assert found.code == 2
    assert found.err.strip() == (
        "error: runs/demo: no such release\n  -> give --release a release's folder; `lextune demo` makes runs/demo"
    )


@pytest.mark.parametrize("text", ["[/s/ Jane Roe]", "[***] [INST] [/]", "[bold]x[/bold]", "[link=a]"])
def test_brackets_of_a_contract_are_shown_as_they_are(text: str) -> None:
    """rich reads brackets as markup: a signature like this one would end the program."""
    quote = Quote(text=text, start=0, end=len(text), page=3)
    answer = FieldAnswer(answer=text, quotes=(quote, quote), confidence=0.5, status="accepted")
    record = Record(
        document=DocumentInfo(
            name=f"{text.replace('/', '')}.pdf", sha256="0", pages=4, characters=10, scanned_pages=(2, 4)
        ),
        release=text,
        schema_name="s",
        fields={text: answer, f"no {text}": None},
        not_assessed=(f"un {text}",),
    )
    console = Console(width=400)
    with console.capture() as shown:
        console.print(record_table(record))
    assert f"{text} … {text}" in shown.get()
    assert f"no {text}" in shown.get()
    assert f"un {text}" in shown.get()
    assert ", 4 pages, read by " in shown.get()
    assert "2 pages not read, a picture each: 2, 4" in shown.get()


def test_long_evidence_is_cut(released: Asked) -> None:
    quote = Quote(text="word " * 60, start=0, end=300, page=None)
    record = Record(
        document=DocumentInfo(name="a", sha256="0", pages=None, characters=300),
        release="r",
        schema_name="s",
        fields={"A": FieldAnswer(answer=True, quotes=(quote,), confidence=1.0, status="accepted")},
    )
    (evidence,) = [column for column in record_table(record).columns if column.header == "evidence"]
    cell = next(iter(evidence.cells))
    assert len(str(cell)) == 110
    assert str(cell).endswith("…")


@pytest.mark.usefixtures("released")
def test_an_evaluation_is_shown_beside_the_baselines(cli: Any) -> None:
    found = cli("evaluate", "--data", SAMPLES, "--limit", "2")
    assert found.code == 0, found.err
    for arm in ("tuned", "always_null", "always_present", "echo"):
        assert arm in found.out
    assert "2 documents of " in found.out
    result = cli("evaluate", "--data", SAMPLES, "--limit", "2", "--json").json()
    assert result["n_documents"] == 2
    assert result["baselines"]["linear"] is None


def test_an_evaluation_on_what_was_learnt_from_says_so(
    cli: Any, released: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.Release, "learnt_from", lambda self, documents: [documents[0].id])
    found = cli("evaluate", "--data", SAMPLES, "--limit", "2")
    assert found.code == 0, found.err
    told = "1 of 2 documents trained or tuned this release: the scores say nothing about new documents"
    assert told in " ".join(found.err.split())


@pytest.mark.usefixtures("released")
def test_an_evaluation_without_data_is_refused(cli: Any) -> None:
    found = cli("evaluate", "--data", "none")
    assert found.code == 2
    assert "error: none: no such file or folder" in found.err


def test_serve_hands_the_release_to_the_server(cli: Any, released: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    started: dict[str, Any] = {}

    def serve(load: Any, settings: Any, **options: Any) -> None:
        assert released == [], "nothing is loaded before it is known that it can be served"
        started.update(options, name=load().name, settings=settings)
        LOG.info("GET /health 200 1 ms")
        if options.get("on_ready"):
            options["on_ready"]("http://127.0.0.1:9")

    monkeypatch.setattr("lextune.deploy.service.serve", serve)
    monkeypatch.setenv("LEXTUNE_API_KEY", "a-key-of-some-length-0123456789")
    limits = ("--max-bytes", "5", "--max-queue", "0", "--timeout", "2.5")
    found = cli("serve", "mine", "--port", "9", "--host", "0.0.0.0", *limits)
    assert (found.code, found.out) == (0, "")
    assert "GET /health 200 1 ms\n" in found.err
    assert (started["name"], started["port"], started["host"]) == ("tried", 9, "0.0.0.0")
    assert started["api_key"] == "a-key-of-some-length-0123456789"
    assert started["settings"] == ServiceSettings(max_bytes=5, max_queue=0, timeout_seconds=2.5)
    assert released == [(Path("mine"), None)]


@pytest.mark.usefixtures("released")
def test_serve_tells_why_it_did_not_start(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(*_: Any, **__: Any) -> None:
        raise UserError("no key", do="set LEXTUNE_API_KEY")

    monkeypatch.setattr("lextune.deploy.service.serve", serve)
    monkeypatch.delenv("LEXTUNE_API_KEY", raising=False)
    found = cli("serve")
    assert (found.code, found.err) == (2, "error: no key\n  -> set LEXTUNE_API_KEY\n")
