"""Tapes: the compiled reader against the plain one, whatever the number of shares and of threads at it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgan.backend import threads
from npgan.kernels.stack import cpu, gpu, reference
from npgan.kernels.stack.tape import WIDTH, Code, Column


class Tape:
    """A tape over arrays that do not overlap, and the vectors that it names."""

    def __init__(self, samples, dtype, seed):
        self.samples, self.draw, self.dtype = samples, np.random.default_rng(seed), dtype
        self.rows, self.sizes, self.memory = [], {"theta": 0, "target": 0, "scratch": 0}, 0

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
        if row[Column.TRANSPOSED]:
            row[Column.TURNED] = self.piece("scratch", k * n)
        self.rows.append(row)
        return row

    def run(self, module, shares, accumulate, seed=0):
        """Return memory and target after a run; both are full of numbers before it."""
        draw = np.random.default_rng(seed)
        vectors = [draw.normal(size=n).astype(self.dtype) for n in (self.memory, *[self.sizes["theta"]] * 2)]
        target = draw.normal(size=self.sizes["target"]).astype(self.dtype)
        partials = np.zeros((shares - 1, target.size), self.dtype)
        scratch = np.full((shares, module.workspace(self.sizes["scratch"])), np.nan, self.dtype)
        module.run(np.array(self.rows), self.samples, *vectors, target, partials, scratch, accumulate)
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


@pytest.mark.parametrize("version", [cpu, gpu], ids=["cpu", "gpu"], indirect=True)
@given(tape=tapes(), shares=st.sampled_from([1, 2, 3]), accumulate=st.booleans())
@settings(max_examples=60)
def test_the_compiled_reader_reads_as_the_plain_one(version, tape, shares, accumulate):
    shares = min(shares, tape.samples) if version is cpu else 1
    memory, target = tape.run(version, shares, accumulate)
    expected_memory, expected_target = tape.run(reference, 1, accumulate)
    few = np.finfo(tape.dtype).eps * 2000 * tape.samples
    np.testing.assert_allclose(memory, expected_memory, rtol=few, atol=few)
    # Pieces that no instruction writes to stay as they were (-1 was drawn for an activation's).
    np.testing.assert_allclose(target, expected_target, rtol=few, atol=few)


@pytest.mark.parametrize(
    ("rows", "width", "samples"), [(1, 128, 48), (1, 192, 27), (1, 256, 64), (10, 20, 4), (99, 9, 1)]
)
def test_how_many_samples_go_through_all_layers_at_a_time(rows, width, samples):
    tape = Tape(1, "float32", 0)
    tape.add(Code.WEIGHT, rows, width, width, 0)
    tape.add(Code.BEND, 1, 0, width, -1)
    assert cpu._block(np.array(tape.rows)) == samples


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


@pytest.mark.parametrize("version", [cpu, gpu, reference], indirect=True)
def test_what_is_not_finite_stays_visible(version):
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
    version.run(rows, 1, memory, np.zeros(1), zero, zero, np.zeros((0, 0)), zero, False)
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


def test_a_sum_comes_before_what_overwrites_what_it_reads():
    tape = Tape(3, "float32", 0)
    first = tape.add(Code.WEIGHT, 1, 4, 5, tape.piece("target", 20))
    tape.add(Code.BEND, 1, 0, 5, -1)
    tape.add(Code.UNBEND, 1, 0, 5, tape.piece("target", 5))
    assert [(len(rows), len(sums)) for rows, sums in gpu._divide(np.array(tape.rows), 3)] == [(2, 2)]
    tape.add(Code.BEND, 1, 0, 4, -1, out=first[Column.IN] + 11)  # its last element
    assert [(len(rows), len(sums)) for rows, sums in gpu._divide(np.array(tape.rows), 3)] == [(2, 2), (1, 0)]
    tape.rows[-1][Column.OUT] += 1
    assert len(gpu._divide(np.array(tape.rows), 3)) == 2  # the other factor's first


def test_what_clears_a_place_leaves_it_to_what_adds_there(cupy):
    tape = Tape(2, "float64", 0)
    place = tape.piece("target", 6)
    tape.add(Code.ZERO, 1, 0, 6, place)
    tape.add(Code.WEIGHT, 1, 2, 3, place, again=True)
    alone = tape.piece("target", 40)
    tape.add(Code.ZERO, 1, 0, 40, alone)
    tape.piece("theta", 1)
    from npgan.kernels.stack import gpu as module

    rows, memory = np.array(tape.rows), np.random.default_rng(0).normal(size=tape.memory)
    for accumulate in (False, True):
        target = np.ones(46)
        expected = target.copy()
        reference.run(
            rows, 2, memory.copy(), np.zeros(1), np.zeros(0), expected, np.zeros((0, 46)), np.zeros((1, 0)), accumulate
        )
        on_device = cupy.asarray(target)
        arrays = (
            cupy.asarray(memory),
            cupy.zeros(1),
            cupy.zeros(0),
            on_device,
            cupy.zeros((0, 46)),
            cupy.zeros((1, 0)),
        )
        module.run(rows, 2, *arrays, accumulate)
        np.testing.assert_allclose(on_device.get(), expected, rtol=1e-12)
