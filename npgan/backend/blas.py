"""The matrix product that compiled kernels call: one thread of an OpenBLAS of npgan's own.

NumPy's copy is loaded before npgan and cannot be told any more which kernel to use; OpenBLAS does not recognise every
processor, and then an AVX-512 machine runs an AVX2 kernel at half its speed. `scipy-openblas32`, the NumPy team's own
OpenBLAS as a wheel, is loaded as a second copy, told its kernel by an environment variable, and kept to one thread:
kernels call it from the threads of npgan's pool, each for its own rows, on blocks that are still in cache. Without that
wheel SciPy's BLAS is called in the same way.

Either is compared with NumPy's products before it is used, and registered as a symbol, so that numba can cache what
calls it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from npgan.errors import ConfigError

CORE = "NPGAN_BLAS_CORE"
"""Environment variable: OpenBLAS's name of the kernel to use, such as Haswell, SkylakeX or Zen; or "scipy"."""

_AVX512 = frozenset({"avx512f", "avx512dq", "avx512bw", "avx512vl"})
_NO, _YES = 111, 112  # CBLAS: not transposed, transposed


@dataclass(frozen=True)
class Blas:
    """A BLAS whose products compiled kernels can call.

    Attributes
    ----------
    kind : {"cblas", "fortran"}
        How it is called.
    name, core, why : str
        Library with version; OpenBLAS's name of the kernel; why it was chosen.
    """

    kind: str
    name: str
    core: str
    why: str


@lru_cache(maxsize=1)
def blas() -> Blas:
    """Load, check and register the best BLAS there is.

    Raises
    ------
    ConfigError
        ``NPGAN_BLAS_CORE`` names a kernel that the library does not have.
    """
    wanted = os.environ.get(CORE)
    if wanted != "scipy":
        found = _openblas(wanted)
        if found is not None:
            return found
    return _scipy("asked for" if wanted == "scipy" else "scipy-openblas32 is not installed, or gave wrong products")


def _openblas(wanted: str | None) -> Blas | None:
    why = f"{CORE} is set"
    if not wanted:
        wanted, why = (
            ("SkylakeX", "the processor has AVX-512") if cpu_flags() >= _AVX512 else (None, "OpenBLAS's own choice")
        )
    try:
        with _environment(OPENBLAS_CORETYPE=wanted, OPENBLAS_NUM_THREADS="1"):
            library = ctypes.CDLL(str(_wheel()))
    except OSError:
        return None
    library.scipy_openblas_set_num_threads(1)
    library.scipy_openblas_get_corename.restype = ctypes.c_char_p
    core = library.scipy_openblas_get_corename().decode()
    if os.environ.get(CORE) and core.lower() != str(wanted).lower():
        raise ConfigError(
            f"{CORE} is {wanted!r}, but OpenBLAS chose {core!r}: it has no such kernel for this processor"
        )
    for letter, dtype in (("s", np.float32), ("d", np.float64)):
        product = getattr(library, f"scipy_cblas_{letter}gemm")
        if not _is_right(_ctypes_cblas(product, dtype), dtype):
            return None
        _register(letter, ctypes.cast(product, ctypes.c_void_p).value)
    return Blas("cblas", f"scipy-openblas32 {version('scipy-openblas32')}", core, why)


def _wheel() -> Path:
    """Return the wheel's library, or raise FileNotFoundError.

    The wheel's module is not imported: that would make its symbols global, and a SciPy that is loaded later would take
    its LAPACK from there, so that eigenvalues depended, in their last bits, on what was loaded first.
    """
    spec = find_spec("scipy_openblas32")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder, "lib").glob("libscipy_openblas*")):
            if path.suffix != ".lib":
                return path
    raise FileNotFoundError("scipy-openblas32 is not installed")


def _scipy(why: str) -> Blas:
    import scipy
    from scipy.linalg import cython_blas

    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    for letter in "sd":
        capsule = cython_blas.__pyx_capi__[f"{letter}gemm"]
        _register(letter, get(capsule, name(capsule)))
    return Blas("fortran", f"SciPy {scipy.__version__}", "unknown", why)


def _register(letter: str, address: int | None) -> None:
    import llvmlite.binding as llvm

    llvm.add_symbol(f"npgan_{letter}gemm", address)


@contextmanager
def _environment(**values: str | None) -> Iterator[None]:
    """Set variables while a library is loaded, and put back what was there."""
    before = {name: os.environ.get(name) for name in values}
    try:
        _set(values)
        yield
    finally:
        _set(before)


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@lru_cache(maxsize=1)
def cpu_flags() -> frozenset[str]:
    """Return the processor's features as Linux names them; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return next((frozenset(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), frozenset())


def _ctypes_cblas(product: Any, dtype: type) -> Callable[..., None]:
    number = ctypes.c_float if dtype is np.float32 else ctypes.c_double
    i, p = ctypes.c_int, ctypes.c_void_p
    product.restype, product.argtypes = None, [i, i, i, i, i, i, number, p, i, p, i, number, p, i]

    def gemm(a: Any, b: Any, c: Any, ta: bool, tb: bool) -> None:
        (m, n), k = c.shape, a.shape[0 if ta else 1]
        product(
            101,
            _YES if ta else _NO,
            _YES if tb else _NO,
            m,
            n,
            k,
            1.0,
            a.ctypes.data,
            a.shape[1],
            b.ctypes.data,
            b.shape[1],
            0.0,
            c.ctypes.data,
            n,
        )

    return gemm


def _is_right(gemm: Callable[..., None], dtype: type) -> bool:
    """Compare products of awkward sizes with NumPy's, which are too small for it to wake its threads."""
    draw = np.random.default_rng(0)
    tolerance = 1e-4 if dtype is np.float32 else 1e-12
    for m, n, k in ((1, 1, 1), (7, 5, 3), (65, 33, 129), (130, 65, 33), (33, 257, 31)):
        for ta in (False, True):
            for tb in (False, True):
                a: Any = draw.normal(size=(k, m) if ta else (m, k)).astype(dtype)
                b: Any = draw.normal(size=(n, k) if tb else (k, n)).astype(dtype)
                c: Any = np.full((m, n), np.nan, dtype)
                gemm(a, b, c, ta, tb)
                expected = (a.T if ta else a) @ (b.T if tb else b)
                if not np.abs(c - expected).max() <= tolerance * np.sqrt(k):
                    return False
    return True
