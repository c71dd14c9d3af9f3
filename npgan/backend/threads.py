"""A small pool of threads of our own for the compiled kernels.

numba's OpenMP layer kills a forked child and its workqueue layer aborts under two Python threads, so a kernel here
is a serial function that releases the GIL and works on samples ``[start, stop)``; the pool gives each thread one
range. The ranges depend on the thread count alone, so the same count gives the same bits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import lru_cache, partial
from queue import SimpleQueue
from typing import Any

from npgan.errors import ConfigError

_GRAIN = 200_000  # of a matrix product, some 50 microseconds: twice what handing a task over takes


@lru_cache(maxsize=1)
def thread_count() -> int:
    """Return the number of threads: ``NPGAN_THREADS``, or the cores that this process may use."""
    setting = os.environ.get("NPGAN_THREADS")
    if setting is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not setting.isdecimal() or int(setting) < 1:
        raise ConfigError(f"NPGAN_THREADS is {setting!r}, expected a whole number from 1")
    return int(setting)


_Task = tuple[Callable[..., Any], tuple[Any, ...], "SimpleQueue[BaseException | None]"]


@lru_cache(maxsize=1)
def _workers(process: int) -> list[SimpleQueue[_Task]]:
    """Start this process's threads and return their in-trays; a forked child, whose threads are gone, gets its own.

    Plain queues, as an executor's futures take longer to hand over, and a step has hundreds of them.
    """
    trays: list[SimpleQueue[_Task]] = [SimpleQueue() for _ in range(max(1, thread_count() - 1))]
    for number, tray in enumerate(trays):
        threading.Thread(target=_work, args=(tray,), name=f"npgan-{number}", daemon=True).start()
    return trays


def _work(tray: SimpleQueue[_Task]) -> None:
    while True:
        task, args, done = tray.get()
        try:
            task(*args)
            done.put(None)
        except BaseException as error:  # handed to the caller
            done.put(error)
        del task, args, done  # an idle thread must not keep arrays alive


def over_samples(kernel: Callable[..., Any], n: int, work: int, *args: Any) -> None:
    """Call ``kernel(start, stop, *args)`` over ranges that cover ``range(n)``, one a thread.

    Parameters
    ----------
    kernel : callable
        Compiled, GIL-free, and writing to disjoint memory for disjoint ranges.
    n : int
        The number of samples, rows or whatever is divided.
    work : int
        Elements read or written in all, or what costs as much. A thread is asked to help for every `_GRAIN` of it:
        with less, handing it over costs more than it brings.
    """
    threads = shares(n, work)
    if threads == 1:
        kernel(0, n, *args)
        return
    _divide([partial(kernel, n * t // threads, n * (t + 1) // threads) for t in range(threads)], args)


def over_shares(kernel: Callable[..., Any], n: int, work: int, *args: Any) -> int:
    """Call ``kernel(start, stop, share, *args)`` like `over_samples`, for kernels with memory for each share.

    Returns
    -------
    int
        The number of shares, which are numbered from 0.
    """
    threads = shares(n, work)
    if threads == 1:
        kernel(0, n, 0, *args)
    else:
        _divide([partial(kernel, n * t // threads, n * (t + 1) // threads, t) for t in range(threads)], args)
    return threads


def shares(n: int, work: int) -> int:
    """Return among how many threads `over_samples` divides n samples with so much work."""
    return max(1, min(thread_count(), n, work // _GRAIN + 1))


def _divide(parts: list[Callable[..., Any]], args: tuple[Any, ...]) -> None:
    trays = _workers(os.getpid())
    done: SimpleQueue[BaseException | None] = SimpleQueue()
    for number, part in enumerate(parts[1:]):
        trays[number % len(trays)].put((part, args, done))
    try:
        parts[0](*args)
    finally:
        # Memory that another thread still writes must not be handed back, whatever happened here.
        errors = [done.get() for _ in parts[1:]]
    for error in errors:
        if error is not None:
            raise error
