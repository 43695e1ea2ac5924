"""Held-out documents: what a reader says stands beside what the annotators said, sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lextune.core.records import Document, FieldLabel, Span
from lextune.expert.held_out import IGNORED, read_held_out
from lextune.expert.readers import Passage
from lextune.expert.schema import Schema
from lextune.expert.templates import Codec
from lextune.expert.windowing import WindowConfig

LAW = "The laws of Ohio govern."
TEXT = f"{LAW}\n\nGoods are sold.\n\n{LAW}"


class Lengths:
    """Says of every field how long a sentence is."""

    def logits(self, passages: Sequence[Passage]) -> list[np.ndarray]:
        return [np.array([[len(t)] * 7 for t in p.texts], np.float32) for p in passages]


def test_truth_and_logits_are_of_the_same_sentences(tiny_codec: Codec, clauses: Schema) -> None:
    """The law is quoted where it stands last; where else it stands, and what was not assessed, counts neither way."""
    places = tuple(Span(start=at, end=at + len(LAW)) for at in (TEXT.rindex(LAW), 0))
    labels = {"Governing Law": FieldLabel(parts=(LAW,), spans=(places,)), "Audit Rights": FieldLabel()}
    document = Document(id="d", name="d", sha256="0" * 64, text=TEXT, labels=labels)
    one = WindowConfig(max_sentences=2)
    (held,) = read_held_out(Lengths(), [document], clauses, tiny_codec, one)
    law, audit, term = (clauses.names.index(n) for n in ("Governing Law", "Audit Rights", "Renewal Term"))
    assert [TEXT[s.start : s.end] for s in held.sentences] == [LAW, "Goods are sold.", LAW]
    assert held.window_of.tolist() == [0, 0, 1]
    assert held.logits[:, law].tolist() == [len(LAW), 15, len(LAW)]
    assert held.truth[:, law].tolist() == [IGNORED, 0, 1]
    assert held.truth[:, audit].tolist() == [0, 0, 0]
    assert held.truth[:, term].tolist() == [IGNORED] * 3
