"""Bundling: what a release folder holds, and that its evaluation is of the weights it ships."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lextune.core.artifacts import Artifact, write_atomic
from lextune.core.errors import ArtifactError, GateRefused
from lextune.core.stage import Context
from lextune.expert.schema import load_schema
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds
from lextune.expert.weights import Base
from lextune.expert.windowing import WindowConfig
from lextune.release.bundle import BundleConfig, model_card, run_bundle
from lextune.release.merge import merge

F1 = {"value": 0.5, "low": 0.4, "high": 0.625, "n": 9}


@pytest.fixture
def config(base: Base, schema_file: str) -> BundleConfig:
    return BundleConfig(
        name="small",
        task="clause-extraction",
        schema_name=schema_file,
        base=base.name,
        window=WindowConfig(max_tokens=200),
        engine="transformers",
    )


@pytest.fixture
def inputs(base: Base, make_adapter: Callable[..., Artifact], seal: Callable[..., Artifact]) -> dict[str, Artifact]:
    model = seal("model", lambda folder: merge(base.name, make_adapter().path, folder))
    arms = {"tuned": {"n_documents": 3, "field": {"micro": {"f1": F1}}}, "echo": {"n_documents": 3}}

    def files(**contents: Any) -> Callable[[Path], None]:
        def fill(folder: Path) -> None:
            for name, content in contents.items():
                write_atomic(folder / f"{name}.json", json.dumps(content))

        return fill

    def linear(folder: Path) -> None:
        (folder / "linear.safetensors").write_bytes(b"weights")
        (folder / "linear_vocabulary.json").write_text('["law"]')
        (folder / "edges.safetensors").write_bytes(b"weights")
        (folder / "edges.json").write_text("{}")

    cuts = [json.loads(Thresholds(pooled=p).model_dump_json()) for p in (0.4, 0.6)]
    return {
        "model": model,
        "evaluation": seal("evaluation", files(evaluation={"model_hash": model.hash, "arms": arms})),
        "thresholds": seal("thresholds", files(model=cuts[0], linear=cuts[1])),
        "gate": seal("verdict", files(verdict={"verdict": "pass", "weights": model.hash, "reasons": []})),
        "parity": seal("parity", files(parity={"passed": True})),
        "linear": seal("linear", linear),
        "adapter": seal("adapter", files(learnt_from={"texts": ["00ff"]})),
    }


def test_a_release_holds_all_that_answering_needs(
    config: BundleConfig, inputs: dict[str, Artifact], tmp_path: Path, schema_file: str
) -> None:
    out = tmp_path / "release"
    out.mkdir()
    summary = run_bundle(config, inputs, out, Context())
    model = inputs["model"]
    assert summary == {"name": "small", "weights": model.hash, "verdict": "pass"}
    expected = {"schema.yaml", "thresholds.json", "release.json", "metrics.json", "verdict.json", "parity.json"}
    expected |= {"README.md", "linear.safetensors", "linear_vocabulary.json", "linear_thresholds.json"}
    expected |= {"edges.safetensors", "edges.json", "learnt_from.json"}
    assert {f.name for f in out.iterdir()} == expected | set(model.manifest.files)
    for name in model.manifest.files:
        assert (out / name).read_bytes() == model.file(name).read_bytes()
    assert Thresholds.load(out / "thresholds.json").pooled == 0.4
    assert Thresholds.load(out / "linear_thresholds.json").pooled == 0.6
    assert load_schema(str(out / "schema.yaml")) == load_schema(schema_file)
    info = json.loads((out / "release.json").read_text())
    assert info["weights"] == model.hash
    assert info["strategy"] == "tag"
    assert info["engine"] == "transformers"
    assert info["fields"] == ["Law", "Term"]
    assert WindowConfig(**info["window"]) == config.window
    assert info["template_sha256"] == Codec(model.path).template.sha256


def gate(seal: Callable[..., Artifact], **verdict: Any) -> Artifact:
    return seal("verdict", lambda folder: write_atomic(folder / "verdict.json", json.dumps(verdict)))


def test_the_gates_verdict_goes_with_the_weights_that_it_is_of(
    config: BundleConfig, inputs: dict[str, Artifact], seal: Callable[..., Artifact], tmp_path: Path
) -> None:
    weights = inputs["model"].hash
    inputs["gate"] = gate(seal, verdict="ungated", weights=weights, reasons=["no limits"])
    assert run_bundle(config, inputs, tmp_path, Context())["verdict"] == "ungated"
    assert json.loads((tmp_path / "verdict.json").read_text()) == {
        "verdict": "ungated",
        "weights": weights,
        "reasons": ["no limits"],
    }


def test_what_the_gate_refused_is_not_released(
    config: BundleConfig, inputs: dict[str, Artifact], seal: Callable[..., Artifact], tmp_path: Path
) -> None:
    reasons = ["field F1 is 0.310: not at least 0.700", "it forgot"]
    inputs["gate"] = gate(seal, verdict="fail", weights=inputs["model"].hash, reasons=reasons)
    out = tmp_path / "release"
    out.mkdir()
    with pytest.raises(GateRefused) as caught:
        run_bundle(config, inputs, out, Context())
    assert caught.value.exit_code == 1
    assert str(caught.value) == (
        f"{inputs['model'].path.name}: the gate said no, and nothing is released\n"
        "  - field F1 is 0.310: not at least 0.700\n"
        "  - it forgot\n"
        "  -> read the report, then improve the model, or change the recipe's limits under `gate`"
    )
    assert not list(out.iterdir())


def test_a_verdict_on_other_weights_is_none(
    config: BundleConfig, inputs: dict[str, Artifact], seal: Callable[..., Artifact], tmp_path: Path
) -> None:
    inputs["gate"] = gate(seal, verdict="pass", weights="0" * 64, reasons=[])
    with pytest.raises(ArtifactError) as caught:
        run_bundle(config, inputs, tmp_path, Context())
    assert str(caught.value) == (
        f"{inputs['model'].path.name}: these weights have no verdict: the gate's is of others\n"
        "  -> run the gate again for this model"
    )
    assert not (tmp_path / "release.json").exists()


def test_a_release_without_the_linear_baseline(
    config: BundleConfig, inputs: dict[str, Artifact], tmp_path: Path
) -> None:
    del inputs["linear"]
    run_bundle(config, inputs, tmp_path, Context())
    assert not list(tmp_path.glob("linear*"))


def test_an_evaluation_of_other_weights_is_refused(
    config: BundleConfig, inputs: dict[str, Artifact], seal: Callable[..., Artifact], tmp_path: Path
) -> None:
    other = {"model_hash": "0" * 64, "arms": {}}
    inputs["evaluation"] = seal("evaluation", lambda f: write_atomic(f / "evaluation.json", json.dumps(other)))
    with pytest.raises(ArtifactError, match="the evaluation is of other weights than those to be bundled") as caught:
        run_bundle(config, inputs, tmp_path, Context())
    assert caught.value.where == inputs["model"].path.name
    assert caught.value.do == "run predict and score again for this model"
    assert not (tmp_path / "release.json").exists()


def test_files_are_copied_where_they_cannot_be_linked(
    config: BundleConfig, inputs: dict[str, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError("another file system")

    monkeypatch.setattr("os.link", refuse)
    run_bundle(config, inputs, tmp_path, Context())
    assert (tmp_path / "model.safetensors").stat().st_nlink == 1


def test_the_model_card_says_what_was_measured_and_what_it_is_not() -> None:
    info = {"name": "small", "strategy": "tag", "task": "clause-extraction", "schema": "s", "base": "b"}
    info |= {"base_sha256": "f" * 64, "weights": "e" * 64, "engine": "openvino"}
    arms = {
        "tuned": {"n_documents": 3, "field": {"micro": {"f1": F1}}},
        "nothing": {"n_documents": 3, "field": {"micro": {"f1": {"value": None, "low": None, "high": None}}}},
        "failed": {"n_documents": 3, "field": None},
    }
    card = model_card(info, {"arms": arms}, {"verdict": "ungated", "reasons": ["no limits"]})
    assert "| tuned | 3 | 0.500 [0.400, 0.625] |" in card
    assert "| nothing | 3 | n/a |" in card
    assert "| failed | 3 | n/a |" in card
    assert "**ungated** (no limits)" in card
    assert "| arm | documents | micro F1 |\n" in card, "a score that no arm has is no column"
    of_clauses = {"tuned": {**arms["tuned"], "contracteval": {"jaccard": F1}, "aupr": F1}, "nothing": arms["nothing"]}
    table = model_card(info, {"arms": of_clauses}, {"verdict": "ungated", "reasons": []})
    assert "| arm | documents | micro F1 | Jaccard | AUPR |\n| --- | --- | --- | --- | --- |\n" in table
    assert "| nothing | 3 | n/a | n/a | n/a |" in table
    passed = {"verdict": "pass", "reasons": [], "checks": [{"what": "F1 is 0.8"}, {"what": "none fell"}]}
    assert "**pass** (F1 is 0.8; none fell)" in model_card(info, {"arms": arms}, passed)
    assert "e" * 64 in card
    assert "no legal advice" in card
    assert "measured with: openvino\n- Trained on: data that the recipe gives no credit for" in card
    told = info | {"quantize": "int8", "credit": "Ours, CC0"}
    assert "openvino, weights in int8\n- Trained on: Ours, CC0\n" in model_card(told, {"arms": arms}, passed)


INFO = {
    **{"name": "small", "strategy": "point", "task": "classification", "schema": "instruction", "base": "b"},
    **{"base_sha256": "f" * 64, "weights": "e" * 64, "engine": "openvino"},
}


def test_a_score_of_one_document_has_no_interval_and_the_card_says_so() -> None:
    alone = {"value": 0.5, "low": None, "high": None, "n": 9}
    arms = {"tuned": {"n_documents": 1, "field": {"micro": {"f1": alone}}}}
    card = model_card(INFO, {"arms": arms}, {"verdict": "ungated", "reasons": []})
    assert "| tuned | 1 | 0.500 (no interval) |" in card


def test_a_card_of_another_task_has_the_scores_that_it_is_judged_by() -> None:
    tuned = {"n_documents": 9, "primary": "accuracy", "scores": {"accuracy": F1, "macro F1": None}}
    base = {"n_documents": 9, "primary": "accuracy", "scores": {"accuracy": F1, "invalid": F1}}
    card = model_card(INFO, {"arms": {"tuned": tuned, "base": base}}, {"verdict": "ungated", "reasons": []})
    assert "| arm | documents | accuracy | invalid |\n" in card, "a score that no arm has is no column"
    assert "| tuned | 9 | 0.500 [0.400, 0.625] | n/a |\n" in card
    assert "| base | 9 | 0.500 [0.400, 0.625] | 0.500 [0.400, 0.625] |\n" in card
