"""Where arrays live: NumPy on the CPU, CuPy on the GPU."""

from __future__ import annotations

from npgan.backend.base import Array, Backend, Shape
from npgan.backend.random import Random
from npgan.errors import BackendError

__all__ = ["BACKENDS", "Array", "Backend", "Random", "Shape", "get_backend"]

BACKENDS = ("cpu", "gpu", "gpu:tf32", "gpu:bf16", "reference")


def get_backend(name: str | Backend = "cpu") -> Backend:
    """Return the backend of that name.

    Parameters
    ----------
    name : {"cpu", "gpu", "gpu:tf32", "gpu:bf16", "reference"} or Backend
        ``"cpu"`` is NumPy with numba kernels, ``"gpu"`` is CuPy with CUDA kernels, ``"reference"`` is NumPy with the
        plain kernels that the others are checked against (slow; also computes in complex128, for the complex step).
        ``"gpu:tf32"`` and ``"gpu:bf16"`` compute products of float32 on tensor cores, which round their factors.

    Raises
    ------
    BackendError
        Unknown name, or a backend that cannot be used here, with what is missing.
    """
    if isinstance(name, Backend):
        return name
    if name in ("cpu", "reference"):
        from npgan.backend.cpu import NumpyBackend

        return NumpyBackend(name)
    if name in BACKENDS:
        from npgan.backend.gpu import CupyBackend

        return CupyBackend(name.partition(":")[2] or "float32")
    raise BackendError(f"backend is {name!r}, expected one of {', '.join(BACKENDS)}")
