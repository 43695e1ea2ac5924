"""Work side by side: in order, bounded, and given up together."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lextune.core.parallel import cores, in_order

AHEAD = 4


@settings(max_examples=30)
@given(st.lists(st.integers(), max_size=30), st.integers(1, 3), st.integers(1, 8))
def test_items_come_back_in_order_with_their_results(items: list[int], workers: int, ahead: int) -> None:
    done = list(in_order(ThreadPoolExecutor(workers), lambda item: item + 1, items, ahead))
    assert done == [(item, item + 1) for item in items]


def test_no_more_is_taken_than_may_wait() -> None:
    taken: list[int] = []
    source = (taken.append(number) or number for number in range(1000))  # type: ignore[func-returns-value]
    results = in_order(ThreadPoolExecutor(2), lambda item: item, source, 5)
    for number in range(10):
        assert next(results) == (number, number)
        assert len(taken) <= number + 6
    results.close()
    assert len(taken) < 20


def test_work_never_runs_far_ahead_and_keeps_its_order() -> None:
    begun: list[int] = []
    lock = threading.Lock()

    def work(number: int) -> int:
        with lock:
            begun.append(number)
        time.sleep(0.001 * (number % 3))
        return number * number

    results = in_order(ThreadPoolExecutor(2), work, range(100), AHEAD * 2)
    taken = [next(results) for _ in range(10)]
    time.sleep(0.05)
    assert taken == [(number, number * number) for number in range(10)]
    assert len(begun) <= 10 + AHEAD * 2 + 1
    results.close()
    assert len(begun) <= 10 + AHEAD * 2 + 1


def test_a_failure_is_raised_in_its_turn_and_gives_up_the_rest() -> None:
    begun: list[int] = []
    gate = threading.Event()

    def work(item: int) -> int:
        begun.append(item)
        if item == 1:
            raise ValueError("no")
        gate.wait(0.2)
        return item

    results = in_order(ThreadPoolExecutor(1), work, range(100), 50)
    assert next(results) == (0, 0)
    with pytest.raises(ValueError, match="no"):
        next(results)
    assert len(begun) < 60


def test_there_is_a_core() -> None:
    assert cores() >= 1
