"""Matrix products on the GPU, by cuBLAS: no temporaries, and in the precision that the backend was asked for."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.backend.device import INSTALL
from npgan.errors import BackendError

_FLOAT, _DOUBLE = 0, 1  # cudaDataType_t: CUDA_R_32F, CUDA_R_64F


@cache
def _scalars(dtype: Any) -> tuple[Array, int, int]:
    """Return 0 and 1 of a dtype in host memory, which cuBLAS reads when it is called, and their addresses."""
    numbers = np.array([0, 1], dtype)
    return numbers, numbers.ctypes.data, numbers.ctypes.data + numbers.itemsize


# cublasComputeType_t: CUBLAS_COMPUTE_32F, 32F_FAST_TF32, 32F_FAST_16BF and 64F. Tensor cores take float32 in TF32 (10
# bits of mantissa) or in bf16 (7 bits), and add up in float32.
_COMPUTE = {"float32": 68, "tf32": 77, "bf16": 75}
_COMPUTE_DOUBLE = 70


@cache
def _cublas() -> tuple[Any, Any]:
    """Return CuPy's cuBLAS, and what returns its handle for the current device.

    Raises
    ------
    BackendError
        It is not installed.
    """
    try:
        from cupy.cuda import cublas, get_cublas_handle
    except (ImportError, OSError) as error:
        raise BackendError(
            f"matrix products on the GPU need cuBLAS, which cannot be loaded ({str(error).strip()}); {INSTALL}"
        ) from None
    return cublas, get_cublas_handle


def product(
    c: Array, a: Array, b: Array, *, ta: bool = False, tb: bool = False, accumulate: bool = False, compute: str
) -> None:
    """Write op(A) (M, K) op(B) (K, N) to c (M, N), or add it.

    Parameters
    ----------
    c, a, b : array
        Matrices in one piece, of one dtype.
    ta, tb : bool
        Whether op is the transpose: then a is (K, M), b is (N, K).
    accumulate : bool
    compute : {"float32", "tf32", "bf16"}
        Of float32 matrices; float64 ones are multiplied in float64.

    Raises
    ------
    BackendError
        cuBLAS is not installed.
    """
    cublas, handle = _cublas()
    (m, n), k = c.shape, a.shape[0] if ta else a.shape[1]
    if not c.size:
        return
    if not k:
        if not accumulate:
            c[...] = 0
        return
    _, zero, one = _scalars(c.dtype)
    kind, kept = (_DOUBLE, _COMPUTE_DOUBLE) if c.dtype == np.float64 else (_FLOAT, _COMPUTE[compute])
    # cuBLAS reads a matrix by columns, so as its transpose, and Cᵀ = op(B)ᵀ op(A)ᵀ.
    cublas.gemmEx(
        handle(), int(tb), int(ta), n, m, k,
        one, _address(b), kind, b.shape[1], _address(a), kind, a.shape[1],
        one if accumulate else zero, _address(c), kind, n,
        kept, -1,
    )  # fmt: skip


def _address(matrix: Any) -> int:
    if not matrix.flags.c_contiguous:
        raise ValueError(f"a matrix of shape {matrix.shape} for cuBLAS is not in one piece")
    found: int = matrix.data.ptr
    return found
