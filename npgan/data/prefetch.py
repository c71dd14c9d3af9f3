"""A thread that stays a few batches ahead, writing into buffers that are made once."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable

from npgan.errors import NpganError

HANDED_OUT = 2
"""Buffers that belong to the caller at any time: that of the last `get`, and that of the one before it."""


class Prefetcher:
    """Fills buffers in the background, in the order 0, 1, 2, ... of the batches or from wherever it is asked.

    Parameters
    ----------
    fill : callable
        ``fill(cursor, slot)`` writes batch number `cursor` into buffer number `slot`; called in the thread alone.
    ahead : int
        How many batches to be ahead. There are ``ahead + HANDED_OUT`` buffers.
    """

    def __init__(self, fill: Callable[[int, int], None], ahead: int) -> None:
        self._fill = fill
        self._ahead = ahead
        self._start()

    def _start(self) -> None:
        """Set up everything that a thread or a forked process must not share with another."""
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._free = deque(range(self._ahead + HANDED_OUT))
        self._out: deque[int] = deque()
        self._ready: deque[tuple[int, int, BaseException | None]] = deque()
        self._next = 0  # the batch that the thread takes up next
        self._busy: int | None = None  # the batch that it is at, as long as that is wanted
        self._turn = 0  # of direction: what was begun in an earlier one is thrown away
        self._stopped = False
        self._thread: threading.Thread | None = None

    def get(self, cursor: int) -> int:
        """Return the number of the buffer that holds batch `cursor`; it is the caller's until the next-but-one get.

        Raises
        ------
        Exception
            What `fill` raised for this batch.
        """
        if os.getpid() != self._process:  # a fork: the thread is gone, and a lock may have been left locked
            handed = self._out
            self._start()
            self._out = handed
            for slot in handed:
                self._free.remove(slot)
        with self._changed:
            if len(self._out) == HANDED_OUT:
                self._free.append(self._out.popleft())
            coming = self._ready[0][0] if self._ready else self._next if self._busy is None else self._busy
            if coming != cursor:
                self._redirect(cursor)
            self._run_thread()
            self._changed.notify_all()
            while not self._ready:
                self._changed.wait(1.0)
                if not self._ready and not (self._thread and self._thread.is_alive()):
                    raise NpganError(f"the thread that reads the data ended before batch {cursor} was ready")
            _, slot, error = self._ready.popleft()
            if error is None:
                self._out.append(slot)
                return slot
            self._free.append(slot)
            self._redirect(cursor)  # another try, if there is one, reads it again
            raise error

    def _redirect(self, cursor: int) -> None:
        """Forget what was prepared; go on at `cursor`."""
        self._free.extend(slot for _, slot, _ in self._ready)
        self._ready.clear()
        self._next = cursor
        self._busy = None
        self._turn += 1

    def _run_thread(self) -> None:
        self._stopped = False
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="npgan-data", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        with self._changed:
            while not self._stopped:
                failed = any(error is not None for _, _, error in self._ready)
                if failed or not self._free:
                    self._changed.wait()
                    continue
                cursor, slot, turn = self._next, self._free.popleft(), self._turn
                self._busy = cursor
                self._next += 1
                error = self._fill_unlocked(cursor, slot)
                if turn == self._turn:
                    self._busy = None
                    self._ready.append((cursor, slot, error))
                else:
                    self._free.append(slot)
                self._changed.notify_all()

    def _fill_unlocked(self, cursor: int, slot: int) -> BaseException | None:
        self._changed.release()
        try:
            self._fill(cursor, slot)
        except BaseException as error:  # whatever it is, it belongs to the thread that asks for this batch
            return error
        finally:
            self._changed.acquire()
        return None

    def close(self) -> None:
        """Stop the thread and wait for it; another `get` starts it again."""
        if os.getpid() != self._process or self._thread is None:
            return
        with self._changed:
            self._stopped = True
            self._redirect(0)
            self._changed.notify_all()
        if self._thread is not threading.current_thread():  # where the garbage collector may call this
            self._thread.join()
        self._thread = None
