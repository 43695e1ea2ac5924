"""The engine of the tests speaks both protocols."""

from __future__ import annotations

import numpy as np

from lextune.expert.engines.base import GenerateOptions, Generator, Tagger, TagInput
from lextune.expert.engines.scripted import ScriptedGenerator, ScriptedTagger


def test_it_speaks_the_protocols() -> None:
    generator = ScriptedGenerator(lambda prompt, grammar: f"{len(prompt)} {grammar}")
    tagger = ScriptedTagger(lambda item: np.zeros((len(item.bounds), 2), dtype=np.float32))
    assert isinstance(generator, Generator)
    assert not isinstance(generator, Tagger)
    assert isinstance(tagger, Tagger)
    done = generator.generate([[1], [1, 2]], GenerateOptions(max_tokens=3), ["a", None])
    assert [d.text for d in done] == ["1 a", "2 N"]
    assert tagger.tag([TagInput(ids=(1, 2), bounds=((0, 1), (1, 2)))])[0].shape == (2, 2)
