"""Whose turn it is at the model: one request at a time in one thread, a bounded number of others waiting.

A request takes its place before its body is read, so that bodies in memory are bounded too. It leaves when
it is answered, when its time is up, or when its caller has gone; what already runs cannot be stopped, and
keeps its place and the model until it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from lextune.deploy.refusals import QUEUE_FULL, SLOW_UPLOAD, TIMEOUT, Refusal

T = TypeVar("T")
FIRST_GUESS = 1.0  # seconds a request takes, before one was seen
SMOOTHING = 0.2  # weight of the newest request in the mean


class Turns:
    """The queue in front of the model. All methods are called on one event loop.

    Args:
        max_waiting: requests that may wait beside the one that runs.
        seconds: from taking a place to the answer.
    """

    def __init__(self, max_waiting: int, seconds: float) -> None:
        self.max_waiting, self.seconds = max_waiting, seconds
        self.free = asyncio.Lock()
        self.executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._taken = 0
        self._mean = FIRST_GUESS

    @contextlib.contextmanager
    def place(self) -> Iterator[Place]:
        """Take a place for the length of a `with` block.

        Raises:
            Refusal: all places are taken; says when one should be free.
        """
        if self._taken > self.max_waiting:
            raise Refusal(
                QUEUE_FULL,
                f"the queue is full: one request runs and {self.max_waiting} wait",
                do="send the request again after the seconds in Retry-After",
                retry_after=min(max(1.0, self._mean), self.seconds),
            )
        self._taken += 1
        place = Place(self)
        try:
            yield place
        finally:
            place.leave(self._left)

    def close(self) -> None:
        """Let the thread end after what it runs now."""
        self.executor.shutdown(wait=False, cancel_futures=True)

    def took(self, seconds: float) -> None:
        """Record how long a request ran, for the next Retry-After."""
        self._mean += SMOOTHING * (seconds - self._mean)

    def _left(self, _: object = None) -> None:
        self._taken -= 1


class Place:
    """One request's place in the queue, from `Turns.place`."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._deadline = asyncio.get_running_loop().time() + turns.seconds
        self._work: asyncio.Future[Any] | None = None

    async def receive(self, upload: Awaitable[T]) -> T:
        """Return what the caller sends.

        Raises:
            Refusal: it did not arrive in time.
        """
        try:
            async with asyncio.timeout_at(self._deadline):
                return await upload
        except TimeoutError:
            raise Refusal(
                SLOW_UPLOAD,
                f"the request's body did not arrive within {self._turns.seconds:g} seconds",
                do="send a smaller document, or over a faster connection",
            ) from None

    async def run(self, job: Callable[[], T]) -> T:
        """Wait for the turn, then return what `job` returns in the model's thread.

        Raises:
            Refusal: the time was up before the answer. Whatever `job` raises passes through.
        """
        turns, loop = self._turns, asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(self._deadline):
                await turns.free.acquire()
        except TimeoutError:
            raise self._too_late("waited for its turn") from None
        started = time.monotonic()

        def finished(work: asyncio.Future[T]) -> None:
            turns.free.release()
            turns.took(time.monotonic() - started)
            if not work.cancelled():
                work.exception()  # taken note of here too: its caller may have gone

        work = loop.run_in_executor(turns.executor, job)
        work.add_done_callback(finished)
        self._work = work
        done, _ = await asyncio.wait({work}, timeout=max(0.0, self._deadline - loop.time()))
        if not done:
            raise self._too_late("was still being answered")
        return work.result()

    def leave(self, left: Callable[[object], None]) -> None:
        """Call `left` now, or once what runs for this request has ended."""
        if self._work is None or self._work.done():
            left(None)
        else:
            self._work.add_done_callback(left)

    def _too_late(self, state: str) -> Refusal:
        return Refusal(
            TIMEOUT,
            f"the request {state} when its {self._turns.seconds:g} seconds were up",
            do="send a shorter document, or try when the service is less busy",
        )
