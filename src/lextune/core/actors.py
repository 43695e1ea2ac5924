"""Processes on a Ray cluster that each hold what they work with, such as a model, for as long as there is work.

    with crew("ray://head:10001", start) as workers:
        for item, result in workers.work(items): ...

`lextune.core.cluster.on_cluster` divides work that needs nothing into chunks and keeps its order; here every result is
handed back as soon as it is there, whatever its place, so that it can be kept before the next one. What is said there
of pickling, versions, errors and logs holds here too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Generic, TypeVar

from lextune.core.cluster import RETRIES, carried, connected, gave_up, node_check, opened
from lextune.core.counts import counted
from lextune.core.errors import UserError
from lextune.core.machine import EXIT_MEMORY, out_of_memory

T = TypeVar("T")
U = TypeVar("U")
END = object()  # comes after the last item
Start = Callable[[], Callable[[T], U]]


@contextlib.contextmanager
def crew(address: str, start: Start[T, U], *, workers: int = 0, gpus: bool = False) -> Iterator[Crew[T, U]]:
    """Connect to a cluster and start processes there; all are gone at the end.

    Args:
        address: as in `lextune.core.cluster.on_cluster`.
        start: run once in each process; what it returns works on items. It, items and results must be picklable.
        workers: how many processes; 0 takes one a GPU, or one a core where there are no GPUs or `gpus` is False.
        gpus: whether the work can use one.

    Raises:
        UserError: this is no address, or the cluster has fewer cores (or GPUs) than `workers`.
        NetworkError: nobody answers there.
        MachineError: Ray is not installed.
    """
    with connected(address):
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        kind = "GPU" if gpus and any(node.get("GPU") for node in nodes) else "CPU"
        counts = [int(node.get(kind, 0)) for node in nodes]
        each = share(counts, workers, kind)
        size = min(workers or sum(counts), sum(count // each for count in counts))
        needs = {"num_gpus": 1, "num_cpus": 0} if kind == "GPU" else {"num_cpus": each}
        made = ray.remote(**needs)(_worker(start, each if kind == "CPU" else 0))
        team = Crew[Any, Any](made, size, f"Ray at {address}")
        try:
            yield team
        finally:
            team.dismiss()


def share(counts: list[int], workers: int, kind: str) -> int:
    """Return how many cores a worker has: the most with which all find a place, each on one node; one GPU.

    Args:
        counts: cores, or GPUs, of each node.
        workers: how many are wanted; 0 for as many as there are cores or GPUs.
        kind: CPU or GPU.

    Raises:
        UserError: there are fewer than that.
    """
    if workers > sum(counts) or not sum(counts):
        there = counted(sum(counts), "core" if kind == "CPU" else "GPU")
        do = "ask for fewer, or leave --workers out"
        raise UserError(f"{counted(workers, 'worker')}, and the cluster has {there}", where="--workers", do=do)
    if not workers or kind == "GPU":
        return 1
    return max(size for size in range(1, max(counts) + 1) if sum(count // size for count in counts) >= workers)


@dataclass
class _Task(Generic[T]):
    item: T
    packed: bytes
    deaths: int = 0


class Crew(Generic[T, U]):
    """The processes of a `crew`.

    Attributes:
        size: how many.
    """

    def __init__(self, made: Any, size: int, where: str) -> None:
        self.size = size
        self._nodes = set[str]()
        self._made, self._where = made, where
        self._all: list[Any] = []
        self._starting: dict[Any, Any] = {}
        self._working: dict[Any, tuple[Any, _Task[T]]] = {}
        self._free: list[Any] = []
        self._deaths = 0  # since the last result

    @property
    def nodes(self) -> int:
        """On how many nodes they have come to work."""
        return len(self._nodes)

    def work(self, items: Iterable[T | None], lost: Callable[[T], U]) -> Generator[tuple[T, U], None, None]:
        """Yield each item with what a worker makes of it, as soon as that is there.

        Args:
            items: taken one at a time, when a worker is free; None says that the next one is still looked for, and that
                what is done already may be yielded before.
            lost: gives the result of an item that took down the process that worked on it `RETRIES` times.

        Raises:
            MachineError: processes die and none works; or a node has no lextune or another version.
            NetworkError: the connection is lost.
            BaseException: whatever the start or the work raises.
        """
        source, again = chain(items, repeat(END)), deque[_Task[T]]()
        for _ in range(self.size):
            self._hire()
        while True:
            item: Any = None
            while self._free and (again or (item := next(source)) not in (None, END)):
                self._give(again.popleft() if again else _Task(item, pickle.dumps(item)))
            if self._free and item is END and not self._working:
                return
            done, found = self._wait(seconds=0 if self._free and item is None else None)
            if done is None:
                continue
            if isinstance(found, bytes):
                yield done.item, opened(found)
                continue
            done.deaths += 1
            if done.deaths < RETRIES:
                again.append(done)
            else:
                yield done.item, lost(done.item)

    def dismiss(self) -> None:
        """End all processes."""
        import ray

        for worker in self._all:
            with contextlib.suppress(Exception):  # the cluster may be gone
                ray.kill(worker)

    def _hire(self) -> None:
        worker = self._made.remote()
        self._all.append(worker)
        self._starting[worker.ready.remote()] = worker

    def _give(self, task: _Task[T]) -> None:
        worker = self._free.pop()
        self._working[worker.work.remote(task.packed)] = (worker, task)

    def _wait(self, seconds: float | None) -> tuple[_Task[T] | None, bytes | BaseException | None]:
        """Wait for the next worker: return its task with the result, or with what its process died of.

        The task is None where the worker has just started, or did not come to work, or none was there in time.
        """
        import ray
        from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, RayError, WorkerCrashedError

        try:
            under_way = [*self._working, *self._starting]
            ready, _ = ray.wait(under_way, num_returns=1, timeout=seconds) if under_way else ([], [])
            if not ready:
                return None, None
            reference = ready[0]
            starting = self._starting.pop(reference, None)
            worker, task = (starting, None) if starting is not None else self._working.pop(reference)
            try:
                found = ray.get(reference)
            except (RayActorError, WorkerCrashedError, OutOfMemoryError, NodeDiedError) as error:
                self._bury(worker, error)
                return task, error
        except (RayError, OSError) as error:
            raise gave_up(error, self._where) from None
        if task is None:
            said, node = found
            opened(said)
            self._nodes.add(node)
        else:
            self._deaths = 0
        self._free.append(worker)
        return task, found

    def _bury(self, worker: Any, error: BaseException) -> None:
        """Count a death, and start another process in place of the dead one."""
        self._all.remove(worker)
        self._deaths += 1
        if self._deaths > RETRIES * (self.size + 1):  # it is not what they work on
            raise gave_up(error, self._where) from None
        self._hire()


def _worker(start: Start[Any, Any], cores: int) -> type:
    """Return the class that Ray sends to the nodes, by value, so that it can say that lextune is missing."""
    packed, check = pickle.dumps(start), node_check()

    class Worker:
        def __init__(self) -> None:
            import pickle

            lacks = check()
            if lacks is not None:
                self._said = pickle.dumps(lacks)
                return
            from lextune.core.actors import Station

            self._station = Station(packed, cores)
            self._said = self._station.said

        def ready(self) -> tuple[bytes, str]:
            import ray

            return self._said, ray.get_runtime_context().get_node_id()

        def work(self, item: bytes) -> bytes:
            return self._station.work(item)

    return Worker


class Station:
    """What a process on a node is: its cores, and what it works with.

    Args:
        start: pickled.
        cores: how many it may use; 0 for all.
    """

    def __init__(self, start: bytes, cores: int) -> None:
        self._held = claim_cores(cores) if cores else []
        self._work: Callable[[Any], Any] | None = None
        self.said = carried(lambda: self._begin(start))

    def _begin(self, start: bytes) -> None:
        self._work = pickle.loads(start)()

    def work(self, item: bytes) -> bytes:
        """Return, pickled, what is made of a pickled item.

        Out of memory, the process ends: what it holds may be broken, and the crew counts what it died of.
        """
        return carried(lambda: self._made_of(pickle.loads(item)))

    def _made_of(self, item: Any) -> Any:
        try:
            return self._work(item)  # type: ignore[misc]
        except Exception as error:
            if out_of_memory(error):
                os._exit(EXIT_MEMORY)
            raise


def claim_cores(count: int) -> list[Any]:
    """Keep this process, and those it starts, to `count` cores that no other such process has.

    A core is claimed by a lock on a file in the folder for temporary files, which goes with the process. Nothing is
    claimed where that many are not free, or where the platform cannot keep a process to a core.

    Returns:
        The files, which must be held.
    """
    if not hasattr(os, "sched_setaffinity"):
        return []
    claimed: dict[int, Any] = {}
    for core in sorted(os.sched_getaffinity(0)):
        if len(claimed) == count:
            break
        file = (Path(tempfile.gettempdir()) / f"lextune-{os.getuid()}-core-{core}.lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        claimed[core] = file
    if len(claimed) < count:
        for file in claimed.values():
            file.close()
        return []
    os.sched_setaffinity(0, set(claimed))
    return list(claimed.values())
