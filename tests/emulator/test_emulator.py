"""The stand-in for CuPy: it is as strict as CuPy and CUDA are, and its threads run as a GPU's do."""

import numpy as np
import pytest

SOURCE = r"""
extern "C" __global__ void reverse(double *y, const double *x, long long n) {
    __shared__ double tile[256];
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    tile[threadIdx.x] = i < n ? x[i] : 0;
    __syncthreads();
    if (i < n) y[i] = tile[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void lanes(double *sum, double *first) {
    double v = threadIdx.x;
    if (threadIdx.x >= 32) return;  // a warp that has gone
    for (int by = 16; by; by /= 2) v += __shfl_xor_sync(0xffffffffu, v, by);
    sum[threadIdx.x] = v;
    first[threadIdx.x] = __shfl_sync(0xffffffffu, double(threadIdx.x), 3);
}
extern "C" __global__ void unset(double *y) {
    __shared__ double tile[1];
    y[0] = tile[0];
}
extern "C" __global__ void beyond(double *y, long long i) { y[i] = 1; }
extern "C" __global__ void stuck(double *y) {
    if (threadIdx.x == 0) __syncthreads();
    else __syncwarp();
    y[0] = 1;
}
extern "C" __global__ void fill(double *y, double value) { y[threadIdx.x] = value; }
"""


@pytest.fixture(scope="module")
def module(emulator):
    return emulator.RawModule(code=SOURCE, options=("-DREAL=double",))


def test_barriers(emulator, module):
    x = np.arange(512.0)
    y = emulator.empty(512)
    module.get_function("reverse")((2,), (256,), (y, emulator.asarray(x), 512))
    np.testing.assert_array_equal(y.get(), [*x[:256][::-1], *x[256:][::-1]])


def test_shuffles(emulator, module):
    total, first = emulator.empty(32), emulator.empty(32)
    module.get_function("lanes")((1,), (64,), (total, first))
    np.testing.assert_array_equal(total.get(), 31 * 16)
    np.testing.assert_array_equal(first.get(), 3)


def test_memory_begins_as_nan_and_its_borders_are_watched(emulator, module):
    y = emulator.empty(4)
    assert np.isnan(y.get()).all()
    module.get_function("unset")((1,), (1,), (y,))
    assert np.isnan(y.get()).all()
    for outside in (4, -1):
        with pytest.raises(RuntimeError, match="beyond wrote outside"):
            module.get_function("beyond")((1,), (1,), (emulator.empty(4), outside))


def test_threads_that_wait_for_ever(emulator, module):
    with pytest.raises(RuntimeError, match="wait at a barrier"):
        module.get_function("stuck")((1,), (32,), (emulator.empty(1),))


@pytest.mark.parametrize(
    ("args", "message"),
    [((1.0,), "2 arguments, 1"), ((None, 1.0), "NoneType"), ((1.0, 1.0), "parameter"), ((0, 1), "parameter")],
)
def test_arguments_that_do_not_fit(emulator, module, args, message):
    with pytest.raises(TypeError, match=message):
        module.get_function("fill")((1,), (1,), args)


def test_arrays_do_not_mix_with_the_hosts(emulator):
    device, host = emulator.zeros(3), np.ones(3)
    for mix in (
        lambda: device + host,
        lambda: host + device,
        lambda: np.add(host, device, out=host),
        lambda: device.__setitem__(..., host),
        lambda: host.__setitem__(..., device),
        lambda: np.asarray(device),
        lambda: np.concatenate([device, host]),
        lambda: device.flags.writeable,
    ):
        with pytest.raises((TypeError, AttributeError)):
            mix()
    assert isinstance(device + 1, emulator.ndarray)
    assert isinstance(np.where(device > 0, device, 2.0), emulator.ndarray)


def test_a_captured_stream_does_nothing_until_its_graph_runs(emulator, module):
    y, z = emulator.zeros(4), emulator.zeros(4)
    with emulator.cuda.Stream() as stream:
        stream.begin_capture()
        module.get_function("fill")((1,), (4,), (y, 3.0))
        z += y
        w = y * 2
        for forbidden in (stream.synchronize, y.get, lambda: float(y[0]), lambda: emulator.asarray(np.ones(2))):
            with pytest.raises(emulator.cuda.runtime.CUDARuntimeError, match="capturing"):
                forbidden()
        graph = stream.end_capture()
    assert (y.get() == 0).all()
    assert (z.get() == 0).all()
    graph.launch()
    graph.launch()
    assert (z.get() == 6).all()
    assert (w.get() == 6).all()


def test_products_in_less_precision(emulator):
    from cupy import _cublas

    x = np.array([1 + 2.0**-9, 1 + 2.0**-11, 1 + 3 * 2.0**-11, -(1 + 2.0**-7), np.inf, 1e-40], np.float32)
    np.testing.assert_array_equal(
        _cublas.rounded(x, 10), np.array([1 + 2.0**-9, 1, 1 + 2.0**-9, -(1 + 2.0**-7), np.inf, _tiny()], np.float32)
    )
    np.testing.assert_array_equal(_cublas.rounded(x, 7)[:4], np.array([1, 1, 1, -(1 + 2.0**-7)], np.float32))


def _tiny():
    bits = np.array([1e-40], np.float32).view(np.uint32)
    return ((bits + 4095 + (bits >> 13 & 1)) >> 13 << 13).view(np.float32)[0]
