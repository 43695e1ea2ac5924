"""The processes of a launch: one leads and runs the stages, the others train beside it where it says so.

`torchrun` (or `accelerate launch`) starts them with the same command. The first leads: it alone makes artifacts and
writes files, so there is one of each, under the key that a run of one process gives it. The others wait until the
leader comes to a stage that trains, run that stage up to the end of its training in a folder that is thrown away,
and wait again. What must be the same everywhere they ask of the leader (`agree`).
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from lextune.core.artifacts import Artifact
from lextune.core.errors import LextuneError, MachineError
from lextune.core.recipe import Config
from lextune.core.stage import Context, Inputs, Stage

Sharding = Literal["ddp", "fsdp", "zero2", "zero3"]
TORCHRUN_SECONDS = 3.0  # in which torchrun notices that a process died; it looks every 0.1 s
WAIT = timedelta(days=7)  # for the leader: it may prepare data first


class Followed(Exception):  # noqa: N818 - it is no error
    """The training is over for a process that does not lead: what comes after it in a stage is the leader's."""


class Team:
    """What a process of a launch knows of it: whether it leads (runs the stages), and what the leader says.

    Args:
        sharding: what processes divide: examples alone (`ddp`), the optimizer too (`zero2`), or all (`fsdp`, `zero3`).
    """

    def __init__(self, sharding: Sharding) -> None:
        import torch
        from torch.distributed import PrefixStore, rendezvous

        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        self.sharding = sharding
        store, rank, _ = next(rendezvous("env://", timeout=WAIT))
        self.leads: bool = rank == 0
        launch = f"{os.environ.get('TORCHELASTIC_RUN_ID')} {os.environ.get('TORCHELASTIC_RESTART_COUNT')}"
        self._store, self._said = PrefixStore(f"lextune {launch}", store), 0

    def agree(self, value: Any) -> Any:
        """Return the leader's value, which must be JSON; each process calls this as often as the others."""
        key, self._said = f"{self._said}", self._said + 1
        if self.leads:
            self._store.set(key, json.dumps(value))
            return value
        self._store.wait([key], WAIT)
        return json.loads(self._store.get(key))

    def begin(self, stage: Stage, config: Config, inputs: Inputs, seed: int) -> None:
        """Tell the others, as the leader, that a stage begins which trains."""
        paths = {name: str(artifact.path) for name, artifact in inputs.items()}
        self.agree({"stage": stage.name, "config": config.model_dump(mode="json"), "inputs": paths, "seed": seed})

    def end(self) -> None:
        """Tell the others, as the leader, that no further stage trains."""
        self.agree(None)

    def follow(self, table: Mapping[str, Stage]) -> None:
        """Train with the leader until it ends.

        Args:
            table: the stages by name.
        """
        for job in self._jobs():
            stage = table[job["stage"]]
            inputs = {name: Artifact.open(path, verify=False) for name, path in job["inputs"].items()}
            with tempfile.TemporaryDirectory(prefix="lextune-") as folder:
                context = Context(job["seed"], warn=lambda text: None)
                try:
                    stage.run(stage.config.model_validate(job["config"]), inputs, Path(folder), context)
                except Followed:
                    continue
                raise RuntimeError(f"stage {stage.name} did not train")

    def _jobs(self) -> Iterator[dict[str, Any]]:
        while (job := self.agree(None)) is not None:
            yield job


@contextmanager
def ended_by_torchrun() -> Iterator[None]:
    """Wait a little before an unexpected failure is told.

    Where another process died, this one loses its connection; torchrun then ends it, and the cause alone is told.
    """
    try:
        yield
    except LextuneError:
        raise
    except Exception:
        time.sleep(TORCHRUN_SECONDS)
        raise


_team: Team | None = None


def join(sharding: Sharding) -> Team | None:
    """Return the team of this process, where it was launched as one of several; from then on `agree` asks it.

    Raises:
        MachineError: see `check_installed`.
    """
    global _team
    check_installed(sharding)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        _team = Team(sharding)
    return _team


def check_installed(sharding: Sharding) -> None:
    """Refuse what needs a package that is not here.

    Raises:
        MachineError: ZeRO without DeepSpeed.
    """
    if sharding.startswith("zero") and find_spec("deepspeed") is None:
        raise MachineError(
            "deepspeed is not installed",
            where=f"--sharding {sharding}",
            do="pip install 'lextune[zero]', or use --sharding fsdp, which needs nothing more",
        )


def sharding() -> Sharding | Literal["alone"]:
    """Return what the processes of a launch divide."""
    return _team.sharding if _team else "alone"


def agree(value: Any) -> Any:
    """Return the leader's value; the own one where this process works alone."""
    return value if _team is None else _team.agree(value)


def leads() -> bool:
    """Return whether this process leads, or works alone."""
    return _team is None or _team.leads
