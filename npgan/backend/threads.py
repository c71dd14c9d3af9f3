"""A small pool of threads of our own for the compiled kernels.

numba's OpenMP layer kills a forked child and its workqueue layer aborts under two Python threads, so a kernel here
is a serial function that releases the GIL and works on samples ``[start, stop)``; the pool gives each thread one
range. The ranges depend on the thread count alone, so the same count gives the same bits.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import cycle
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np

from npgan.backend.cores import usable_cores
from npgan.errors import ConfigError

# Seconds that the process waits at its end for a thread that does not come back. It may be compiling, which takes some
# on a busy machine: LLVM that is unloaded meanwhile aborts the process.
_PARTING = 60.0
_GRAIN = 200_000  # of a matrix product, some 50 microseconds: twice what handing a task over takes
_SHORT = 8192  # what one thread is done with before another has begun, in a step that is written down


@lru_cache(maxsize=1)
def thread_count() -> int:
    """Return the number of threads: ``NPGAN_THREADS``, or the cores that this process may use."""
    setting = os.environ.get("NPGAN_THREADS")
    if setting is None:
        return usable_cores()
    if not setting.isdecimal() or int(setting) < 1:
        raise ConfigError(f"NPGAN_THREADS is {setting!r}, expected a whole number from 1")
    return int(setting)


class Writer(Protocol):
    """What writes calls of kernels down: see `npgan.backend.compiled_step`."""

    def call(self, compiled: Any, leading: int, n: int, parts: int, args: tuple[Any, ...]) -> Any:
        """Write down ``compiled(*args)``, with the first `leading` of start, stop and share of each part before them.

        Returns
        -------
        what stands for the number that the kernel returns, or None where it returns none
        """

    def refuse(self, reason: str) -> None:
        """Raise CannotRecordError."""


class _Here(threading.local):
    writer: Writer | None = None


_here = _Here()  # other threads of the user's may run kernels while this one writes them down


@contextmanager
def written_by(writer: Writer) -> Iterator[None]:
    """Have this thread's kernels written down instead of run, while in the block."""
    _here.writer = writer
    try:
        yield
    finally:
        _here.writer = None


def not_written(reason: str) -> None:
    """Refuse to be written down: what follows is no call of a kernel."""
    if _here.writer is not None:
        _here.writer.refuse(reason)


def is_written() -> bool:
    """Return whether this thread's kernels are written down."""
    return _here.writer is not None


_Task = tuple[Callable[..., Any], tuple[Any, ...], "SimpleQueue[BaseException | None]"]


class _Worker:
    """A thread and its in-tray.

    Waking a thread takes longer than many kernels run. So after a task it looks at a word of memory for a while, by
    compiled code that does not hold the GIL, before it sleeps at its tray; and who waits for it looks at another word.
    """

    def __init__(self, number: int) -> None:
        from npgan.kernels.waiting import watch

        self._watch: Any = watch
        self._tray: SimpleQueue[_Task | None] = SimpleQueue()  # None: leave
        self._wanted = np.zeros(8, np.int64)  # a cache line; not 0: there is something in the tray
        self._finished = np.zeros(8, np.int64)  # how many tasks are done
        self._given = 0
        self._invited = False
        self._thread = threading.Thread(target=self._work, name=f"npgan-{number}", daemon=True)
        self._thread.start()

    def give(self, task: _Task) -> int:
        """Have a task done, as soon as may be; return its number."""
        self._given += 1
        self._tray.put(task)
        self._wanted[0] = 1
        return self._given

    def wait(self, number: int) -> None:
        """Return when the task of that number is done, or when it takes long."""
        self._watch(self._finished, number)

    def invite(self, serve: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Have ``serve(wanted, *args)`` run while there is nothing else to do; at once where it runs already."""
        if not self._invited:
            self._invited = True
            self.give((serve, (self._wanted, *args), SimpleQueue()))

    def leave(self) -> None:
        """End the thread, which may be in compiled code that the interpreter is about to unload."""
        self._tray.put(None)
        self._wanted[0] = 1
        self._thread.join(_PARTING)

    def _work(self) -> None:
        while True:
            self._wanted[0] = 0
            if self._tray.empty():  # looked at after the word was cleared, so that nothing is missed
                self._watch(self._wanted, 1)
            given = self._tray.get()
            if given is None:
                return
            task, args, done = given
            invitation = bool(args) and args[0] is self._wanted
            if invitation and self._tray.empty():
                self._wanted[0] = 0
            try:
                task(*args)
                done.put(None)
            except BaseException as error:  # handed to the caller
                done.put(error)
            self._finished[0] += 1
            if invitation:
                self._invited = False
            del given, task, args, done  # an idle thread must not keep arrays alive


@lru_cache(maxsize=1)
def _workers(process: int) -> list[_Worker]:
    """Start this process's threads; a forked child, whose threads are gone, gets its own."""
    workers = [_Worker(number) for number in range(max(1, thread_count() - 1))]
    atexit.register(_dismiss, workers)
    return workers


def _dismiss(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.leave()


def invite(serve: Callable[..., Any], *args: Any) -> None:
    """Ask the idle workers to run ``serve(wanted, *args)``, which looks for work of its own kind.

    It must return when it has found none for a while, and when the first word of the array `wanted` is not 0.
    """
    for worker in _workers(os.getpid()):
        worker.invite(serve, args)


def step_aside(core: int) -> bool:
    """Move the calling thread to another core than this one; return whether there is one."""
    allowed = os.sched_getaffinity(0)
    if not allowed - {core}:
        return False
    os.sched_setaffinity(0, allowed - {core})
    os.sched_setaffinity(0, allowed)  # it stays where it is, until the system moves it
    return True


def alone(kernel: Callable[..., Any], *args: Any) -> Any:
    """Call a kernel on this thread; return what it returns."""
    if _here.writer is not None:
        return _here.writer.call(kernel, 0, 1, 1, args)
    return kernel(*args)


def over_samples(kernel: Callable[..., Any], n: int, work: int, *args: Any, elements: bool = False) -> None:
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
    elements : bool
        The bits do not depend on where ranges end. A step that is written down divides it further then.
    """
    if _here.writer is not None:
        _here.writer.call(kernel, 2, n, _parts(n, work, elements), args)
        return
    threads = shares(n, work)
    if threads == 1:
        kernel(0, n, *args)
        return
    _divide([partial(kernel, n * t // threads, n * (t + 1) // threads) for t in range(threads)], args)


def over_shares(kernel: Callable[..., Any], n: int, work: int, *args: Any, elements: bool = False) -> int:
    """Call ``kernel(start, stop, share, *args)`` like `over_samples`, for kernels with memory for each share.

    Returns
    -------
    int
        The number of shares, which are numbered from 0.
    """
    if _here.writer is not None:
        threads = _parts(n, work, elements)
        _here.writer.call(kernel, 3, n, threads, args)
        return threads
    threads = shares(n, work)
    if threads == 1:
        kernel(0, n, 0, *args)
    else:
        _divide([partial(kernel, n * t // threads, n * (t + 1) // threads, t) for t in range(threads)], args)
    return threads


def shares(n: int, work: int) -> int:
    """Return among how many threads `over_samples` divides n samples with so much work."""
    return max(1, min(thread_count(), n, work // _GRAIN + 1))


def _parts(n: int, work: int, elements: bool) -> int:
    """Return among how many threads a step that is written down divides them; elsewise its bits were others."""
    return max(1, min(thread_count(), n, work // _SHORT)) if elements else shares(n, work)


def _divide(parts: list[Callable[..., Any]], args: tuple[Any, ...]) -> None:
    workers = _workers(os.getpid())
    done: SimpleQueue[BaseException | None] = SimpleQueue()
    given = [(worker, worker.give((part, args, done))) for part, worker in zip(parts[1:], cycle(workers), strict=False)]
    try:
        parts[0](*args)
    finally:
        # Memory that another thread still writes must not be handed back, whatever happened here.
        for worker, number in given:
            worker.wait(number)
        errors = [done.get() for _ in given]
    for error in errors:
        if error is not None:
            raise error
