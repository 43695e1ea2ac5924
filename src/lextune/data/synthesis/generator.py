"""Sample contracts, written from scratch: complete, plausible, and labelled exactly.

    documents = generate(48, seed=0, schema=load_schema("clauses-47"))

Every contract draws a type, a dialect (US or UK), a house style, fictional parties, dates and a line of
business, then its clauses, near misses and neutral wording from the library in `resources/samples/`. The
quotes are marked in the wording itself, so labels are exact by construction. Contract i of a seed does not
depend on how many are asked for.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import defaultdict
from collections.abc import Sequence

from lextune.core.errors import DataError
from lextune.core.records import Document, FieldLabel, Span
from lextune.data.synthesis.brief import Brief
from lextune.data.synthesis.layout import Numbering, Page, Paragraph, Section, flattened, signature
from lextune.data.synthesis.library import ContractKind, Library, library
from lextune.data.synthesis.selection import Choice, Selection, in_order
from lextune.data.synthesis.template import Mark, Rendered, choose, render
from lextune.expert.schema import Schema, SchemaField
from lextune.text.spans import CollapsedText, overlaps, whole_words

SOURCE = "synthetic"
FLAT = 0.3  # the share of contracts in which every clause is a section of its own
SIZES = (1.1, 3.2)
_FIRST, _LAST = ("definitions", "scope"), ("term", "general")
_BASIC = ("Document Name", "Parties", "Agreement Date", "Effective Date")


def generate(n: int, seed: int, *, schema: Schema) -> list[Document]:
    """Write `n` labelled contracts.

    Args:
        n: how many; contract i is the same whatever `n` is.
        seed: another seed gives other contracts.
        schema: the fields to label. Those that the wording knows nothing of are not in the labels.

    Raises:
        DataError: `n` is under 1, or the schema has none of the fields that the wording knows.
    """
    if n < 1:
        raise DataError(f"cannot write {n} contracts", where="--n", do="ask for at least one")
    wording = library()
    known = known_fields(wording)
    fields = [name for name in schema.names if name in known]
    if not fields:
        raise DataError(
            f"the schema {schema.name} has none of the fields of the sample contracts",
            where="schema",
            do="use clauses-47, or name fields as it does",
        )
    return [_contract(index, seed, wording, schema, fields) for index in range(n)]


def known_fields(wording: Library) -> frozenset[str]:
    """Return the fields that the wording can answer."""
    return frozenset(_BASIC) | frozenset(wording.answers) | {c.field for c in wording.clauses if c.field}


def _contract(index: int, seed: int, wording: Library, schema: Schema, fields: Sequence[str]) -> Document:
    rng = random.Random(f"{seed}:{index}")
    kind = _kind_of(index, seed, wording)
    brief = Brief(rng, wording, kind)
    size = rng.uniform(*SIZES)
    choices = Selection(rng, kind, brief.style.dialect, size).draw(wording)
    page = _Writer(brief, choices, size).write()
    text = page.text.rstrip("\n") + "\n"
    own = {c.clause.field: c.variants[0].answer for c in choices if c.clause.field}
    labels = {
        field: label.model_copy(update={"answer": _answer(label, schema.field(field), brief, own.get(field))})
        for field, label in _labels(text, page.marks, fields).items()
    }
    stem = re.sub(r"[^\w .-]", "", f"S{index + 1:04d} {brief.parties[0].name} - {brief.title}").strip()
    return Document(
        id=stem,
        name=f"{stem}.txt",
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        text=text,
        contract_type=kind.name,
        source=SOURCE,
        labels=labels,
    )


def _kind_of(index: int, seed: int, wording: Library) -> ContractKind:
    """Return the type of a contract: every type once before any comes again."""
    turn, place = divmod(index, len(wording.kinds))
    order = random.Random(f"{seed}:kinds:{turn}").sample(wording.kinds, len(wording.kinds))
    return order[place]


def _labels(text: str, marks: Sequence[Mark], fields: Sequence[str]) -> dict[str, FieldLabel]:
    """Turn marks into labels: the marked place of a part first, its other occurrences after it."""
    quoted: dict[str, dict[str, Span]] = defaultdict(dict)
    for mark in sorted(marks, key=lambda mark: mark.start):
        for field in mark.fields:
            quoted[field].setdefault(text[mark.start : mark.end], Span(start=mark.start, end=mark.end))
    collapsed = CollapsedText(text)
    labels = {}
    for field in fields:
        parts = tuple(quoted[field])
        spans = tuple(
            (marked, *(s for s in whole_words(text, collapsed.locate(part)) if not overlaps(s, marked)))
            for part, marked in quoted[field].items()
        )
        labels[field] = FieldLabel(parts=parts, spans=spans)
    return labels


def _answer(label: FieldLabel, field: SchemaField, brief: Brief, own: str | None) -> str | None:
    """Return the answer of a field in CUAD's format; None where the field is absent.

    `own` is the answer template that the wording itself brings, None where it has the usual one.
    """
    if not label.present:
        return None
    if field.type == "boolean":
        return "Yes"
    template = own or brief.wording.answers.get(field.name)
    return " ".join(label.parts) if template is None else brief.answer(template)


class _Writer:
    """Writes one contract on a page."""

    def __init__(self, brief: Brief, choices: Sequence[Choice], size: float) -> None:
        self.brief, self.size = brief, size
        self.rng, self.style, self.frame = brief.rng, brief.style, brief.wording.frame
        self.choices: dict[str, list[Choice]] = defaultdict(list)
        for choice in choices:
            self.choices[choice.clause.section].append(choice)

    def write(self) -> Page:
        """Write the contract from title to schedules."""
        page, brief, rng = Page(self.style), self.brief, self.rng
        sections = self._sections()
        page.add(Rendered(brief.title, (Mark(("Document Name",), 0, len(brief.title)),)))
        page.add(self._fill(brief.expanded(rng.choice(self.frame.openings[self.style.dialect]))))
        self._recitals(page)
        numbering = Numbering.draw(rng, self.style)
        for number, section in enumerate(sections, start=1):
            numbering.write(page, number, section)
        self._signatures(page)
        self._schedules(page)
        return page

    def _fill(self, template: str, own: str | None = None) -> Rendered:
        spelt = self.style.spelt(template)
        return render(choose(spelt, self.rng), self.brief.slot, (own,) if own else ())

    def _recitals(self, page: Page) -> None:
        kind, rng = self.brief.kind, self.rng
        page.add(rng.choice(self.frame.recital_headings[self.style.dialect]))
        chosen = rng.sample(kind.recitals, rng.choice((2, 3, len(kind.recitals))))
        whereas = self.style.dialect == "us" and rng.random() < 0.4
        for letter, recital in zip("ABCDEF", chosen, strict=False):
            rendered = self._fill(recital)
            page.add(rendered, before="WHEREAS: " if whereas else f"({letter}) ")
        page.add(self._fill(rng.choice(self.frame.bridges[self.style.dialect])))

    def _sections(self) -> list[Section]:
        """Return the sections in order; definitions are written last, for the terms that the rest uses."""
        middle = [key for key in self.frame.sections if key not in (*_FIRST, *_LAST)]
        order = ["scope", *self.rng.sample(middle, len(middle)), *_LAST]
        if self.rng.random() < 0.35:
            order.remove("term")
            order.insert(1, "term")
        sections = []
        for key in order:
            paragraphs = self._opening_paragraphs(key) + self._paragraphs(key)
            if paragraphs:
                sections.append(Section(self._title(key), tuple(paragraphs)))
        used = " ".join(p.body.text for section in sections for p in section.paragraphs)
        written = [Section(self._title("definitions"), tuple(self._definitions(used))), *sections]
        return flattened(written) if self.rng.random() < FLAT else written

    def _title(self, key: str) -> str:
        return self.style.spelt(self.rng.choice(self.frame.sections[key]))

    def _opening_paragraphs(self, key: str) -> list[Paragraph]:
        """Return the paragraphs that a section begins with apart from its clauses."""
        rng, scope = self.rng, self.brief.kind.scope
        if key == "scope":
            count = min(len(scope), 3 + round(self.size * rng.choice((1, 1.5, 2))))
            places = sorted(rng.sample(range(len(scope)), count))
            return [Paragraph(None, self._fill(scope[place])) for place in places]
        if key == "term" and self.brief.dates.effect == "clause":
            return [Paragraph("Commencement", self._fill(rng.choice(self.frame.start_clauses)))]
        return []

    def _paragraphs(self, key: str) -> list[Paragraph]:
        paragraphs = []
        for choice in in_order(self.rng, self.choices[key]):
            headings = self.rng.sample(choice.clause.headings, len(choice.clause.headings))
            texts = [variant.text for variant in choice.variants]
            for heading, text in zip(headings, [" ".join(texts)] if choice.together else texts, strict=False):
                paragraphs.append(Paragraph(self.style.spelt(heading), self._fill(text, choice.clause.field)))
        return paragraphs

    def _definitions(self, used: str) -> list[Paragraph]:
        """Return the definitions of the terms that the contract uses, and of some that it does not."""
        lead, chosen = Paragraph(None, self._fill(self.rng.choice(self.frame.definition_leads))), []
        for wordings in self.frame.definitions:
            rendered = [self._fill(wording) for wording in wordings]
            terms = [r.text.split('"')[1] for r in rendered]
            needed = [r for r, term in zip(rendered, terms, strict=True) if term in used]
            if needed or self.rng.random() < 0.3 * self.size:
                chosen.append(Paragraph(None, self.rng.choice(needed or rendered)))
        return [lead, *self.rng.sample(chosen, len(chosen)), *self._paragraphs("definitions")]

    def _signatures(self, page: Page) -> None:
        page.add(self._fill(self.rng.choice(self.frame.closings)))
        names = self.brief.wording.names
        people = self.rng.sample(names.people, 2)
        for party, person in zip(self.brief.parties, people, strict=True):
            post = self.rng.choice(names.posts)
            page.add(signature(party.name, person, post, british=self.style.dialect == "uk"))

    def _schedules(self, page: Page) -> None:
        count = self.rng.choice((0, 1, 1, 2)) if self.size > 1.2 else self.rng.choice((0, 1))
        word = "SCHEDULE" if self.style.dialect == "uk" else self.rng.choice(("SCHEDULE", "EXHIBIT"))
        for number, (title, label, lead) in enumerate(self.rng.sample(self.frame.schedules, count), start=1):
            shown = str(number) if self.style.dialect == "uk" else "ABC"[number - 1]
            page.add(self._fill(title), before=f"{word} {shown}\n")
            page.add(self._fill(lead))
            rows = self.rng.sample(self.brief.sector.lines, self.rng.randint(4, 7))
            for row, line in enumerate(rows, start=1):
                reference = f"{self.rng.choice('ABCDEFGHKLMNPRSTVWX')}{self.rng.randrange(100, 9999)}"
                template = self.rng.choice(self.frame.schedule_rows)
                template = template.replace("{line}", line).replace("{ref}", reference)
                page.add(self._fill(template), before=f"{label} {row}: ", after="\n")
            page.add("", after="\n")
