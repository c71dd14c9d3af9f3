"""Arrays of CuPy on a CUDA device. CuPy is imported when such a backend is made, and not before."""

from __future__ import annotations

import math
import os
from functools import cached_property
from typing import Any, cast

import numpy as np

from npgan.backend.base import Array, Backend, Shape
from npgan.backend.cuda import block_sums
from npgan.backend.cuda_graph import CudaGraph
from npgan.backend.device import connect, out_of_memory, version_text
from npgan.backend.recording import Reading
from npgan.backend.sizes import size_text
from npgan.errors import BackendError, ConfigError
from npgan.kernels import Kernels

COMPUTE = ("float32", "tf32", "bf16")
CONV = "NPGAN_CONV"
"""Environment variable: whose convolutions are used, "auto" (cuDNN's where they can be), "cudnn" or "own"."""


class CupyBackend(Backend):
    """CuPy arrays in the memory of the current CUDA device.

    Parameters
    ----------
    compute : {"float32", "tf32", "bf16"}
        What products of float32 arrays are computed in: float32 as it is, or tensor cores that round the factors to 10
        or 7 bits of mantissa and add up in float32. Weights, activations and gradients stay float32, and products of
        float64 arrays float64.

    Raises
    ------
    ConfigError
        ``NPGAN_CONV`` is none of "auto", "cudnn" and "own".
    BackendError
        CuPy is not installed, the driver is missing or too old, or there is no device: see `connect`. In `empty` and
        `asarray`: the memory does not hold it.
    """

    name = "gpu"
    fuses = True
    recorder = CudaGraph

    def __init__(self, compute: str = "float32") -> None:
        if compute not in COMPUTE:
            raise BackendError(f"the gpu backend computes in {', '.join(COMPUTE)}, and {compute!r} was asked for")
        self.xp = connect()
        self.compute = compute
        self.conv = os.environ.get(CONV) or "auto"
        if self.conv not in ("auto", "cudnn", "own"):
            raise ConfigError(f"{CONV} is {self.conv!r}, expected auto, cudnn or own")
        self.kernels = Kernels("gpu", compute=compute, conv=self.conv)

    @cached_property
    def capturing_stream(self) -> Any:
        """The stream that steps are captured on, as the legacy one cannot: with its memory for sums, which is zeros."""
        stream = self.xp.cuda.Stream(non_blocking=True)
        with stream:
            block_sums(1)
        stream.synchronize()  # what a graph then finds there is not written while it is captured
        return stream

    def empty(self, shape: Shape, dtype: Any) -> Array:  # noqa: D102
        try:
            array: Array = self.xp.empty(shape, dtype)
        except MemoryError:
            asked = math.prod(shape) * np.dtype(dtype).itemsize
            raise out_of_memory(self.xp, asked, f"an array of {dtype} {shape}") from None
        return array

    def asarray(self, host: Any, dtype: Any = None) -> Array:  # noqa: D102
        try:
            array: Array = self.xp.asarray(host, dtype)
        except MemoryError:
            raise out_of_memory(self.xp, host.nbytes, f"a copy of {host.dtype} {host.shape}") from None
        return array

    def to_host(self, array: Array) -> Array:  # noqa: D102
        host: Array = self.xp.asnumpy(array)
        return host

    def synchronize(self) -> None:  # noqa: D102
        self.xp.cuda.get_current_stream().synchronize()

    def read_only(self, array: Array) -> Array:
        """Return the array: CuPy has no read-only flag."""
        return array

    def copy(self, out: Array, source: Array) -> None:  # noqa: D102
        like = out.shape == source.shape and out.dtype == source.dtype
        if like and out.size and out.flags.c_contiguous and source.flags.c_contiguous:
            cuda, to, of = self.xp.cuda, cast(Any, out), cast(Any, source)
            stream, kind = cuda.get_current_stream().ptr, cuda.runtime.memcpyDeviceToDevice
            cuda.runtime.memcpyAsync(to.data.ptr, of.data.ptr, out.nbytes, kind, stream)
        else:
            out[...] = source

    def read_later(self, array: Array) -> Reading:  # noqa: D102
        memory = self.xp.cuda.alloc_pinned_memory(array.nbytes)
        host = np.frombuffer(memory, array.dtype, array.size).reshape(array.shape)
        array.get(out=host, blocking=False)  # type: ignore[attr-defined]
        event = self.xp.cuda.Event(disable_timing=True)
        event.record(self.xp.cuda.get_current_stream())
        return Reading(host, event)

    def room(self) -> int:  # noqa: D102
        free, _ = self.xp.cuda.runtime.memGetInfo()
        return int(free) + int(self.xp.get_default_memory_pool().free_bytes())

    def describe(self) -> dict[str, str]:  # noqa: D102
        runtime = self.xp.cuda.runtime
        device = runtime.getDeviceProperties(self.xp.cuda.Device().id)
        products = {"float32": "float32", "tf32": "TF32 (float32 sums)", "bf16": "bfloat16 (float32 sums)"}
        return {
            "backend": self.name,
            "cupy": self.xp.__version__,
            "cuda": version_text(runtime.runtimeGetVersion()),
            "driver": f"for CUDA {version_text(runtime.driverGetVersion())}",
            "device": device["name"].decode(),
            "capability": f"{device['major']}.{device['minor']}",
            "memory": size_text(device["totalGlobalMem"]),
            "compute": f"{products[self.compute]} products",
            "conv": self.conv,
        }
