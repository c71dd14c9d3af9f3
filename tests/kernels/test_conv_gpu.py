"""Convolution in CUDA, its tiles, parts and precisions: against the reference on factors that are rounded as it does.

These run on a device where there is one, and on the emulator of tests/emulator elsewhere.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import npgan
from npgan.backend import cuda
from npgan.errors import ShapeError
from npgan.kernels.after import After
from npgan.kernels.conv import gpu, gpu_choice, reference
from npgan.kernels.conv.gpu_choice import MAPS, Work, choose, plan

ONE = ((1, 1), ((1, 1), (1, 1)), (1, 1))
HALF = ((2, 2), ((1, 1), (1, 1)), (1, 1))
ODD = ((2, 3), ((0, 2), (3, 1)), (1, 2))


def rounded(a, compute):
    """Round float32 to TF32 (to nearest, ties away from 0) or bf16 (ties to even), by the numbers and not the bits."""
    if compute == "float32" or a.dtype != np.float32:
        return a.astype(np.float64)
    mantissa, exponent = np.frexp(a.astype(np.float64))
    scaled = mantissa * 2 ** (11 if compute == "tf32" else 8)
    whole = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled) if compute == "tf32" else np.rint(scaled)
    return np.ldexp(whole, exponent - (11 if compute == "tf32" else 8))


class Problem:
    """Random arrays of one geometry; the maps of them on the device, and as they should be."""

    def __init__(self, xp, n, size, channels, kernel, options, dtype=np.float32, seed=0):
        draw = np.random.default_rng(seed)
        axes = zip(size, kernel, *options, strict=True)
        oh, ow = ((h + sum(p) - d * (k - 1) - 1) // s + 1 for h, k, s, p, d in axes)
        self.xp, self.options, self.draw = xp, options, draw
        self.x, self.w, self.dy, self.b, self.c = (
            draw.normal(size=shape).astype(dtype)
            for shape in (
                (n, *size, channels[0]),
                (*kernel, *channels),
                (n, oh, ow, channels[1]),
                channels[1],
                channels[0],
            )
        )
        self.shapes = self.x.shape, self.w.shape, self.dy.shape

    def run(self, which, compute="float32", slope=0.2, shift=0):
        """Return the map from the device; `shift` elements off an aligned address."""

        def up(host):
            memory = self.xp.empty(host.size + shift, host.dtype)
            memory[shift:] = self.xp.asarray(host.reshape(-1))
            return memory[shift:].reshape(host.shape)

        x, w, dy = map(up, (self.x, self.w, self.dy))
        elements = gpu.workspace(*self.shapes, *self.options, compute=compute, conv="own")
        scratch = self.xp.full(elements, np.nan, self.x.dtype)
        how = {"compute": compute, "conv": "own"}
        if which == "WEIGHT":
            out = up(np.ones_like(self.w))
            gpu.backward_weight(out, scratch, dy, x, *self.options, True, **how)
        elif which == "FORWARD":
            out = up(np.full_like(self.dy, np.nan))
            gpu.forward(out, scratch, x, w, *self.options, After(up(self.b), slope), **how)
        else:
            out = up(np.full_like(self.x, np.nan))
            gpu.backward_input(out, scratch, dy, w, *self.options, After(up(self.c), slope), **how)
        return self.xp.asnumpy(out)

    def expected(self, which, compute="float32", slope=0.2):
        """Return the map in float64, and the sum of the sizes of its terms, which bounds the rounding."""
        x, w, dy = (rounded(a, "float32" if self.plain(which) else compute) for a in (self.x, self.w, self.dy))
        found = []
        for a, b, c, end in ((x, w, dy, slope), *[(*map(np.abs, (x, w, dy)), None)]):
            if which == "WEIGHT":
                out = np.ones(self.w.shape)
                reference.backward_weight(out, None, c, a, *self.options, True)
            elif which == "FORWARD":
                out = np.empty(self.dy.shape)
                reference.forward(out, None, a, b, *self.options, After(self.b if end else np.abs(self.b), end))
            else:
                out = np.empty(self.x.shape)
                reference.backward_input(out, None, c, b, *self.options, After(self.c if end else np.abs(self.c), end))
            found.append(out)
        return found

    def plain(self, which):
        return plan(which, *self.shapes, self.options[0]).few

    def check(self, which, compute="float32", shift=0):
        found = self.run(which, compute, shift=shift)
        expected, terms = self.expected(which, compute)
        assert found.dtype == self.x.dtype
        # Sums of float32, whose rounding mostly cancels; tensor cores may cut off instead.
        np.testing.assert_array_less(np.abs(found - expected), 30 * np.finfo(found.dtype).eps * (terms + 1))


maps = pytest.mark.parametrize("which", MAPS)

# n, size, channels, kernel, options: what covers each tile, with edges in all directions
TILES = {
    "128x128": (2, (9, 11), (136, 132), (3, 3), ONE),
    "128x64": (3, (9, 10), (64, 60), (4, 4), HALF),
    "64x64": (2, (5, 6), (20, 12), (2, 2), ODD),
    "one by one": (2, (9, 8), (7, 9), (3, 2), ODD),
}


@maps
@pytest.mark.parametrize(
    ("compute", "tiles"),
    [
        *(("float32", tiles) for tiles in TILES),
        ("tf32", "128x128"),
        ("tf32", "one by one"),
        ("bf16", "128x64"),
        ("bf16", "64x64"),
    ],
)
def test_tiles_and_precisions(cupy, which, compute, tiles):
    Problem(cupy, *TILES[tiles]).check(which, compute)


@maps
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
@settings(max_examples=25)
def test_any_geometry(cupy, which, dtype, data):
    def pair(low, high):
        return data.draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    kernel, stride, dilation, padding = pair(1, 4), pair(1, 4), pair(1, 4), (pair(0, 3), pair(0, 3))
    channels = data.draw(st.tuples(*[st.sampled_from([1, 3, 4, 8, 17, 70])] * 2))
    more = pair(0, 9)
    size = tuple(
        max(1, d * (k - 1) + 1 - sum(p)) + m for k, d, p, m in zip(kernel, dilation, padding, more, strict=True)
    )
    few = data.draw(st.booleans())
    with mock.patch.object(gpu_choice, "_PIXELS", 1 if few else 1 << 30):
        plan.cache_clear()
        problem = Problem(
            cupy, data.draw(st.integers(1, 3)), size, channels, kernel, (stride, padding, dilation), dtype
        )
        problem.check(which)
    plan.cache_clear()


@maps
@pytest.mark.parametrize("parts", [2, 3, 7])
def test_parts_are_added_up(cupy, which, parts):
    problem = Problem(cupy, 2, (9, 8), (7, 9), (3, 2), ODD)
    planned = {each: plan(each, *problem.shapes, problem.options[0]) for each in MAPS}
    split = {each: Work(**{**vars(work), "parts": parts}) for each, work in planned.items()}
    with (
        mock.patch.object(gpu_choice, "plan", side_effect=lambda which, *_: split[which]),
        mock.patch.object(gpu, "plan", side_effect=lambda which, *_: split[which]),
    ):
        problem.check(which)
        assert (problem.run(which) == problem.run(which)).all()


@maps
def test_an_address_that_is_not_aligned(cupy, which):
    Problem(cupy, 2, (6, 5), (8, 12), (4, 4), HALF).check(which, shift=1)


@pytest.mark.parametrize("compute", ["float32", "tf32", "bf16"])
def test_few_channels_are_not_rounded(cupy, compute):
    for which, channels in (("FORWARD", (20, 3)), ("DATA", (3, 20)), ("WEIGHT", (20, 1))):
        problem = Problem(cupy, 4, (64, 64), channels, (3, 3), HALF if which == "DATA" else ONE)
        assert problem.plain(which)
        problem.check(which, compute)


@pytest.mark.parametrize("compute", ["float32", "tf32", "bf16"])
def test_maps_are_adjoint(cupy, compute):
    problem = Problem(cupy, 2, (9, 8), (12, 20), (4, 4), HALF)
    problem.b[:] = problem.c[:] = 0
    y, dx, dw = (problem.run(which, compute, slope=None) for which in MAPS)
    inner = [np.vdot(a.astype(float), b) for a, b in ((problem.dy, y), (dx, problem.x), (dw - 1, problem.w))]
    size = np.linalg.norm(problem.x) * np.linalg.norm(problem.w) * np.linalg.norm(problem.dy)
    unit = {"float32": 2.0**-24, "tf32": 2.0**-11, "bf16": 2.0**-8}[compute]
    assert np.ptp(inner) <= 2 * unit * size
    assert np.ptp(inner) > 0


@pytest.mark.parametrize("compute", ["float32", "tf32", "bf16"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_comes_out(cupy, compute, bad):
    for slope in (None, 0.0, 0.2):
        problem = Problem(cupy, 2, (6, 6), (8, 8), (3, 3), ONE)
        problem.x[1, 0, 0, 1] = problem.dy[1, 0, 0, 1] = bad
        for which in ("FORWARD", "DATA"):
            found = problem.run(which, compute, slope)
            assert np.isfinite(found[0]).all()
            if slope != 0.0 or np.isnan(bad):
                assert not np.isfinite(found[1, :2, :2]).any()
            assert np.isfinite(found[1, 3:, 3:]).all()
        assert not np.isfinite(problem.run("WEIGHT", compute)).all()


EDGES = """
import ctypes, mmap
import cupy
import numpy as np
from npgan.kernels.after import After
from npgan.kernels.conv import gpu, gpu_choice

libc = ctypes.CDLL(None, use_errno=True)
PAGE = mmap.PAGESIZE

def fenced(shape, last):
    # All numbers between two pages that nobody may read: at the end of them, or at the beginning.
    nbytes = 4 * int(np.prod(shape))
    size = -(-nbytes // PAGE) * PAGE
    memory = mmap.mmap(-1, size + 2 * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in (start, start + PAGE + size):
        assert libc.mprotect(ctypes.c_void_p(page), PAGE, 0) == 0
    offset = PAGE + (size - nbytes if last else 0)
    array = np.frombuffer(memory, np.float32, nbytes // 4, offset).reshape(shape)
    array[...] = 1
    return cupy.ndarray._of(array)

for few in (1, 1 << 30):
    gpu_choice._PIXELS = few
    gpu_choice.plan.cache_clear()
    for last in (False, True):
        for (i, o) in ((8, 12), (3, 5), (20, 3)):
            for kernel, *options in (
                ((3, 2), (2, 3), ((0, 2), (3, 1)), (1, 2)),
                ((4, 4), (2, 2), ((1, 1), (1, 1)), (1, 1)),
            ):
                n, h, w = 3, 7, 6
                axes = zip((h, w), kernel, *options)
                oh, ow = ((s + sum(p) - d * (k - 1) - 1) // t + 1 for s, k, t, p, d in axes)
                x, weight, dy = (fenced(s, last) for s in ((n, h, w, i), (*kernel, i, o), (n, oh, ow, o)))
                bias, other = fenced((o,), last), fenced((i,), last)
                scratch = cupy.empty(gpu.workspace(x.shape, weight.shape, dy.shape, *options), np.float32)
                for compute in COMPUTES:
                    gpu.forward(dy, scratch, x, weight, *options, After(bias, 0.2), compute=compute)
                    gpu.backward_input(x, scratch, dy, weight, *options, After(other, 0.2), compute=compute)
                    gpu.backward_weight(weight, scratch, dy, x, *options, True, compute=compute)
"""


def test_nothing_outside_the_arrays_is_read(emulator, tmp_path):
    # A GPU may or may not notice; the host does, and ends the process.
    script = tmp_path / "edges.py"
    script.write_text(f"COMPUTES = ('float32', 'bf16')\n{EDGES}", encoding="utf-8")
    path = os.pathsep.join([str(Path(emulator.__file__).parents[1]), str(Path(npgan.__file__).parents[1])])
    done = subprocess.run([sys.executable, str(script)], env=os.environ | {"PYTHONPATH": path}, check=False)
    assert done.returncode == 0


def test_a_step_allocates_nothing(cupy):
    problem = Problem(cupy, 8, (16, 16), (64, 64), (3, 3), ONE)
    x, w, dy = map(cupy.asarray, (problem.x, problem.w, problem.dy))
    scratch = cupy.empty(gpu.workspace(*problem.shapes, *ONE), np.float32)
    y, dx, dw = cupy.empty_like(dy), cupy.empty_like(x), cupy.empty_like(w)

    def step():
        gpu.forward(y, scratch, x, w, *ONE)
        gpu.backward(dx, dw, scratch, dy, x, w, *ONE, False)

    step()
    stream = cupy.cuda.Stream(non_blocking=True)
    pool = cupy.get_default_memory_pool()
    before = pool.used_bytes()
    with stream:
        stream.begin_capture()
        step()
        graph = stream.end_capture()
    assert pool.used_bytes() == before
    expected = [a.get() for a in (y, dx, dw)]
    for a in (y, dx, dw):
        a[...] = 0
    graph.launch(stream)
    stream.synchronize()
    for a, b in zip((y, dx, dw), expected, strict=True):
        np.testing.assert_array_equal(a.get(), b)


@pytest.mark.parametrize(
    ("x", "w", "y", "options", "tiles"),
    [
        ((128, 32, 32, 64), (4, 4, 64, 128), (128, 16, 16, 128), HALF, [(128, 128), (128, 64), (128, 128)]),
        ((128, 64, 64, 3), (4, 4, 3, 64), (128, 32, 32, 64), HALF, [(128, 64), "few", (64, 64)]),
        ((64, 28, 28, 64), (3, 3, 64, 1), (64, 28, 28, 1), ONE, ["few", (128, 64), "few"]),
    ],
)
def test_what_is_picked(x, w, y, options, tiles):
    works = [plan(which, x, w, y, options[0]) for which in MAPS]
    assert ["few" if work.few else work.tile for work in works] == tiles
    picked = choose(x, w, y, options, "tf32", "own")
    assert picked.name == "implicit product, tf32"
    assert "tiles 128×" in picked.reason


@given(
    n=st.integers(1, 256),
    size=st.integers(1, 64),
    channels=st.tuples(st.integers(1, 1024), st.integers(1, 1024)),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
)
def test_a_plan_fits_the_grid_and_fills_a_device(n, size, channels, kernel, stride):
    y = -(-size // stride)
    shapes = (n, size, size, channels[0]), (kernel, kernel, *channels), (n, y, y, channels[1])
    for which in MAPS:
        work = plan(which, *shapes, (stride, stride))
        blocks, one, deep = work.grid(work.tile)
        assert blocks < 2**31
        assert one == 1
        assert deep == work.phases * work.parts <= 65535
        if work.parts > 1 and not work.few:
            assert blocks * deep <= 264
    assert gpu_choice.workspace(*shapes, (stride, stride)) < 2**31


def test_the_sources_need_no_header_of_cudas():
    # What CuPy's wheels bring has not all of them: crt/mma.h is missing.
    for operation in ("conv", "conv/few", "conv/parts", "conv/turn"):
        assert set(re.findall(r"#include .*", cuda.source(operation))) <= {"#include <tensor.h>"}  # the emulator's


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed")
@maps
@pytest.mark.parametrize("compute", ["TF32", "BF16"])
def test_tensor_cores_compile_without_spills(which, compute, tmp_path):
    source = tmp_path / "conv.cu"
    source.write_text(cuda.source("conv"), encoding="utf-8")
    macros = (f"MAP={which}", f"COMPUTE={compute}", "VECTOR=4", "TILE_ROWS=128", "TILE_COLUMNS=128", "TILE_DEPTH=16")
    command = ["nvcc", *cuda.flags("float32", macros), "-Werror", "all-warnings", "-arch=sm_90", "-Xptxas", "-v"]
    command += ["-cubin", "-o", str(tmp_path / "conv.cubin"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert " 0 bytes spill stores" in done.stderr


def test_too_many_pixels():
    with pytest.raises(ShapeError, match="2³¹"):
        plan("FORWARD", (2**20, 64, 64, 1), (3, 3, 1, 1), (2**20, 64, 64, 1), (1, 1))
