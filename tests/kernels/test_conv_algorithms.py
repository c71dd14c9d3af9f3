"""Each algorithm of convolution, whatever `choose` would pick: equal to the reference, and as exact as columns."""

import os
import platform
import subprocess
import sys
from fractions import Fraction
from itertools import product
from unittest import mock

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from npgan.kernels.after import After
from npgan.kernels.conv import (
    blocks,
    cells,
    choice,
    columns,
    correlate,
    cpu,
    direct,
    gather,
    panels,
    reference,
    scatter,
    winograd,
)
from npgan.kernels.conv.separable import matrix
from npgan.kernels.conv.tiles import Scheme
from npgan.kernels.conv.toom_cook import POINTS, matrices
from npgan.kernels.conv.transforms import turn
from npgan.kernels.moments import BLOCK
from npgan.kernels.moments import blocks as blocks_of

SCHEMES = [Scheme(4, 2, 2), Scheme(2, 3, 1), Scheme(4, 3, 2)]  # a kernel takes seconds to compile; LAYERS have others
BOUND = {"blocks": 1 << 30, "panels": 0}
BY = st.sampled_from(list(BOUND))
# Whether there is a bias, and the slope. What code there is for each is the same in all algorithms: see `finish`.
ENDS = [(None, None), (True, 0.2), (True, None), (None, 0.0)]
GRADIENTS = ("forward", "backward_input", "backward_weight")


class Problem:
    """Random arrays of one geometry, and the three products of them by one algorithm."""

    def __init__(self, n, channels, size, kernel, stride, padding, seed, dtype=np.float64):
        draw = np.random.default_rng(seed)
        self.stride, self.padding = stride, padding
        counts = ((h + sum(p) - k) // s + 1 for h, k, s, p in zip(size, kernel, stride, padding, strict=True))
        self.x = draw.normal(size=(n, *size, channels[0])).astype(dtype)
        self.w = draw.normal(size=(*kernel, *channels)).astype(dtype)
        self.dy = draw.normal(size=(n, *counts, channels[1])).astype(dtype)

        self.bias, self.slope, self.measured = None, None, False

    def finish(self, out):
        """Return a bias that is different along the channels, and the slope, where the output is to be finished."""
        bias = None if self.bias is None else np.linspace(-1, 1, out.shape[-1], dtype=out.dtype)
        return bias, self.slope

    @staticmethod
    def blocks(module, out):
        return 1 if module is reference else blocks_of(out.shape[1] * out.shape[2])

    @property
    def shapes(self):
        return self.x.shape, self.w.shape, self.dy.shape

    def expected(self):
        wide = [a.astype(np.float64) for a in (self.x, self.w, self.dy)]
        return self._run(reference, (), (self.stride, self.padding, (1, 1)), *wide, size=0)

    def columns(self):
        options = self.stride, self.padding, (1, 1)
        size = columns.workspace(*self.shapes, self.padding)
        return self._run(columns, (), options, self.x, self.w, self.dy, size=size)

    def direct(self):
        options = (self.stride, self.padding)
        size = direct.workspace(*self.shapes, *options)
        return self._run(direct, (), options, self.x, self.w, self.dy, size=size)

    def cells(self):
        options = (self.stride, self.padding)
        size = cells.workspace(*self.shapes, *options)
        return self._run(cells, (), options, self.x, self.w, self.dy, size=size)

    def winograd(self, scheme):
        size = winograd.workspace(scheme, *self.shapes)
        return self._run(winograd, (scheme,), (self.padding,), self.x, self.w, self.dy, size=size)

    def _run(self, module, lead, options, x, w, dy, size):
        y, dx, dw = (np.full_like(a, np.nan) for a in (dy, x, w))
        guarded = np.full(size + 64, np.nan, x.dtype)
        guarded[size:] = 7
        scratch = guarded[:size]
        for name, out, of in (("forward", y, x), ("backward_input", dx, dy)):
            moments = None
            if self.measured:
                moments = np.full((2, len(x), self.blocks(module, out), out.shape[-1]), np.nan)
            getattr(module, name)(*lead, out, scratch, of, w, *options, After(*self.finish(out), moments))
            if moments is not None:
                are_moments(moments, out)
        module.backward_weight(*lead, dw, scratch, dy, x, *options, False)
        more = np.ones_like(dw)
        module.backward_weight(*lead, more, scratch, dy, x, *options, True)
        close([more], [dw + 1])
        assert (guarded[size:] == 7).all(), "written beyond the scratch"
        return y, dx, dw


def draw_problem(draw, kernel, stride, channels, least=(1, 1), exact=False, ends=ENDS):
    """Odd sizes, any padding and any batch; `least` outputs along each axis, or `exact`ly as many; and an end."""
    pads = [(0, 2), (1, 1), (2, 0)] if exact and stride == (1, 1) else list(product(range(4), repeat=2))
    padding = tuple(draw(st.sampled_from(pads)) for _ in kernel)
    sizes = [k + s * (o - 1) - sum(p) for k, s, p, o in zip(kernel, stride, padding, least, strict=True)]
    assume(not exact or min(sizes) > 0)
    size = tuple(
        max(1, size) + draw(st.integers(0, s - 1 if exact else 7)) for size, s in zip(sizes, stride, strict=True)
    )
    n, seed = draw(st.integers(1, 5)), draw(st.integers(0, 2**32 - 1))
    problem = Problem(n, channels, size, kernel, stride, padding, seed)
    problem.bias, problem.slope = draw(st.sampled_from(ends))
    if not columns.is_columns(*problem.shapes, padding):  # one product, which has left the cache when it is done
        problem.measured = draw(st.booleans())
    return problem


def with_threads(count, problem, run):
    """Run as with so many threads, which `shares` would not ask for so little."""
    with (
        mock.patch("npgan.backend.threads.thread_count", return_value=count),
        mock.patch("npgan.backend.threads._GRAIN", 1),
        mock.patch.object(blocks, "thread_count", return_value=count),
        mock.patch.object(panels, "thread_count", return_value=count),
        mock.patch.object(gather, "thread_count", return_value=count),
        mock.patch.object(scatter, "thread_count", return_value=count),
        mock.patch.object(correlate, "thread_count", return_value=count),
        mock.patch.object(cells, "thread_count", return_value=count),
    ):
        return run(problem)


def are_moments(moments, y):
    """Moments (2, N, blocks, C) are those of the rows of each sample of y, a block of them at a time."""
    rows = y.reshape(len(y), -1, y.shape[-1]).astype(np.float64)
    size = BLOCK if moments.shape[2] > 1 else rows.shape[1]
    for block in range(moments.shape[2]):
        part = rows[:, block * size : (block + 1) * size]
        mean = part.mean(axis=1)
        np.testing.assert_allclose(moments[0, :, block], mean, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(
            moments[1, :, block], ((part - mean[:, None]) ** 2).sum(axis=1), rtol=1e-11, atol=1e-24
        )


def close(found, expected):
    for each, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(
            each, right, rtol=0, atol=500 * np.finfo(each.dtype).eps * max(1, np.abs(right).max())
        )


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@given(data=st.data(), threads=st.sampled_from([1, 2, 3]), points=st.sampled_from([1, 100, 600]), by=BY)
@settings(max_examples=25)
def test_winograd_is_the_reference(scheme, data, threads, points, by):
    s = scheme.stride
    k = data.draw(st.sampled_from([scheme.r * s - some for some in range(s)]))
    channels = data.draw(st.tuples(st.integers(1, 16), st.integers(1, 16)))
    # Tiles of all kinds; what is left over is always the same, as a kernel is compiled for each: also of dx, which at
    # stride 1 is as large as y then, and for F(4, 3) is F(3, 3)'s.
    whole = st.sampled_from([0, 3] if (scheme.m, scheme.r) == (4, 3) else [0, 1, 2])
    counts = (data.draw(whole) * scheme.m + scheme.m - 1, data.draw(whole) * scheme.m + 1)
    problem = draw_problem(data.draw, (k, k), (s, s), channels, least=counts, exact=True, ends=ENDS[:2])
    # chunks of few tiles, and of many; few samples together, or all
    with (
        mock.patch.object(blocks, "_LARGEST", BOUND[by]),
        mock.patch.object(blocks, "_POINTS", points),
        mock.patch.object(panels, "_ELEMENTS", points << 9),
        mock.patch.object(panels, "_ROWS", 1),
    ):
        close(with_threads(threads, problem, lambda p: p.winograd(scheme)), problem.expected())


# Kernel, stride and few channels, for each of which one is compiled: phases with as many taps, with fewer, with none
FEW = [((4, 4), (2, 2), 1), ((4, 4), (2, 2), 3), ((5, 3), (2, 1), 2), ((1, 2), (3, 1), 4), ((3, 5), (1, 3), 1)]


@given(
    data=st.data(),
    few=st.sampled_from(FEW),
    many=st.sampled_from([16, 48, 64]),
    threads=st.sampled_from([1, 2, 3]),
)
@settings(max_examples=40)
def test_direct_is_the_reference_where_few_channels_go_in(data, few, many, threads):
    kernel, stride, channels = few
    problem = draw_problem(data.draw, kernel, stride, (channels, many), least=(4, 3))
    assert direct.suits(*problem.shapes, stride, (1, 1))
    close(with_threads(threads, problem, Problem.direct), problem.expected())


@given(
    data=st.data(),
    few=st.sampled_from([3, 4]),
    many=st.sampled_from([64, 128]),
    counts=st.sampled_from([(4, 4), (8, 20), (36, 32)]),  # tiles: one, some, and more than are taken at once
    threads=st.sampled_from([1, 2, 3]),
)
@settings(max_examples=20)
def test_cells_are_the_reference(data, few, many, counts, threads):
    problem = draw_problem(data.draw, (4, 4), (2, 2), (few, many), least=counts, exact=True)
    _, w, y = problem.shapes
    assert cells.suits(w, y, (2, 2), (1, 1))
    close(with_threads(threads, problem, Problem.cells), problem.expected())


@given(
    data=st.data(),
    few=st.sampled_from([((3, 3), 1), ((2, 5), 3), ((4, 3), 4)]),
    many=st.sampled_from([16, 48, 64]),
    threads=st.sampled_from([1, 2, 3]),
)
@settings(max_examples=30)
def test_direct_is_the_reference_where_few_channels_come_out(data, few, many, threads):
    kernel, channels = few
    problem = draw_problem(data.draw, kernel, (1, 1), (many, channels), least=(4, 3))
    assume(direct.suits(*problem.shapes, (1, 1), (1, 1)))  # not so where padding makes most of the windows
    close(with_threads(threads, problem, Problem.direct), problem.expected())


@given(
    data=st.data(),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_columns_are_the_reference(data, kernel, stride, channels):
    problem = draw_problem(data.draw, kernel, stride, channels)
    close(problem.columns(), problem.expected())


# n, channels, size, kernel, stride, padding: the layers of the recipes, with fewer samples
LAYERS = {
    "dcgan 28, first": (4, (1, 64), (28, 28), (4, 4), (2, 2)),
    "dcgan 28, second": (8, (64, 128), (14, 14), (4, 4), (2, 2)),
    "dcgan 64, first": (2, (3, 64), (64, 64), (4, 4), (2, 2)),
    "dcgan 64, second": (2, (64, 128), (32, 32), (4, 4), (2, 2)),
    "dcgan 64, third": (2, (128, 256), (16, 16), (4, 4), (2, 2)),
    "dcgan 64, fourth": (3, (256, 512), (8, 8), (4, 4), (2, 2)),
    "48 channels, 14": (4, (48, 48), (14, 14), (4, 4), (2, 2)),  # three vectors
    "5/2, 14": (4, (64, 128), (14, 14), (5, 5), (2, 2)),
    "5/2, 16": (4, (64, 128), (15, 16), (5, 5), (2, 2)),
    "upsample, 14": (2, (128, 128), (14, 14), (3, 3), (1, 1)),
    "upsample, 28": (2, (128, 64), (28, 28), (3, 3), (1, 1)),
    "upsample, image": (4, (64, 1), (28, 28), (3, 3), (1, 1)),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("by", BOUND)
def test_rounding_is_near_that_of_columns(layer, by, monkeypatch):
    monkeypatch.setattr(blocks, "_LARGEST", BOUND[by])
    problem = Problem(*LAYERS[layer], ((1, 1), (1, 1)), seed=0, dtype=np.float32)
    problem.measured = True
    x, w, y = problem.shapes
    picked = cpu.choose((64, *x[1:]), w, (64, *y[1:]), problem.stride, problem.padding, (1, 1))
    found = problem.winograd(picked.scheme) if picked.scheme else getattr(problem, picked.name.split()[0])()
    assert picked.scheme or picked.name in ("direct", "cells F(4, 2)")
    for name, ours, theirs, right in zip(GRADIENTS, found, problem.columns(), problem.expected(), strict=True):
        error, limit = (np.linalg.norm(each - right) for each in (ours, theirs))
        assert error <= 4 * limit, f"{picked.name}, {name}: {error / limit:.2f} times the error of columns"


@given(
    taps=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    dtype=st.sampled_from([np.float32, np.float64]),
    data=st.data(),
)
def test_turning_a_weight_exchanges_its_channels(taps, channels, dtype, data):
    w = np.arange(taps * channels[0] * channels[1]).astype(dtype).reshape(taps, *channels)
    start, stop = sorted(data.draw(st.tuples(st.integers(0, taps), st.integers(0, taps))))
    turned = np.full((taps, channels[1], channels[0]), -1, dtype)
    turn(start, stop, turned, w)
    expected = np.full_like(turned, -1)
    expected[start:stop] = w[start:stop].swapaxes(1, 2)
    np.testing.assert_array_equal(turned, expected)


@pytest.mark.parametrize(("m", "r", "outputs"), [(m, r, outputs) for m, r in POINTS for outputs in range(1, m + 1)])
def test_minimal_filters_are_exact(m, r, outputs):
    a, g, b = matrices(m, r, outputs)
    d, taps = [Fraction(k * k - 3) for k in range(m + r - 1)], [Fraction(2 * k + 1) for k in range(r)]
    products = [
        sum(x * y for x, y in zip(g_row, taps, strict=True)) * sum(x * y for x, y in zip(b_row, d, strict=True))
        for g_row, b_row in zip(g, b, strict=True)
    ]
    y = [sum(a[i][o] * products[i] for i in range(m + r - 1)) for o in range(m)]
    assert y == [sum(d[o + k] * taps[k] for k in range(r)) if o < outputs else 0 for o in range(m)]
    assert matrix(f"A{m}{r}/{outputs}t") == tuple(zip(*a, strict=True))
    zero = (Fraction(0),) * (m + r - 1)
    assert sum(row == zero for row in b) == m - outputs, "it uses more points than it must"
    assert g == matrices(m, r, m)[1], "tiles of all sizes share one weight"


ONE = ((1, 1), ((1, 1), (1, 1)), (1, 1))
HALF = ((2, 2), ((1, 1), (1, 1)), (1, 1))
WITHOUT = ((1, 1), ((0, 0), (0, 0)), (1, 1))


@pytest.mark.parametrize(
    ("x", "w", "y", "options", "name"),
    [
        ((64, 32, 32, 64), (4, 4, 64, 128), (64, 16, 16, 128), HALF, "winograd F(4, 2)"),
        ((64, 8, 8, 256), (4, 4, 256, 512), (64, 4, 4, 512), HALF, "winograd F(4, 2)"),
        ((64, 4, 4, 64), (4, 4, 64, 64), (64, 2, 2, 64), HALF, "winograd F(2, 2)"),
        ((64, 64, 64, 3), (4, 4, 3, 64), (64, 32, 32, 64), HALF, "cells F(4, 2)"),
        ((64, 60, 64, 3), (4, 4, 3, 64), (64, 30, 32, 64), HALF, "direct"),  # not whole tiles
        ((64, 28, 28, 1), (4, 4, 1, 64), (64, 14, 14, 64), HALF, "direct"),
        ((64, 28, 28, 64), (3, 3, 64, 1), (64, 28, 28, 1), ONE, "direct"),
        ((64, 14, 14, 64), (3, 3, 64, 128), (64, 7, 7, 128), HALF, "winograd F(4, 2)"),  # a phase has 1 or 2 taps
        ((64, 28, 28, 64), (5, 5, 64, 128), (64, 13, 13, 128), HALF, "winograd F(4, 3)"),
        ((1, 8, 8, 64), (4, 4, 64, 128), (1, 4, 4, 128), HALF, "columns"),  # one sample: too few tiles
        ((64, 9, 9, 8), (3, 3, 8, 8), (64, 9, 9, 8), ONE, "columns"),  # too few channels
        ((64, 4, 4, 64), (4, 4, 64, 1), (64, 1, 1, 1), WITHOUT, "product"),
        ((64, 9, 9, 8), (1, 1, 8, 8), (64, 9, 9, 8), WITHOUT, "product"),
    ],
)
def test_what_is_picked(x, w, y, options, name):
    found = cpu.choose(x, w, y, *options)
    assert found.name == name
    assert len(found.reason) > 10
    assert (found.scheme is not None) == name.startswith("winograd")


def test_a_choice_does_not_depend_on_how_it_is_reached():
    # workspace and each product ask again, and it may be forgotten meanwhile; a plan made for one algorithm must not be
    # run by another
    shapes = (8, 14, 14, 32), (4, 4, 32, 64), (8, 7, 7, 64)
    assert choice.choose(*shapes, *HALF) == choice.choose.__wrapped__(*shapes, *HALF)


# Prints the largest error of the three products, with as little compiled as shows that panels narrower than 16 fit.
NARROW = """
import numpy as np
from npgan.kernels import vectors
from npgan.kernels.after import After
from npgan.kernels.conv import cells, panels, reference
from npgan.kernels.conv.scratch import elements
from npgan.kernels.conv.tiles import Scheme

assert not vectors.WIDE
scheme, pads, draw = Scheme(2, 2, 2), ((1, 1), (1, 1)), np.random.default_rng(0)
x, w, y = draw.normal(size=(2, 6, 6, 3)), draw.normal(size=(4, 4, 3, 17)), draw.normal(size=(2, 3, 3, 17))
scratch = np.full(elements(panels.shapes(scheme, 2, w.shape, y.shape)), np.nan)
found = [np.empty_like(a) for a in (y, x, w)]
panels.convolve(scheme, found[0], scratch, x, w, pads, False, False, After())
panels.convolve(scheme, found[1], scratch, y, w, pads, False, True, After())
panels.correlate(scheme, found[2], scratch, y, x, pads, False)
right, options = [np.empty_like(a) for a in (y, x, w)], ((2, 2), pads, (1, 1))
reference.forward(right[0], scratch, x, w, *options)
reference.backward_input(right[1], scratch, y, w, *options)
reference.backward_weight(right[2], scratch, y, x, *options, False)
errors = [np.abs(a - b).max() for a, b in zip(found, right)]

x, w, y = draw.normal(size=(2, 8, 8, 3)), draw.normal(size=(4, 4, 3, 64)), draw.normal(size=(2, 4, 4, 64))
assert cells.suits(w.shape, y.shape, (2, 2), (1, 1))
scratch = np.full(cells.workspace(x.shape, w.shape, y.shape, (2, 2), pads), np.nan)
found, right = ([np.empty_like(a) for a in (y, w)] for _ in range(2))
cells.forward(found[0], scratch, x, w, (2, 2), pads, After())
cells.backward_weight(found[1], scratch, y, x, (2, 2), pads, False)
reference.forward(right[0], scratch, x, w, *options)
reference.backward_weight(right[1], scratch, y, x, *options, False)
print(max(errors + [np.abs(a - b).max() for a, b in zip(found, right)]))
"""


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="compiles for a processor of x86")
def test_panels_and_cells_of_a_processor_without_avx_512():
    haswell = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma,+bmi,+bmi2,+lzcnt,+popcnt,+sse4.2"}
    done = subprocess.run([sys.executable, "-c", NARROW], capture_output=True, text=True, env={**os.environ, **haswell})
    assert done.returncode == 0, done.stderr or done.returncode
    assert float(done.stdout) < 1e-12
