"""Measure training against TRL + PEFT: `python -m benchmarks.training [--quick]`.

SmolLM2-135M, LoRA r=16 on all linear layers, bf16, effective batch 8, nothing cut, windows of CUAD's contracts where
they are at hand, else of the package's own. Two tasks: one answer a window (the `point` strategy), and eight questions
a window, each about one clause type. Three arms, in turns, each in a process of its own:

- `lextune`: as a recipe trains;
- `trl_a`: TRL's SFTTrainer with its defaults (checkpointed gradients among them) on prompt and completion rows;
- `trl_b`: the same without checkpointed gradients.

A useful token is a token of the one-row-a-question form that is not padding, in every arm. Ratios are medians over
rounds of lextune's useful tokens a second over TRL's; memory is each process's peak. Progress goes to stderr; the last
line of stdout is one JSON object.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

from benchmarks._command import say
from lextune.core.records import Document, Message
from lextune.data.importers.intake import Options, import_source
from lextune.data.synthesis import generate
from lextune.expert.point import ChatExample, point_example
from lextune.expert.schema import Schema, load_schema
from lextune.expert.templates import Codec
from lextune.expert.weights import SMOLLM2, resolve_base
from lextune.expert.windowing import WindowConfig, WindowExample, cut, label

SCHEMA = "clauses-47"
BATCH, QUESTIONS = 8, 8
ROUNDS, QUICK_ROUNDS = 6, 1
SEED = 3
ARMS = ("lextune", "trl_a", "trl_b")
TASKS = ("one_answer", "eight_questions")


def windows(schema: Schema, codec: Codec, count: int) -> list[WindowExample]:
    """Return windows of contracts drawn by seed, half of them with a clause."""
    folder = os.environ.get("LEXTUNE_CUAD")
    items = import_source(Path(folder), Options(schema), "cuad") if folder else iter(generate(60, SEED, schema=schema))
    documents = [item for item in itertools.islice(items, 120) if isinstance(item, Document)]
    found = [w for d in documents for w in label(d, cut(d, codec, WindowConfig()), schema)]
    rng = random.Random(SEED)
    rng.shuffle(found)
    some = [[w for w in found if w.positive is wanted][: count // 2] for wanted in (True, False)]
    return [w for pair in zip(*some, strict=True) for w in pair]


def asked(schema: Schema, window: WindowExample, rng: random.Random) -> list[ChatExample]:
    """Return eight questions about one window, those with an answer first among those drawn."""
    present = {field for row in window.positives for field in row}
    fields = sorted(range(len(schema.names)), key=lambda f: (f not in present, rng.random()))[:QUESTIONS]
    text = "\n".join(f"{n}. {text}" for n, text in enumerate(window.texts, start=1))
    rows = []
    for field in fields:
        numbers = [n for n, found in enumerate(window.positives, start=1) if field in found]
        question = f"{text}\n\nWhich of these sentences state: {schema.names[field]}? Answer with a JSON list."
        messages = (
            Message(role="system", content="You find clauses in contracts. You answer with JSON only."),
            Message(role="user", content=question),
        )
        about = f"{window.document_id} {window.index}"
        rows.append(ChatExample(document_id=about, messages=messages, completion=json.dumps(numbers)))
    return rows


def make_examples(task: str, steps: int) -> list[ChatExample]:
    """Return the examples of a task: enough for so many steps."""
    schema, codec = load_schema(SCHEMA), Codec(resolve_base(SMOLLM2).path)
    if task == "one_answer":
        return [point_example(schema, w) for w in windows(schema, codec, steps * BATCH)]
    rng = random.Random(SEED)
    return [row for w in windows(schema, codec, steps * BATCH // QUESTIONS + 1) for row in asked(schema, w, rng)]


class Gate:
    """Lets one step through for each line on stdin, and says how long it took and how many tokens it had."""

    def __init__(self) -> None:
        self.tokens: deque[int] = deque()

    def begin(self) -> None:
        if not sys.stdin.readline():
            sys.exit(0)
        self._started = time.perf_counter()

    def end(self) -> None:
        seconds = time.perf_counter() - self._started
        status = Path("/proc/self/status").read_text(encoding="ascii")
        peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        print(json.dumps({"seconds": seconds, "tokens": self.tokens.popleft(), "peak_mib": peak / 1024}), flush=True)


def gate_callback(gate: Gate) -> Any:
    from transformers import TrainerCallback

    class Steps(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            gate.begin()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            gate.end()

    return Steps()


def work_lextune(examples: list[ChatExample], steps: int, out: Path) -> None:
    """Train as a recipe does, step by step."""
    from lextune.train.chat import prepare_chat
    from lextune.train.runs import RunOptions
    from lextune.train.settings import TrainConfig
    from lextune.train.trainer import train

    config = TrainConfig(
        strategy="point", batch=BATCH, steps=steps, max_tokens=8192, checkpoint_steps=10**6, evaluations=1, epochs=9
    )
    prepared = prepare_chat(resolve_base(SMOLLM2), {"train": examples, "validation": examples[:1]}, config, SEED)
    gate = Gate()
    tensors = prepared.passes.tensors
    counted = {"of": 0, "tokens": 0}

    def count(one: Any) -> dict[str, Any]:
        single = [each for row in one for each in row.apart()]
        counted["of"] += len(single)
        counted["tokens"] += sum(each.tokens for each in single)
        if counted["of"] == BATCH:
            gate.tokens.append(counted["tokens"])
            counted.update(of=0, tokens=0)
        return tensors(one)

    counting = prepared._replace(passes=prepared.passes._replace(tensors=count))
    train(counting, config, out, RunOptions(SEED), callbacks=[gate_callback(gate)])


def work_trl(examples: list[ChatExample], steps: int, out: Path, *, checkpointing: bool | None) -> None:
    """Train with TRL on the rows as prompt and completion."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer, PrinterCallback
    from trl import SFTConfig, SFTTrainer

    base = resolve_base(SMOLLM2)
    codec = Codec(base.path)
    prompts = ("".join(p.text for p in codec.template.pieces(e.messages, answer_next=True)) for e in examples)
    rows = [{"prompt": prompt, "completion": e.completion} for prompt, e in zip(prompts, examples, strict=True)]
    gate = Gate()
    chosen = {} if checkpointing is None else {"gradient_checkpointing": checkpointing}
    trainer = SFTTrainer(
        model=str(base.path),
        args=SFTConfig(
            output_dir=str(out),
            max_length=None,
            max_steps=steps,
            per_device_train_batch_size=BATCH,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            model_init_kwargs={"dtype": "bfloat16"},  # else TRL takes fp32
            **chosen,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(base.path),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[gate_callback(gate)],
    )
    trainer.remove_callback(PrinterCallback)
    collate = trainer.data_collator

    def count(batch: list[dict[str, Any]]) -> Any:
        gate.tokens.append(sum(len(row["input_ids"]) for row in batch))
        return collate(batch)

    trainer.data_collator = count
    trainer.train()


def work(arm: str, task: str, steps: int) -> None:
    """Be one arm: a process that trains a step for each line it reads."""
    examples = make_examples(task, steps)
    with tempfile.TemporaryDirectory() as folder:
        if arm == "lextune":
            work_lextune(examples, steps, Path(folder))
        else:
            work_trl(examples, steps, Path(folder), checkpointing=None if arm == "trl_a" else False)


class Worker:
    """An arm in a process of its own."""

    def __init__(self, arm: str, task: str, steps: int) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.training", "--work", arm, task, str(steps)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def step(self) -> dict[str, float]:
        """Let it train one step; return its seconds, useful tokens and peak memory so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith('{"seconds"'):
                found: dict[str, float] = json.loads(line)
                return found
        raise RuntimeError("an arm ended before its time: run it alone with --work to see why")

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def measure(task: str, rounds: int, warm_ups: int) -> dict[str, Any]:
    """Run the arms of one task in turns; return speeds, ratios and peaks."""
    workers = {arm: Worker(arm, task, rounds + 2) for arm in ARMS}
    speeds: dict[str, list[float]] = {arm: [] for arm in ARMS}
    peaks: dict[str, float] = {}
    try:
        for number in range(1 - warm_ups, rounds + 1):
            for arm, worker in workers.items():
                found = worker.step()
                speed = found["tokens"] / found["seconds"]
                peaks[arm] = round(found["peak_mib"])
                note = "warm-up" if number < 1 else f"round {number}"
                took = f"{found['tokens']:.0f} tokens in {found['seconds']:.1f} s"
                say(f"{task}, {note}: {arm} {took}, {speed:.0f} a second")
                if number > 0:
                    speeds[arm].append(speed)
    finally:
        for worker in workers.values():
            worker.stop()
    ratios = {arm: [a / b for a, b in zip(speeds["lextune"], speeds[arm], strict=True)] for arm in ARMS[1:]}
    return {
        "tokens_per_second": {arm: round(statistics.median(found), 1) for arm, found in speeds.items()},
        "ratio": round(statistics.median(ratios["trl_a"]), 2),
        "ratio_b": round(statistics.median(ratios["trl_b"]), 2),
        "ratios": {arm: [round(r, 2) for r in found] for arm, found in ratios.items()},
        "peak_mib": peaks,
    }


def main() -> None:
    """Print what was measured."""
    rounds, warm_ups = (QUICK_ROUNDS, 0) if "--quick" in sys.argv else (ROUNDS, 1)
    found = {task: measure(task, rounds, warm_ups) for task in TASKS}
    result: dict[str, Any] = {}
    for task in TASKS:
        result[f"ratio_{task}"] = found[task]["ratio"]
        result[f"ratio_{task}_b"] = found[task]["ratio_b"]
    for suffix, arm in (("", "trl_a"), ("_b", "trl_b")):
        both = [found[task]["peak_mib"]["lextune"] / found[task]["peak_mib"][arm] for task in TASKS]
        result[f"memory_ratio{suffix}"] = round(max(both), 2)
    print(json.dumps({**result, "tasks": found}))


if __name__ == "__main__":
    if "--work" in sys.argv:
        place = sys.argv.index("--work")
        work(sys.argv[place + 1], sys.argv[place + 2], int(sys.argv[place + 3]))
    else:
        main()
