"""CUAD in the layout of SQuAD 2.0: `CUAD_v1.json`, one question a category, quotes with their offsets."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lextune.core.errors import DataError, shorten
from lextune.core.mistakes import Mistake, refuse
from lextune.core.records import Document, Drop, FieldLabel
from lextune.data.importers.jsonl import read_json
from lextune.data.importers.labels import fields_by_key, make_label, null_quotes
from lextune.data.importers.names import name_key
from lextune.data.importers.report import Imported, Normalised
from lextune.data.importers.turns import nearest
from lextune.expert.schema import Schema
from lextune.text.contract_types import contract_type_of
from lextune.text.reading.base import well_formed
from lextune.text.spans import CollapsedText
from lextune.text.values import is_null

WellFormed = Annotated[str, AfterValidator(well_formed)]
HALF = "its text holds half a character (a lone surrogate)"
_NUMBER = re.compile(r"_\d+$")  # some files number the questions: TITLE__Category_0


class Answer(BaseModel):
    """One quote and the code point at which it starts."""

    text: WellFormed
    answer_start: int


class Question(BaseModel):
    """One category of one contract; `id` is TITLE__Category."""

    id: WellFormed
    answers: tuple[Answer, ...] = ()
    is_impossible: bool = False


class Paragraph(BaseModel):
    """The whole text of a contract and its questions."""

    context: str
    qas: tuple[Question, ...]


class Contract(BaseModel):
    """One contract; CUAD gives each as a single paragraph."""

    title: WellFormed
    paragraphs: tuple[Paragraph, ...]


class Squad(BaseModel):
    """The file."""

    data: tuple[Contract, ...]


def read_squad(path: Path) -> Squad:
    """Read and check a file in SQuAD's layout.

    Raises:
        DataError: see `lextune.data.importers.jsonl.read_json`; or of another layout: names the places in it.
    """
    value = read_json(path)
    try:
        squad = Squad.model_validate(value)
    except ValidationError as error:
        mistakes = [Mistake(_place(path, item["loc"]), _said(item)) for item in error.errors()]
        do = "give the file in SQuAD's layout: data[].title, paragraphs[].context, qas[].id, answers[].text"
        raise refuse(mistakes, str(path), do) from None
    if not squad.data:
        raise DataError("no contracts in the file", where=str(path), do="give the complete file")
    return squad


def _place(path: Path, location: tuple[int | str, ...]) -> str:
    return ", ".join([path.name, *([".".join(map(str, location))] if location else [])])


def _said(item: ErrorDetails) -> str:
    """Return what is wrong at a place of the layout; for a key that is missing, the one that is most like it."""
    if item["type"] != "missing" or not isinstance(item["input"], dict):
        return item["msg"]
    key = str(item["loc"][-1])
    near = difflib.get_close_matches(key, list(item["input"]), n=1)
    return f"{key!r} is missing" + (f"; is {near[0]!r} meant to be it?" if near else "")


def import_squad(path: Path, schema: Schema) -> Imported:
    """Read the JSON layout of CUAD; see `lextune.data.importers.cuad.import_cuad`."""
    squad = read_squad(path)
    titles = Counter(contract.title for contract in squad.data)
    known = fields_by_key(schema)
    documents: list[Document] = []
    drops: list[Drop] = []
    nulls: list[Normalised] = []
    unknown: Counter[str] = Counter()
    for contract in squad.data:
        reason = _refused(contract, titles)
        if reason:
            drops.append(Drop(what="contract", where=contract.title, reason=reason))
            continue
        document, lost, changed = _document(contract, known, unknown)
        documents.append(document)
        drops.extend(lost)
        nulls.extend(changed)
    drops.extend(
        Drop(
            what="category",
            where=f"{path.name}, {category}",
            reason=f"the schema {schema.name} has no field of this name{nearest(category, schema.names)}",
        )
        for category in unknown
    )
    if not any(document.labels for document in documents):
        raise DataError(
            f"no category is a field of the schema {schema.name}",
            where=str(path),
            do=f"write question ids as TITLE__Category, with categories such as {schema.names[0]!r}",
        )
    return Imported(tuple(documents), drops, nulls)


def _refused(contract: Contract, titles: Counter[str]) -> str | None:
    if titles[contract.title] > 1:
        return f"{titles[contract.title]} contracts have this title"
    if len(contract.paragraphs) != 1:
        return f"{len(contract.paragraphs)} paragraphs, one is needed: the whole contract"
    if not contract.paragraphs[0].context.strip():
        return "its text is empty"
    if contract.paragraphs[0].context != well_formed(contract.paragraphs[0].context):
        return HALF
    return None


def _says(answer: Answer, context: str) -> bool:
    """Say whether an answer is a quote: words that stand where it says, or that are no word for null."""
    stands = context.startswith(answer.text, max(answer.answer_start, 0))
    return bool(answer.text.strip()) and (stands or not is_null(answer.text, quoted=True))


def _document(
    contract: Contract, known: dict[str, str], unknown: Counter[str]
) -> tuple[Document, list[Drop], list[Normalised]]:
    (paragraph,) = contract.paragraphs
    text = CollapsedText(paragraph.context)
    asked: dict[str, list[Answer]] = defaultdict(list)
    drops, nulls = [], list[Normalised]()
    for question in paragraph.qas:
        category = question.id.rpartition("__")[2]
        field = known.get(name_key(category)) or known.get(name_key(_NUMBER.sub("", category)))
        if field is None:
            unknown[category] += 1
        elif question.is_impossible and question.answers:
            reason = f"is_impossible, and an answer: {shorten(question.answers[0].text, 40)!r}"
            drops.append(Drop(what="question", where=question.id, reason=reason))
        else:
            unsaid = [answer.text for answer in question.answers if not _says(answer, paragraph.context)]
            nulls.extend(null_quotes(unsaid, field, question.id))
            asked[field].extend(answer for answer in question.answers if _says(answer, paragraph.context))
    labels: dict[str, FieldLabel] = {}
    for field, answers in asked.items():
        label, lost = make_label(
            text,
            [answer.text for answer in answers],
            None,
            f"{contract.title}, {field}",
            [answer.answer_start for answer in answers],
        )
        drops.extend(lost)
        if label is not None:
            labels[field] = label
    document = Document(
        id=contract.title,
        name=contract.title,
        sha256=hashlib.sha256(paragraph.context.encode()).hexdigest(),
        text=paragraph.context,
        contract_type=contract_type_of(contract.title),
        source="cuad",
        labels=labels,
    )
    return document, drops, nulls
