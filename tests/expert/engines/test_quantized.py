"""Weights in 8 and 4 bits: smaller files, and nearly the same states."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lextune.expert.engines.base import TagInput
from lextune.expert.engines.openvino_ import OpenVinoTagger, export
from lextune.expert.engines.quantized import Bits, activation_group
from lextune.expert.templates import Codec
from lextune.expert.weights import Base, resolve_base

INPUTS = [TagInput(ids=tuple(np.random.default_rng(7).integers(3, 900, n).tolist()), bounds=((0, n),)) for n in (40, 9)]


@pytest.fixture
def base(tiny_base: Path, own_cache: Path, tmp_path: Path) -> Base:
    return resolve_base(str(shutil.copytree(tiny_base, tmp_path / "base")))


def states(base: Base, engine: str) -> np.ndarray:
    return np.concatenate(OpenVinoTagger(base.path, None, Codec(base.path), engine).hidden(INPUTS))


@pytest.mark.filterwarnings("ignore")  # NNCF's imports are out of date with torch's
@pytest.mark.parametrize(("bits", "smaller", "far"), [("int8", 3.0, 0.08), ("int4", 3.2, 0.8)])
def test_weights_are_smaller_and_states_near(
    base: Base, bits: Bits, smaller: float, far: float, capsys: pytest.CaptureFixture[str]
) -> None:
    export(base.path, "tag")
    size, exact = (base.path / "tag.bin").stat().st_size, states(base, "openvino-f32")
    capsys.readouterr()
    export(base.path, "tag", bits)
    assert capsys.readouterr().out == "", "results alone go to stdout"
    assert (base.path / "tag.bin").stat().st_size < size / smaller
    assert not list(base.path.glob("quantized-*")), "nothing is left beside it"
    for engine in ("openvino", "openvino-f32"):
        change = np.abs(states(base, engine) - exact)
        assert 0 < change.mean() < far, "states have a root mean square of 1"


@pytest.mark.parametrize(
    ("config", "group"),
    [
        ({"hidden_size": 576, "intermediate_size": 1536}, 192),
        ({"hidden_size": 4096, "intermediate_size": 14336}, 256),
        ({"hidden_size": 896, "intermediate_size": 4864}, 128),
        ({"hidden_size": 50, "intermediate_size": 100}, 32),
        ({}, 32),
    ],
)
def test_the_group_divides_the_models_widths(tmp_path: Path, config: dict[str, int], group: int) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert activation_group(tmp_path) == group
