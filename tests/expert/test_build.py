"""From a model folder to an expert, and what is said where that cannot be."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from lextune.core.errors import MachineError, ModelError, RequestError
from lextune.expert.answering import Expert, Identity
from lextune.expert.build import build_expert, load_model
from lextune.expert.readers import PointReader, TextReader
from lextune.expert.schema import Schema, load_schema
from lextune.expert.thresholds import Thresholds
from lextune.expert.windowing import WindowConfig
from lextune.expert.writing import WritingExpert


@pytest.fixture
def merged(tiny_base: Path, tmp_path: Path, own_cache: Path) -> Path:
    folder = tmp_path / "merged"
    shutil.copytree(tiny_base, folder)
    (folder / "model.json").write_text(json.dumps({"strategy": "tag"}), encoding="utf-8")
    return folder


def test_no_such_engine(merged: Path) -> None:
    with pytest.raises(RequestError, match=r"--engine: no engine 'vllm'\n.*openvino, openvino-f32, transformers"):
        load_model(merged, "vllm")


def test_the_engine_is_not_installed(merged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MachineError, match=r"the engine openvino is not installed\n.*or --engine transformers"):
        load_model(merged, "openvino")


def test_no_merged_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"not a merged model: no model.json\n.*lextune release merge"):
        load_model(tmp_path, "transformers")


@pytest.mark.parametrize("engine", ["openvino", "transformers"])
def test_a_model_without_a_head_cannot_tag(merged: Path, clauses: Schema, engine: str) -> None:
    model = load_model(merged, engine)
    assert model.info == {"strategy": "tag"}
    with pytest.raises(ModelError, match=r"no tag_head.safetensors: this model cannot tag"):
        build_expert(model, clauses, Thresholds(), WindowConfig(), Identity("r", "h", "tag"))


def test_a_model_that_was_not_exported(merged: Path, clauses: Schema) -> None:
    import numpy as np

    from lextune.expert.head import Head

    Head(np.zeros((7, 128), dtype=np.float32), np.zeros(7, dtype=np.float32)).save(merged)
    model = load_model(merged, "openvino")
    with pytest.raises(
        ModelError, match=r"no tag.xml: this model was not exported for OpenVINO tagging\n.*transformers"
    ):
        model.tagger()
    with pytest.raises(ModelError, match=r"no openvino_model.xml: this model was not exported for OpenVINO generation"):
        model.generator()


@pytest.mark.parametrize(
    ("strategy", "schema", "kind", "reader"),
    [
        ("point", "clauses-47", Expert, PointReader),
        ("text", "clauses-47", Expert, TextReader),
        ("text", "instruction", WritingExpert, None),
    ],
)
def test_the_strategy_decides_the_expert(
    merged: Path, strategy: str, schema: str, kind: type, reader: type | None
) -> None:
    model, identity = load_model(merged, "transformers"), Identity("r", "h", strategy)
    expert = build_expert(model, load_schema(schema), Thresholds(), WindowConfig(), identity)
    assert type(expert) is kind
    assert expert.strategy == strategy
    assert reader is None or type(expert._reader) is reader
