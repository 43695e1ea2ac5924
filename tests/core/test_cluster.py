"""Work on a Ray cluster: in order, bounded, failing as it would here; and what is said where there is none."""

from __future__ import annotations

import builtins
import importlib.metadata
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lextune.core import cluster
from lextune.core.cluster import on_cluster, spread
from lextune.core.errors import DataError, LextuneError, MachineError, NetworkError, UserError

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
SECRET = "Jane-Roe-4711"


def test_results_come_back_in_order_with_their_items(ray_logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CHUNK_ITEMS", 7)
    monkeypatch.setattr(cluster, "ITEMS_A_CORE", 1)
    words = ["x" * (n % 5) for n in range(40)]
    assert list(on_cluster("local", len, words)) == [(word, len(word)) for word in words]
    pool = partial(ThreadPoolExecutor, 2)
    assert list(spread(len, words, pool, 4, ray="local")) == list(spread(len, words, pool, 4))
    assert list(on_cluster("local", len, [])) == []


def test_no_more_is_taken_than_a_few_chunks(ray_logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CHUNK_BYTES", 10 * 1000)
    taken: list[int] = []

    def source() -> Iterator[bytes]:
        for number in range(1000):
            taken.append(number)
            yield bytes(900)

    results = on_cluster("local", len, source())
    assert next(results) == (bytes(900), 900)
    assert len(taken) <= 10 * (cluster.AHEAD + 2)
    results.close()
    assert len(taken) <= 10 * (cluster.AHEAD + 2)


def test_what_the_work_raises_is_raised_in_its_turn_and_stays_out_of_the_logs(ray_logs: Path) -> None:
    results = on_cluster("local", int, ["1", SECRET, "3"])
    assert next(results) == ("1", 1)
    with pytest.raises(ValueError, match=SECRET):
        next(results)
    logs = [file.read_bytes() for file in ray_logs.rglob("*") if file.is_file()]
    assert len(logs) > 5
    assert not [log for log in logs if SECRET.encode() in log]


def _lacks(what: str) -> None:
    raise MachineError(what, do="install it")


def _refuses(what: str) -> None:
    raise DataError(what, where="row 1")


def test_an_error_of_ours_arrives_as_it_was_and_names_the_node_where_that_lacks_something() -> None:
    with pytest.raises(DataError, match=r"^row 1: wrong$"):
        cluster.opened(cluster.attempt(pickle.dumps(_refuses), pickle.dumps("wrong")))
    with pytest.raises(MachineError, match=rf"^node {socket.gethostname()}: no tesseract\n  -> install it$"):
        cluster.opened(cluster.attempt(pickle.dumps(_lacks), pickle.dumps("no tesseract")))


class _OddError(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def _odd(item: str) -> None:
    raise _OddError(item, item)


def test_an_error_that_cannot_travel_is_named() -> None:
    with pytest.raises(RuntimeError, match=r"^_OddError on a node of the cluster$"):
        cluster.opened(cluster.attempt(pickle.dumps(_odd), pickle.dumps("x")))


def test_nodes_need_lextune_in_the_same_version(monkeypatch: pytest.MonkeyPatch) -> None:
    call = cluster._remote(len)
    row = {"place": 0, "item": pickle.dumps("four")}
    assert cluster.opened(call(row)["result"]) == 4
    ours, advice = importlib.metadata.version("lextune"), "install the same version of lextune on every node"
    monkeypatch.setattr("lextune.core.provenance.package_versions", lambda: {"lextune": "9.9"})
    with pytest.raises(MachineError, match=f"has lextune 9.9, and this machine {ours}\n  -> {advice}"):
        cluster.opened(call(row)["result"])
    monkeypatch.setitem(sys.modules, "lextune.core.cluster", None)
    with pytest.raises(MachineError, match=r"cannot import lextune \(ModuleNotFoundError: lextune.core.cluster\)"):
        cluster.opened(call(row)["result"])


def test_without_ray_its_installation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name == "ray" or name.startswith("ray."):
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MachineError) as caught:
        next(on_cluster("local", len, ["x"]))
    assert str(caught.value) == "this needs Ray, which is not installed\n  -> pip install 'lextune[ray]'"
    assert caught.value.exit_code == 3


def test_an_address_where_nobody_listens_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
        with pytest.raises(NetworkError) as caught:
            cluster._check_answers(address)
        assert str(caught.value) == (
            f"--ray {address}: no Ray cluster answers\n"
            "  -> check the address: ray://HOST:10001 from anywhere, HOST:6379 or auto on a node; or use local"
        )
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(NetworkError, match="no Ray cluster answers"):
        cluster._check_answers("auto")


@pytest.mark.parametrize("address", ["nonsense", "head:many", "http://head:80", "ray://head", ":6379"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UserError) as caught:
        cluster._check_answers(address)
    assert str(caught.value) == (
        f"--ray: no address of a cluster: {address!r}\n  -> use ray://HOST:10001, HOST:6379, auto or local"
    )


class _Refusing:
    """Stands in for Ray where it does not connect."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def init(self, **options: Any) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            ConnectionError("ray client connection timeout"),
            NetworkError,
            "no Ray cluster answers\n  -> check the address",
        ),
        (
            RuntimeError("Version mismatch: 2.9"),
            MachineError,
            r"Ray cannot start \(Version mismatch: 2.9\)\n  -> use the c",
        ),
        (ValueError("no"), UserError, "no address of a cluster"),
    ],
)
def test_why_there_is_no_connection_is_told(error: Exception, kind: type[LextuneError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        cluster._connect(_Refusing(error), "local")
    assert type(caught.value) is kind


def test_a_cluster_that_wants_a_token_says_so() -> None:
    error = ConnectionError("Failed to connect")
    error.__cause__ = RuntimeError("Last connection error: ray.exceptions.AuthenticationError: InvalidAuthToken")
    with pytest.raises(
        MachineError, match="the cluster wants its token\n  -> set RAY_AUTH_MODE=token, and RAY_AUTH_TOK"
    ):
        cluster._connect(_Refusing(error), "local")


def test_ray_tries_a_silent_address_once() -> None:
    name = "RAY_gcs_server_port_wait_time_s"
    with cluster._one_attempt("head:6379"):
        assert os.environ[name] == "1"
    with cluster._one_attempt("local"):
        assert name not in os.environ
    assert name not in os.environ


def test_errors_of_ray_itself_are_told_without_their_text(ray_logs: Path) -> None:
    from ray import exceptions

    killed = cluster.gave_up(exceptions.WorkerCrashedError(), "Ray at auto")
    assert str(killed) == (
        "Ray at auto: a process on the cluster was killed\n  -> free memory on its nodes, or run without --ray"
    )
    lost = cluster.gave_up(ConnectionError(SECRET), "Ray at auto")
    assert type(lost) is NetworkError
    assert str(lost) == "Ray at auto: the connection to the cluster was lost\n  -> check the cluster, run it again"
    other = cluster.gave_up(exceptions.RaySystemError(ValueError(SECRET)), "Ray at auto")
    assert str(other) == (
        "Ray at auto: the cluster gave up (RaySystemError)\n  -> read Ray's own logs, or run without --ray"
    )


@pytest.mark.slow
def test_a_worker_that_dies_is_told(ray_logs: Path) -> None:
    with pytest.raises(MachineError, match="Ray at local: a process on the cluster was killed"):
        list(on_cluster("local", os._exit, [1]))


@pytest.mark.slow
def test_a_cluster_of_its_own_starts_says_nothing_and_is_gone_at_ctrl_c(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, ray, signal, subprocess, threading, time\n"
        "from lextune.core.cluster import on_cluster\n"
        "assert list(on_cluster('local', len, ['abc'])) == [('abc', 3)] and not ray.is_initialized()\n"
        f"long = ['sh', '-c', 'touch {tmp_path}/begun; exec sleep 60']\n"
        "results = on_cluster('local', subprocess.call, [long] * 600)\n"
        "def stop():\n"
        f"    while not os.path.exists('{tmp_path}/begun'): time.sleep(0.1)\n"  # Ray loses a signal while it starts
        "    time.sleep(1); os.kill(os.getpid(), signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "threading.Thread(target=stop).start()\n"
        "try: list(results)\n"
        "except KeyboardInterrupt: print('stopped', ray.is_initialized(), os.environ['RAY_USAGE_STATS_ENABLED'])\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=400, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("stopped False 0\n", "", 0)


def test_threads_that_are_given_up_leave_the_cluster_first() -> None:
    left = threading.Event()
    pool = cluster._Chunks(1, left.set)
    running = pool.submit(left.wait, 10)
    pool.shutdown(cancel_futures=True)
    assert running.result(0) is True
