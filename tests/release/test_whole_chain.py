"""From a recipe to a release that answers, with the real base model and few steps."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import lextune
from lextune.core.artifacts import Artifact, read_jsonl
from lextune.core.errors import MachineError
from lextune.core.records import Document
from lextune.expert.weights import find_smollm2_gguf
from lextune.pipeline import Done, Recipe, read_recipe, run
from lextune.pipeline.table import ASKED_FOR, ORDER

pytestmark = [
    pytest.mark.slow,
    # the exporters' own libraries warn about each other's interfaces
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
RECIPES = Path(__file__).resolve().parents[2] / "recipes"


@pytest.fixture(autouse=True)
def _real_base() -> None:
    try:
        find_smollm2_gguf()
    except MachineError:
        pytest.skip("the base model smollm2-135m is not on this machine (make setup installs it)")


def _resource(name: str) -> Path:
    return Path(str(resources.files("lextune.resources").joinpath(name)))


def _check_reuse(recipe: Recipe, out: Path, data: str | None, made: list[Done]) -> None:
    assert not any(done.reused for done in made)
    again = run(recipe, out=out, data=data)
    assert all(done.reused for done in again)
    assert [done.artifact.hash for done in again] == [done.artifact.hash for done in made]


def test_contracts_to_a_release_that_extracts(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "name": "small",
        "split": {"validation": 4, "test": 4},
        "train": {"steps": 4, "batch": 4, "checkpoint_steps": 2, "evaluations": 1, "evaluation_windows": 8},
        "evaluate": {"base_documents": 2, "shots": 2},
        "release": {"parity_windows": 4},
    }
    recipe, data = Recipe.model_validate(values), _sample_contracts()
    made = run(recipe, out=tmp_path, data=data)
    assert [done.name for done in made] == [name for name in ORDER if name not in ASKED_FOR]
    _check_reuse(recipe, tmp_path, data, made)

    folders: dict[str, Path] = {done.name: done.artifact.path for done in made}
    evaluation = json.loads((folders["score"] / "evaluation.json").read_text())
    assert set(evaluation["arms"]) == {"tuned", "linear", "always-null", "always-present", "echo"}
    assert set(evaluation["subset_arms"]) == {"tuned", "base-zero-shot", "base-few-shot"}
    assert "<html" in (folders["report"] / "report.html").read_text()

    release = lextune.load(tmp_path)
    record = release.extract(_resource("sample_contract.pdf"))
    text = release.read(_resource("sample_contract.pdf")).text
    assert [*record.fields, *record.not_assessed] != []
    assert set(record.fields) | set(record.not_assessed) == set(release.schema.names)
    for answer in record.fields.values():
        for quote in answer.quotes if answer else ():
            assert text[quote.start : quote.end] == quote.text
    known, unknown = (
        [d for part in parts for d in read_jsonl(folders["split"] / f"{part}.jsonl", Document)]
        for parts in (("train", "validation"), ("test",))
    )
    assert release.learnt_from([*known, *unknown]) == [document.id for document in known]
    everything = lextune.load(tmp_path, engine="transformers").extract(text[:4000])
    assert set(everything.fields) == set(record.fields)


QUOTED = """name: quoted
fields:
  - {name: Governing Law, type: jurisdiction, question: "The law of which state or country governs the contract?"}
  - {name: Anti-Assignment, type: boolean, question: "Is consent needed to assign the contract?"}
  - {name: Audit Rights, type: boolean, question: "May one party inspect the books or premises of the other?"}
"""


def test_contracts_to_a_release_that_quotes(tmp_path: Path) -> None:
    """`text`: a few steps teach the form of the answers; which words answer what takes longer than a test may."""
    (tmp_path / "quoted.yaml").write_text(QUOTED, encoding="utf-8")
    recipe = Recipe.model_validate(
        {
            "name": "quoted",
            "schema_name": str(tmp_path / "quoted.yaml"),
            "split": {"validation": 4, "test": 2},
            "window": {"max_tokens": 160},
            "train": {
                "strategy": "text", "steps": 40, "batch": 6, "lr": 1e-3, "absent_fields": 1,
                "evaluations": 1, "evaluation_windows": 8,
            },
            "evaluate": {"base_documents": 1, "shots": 1},
            "release": {"parity_windows": 4},
        }
    )  # fmt: skip
    made = {done.name: done.artifact for done in run(recipe, out=tmp_path / "run", data=_sample_contracts())}
    assert made["sft"].json("training.json")["best"]["eval_loss"] < 0.5
    assert made["parity"].json("parity.json")["passed"]
    assert set(made["merge"].json("model.json")["fields"]) == {"Governing Law", "Anti-Assignment", "Audit Rights"}

    release = lextune.load(tmp_path / "run")
    assert release.expert.strategy == "text"
    contract = next(read_jsonl(made["split"].file("test.jsonl"), Document))
    prediction = release.predict(contract)
    usage = prediction.usage
    assert usage.outputs == 3 * usage.windows > 3
    assert usage.valid > 0.9 * usage.outputs
    for answer in prediction.record.fields.values():
        for quote in answer.quotes if answer else ():
            assert contract.text[quote.start : quote.end] == quote.text
    scored = made["score"].json("evaluation.json")["arms"]["tuned"]
    assert scored["valid_json_rate"]["value"] > 0.9
    assert scored["grounded_rate"]["value"] in (None, 1.0)


def _sample_contracts() -> str:
    return str(_resource("sample_contracts"))


def test_instructions_to_a_release_that_writes(tmp_path: Path) -> None:
    overrides = ("train.steps=4", "train.evaluations=1", "evaluate.base_documents=2", "release.parity_windows=2")
    recipe = read_recipe(RECIPES / "instruction-legal.yaml", overrides)
    made = run(recipe, out=tmp_path)
    without = (*ASKED_FOR, "linear")
    assert [done.name for done in made] == [name for name in ORDER if name not in without]
    _check_reuse(recipe, tmp_path, None, made)

    assert made[0].artifact.manifest.summary["source"] == "the instructions of this package"
    assert made[0].artifact.manifest.summary["n_out"] == 212
    release = lextune.load(tmp_path)
    assert release.expert.strategy == "text"
    record = release.extract("Does the clause limit liability?\n\nThe Carrier is not liable for lost profit.")
    answer = record.fields["output"]
    assert answer is not None
    assert answer.answer
    assert answer.status == "review"
    assert Artifact.open(release.path).json("verdict.json")["verdict"] == "ungated"
