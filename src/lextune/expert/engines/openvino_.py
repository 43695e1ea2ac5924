"""The CPU engine: OpenVINO for tagging (plain graph, hidden states out), OpenVINO GenAI for generation.

Both live in a folder made once from safetensors by `export`: `tag.xml` is the backbone, `openvino_model.xml`
with tokenizer files is what GenAI loads. A merged model is exported, so no adapter is applied at run time and
no prefix cache is ever shared between adapters.

The engine has two names: `openvino` computes in bf16 where the processor has it, `openvino-f32` in fp32 everywhere,
which writes what the stored weights write.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lextune.core.artifacts import sha256_json
from lextune.core.cache import cache_folder, made_once
from lextune.core.errors import ModelError
from lextune.core.parallel import cores
from lextune.expert.engines.base import WORTH_SHARING, GenerateOptions, Generation, TagInput, agreement
from lextune.expert.engines.quantized import Bits, activation_group, quantize
from lextune.expert.head import HEAD_FILE, Head, window_mask
from lextune.expert.templates import Codec
from lextune.expert.weights import Base

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IN_BF16, IN_FP32 = "openvino", "openvino-f32"
TAG_GRAPH = "tag.xml"
GENERATE_GRAPH = "openvino_model.xml"
BATCH_TOKENS = 320  # of windows that run as one: more of them would be padded to the longest
STREAMS = 2  # such batches at a time, each on its share of the cores: less is waited for than by all cores for one
WIDTHS = 16  # tokens: windows are padded to a multiple of it, for OpenVINO keeps kernels for every shape that it meets
KERNELS = 256  # that it keeps, of 5,000 by default: with both, memory does not grow with the documents that are read
EXPORT_VERSION = 1  # raised when `export` makes other graphs of the same weights


def export_tagger(model: Path, folder: Path) -> None:
    """Write the backbone of a model folder as an OpenVINO graph: ids [batch, tokens] to states [.., hidden].

    It attends as the folder's head asks for; causally where there is none.
    """
    import openvino
    import torch
    from transformers import AutoModel

    backbone = AutoModel.from_pretrained(model, dtype=torch.float32, trust_remote_code=False).eval()
    both_ways = (model / HEAD_FILE).is_file() and Head.load(model).both_ways
    pad = Codec(model).pad_id

    class Graph(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone

        def forward(self, input_ids: Any) -> Any:
            batch, width = input_ids.shape
            causal = torch.ones((width, width), dtype=torch.bool).tril()[None, None]
            mask = window_mask(input_ids != pad) if both_ways else causal.expand(batch, 1, width, width)
            positions = torch.arange(width)[None]
            return self.backbone(
                input_ids=input_ids, attention_mask=mask, position_ids=positions, use_cache=False
            ).last_hidden_state

    example = torch.arange(20, 148).reshape(2, 64)
    with _quiet():
        graph = openvino.convert_model(Graph(), example_input=example)
    folder.mkdir(parents=True, exist_ok=True)
    openvino.save_model(graph, folder / TAG_GRAPH, compress_to_fp16=False)


def export_generator(model: Path, folder: Path) -> None:
    """Write a causal language model and its tokenizer in the layout OpenVINO GenAI loads (weights in bf16)."""
    with _quiet():
        from openvino import save_model
        from openvino_tokenizers import convert_tokenizer
        from optimum.intel import OVModelForCausalLM
        from transformers import AutoTokenizer

        exported = OVModelForCausalLM.from_pretrained(
            model, export=True, compile=False, load_in_8bit=False, trust_remote_code=False
        )
        exported.save_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(model)
        encoder, decoder = convert_tokenizer(tokenizer, with_detokenizer=True, skip_special_tokens=True)
        save_model(encoder, folder / "openvino_tokenizer.xml")
        save_model(decoder, folder / "openvino_detokenizer.xml")


def export(model: Path, strategy: str, bits: Bits | None = None) -> None:
    """Write, into a merged model's own folder, the graph that its strategy needs, its weights in so many bits."""
    (export_tagger if strategy == "tag" else export_generator)(model, model)
    if bits is not None:
        quantize(model / (TAG_GRAPH if strategy == "tag" else GENERATE_GRAPH), bits)


class _quiet:  # noqa: N801 - reads as a statement
    """Tracing warns about constants it folds and loss types it does not know; neither concerns a user."""

    def __enter__(self) -> None:
        import logging
        import warnings

        self._caught = warnings.catch_warnings()
        self._caught.__enter__()
        warnings.simplefilter("ignore")
        self._level = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *exc: object) -> None:
        import logging

        logging.disable(self._level)
        self._caught.__exit__(None, None, None)


def _properties(name: str, model: Path) -> dict[str, Any]:
    """Properties of compiled graphs: bf16 where the engine of this name uses it and the processor has it.

    Quantised weights are multiplied in int8, but not by the engine that computes in fp32. The hint is LATENCY: with
    THROUGHPUT, OpenVINO 2026.4.1 divides by zero on some virtual machines.
    """
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if name == IN_BF16 and _has_bf16() else "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": activation_group(model) if name == IN_BF16 else 0,
        "PERFORMANCE_HINT": "LATENCY",
    }


@functools.cache
def _has_bf16() -> bool:
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoTagger:
    """Tags windows with an exported backbone and a head.

    Args:
        folder: holds `tag.xml`.
        head: the linear layer; read from `head_folder` by the caller.
        codec: gives the pad id.
        name: the engine's, `openvino` or `openvino-f32`.

    Raises:
        ModelError: the folder has no exported backbone.
    """

    def __init__(self, folder: Path, head: Head | None, codec: Codec, name: str = IN_BF16) -> None:
        import openvino

        self.name = name
        graph = folder / TAG_GRAPH
        if not graph.is_file():
            raise ModelError(
                f"no {TAG_GRAPH}: this model was not exported for OpenVINO tagging",
                where=str(folder),
                do="use --engine transformers, or give a model that the merge stage of a recipe made",
            )
        self.head, self._pad = head, codec.pad_id
        streams = min(STREAMS, cores())
        properties = _properties(name, folder) | {"CPU_RUNTIME_CACHE_CAPACITY": KERNELS, "NUM_STREAMS": streams}
        self._queue = openvino.AsyncInferQueue(openvino.Core().compile_model(str(graph), "CPU", properties), streams)

    def hidden(self, inputs: Sequence[TagInput]) -> list[NDArray[np.float32]]:
        """Return last hidden states [tokens, hidden] of each window."""
        import numpy as np

        out: list[Any] = [None] * len(inputs)

        def keep(request: Any, places: Sequence[int]) -> None:
            states = request.get_output_tensor(0).data
            for row, place in enumerate(places):
                out[place] = states[row, : len(inputs[place].ids)].astype(np.float32)

        self._queue.set_callback(keep)
        for ids, places in self.batches(inputs):
            self._queue.start_async({0: ids}, places)
        self._queue.wait_all()
        return out

    def batches(self, inputs: Sequence[TagInput]) -> Iterator[tuple[NDArray[np.int64], list[int]]]:
        """Yield ids [rows, tokens], padded, and which windows they are; like lengths together, the longest first."""
        import numpy as np

        order = sorted(range(len(inputs)), key=lambda i: len(inputs[i].ids))
        while order:
            widest = max(1, -(-len(inputs[order[-1]].ids) // WIDTHS)) * WIDTHS
            rows = max(1, min(len(order), BATCH_TOKENS // widest))
            places, order = order[-rows:], order[:-rows]
            ids = np.full((rows, widest), self._pad, dtype=np.int64)
            for row, place in enumerate(places):
                ids[row, : len(inputs[place].ids)] = inputs[place].ids
            yield ids, places

    def tag(self, inputs: Sequence[TagInput]) -> list[NDArray[np.float32]]:
        """Return logits [sentences, fields] of each window.

        Raises:
            ModelError: there is no head.
        """
        if self.head is None:
            raise ModelError(f"no {HEAD_FILE}: this model cannot tag", do="train with strategy: tag")
        head = self.head
        return [head(states, item.bounds) for states, item in zip(self.hidden(inputs), inputs, strict=True)]


def in_order(prompts: Sequence[Sequence[int]], most: int) -> Iterator[list[int]]:
    """Yield the places of prompts, at most so many at once, so that a prefix cache serves all that it can.

    Prompts that run at once compute a common beginning each. So of neighbours that begin alike the first runs with the
    first ones of other such groups, and the others after it.
    """
    groups: list[list[int]] = []
    for place, prompt in enumerate(prompts):
        if place and agreement(prompts[place - 1], prompt) >= WORTH_SHARING:
            groups[-1].append(place)
        else:
            groups.append([place])
    for start in range(0, len(groups), most):
        some = groups[start : start + most]
        yield [group[0] for group in some]
        others = [place for group in some for place in group[1:]]
        yield from (others[at : at + most] for at in range(0, len(others), most))


class OpenVinoGenerator:
    """Generates with OpenVINO GenAI: continuous batching, prefix cache, grammar.

    One pipeline serves one set of weights, so its prefix cache is never shared between adapters.

    Args:
        folder: holds the exported language model.
        codec: gives the stop id.
        name: the engine's, `openvino` or `openvino-f32`.
        cache_gb: memory of the prefix cache, GB.
        sequences: how many prompts run at once.

    Raises:
        ModelError: the folder has no exported language model.
    """

    def __init__(
        self, folder: Path, codec: Codec, name: str = IN_BF16, *, cache_gb: int = 2, sequences: int = 16
    ) -> None:
        import openvino_genai

        self.name = name
        if not (folder / GENERATE_GRAPH).is_file():
            raise ModelError(
                f"no {GENERATE_GRAPH}: this model was not exported for OpenVINO generation",
                where=str(folder),
                do="use --engine transformers, or give a model that the merge stage of a recipe made",
            )
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.cache_size, scheduler.max_num_seqs = cache_gb, sequences
        scheduler.enable_prefix_caching, scheduler.max_num_batched_tokens = True, 4096
        self._codec, self._sequences = codec, sequences
        properties = _properties(name, folder)
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(str(folder), scheduler, "CPU", properties)

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        options: GenerateOptions,
        grammars: Sequence[str | None] | None = None,
    ) -> list[Generation]:
        """Continue each prompt, `sequences` at a time; of those that begin alike, the first before the others."""
        import numpy as np
        import openvino

        out: dict[int, Generation] = {}
        for chunk in in_order(prompts, self._sequences):
            tensors = [openvino.Tensor(np.array([list(prompts[i])], dtype=np.int64)) for i in chunk]
            configs = [self._config(options, grammars[i] if grammars else None) for i in chunk]
            for i, done in zip(chunk, self._pipeline.generate(tensors, configs), strict=True):
                out[i] = self._generation(prompts[i], done)
        return [out[i] for i in range(len(prompts))]

    def _config(self, options: GenerateOptions, grammar: str | None) -> Any:
        import openvino_genai

        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = options.max_tokens
        config.eos_token_id = self._codec.stop_id
        config.stop_token_ids = {self._codec.stop_id}
        config.do_sample = options.temperature > 0
        if options.temperature > 0:
            config.temperature, config.rng_seed = options.temperature, options.seed
        if grammar is not None:
            config.structured_output_config = openvino_genai.StructuredOutputConfig(grammar=grammar)
        return config

    def _generation(self, prompt: Sequence[int], done: Any) -> Generation:
        """Take one result; GenAI gives no probabilities for greedy decoding, so there is no confidence."""
        ids = list(done.m_generation_ids[0])
        stopped = bool(ids) and ids[-1] == self._codec.stop_id
        kept = ids[:-1] if stopped else ids
        return Generation(text=self._codec.decode(kept), ids=tuple(kept), prompt_tokens=len(prompt), stopped=stopped)


def exporters() -> list[str]:
    """Return what, beside its weights, decides which graphs are made of it: the versions of all that makes them."""
    return [str(EXPORT_VERSION), *(version(name) for name in ("openvino", "nncf", "optimum-intel"))]


def exported_base(base: Base) -> Path:
    """Return the folder of a base model's OpenVINO export, made once in the cache."""
    folder = cache_folder() / "openvino" / sha256_json([base.weights_sha256, exporters()])[:24]
    return made_once(folder, lambda out: export_generator(base.path, out))
