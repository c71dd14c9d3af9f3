"""The gpu backend where there is none: what it says. And where there is one: that it works."""

import builtins
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from npgan.backend import device, get_backend
from npgan.errors import BackendError


class CUDARuntimeError(RuntimeError):
    """Like CuPy's."""


def fake_cupy(count=1, driver=13000, built=13000, device=None):
    def get(value):
        def got():
            if isinstance(value, Exception):
                raise value
            return value

        return got

    runtime = SimpleNamespace(
        getDeviceCount=get(count),
        driverGetVersion=get(driver),
        runtimeGetVersion=get(built),
        CUDARuntimeError=CUDARuntimeError,
    )
    cuda = SimpleNamespace(runtime=runtime, Device=lambda: SimpleNamespace(synchronize=get(device)))
    return SimpleNamespace(cuda=cuda, __version__="14.0.1")


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


@pytest.mark.parametrize(
    ("fake", "message"),
    [
        (
            {"count": CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")},
            r"CuPy 14\.0\.1.*cudaErrorInsufficientDriver.*driver.*--backend cpu",
        ),
        ({"driver": 0}, "needs NVIDIA's driver, and there is none"),
        (
            {"driver": 12040},
            r"built for CUDA 13, but this driver goes up to CUDA 12\.4.*pip uninstall -y cupy-cuda13x, then "
            r"pip install 'npgan\[gpu-cuda12\]'",
        ),
        ({"driver": 11080, "built": 12000}, r"built for CUDA 12.*CUDA 11\.8; install a newer driver"),
        ({"count": 0}, "found none; use --backend cpu"),
        (
            {"device": CUDARuntimeError("cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy")},
            "cannot be used: cudaErrorDevicesUnavailable.*nvidia-smi.*--backend cpu",
        ),
    ],
)
def test_without_a_driver_or_a_device(monkeypatch, fake, message):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(**fake))
    monkeypatch.setattr(device, "installed_wheels", lambda: ["cupy-cuda13x"])
    with pytest.raises(BackendError, match=message) as error:
        get_backend("gpu")
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_a_newer_driver_is_fine(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(driver=13010, built=12090))
    assert get_backend("gpu").xp.__version__ == "14.0.1"


def test_a_device_is_looked_for_once(monkeypatch, emulator):
    first = get_backend("gpu").xp
    monkeypatch.setattr(device, "installed_wheels", lambda: pytest.fail("looked again"))
    with emulator.cuda.Stream() as stream:
        stream.begin_capture()
        assert get_backend("gpu:tf32").xp is first  # nothing waits for the device
        stream.end_capture()


def test_two_wheels(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy())
    names = ["numpy", "cupy-cuda12x", "CuPy-CUDA13x"]
    monkeypatch.setattr(device, "distributions", lambda: [SimpleNamespace(metadata={"Name": name}) for name in names])
    with pytest.raises(BackendError, match=r"cupy-cuda12x and cupy-cuda13x are installed.*pip uninstall -y"):
        get_backend("gpu")


def test_out_of_memory_names_what_was_asked(emulator):
    backend = get_backend("gpu")
    emulator.get_default_memory_pool().set_limit(size=1 << 20)
    try:
        with pytest.raises(BackendError, match=r"hold an array of float32 \(1000, 1000\) \(4.0 MB\).*are free.*batch"):
            backend.empty((1000, 1000), "float32")
        with pytest.raises(BackendError, match=r"a copy of float64 \(200000,\) \(1.6 MB\)"):
            backend.asarray(np.zeros(200_000))
    finally:
        emulator.get_default_memory_pool().set_limit(size=0)
    assert backend.empty((1000, 1000), "float32").shape == (1000, 1000)


def test_a_version_of_cuda():
    assert device.version_text(12040) == "12.4"


def test_what_is_computed_is_said(emulator):
    for name, said in (("gpu", "float32 products"), ("gpu:tf32", "TF32"), ("gpu:bf16", "bfloat16")):
        found = get_backend(name).describe()
        assert said in found["compute"]
        assert found["backend"] == "gpu"
        assert found["memory"] == "8.6 GB"
        assert found["cuda"] == "13.0"


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
