"""The same work on a Ray cluster: chunk after chunk through Ray Data, handed back in order.

    for item, result in spread(work, items, pool, ahead, ray="ray://head:10001"): ...

Whoever works side by side calls `spread`; without an address it is `in_order` on this machine's pool. Items, work and
results travel pickled, as to another process of this machine: the nodes see none of its folders, and need lextune in
the same version. What the work raises is carried back and raised here in its turn, so Ray's logs hold no traceback
and nothing of a document. Ray is stopped, or left alone where it ran before, when the stream ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import socket
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lextune.core.errors import LextuneError, MachineError, NetworkError, UserError, shorten
from lextune.core.parallel import cores, in_order
from lextune.core.provenance import package_versions

CHUNK_BYTES = 64 << 20  # of pickled items in a chunk, but for a single item that is larger
CHUNK_ITEMS, ITEMS_A_CORE = 256, 16  # items in a chunk: the larger of the two bounds, the second times the cores
BLOCKS_A_CORE = 4  # tasks that a chunk is divided into
AHEAD = 3  # chunks under way or waiting to be taken
RETRIES = 3  # of a task whose process died
SECONDS = 5.0  # for an address to accept a connection
LOCAL = "local"

T = TypeVar("T")
U = TypeVar("U")
Row = dict[str, Any]
_Chunk = list[tuple[T, bytes]]


def spread(
    work: Callable[[T], U], items: Iterable[T], pool: Callable[[], Executor], ahead: int, *, ray: str | None = None
) -> Generator[tuple[T, U], None, None]:
    """Yield each item with `work(item)`, in the order of the items: on this machine, or on a Ray cluster.

    Args:
        work: what is done; it, the items and the results must be picklable for processes and for Ray.
        items: taken one at a time, never far ahead of what is yielded.
        pool: makes this machine's threads or processes.
        ahead: how many items are under way or wait on this machine, at most.
        ray: the cluster's address, as in `on_cluster`; None works on this machine.

    Raises:
        LextuneError: see `on_cluster`; or whatever the work raises.
    """
    yield from in_order(pool(), work, items, ahead) if ray is None else on_cluster(ray, work, items)


def on_cluster(address: str, work: Callable[[T], U], items: Iterable[T]) -> Generator[tuple[T, U], None, None]:
    """Yield each item with `work(item)`, in the order of the items, done by a Ray cluster.

    At most `AHEAD` + 2 chunks of `CHUNK_BYTES` are held here, with the results of `AHEAD` of them.

    Args:
        address: `ray://HOST:PORT` from anywhere, `HOST:PORT` or `auto` on a node of the cluster, or `local` for a
            cluster on this machine alone, which is started and stopped. Where Ray runs in this process already,
            that is used.
        work: what is done to an item; importable on the nodes.
        items: taken a chunk at a time.

    Raises:
        UserError: this is no address.
        NetworkError: nobody answers there, or no longer.
        MachineError: Ray is not installed; a node has no lextune or another version; a process there was killed.
    """
    call = _remote(work)
    with connected(address) as (workers, stop):
        run = partial(_run_chunk, call=call, blocks=BLOCKS_A_CORE * workers, where=f"Ray at {address}")
        chunks = _chunks(items, max(CHUNK_ITEMS, ITEMS_A_CORE * workers))
        with contextlib.closing(in_order(_Chunks(AHEAD, stop), run, chunks, AHEAD)) as done:
            for chunk, results in done:
                for (item, _), result in zip(chunk, results, strict=True):
                    yield item, opened(result)


class _Chunks(ThreadPoolExecutor):
    """Threads that wait for the cluster. When they are given up, it is left first: nobody waits for unwanted chunks."""

    def __init__(self, workers: int, stop: Callable[[], None]) -> None:
        super().__init__(workers)
        self._stop = stop

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Give up what is under way, then wait for the threads."""
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        self._stop()
        super().shutdown(wait=wait)


def attempt(work: bytes, item: bytes) -> bytes:
    """Return, pickled, what the pickled work makes of the pickled item, as `carried` does. This runs on a node."""
    return carried(lambda: pickle.loads(work)(pickle.loads(item)))


def carried(call: Callable[[], object]) -> bytes:
    """Return, pickled, (what the call returns, None), or (None, the error that it raised), which `opened` raises."""
    try:
        return pickle.dumps((call(), None))
    except Exception as error:
        if isinstance(error, MachineError):
            node = f"{error.where}, " if error.where else ""
            error = type(error)(error.what, where=f"{node}node {socket.gethostname()}", do=error.do)
        try:
            return pickle.dumps((None, pickle.loads(pickle.dumps(error))))
        except Exception:
            return pickle.dumps((None, RuntimeError(f"{type(error).__name__} on a node of the cluster")))


def node_check() -> Callable[[], str | None]:
    """Return what says, on a node, why it cannot do our work; None where it can. It is sent by value: see `_remote`."""
    version = package_versions().get("lextune")

    def check() -> str | None:
        import socket

        try:
            import lextune.core.cluster  # noqa: F401 - what a node needs
            from lextune.core.provenance import package_versions

            found = package_versions().get("lextune")
        except ImportError as error:
            return f"node {socket.gethostname()} cannot import lextune ({type(error).__name__}: {error.name})"
        if found != version:
            return f"node {socket.gethostname()} has lextune {found}, and this machine {version}"
        return None

    return check


def _remote(work: Callable[[Any], Any]) -> Callable[[Row], Row]:
    """Return the function that Ray sends to the nodes. It is sent by value, so it can say that lextune is missing."""
    packed, check = pickle.dumps(work), node_check()

    def call(row: Row) -> Row:
        import pickle

        lacks = check()
        if lacks is not None:
            return {"place": row["place"], "result": pickle.dumps(lacks)}
        from lextune.core.cluster import attempt

        return {"place": row["place"], "result": attempt(packed, row["item"])}

    return call


def opened(result: bytes) -> Any:
    """Return what the work made, or raise what it raised."""
    found = pickle.loads(result)
    if isinstance(found, str):
        raise MachineError(found, where="Ray", do="install the same version of lextune on every node of the cluster")
    value, error = found
    if error is not None:
        raise error
    return value


def _chunks(items: Iterable[T], most: int) -> Iterator[_Chunk[T]]:
    chunk: _Chunk[T] = []
    size = 0
    for item in items:
        packed = pickle.dumps(item)
        if chunk and (len(chunk) >= most or size + len(packed) > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append((item, packed))
        size += len(packed)
    if chunk:
        yield chunk


def _run_chunk(chunk: _Chunk[Any], *, call: Callable[[Row], Row], blocks: int, where: str) -> list[bytes]:
    """Return the pickled results of a chunk; the order does not rest on the order in which tasks end."""
    import ray
    from ray.exceptions import RayError

    rows = [{"place": place, "item": packed} for place, (_, packed) in enumerate(chunk)]
    execute = _executor()
    try:
        if ray.util.client.ray.is_connected():  # Ray Data cannot be driven from outside: a task in there drives it
            driver = ray.remote(num_cpus=0, max_retries=RETRIES)(execute)
            found = ray.get(driver.remote(rows, call, min(len(rows), blocks)))
        else:
            found = execute(rows, call, min(len(rows), blocks))
    except (RayError, OSError) as error:
        raise gave_up(error, where) from None
    return [found[place] for place in range(len(chunk))]


def _executor() -> Callable[[list[Row], Callable[[Row], Row], int], dict[int, bytes]]:
    """Return the function that runs rows through Ray Data; like `_remote`'s it is sent by value."""
    retries = RETRIES

    def execute(rows: list[Row], call: Callable[[Row], Row], blocks: int) -> dict[int, bytes]:
        import ray.data

        made = ray.data.from_items(rows, override_num_blocks=blocks).map(call, num_cpus=1, max_retries=retries)
        made.context.execution_options.preserve_order = True
        made.context.enable_progress_bars = made.context.print_on_execution_start = False
        return {row["place"]: row["result"] for row in made.iter_rows()}

    return execute


def gave_up(error: BaseException, where: str) -> LextuneError:
    """Return what to say of an error of Ray itself: never its text, which may quote what was worked on."""
    names = _names(error)
    if names & {"WorkerCrashedError", "OutOfMemoryError", "NodeDiedError", "OwnerDiedError", "LocalRayletDiedError"}:
        return MachineError(
            "a process on the cluster was killed", where=where, do="free memory on its nodes, or run without --ray"
        )
    if "ConnectionError" in names or "RpcError" in names:
        return NetworkError("the connection to the cluster was lost", where=where, do="check the cluster, run it again")
    return MachineError(
        f"the cluster gave up ({type(error).__name__})", where=where, do="read Ray's own logs, or run without --ray"
    )


def _names(error: BaseException | None) -> set[str]:
    """Return the names of the classes of an error and of what caused it."""
    names = set[str]()
    while error is not None and type(error).__name__ not in names:
        names.update(each.__name__ for each in type(error).__mro__)
        error = getattr(error, "cause", None) or error.__cause__
    return names


@contextlib.contextmanager
def connected(address: str) -> Iterator[tuple[int, Callable[[], None]]]:
    """Connect to a cluster; give its number of cores, and what leaves it."""
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ENABLE_AUTO_CONNECT="0")
    try:
        import ray
        import ray.data  # which sets up the logger that is silenced below
        from ray.util.annotations import RayDeprecationWarning
    except ImportError:
        raise MachineError("this needs Ray, which is not installed", do="pip install 'lextune[ray]'") from None
    warnings.filterwarnings("ignore", "`ray_remote_args`", RayDeprecationWarning)
    if ray.is_initialized():
        yield _workers(ray), lambda: None
        return
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    try:
        with _only_when_told():
            _connect(ray, address)
            yield _workers(ray), ray.shutdown
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _only_when_told() -> Iterator[None]:
    """Keep Ray from connecting of itself, to whatever cluster it finds, for a thread that is at work when ours is left.

    The environment variable that says so is read when Ray is imported, which a caller may have done before.
    """
    from ray._private import auto_init_hook

    before = auto_init_hook.enable_auto_connect
    auto_init_hook.enable_auto_connect = False
    try:
        yield
    finally:
        auto_init_hook.enable_auto_connect = before


def _workers(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _connect(ray: Any, address: str) -> None:
    from ray.exceptions import RayError

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address == LOCAL:
        options |= {"num_cpus": cores(), "include_dashboard": False}
    else:
        _check_answers(address)
    try:
        with _one_attempt(address):
            ray.init(address=address, **options)
    except ValueError:
        raise _no_address(address) from None
    except (RayError, RuntimeError, OSError) as error:
        names = _names(error)
        if "AuthenticationError" in f"{names} {error.__cause__}":  # Ray gives some causes as text only
            do = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the cluster's token"
            raise MachineError("the cluster wants its token", where=f"--ray {address}", do=do) from None
        if names & {"ConnectionError", "TimeoutError", "RpcError"}:
            raise _no_answer(address) from error
        raise MachineError(
            f"Ray cannot start ({shorten(str(error))})",
            where=f"--ray {address}",
            do="use the cluster's versions of Ray and Python",
        ) from error


def _check_answers(address: str) -> None:
    """Say at once that nobody listens: Ray itself would try for more than half an hour."""
    named = os.environ.get("RAY_ADDRESS") or address if address == "auto" else address
    if named == "auto":
        return
    try:
        parts = urlsplit(named if "://" in named else f"//{named}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _no_address(named) from None
    if parts.scheme not in ("", "ray") or not host or not port:
        raise _no_address(named)
    try:
        socket.create_connection((host, port), SECONDS).close()
    except OSError as error:
        raise _no_answer(named) from error


@contextlib.contextmanager
def _one_attempt(address: str) -> Iterator[None]:
    """Let Ray try once, for about 40 s, to reach a cluster whose port is open."""
    name = "RAY_gcs_server_port_wait_time_s"
    if address == LOCAL or name in os.environ:
        yield
        return
    os.environ[name] = "1"
    try:
        yield
    finally:
        del os.environ[name]


def _no_answer(address: str) -> NetworkError:
    return NetworkError(
        "no Ray cluster answers",
        where=f"--ray {address}",
        do="check the address: ray://HOST:10001 from anywhere, HOST:6379 or auto on a node; or use local",
    )


def _no_address(address: str) -> UserError:
    return UserError(
        f"no address of a cluster: {shorten(address)!r}",
        where="--ray",
        do="use ray://HOST:10001, HOST:6379, auto or local",
    )
