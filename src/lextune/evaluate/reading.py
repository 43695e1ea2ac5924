"""The tuned model reads other documents than the test's own: its settings, and how it is made."""

from __future__ import annotations

from lextune.core.recipe import Config
from lextune.core.stage import Inputs
from lextune.evaluate.arms import TUNED, Arm
from lextune.expert.answering import Expert, Identity
from lextune.expert.beside import Beside
from lextune.expert.build import build_expert, load_model
from lextune.expert.cleaned import behind_cleaning
from lextune.expert.schema import load_schema
from lextune.expert.thresholds import Thresholds
from lextune.expert.windowing import WindowConfig
from lextune.expert.writing import WritingExpert
from lextune.text.cleaning import CleanOptions


class ReadConfig(Config):
    """How the model reads, as in `predict`."""

    schema_name: str
    """A built-in schema, or the path of a YAML file with one."""
    window: WindowConfig
    """How documents are cut."""
    engine: str = "openvino"
    """The engine that runs the model: `openvino`, `openvino-f32` or `transformers`."""


class ServedConfig(ReadConfig):
    """How documents are read that did not go through the run's cleaning: as the release will."""

    clean: CleanOptions | None = None
    """How every document is cleaned before it is read; null for not at all."""


def tuned_arm(config: ServedConfig, inputs: Inputs) -> Arm:
    """Return the tuned model (inputs `model` and `thresholds`) as what answers a document."""
    return behind_cleaning(tuned_expert(config, inputs), config.clean).answer


def tuned_expert(config: ReadConfig, inputs: Inputs, made: str = "model", name: str = TUNED) -> Expert | WritingExpert:
    """Return a merged model as the expert that is served, with the thresholds of the tuned one.

    Args:
        config: how it reads.
        inputs: `model`, or another merged model under the name `made`, and `thresholds`; `linear` where there is one.
        made: the input that is the model.
        name: of the expert.
    """
    model = load_model(inputs[made].path, config.engine)
    identity = Identity(name, inputs[made].hash, model.info["strategy"])
    cuts = Thresholds.load(inputs["thresholds"].file("model.json"))
    return build_expert(model, load_schema(config.schema_name), cuts, config.window, identity, beside(inputs))


def beside(inputs: Inputs) -> Beside:
    """Return what is asked beside the model, as it will be released."""
    return Beside.load(inputs["linear"].path, inputs["thresholds"].path) if "linear" in inputs else Beside()
