"""The one path that answers: records as promised, quotes verbatim, memory bounded."""

from __future__ import annotations

import json
import math
import resource
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.errors import DocumentError, RequestError
from lextune.core.records import Document, Message, Span
from lextune.expert.answering import CHUNK, Expert, Identity
from lextune.expert.engines.base import GenerateOptions, LocalChat, TagInput
from lextune.expert.engines.scripted import ScriptedGenerator, ScriptedTagger
from lextune.expert.placing import FLOOR
from lextune.expert.readers import Passage, PointReader, Reading, TagReader, TextReader
from lextune.expert.schema import Schema, SchemaField, load_schema
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds
from lextune.expert.windowing import WindowConfig

Confidences = Callable[[str], dict[str, float]]
CONTRACT = (
    "SUPPLY AGREEMENT\n\n"
    'This Supply Agreement is made as of June 21, 1999 between Acme Widgets, Inc. ("Acme") and Beta Bank.\n\n'
    "1. Term. It renews for successive terms of one year.\n\n"
    "2. Law. The laws of the State of Ohio govern this\nAgreement. Neither party may assign it. Assignment is void.\n"
)
SURE = {
    "SUPPLY AGREEMENT": {"Document Name": 0.97},
    "This Supply": {"Document Name": 0.4, "Parties": 0.95, "Agreement Date": 0.9},
    "It renews": {"Renewal Term": 0.8},
    "The laws": {"Governing Law": 0.93},
    "Neither party": {"Anti-Assignment": 0.7},
    "Assignment is": {"Anti-Assignment": 0.6},
}


def scripted(text: str) -> dict[str, float]:
    return next((sure for start, sure in SURE.items() if text.startswith(start)), {})


class Script:
    """A reader that gives each sentence the confidences that a function says, and counts what it is given."""

    def __init__(self, schema: Schema, confidences: Confidences) -> None:
        self._names, self._confidences = schema.names, confidences
        self.calls: list[int] = []

    def read(self, passages: Sequence[Passage]) -> list[Reading]:
        self.calls.append(len(passages))
        return [Reading(self._matrix(p.texts), prompt_tokens=1) for p in passages]

    def _matrix(self, texts: Sequence[str]) -> Any:
        out = np.zeros((len(texts), len(self._names)), dtype=np.float32)
        for row, text in enumerate(texts):
            for name, sure in self._confidences(text).items():
                out[row, self._names.index(name)] = sure
        return out


@pytest.fixture
def expert(tiny_base: Path, clauses: Schema) -> Callable[..., Expert]:
    def make(reader: Any = None, **options: Any) -> Expert:
        options = {"thresholds": Thresholds(), "window": WindowConfig(), **options}
        identity = Identity("r1", "f" * 64, "tag")
        return Expert(identity, clauses, reader or Script(clauses, scripted), codec=Codec(tiny_base), **options)

    return make


def test_the_record_is_the_public_one(
    expert: Callable[..., Expert], clauses: Schema, document_of: Callable[[str], Document]
) -> None:
    document = document_of(CONTRACT)
    trained = tuple(n for n in clauses.names if n != "Audit Rights")
    record = expert(thresholds=Thresholds(trained_fields=trained)).answer(document).record.as_json()
    assert list(record) == ["document", "release", "schema", "fields", "not_assessed"]
    assert record["document"] == {
        "name": "d.txt",
        "sha256": document.sha256,
        "pages": None,
        "characters": len(CONTRACT),
        "scanned_pages": [],
    }
    assert (record["release"], record["schema"]) == ("r1", "small")
    assert list(record["fields"]) == list(trained), "in the schema's order"
    assert record["not_assessed"] == ["Audit Rights"]
    law = record["fields"]["Governing Law"]
    start = CONTRACT.index("The laws")
    assert law == {
        "answer": "Ohio",
        "quotes": [
            {
                "text": "The laws of the State of Ohio govern this\nAgreement.",
                "start": start,
                "end": start + 52,
                "page": None,
            }
        ],
        "confidence": 0.93,
        "status": "accepted",
    }
    answers = {name: given and given["answer"] for name, given in record["fields"].items()}
    assert answers == {
        "Document Name": "SUPPLY AGREEMENT",
        "Parties": [{"name": "Acme Widgets, Inc.", "role": None}, {"name": "Beta Bank.", "role": None}],
        "Agreement Date": "1999-06-21",
        "Renewal Term": {"value": 1, "unit": "year", "successive": True},
        "Governing Law": "Ohio",
        "Anti-Assignment": True,
    }
    quotes = [q["text"] for q in record["fields"]["Anti-Assignment"]["quotes"]]
    assert quotes == ["Neither party may assign it. Assignment is void."], "neighbours are one quote"
    assert json.loads(json.dumps(record)) == record


def test_a_field_that_is_not_there_is_null(
    expert: Callable[..., Expert], document_of: Callable[[str], Document]
) -> None:
    record = expert().answer(document_of(CONTRACT)).record
    assert record.fields["Audit Rights"] is None
    assert record.not_assessed == ()


@pytest.mark.parametrize(
    ("start", "end"), [("Agreement Date", "2004-06-21"), ("Delivery Date", None)], ids=["a start", "no start"]
)
def test_an_end_is_counted_from_the_start_that_another_field_states(
    tiny_base: Path, document_of: Callable[[str], Document], start: str, end: str | None
) -> None:
    fields = (SchemaField(name=name, type="date", question="?") for name in ("Expiration Date", start))
    schema = Schema(name="dates", fields=tuple(fields))
    sure = {"The term": {"Expiration Date": 0.9}, "Made on": {start: 0.8}}
    reader = Script(schema, lambda text: next((s for begin, s in sure.items() if text.startswith(begin)), {}))
    parts: dict[str, Any] = {"codec": Codec(tiny_base), "thresholds": Thresholds(), "window": WindowConfig()}
    one = Expert(Identity("r1", "f" * 64, "tag"), schema, reader, **parts)
    text = "Made on June 21, 1999.\n\nThe term shall continue for five (5) years from the Effective Date."
    answer = one.answer(document_of(text)).record.fields["Expiration Date"]
    assert answer is not None
    assert (answer.answer, answer.quotes[0].text) == (end, text[24:])


@pytest.mark.parametrize("text", ["", " \n\f "])
def test_an_empty_document_has_no_answers(
    expert: Callable[..., Expert], clauses: Schema, document_of: Callable[[str], Document], text: str
) -> None:
    reader = Script(clauses, scripted)
    prediction = expert(reader).answer(document_of(text))
    assert prediction.record.fields == dict.fromkeys(clauses.names)
    assert (prediction.candidates, prediction.usage.windows, reader.calls) == ((), 0, [])


def test_pages_and_code_points(expert: Callable[..., Expert], document_of: Callable[[str], Document]) -> None:
    text = "𝒜🙂 first page.\fThe laws of Ohio govern. 🙂"
    split = text.index("\f") + 1
    pages = (Span(start=0, end=split), Span(start=split, end=len(text)))
    document = document_of(text).model_copy(update={"pages": pages})
    record = expert().answer(document).record
    law = record.fields["Governing Law"]
    assert law is not None
    assert law.quotes[0].page == 2
    assert law.quotes[0].start == split
    assert record.document.pages == 2


def test_thresholds_decide_presence_and_status(
    expert: Callable[..., Expert], document_of: Callable[[str], Document]
) -> None:
    limits = Thresholds(pooled=0.75, by_field={"Governing Law": 0.99, "Anti-Assignment": 0.1}, review_below=0.85)
    fields = expert(thresholds=limits).answer(document_of(CONTRACT)).record.fields
    assert fields["Governing Law"] is None
    anti, term, parties = fields["Anti-Assignment"], fields["Renewal Term"], fields["Parties"]
    assert anti is not None
    assert term is not None
    assert parties is not None
    assert (anti.status, term.status, parties.status) == ("review", "review", "accepted")


def test_a_field_is_as_sure_as_it_is_present(
    expert: Callable[..., Expert], document_of: Callable[[str], Document]
) -> None:
    """Candidates keep the confidence of their sentences."""
    plain = expert().answer(document_of(CONTRACT))
    sure = expert(thresholds=Thresholds(presence=((1.0, 1.0),) * 47)).answer(document_of(CONTRACT))
    before, after = (p.record.fields["Governing Law"] for p in (plain, sure))
    assert before is not None
    assert after is not None
    assert after.confidence == pytest.approx(1 / (1 + (1 / before.confidence - 1) / math.e), abs=1e-4)
    assert sure.candidates == plain.candidates
    never = expert(thresholds=Thresholds(presence=((1.0, -20.0),) * 47)).answer(document_of(CONTRACT))
    assert not any(never.record.fields.values())


def test_min_confidence_only_decides_who_looks(
    expert: Callable[..., Expert], document_of: Callable[[str], Document]
) -> None:
    document, one = document_of(CONTRACT), expert()
    plain = one.answer(document)
    for least in (0.0, 0.5, 0.85, 0.94, 1.0):
        strict = one.answer(document, min_confidence=least)
        for name, given_ in plain.record.fields.items():
            status = "accepted" if given_ and given_.confidence >= least else "review"
            assert strict.record.fields[name] == (given_ and given_.model_copy(update={"status": status}))
        assert strict.candidates == plain.candidates, "candidates come before any limit"


TEXTS = st.lists(
    st.sampled_from(["The laws", "Neither party", "Acme, Inc.", "June 1, 1999", "AGREEMENT", "\n\n", ". ", "; (", "🙂"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    max_size=40,
).map(" ".join)


@given(text=TEXTS, seed=st.integers(0, 2**16), share=st.floats(0, 1), pooled=st.floats(0, 1))
@settings(max_examples=60)
def test_every_quote_is_the_documents_own_text(
    tiny_base: Path, clauses: Schema, document_of: Callable[[str], Document], text: str, seed: int, share: float,
    pooled: float,
) -> None:  # fmt: skip
    random = np.random.default_rng(seed)

    class Random:
        def read(self, passages: Sequence[Passage]) -> list[Reading]:
            shape = [(len(p.texts), len(clauses.names)) for p in passages]
            return [Reading(random.random(s, dtype=np.float32)) for s in shape]

    expert = Expert(
        Identity("r", "h", "tag"),
        clauses,
        Random(),
        codec=Codec(tiny_base),
        thresholds=Thresholds(pooled=pooled, quote_share=share),
        window=WindowConfig(max_tokens=64, max_sentences=5),
    )
    prediction = expert.answer(document_of(text))
    assert list(prediction.record.fields) == list(clauses.names)
    for given_ in prediction.record.fields.values():
        if given_ is None:
            continue
        assert given_.quotes, "a claim carries a span"
        assert 0 < given_.confidence <= 1
        places = [(q.start, q.end) for q in given_.quotes]
        assert places == sorted(set(places))
        for quote in given_.quotes:
            assert text[quote.start : quote.end] == quote.text
            assert quote.text.strip() == quote.text != ""
    for candidate in prediction.candidates:
        assert 0 <= candidate.start < candidate.end <= len(text)
        assert candidate.confidence >= FLOOR * 0.999


def test_neighbours_join_over_the_edge_of_a_window(
    expert: Callable[..., Expert], document_of: Callable[[str], Document]
) -> None:
    one = expert(window=WindowConfig(max_sentences=1)).answer(document_of(CONTRACT))
    anti = one.record.fields["Anti-Assignment"]
    assert anti is not None
    assert [q.text for q in anti.quotes] == ["Neither party may assign it. Assignment is void."]


def test_two_million_characters_in_bounded_memory(
    expert: Callable[..., Expert], clauses: Schema, document_of: Callable[[str], Document]
) -> None:
    filler = "The Supplier shall deliver the goods to the warehouse in time and at its own cost, as agreed. "
    text = filler * (2_000_000 // len(filler)) + "\n\nThe laws of the State of Ohio govern."
    reader = Script(clauses, scripted)
    one, document = expert(reader, window=WindowConfig(max_tokens=2048)), document_of(text)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prediction = one.answer(document)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    law = prediction.record.fields["Governing Law"]
    assert law is not None
    assert law.quotes[0].end == len(text)
    assert max(reader.calls) <= CHUNK < prediction.usage.windows == sum(reader.calls)
    assert grown < 600, "MiB: the tokens of the whole text once, never its windows' hidden states"


def test_a_tagger_answers_through_the_same_path(
    tiny_base: Path, clauses: Schema, expert: Callable[..., Expert], document_of: Callable[[str], Document]
) -> None:
    codec = Codec(tiny_base)

    def logits(item: TagInput) -> Any:
        texts = [codec.decode(item.ids[a:b]).strip() for a, b in item.bounds]
        sure = Script(clauses, scripted)._matrix(texts)
        return np.log(np.clip(sure, 1e-6, None) / (1 - np.clip(sure, 1e-6, 0.999))).astype(np.float32)

    by_tag = expert(TagReader(codec, ScriptedTagger(logits), Thresholds())).answer(document_of(CONTRACT))
    assert by_tag.record == expert().answer(document_of(CONTRACT)).record
    assert by_tag.usage.prompt_tokens > 0
    assert (by_tag.usage.outputs, by_tag.usage.valid) == (0, 0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_is_no_null(
    tiny_base: Path, expert: Callable[..., Expert], document_of: Callable[[str], Document], wrong: float
) -> None:
    """A window whose products overflow would read as one without any clause."""
    tagger = ScriptedTagger(lambda item: np.full((len(item.bounds), 47), wrong, np.float32))
    with pytest.raises(DocumentError, match=r"the model gave no number for a sentence\n.*openvino-f32"):
        expert(TagReader(Codec(tiny_base), tagger, Thresholds())).answer(document_of(CONTRACT))


def test_a_generator_answers_through_the_same_path(
    tiny_base: Path, clauses: Schema, expert: Callable[..., Expert], document_of: Callable[[str], Document]
) -> None:
    codec = Codec(tiny_base)
    number = 0

    def script(prompt: Sequence[int], grammar: str | None) -> str:
        nonlocal number
        number += 1
        return "broken" if number == 1 else '{"Governing Law":[1]}'

    generator = ScriptedGenerator(script)
    reader = PointReader(LocalChat(generator, codec), clauses)
    one = expert(reader, window=WindowConfig(max_sentences=5), chatter=LocalChat(generator, codec))
    prediction = one.answer(document_of(CONTRACT))
    law = prediction.record.fields["Governing Law"]
    assert law is not None
    assert law.confidence == 0.9
    assert prediction.usage.windows == prediction.usage.outputs == prediction.usage.valid + 1
    assert one.chat([Message(role="user", content="Hi")], GenerateOptions()).text == '{"Governing Law":[1]}'


def test_words_that_a_model_wrote_are_quoted_as_they_stand(
    tiny_base: Path, expert: Callable[..., Expert], document_of: Callable[[str], Document]
) -> None:
    codec = Codec(tiny_base)
    schema = load_schema("clauses-47")
    said = {
        "Parties": "Acme Widgets, Inc.\nAcme\nBeta Bank\nGamma Trust",
        "Agreement Date": "June 21, 1999",
        "Governing Law": "The laws of the State of Ohio govern this Agreement.",
        "Anti-Assignment": "Neither party may assign it. Assignment is void.",
        "Renewal Term": "successive terms of one year",
        "Effective Date": "June 21, 2001",
        "Audit Rights": "The books may be inspected once a year.",
        "Document Name": 'This Supply Agreement is made as of June 21, 1999 between Acme Widgets, Inc. ("Acme") and '
        "Beta Bank.",
    }

    def script(prompt: Sequence[int], grammar: str | None) -> str:
        asked = codec.decode(prompt).rsplit("\n\n", 1)[1]
        return next((answer for name, answer in said.items() if asked.startswith(f"{name}:")), "null")

    generator = ScriptedGenerator(script)
    document = document_of(CONTRACT)
    reader = TextReader(LocalChat(generator, codec), schema)
    one = Expert(
        Identity("r1", "f" * 64, "text"), schema, reader,
        codec=codec, thresholds=Thresholds(pooled=0.01), window=WindowConfig(), chatter=LocalChat(generator, codec),
    )  # fmt: skip
    prediction = one.answer(document)
    found = {name: answer for name, answer in prediction.record.fields.items() if answer is not None}
    assert {name: [q.text for q in answer.quotes] for name, answer in found.items()} == {
        "Parties": ["Acme Widgets, Inc.", "Acme", "Beta Bank"],
        "Agreement Date": ["June 21, 1999"],
        "Governing Law": ["The laws of the State of Ohio govern this\nAgreement."],
        "Anti-Assignment": ["Neither party may assign it. Assignment is void."],
        "Renewal Term": ["successive terms of one year"],
        "Document Name": ["Supply Agreement"],
    }
    assert all(CONTRACT[q.start : q.end] == q.text for answer in found.values() for q in answer.quotes)
    assert found["Agreement Date"].answer == "1999-06-21"
    assert {answer.confidence for answer in found.values()} == {0.9}
    usage = prediction.usage
    assert (usage.outputs, usage.valid, usage.ungrounded) == (47 * usage.windows, 47 * usage.windows, 3)
    assert one.chat([Message(role="user", content="x\n\nHi")], GenerateOptions()).text == "null"


def test_a_tag_release_refuses_to_chat(expert: Callable[..., Expert]) -> None:
    one = expert()
    assert (one.name, one.release_hash, one.strategy) == ("r1", "f" * 64, "tag")
    message = r"the release r1 reads documents with a tagging head and cannot chat\n.*strategy: point or text"
    with pytest.raises(RequestError, match=message):
        one.chat([Message(role="user", content="Hi")], GenerateOptions())
