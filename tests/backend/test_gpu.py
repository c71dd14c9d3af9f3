"""The gpu backend where there is none: what it says. And where there is one: that it works."""

import builtins
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.errors import BackendError


class CUDARuntimeError(RuntimeError):
    """Like CuPy's."""


def fake_cupy(count):
    def device_count():
        if isinstance(count, Exception):
            raise count
        return count

    runtime = SimpleNamespace(getDeviceCount=device_count, CUDARuntimeError=CUDARuntimeError)
    return SimpleNamespace(cuda=SimpleNamespace(runtime=runtime), __version__="14.0.1")


def test_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(BackendError, match=r"needs CuPy.*npgan\[gpu-cuda13\].*npgan\[gpu-cuda12\]") as error:
        get_backend("gpu")
    assert error.value.__suppress_context__  # one message, no tale of two tracebacks


def test_with_a_cupy_that_cannot_be_loaded(monkeypatch):
    original = builtins.__import__

    def broken(name, *args, **kwargs):
        if name == "cupy":
            raise ImportError("libcuda.so.1: cannot open shared object file")
        return original(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(BackendError, match=r"libcuda\.so\.1"):
        get_backend("gpu")


def test_without_a_driver(monkeypatch):
    error = CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(error))
    with pytest.raises(BackendError, match=r"CuPy 14\.0\.1.*cudaErrorInsufficientDriver.*driver.*--backend cpu"):
        get_backend("gpu")


def test_without_a_device(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(0))
    with pytest.raises(BackendError, match="found none; use --backend cpu"):
        get_backend("gpu")


@pytest.mark.gpu
def test_with_a_device():
    from npgan.layers import BatchNorm, Conv2d, Dense, Flatten, LeakyReLU
    from npgan.network import Network

    layers = [Conv2d(3, 3), BatchNorm(), LeakyReLU(), Flatten(), Dense(2)]
    on_gpu, on_cpu = (Network(layers, (6, 6, 2), dtype="float64", backend=name) for name in ("gpu", "cpu"))
    x, dy = np.random.default_rng(0).normal(size=(4, 6, 6, 2)), np.ones((4, 2))
    to_host = on_gpu.backend.to_host
    y, pullback = on_gpu.vjp(on_gpu.backend.asarray(x))
    expected, host_pullback = on_cpu.vjp(x)
    np.testing.assert_allclose(to_host(y), expected, rtol=1e-10, atol=1e-12)
    for found, wanted in zip(pullback(on_gpu.backend.asarray(dy)), host_pullback(dy), strict=True):
        np.testing.assert_allclose(to_host(found), wanted, rtol=1e-10, atol=1e-12)
