"""Fixtures shared by all tests."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from lextune.core.artifacts import Artifact, ArtifactStore

settings.register_profile("lextune", deadline=None)  # a busy machine is not a failure
settings.load_profile("lextune")

SHARED = Path(os.environ.get("LEXTUNE_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real contracts beside the checkout."""
    if not (SHARED / "cuad").is_dir():
        pytest.skip(f"no CUAD data: {SHARED / 'cuad'} is absent (set LEXTUNE_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def cuad_dir(shared_dir: Path) -> Path:
    """The folder of CUAD contracts in the official layout."""
    return shared_dir / "cuad"


@pytest.fixture(scope="session")
def ray_logs() -> Iterator[Path]:
    """A Ray cluster of two cores on this machine, which `--ray` uses whatever its address; the folder of its logs."""
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ENABLE_AUTO_CONNECT="0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own code is out of date with itself
        import ray
        import ray.data

        ray.data.DataContext.get_current()
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        yield Path(ray._private.worker._global_node.get_logs_dir_path())
        ray.shutdown(wait_for_processes=True)


@pytest.fixture(scope="session")
def make_tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Write random Llama models in the layout of a base: 2 layers, hidden size 64, about 1,000 tokens."""

    def make(seed: int) -> Path:
        folder = tmp_path_factory.mktemp(f"tiny-base-{seed}")
        _tiny_tokenizer(folder)
        _tiny_weights(folder, seed)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_base(make_tiny_base: Callable[[int], Path]) -> Path:
    """A tiny base that all tests share: read it, do not write to it."""
    return make_tiny_base(0)


def _tiny_tokenizer(folder: Path) -> None:
    from importlib import resources

    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=[AddedToken(t, special=True, normalized=False) for t in control],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    samples = Path(str(resources.files("lextune.resources").joinpath("sample_contracts/full_contract_txt")))
    tokenizer.train([str(f) for f in sorted(samples.glob("*.txt"))[:4]], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def _tiny_weights(folder: Path, seed: int) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=1000,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        initializer_range=0.2,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LEXTUNE_CACHE", str(folder))
    return folder


@pytest.fixture
def seal(tmp_path: Path) -> Callable[..., Artifact]:
    """Make sealed artifacts: `seal(kind, fill, config={...})`, where `fill(folder)` writes the files."""
    store = ArtifactStore(tmp_path / "artifacts")

    def make(kind: str, fill: Callable[[Path], Any], config: dict[str, Any] | None = None) -> Artifact:
        header = {"kind": kind, "stage": kind, "stage_version": 1, "config": config or {}, "seed": 0}
        header |= {"inputs": {}, "parents": {}}
        number = len(list((tmp_path / "artifacts").glob("*"))) if (tmp_path / "artifacts").is_dir() else 0
        return store.build(header, f"{number:012d}", lambda folder: fill(folder) or {})

    return make


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of data that only its fingerprint is taken of."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "master_clauses.csv").write_text("Filename\n")
    return folder


class FakeEndpoint:
    """A server of chat completions on loopback. `script(body)` gives an answer's text, or (status, headers, bytes)."""

    def __init__(self, script: Callable[[dict[str, Any]], Any]) -> None:
        self.seen: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        adding = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with adding:
                    fake.seen.append(body)
                    fake.headers.append({name.lower(): value for name, value in self.headers.items()})
                said = script(body)
                status, headers, raw = said if isinstance(said, tuple) else (200, {}, completion(said))
                self.send_response(status)
                for name, value in {"content-type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # a client that was killed, or waited long enough
                    super().handle()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def completion(text: Any, **choice: Any) -> bytes:
    """Return the body of a chat completion."""
    choices = [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **choice}]
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    return json.dumps({"id": "x", "object": "chat.completion", "choices": choices, "usage": usage}).encode()


@pytest.fixture
def endpoint() -> Iterator[Callable[[Callable[[dict[str, Any]], Any]], FakeEndpoint]]:
    """Start servers of chat completions that answer by a script; see `FakeEndpoint`."""
    started: list[FakeEndpoint] = []

    def start(script: Callable[[dict[str, Any]], Any]) -> FakeEndpoint:
        started.append(FakeEndpoint(script))
        return started[-1]

    yield start
    for server in started:
        server.close()
