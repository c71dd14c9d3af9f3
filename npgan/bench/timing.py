"""Timing that survives a noisy machine: contestants take turns, each on a machine that has become quiet."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import ceil
from statistics import median

TURN = 0.05  # seconds of timed calls in a turn, at the least
_MOST_CALLS = 200  # of them
_LONGEST = 40.0  # seconds that one contestant may take in all; slow ones sit out rounds
_FEWEST = 3  # rounds that everybody takes part in, or one where a call alone is longer than a third of that
_SLOW = 1.0  # seconds: a call that long needs no other before it to warm up
_NAP = 0.01


def settle(limit: float = 0.5) -> None:
    """Wait until this process's other threads sleep: OpenMP's and OpenBLAS's spin for a while after their last work.

    Parameters
    ----------
    limit : float
        Seconds to wait at most.
    """
    until = time.perf_counter() + limit
    while time.perf_counter() < until:
        before = time.process_time()
        time.sleep(_NAP)
        if time.process_time() - before < 0.1 * _NAP:
            return


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep Python's garbage collector from running in the block."""
    enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


def timed(call: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _stride(rounds: int, length: float) -> int:
    """Return every how many rounds a contestant with calls of this length has a turn."""
    fewest = _FEWEST if length * _FEWEST < _LONGEST else 1
    return max(1, min(rounds // fewest, ceil(rounds * length / _LONGEST)))


def interleaved(
    calls: Mapping[str, Callable[[], object]], rounds: int, *, turn: float = TURN
) -> dict[str, tuple[float, ...]]:
    """Return seconds by contestant, one value a round: the median of the calls of its turn.

    In each round every contestant has a turn, in changing order: wait until it is quiet, one call that is not timed,
    then as many as fill `turn` seconds. One that takes very long sits out rounds, evenly.

    Parameters
    ----------
    calls : mapping of str to callable
        They must return when the work is done. Each has run before, so nothing is compiled here.
    rounds : int
    turn : float
        Seconds.
    """
    lengths = {}
    for name, call in calls.items():
        settle()
        lengths[name] = timed(call)
    counts = {name: min(_MOST_CALLS, ceil(turn / length)) for name, length in lengths.items()}
    strides = {name: _stride(rounds, length) for name, length in lengths.items()}
    found: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    with no_collection():
        for i in range(rounds):
            for name in names[i % len(names) :] + names[: i % len(names)]:
                if i % strides[name]:
                    continue
                settle()
                if lengths[name] < _SLOW:
                    calls[name]()
                found[name].append(median(timed(calls[name]) for _ in range(counts[name])))
    return {name: tuple(values) for name, values in found.items()}
