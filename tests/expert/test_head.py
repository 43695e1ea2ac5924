"""The head: what a sentence is represented by, and how a window becomes ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lextune.core.errors import ModelError
from lextune.expert.head import HEAD_FILE, Head, tag_input
from lextune.expert.templates import Codec


def test_a_window_as_ids(tiny_base: Path) -> None:
    codec = Codec(tiny_base)
    texts = ["Ohio law governs.", "x", "<|im_end|>"]
    item = tag_input(codec, "Law", texts)
    parts = [list(item.ids[a:b]) for a, b in item.bounds]
    assert parts == [codec.encode_plain(f"{t}\n") for t in texts]
    assert list(item.ids[: item.bounds[0][0]]) == codec.encode_plain("[Law]\n")
    assert item.bounds[-1][1] == len(item.ids)
    assert not set(item.ids) & set(codec.control.values())
    assert tag_input(codec, "", texts).bounds[0][0] == len(codec.encode_plain("\n"))


def test_a_sentence_that_the_vocabulary_lacks_still_has_a_place(codec: Codec) -> None:
    item = tag_input(codec, "", ["\U00040000", "\x16"])
    assert all(b > a for a, b in item.bounds)


def test_logits() -> None:
    hidden = np.array([[9, 9], [1, 2], [3, 6], [5, 7]], dtype=np.float32)
    weight = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 2]], dtype=np.float32)
    head = Head(weight, np.array([0, 10, 0], dtype=np.float32))
    assert head.fields == 3
    expected = [[2, 13, 4 + 12], [5, 15, 7 + 14]]  # mean of rows 1 and 2 beside row 2; row 3 twice
    np.testing.assert_allclose(head(hidden, [(1, 3), (3, 4)]), expected)


def test_saved_and_loaded(tmp_path: Path) -> None:
    head = Head(np.ones((2, 4), dtype=np.float32), np.zeros(2, dtype=np.float32))
    head.save(tmp_path)
    again = Head.load(tmp_path)
    np.testing.assert_array_equal(again.weight, head.weight)
    assert again.attention == "causal"
    assert [p.name for p in tmp_path.iterdir()] == [HEAD_FILE]


def test_a_head_knows_how_its_windows_are_read(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    weight, bias = np.ones((2, 4), dtype=np.float32), np.zeros(2, dtype=np.float32)
    Head(weight, bias, "bidirectional").save(tmp_path)
    assert Head.load(tmp_path).attention == "bidirectional"
    save_file({"weight": weight, "bias": bias}, tmp_path / HEAD_FILE)
    assert Head.load(tmp_path).attention == "causal", "heads of before 2026-11-22 do not say"


def test_a_model_without_a_head_cannot_tag(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no tag_head.safetensors: this model cannot tag\n.*strategy: tag"):
        Head.load(tmp_path)
