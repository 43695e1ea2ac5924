"""Processes on a Ray cluster that hold what they work with: shares, cores, results as they come, deaths."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lextune.core import actors
from lextune.core.actors import Crew, Station, crew, share
from lextune.core.cluster import opened
from lextune.core.errors import MachineError, UserError
from lextune.core.machine import EXIT_MEMORY


@pytest.mark.parametrize(
    ("counts", "workers", "kind", "each"),
    [
        ([2], 0, "CPU", 1),
        ([2], 1, "CPU", 2),
        ([2], 2, "CPU", 1),
        ([8, 4], 2, "CPU", 4),  # with 6 the second has no place
        ([8, 4], 3, "CPU", 4),
        ([5, 5], 3, "CPU", 2),
        ([8, 0], 4, "GPU", 1),
    ],
)
def test_workers_share_the_cores_of_nodes(counts: list[int], workers: int, kind: str, each: int) -> None:
    assert share(counts, workers, kind) == each
    assert sum(count // each for count in counts) >= workers


@pytest.mark.parametrize(("counts", "kind", "there"), [([2, 1], "CPU", "3 cores"), ([1], "GPU", "1 GPU")])
def test_more_workers_than_there_is_room_for_are_refused(counts: list[int], kind: str, there: str) -> None:
    with pytest.raises(UserError) as caught:
        share(counts, 4, kind)
    assert str(caught.value) == (
        f"--workers: 4 workers, and the cluster has {there}\n  -> ask for fewer, or leave --workers out"
    )


def test_cores_are_claimed_once(tmp_path: Path) -> None:
    script = (
        "import os\n"
        "from lextune.core.actors import claim_cores\n"
        "before = os.sched_getaffinity(0)\n"
        "held = claim_cores(1)\n"
        "print(len(held), len(os.sched_getaffinity(0)) == (1 if held else len(before)), flush=True)\n"
        "input()\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    here = len(os.sched_getaffinity(0))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(here + 1)
    ]
    said = [process.stdout.readline().split() for process in started if process.stdout]
    for process in started:
        process.communicate("\n")
    assert sorted(said) == [["0", "True"], *([["1", "True"]] * here)]
    assert len(list(tmp_path.iterdir())) == here


def _refuse() -> Callable[[Any], Any]:
    raise MachineError("no engine", do="install it")


def test_what_the_start_and_the_work_raise_is_carried() -> None:
    with pytest.raises(MachineError, match=r"node .*: no engine\n  -> install it"):
        opened(Station(pickle.dumps(_refuse), 0).said)
    station = Station(pickle.dumps(partial(partial, int)), 0)
    opened(station.said)
    assert opened(station.work(pickle.dumps("4"))) == 4
    with pytest.raises(ValueError, match="four"):
        opened(station.work(pickle.dumps("four")))


class _DeadError(Exception):
    pass


class _Worker:
    """Stands in for a process on a cluster, and for its method `work`."""

    @property
    def work(self) -> _Worker:
        return self

    def remote(self, packed: bytes) -> object:
        return object()


class _Scripted(Crew[str, str]):
    """A crew without Ray, whose workers die of the items that say so."""

    def __init__(self, size: int, *, slow: bool = False) -> None:
        super().__init__(None, size, "Ray at nowhere")
        self.hired, self.slow = 0, slow

    def _hire(self) -> None:
        self.hired += 1
        self._all.append(_Worker())
        self._free.append(self._all[-1])

    def _wait(self, seconds: float | None) -> Any:
        if not self._working or (seconds == 0 and self.slow):
            return None, None
        worker, task = self._working.pop(next(iter(self._working)))
        if "kill" in task.item:
            self._bury(worker, _DeadError())
            return task, _DeadError()
        self._free.append(worker)
        self._deaths = 0
        return task, pickle.dumps((task.item.upper(), None))


def test_an_item_that_kills_its_worker_is_given_up_and_the_others_are_done() -> None:
    team = _Scripted(2)
    found = dict(team.work(["a", "kill", "b", "c"], lambda item: "lost"))
    assert found == {"a": "A", "kill": "lost", "b": "B", "c": "C"}
    assert team.hired == 2 + actors.RETRIES


def test_where_all_items_kill_their_worker_it_is_the_cluster() -> None:
    with pytest.raises(MachineError, match=r"Ray at nowhere: the cluster gave up \(_DeadError\)"):
        list(_Scripted(1).work([f"kill {n}" for n in range(9)], lambda item: "lost"))


def test_a_crew_without_items_ends() -> None:
    assert list(_Scripted(2).work([], lambda item: "lost")) == []
    assert list(_Scripted(2).work([None, None], lambda item: "lost")) == []


def test_what_is_done_is_handed_back_while_the_next_item_is_looked_for() -> None:
    looked = list[str | None]()

    def items() -> Iterator[str | None]:
        for item in ("a", None, None, "b", None):
            looked.append(item)
            yield item

    found = _Scripted(2).work(items(), lambda item: "lost")
    assert next(found) == ("a", "A")
    assert looked == ["a", None], "the rest of the source has not been gone through for it"
    assert list(found) == [("b", "B")]
    assert dict(_Scripted(2, slow=True).work(items(), lambda item: "lost")) == {"a": "A", "b": "B"}


class _Hired(Crew[str, str]):
    """A crew whose workers are names; of them some die before they come to work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, dying: int) -> None:
        import ray
        from ray.exceptions import ActorDiedError

        super().__init__(None, 1, "Ray at nowhere")
        self.dying, self.hired = dying, 0

        def get(reference: str) -> tuple[bytes, str]:
            if reference.startswith("dies"):
                raise ActorDiedError
            return pickle.dumps((None, None)), f"node of {reference}"

        monkeypatch.setattr(ray, "wait", lambda under_way, **_: (under_way[:1], under_way[1:]))
        monkeypatch.setattr(ray, "get", get)

    def _hire(self) -> None:
        self.hired += 1
        worker = _Worker()
        self._all.append(worker)
        self._starting[f"{'dies' if self.hired <= self.dying else 'comes'} {self.hired}"] = worker


def test_a_worker_that_dies_before_it_works_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    team = _Hired(monkeypatch, dying=2)
    team._hire()
    for hired, free in ((2, 0), (3, 0), (3, 1)):
        assert team._wait(None)[0] is None
        assert (team.hired, len(team._free)) == (hired, free)
    assert (len(team._all), team.nodes) == (1, 1)


def test_a_process_that_runs_out_of_memory_ends() -> None:
    """So that the crew counts a death, and no other item meets what is left of it."""
    script = (
        "import pickle\n"
        "from functools import partial\n"
        "from lextune.core.actors import Station\n"
        "Station(pickle.dumps(partial(partial, bytearray)), 0).work(pickle.dumps(1 << 62))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == EXIT_MEMORY


def test_where_no_worker_comes_to_work_it_is_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MachineError, match=r"Ray at nowhere: the cluster gave up \(ActorDiedError\)"):
        list(_Hired(monkeypatch, dying=99).work(["a"], lambda item: "lost"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_crew_on_a_cluster(ray_logs: Path) -> None:
    from ray import cloudpickle

    start = partial(cloudpickle.loads, cloudpickle.dumps(lambda item: item * 2))
    with crew("local", start, workers=2) as team:
        found = dict(team.work(map(str, range(20)), lambda item: "lost"))
        assert (team.size, team.nodes) == (2, 1)
    assert found == {str(n): str(n) * 2 for n in range(20)}
    deadly = partial(cloudpickle.loads, cloudpickle.dumps(lambda item: os._exit(1) if item == "stop" else item))
    with crew("local", deadly, workers=1) as team:
        assert dict(team.work(["a", "stop", "b"], lambda item: "lost")) == {"a": "a", "stop": "lost", "b": "b"}
    with pytest.raises(ZeroDivisionError), crew("local", partial(divmod, 1, 0), workers=1) as team:
        list(team.work(["a"], lambda item: "lost"))
    with pytest.raises(UserError, match="9 workers, and the cluster has 2 cores"), crew("local", start, workers=9):
        pass
