"""The search for training settings: trials of one recipe, side by side, in a study that goes on where it was killed.

Examples and preflight are made once, by their stages. A trial is the recipe's training with other settings, the same
examples and the same seed; so the options that are printed with it give the same adapter by `lextune run`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, NamedTuple

from lextune.core.artifacts import Artifact, sha256_json
from lextune.core.counts import counted
from lextune.core.errors import MachineError
from lextune.core.parallel import cores
from lextune.core.stage import Context, Inputs, Stage, Summary
from lextune.expert.released import adapter_hash
from lextune.expert.weights import resolve_base
from lextune.train.search_settings import SearchSettings
from lextune.train.stages import SftConfig
from lextune.train.study import Study, mend, need_optuna
from lextune.train.tracking import check_trackers, told

VERSION = 1  # of the stage; a study of another is not gone on with
LATER = ("trials", "general_drop")  # settings that change nothing in a trial
LOOK = 1.0  # seconds between two looks at what other processes have done


class SearchConfig(SftConfig):
    """What is trained, and where to look for better settings."""

    search: SearchSettings
    """The settings that are tried."""


class Job(NamedTuple):
    """What a process needs to take part in a search."""

    config: SearchConfig
    inputs: dict[str, str]
    folder: Path
    seed: int
    recipe: str
    """Its name."""

    def study(self) -> Study:
        """Open the study."""
        return Study(self.folder, self.config.search, self.config.train, self.seed)


def run_search(config: SearchConfig, inputs: Inputs, out: Path, context: Context) -> Summary:
    """Run trials until there are enough, then write the table, the plots, and what is recommended.

    `context.options["jobs"]` is the number of processes: one a GPU by default, and one where there is none.

    Raises:
        MachineError: optuna is not installed, or a process of the search was killed.
    """
    from lextune.train.search_report import write_report

    need_optuna()
    check_trackers(config.train.report_to)
    folder = out.parent / f".study-{_key(config, inputs, context.seed)[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    mend(folder)
    job = Job(
        config,
        {name: str(artifact.path) for name, artifact in inputs.items()},
        folder,
        context.seed,
        context.options.get("name", ""),
    )
    study = job.study()
    again = study.begin()
    if again:
        context.warn(f"going on with {counted(again, 'trial')} that a kill cut short")
    devices = visible_gpus()
    jobs = context.options.get("jobs") or max(1, len(devices))
    total = config.search.trials
    if jobs == 1:
        _work(job, lambda note: context.progress(study.finished(), total, note))
    else:
        _side_by_side(job, jobs, devices, lambda: context.progress(study.finished(), total, _standing(study)))
    return write_report(out, study, config)


def _key(config: SearchConfig, inputs: Inputs, seed: int) -> str:
    """Return what a study is found by: all but the number of trials, so that more of them can be asked for."""
    settings = config.model_dump(mode="json")
    settings["search"] = {name: value for name, value in settings["search"].items() if name not in LATER}
    read = {name: artifact.hash for name, artifact in inputs.items() if name != "preflight"}
    begun = config.train.init_adapter and adapter_hash(config.train.init_adapter)
    return sha256_json([VERSION, settings, seed, read, resolve_base(config.base).weights_sha256, begun])


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return named.split(",")[:count] if named else [str(number) for number in range(count)]


def _work(job: Job, report: Callable[[str], None]) -> None:
    """Run trials, one after another, until there are enough."""
    from lextune.train.trial import Trials

    study = job.study()
    inputs = {name: Artifact.open(path, verify=False) for name, path in job.inputs.items()}
    trials = Trials(job.config, inputs, study, job.recipe)
    while (trial := study.next()) is not None:
        name = f"trial {trial.number}"
        report(name)
        trials.run(trial, lambda step, steps, logs, name=name: report(f"{name}: {step}/{steps}, {told(logs)}"))
    report(_standing(study))


def _standing(study: Study) -> str:
    best = study.best()
    found = " ".join(f"{value:.4g}" for value in best[0].values) if best else "none yet"
    return f"best {found}" if len(study.ups) == 1 else f"{len(best)} on the front"


def _side_by_side(job: Job, jobs: int, devices: list[str], report: Callable[[], None]) -> None:
    """Run trials in several processes, each with a GPU where there are any, else with a share of the cores."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        work = [
            pool.submit(_take_part, job, devices[n % len(devices)] if devices else "", max(1, cores() // jobs))
            for n in range(jobs)
        ]
        while wait(work, LOOK, return_when=FIRST_EXCEPTION).not_done and not any(map(_failed, work)):
            report()
        job.study().stop()  # the others of one that failed end with the trial they are in
        try:
            for one in sorted(work, key=_failed, reverse=True):
                one.result()
        except BrokenProcessPool:
            raise MachineError(
                "a process of the search was killed, perhaps for want of memory",
                where="train search",
                do="run the same command again with fewer --jobs: it goes on from here",
            ) from None
    report()


def _failed(future: Any) -> bool:
    return bool(future.done() and future.exception() is not None)


def _take_part(job: Job, device: str, threads: int) -> None:
    """Work on a study in a process of its own; nothing may have touched the GPUs in it before."""
    if device:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    import torch

    threading.Thread(target=_end_with, args=(parent_process(),), daemon=True).start()
    torch.set_num_threads(threads)
    _work(job, lambda note: None)


def _end_with(parent: Any) -> None:
    """End this process when the one that started it is gone: the next search takes over its trial."""
    parent.join()
    os._exit(1)


STAGES = (Stage("search", VERSION, ("examples", "preflight", "split"), SearchConfig, run_search, "search"),)
