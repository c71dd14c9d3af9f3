"""Arrays of NumPy, with kernels compiled by numba (or, as ``"reference"``, the plain ones)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from npgan.backend.base import Array, Backend, Shape
from npgan.backend.compiled_step import CompiledStep
from npgan.kernels import Kernels

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


class NumpyBackend(Backend):
    """NumPy arrays in host memory.

    Parameters
    ----------
    name : {"cpu", "reference"}
        Which kernels to use.
    """

    xp = np

    def __init__(self, name: str = "cpu") -> None:
        self.name = name
        self.kernels = Kernels(name)
        self.fuses = name == "cpu"
        if name == "cpu":
            self.recorder = CompiledStep
        if name == "reference":
            self.dtypes = ("float32", "float64", "complex128")

    def empty(self, shape: Shape, dtype: Any) -> Array:  # noqa: D102
        dtype = np.dtype(dtype)
        nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        raw = np.empty(nbytes + _ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % _ALIGNMENT
        array: Array = raw[start : start + nbytes].view(dtype).reshape(shape)
        return array

    def asarray(self, host: Any, dtype: Any = None) -> Array:  # noqa: D102
        return np.asarray(host, dtype)

    def to_host(self, array: Array) -> Array:  # noqa: D102
        return array

    def synchronize(self) -> None:
        """Return at once: NumPy's calls are done when they return."""

    def read_only(self, array: Array) -> Array:  # noqa: D102
        view = array.view()
        view.flags.writeable = False
        return view

    def describe(self) -> dict[str, str]:  # noqa: D102
        from npgan.backend.threads import thread_count

        found = {
            "backend": self.name,
            "numpy": np.__version__,
            "blas": _blas(),
            "threads": str(thread_count()),
        }
        if self.name == "cpu":
            from numba import __version__ as numba_version

            from npgan.backend.blas import blas

            found["products"] = f"{blas().name} {blas().core}"
            found["numba"] = numba_version
        return found


def numpy_blas() -> dict[str, Any]:
    """Return what threadpoolctl knows of the BLAS that NumPy uses; empty where it knows nothing."""
    from threadpoolctl import threadpool_info

    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    # SciPy may have brought another one; NumPy's wheels keep theirs beside the package.
    near = str(Path(np.__file__).parents[1] / "numpy")
    return next((each for each in libraries if each["filepath"].startswith(near)), libraries[0] if libraries else {})


def _blas() -> str:
    library = numpy_blas()
    return " ".join(str(library[k]) for k in ("internal_api", "version", "architecture") if library.get(k)) or "unknown"
