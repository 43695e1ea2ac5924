"""What a folder holds beside a model: nothing, edges, or the linear tagger's evidence too."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lextune.expert.beside import Beside
from lextune.expert.edges import EdgeTagger
from lextune.expert.engines.scripted import ScriptedTagger
from lextune.expert.fusion import Fusion
from lextune.expert.linear import LinearTagger
from lextune.expert.readers import Passage, TagReader
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds

FIELDS = 2


def test_a_folder_without_anything_leaves_the_model_alone(tmp_path: Path, tiny_codec: Codec) -> None:
    model = _silent(tiny_codec)
    assert Beside.load(tmp_path, tmp_path) == Beside()
    assert Beside().reader(model, Thresholds()) is model


def test_a_folder_with_edges_says_nothing_of_windows(tmp_path: Path, tiny_codec: Codec) -> None:
    model = _silent(tiny_codec)
    EdgeTagger(["w the"], ["Title"], np.zeros((1, 10, 1, 3)), np.zeros((1, 4, 3)), lean=[1.0]).save(tmp_path)
    found = Beside.load(tmp_path, tmp_path)
    assert found.edge_tagger is not None
    assert found.edge_tagger.fields == {"Title": 0}
    assert found.reader(model, Thresholds()) is model


def test_the_linear_tagger_reads_too_where_both_were_fitted_together(tmp_path: Path, tiny_codec: Codec) -> None:
    linear, fitted = tmp_path / "linear", tmp_path / "fitted"
    for folder in (linear, fitted):
        folder.mkdir()
    weight, bias = np.full((FIELDS, 1), 4.0), np.full(FIELDS, -2.0)
    LinearTagger({"law": 0}, np.ones(1, np.float32), weight, bias).save(linear)
    assert Beside.load(linear, fitted).linear is None
    Fusion(both=((1.0, 0.5, -1.0),) * FIELDS, alone=((0.5, 0.0),) * FIELDS).save(fitted)
    reader = Beside.load(linear, fitted).reader(_silent(tiny_codec), Thresholds())
    (logits,) = reader.logits([Passage("", ["law", "goods"])])
    assert logits.tolist() == [[0, 0], [-2, -2]], "0 + 0.5 * (4 - 2) - 1, and 0.5 * -2 - 1"


def _silent(codec: Codec) -> TagReader:
    return TagReader(codec, ScriptedTagger(lambda item: np.zeros((len(item.bounds), FIELDS), np.float32)), Thresholds())
