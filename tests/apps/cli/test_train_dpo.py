"""`lextune train dpo`: the whole way from rows to an adapter trained on pairs, on a tiny base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

DPO = "{batch: 2, steps: 2, evaluations: 1, pairs: {windows: 3, samples: 1, made: 3}}"


@pytest.fixture
def written(tmp_path: Path, tiny_base: Path) -> Path:
    """A recipe of a tiny base for the instructions of this package."""
    path = tmp_path / "small.yaml"
    train = "{strategy: text, steps: 2, batch: 4, max_tokens: 512, evaluations: 1, lora: {r: 2}}"
    lines = ["name: small", "task: instruction", "schema_name: instruction", f"base: {tiny_base}", f"train: {train}"]
    path.write_text("\n".join([*lines, "release: {engine: transformers}", f"dpo: {DPO}"]))
    return path


def test_a_recipe_runs_until_its_adapter_has_learnt_from_pairs(cli: Any, written: Path) -> None:
    found = cli("train", "dpo", written, "--json")
    assert found.code == 0, found.err
    result = found.json()
    assert list(result) == ["pairs", "dpo", "adapter"]
    assert result["pairs"]["asked"] == 3
    assert result["pairs"]["answers"] == 6
    assert result["dpo"]["steps"] == 2
    folder = Path(result["adapter"])
    assert (folder / "adapter_model.safetensors").is_file()
    for stage in ("keep_out", "sft", "preferences", "dpo"):
        assert f"{stage}: done in" in found.err
    assert "merge" not in found.err
    again = cli("train", "dpo", written)
    assert again.code == 0
    assert "nothing to do: every stage is up to date" in again.err
    lines = again.out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "malformed", "invented", "missed", "wrong_field", "cut_quote", "null_form", "pairs", "adapter",
    ]  # fmt: skip
    assert lines[2].startswith("missed: 0 pairs of its own answers, ")
    assert lines[-1] == f"adapter: {folder}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("dpo=null", r"small.yaml: the recipe has no dpo\n  -> give it one, or add --set dpo={}"),
        ("train.method=full", "dpo goes on from an adapter, and with method full there is none"),
        ("dpo.beta=0", "dpo.beta"),
        ("dpo.pairs.window=3", "windows"),
    ],
)
def test_what_cannot_be_run_is_refused(change: str, message: str, cli: Any, written: Path) -> None:
    found = cli("train", "dpo", written, "--set", change)
    assert found.code == 2
    assert message.replace(r"\n", "\n") in found.err
