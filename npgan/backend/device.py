"""The way to a CUDA device: CuPy, a driver that it fits, a device; and what is said where one is missing or fails."""

from __future__ import annotations

import sys
from importlib.metadata import distributions
from typing import Any

from npgan.backend.sizes import size_text
from npgan.errors import BackendError, DeviceMemoryError

_WHEELS = ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x")
_EXTRAS = {12: "npgan[gpu-cuda12]", 13: "npgan[gpu-cuda13]"}
_ADVICE = "nvidia-smi shows what the driver says and who uses it"
_SMALLER = "take a smaller batch (--set batch=...) or a smaller model, or stop what else uses the GPU (see nvidia-smi)"
INSTALL = "pip install 'npgan[gpu-cuda13]' (CUDA 13 driver) or 'npgan[gpu-cuda12]' (CUDA 12 driver)"


_connected: Any = None  # the module that passed


def connect() -> Any:
    """Import CuPy, look for a device, and return the module; after the first time, at once and without waiting.

    Raises
    ------
    BackendError
        CuPy is not installed, or twice; there is no driver, or an older one than CuPy was built for; there is no
        device, or it cannot be used. The message says what to install.
    """
    global _connected
    if _connected is not None and sys.modules.get("cupy") is _connected:
        return _connected
    wheels = installed_wheels()
    if len(wheels) > 1:
        raise BackendError(
            f"{' and '.join(wheels)} are installed, and each overwrites files of the other; "
            f"pip uninstall -y {' '.join(wheels)}, then {INSTALL}"
        )
    try:
        import cupy
    except ImportError as error:
        raise BackendError(f"the gpu backend needs CuPy, which cannot be imported ({error}); {INSTALL}") from None
    runtime = cupy.cuda.runtime
    try:
        driver, built = runtime.driverGetVersion(), runtime.runtimeGetVersion()
        if driver == 0:
            raise BackendError("the gpu backend needs NVIDIA's driver, and there is none; install it, or --backend cpu")
        if driver // 1000 < built // 1000:
            other = _EXTRAS.get(driver // 1000)
            raise BackendError(
                f"CuPy {cupy.__version__} is built for CUDA {built // 1000}, but this driver goes up to CUDA "
                f"{version_text(driver)}; "
                + (f"pip uninstall -y {' '.join(wheels) or 'cupy'}, then pip install '{other}'; or " if other else "")
                + f"install a newer driver of NVIDIA's{'' if other else ', for CUDA 12 or later'}"
            )
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise BackendError(
            f"the gpu backend needs a CUDA driver that fits CuPy {cupy.__version__}, and CUDA says: {error}; "
            f"install NVIDIA's driver, or another wheel: {INSTALL}; or use --backend cpu"
        ) from None
    if count == 0:
        raise BackendError("the gpu backend needs a CUDA device and found none; use --backend cpu")
    try:
        cupy.cuda.Device().synchronize()  # a device that somebody has for themselves, or that hangs, says so here
    except runtime.CUDARuntimeError as error:
        raise BackendError(f"the CUDA device cannot be used: {error}; {_ADVICE}; or use --backend cpu") from None
    _connected = cupy
    return cupy


def installed_wheels() -> list[str]:
    """Return the names of the CuPy packages that are installed: all of them are the module `cupy`."""
    found = {(each.metadata["Name"] or "").lower() for each in distributions()}
    return [name for name in _WHEELS if name in found]


def version_text(number: int) -> str:
    """Return ``"13.1"`` for CUDA's 13010."""
    return f"{number // 1000}.{number % 1000 // 10}"


def out_of_memory(cupy: Any, asked: int, what: str) -> DeviceMemoryError:
    """Return the error of an allocation that failed: what was asked for, what there is, what to do."""
    try:
        free, total = cupy.cuda.Device().mem_info
        there = f"{size_text(free)} of the device's {size_text(total)} are free"
    except Exception:  # a device that is gone has no memory either
        there = "the device does not say how much is free"
    ours = size_text(cupy.get_default_memory_pool().used_bytes())
    return DeviceMemoryError(
        f"the GPU's memory does not hold {what} ({size_text(asked)}): {there}, {ours} are this process's arrays; "
        f"{_SMALLER}"
    )


def failure_of(error: BaseException) -> str | None:
    """Return what to say of an error of CUDA's, cuBLAS's or CuPy's that nobody else caught; None of any other."""
    module, name = type(error).__module__.partition(".")[0], type(error).__name__
    if module not in ("cupy", "cupy_backends"):
        return None
    if isinstance(error, MemoryError):
        return f"the GPU's memory is full: {error}; {_SMALLER}"
    if name in ("CUDARuntimeError", "CUDADriverError", "CUBLASError"):
        return (
            f"the GPU failed: {error}; {_ADVICE}. A run goes on from its last checkpoint: npgan train --resume FOLDER "
            "(add --backend cpu to do without a GPU)"
        )
    return None
