"""The first layers of a base compute what the whole base does up to there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from lextune.core.errors import ModelError
from lextune.expert.depth import split_depth
from lextune.expert.templates import Codec
from lextune.expert.weights import load_backbone, resolve_base


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("smollm2-135m@20", ("smollm2-135m", 20)),
        ("org/name@1", ("org/name", 1)),
        ("/a@b/c@3", ("/a@b/c", 3)),
        ("smollm2-135m", None),
        ("org/name@main", None),
        ("@3", None),
        ("a@", None),
    ],
)
def test_names(name: str, parts: tuple[str, int] | None) -> None:
    assert split_depth(name) == parts


def test_states_are_those_of_the_whole_base_after_so_many_layers(tiny_base: Path, own_cache: Path) -> None:
    whole, half = resolve_base(str(tiny_base)), resolve_base(f"{tiny_base}@1")
    assert half.name == f"{tiny_base}@1"
    assert half.weights_sha256 != whole.weights_sha256
    assert half.tokenizer_sha256 == whole.tokenizer_sha256
    assert Codec(half.path).encode_plain("Ohio law") == Codec(whole.path).encode_plain("Ohio law")
    ids = torch.arange(20, 40)[None]
    model = load_backbone(whole, dtype="float32", head=False)
    with torch.inference_mode():
        after_one = model.norm(model(input_ids=ids, output_hidden_states=True).hidden_states[1])
        short = AutoModel.from_pretrained(half.path, dtype=torch.float32)(input_ids=ids).last_hidden_state
    torch.testing.assert_close(short, after_one)
    assert resolve_base(f"{tiny_base}@1") == half, "written once"


@pytest.mark.parametrize("layers", [0, 3])
def test_more_layers_than_there_are_is_refused(tiny_base: Path, own_cache: Path, layers: int) -> None:
    with pytest.raises(ModelError, match=rf"has 2 layers, and {layers} are asked for\n.*1 to 2 after @"):
        resolve_base(f"{tiny_base}@{layers}")
    assert list((own_cache / "models").iterdir()) == []
