"""What every stage is: a pure function of typed config and input artifacts, and what it may report."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.artifacts import Artifact, ArtifactStore
from lextune.core.recipe import Config

Progress = Callable[[int, int, str], None]
Inputs = Mapping[str, Artifact]
Summary = dict[str, Any]


def quiet(done: int, total: int, note: str) -> None:
    """Report nothing."""


def as_warning(text: str) -> None:
    """Warn by Python's own means, where nobody shows the user what is noted."""
    warnings.warn(text, RuntimeWarning, stacklevel=3)


@dataclass(frozen=True)
class Context:
    """What a stage needs beside config and inputs: the seed, where to report progress, and what to warn by."""

    seed: int = 0
    progress: Progress = quiet
    options: dict[str, Any] = field(default_factory=dict)
    warn: Callable[[str], None] = as_warning


Run = Callable[[Any, Inputs, Path, Context], Summary]


class Stage(NamedTuple):
    """One arrow of the flow: its name, version, the kinds it takes and makes, its config type and function."""

    name: str
    version: int
    inputs: tuple[str, ...]
    config: type[Config]
    run: Run
    kind: str

    def header(
        self, config: Config, seed: int, inputs: Inputs, named: Mapping[str, str] | None = None
    ) -> tuple[dict[str, Any], str]:
        """Return what the manifest of the stage's artifact will say, and the key that it is found by.

        Args:
            config: the stage's settings.
            seed: of the run.
            inputs: the artifacts it reads.
            named: hashes of files that the settings name by path.
        """
        settings = config.model_dump(mode="json")
        hashes = {name: artifact.hash for name, artifact in inputs.items()} | dict(named or {})
        header = {
            "kind": self.kind,
            "stage": self.name,
            "stage_version": self.version,
            "config": settings,
            "seed": seed,
            "inputs": hashes,
            "parents": {name: artifact.path.name for name, artifact in inputs.items()},
        }
        return header, ArtifactStore.key(self.name, self.version, settings, seed, hashes)
