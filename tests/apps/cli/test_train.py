"""`lextune train preflight|sft` and the dry run of a base that is not on this machine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

MISTRAL = "mistralai/Mistral-7B-Instruct-v0.3"
RECIPES = Path(__file__).parents[3] / "recipes"


@pytest.fixture
def written(tmp_path: Path, tiny_base: Path) -> Path:
    """A recipe of a tiny base for the instructions of this package."""
    path = tmp_path / "small.yaml"
    train = "{strategy: text, steps: 2, batch: 4, max_tokens: 512, lora: {r: 2}}"
    lines = ["name: small", "task: instruction", "schema_name: instruction", f"base: {tiny_base}", f"train: {train}"]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def fail(*_: Any, **__: Any) -> str:
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)


def test_preflight_prints_checks_tokens_and_time(cli: Any, written: Path) -> None:
    found = cli("train", "preflight", written)
    assert found.code == 0, found.err
    rows, prompt, tokens, here = found.out.splitlines()
    assert rows.endswith("to train on, 0 too long")
    assert prompt == "prompt: template smollm, answers end with <|im_end|>"
    assert " in 2 steps (" in tokens
    assert here.startswith("here:   about ")
    assert "training" in here
    result = cli("train", "preflight", written, "--json").json()
    assert list(result) == ["preflight"]
    assert result["preflight"]["estimate"]["steps"] == 2
    assert result["preflight"]["budget"]["trained"] > result["preflight"]["budget"]["learnt"] > 0


def test_preflight_counts_dpo_and_processes(cli: Any, written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written.write_text(written.read_text() + "\ndpo: {pairs: {windows: 5, samples: 1, per_kind: 1}}")
    found = cli("train", "preflight", written)
    assert found.code == 0, found.err
    *_, here, dpo = found.out.splitlines()
    assert here.startswith("here:   about ")
    assert re.fullmatch(r"dpo:    at most about \d+ (s|min) more for 6 pairs \(mining \d+, training \d+ s\)", dpo)
    alone = cli("train", "preflight", written, "--json").json()["preflight"]
    assert (alone["processes"], alone["dpo"]["pairs"]) == (1, 6)
    monkeypatch.setattr("lextune.apps.cli.train._checked", lambda *_: {**alone, "processes": 2})
    said = cli("train", "preflight", written).out
    assert "        on 2 processes: as one was timed, divided; none waits for another" in said.splitlines()


def test_preflight_plans_for_a_gpu(cli: Any, written: Path) -> None:
    found = cli("train", "preflight", written, "--gpu", "h100", "--price", "2.5")
    assert found.code == 0, found.err
    memory, time = found.out.splitlines()[4:]
    assert memory.startswith("H100: ")
    assert " of 79.6 GiB (weights 0.0, trained 0.0, activations " in memory
    assert time == "H100: about 30 s, $0.02 at $2.50 an hour"
    result = cli("train", "preflight", written, "--gpu", "h100", "--json").json()
    assert result["plan"]["fits"] is True
    assert result["suggestion"] is None


def test_an_unknown_gpu_is_the_users_mistake(cli: Any, written: Path) -> None:
    found = cli("train", "preflight", written, "--gpu", "h101")
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith("error: --gpu: no GPU 'h101' is known\n  -> use one of H100, ")
    assert not Path("runs").exists(), "it is told before anything runs"


@pytest.mark.usefixtures("offline")
def test_a_base_that_is_not_here_is_planned_by_its_shape(cli: Any) -> None:
    recipe = RECIPES / "mistral-7b-a100.yaml"
    found = cli("train", "preflight", recipe, "--gpu", "2xA100", "--sharding", "fsdp")
    assert found.code == 0, found.err
    assert found.err.startswith(f"{MISTRAL} is not on this machine: nothing is checked without it\n")
    memory, time = found.out.splitlines()
    assert memory.startswith("2xA100-80GB, fsdp: ")
    assert "GiB on each (weights 7.6, " in memory
    assert " for a million tokens, $" in time
    assert cli("train", "preflight", recipe).code == 3, "without a GPU to plan for there is nothing to say"


@pytest.mark.usefixtures("offline")
def test_what_does_not_fit_is_refused_with_what_does(cli: Any) -> None:
    recipe = RECIPES / "mistral-7b-a100.yaml"
    found = cli("train", "preflight", recipe, "--gpu", "RTX-4090")
    assert found.code == 1
    assert "error: the run does not fit into RTX-4090\n  -> use --set train." in found.err
    refused = cli("train", "preflight", recipe, "--gpu", "RTX-4090", "--json")
    assert refused.code == 1
    result = refused.json()
    assert result["preflight"] is None
    assert result["plan"]["fits"] is False
    assert result["suggestion"]["plan"]["fits"] is True
    words = [word for line in result["suggestion"]["settings"].items() for word in ("--set", "{}={}".format(*line))]
    assert cli("train", "preflight", recipe, "--gpu", "RTX-4090", *words).code == 0, "what is suggested fits"
    large = cli("train", "preflight", RECIPES / "llama-70b-h100-4bit.yaml", "--gpu", "RTX-3060")
    assert large.code == 1
    assert "  -> use --gpu " in large.err


def test_sft_trains_and_says_where(cli: Any, written: Path) -> None:
    found = cli("train", "sft", written)
    assert found.code == 0, found.err
    (adapter,) = Path("runs/small").glob("sft-*")
    assert found.out == f"adapter: {adapter}\n"
    assert "estimated " in found.err
    result = cli("train", "sft", written, "--json").json()
    assert result["adapter"] == str(adapter)
    assert result["estimate_off"] == round(result["estimated_seconds"] / result["seconds"] - 1, 3)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("name", "trained"),
    [
        ("mistral-7b-24gb", 41_943_040),
        ("mistral-7b-a100", 167_772_160),
        ("mistral-7b-2gpu", 41_943_040),
        ("llama-70b-h100-4bit", 207_093_760),
    ],
)
def test_a_dry_run_resolves_every_layer_without_the_weights(cli: Any, name: str, trained: int) -> None:
    found = cli("run", RECIPES / f"{name}.yaml", "--dry-run")
    assert found.code == 0, found.err
    model = json.loads(found.out)["model"]
    assert model["trained"] == trained
    assert len(model["adapted"]) == 7
    assert set(model["adapted"].values()) == {80 if "70b" in name else 32}
