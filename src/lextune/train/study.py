"""The memory of a search: an Optuna study in a folder, which any number of processes share and which survives a kill.

Optuna proposes settings and keeps what came of them, in a journal of one line an event. Ours is what a kill needs:
locks that die with their process, a last line that was cut is dropped, and a trial that was running is closed and
asked for again, with its checkpoints.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lextune.core.errors import MachineError
from lextune.train.search_settings import SearchSettings, Values
from lextune.train.settings import TrainConfig

JOURNAL = "study.jsonl"
RETRIES = 2  # times that a trial is begun again after its process died
KILLED, FIRST, WHY, EVALUATIONS = "killed", "first", "why", "evaluations"  # what is noted with a trial


def need_optuna() -> Any:
    """Return the package.

    Raises:
        MachineError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise MachineError(
            "optuna is not installed", where="train search", do="pip install 'lextune[search]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


class _Lock:
    """Optuna's lock of a journal, released by the system when its process dies (Optuna's own are files that stay)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def acquire(self) -> bool:
        self._handle = self._path.open("w")
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        self._handle.close()


class Study:
    """The trials of one search.

    Args:
        folder: of the journal; made where it is missing.
        settings: of the search.
        train: the recipe's training settings.
        seed: of each training, and of the proposals: they depend on it, on the trial's number, and on what was found.
    """

    def __init__(self, folder: Path, settings: SearchSettings, train: TrainConfig, seed: int) -> None:
        self._optuna = need_optuna()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.seed, self._settings, self._train = folder, seed, settings, train
        self._stopped = folder / "stopped"
        journal = self._optuna.storages.journal
        backend = journal.JournalFileBackend(str(folder / JOURNAL), lock_obj=_Lock(folder / "journal.lock"))
        metric = "maximize" if train.best_by == "metric" else "minimize"
        directions = [metric, *(["maximize"] if "general" in settings.objectives else [])]
        pruner = self._optuna.pruners.NopPruner()
        if settings.pruner == "median" and len(directions) == 1:
            pruner = self._optuna.pruners.MedianPruner(n_startup_trials=settings.startup)
        self._study = self._optuna.create_study(
            storage=self._optuna.storages.JournalStorage(backend),
            study_name="search",
            directions=directions,
            pruner=pruner,
            load_if_exists=True,
        )
        self.states = self._optuna.trial.TrialState

    @property
    def ups(self) -> tuple[bool, ...]:
        """Whether more is better, for each objective."""
        return tuple(direction.name == "MAXIMIZE" for direction in self._study.directions)

    def trials(self) -> list[Any]:
        """Return every trial as it is now."""
        return list(self._study.get_trials(deepcopy=False))

    def best(self) -> list[Any]:
        """Return the best trial, or with two objectives all that no other beats in both (the Pareto set)."""
        if not any(trial.state == self.states.COMPLETE for trial in self.trials()):
            return []
        return list(self._study.best_trials) if len(self.ups) > 1 else [self._study.best_trial]

    def note(self, name: str, value: Any = None) -> Any:
        """Keep a value with the study, or without one return what was kept (None before that)."""
        if value is not None:
            self._study.set_user_attr(name, value)
        return self._study.user_attrs.get(name)

    def begin(self) -> int:
        """Close what a killed search left open, have it tried again, and return how many trials that are.

        Nobody else may be at work on the study.
        """
        self._stopped.unlink(missing_ok=True)
        open_ = [trial for trial in self.trials() if trial.state == self.states.RUNNING]
        for trial in open_:
            first, tries = trial.user_attrs.get(FIRST, trial.number), trial.user_attrs.get("tries", 0) + 1
            again = tries <= RETRIES and trial.params
            self._mark(trial.number, KILLED if again else WHY, again or f"its process died {tries} times")
            self._study.tell(trial.number, state=self.states.FAIL)
            if again:
                kept = {EVALUATIONS: trial.user_attrs.get(EVALUATIONS, {}), FIRST: first, "tries": tries}
                self._study.enqueue_trial(trial.params, user_attrs=kept)
        own = self._settings.own(self._train)
        if own is not None and not self.trials():
            self._study.enqueue_trial(own)
        return len(open_)

    def _mark(self, number: int, name: str, value: Any) -> None:
        storage = self._study._storage
        identity = storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)
        storage.set_trial_user_attr(identity, name, value if isinstance(value, str) else True)

    def stop(self) -> None:
        """Let no process begin another trial."""
        self._stopped.touch()

    def next(self) -> Any:
        """Return the next trial to run, None where there are enough; safe in many processes."""
        with self._alone():
            if self._stopped.is_file() or self.counted() >= self._settings.trials:
                return None
            self._study.sampler = self._sampler(len(self.trials()))
            return self._study.ask(self._space())

    def counted(self) -> int:
        """Return how many trials are done or under way; one that was killed counts when it is tried again."""
        states = self.states
        closed = (states.COMPLETE, states.PRUNED, states.RUNNING, states.FAIL)
        return len([t for t in self.trials() if t.state in closed and KILLED not in t.user_attrs])

    def finished(self) -> int:
        """Return how many trials are done."""
        return self.counted() - len([trial for trial in self.trials() if trial.state == self.states.RUNNING])

    def tell(self, trial: Any, values: list[float] | None = None, *, pruned: bool = False) -> None:
        """Close a trial: with the values of its objectives, as pruned, or as failed."""
        state = self.states.PRUNED if pruned else self.states.FAIL if values is None else None
        self._study.tell(trial, values, state=state)

    def hopeless(self, trial: Any, values: list[list[float]]) -> bool:
        """Return whether a trial should stop.

        Args:
            trial: under way.
            values: for each of its evaluations so far, those of the objectives.

        With one objective Optuna's median rule decides. For two it has none; here a trial stops where it is worse, in
        both, than the median of what finished trials had at the same evaluation: one that is good in either may be a
        compromise worth having.
        """
        if len(self.ups) == 1:
            known = trial.study._storage.get_trial(trial._trial_id).intermediate_values
            for place, (value,) in enumerate(values):
                if place not in known:
                    trial.report(value, place)
            return bool(trial.should_prune())
        if self._settings.pruner == "none":
            return False
        done = [t for t in self.trials() if t.state == self.states.COMPLETE]
        others = [evaluations(t)[len(values) - 1] for t in done if len(evaluations(t)) >= len(values)]
        if len(others) < self._settings.startup:
            return False
        return all(
            _worse(own, sorted(column), up)
            for own, column, up in zip(values[-1], zip(*others, strict=True), self.ups, strict=True)
        )

    def _sampler(self, number: int) -> Any:
        """Return the sampler of one trial: a search that was killed proposes what it would have proposed."""
        digest = hashlib.sha256(f"{self.seed} {number}".encode()).digest()
        return self._optuna.samplers.TPESampler(
            n_startup_trials=self._settings.startup,
            seed=int.from_bytes(digest[:4], "big"),
            constant_liar=True,  # trials under way elsewhere count as bad, so that nobody tries the same beside them
        )

    def _space(self) -> Values:
        of = self._optuna.distributions
        choices = self._settings.choices(self._train)
        lr = of.FloatDistribution(*self._settings.lr, log=True)
        return {"lr": lr, **{name: of.CategoricalDistribution(given) for name, given in choices.items()}}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.folder / "next.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def evaluations(trial: Any) -> list[list[float]]:
    """Return the values of a trial's objectives at each evaluation, in order."""
    kept = trial.user_attrs.get(EVALUATIONS, {})
    return [kept[step] for step in sorted(kept, key=int)]


def _worse(value: float, others: list[float], up: bool) -> bool:
    middle = len(others) // 2
    median = others[middle] if len(others) % 2 else (others[middle - 1] + others[middle]) / 2
    return value < median if up else value > median


def mend(folder: Path) -> None:
    """Drop the last line of a journal where a kill cut it: Optuna would write on behind it and never read on."""
    journal = folder / JOURNAL
    if journal.is_file() and (text := journal.read_bytes()) and not text.endswith(b"\n"):
        with journal.open("r+b") as stream:
            stream.truncate(text.rfind(b"\n") + 1)
