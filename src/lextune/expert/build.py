"""From folders to experts: the one place where a model folder, thresholds and a schema become what answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.errors import MachineError, ModelError, RequestError
from lextune.expert.answering import Expert, Identity
from lextune.expert.beside import NOTHING, Beside
from lextune.expert.edges import EdgeTagger
from lextune.expert.engines.base import Generator, LocalChat, Tagger
from lextune.expert.engines.openvino_ import IN_BF16, IN_FP32, OpenVinoGenerator, OpenVinoTagger
from lextune.expert.head import Head
from lextune.expert.linear import LinearTagger
from lextune.expert.readers import LinearReader, PointReader, TagReader, TextReader, WindowReader
from lextune.expert.schema import Schema
from lextune.expert.tasks import is_prose
from lextune.expert.templates import Codec
from lextune.expert.thresholds import Thresholds
from lextune.expert.weights import Base, resolve_base
from lextune.expert.windowing import WindowConfig
from lextune.expert.writing import WritingExpert

ENGINES: tuple[str, ...] = (IN_BF16, IN_FP32, "transformers")


def in_openvino(engine: str) -> bool:
    """Return whether this engine runs a model's OpenVINO export."""
    return engine in (IN_BF16, IN_FP32)


def check_engine(engine: str) -> None:
    """Check an engine's name.

    Raises:
        RequestError: no such engine.
    """
    if engine not in ENGINES:
        raise RequestError(f"no engine {engine!r}", where="--engine", do=f"use one of {', '.join(ENGINES)}")


class LoadedModel(NamedTuple):
    """A merged model folder and the engine that will run it; engines start when they are asked for."""

    folder: Path
    engine: str
    codec: Codec
    info: dict[str, Any]

    def base(self) -> Base:
        """Return the folder as a base model."""
        return resolve_base(str(self.folder))

    def tagger(self) -> Tagger:
        """Start the engine as a tagger.

        Raises:
            ModelError: the model has no head.
        """
        head = Head.load(self.folder)
        if in_openvino(self.engine):
            return OpenVinoTagger(self.folder, head, self.codec, self.engine)
        from lextune.expert.engines.transformers_ import TransformersEngine

        return TransformersEngine(self.base())

    def generator(self) -> Generator:
        """Start the engine as a generator."""
        if in_openvino(self.engine):
            return OpenVinoGenerator(self.folder, self.codec, self.engine)
        from lextune.expert.engines.transformers_ import TransformersEngine

        return TransformersEngine(self.base())


def load_model(folder: Path, engine: str) -> LoadedModel:
    """Read a merged model's folder.

    Raises:
        RequestError: no such engine.
        MachineError: the engine's package is not installed.
        ModelError: the folder is not a merged model.
    """
    check_engine(engine)
    if in_openvino(engine):
        try:
            import openvino  # noqa: F401
        except ImportError:
            raise MachineError(
                "the engine openvino is not installed",
                do="pip install openvino openvino-genai, or --engine transformers",
            ) from None
    note = folder / "model.json"
    if not note.is_file():
        raise ModelError("not a merged model: no model.json", where=str(folder), do="run `lextune release merge`")
    return LoadedModel(folder, engine, Codec(folder), json.loads(note.read_text(encoding="utf-8")))


def build_expert(
    model: LoadedModel,
    schema: Schema,
    thresholds: Thresholds,
    window: WindowConfig,
    identity: Identity,
    beside: Beside = NOTHING,
) -> Expert | WritingExpert:
    """Return the expert that a merged model is, by its own strategy.

    Raises:
        ModelError: the strategy is `tag` and the model has no head.
    """
    engine = model.tagger() if identity.strategy == "tag" else model.generator()
    return expert_over(engine, model.codec, schema, thresholds, window, identity, beside)


def expert_over(  # noqa: PLR0913 - the parts of an expert
    engine: Any,
    codec: Codec,
    schema: Schema,
    thresholds: Thresholds,
    window: WindowConfig,
    identity: Identity,
    beside: Beside = NOTHING,
) -> Expert | WritingExpert:
    """Return the expert over an engine that runs: the one place where a strategy becomes what answers.

    Args:
        engine: a `Tagger` for `tag`, a `Generator` for `point` and `text`.
        codec: of the base model.
        schema: the fields, or the one that is written freely.
        thresholds: when a field is present, and which fields may be answered.
        window: how documents are cut.
        identity: its strategy decides.
        beside: what else is asked, where the release has it.
    """
    parts: dict[str, Any] = {"codec": codec, "thresholds": thresholds, "window": window}
    parts["edge_tagger"] = beside.edge_tagger
    if identity.strategy == "tag":
        tagged = beside.reader(TagReader(codec, engine, thresholds), thresholds)
        return Expert(identity, schema, tagged, **parts)
    chatter = LocalChat(engine, codec)
    if is_prose(schema):
        return WritingExpert(identity, schema, chatter)
    reader: WindowReader = PointReader(chatter, schema)
    if identity.strategy == "text":
        reader = TextReader(chatter, schema, thresholds.trained_fields)
    return Expert(identity, schema, reader, **parts, chatter=chatter)


def linear_expert(
    folder: Path, made: str, schema: Schema, thresholds: Thresholds, codec: Codec, window: WindowConfig
) -> Expert:
    """Return the linear baseline as an expert.

    Args:
        folder: holds its tagger, and the edges of quotes where they were learnt.
        made: its hash.
        schema: the fields.
        thresholds: its own.
        codec: of the base model, by whose tokens documents are cut.
        window: how documents are cut.
    """
    return Expert(
        Identity("linear", made, "linear"),
        schema,
        LinearReader(LinearTagger.load(folder), thresholds),
        codec=codec,
        thresholds=thresholds,
        window=window,
        edge_tagger=EdgeTagger.load(folder),
    )
