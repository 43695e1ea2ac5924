"""Work side by side, handed back in order, never far ahead of what was taken: memory stays bounded."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def cores() -> int:
    """Return how many cores this process may use."""
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) or 1


def in_order(
    pool: Executor, work: Callable[[T], U], items: Iterable[T], ahead: int
) -> Generator[tuple[T, U], None, None]:
    """Yield each item with `work(item)`, in the order of the items.

    Args:
        pool: threads or processes; it is shut down at the end, with what had not begun, whatever the end is.
        work: what is done; for processes, it and the items must be picklable.
        items: taken one at a time.
        ahead: how many items are under way or wait to be taken, at most, and always one.
    """
    waiting: deque[tuple[T, Future[U]]] = deque()
    try:
        for item in items:
            if len(waiting) >= max(1, ahead):
                done, result = waiting.popleft()
                yield done, result.result()
            waiting.append((item, pool.submit(work, item)))
        while waiting:
            done, result = waiting.popleft()
            yield done, result.result()
    finally:
        pool.shutdown(cancel_futures=True)
