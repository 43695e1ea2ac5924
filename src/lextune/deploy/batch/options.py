"""What a batch is run with: the release that answers, the settings that change answers, and those that do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Protocol

from lextune.core.artifacts import sha256_json
from lextune.core.provenance import package_versions
from lextune.core.records import Document, Prediction
from lextune.text.reading import Limits


class Answering(Protocol):
    """An expert: see `lextune.expert.answering.Expert`."""

    def answer(self, document: Document, *, min_confidence: float | None = None) -> Prediction:
        """Answer every field from one document."""
        ...


class Source(NamedTuple):
    """The release that answers.

    Attributes:
        name, hash: of the release; of a compact one the hash of what was unpacked, which is the same everywhere.
        engine: what runs it.
        start: loads it; called where it works, and only where there is work. For a cluster it must be picklable.
        gpus: whether it can use a GPU.
    """

    name: str
    hash: str
    engine: str
    start: Callable[[], Answering]
    gpus: bool = False


@dataclass(frozen=True)
class BatchOptions:
    """How a batch is run.

    Args:
        min_confidence: answers less sure than this are marked for review; None takes the release's own limit.
        limits: what one document may cost to read.
        retry_failed: whether documents that failed in an earlier run are read again.
        limit: so many documents are read at most, beside those that are finished; None for all.
        machine_price: of an hour of one machine; None where it is not known.
        workers: documents that are read (not answered) at a time, 0 for one a core; with `ray` the processes that hold
            the model, 0 for one a core or GPU.
        ray: the address of a cluster (`lextune.core.cluster`) that reads and answers.
    """

    min_confidence: float | None = None
    limits: Limits = Limits()  # noqa: RUF009 - frozen
    retry_failed: bool = False
    limit: int | None = None
    machine_price: float | None = None
    workers: int = 0
    ray: str | None = None


def configuration(source: Source, options: BatchOptions) -> dict[str, Any]:
    """Return everything that can change an answer, as plain JSON: records of two configurations are never mixed."""
    return {
        "lextune": package_versions().get("lextune"),
        "release": source.name,
        "release_hash": source.hash,
        "engine": source.engine,
        "min_confidence": None if options.min_confidence is None else float(options.min_confidence),  # 1 is 1.0
        "limits": asdict(options.limits) | {"seconds": float(options.limits.seconds)},
    }


def configuration_hash(values: dict[str, Any]) -> str:
    """Return the hash that a configuration is known by."""
    return sha256_json({name: value for name, value in values.items() if name != "release"})
