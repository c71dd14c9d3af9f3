"""A tape, run by compiled code on threads that wait for it without sleeping.

Waking a thread takes longer than such a sweep. So the workers, once invited, watch a word of memory for a millisecond
after their last share, as OpenMP's threads do. Nobody depends on them: a share that no worker has taken is done by the
caller. A share's partial sums belong to its number, not to who computed it: the same thread count gives the same bits.
"""

# mypy: disable-error-code="no-untyped-def"

import os
from functools import lru_cache
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import invite, step_aside, thread_count
from npgan.kernels.atomic import add, array_at, core, load, store, swap
from npgan.kernels.bend import bend, bend_slope
from npgan.kernels.parts import MOST, offer, take
from npgan.kernels.product import NO, YES, gemm
from npgan.kernels.stack.tape import WIDTH, Code, Column
from npgan.kernels.transpose import transpose
from npgan.kernels.waiting import LOOKS, PATIENCE, wait

_GRAIN = 300_000  # multiplications: some three microseconds
_FEW = 8  # features
_FEWEST = 16  # rows of a product that are worth a copy of the weights

# Rows of a matrix that go through all layers while they are in the nearest cache. With AVX-512 OpenBLAS makes a product
# of few multiplications from the factors where they lie, without copies: a quarter faster, unless it is one with a
# transpose on the right.
_ROWS = 48
_ROWS_OF_LARGE = 64
_SMALL = 1_000_000

_PRODUCT, _BEND, _UNBEND, _WEIGHT, _SUM = map(int, list(Code)[:5])
_CODE, _ROWS_OF, _K, _N, _OUT, _IN, _OTHER, _AT, _DIRECTION, _TRANSPOSED, _AGAIN, _SLOPE, _TURNED = map(int, Column)

# What the threads share, in words. Those that many write have a cache line each. The first one says whose turn it is:
# see `npgan.kernels.parts`.
_DONE = 8
_BUSY = 16
_CORE = 24  # where the caller is
_JOB = 32  # n, accumulate; then address and length of the tape and of the vectors; shares
_SIZE = 48


@kernel
def _bend_rows(out, source, b, in_place, with_bias, slope):
    # An array that is read by one name and written by another may overlap for all that the compiler knows: then its
    # loop is not one of vector instructions. Nor is one over a few features worth a slice for each row.
    n = b.size
    if not with_bias:
        for i in range(out.size):
            out[i] = bend(source[i], slope)
    elif n < _FEW:
        for r in range(out.size // n):
            for c in range(n):
                out[r * n + c] = bend(source[r * n + c] + b[c], slope)
    elif in_place:
        for r in range(out.size // n):
            part = out[r * n :][:n]
            for c in range(n):
                part[c] = bend(part[c] + b[c], slope)
    else:
        for r in range(out.size // n):
            part, given = out[r * n :][:n], source[r * n :][:n]
            for c in range(n):
                part[c] = bend(given[c] + b[c], slope)


@kernel
def _turns(row, samples):
    # whether a product with a transpose of the weights is made with a copy
    few = _FEWEST * row[_K] * row[_N] <= _SMALL
    return row[_CODE] == _PRODUCT and row[_TRANSPOSED] != 0 and few and samples * row[_ROWS_OF] >= _FEWEST


@kernel
def _execute(tape, first, last, memory, theta, direction, target, scratch, samples, fresh):
    # the samples [first, last) of a share's; fresh: there is nothing in `target` to add to
    zero, slopes = memory.dtype.type(0), tape.view(np.float64)
    for i in range(tape.shape[0]):
        row = tape[i]
        code, k, n, at, again = row[_CODE], row[_K], row[_N], row[_AT], row[_AGAIN]
        begin, count = first * row[_ROWS_OF], (last - first) * row[_ROWS_OF]
        slope = memory.dtype.type(slopes[i, _SLOPE])
        if code == _PRODUCT:
            source, out = memory[row[_IN] + begin * k :], memory[row[_OUT] + begin * n :]
            w = direction[at:] if row[_DIRECTION] else theta[at:]
            if _turns(row, samples):
                gemm(NO, NO, count, n, k, source, k, scratch[row[_TURNED] :], n, again, out, n)
            elif row[_TRANSPOSED]:
                gemm(NO, YES, count, n, k, source, k, w, k, again, out, n)
            else:
                gemm(NO, NO, count, n, k, source, k, w, n, again, out, n)
        elif code == _BEND:
            b = direction[at : at + n] if row[_DIRECTION] else theta[max(at, 0) : max(at, 0) + n]
            source, out = memory[row[_IN] + begin * n :][: count * n], memory[row[_OUT] + begin * n :][: count * n]
            _bend_rows(out, source, b, row[_IN] == row[_OUT], at >= 0, slope)
        elif code == _UNBEND:
            total = target[at:][:n]
            if at >= 0 and fresh and not again:
                total[:] = zero
            for r in range(count):
                here = (begin + r) * n
                source, out = memory[row[_IN] + here :][:n], memory[row[_OUT] + here :][:n]
                y = memory[row[_OTHER] + here :][:n]
                if at < 0:
                    for c in range(n):
                        out[c] = source[c] * bend_slope(y[c], slope)
                else:
                    for c in range(n):
                        u = source[c] * bend_slope(y[c], slope)
                        out[c] = u
                        total[c] += u
        elif code == _WEIGHT:
            source, other = memory[row[_IN] + begin * k :], memory[row[_OTHER] + begin * n :]
            gemm(YES, NO, k, n, count, source, k, other, n, 1 - (fresh and not again), target[at:], n)
        else:
            total = target[at:][:n]
            if fresh and not again:
                total[:] = zero
            if code == _SUM:
                source = memory[row[_IN] + begin * n :]
                for r in range(count):
                    for c in range(n):
                        total[c] += source[r * n + c]


@kernel
def _block(tape):
    # how many samples go through all layers at a time
    largest, rows = 1, 1
    for i in range(tape.shape[0]):
        largest, rows = max(largest, tape[i, _K] * tape[i, _N]), max(rows, tape[i, _ROWS_OF])
    return max(1, (_ROWS_OF_LARGE if _FEWEST * largest > _SMALL else min(_ROWS, _SMALL // largest)) // rows)


@kernel
def share(number, shares, n, tape, memory, theta, direction, target, partials, scratch, accumulate):
    """Run a tape for a share of the samples."""
    start, stop = n * number // shares, n * (number + 1) // shares
    block = _block(tape)
    into = target if number == 0 else partials[(number - 1) * target.size : number * target.size]
    mine = scratch[number * (scratch.size // shares) :]
    for i in range(tape.shape[0]):
        row = tape[i]
        if _turns(row, stop - start):
            w = direction if row[_DIRECTION] else theta
            transpose(mine, row[_TURNED], row[_N], w, row[_AT], row[_K], row[_N], row[_K])
    for first in range(start, stop, block):
        fresh = first == start and (number > 0 or not accumulate)
        last = min(first + block, stop)
        _execute(tape, first, last, memory, theta, direction, into, mine, stop - start, fresh)


@kernel
def combine(start, stop, target, partials):
    """Add the sums of the other shares: partials (shares - 1, size) -> target (size,), the elements [start, stop)."""
    into = target[start:stop]
    for number in range(partials.shape[0]):
        part = partials[number, start:stop]
        for i in range(into.size):
            into[i] += part[i]


@kernel
def _serve(attention, words, like):
    # What a worker does, invited: take shares, until there has been none for long, or somebody wants its attention.
    # Returns True if it has to leave the core to the caller.
    turn_at, done_at, wanted = words.ctypes.data, words.ctypes.data + 8 * _DONE, attention.ctypes.data
    job = words[_JOB:]
    idle = 0
    while idle < PATIENCE and load(wanted) == 0:
        number = take(turn_at, True)
        if number >= 0:
            idle, shares = 0, job[15]
            tape = array_at(job[2], job[3] * WIDTH, words).reshape((job[3], WIDTH))
            share(
                number, shares, job[0], tape, array_at(job[4], job[5], like), array_at(job[6], job[7], like),
                array_at(job[8], job[9], like), array_at(job[10], job[11], like),
                array_at(job[12], job[11] * (shares - 1), like), array_at(job[13], job[14], like), job[1] != 0,
            )  # fmt: skip
            add(done_at, 1)
        else:
            idle += 1
            if idle % LOOKS == 0 and core() == words[_CORE]:
                return True
            wait(idle)
    return False


@kernel
def _run(words, shares, n, tape, memory, theta, direction, target, partials, scratch, accumulate):
    turn_at, done_at, busy_at = words.ctypes.data, words.ctypes.data + 8 * _DONE, words.ctypes.data + 8 * _BUSY
    alone = shares == 1 or not swap(busy_at, 0, 1)  # another thread of the user's is at it
    if alone:
        for number in range(shares):
            share(number, shares, n, tape, memory, theta, direction, target, partials, scratch, accumulate)
    else:
        job = words[_JOB:]
        job[0], job[1], job[2], job[3] = n, accumulate, tape.ctypes.data, tape.shape[0]
        job[4], job[5], job[6], job[7] = memory.ctypes.data, memory.size, theta.ctypes.data, theta.size
        job[8], job[9], job[10], job[11] = direction.ctypes.data, direction.size, target.ctypes.data, target.size
        job[12], job[13], job[14], job[15] = partials.ctypes.data, scratch.ctypes.data, scratch.size, shares
        words[_CORE] = core()
        store(done_at, 0)
        offer(turn_at, shares)
        number = take(turn_at, False)
        while number >= 0:
            share(number, shares, n, tape, memory, theta, direction, target, partials, scratch, accumulate)
            add(done_at, 1)
            number = take(turn_at, False)
        looks = 0
        while load(done_at) < shares:
            looks += 1
            wait(looks)
        store(busy_at, 0)
    for number in range(1, shares):
        part = partials[(number - 1) * target.size : number * target.size]
        for i in range(target.size):
            target[i] += part[i]


def _attend(wanted: Array, words: Array, like: Array) -> None:
    """Serve on a core of one's own: the two would take turns on one, each waiting for the other."""
    while _serve(wanted, words, like) and step_aside(int(words[_CORE])):
        pass


@lru_cache(maxsize=4)
def _words(process: int, dtype: np.dtype[Any]) -> Array:
    """Return what the threads of this process share, for tapes of one dtype; a forked child gets its own."""
    return np.zeros(_SIZE, np.int64)


def shares(n: int, work: int) -> int:
    """Return among how many threads n samples with `work` multiplications are divided."""
    return max(1, min(thread_count(), n, work // _GRAIN + 1, MOST))


def workspace(size: int) -> int:
    """Return the elements of a share's scratch, of a tape whose transposed weights have `size`."""
    return size


def run(
    tape: Array,
    n: int,
    memory: Array,
    theta: Array,
    direction: Array,
    target: Array,
    partials: Array,
    scratch: Array,
    accumulate: bool,
) -> None:
    """Run a tape for n samples.

    Parameters
    ----------
    tape : int64 array (instructions, WIDTH)
    memory, theta, direction, target : array (size,)
        `direction` and `target` are empty where the tape does not name them.
    partials : array (shares - 1, size of target)
        Memory for the other shares' sums, 0 where the tape writes nothing; its length says how many shares there are, n
        at the most.
    scratch : array (shares, size)
        Room for transposed weights, of `workspace` elements.
    accumulate : bool
        Add to `target` what the tape's first instruction for a piece of it finds.
    """
    count = partials.shape[0] + 1
    words = _words(os.getpid(), memory.dtype)
    if count > 1:
        invite(_attend, words, theta[:0])
    vectors = (memory, theta, direction, target, partials.reshape(-1), scratch.reshape(-1))
    _run(words, count, n, tape, *vectors, accumulate)
