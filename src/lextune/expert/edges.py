"""Edges inside a sentence, as annotators draw them: a small tagger of tokens, one chain a field.

It is for fields whose quotes are less than a sentence: a document's name, the parties with their defined terms, dates.
Each token is told by itself and its neighbours: the word, its shape, whether it stands in quotation marks or brackets,
and what the rules of `lextune.expert.grounding` and `lextune.text.dates` find there. Where nothing was learnt, and
where the tagger finds nothing, those rules answer. It is fitted in seconds beside the `linear` baseline.
"""

from __future__ import annotations

import json
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lextune.core.artifacts import write_atomic
from lextune.core.records import Document, Span
from lextune.expert.chain import FIRST, MORE, OUT, STATES, Fitted, best_path, fit_chain
from lextune.expert.grounding import ALIAS, COMPANY, TITLE, by_rules
from lextune.expert.schema import Schema, SchemaField
from lextune.expert.windowing import label
from lextune.text.dates import find_dates
from lextune.text.segments import Window, sentences
from lextune.text.spans import CollapsedText

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PART_OF_SENTENCE = ("text", "date", "parties")
"""The types of the fields whose quotes can be less than a sentence."""
EDGE_WEIGHTS, EDGE_NAMES = "edges.safetensors", "edges.json"
AROUND = 4  # tokens on either side that tell what a token is
SLOTS = 2 * AROUND + 2  # one a place around the token, and one for the words of the whole sentence
MIN_SENTENCES = 4  # a feature of fewer is not learnt
MIN_LEARNT = 20  # sentences of a field, below which its edges are left to the rules
PENALTY = 1.0
LEAN = {"text": 1.0, "date": 1.0, "parties": 0.3}
"""Added to the score of every state inside a part, by the field's type: the higher, the less often a gold part is
missed, and the more is quoted beside it."""

_TOKEN = re.compile(r"\w+|[^\w\s]")
_LEADS = frozenset(  # words that say what follows them
    ("agree", "agrees", "among", "as", "between", "collectively", "corporation", "dated", "each", "having", "whereas")
)
_PAIRS = {'"': '"', "“": "”", "(": ")", "[": "]"}
_SPACE = " ,;:"


class Token(NamedTuple):
    """A word or a mark: text[start:end]."""

    text: str
    start: int
    end: int


class EdgeTagger:
    """Finds the quoted parts of a sentence.

    Args:
        features: the names of the features.
        fields: the names of the fields that were learnt.
        weight: [fields, slots, features, states]. transition: [fields, states + start, states].
        lean: by field; see `LEAN`.
    """

    def __init__(
        self,
        features: Sequence[str],
        fields: Sequence[str],
        weight: NDArray[np.float32],
        transition: NDArray[np.float32],
        *,
        lean: Sequence[float],
    ) -> None:
        self.features = {name: column for column, name in enumerate(features)}
        self.fields = {name: row for row, name in enumerate(fields)}
        self.weight, self.transition, self.lean = weight, transition, list(lean)

    def find(self, field: str, text: str) -> list[tuple[int, int]]:
        """Return the quoted parts of a sentence, in order, as offsets; none where nothing was learnt or is found.

        Args:
            field: the field's name.
            text: the sentence, white space collapsed.
        """
        row = self.fields.get(field)
        if row is None:
            return []
        found = tokens_of(text)
        scores = self._scores(row, features_of(text, found))
        scores[:, [FIRST, MORE]] += self.lean[row]
        return trimmed(text, _parts(found, best_path(scores, self.transition[row])))

    def _scores(self, row: int, named: Sequence[Sequence[str]]) -> Any:
        import numpy as np

        weight, out = self.weight[row], np.zeros((len(named), STATES))
        rows = [[c for name in names if (c := self.features.get(name)) is not None] for names in named]
        for place, columns in enumerate(rows):
            each = weight[: SLOTS - 1, columns].sum(axis=1)  # [slots, states]
            first = max(0, AROUND - place)
            for slot in range(first, min(SLOTS - 1, len(rows) + AROUND - place)):
                out[place + slot - AROUND] += each[SLOTS - 2 - slot]
        words = sorted({c for name in _words(named) if (c := self.features.get(name)) is not None})
        return out + weight[SLOTS - 1, words].sum(axis=0)

    def save(self, folder: Path) -> None:
        """Write fp16 safetensors and the names as JSON."""
        import numpy as np
        from safetensors.numpy import save_file

        tensors = {"weight": self.weight, "transition": self.transition}
        save_file({k: np.ascontiguousarray(v, dtype=np.float16) for k, v in tensors.items()}, folder / EDGE_WEIGHTS)
        names = {"fields": list(self.fields), "lean": self.lean, "features": list(self.features)}
        write_atomic(folder / EDGE_NAMES, json.dumps(names, ensure_ascii=False))

    @classmethod
    def load(cls, folder: Path) -> EdgeTagger | None:
        """Read what `save` wrote; None where a folder has no such tagger."""
        import numpy as np
        from safetensors.numpy import load_file

        if not (folder / EDGE_WEIGHTS).is_file():
            return None
        tensors = {k: v.astype(np.float32) for k, v in load_file(folder / EDGE_WEIGHTS).items()}
        names = json.loads((folder / EDGE_NAMES).read_text(encoding="utf-8"))
        return cls(names["features"], names["fields"], tensors["weight"], tensors["transition"], lean=names["lean"])


def edges(field: SchemaField, text: str, group: Sequence[Span], tagger: EdgeTagger | None = None) -> list[Span]:
    """Return the parts of neighbouring sentences that answer a field, in order.

    Where neither the tagger nor the rules find anything in a sentence it is quoted whole; not so where the field was
    learnt and something is found in another sentence of the group.

    Args:
        field: its type decides which rules look for what, its name which chain does.
        text: the document's text.
        group: spans of the sentences in `text`.
        tagger: None for the rules alone.
    """
    out: list[Span] = []
    learnt = tagger is not None and field.name in tagger.fields
    for sentence in group:
        known = CollapsedText(text[sentence.start : sentence.end])
        parts = tagger.find(field.name, known.collapsed) if tagger is not None else []
        parts = parts or by_rules(field, known.collapsed)
        if not parts and not learnt:
            parts = [(0, len(known.collapsed))]
        inside = (known.span(*part) for part in parts)
        out += [Span(start=sentence.start + s.start, end=sentence.start + s.end) for s in inside]
    return out or list(group)


def fit_edges(documents: Iterable[Document], schema: Schema) -> EdgeTagger | None:
    """Learn the edges of every field whose quotes can be less than a sentence.

    Args:
        documents: annotated training documents.
        schema: the fields; one with fewer than `MIN_LEARNT` annotated sentences is not learnt.

    Returns:
        The tagger; None where no field is learnt.
    """
    import numpy as np

    given: dict[str, list[tuple[str, list[tuple[int, int]]]]] = {}
    for field, text, parts in _annotated(documents, schema):
        given.setdefault(field, []).append((text, parts))
    learnt = [name for name in schema.names if len(given.get(name, ())) >= MIN_LEARNT]
    if not learnt:
        return None
    named = {name: [features_of(text, tokens_of(text)) for text, _ in given[name]] for name in learnt}
    seen = Counter(f for rows in named.values() for row in rows for f in {f for token in row for f in token})
    features = sorted(name for name, n in seen.items() if n >= MIN_SENTENCES)
    columns = {name: column for column, name in enumerate(features)}
    fitted: list[Fitted] = []
    for name in learnt:
        paths = [_path(tokens_of(text), parts) for text, parts in given[name]]
        fitted.append(fit_chain(_matrix(named[name], columns), paths, penalty=PENALTY))
    shape = (len(learnt), SLOTS, len(features), STATES)
    weight = np.array([chain.weight for chain in fitted], dtype=np.float32).reshape(shape)
    transition = np.array([chain.transition for chain in fitted], dtype=np.float32).reshape(len(learnt), STATES + 1, -1)
    lean = [LEAN[schema.field(name).type] for name in learnt]
    return EdgeTagger(features, learnt, weight, transition, lean=lean)


def _annotated(documents: Iterable[Document], schema: Schema) -> Iterator[tuple[str, str, list[tuple[int, int]]]]:
    """Yield (field, sentence, quoted parts) of every sentence that answers a field, the first time it is seen."""
    seen = set()
    for document in documents:
        spans = tuple(sentences(document.text))
        whole = Window(document_id=document.id, index=0, heading="", sentences=spans, tokens=0)
        for example in label(document, [whole] if spans else [], schema, parts=True):
            for text, parts in zip(example.texts, example.parts, strict=True):
                for number in sorted({part.field for part in parts}):
                    field, key = schema.fields[number], (number, text)
                    if field.type in PART_OF_SENTENCE and key not in seen:
                        seen.add(key)
                        yield field.name, text, [(p.start, p.end) for p in parts if p.field == number]


def tokens_of(text: str) -> list[Token]:
    """Cut a text into words and single marks."""
    return [Token(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text)]


def features_of(text: str, tokens: Sequence[Token]) -> list[list[str]]:
    """Return the names of the features of each token."""
    words = [_shape(t.text) if t.text.isdigit() else t.text.lower() for t in tokens]
    out = [[f"w {word}", f"s {_shape(token.text)}"] for word, token in zip(words, tokens, strict=True)]
    for row, (word, following) in zip(out, pairwise(words), strict=False):
        row.append(f"b {word} {following}")
    _mark(out, tokens, "company", [m.span() for m in COMPANY.finditer(text)])
    _mark(out, tokens, "alias", [m.span(1) for m in ALIAS.finditer(text)])
    _mark(out, tokens, "title", [m.span() for m in TITLE.finditer(text)])
    _mark(out, tokens, "date", [(d.start, d.end) for d in find_dates(text)])
    seen, quoted, bracketed, lead = set(), False, False, ""
    for place, (token, word) in enumerate(zip(tokens, words, strict=True)):
        quoted ^= token.text in '"“”'
        bracketed = token.text == "(" or (bracketed and token.text != ")")
        out[place] += [f"in {quoted:d}{bracketed:d}", f"after {lead}", f"at {min(place // 3, 4 + place // 20, 10)}"]
        lead = word if word in _LEADS else lead
        if token.text[0].isupper():
            out[place] += ["again"] if word in seen else []
            seen.add(word)
    for place, name in ((0, "first"), (-1, "last")) if out else ():
        out[place].append(name)
    return out


def _mark(out: list[list[str]], tokens: Sequence[Token], name: str, spans: Sequence[tuple[int, int]]) -> None:
    """Say of the tokens in each span that they are, which is its first, and which span of the sentence it is."""
    place = 0
    for number, (start, end) in enumerate(spans):
        while place < len(tokens) and tokens[place].end <= start:
            place += 1
        first = place
        while place < len(tokens) and tokens[place].end <= end:
            out[place] += [f"m {name} {place == first:d}", f"n {name} {min(number, 2)}"]
            place += 1


def _shape(word: str) -> str:
    if word.isdigit():
        return "year" if len(word) == 4 and word[:2] in ("19", "20") else f"digits {min(len(word), 3)}"
    if word.isupper():
        return "X" if len(word) == 1 else "XX"
    return "Xx" if word[0].isupper() else "x" if word[0].isalnum() else "mark"


def _words(named: Sequence[Sequence[str]]) -> Iterator[str]:
    return (name for names in named for name in names if name.startswith("w "))


def _matrix(rows: Sequence[Sequence[Sequence[str]]], columns: dict[str, int]) -> Any:
    """Return a sparse matrix [tokens of all sentences, slots x features] of ones."""
    import numpy as np
    from scipy.sparse import csr_matrix

    found, bounds = array("i"), [0]
    for named in rows:
        own = [[columns[name] for name in names if name in columns] for names in named]
        words = {columns[name] for name in _words(named) if name in columns}
        said = [(SLOTS - 1) * len(columns) + word for word in sorted(words)]
        for place in range(len(own)):
            for slot in range(SLOTS - 1):
                near = place + slot - AROUND
                if 0 <= near < len(own):
                    found.extend(slot * len(columns) + column for column in own[near])
            found.extend(said)
            bounds.append(len(found))
    values = np.ones(len(found), dtype=np.float32)
    return csr_matrix((values, np.array(found), bounds), shape=(len(bounds) - 1, SLOTS * len(columns)))


def _path(tokens: Sequence[Token], parts: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    import numpy as np

    path = np.full(len(tokens), OUT, dtype=np.int64)
    for start, end in parts:
        inside = [place for place, token in enumerate(tokens) if token.start < end and start < token.end]
        path[inside] = MORE
        path[inside[:1]] = FIRST
    return path


def _parts(tokens: Sequence[Token], path: Sequence[int]) -> list[tuple[int, int]]:
    parts: list[tuple[int, int]] = []
    for token, state in zip(tokens, path, strict=True):
        if state == FIRST:
            parts.append((token.start, token.end))
        elif state == MORE:
            parts[-1] = (parts[-1][0], token.end)
    return parts


def trimmed(text: str, parts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Take from the ends of parts what belongs to none: commas, and a quotation mark or bracket without its partner."""
    out = []
    for start, end in parts:
        while start < end and (text[end - 1] in _SPACE or _alone(text[start:end], -1)):
            end -= 1
        while start < end and (text[start] in _SPACE or _alone(text[start:end], 0)):
            start += 1
        if start < end:
            out.append((start, end))
    return out


def _alone(piece: str, place: int) -> bool:
    """Say whether the mark at one end of a piece opens or closes what the piece does not hold."""
    mark = piece[place]
    for opening, closing in _PAIRS.items():
        if mark in (opening, closing):
            if opening == closing:
                return piece.count(mark) % 2 == 1
            return (piece.count(opening) > piece.count(closing)) == (mark == opening) and piece.count(
                opening
            ) != piece.count(closing)
    return False
