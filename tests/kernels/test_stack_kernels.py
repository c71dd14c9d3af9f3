"""Tapes: the compiled reader against the plain one, whatever the number of shares and of threads at it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgan.backend import threads
from npgan.kernels.stack import cpu, reference
from npgan.kernels.stack.tape import WIDTH, Code, Column


class Tape:
    """A tape over arrays that do not overlap, and the vectors that it names."""

    def __init__(self, samples, dtype, seed):
        self.samples, self.draw, self.dtype = samples, np.random.default_rng(seed), dtype
        self.rows, self.sizes, self.memory = [], {"theta": 0, "target": 0}, 0

    def array(self, rows, n):
        self.memory += self.samples * rows * n
        return self.memory - self.samples * rows * n

    def piece(self, vector, size):
        self.sizes[vector] += size
        return self.sizes[vector] - size

    def add(self, code, rows, k, n, weight, *, out=None, other=None, slope=1.0, **flags):
        row = np.zeros(WIDTH, np.int64)
        row[:4] = code, rows, k, n
        row[Column.OUT] = self.array(rows, n) if out is None else out
        row[Column.IN], row[Column.OTHER] = self.array(rows, k or n), self.array(rows, n) if other is None else other
        row[Column.WEIGHT], row[Column.SLOPE] = weight, np.float64(slope).view(np.int64)
        for name, flag in flags.items():
            row[Column[name.upper()]] = flag
        self.rows.append(row)
        return row

    def run(self, module, shares, accumulate, seed=0):
        """Return memory and target after a run; both are full of numbers before it."""
        draw = np.random.default_rng(seed)
        vectors = [draw.normal(size=n).astype(self.dtype) for n in (self.memory, *[self.sizes["theta"]] * 2)]
        target = draw.normal(size=self.sizes["target"]).astype(self.dtype)
        partials = np.zeros((shares - 1, target.size), self.dtype)
        module.run(np.array(self.rows), self.samples, *vectors, target, partials, accumulate)
        return vectors[0], target


@st.composite
def tapes(draw):
    """Every instruction with every option, in any order, some adding to what others wrote."""
    tape = Tape(draw(st.integers(1, 9)), draw(st.sampled_from(["float32", "float64"])), draw(st.integers(0, 99)))
    size = st.integers(1, 20)
    for code in draw(st.lists(st.sampled_from(list(Code)), min_size=1, max_size=6)):
        rows, k, n = draw(st.sampled_from([1, 3, 200])), draw(size), draw(size)
        flags = {"direction": draw(st.booleans())}
        if code == Code.PRODUCT:
            flags |= {"transposed": draw(st.booleans()), "again": draw(st.booleans())}
            tape.add(code, rows, k, n, tape.piece("theta", k * n), **flags)
        elif code == Code.BEND:
            weight = draw(st.sampled_from([-1, tape.piece("theta", n)]))
            tape.add(code, rows, 0, n, weight, slope=draw(st.sampled_from([0.0, 0.2, 1.0])), **flags)
        elif code == Code.UNBEND:
            weight = draw(st.sampled_from([-1, tape.piece("target", n)]))
            tape.add(code, rows, 0, n, weight, slope=draw(st.sampled_from([0.0, 0.2])))
        else:
            k = k if code == Code.WEIGHT else 0
            weight = tape.piece("target", (k or 1) * n)
            tape.add(code, rows, k, n, weight)
            if draw(st.booleans()):
                tape.add(code, rows, k, n, weight, again=True)
    if not tape.sizes["theta"]:
        tape.piece("theta", 1)
    return tape


@given(tape=tapes(), shares=st.sampled_from([1, 2, 3]), accumulate=st.booleans())
@settings(max_examples=60)
def test_the_compiled_reader_reads_as_the_plain_one(tape, shares, accumulate):
    memory, target = tape.run(cpu, min(shares, tape.samples), accumulate)
    expected_memory, expected_target = tape.run(reference, 1, accumulate)
    few = np.finfo(tape.dtype).eps * 2000 * tape.samples
    np.testing.assert_allclose(memory, expected_memory, rtol=few, atol=few)
    # Pieces that no instruction writes to stay as they were (-1 was drawn for an activation's).
    np.testing.assert_allclose(target, expected_target, rtol=few, atol=few)


@pytest.fixture(scope="module")
def work():
    """Something that takes long enough for several threads to be at it."""
    tape = Tape(64, "float32", 0)
    for _ in range(3):
        tape.add(Code.PRODUCT, 8, 64, 64, tape.piece("theta", 4096))
        tape.add(Code.WEIGHT, 8, 64, 64, tape.piece("target", 4096))
    return tape


def test_more_shares_than_threads_and_the_same_bits_every_time(work):
    for shares in (2, 3, 7):
        first = work.run(cpu, shares, False)
        for _ in range(50):
            for a, b in zip(first, work.run(cpu, shares, False), strict=True):
                np.testing.assert_array_equal(a, b)


def test_several_threads_of_the_user(work):
    expected = [work.run(cpu, 3, False, seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            found = list(pool.map(lambda seed: work.run(cpu, 3, False, seed), range(8)))
            for mine, alone in zip(found, expected, strict=True):
                for a, b in zip(mine, alone, strict=True):
                    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("module", [cpu, reference])
def test_what_is_not_finite_stays_visible(module):
    tape = Tape(1, "float64", 0)
    x, zero = np.array([np.nan, np.inf, -np.inf, -1.0, 2.0]), np.zeros(0)
    n = x.size
    tape.add(Code.BEND, 1, 0, n, -1, slope=0.0)
    tape.add(Code.UNBEND, 1, 0, n, -1, slope=0.5)
    rows = np.array(tape.rows)
    memory = np.zeros(4 * n)
    rows[0, [Column.OUT, Column.IN]] = n, 0
    rows[1, [Column.OUT, Column.IN, Column.OTHER]] = 3 * n, 2 * n, n
    memory[:n], memory[2 * n : 3 * n] = x, 1
    module.run(rows, 1, memory, np.zeros(1), zero, zero, np.zeros((0, 0)), False)
    np.testing.assert_array_equal(memory[n : 2 * n], [np.nan, np.inf, 0, 0, 2])
    np.testing.assert_array_equal(memory[3 * n :], [np.nan, 1, 0.5, 0.5, 1])


def test_how_it_is_divided(monkeypatch):
    monkeypatch.setattr(cpu, "thread_count", lambda: 4)
    assert [cpu.shares(n, work) for n, work in [(64, 0), (64, cpu._GRAIN), (64, 99 * cpu._GRAIN), (3, 10**9)]] == [
        1,
        2,
        4,
        3,
    ]
    assert threads.thread_count() >= 1
