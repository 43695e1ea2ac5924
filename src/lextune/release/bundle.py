"""Bundle: one folder with everything an expert needs, bound to the hash of the exact weights it ships.

release/  weights (safetensors, OpenVINO), schema.yaml, thresholds.json, release.json, metrics.json,
          verdict.json, parity.json, README.md (the model card), manifest.json
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from lextune.core.artifacts import Artifact, write_atomic
from lextune.core.errors import ArtifactError, GateRefused
from lextune.core.learnt import LEARNT_FILE
from lextune.core.recipe import Config
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.expert.edges import EDGE_NAMES, EDGE_WEIGHTS
from lextune.expert.fusion import FUSION_FILE
from lextune.expert.linear import VOCABULARY, WEIGHTS
from lextune.expert.schema import load_schema
from lextune.expert.templates import Codec
from lextune.expert.windowing import WindowConfig
from lextune.text.cleaning import CleanOptions

COLUMNS: dict[str, tuple[str, ...]] = {
    "micro F1": ("field", "micro", "f1"),
    "ContractEval F1": ("contracteval", "f1"),
    "Jaccard": ("contracteval", "jaccard"),
    "false-null rate": ("contracteval", "false_null_rate"),
    "AUPR": ("aupr",),
}
"""The scores of clause extraction in the model card, and where an arm has them; of other tasks all have one place."""


class BundleConfig(Config):
    """The release's name and what is recorded in it."""

    name: str
    """The release's name."""
    task: str
    """What the documents are used for: a task of `lextune.expert.tasks`."""
    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    base: str
    """The base model: a name, a hub id, or a folder."""
    window: WindowConfig
    """How documents are cut."""
    clean: CleanOptions | None = None
    """How every document is cleaned before it is read; null for not at all."""
    engine: str = "openvino"
    """The engine it was measured with."""
    credit: str | None = None
    """Who made the training data and its licence; said in the card."""


def run_bundle(config: BundleConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Gather weights, schema, prompt, thresholds, metrics and verdict into one folder.

    Raises:
        ArtifactError: the evaluation or the verdict is of other weights than these.
        GateRefused: the verdict is `fail`.
    """
    model, evaluation = inputs["model"], inputs["evaluation"].json("evaluation.json")
    if evaluation["model_hash"] != model.hash:
        raise ArtifactError(
            "the evaluation is of other weights than those to be bundled",
            where=model.path.name,
            do="run predict and score again for this model",
        )
    verdict = _passed(inputs["gate"].json("verdict.json"), model)
    for name in model.manifest.files:
        _link(model.path / name, out / name)
    schema = load_schema(config.schema_name)
    write_atomic(out / "schema.yaml", _schema_yaml(schema.model_dump()))
    shutil.copyfile(inputs["thresholds"].file("model.json"), out / "thresholds.json")
    if "linear" in inputs:
        edges = [name for name in (EDGE_WEIGHTS, EDGE_NAMES) if name in inputs["linear"].manifest.files]
        for name in (WEIGHTS, VOCABULARY, *edges):
            shutil.copyfile(inputs["linear"].file(name), out / name)
        if FUSION_FILE in inputs["thresholds"].manifest.files:
            shutil.copyfile(inputs["thresholds"].file(FUSION_FILE), out / FUSION_FILE)
        shutil.copyfile(inputs["thresholds"].file("linear.json"), out / "linear_thresholds.json")
    shutil.copyfile(inputs["parity"].file("parity.json"), out / "parity.json")
    if LEARNT_FILE in inputs["adapter"].manifest.files:
        shutil.copyfile(inputs["adapter"].file(LEARNT_FILE), out / LEARNT_FILE)
    write_atomic(out / "metrics.json", json.dumps(evaluation, indent=1))
    write_atomic(out / "verdict.json", json.dumps(verdict, indent=1))
    info = _info(config, model)
    write_atomic(out / "release.json", json.dumps(info, indent=1))
    write_atomic(out / "README.md", model_card(info, evaluation, verdict))
    return {"name": config.name, "weights": model.hash, "verdict": verdict["verdict"]}


def _passed(verdict: dict[str, Any], model: Artifact) -> dict[str, Any]:
    """Return a verdict on these weights that is not `fail`."""
    if verdict["weights"] != model.hash:
        raise ArtifactError(
            "these weights have no verdict: the gate's is of others",
            where=model.path.name,
            do="run the gate again for this model",
        )
    if verdict["verdict"] == "fail":
        reasons = "\n".join(f"  - {reason}" for reason in verdict["reasons"])
        raise GateRefused(
            f"the gate said no, and nothing is released\n{reasons}",
            where=model.path.name,
            do="read the report, then improve the model, or change the recipe's limits under `gate`",
        )
    return verdict


def _info(config: BundleConfig, model: Artifact) -> dict[str, Any]:
    template = Codec(model.path).template
    note = model.json("model.json")
    return {
        "name": config.name,
        "task": config.task,
        "schema": config.schema_name,
        "strategy": note["strategy"],
        "base": note["base"],
        "base_sha256": note["weights_sha256"],
        "weights": model.hash,
        "engine": config.engine,
        "quantize": model.manifest.config.get("quantize"),
        "window": config.window.model_dump(),
        "clean": config.clean and config.clean.model_dump(),
        "template": template.model_dump(),
        "template_sha256": template.sha256,
        "fields": note["fields"],
        "credit": config.credit,
    }


def _schema_yaml(values: dict[str, Any]) -> str:
    import io

    from ruamel.yaml import YAML

    stream = io.StringIO()
    yaml = YAML()
    yaml.width = 100
    values["fields"] = [dict(f) for f in values["fields"]]
    yaml.dump(values, stream)
    return stream.getvalue()


def _link(source: Path, target: Path) -> None:
    """Hard-link big immutable files where the file system can, copy them where it cannot."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def model_card(info: dict[str, Any], evaluation: dict[str, Any], verdict: dict[str, Any]) -> str:
    """Return the release's README: what it is, how it was measured, what it must not be used for."""
    table = _table(evaluation["arms"])
    bits = f", weights in {info['quantize']}" if info.get("quantize") else ""
    return f"""# {info["name"]}

A `{info["strategy"]}` expert for the task {info["task"]}, schema {info["schema"]}, fine-tuned from {info["base"]}.

- Verdict: **{verdict["verdict"]}** ({_said(verdict)})
- Weights: {info["weights"]}
- Base: {info["base"]} (weights {info["base_sha256"][:16]})
- Engine it was measured with: {info["engine"]}{bits}
- Trained on: {info.get("credit") or "data that the recipe gives no credit for (`release.credit`)"}

## Measured on held-out documents

{table}

In brackets: intervals of 95 %, over documents.

## Use

    lextune extract contract.pdf --release .

Every quote is verbatim text of the document. An answer with status `review`, and every null, deserves a
lawyer's eye: a clause that is not found is not proof that it is not there. Fields under `not_assessed` were
neither trained nor evaluated. This is no legal advice.
"""


def _table(arms: dict[str, Any]) -> str:
    """Return the scores of every arm, a column for each that some arm has."""
    places = {title: place for arm in arms.values() for title, place in _columns(arm).items()}
    found = {(name, title): _score(arm, place) for name, arm in arms.items() for title, place in places.items()}
    titles = [title for title in places if any(found[name, title] for name in arms)]
    rows = [["arm", "documents", *titles], ["---"] * (2 + len(titles))]
    for name, arm in arms.items():
        rows.append([name, str(arm.get("n_documents", 0)), *(found[name, title] or "n/a" for title in titles)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _columns(arm: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the scores of an arm and where they are: those of clause extraction, or of its task's scorer."""
    scores = arm.get("scores")
    return {name: ("scores", name) for name in scores} if isinstance(scores, dict) else COLUMNS


def _score(scores: Any, place: tuple[str, ...]) -> str | None:
    """Return the score at a place of an arm's scores, with its interval where it has one; None where there is none."""
    for key in place:
        scores = (scores or {}).get(key)
    if not scores or scores.get("value") is None:
        return None
    if scores.get("low") is None or scores.get("high") is None:
        return f"{scores['value']:.3f} (no interval)"
    return f"{scores['value']:.3f} [{scores['low']:.3f}, {scores['high']:.3f}]"


def _said(verdict: dict[str, Any]) -> str:
    """Return why the verdict is what it is: its reasons, or what was checked."""
    return "; ".join(verdict["reasons"] or [check["what"] for check in verdict.get("checks", ())])


STAGES = (
    Stage(
        "bundle",
        6,
        ("model", "linear", "thresholds", "evaluation", "gate", "parity", "adapter"),
        BundleConfig,
        run_bundle,
        "release",
    ),
)
