"""The training stages: preflight, the linear baseline, supervised fine-tuning, calibration."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from lextune.core.artifacts import Artifact, read_jsonl, write_atomic
from lextune.core.errors import DataError
from lextune.core.recipe import Config
from lextune.core.records import Document
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.expert.build import load_model
from lextune.expert.edges import EdgeTagger, fit_edges
from lextune.expert.held_out import HeldOut
from lextune.expert.linear import LinearTagger, fit_linear
from lextune.expert.operating import Limits
from lextune.expert.quoting import Absent
from lextune.expert.readers import LinearReader, TagReader
from lextune.expert.schema import Schema, load_schema
from lextune.expert.tasks import Example, as_chats, get_task
from lextune.expert.templates import Codec
from lextune.expert.thresholds import POINTED, Aim, Thresholds
from lextune.expert.weights import Base, Binding, resolve_base, write_binding
from lextune.expert.windowing import WindowConfig, WindowExample
from lextune.train.calibrate import assessed, fit_aim, fit_beside, fit_curved, read_all, trained_fields
from lextune.train.dpo_settings import DpoSettings
from lextune.train.going_on import write_learnt
from lextune.train.kept_out import KEPT_OUT
from lextune.train.metric import ServingMetric, shortest
from lextune.train.runs import RunOptions
from lextune.train.settings import TrainConfig
from lextune.train.tracking import check_trackers, run_name, told

if TYPE_CHECKING:
    from lextune.train.estimate import Seconds, Tokens


class SftConfig(Config):
    """What is trained: the task, the schema, the base, and the training settings."""

    task: str
    """What the documents are used for: a task of `lextune.expert.tasks`."""
    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    base: str
    """The base model: a name, a hub id, or a folder."""
    window: WindowConfig
    """How documents are cut, where the metric reads them."""
    train: TrainConfig
    """The training settings."""


class PreflightConfig(SftConfig):
    """What SFT is given, and what comes after it."""

    dpo: DpoSettings | None = None
    """The settings of DPO, where there is one."""


class LinearConfig(Config):
    """The linear baseline's schema."""

    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""


class CalibrateConfig(Config):
    """Thresholds for an aim, from validation documents read by the engine that will serve."""

    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    base: str
    """The base model: a name, a hub id, or a folder."""
    window: WindowConfig
    """How documents are cut."""
    strategy: str
    """How the model was trained: `tag`, `point` or `text`."""
    engine: str = "openvino"
    """The engine that runs the model: `openvino`, `openvino-f32` or `transformers`."""
    aim: Aim = "f1"
    """What thresholds are chosen for."""
    jaccard_at_least: float = Field(0.5, ge=0, le=1)
    """With the aim `contracteval`, the least mean Jaccard."""
    recall_at_least: float = Field(0.8, ge=0, le=1)
    """With the aims `contracteval` and `precision_at_recall`, the least share of present fields that are answered."""
    fuse_linear: bool = False
    """Whether the linear tagger's evidence is added to the model's, with strategy `tag`."""
    screen: float | None = Field(None, gt=0, le=1)
    """With strategy `tag`, the share of the labels that must be in windows the model reads; null for all windows."""


def read_examples(artifact: Artifact, config: TrainConfig, schema: Schema, seed: int) -> dict[str, list[Any]]:
    """Return `train` and `validation` examples as the strategy learns them: windows, or conversations."""
    found: dict[str, list[Any]] = {}
    for part in ("train", "validation"):
        file = artifact.file(f"{part}.jsonl")
        if config.strategy == "tag":
            found[part] = list(read_jsonl(file, WindowExample))
        else:
            absent = Absent(config.absent_fields, seed)
            lines = (as_chats(schema, line.root, config.strategy, absent) for line in read_jsonl(file, Example))
            found[part] = [chat for chats in lines for chat in chats]
    return found


def run_preflight(config: PreflightConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Check the examples and estimate the time; refuse what could not be learnt."""
    from lextune.train.estimate import count_tokens, estimate_run
    from lextune.train.preflight import check_chat, check_windows

    get_task(config.task).check_strategy(config.train.strategy)
    check_trackers(config.train.report_to)
    base, schema = resolve_base(config.base), load_schema(config.schema_name)
    codec = Codec(base.path)
    strategy = config.train.strategy
    examples = read_examples(inputs["examples"], config.train, schema, context.seed)
    if not examples["validation"]:
        raise DataError(
            "no validation example: nothing chooses the best weights and the thresholds",
            where="split.validation",
            do="hold some documents out for it",
        )
    check = check_windows if strategy == "tag" else check_chat
    found = check(examples["train"], codec, config.train)
    found |= {
        "strategy": strategy,
        "template": codec.template.name,
        "template_sha256": codec.template.sha256,
        "stop_token": codec.template.stop,
    }
    started = time.perf_counter()
    prepared = prepare(config, base, examples, schema, context.seed)
    start = time.perf_counter() - started
    tokens = count_tokens(prepared.rows, config.train, context.seed)
    steps, alone = estimate_run(prepared, config.train, context.seed, start=start)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    seconds = alone._replace(training=alone.training / processes, evaluation=alone.evaluation / processes)
    found |= {"budget": tokens._asdict()}
    write_atomic(out / "preflight.json", json.dumps(found, indent=1))
    return {  # what was timed is here and in no file, so that no later key hangs on the clock
        "n_in": found["rows"],
        "n_out": found["rows"] - found["too_long"],
        "n_dropped": found["too_long"],
        "tokens": tokens.trained,
        "tokens_per_second": round(tokens.trained / max(seconds.training, 1e-9), 1),
        "estimate": {"steps": steps, "seconds": round(sum(seconds), 1)},
        "estimated_parts": seconds._asdict(),
        "processes": processes,
        "dpo": _dpo_estimate(config, inputs, tokens, alone),
        "note": f"{steps} steps to train, about {sum(seconds):.0f} s",
    }


def _dpo_estimate(config: PreflightConfig, inputs: Inputs, tokens: Tokens, seconds: Seconds) -> dict[str, float] | None:
    """Return what DPO takes on one process by the speed of SFT, None where there is none."""
    from lextune.train.estimate import Speed, estimate_dpo

    if config.dpo is None:
        return None
    with inputs["examples"].file(KEPT_OUT).open("rb") as stream:
        examples = sum(1 for _ in stream)
    speed = Speed(seconds.training / max(tokens.trained, 1), seconds.evaluation / max(tokens.evaluated, 1))
    return estimate_dpo(config.dpo, examples, tokens, speed)._asdict()


def prepare(config: SftConfig, base: Base, examples: dict[str, list[Any]], schema: Schema, seed: int) -> Any:
    """Return what a run needs (`lextune.train.runs.Prepared`), by the strategy of `config`."""
    if config.train.strategy == "tag":
        from lextune.train.tag import prepare_tag

        return prepare_tag(base, examples, schema.names, config.train, seed)
    from lextune.train.chat import prepare_chat

    return prepare_chat(base, examples, config.train, seed)


def run_linear(config: LinearConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Fit the linear baseline on every window of the training documents, and the edges of quotes on the documents."""
    schema = load_schema(config.schema_name)
    rows = list(read_jsonl(inputs["examples"].file("train_all.jsonl"), WindowExample))
    tagger = fit_linear(rows, len(schema.fields), seed=context.seed)
    tagger.save(out)
    found: Summary = {"windows": len(rows), "ngrams": len(tagger.vocabulary)}
    if "split" in inputs:
        edges = fit_edges(read_jsonl(inputs["split"].file("train.jsonl"), Document), schema)
        if edges is not None:
            edges.save(out)
            found["edges"] = list(edges.fields)
    return found


def run_sft(config: SftConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Fine-tune; the result is a PEFT adapter bound to its base, with a head for `tag`."""
    from lextune.train.estimate import Verdict
    from lextune.train.plots import write_training

    check_trackers(config.train.report_to)
    if "split" in inputs:
        write_learnt(inputs["split"], config.train.init_adapter, out, context.warn)
        if config.train.init_adapter is not None and inputs["examples"].manifest.stage == "keep_out":
            context.warn("train.init_adapter: it may have learnt what dpo keeps out; its mistakes there are fewer")
    base, schema = resolve_base(config.base), load_schema(config.schema_name)
    strategy = config.train.strategy
    examples = read_examples(inputs["examples"], config.train, schema, context.seed)
    trained = trained_fields(examples["train"], schema, strategy)
    run = RunOptions(
        context.seed,
        report=lambda done, total, logs: context.progress(done, total, told(logs)),
        metric=serving_metric(config, inputs, trained) if config.train.best_by == "metric" else None,
        warn=context.warn,
        name=run_name(context.options.get("name", ""), out),
    )
    started = time.perf_counter()
    if strategy == "tag":
        from lextune.train.tag import train_tag

        result = train_tag(base, examples, schema.names, config.train, out, run)
    else:
        from lextune.train.chat import train_chat

        result = train_chat(base, examples, config.train, out, run)
    result["seconds"] = round(time.perf_counter() - started, 1)
    write_binding(out, _binding(base, strategy, trained, schema))
    write_training(out, result["curves"])
    verdict = Verdict(inputs["preflight"].manifest.summary["estimate"]["seconds"], result["seconds"])
    whole = result["resumed_from"] is None  # a run that went on took only the rest of its time here
    result |= {"estimated_seconds": verdict.estimated, "estimate_off": round(verdict.off, 3) if whole else None}
    write_atomic(out / "training.json", json.dumps(result, indent=1))
    kept = ("steps", "tokens", "seconds", "estimated_seconds", "estimate_off", "resumed_from", "best")
    note = str(verdict) if whole else f"{result['seconds']:.0f} s since {result['resumed_from']}"
    return {**{k: result[k] for k in kept}, "note": note}


def serving_metric(config: SftConfig, inputs: Inputs, trained: tuple[str, ...]) -> ServingMetric:
    """Return the metric of one run (`best_by: metric`) over the shortest validation documents."""
    documents = read_jsonl(inputs["split"].file("validation.jsonl"), Document)
    return ServingMetric(
        resolve_base(config.base),
        load_schema(config.schema_name),
        shortest(list(documents), config.train.metric_documents),
        strategy=config.train.strategy,
        window=config.window,
        trained=trained,
    )


def _binding(base: Base, strategy: str, fields: tuple[str, ...], schema: Schema) -> Binding:
    return Binding(
        base=base.name,
        weights_sha256=base.weights_sha256,
        tokenizer_sha256=base.tokenizer_sha256,
        strategy=strategy,
        template=Codec(base.path).template.sha256,
        fields=fields,
        head_fields=schema.names if strategy == "tag" else (),
    )


def run_calibrate(config: CalibrateConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Fit thresholds for the model (by the engine that serves it) and for the linear baseline.

    With `fuse_linear` or `screen` what the linear tagger adds to the model is fitted first, into `fusion.json`.
    """
    schema = load_schema(config.schema_name)
    codec = Codec(resolve_base(config.base).path)
    trained = tuple(inputs["model"].json("model.json")["fields"])
    documents = assessed(read_jsonl(inputs["split"].file("validation.jsonl"), Document), trained)
    limits = Limits(config.jaccard_at_least, config.recall_at_least)
    read: dict[str, list[HeldOut]] = {}
    if "linear" in inputs:
        linear = LinearReader(LinearTagger.load(inputs["linear"].path), Thresholds())
        read["linear"] = read_all(linear, documents, schema, codec, config.window, context)
    if config.strategy == "tag":
        tagger = load_model(inputs["model"].path, config.engine).tagger()
        read["model"] = read_all(
            TagReader(codec, tagger, Thresholds()), documents, schema, codec, config.window, context
        )
    found: Summary = {}
    beside = len(read) == 2 and (config.fuse_linear or config.screen is not None)
    seen = {name: fit_curved(held) for name, held in read.items() if name == "linear" or not beside}
    if beside:
        fusion, fused = fit_beside(read["model"], read["linear"], fuse_linear=config.fuse_linear, screen=config.screen)
        fusion.save(out)
        seen["model"] = (), fused
        found = {"screen": fusion.screen and fusion.screen.model_dump(include={"recall", "skipped"})}
    edges = EdgeTagger.load(inputs["linear"].path) if "linear" in inputs else None
    fitted = {
        name: fit_aim(held, schema, config.aim, limits, curves=curves, edge_tagger=edges)
        for name, (curves, held) in seen.items()
    }
    fitted.setdefault("model", Thresholds(aim=config.aim, pooled=POINTED, review_below=0.7))
    for name, thresholds in fitted.items():
        thresholds.model_copy(update={"trained_fields": trained}).save(out, f"{name}.json")
    return {"documents": len(documents), "pooled": round(fitted["model"].pooled, 4), **found}


STAGES = (
    Stage("preflight", 3, ("examples",), PreflightConfig, run_preflight, "preflight"),
    Stage("linear", 2, ("examples", "split"), LinearConfig, run_linear, "linear"),
    Stage("sft", 3, ("examples", "preflight", "split"), SftConfig, run_sft, "adapter"),
    Stage("calibrate", 4, ("model", "linear", "split"), CalibrateConfig, run_calibrate, "thresholds"),
)
