"""A scripted expert behind a release that needs no model, and folders of small documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lextune.core.records import Document, DocumentInfo, FieldAnswer, Prediction, Quote, Record, Usage
from lextune.deploy.batch.options import BatchOptions, Source
from lextune.deploy.batch.running import ignore, run_batch

LAW = "Ohio"
OPTIONS = BatchOptions(workers=2)


class Scripted:
    """Finds `Ohio` with confidence 0.9; its hook sees every document first."""

    def __init__(self, hook: Callable[[Document], None] = lambda document: None) -> None:
        self.hook, self.asked = hook, list[str]()

    def answer(self, document: Document, *, min_confidence: float | None = None) -> Prediction:
        self.asked.append(document.name)
        self.hook(document)
        place = document.text.find(LAW)
        law = None
        if place >= 0:
            quote = Quote(text=LAW, start=place, end=place + len(LAW), page=document.page_of(place))
            status = "accepted" if (min_confidence or 0) <= 0.9 else "review"
            law = FieldAnswer(answer={"law": LAW}, quotes=(quote,), confidence=0.9, status=status)
        info = DocumentInfo.of(document)
        return Prediction(
            document_id=document.id,
            record=Record(
                document=info,
                release="tried",
                schema_name="small",
                fields={"Law": law, "Term": None},
                not_assessed=("Price",),
            ),
            usage=Usage(seconds=0.5, prompt_tokens=100, generated_tokens=3, windows=2),
        )


def source(expert: Scripted | None = None, **other: Any) -> Source:
    """Return a release that this expert is."""
    made = expert or Scripted()
    return Source("tried", "ab" * 32, "scripted", lambda: made)._replace(**other)


def write(folder: Path, **texts: str) -> None:
    """Write text files, by their stems."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


class Batch:
    """A folder of documents, its batch, and a call that runs it."""

    def __init__(self, root: Path) -> None:
        self.folder, self.out = root / "in", root / "out"
        self.standings: list[Any] = []

    def run(self, expert: Scripted | None = None, options: BatchOptions = OPTIONS, **other: Any) -> dict[str, Any]:
        """Run it and return the summary."""
        return run_batch(source(expert, **other), self.folder, self.out, options, self.standings.append)

    def records(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the records by name and content; each is there once."""
        rows = lines(self.out / "records.jsonl")
        found = {(row["document"]["name"], row["document"]["sha256"]): row for row in rows}
        assert len(found) == len(rows)
        return found

    def names(self) -> list[str]:
        """Return the names of the documents with records."""
        return sorted(name for name, _ in self.records())


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    """An empty folder's batch."""
    return Batch(tmp_path)


@pytest.fixture(scope="session")
def tools() -> SimpleNamespace:
    """What tests of several files share."""
    return SimpleNamespace(
        Batch=Batch, Scripted=Scripted, source=source, write=write, lines=lines, LAW=LAW, ignore=ignore
    )
