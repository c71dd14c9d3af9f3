"""Matrix products: gemm for compiled kernels, on the calling thread alone, and whole products over all threads."""

# mypy: disable-error-code="no-untyped-def"

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from npgan.backend.base import Array
from npgan.backend.blas import blas
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples

NO, YES = 111, 112  # CBLAS's words for "as it is" and "transposed"

_kind = blas().kind
_i, _p = types.int32, types.uintp
_external: dict[Any, Any] = {}
for _letter, _real in (("s", types.float32), ("d", types.float64)):
    _cblas = types.void(_i, _i, _i, _i, _i, _i, _real, _p, _i, _p, _i, _real, _p, _i)
    _fortran = types.void(*[_p] * 13)
    _external[_real] = types.ExternalFunction(f"npgan_{_letter}gemm", _cblas if _kind == "cblas" else _fortran)


def gemm(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc):
    """Write op(A) (m, k) · op(B) (k, n) + beta C to c (m, n).

    Parameters
    ----------
    ta, tb : int
        NO or YES.
    a, b, c : array
        Their first element is the matrices'; `lda`, `ldb`, `ldc` are the elements from one row to the next.
    """
    raise NotImplementedError("for compiled code only")


@overload(gemm, inline="never")
def _gemm(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc):
    product, real = _external[c.dtype], np.float32 if c.dtype == types.float32 else np.float64

    def by_cblas(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc):
        product(101, ta, tb, m, n, k, real(1), a.ctypes.data, lda, b.ctypes.data, ldb, real(beta), c.ctypes.data, ldc)

    def by_fortran(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc):
        # Fortran reads a row-major matrix as its transpose, and Cᵀ = op(B)ᵀ op(A)ᵀ; it takes addresses of everything.
        letters = np.array([84 if tb == 112 else 78, 84 if ta == 112 else 78], np.uint8)
        sizes = np.array([n, m, k, ldb, lda, ldc], np.int32)
        factors = np.array([1, beta], c.dtype)
        at, one, number = sizes.ctypes.data, letters.ctypes.data, factors.ctypes.data
        product(
            one, one + 1, at, at + 4, at + 8, number, b.ctypes.data, at + 12, a.ctypes.data, at + 16,
            number + factors.itemsize, c.ctypes.data, at + 20,
        )  # fmt: skip

    return by_cblas if _kind == "cblas" else by_fortran


@kernel
def _rows_times(start, stop, y, x, w, transposed):
    # y (M, O) = x (M, K) w (K, O), or w (O, K)ᵀ
    op = YES if transposed else NO
    gemm(NO, op, stop - start, y.shape[1], x.shape[1], x[start:], x.shape[1], w, w.shape[1], 0, y[start:], y.shape[1])


@kernel
def _rows_times_columns(start, stop, y, x, w, transposed):
    # the same, the columns [start, stop) of y
    m, n, k = y.shape[0], y.shape[1], x.shape[1]
    if transposed:
        gemm(NO, YES, m, stop - start, k, x, k, w[start:], k, 0, y[:, start:], n)
    else:
        gemm(NO, NO, m, stop - start, k, x, k, w[:, start:], n, 0, y[:, start:], n)


@kernel
def _columns_times(start, stop, dw, x, dy, accumulate):
    # dw (K, O) = xᵀ (K, M) dy (M, O), the rows [start, stop)
    beta = 1 if accumulate else 0
    o = dy.shape[1]
    gemm(YES, NO, stop - start, o, x.shape[0], x[:, start:], x.shape[1], dy, o, beta, dw[start:], o)


def rows_times(y: Array, x: Array, w: Array, transposed: bool = False) -> None:
    """x (M, K), w (K, O), or (O, K) where `transposed` -> y (M, O)."""
    # Each thread copies what it multiplies into blocks: all of one factor, and its part of the other.
    if y.shape[0] >= y.shape[1]:
        over_samples(_rows_times, y.shape[0], x.size * y.shape[1] // 32, y, x, w, transposed)
    else:
        over_samples(_rows_times_columns, y.shape[1], x.size * y.shape[1] // 32, y, x, w, transposed)


def columns_times(dw: Array, x: Array, dy: Array, accumulate: bool) -> None:
    """x (M, K), dy (M, O) -> dw (K, O) = xᵀ dy, written or added to."""
    over_samples(_columns_times, dw.shape[0], x.size * dy.shape[1] // 32, dw, x, dy, accumulate)
