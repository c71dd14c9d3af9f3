"""How CUDA sources are put together, compiled and launched; on the emulator where there is no GPU."""

import numpy as np
import pytest

from npgan.backend import cuda
from npgan.errors import BackendError


def test_headers_are_copied_in_once():
    text = cuda.source("bias")
    assert "#include" not in text
    assert text.count("Pack {") == text.count("struct Work") == 1
    assert text.index("Pack {") < text.index("struct Work") < text.index("__global__ void forward")


def test_flags():
    assert cuda.flags(np.float32) == ("-std=c++17", "-DREAL=float")
    assert cuda.flags("float64", ("TILE=16",)) == ("-std=c++17", "-DREAL=double", "-DTILE=16")


def test_a_kernel_is_compiled_once(cupy):
    first = cuda.kernel("reduce", "vector_mean", np.dtype("float32"))
    assert cuda.kernel("reduce", "vector_mean", np.dtype("float32")) is first
    assert cuda.kernel("reduce", "vector_mean", np.dtype("float64")) is not first


@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("groups", [1, 3, 70_000])
@pytest.mark.parametrize("rows", [1, 7, 100, 100_000])
@pytest.mark.parametrize("columns", [1, 2, 3, 31, 32, 33, 500, 8191, 8192, 300_000])
def test_a_grid_for_sums_covers_the_columns_with_256_threads(groups, rows, columns, itemsize):
    (tiles, parts), (x, y) = cuda.group_grid(groups, rows, columns, itemsize)
    wide = 16 // itemsize if columns % (16 // itemsize) == 0 else 1
    assert x * y == 256
    assert tiles % groups == 0
    assert (tiles // groups - 1) * x * wide < columns <= tiles // groups * x * wide
    assert parts == 1 or tiles <= 4096  # the counters in reduce.cuh
    assert 1 <= parts <= 256


def test_an_array_in_pieces_is_refused(cupy):
    x = cupy.zeros((4, 4), np.float32)
    with pytest.raises(ValueError, match=r"\(4, 2\).*not in one piece"):
        cuda.launch(
            cuda.kernel("reduce", "vector_mean", x.dtype), 1, 256, cuda.block_sums(1), cuda.scalar(), x[:, ::2], 8
        )


def test_the_memory_of_sums_grows_and_stays(cupy):
    first = cuda.block_sums(10)
    assert cuda.block_sums(20) is first
    second = cuda.block_sums(first.size)
    assert second.size > first.size
    assert not bool((second != 0).any())
    with cupy.cuda.Stream(non_blocking=True) as stream:
        other = cuda.block_sums(10)
        stream.synchronize()
    assert other.data.ptr != second.data.ptr
    assert cuda.block_sums(10) is second


def test_a_number_that_changes():
    class Held:
        pointer = 1234

    assert cuda.changing(0.5) == (0.5, 0)
    assert cuda.changing(3) == (3.0, 0)
    assert cuda.changing(Held()) == (0.0, 1234)


@pytest.mark.parametrize("size", [1, 5000, 300_000])
def test_many_blocks_give_one_sum_and_the_same_bits(cupy, size):
    from npgan.kernels.reduce import gpu

    x = np.random.default_rng(size).normal(size=size).astype(np.float32)
    found = [float(gpu.mean(cupy.asarray(x))) for _ in range(2)]
    assert found[0] == found[1] == pytest.approx(x.astype(np.float64).mean(), rel=1e-12)
    assert not bool((cuda.block_sums(1)[:2048] != 0).any())  # the counters, for the next launch


def test_a_captured_sum_is_made_when_the_graph_runs(cupy):
    from npgan.kernels.reduce import gpu

    x = cupy.asarray(np.ones(10_000, np.float32))
    with cupy.cuda.Stream(non_blocking=True) as stream:
        gpu.mean(x)  # compiled, and its memory made
        stream.synchronize()
        stream.begin_capture()
        mean = gpu.mean(x)
        graph = stream.end_capture()
        for value in (2.0, 3.0):
            x[...] = value
            graph.launch()
            stream.synchronize()
            assert float(mean) == value


class CompileException(Exception):  # noqa: N818
    """As CuPy's, when NVRTC does not take a source."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            RuntimeError("CuPy failed to load libnvrtc.so.13: OSError: no such file"),
            r"NVRTC.*libnvrtc\.so\.13.*cuda13\]",
        ),
        (
            CompileException('mma.h(55): catastrophic error: cannot open source file "crt/mma.h"\n  #include'),
            r"header of CUDA's is missing \(mma\.h\(55\).*crt/mma\.h\"\); .*npgan\[gpu-cuda13\]",
        ),
    ],
)
def test_without_a_compiler(emulator, monkeypatch, error, message):
    def missing(*args, **kwargs):
        raise error

    monkeypatch.setattr(emulator.RawModule, "get_function", missing)
    with pytest.raises(BackendError, match=message):
        cuda.kernel("softmax", "forward", np.dtype("float64"))


def test_a_source_that_is_wrong_stays_a_bug(emulator, monkeypatch):
    def wrong(*args, **kwargs):
        raise CompileException("nvrtc: error: expected a ;")

    monkeypatch.setattr(emulator.RawModule, "get_function", wrong)
    with pytest.raises(CompileException):
        cuda.kernel("softmax", "forward", np.dtype("float64"))


def test_headers_of_cuda_12_are_found(monkeypatch, tmp_path):
    from importlib.machinery import ModuleSpec

    spec = ModuleSpec("nvidia", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path / "other"), str(tmp_path)]
    monkeypatch.setattr(cuda, "find_spec", lambda name: spec)
    assert cuda._headers.__wrapped__() == ()
    (tmp_path / "cuda_nvcc" / "include" / "crt").mkdir(parents=True)
    assert cuda._headers.__wrapped__() == (f"-I{tmp_path}/cuda_nvcc/include",)
    monkeypatch.setattr(cuda, "find_spec", lambda name: None)
    assert cuda._headers.__wrapped__() == ()
