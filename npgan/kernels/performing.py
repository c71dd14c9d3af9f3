"""A training step that was written down (see `npgan.backend.step_program`), run by all threads without Python.

The threads take parts of groups of rows; who finishes the last part of a group opens the next one. As in the sweeps of
`npgan.kernels.stack` nobody depends on a worker: parts that no worker takes are done by the caller.
"""

# mypy: disable-error-code="no-untyped-def"

import math
import os
from functools import lru_cache
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.step_program import WIDTH, Code
from npgan.backend.threads import invite, step_aside
from npgan.kernels.atomic import add, array_at, core, load, store, swap
from npgan.kernels.loss.cpu import _cross_entropy, _hinge, _linear, _squared
from npgan.kernels.optimizer.cpu import _adam_step, _average, _clip, _scale
from npgan.kernels.parts import offer, take
from npgan.kernels.random.cpu import _normal, _normal_single, _uniform
from npgan.kernels.reduce.cpu import _BLOCK, _SMALLEST, _largest, _squares, _sum
from npgan.kernels.stack.cpu import _share
from npgan.kernels.stack.tape import WIDTH as TAPE_WIDTH
from npgan.kernels.waiting import LOOKS, PATIENCE, wait

(
    _COPY, _STACK, _COMBINE, _NORMAL, _UNIFORM, _CROSS_ENTROPY, _SQUARED, _LINEAR, _HINGE, _MEAN, _NORM, _ADD, _LIMIT,
    _CLIP, _ADAM, _AVERAGE, _COLLECT,
) = map(int, Code)  # fmt: skip
_MASK = 0xFFFFFFFF

# What the threads share, in words; those that many write have a cache line each. The first says whose turn it is: see
# `npgan.kernels.parts`.
_DONE = 8  # parts of the group
_FINISHED = 16  # all groups
_BUSY = 24
_CORE = 32  # where the caller is
_NOW = 40  # the group; then how many there are, and the addresses of groups and rows
_SIZE = 48


@kernel
def _number(address, real):
    return array_at(address, 1, real)[0]


@kernel
def _norm_of(sums, x):
    # as `npgan.kernels.reduce.cpu.norm`
    _squares(0, sums.size, sums, x, 1.0)
    total = _sum(sums)
    if _SMALLEST < total < np.inf or math.isnan(total):
        return math.sqrt(total)
    largest = _largest(x)
    if largest == 0 or not math.isfinite(largest):
        return np.float64(largest)
    exponent = max(math.frexp(largest)[1] - 1, -1023)
    _squares(0, sums.size, sums, x, math.ldexp(1.0, -exponent))
    return math.sqrt(_sum(sums)) * math.ldexp(1.0, exponent)


@kernel
def _loss(row, like, real):
    n, m = row[5], row[6]
    slope = array_at(row[3], n * m, like).reshape((n, m))
    t = array_at(row[4], n * m, like).reshape((n, m))
    factor, option = _number(row[7], real), _number(row[8], real)
    if row[0] == _CROSS_ENTROPY:
        return _cross_entropy(slope, t, None, factor, option)
    if row[0] == _SQUARED:
        return _squared(slope, t, None, factor, option)
    if row[0] == _LINEAR:
        return _linear(slope, t, None, factor)
    return _hinge(slope, t, None, factor, option)


@kernel
def _draw(row, start, stop, out, real):
    step = np.int64(_number(row[6], real)) & _MASK
    a, b = _number(row[9], real), _number(row[10], real)
    if row[0] == _UNIFORM:
        _uniform(start, stop, out, row[4], row[5], step, row[7], row[8], a, b)
    elif out.itemsize == 4:
        _normal_single(start, stop, out, row[4], row[5], step, row[7], row[8], a, b)
    else:
        _normal(start, stop, out, row[4], row[5], step, row[7], row[8], a, b)


@kernel
def _call(row, part, words, like, real):
    # one part of one row
    code, parts = row[0], row[1]
    if code == _COPY:
        start, stop = row[4] * part // parts, row[4] * (part + 1) // parts
        out, source = array_at(row[2], stop, like)[start:], array_at(row[3], stop, like)[start:]
        for i in range(out.size):
            out[i] = source[i]
    elif code == _STACK:
        target = array_at(row[10], row[11], like)
        _share(
            part, parts, row[15], array_at(row[2], row[3] * TAPE_WIDTH, words).reshape((row[3], TAPE_WIDTH)),
            array_at(row[4], row[5], like), array_at(row[6], row[7], like), array_at(row[8], row[9], like), target,
            array_at(row[12], row[11] * (parts - 1), like), array_at(row[13], row[14], like), row[16] != 0,
        )  # fmt: skip
    elif code == _COMBINE:
        n = row[3]
        start, stop = n * part // parts, n * (part + 1) // parts
        target = array_at(row[2], n, like)[start:stop]
        for number in range(row[5] - 1):
            other = array_at(row[4], n * row[5], like)[n * number + start : n * number + stop]
            for i in range(target.size):
                target[i] += other[i]
    elif code in (_NORMAL, _UNIFORM):
        blocks = (row[3] + 3) // 4
        _draw(row, blocks * part // parts, blocks * (part + 1) // parts, array_at(row[2], row[3], like), real)
    elif code == _MEAN:
        array_at(row[2], 1, real)[0] = _sum(array_at(row[3], row[4], like)) / row[4]
    elif code == _NORM:
        sums = array_at(row[3], (row[5] + _BLOCK - 1) // _BLOCK, real)
        array_at(row[2], 1, real)[0] = _norm_of(sums, array_at(row[4], row[5], like))
    elif code == _ADD:
        array_at(row[2], 1, real)[0] = _number(row[3], real) + _number(row[4], real)
    elif code == _LIMIT:
        norm, most = _number(row[4], real), _number(row[5], real)
        if math.isfinite(norm) and norm > most:
            _scale(0, row[3], array_at(row[2], row[3], like), most / norm)
    elif code == _CLIP:
        _clip(0, row[3], array_at(row[2], row[3], like), _number(row[4], real))
    elif code == _ADAM:
        n = row[3]
        _adam_step(
            n * part // parts, n * (part + 1) // parts, part, array_at(row[2], n, like),
            array_at(row[4], row[5], like), array_at(row[6], n, like), array_at(row[7], n, like),
            array_at(row[8], n, like), _number(row[9], real), _number(row[10], real), _number(row[11], real),
            _number(row[12], real), _number(row[13], real), _number(row[14], real), _number(row[15], real),
            _number(row[16], real), _number(row[17], real), _number(row[18], real),
        )  # fmt: skip
    elif code == _AVERAGE:
        n = row[3]
        start, stop, weight = n * part // parts, n * (part + 1) // parts, _number(row[5], real)
        mean, theta = array_at(row[2], n, like), array_at(row[4], n, like)
        if weight == 1:
            for i in range(start, stop):
                mean[i] = theta[i]
        else:
            _average(start, stop, mean, theta, weight)
    elif code == _COLLECT:
        out, places = array_at(row[2], row[4] + 1, real), array_at(row[3], row[4], words)
        finite = True
        for i in range(places.size):
            out[i + 1] = _number(places[i], real)
            finite = finite and math.isfinite(out[i + 1])
        if not finite:
            out[0] += 1
    else:
        array_at(row[2], 1, real)[0] = _loss(row, like, real)


@kernel
def _work(attention, words, like, real, mine):
    # Take parts until all is done, if it is mine. A worker stays until there has been nothing for long, or somebody
    # wants its attention; it returns True if it has to leave the core to the caller.
    turn_at, done_at = words.ctypes.data, words.ctypes.data + 8 * _DONE
    finished_at, wanted = words.ctypes.data + 8 * _FINISHED, attention.ctypes.data
    idle = 0
    while True:
        number = take(turn_at, not mine)
        if number >= 0:
            idle, now = 0, words[_NOW]
            group = array_at(words[_NOW + 2] + 24 * now, 6, words)
            for i in range(group[0], group[1]):
                _call(array_at(words[_NOW + 3] + 8 * WIDTH * i, WIDTH, words), number, words, like, real)
            if add(done_at, 1) == group[2] - 1:
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
        elif idle >= PATIENCE or load(wanted) != 0:
            return False
        idle += 1
        if idle % LOOKS == 0 and not mine and core() == words[_CORE]:
            return True
        wait(idle)


@kernel
def _start(attention, words, groups, rows, like, real):
    words[_CORE] = core()
    words[_NOW], words[_NOW + 1] = 0, groups.shape[0] - 1
    words[_NOW + 2], words[_NOW + 3] = groups.ctypes.data, rows.ctypes.data
    store(words.ctypes.data + 8 * _FINISHED, 0)
    offer(words.ctypes.data, groups[0, 2])
    _work(attention, words, like, real, True)
    store(words.ctypes.data + 8 * _BUSY, 0)


@kernel
def _enter(words):
    return swap(words.ctypes.data + 8 * _BUSY, 0, 1)


def _attend(wanted: Array, words: Array, like: Array, real: Array) -> None:
    """Serve on a core of one's own: the two would take turns on one, each waiting for the other."""
    while _work(wanted, words, like, real, False) and step_aside(int(words[_CORE])):
        pass


@lru_cache(maxsize=4)
def _shared(process: int, dtype: np.dtype[Any]) -> tuple[Array, Array, Array, Array]:
    """Return what the threads of this process share, for programs of one dtype; a forked child gets its own."""
    return np.zeros(_SIZE, np.int64), np.zeros(8, np.int64), np.zeros(0, dtype), np.zeros(0)


def perform(rows: Array, groups: Array, dtype: np.dtype[Any]) -> None:
    """Run a program.

    Parameters
    ----------
    rows : int64 array (rows, WIDTH)
    groups : int64 array (groups + 1, 3)
        First row, end and parts of each; the last row is none, and there to be read.
    dtype : dtype
        Of the networks.
    """
    words, attention, like, real = _shared(os.getpid(), dtype)
    if not _enter(words):  # another thread of the user's is at it
        words = np.zeros(_SIZE, np.int64)
    elif groups[:, 2].max() > 1:
        invite(_attend, words, like, real)
    _start(attention, words, groups, rows, like, real)
