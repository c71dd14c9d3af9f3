"""A training step that was written down (see `npgan.backend.step_program`), run by all threads without Python.

The threads take parts of groups of rows; who finishes the last part of a group opens the next one. As in the sweeps of
`npgan.kernels.stack` nobody depends on a worker: parts that no worker takes are done by the caller.
"""

# mypy: disable-error-code="no-untyped-def"

import os
from functools import lru_cache

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.step_program import WIDTH
from npgan.backend.threads import invite, step_aside
from npgan.kernels.atomic import add, array_at, core, jump, load, store, swap
from npgan.kernels.parts import offer, take
from npgan.kernels.waiting import LOOKS, PATIENCE, wait

# What the threads share, in words; those that many write have a cache line each. The first says whose turn it is: see
# `npgan.kernels.parts`.
_DONE = 8  # parts of the group
_FINISHED = 16  # all groups
_BUSY = 24
_CORE = 32  # where the caller is
_NOW = 40  # the group; then how many there are, and the addresses of groups and rows
_SIZE = 48


@kernel
def _work(attention, words, mine):
    # Take parts until all is done, if it is mine. A worker stays until nothing has been going on for long, or somebody
    # wants its attention; it returns True if it has to leave the core to the caller.
    turn_at, done_at = words.ctypes.data, words.ctypes.data + 8 * _DONE
    finished_at, wanted = words.ctypes.data + 8 * _FINISHED, attention.ctypes.data
    idle = 0
    while True:
        number = take(turn_at, not mine)
        if number >= 0:
            idle, now = 0, words[_NOW]
            group = array_at(words[_NOW + 2] + 24 * now, 6, words)
            parts = group[2]
            for i in range(group[0], group[1]):
                row = array_at(words[_NOW + 3] + 8 * WIDTH * i, WIDTH, words)
                n = row[3]
                jump(row[0], row[1], row[2], n * number // parts, n * (number + 1) // parts, number)
            if add(done_at, 1) == parts - 1:
                store(done_at, 0)
                words[_NOW] = now + 1
                last = now + 1 == words[_NOW + 1]
                offer(turn_at, 0 if last else group[5])
                if last:
                    store(finished_at, 1)
            continue
        if mine:
            if load(finished_at) != 0:
                return False
        elif load(wanted) != 0 or (idle >= PATIENCE and load(finished_at) != 0):
            return False
        idle += 1
        if idle % LOOKS == 0 and not mine and core() == words[_CORE]:
            return True
        wait(idle)


@kernel
def _start(attention, words, groups, rows):
    words[_CORE] = core()
    words[_NOW], words[_NOW + 1] = 0, groups.shape[0] - 1
    words[_NOW + 2], words[_NOW + 3] = groups.ctypes.data, rows.ctypes.data
    store(words.ctypes.data + 8 * _FINISHED, 0)
    offer(words.ctypes.data, groups[0, 2])
    _work(attention, words, True)
    store(words.ctypes.data + 8 * _BUSY, 0)


@kernel
def _enter(words):
    return swap(words.ctypes.data + 8 * _BUSY, 0, 1)


def _attend(wanted: Array, words: Array) -> None:
    """Serve on a core of one's own: the two would take turns on one, each waiting for the other."""
    while _work(wanted, words, False) and step_aside(int(words[_CORE])):
        pass


@lru_cache(maxsize=4)
def _shared(process: int) -> tuple[Array, Array]:
    """Return what the threads of this process share; a forked child gets its own."""
    return np.zeros(_SIZE, np.int64), np.zeros(8, np.int64)


def perform(rows: Array, groups: Array) -> None:
    """Run a program.

    Parameters
    ----------
    rows : int64 array (rows, WIDTH)
    groups : int64 array (groups + 1, 3)
        First row, end and parts of each, which is one at least; the last row is none, and there to be read.
    """
    words, attention = _shared(os.getpid())
    if not _enter(words):  # another thread of the user's is at it
        words = np.zeros(_SIZE, np.int64)
    elif groups[:, 2].max() > 1:
        invite(_attend, words)
    _start(attention, words, groups, rows)
