"""What a run needs of a GPU, from shapes alone: memory, time, cost, and the change of settings that makes it fit.

Letters: h width of a token's state, i width inside the feed-forward part, q and k widths of all queries and all keys.
Sizes are in bytes, for each GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from lextune.train.gpus import COUNTS, GPUS, Machine
from lextune.train.settings import TrainConfig
from lextune.train.shapes import Shape
from lextune.train.team import Sharding

GIB = 2**30
NF4 = (4 + 8 / 64 + 32 / (64 * 256)) / 8
"""Bytes of a weight in nf4: a constant of 8 bits for 64 weights, of 32 for 256 of those (QLoRA, Dettmers 2023, 2)."""
SHARED = {"k_proj": "q_proj", "v_proj": "q_proj", "up_proj": "gate_proj"}  # matrices that read what another reads
CHUNK = 512  # learnt tokens whose logits exist at one time, as in `lextune.train.loss`
CONTEXT = 1.0 * GIB  # CUDA's own, its kernels and the workspaces of its libraries
SPLINTERS = 0.05  # share of what is allocated that the allocator cannot use again
EFFICIENCY = 0.4
"""Share of a GPU's dense rate that training reaches. Assumed: published runs lie between 0.3 and 0.5."""
SCALING: dict[Sharding, float] = {"ddp": 0.95, "zero2": 0.9, "fsdp": 0.8, "zero3": 0.8}
"""Share of that which is left where several GPUs wait for one another. Assumed."""
START = 30.0  # seconds to import and set up
DISK = 1e9  # bytes of weights read a second
SMALLEST = 1024  # tokens in a pass under which a GPU has too little to do


class Memory(NamedTuple):
    """Bytes on each GPU."""

    weights: float
    """The base's weights."""
    trained: float
    """What is trained, in fp32, with copies in bf16, gradients, and Adam's two moments."""
    activations: float
    """What a pass keeps for its backward part, and what one layer needs besides."""
    logits: float
    """Logits of one chunk of learnt tokens, with their gradients."""
    overhead: float
    """CUDA's context, and memory that is split too small to use."""

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self)


def memory(
    shape: Shape, config: TrainConfig, trained: int, longest: int, *, world: int = 1, sharding: Sharding = "ddp"
) -> Memory:
    """Return what a run needs on each GPU.

    Args:
        shape: of the base.
        config: settings of the run.
        trained: weights that are trained; see `lextune.train.outline`.
        longest: tokens of the longest example, which may be more than `pass_tokens`.
        world: GPUs.
        sharding: what they divide: the examples, gradients and optimizer too (`zero2`), or all (`fsdp`, `zero3`).
    """
    weights, parted = weight_bytes(shape, config), sharding in ("fsdp", "zero3")
    if parted and world > 1:  # the layer in use and the one fetched ahead are whole
        weights = weights / world + 2 * weights * shape.in_layers / shape.parameters / shape.layers
    own = 0 if config.method == "full" else 4  # weights of its own, beside the base's
    copies = 2 if config.precision == "bf16" else 0  # that are computed with
    states = 12 / (world if sharding != "ddp" else 1)
    tokens = max(config.pass_tokens, longest)
    parts = (
        weights,
        trained * (own / (world if parted else 1) + copies + states),
        tokens * activation_bytes(shape, config),
        0.0 if config.strategy == "tag" else CHUNK * shape.vocabulary * 16.0,  # bf16 and fp32, and their gradients
    )
    return Memory(*parts, CONTEXT + SPLINTERS * sum(parts))


def weight_bytes(shape: Shape, config: TrainConfig) -> float:
    """Return the size of the base: all fp32 (`full`), layers in nf4 and the rest in bf16 (`qlora`), or all alike."""
    if config.method == "full":
        return 4.0 * shape.parameters
    if config.method == "qlora":
        return NF4 * shape.in_layers + 2.0 * (shape.parameters - shape.in_layers)
    return (2.0 if config.precision == "bf16" else 4.0) * shape.parameters


def layer_bytes(shape: Shape, config: TrainConfig) -> float:
    """Return what one layer keeps of one token for its backward pass.

    After Korthikanti et al. 2022 (section 4.1: 34 s b h for GPT), for RMSNorm, a gated feed-forward part, grouped
    queries, and attention whose weights are computed again. In bf16, under an adapter: 8 h for two norms in fp32;
    4 h + 2 q + 2 i for the inputs of the matrices; 2 q + 4 k for attention; 6 i for the gate; 2 r for each adapted
    matrix. Where PEFT or autocast computes, each matrix keeps its input for itself.
    """
    size = 2 if config.precision == "bf16" else 4
    h, i, q, k = shape.hidden, shape.inner, shape.queries, shape.keys
    full = config.method == "full"
    own = config.method == "qlora" or (full and size == 2) or config.lora.dropout > 0 or config.lora.dora
    norms = 16 * h if full else 8 * h
    taken = set(shape.linear) if full else _adapted(shape, config)  # a matrix that is not learnt keeps no input
    kept = {n if own else SHARED.get(n, n): width for n, (width, _) in shape.linear.items() if n in taken}
    inputs = size * sum(kept.values())
    attention = size * (q + 2 * k)
    gate = size * 3 * i
    low = 0 if full else size * config.lora.r * len(taken)
    mask = sum(kept.values()) if config.lora.dropout and not full else 0
    return norms + inputs + attention + gate + low + mask


def activation_bytes(shape: Shape, config: TrainConfig) -> float:
    """Return what a pass needs for each of its tokens: what all layers keep, and the gradients inside one of them.

    With checkpointing each layer keeps its input, and one at a time the rest. A GPU's attention keeps its output too.
    """
    size = 2 if config.precision == "bf16" and config.method != "full" else 4  # of the states between layers
    gradients = 2.0 * size * shape.inner + 8.0 * shape.hidden
    layer = layer_bytes(shape, config) + 2 * shape.queries
    again = config.gradient_checkpointing
    return (shape.layers * size * shape.hidden + layer if again else shape.layers * layer) + gradients


def _adapted(shape: Shape, config: TrainConfig) -> set[str]:
    """Return which matrices of a layer are adapted; of a pattern it is not known, and all are taken."""
    target = config.lora.target
    return set(shape.linear) if isinstance(target, str) else set(target) & set(shape.linear)


class Budget(NamedTuple):
    """Tokens of a run. `length` is of the mean example; `evaluated` counts every evaluation."""

    tokens: int
    learnt: int
    length: float
    evaluated: int = 0


def flops(shape: Shape, config: TrainConfig, trained: int, budget: Budget) -> float:
    """Return the operations of a run.

    A weight costs 2 for each token forward (Kaplan et al. 2020), 2 for the gradient of its input, 2 more for its own
    where it is trained, 2 again where the layer is computed again. Attention costs 2 x length x q a layer and token
    forward where it is causal, twice that where not, and 2.5 times as much backward (Dao 2023). The head is computed
    for learnt tokens.
    """
    full = config.method == "full"
    again = 1 if config.gradient_checkpointing else 0
    forward = 2.0 * shape.in_layers
    attention = (4.0 if config.attention == "bidirectional" else 2.0) * budget.length * shape.queries * shape.layers
    adapter = 0.0 if full else 2.0 * trained
    head = 0.0 if config.strategy == "tag" else 2.0 * shape.embedding
    token = forward * (2 + again + full) + attention * (3.5 + again) + adapter * (3 + again)
    learnt = head * (3 + full) * budget.learnt
    return token * budget.tokens + learnt + (forward + attention + adapter) * budget.evaluated


class Plan(NamedTuple):
    """A run on a machine."""

    machine: Machine
    sharding: Sharding
    memory: Memory
    seconds: float
    tokens_per_second: float
    dollars: float

    @property
    def fits(self) -> bool:
        """Whether the memory suffices."""
        return self.memory.total <= self.machine.gpu.gib * GIB

    def as_json(self) -> dict[str, Any]:
        """Return it for machines to read, memory in GiB."""
        parts = {name: round(value / GIB, 2) for name, value in self.memory._asdict().items()}
        return {
            "gpu": self.machine.name,
            "sharding": self.sharding,
            "memory_gib": {**parts, "total": round(self.memory.total / GIB, 2), "of": self.machine.gpu.gib},
            "fits": self.fits,
            "seconds": round(self.seconds),
            "tokens_per_second": round(self.tokens_per_second),
            "dollars": round(self.dollars, 2),
        }


class Run(NamedTuple):
    """What is planned for: the base's shape, the settings, what is trained, and the tokens."""

    shape: Shape
    config: TrainConfig
    trained: int
    longest: int
    budget: Budget


def plan(run: Run, machine: Machine, sharding: Sharding, price: float | None = None) -> Plan:
    """Return memory, time and cost of a run on a machine; `price` is of one GPU an hour, in dollars."""
    shape, config, trained, longest, budget = run
    gpu, count = machine
    sharding = sharding if count > 1 else "ddp"
    needed = memory(shape, config, trained, longest, world=count, sharding=sharding)
    workers = count * SCALING[sharding] if count > 1 else 1.0
    times = 3 if config.gradient_checkpointing else 2
    passes = (budget.tokens + budget.evaluated / times) / max(config.pass_tokens, longest)
    read = times * passes * weight_bytes(shape, config) / (gpu.gb_per_second * 1e9)
    seconds = max(flops(shape, config, trained, budget) / (gpu.tflops * 1e12 * EFFICIENCY), read)
    if config.method == "qlora":  # each time the weights are written out in bf16, and read again
        seconds += times * passes * shape.in_layers * 4 / (gpu.gb_per_second * 1e9)
    seconds = seconds / workers
    whole = seconds + START + 2 * shape.parameters / DISK  # files are in bf16
    dollars = whole / 3600 * count * (gpu.dollars if price is None else price)
    return Plan(machine, sharding, needed, whole, budget.tokens / max(seconds, 1e-9), dollars)


class Advice(NamedTuple):
    """A plan that fits, and the settings to change for it, as `--set` takes them."""

    plan: Plan
    settings: dict[str, Any]

    @property
    def lines(self) -> list[str]:
        """As words of a command line."""
        return [f"--set {name}={str(value).lower()}" for name, value in self.settings.items()]


def advise(run: Run, machine: Machine, sharding: Sharding) -> Advice | None:
    """Return the least change that makes a run fit: of its settings, else of the machine; None where nothing does.

    Smaller passes cost nothing, checkpointing about a third more time; 4 bits and another method change the result
    and come last. Of machines it is the cheapest by the hour, several GPUs with `fsdp`.
    """
    for changed, settings in _smaller(run):
        found = plan(changed, machine, sharding)
        if found.fits:
            return Advice(found, settings)
    larger = [Machine(gpu, count) for gpu in GPUS for count in COUNTS]
    larger.sort(key=lambda m: (m.gpu.dollars * m.gpus, m.gpus))
    for other in larger:
        for changed, settings in _smaller(run, methods=(run.config.method,)):
            found = plan(changed, other, "fsdp")
            if found.fits:
                return Advice(found, settings)
    return None


def _smaller(run: Run, methods: tuple[str, ...] = ("full", "lora", "qlora")) -> Iterator[tuple[Run, dict[str, Any]]]:
    """Yield a run and smaller forms of it, with what was changed, the least change first."""
    config = run.config
    order = [method for method in ("full", "lora", "qlora") if method in methods]
    for method in order[order.index(config.method) :]:
        if method == "qlora" and config.precision == "fp32":
            continue
        for again in (False, True)[config.gradient_checkpointing :]:
            tokens = config.pass_tokens
            while tokens >= min(config.pass_tokens, max(run.longest, SMALLEST)):
                values = {"method": method, "gradient_checkpointing": again, "pass_tokens": tokens}
                settings = {f"train.{n}": v for n, v in values.items() if v != getattr(config, n)}
                trained = run.trained if method == config.method else _of_adapter(run.shape, config)
                yield run._replace(config=config.model_copy(update=values), trained=trained), settings
                tokens //= 2


def _of_adapter(shape: Shape, config: TrainConfig) -> int:
    """Return the weights of an adapter."""
    sizes = [sum(shape.linear[name]) for name in _adapted(shape, config)]
    return shape.layers * config.lora.r * sum(sizes)
