"""A Trainer that may be killed at any instant: it goes on from the newest whole checkpoint and keeps the best weights.

`Resumable` stands before a Trainer of transformers or TRL among the bases of a class.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from lextune.core.artifacts import SCRATCH
from lextune.train.callbacks import BestKeeper, Journal, silence
from lextune.train.checkpoints import keep, newest, progress, seal
from lextune.train.distributed import load_trainable, trainable
from lextune.train.runs import RunOptions
from lextune.train.settings import TrainConfig
from lextune.train.team import Followed, agree, leads
from lextune.train.tracking import tracked


class Resumable:
    """Saves what is trained, and nothing else, into checkpoints that are whole or not there."""

    model: Any
    args: Any
    state: Any
    accelerator: Any
    _saving: Path | None = None

    def watch(self, out: Path, config: TrainConfig, steps: int, run: RunOptions, callbacks: Sequence[Any] = ()) -> None:
        """Take what a Trainer's own constructor has no argument for: where the run lies, and who is told of it.

        Args:
            out: the staged artifact; checkpoints lie under `checkpoints/`, the journal is `log.jsonl`.
            config: which checkpoints are kept, and when a run is in vain.
            steps: of the run.
            run: report, metric, name, and where to warn of a corrupt checkpoint.
            callbacks: further callbacks of transformers.
        """
        self._out, self._config, self._steps, self._run = out, config, steps, run
        self._keeper = BestKeeper(self.model, out / SCRATCH, config, run.metric)
        self._journal = Journal(out, steps, run.report)
        self._weights: dict[str, Any] = {}
        for callback in (self._keeper, self._journal, *callbacks):
            self.add_callback(callback)  # type: ignore[attr-defined]
        silence(self)

    def finish(self) -> dict[str, Any]:
        """Train to the end, from the newest checkpoint if there is one; end with the best weights seen.

        Returns:
            steps, loss curves, best evaluation, and the checkpoint it continued from.

        Raises:
            Followed: here ends the part of a process that another one leads.
        """
        whole = newest(self._out, self._run.warn) if leads() else None
        found = agree(str(whole) if whole else None)
        checkpoint = Path(found) if found else None
        steps, history = progress(checkpoint) if checkpoint else (0, [])
        if steps < self._steps and not self._keeper.in_vain(history):
            with tracked(self, self._out.parent / "tensorboard", self._run.name or self._out.name):
                self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)  # type: ignore[attr-defined]
            steps = self.state.global_step
        else:
            self._journal.take(history)
        self._keeper.restore()
        if not leads():
            raise Followed
        return {
            "steps": steps,
            "curves": self._journal.curves(),
            "best": self._keeper.best(),
            "resumed_from": checkpoint.name if checkpoint else None,
        }

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self._saving = self._out / SCRATCH / f"writing-{self.state.global_step}"
        self._weights = trainable(self.model)
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        if self.args.world_size > 1:
            self.accelerator.wait_for_everyone()
        if self.args.should_save:
            name = f"checkpoint-{self.state.global_step}"
            seal(self._saving / name, self._out / SCRATCH / name)
            self._saving.rmdir()
            keep(self._out, self._config.checkpoints_kept)
        self._saving, self._weights = None, {}

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._saving or super()._get_output_dir(trial))  # type: ignore[misc]

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self._weights, folder / "trainable.safetensors")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        weights = load_file(Path(resume_from_checkpoint) / "trainable.safetensors")
        load_trainable(model or self.model, weights)
