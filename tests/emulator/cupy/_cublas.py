"""cuBLAS's products, by NumPy on the pointers."""

import ctypes

import numpy as np

from cupy import _streams

CUBLAS_OP_N, CUBLAS_OP_T = 0, 1
CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_64F = 68, 70
CUBLAS_COMPUTE_32F_FAST_16BF, CUBLAS_COMPUTE_32F_FAST_TF32 = 75, 77
CUBLAS_GEMM_DEFAULT = -1
CUBLAS_DEFAULT_MATH = 0
_TYPES = {0: np.float32, 1: np.float64}
_BITS = {CUBLAS_COMPUTE_32F_FAST_TF32: 10, CUBLAS_COMPUTE_32F_FAST_16BF: 7}


class CUBLASError(RuntimeError):
    """As cuBLAS's."""


def rounded(a, bits):
    """float32 with so many bits of mantissa left, to the nearest, ties to even."""
    words, drop = np.ascontiguousarray(a).view(np.uint32), np.uint32(23 - bits)
    half = (np.uint32(1) << (drop - np.uint32(1))) - np.uint32(1) + ((words >> drop) & np.uint32(1))
    near = ((words + half) >> drop << drop).view(np.float32)
    return np.where(np.isfinite(a), near, a)


def _columns(pointer, dtype, ld, rows, columns):
    """A matrix of Fortran's order at an address."""
    if ld < rows or not rows or not columns:
        raise CUBLASError(f"CUBLAS_STATUS_INVALID_VALUE: ld {ld} of a matrix ({rows}, {columns})")
    size = (ld * (columns - 1) + rows) * np.dtype(dtype).itemsize
    flat = _streams.memory(pointer, size).view(dtype)
    return np.lib.stride_tricks.as_strided(flat, (rows, columns), (flat.itemsize, ld * flat.itemsize))


def _scalar(pointer, dtype):
    return (ctypes.c_double if dtype is np.float64 else ctypes.c_float).from_address(pointer).value


def gemmEx(handle, ta, tb, m, n, k, alpha, a, at, lda, b, bt, ldb, beta, c, ct, ldc, compute, algorithm):
    gemmStridedBatchedEx(
        handle, ta, tb, m, n, k, alpha, a, at, lda, 0, b, bt, ldb, 0, beta, c, ct, ldc, 0, 1, compute, algorithm
    )


def gemmStridedBatchedEx(
    handle, ta, tb, m, n, k, alpha, a, at, lda, sa, b, bt, ldb, sb, beta, c, ct, ldc, sc, count, compute, algorithm
):
    dtype = _TYPES[ct]
    if at != ct or bt != ct or (compute == CUBLAS_COMPUTE_64F) != (dtype is np.float64):
        raise CUBLASError("CUBLAS_STATUS_NOT_SUPPORTED")
    alpha, beta = _scalar(alpha, dtype), _scalar(beta, dtype)  # read when it is called, as from host memory

    def work():
        size = np.dtype(dtype).itemsize
        for i in range(count):
            left = _columns(a + i * sa * size, dtype, lda, *((k, m) if ta else (m, k)))
            right = _columns(b + i * sb * size, dtype, ldb, *((n, k) if tb else (k, n)))
            if compute in _BITS:
                left, right = rounded(left, _BITS[compute]), rounded(right, _BITS[compute])
            out = _columns(c + i * sc * size, dtype, ldc, m, n)
            with np.errstate(all="ignore"):
                product = alpha * np.matmul(left.T if ta else left, right.T if tb else right)
                out[...] = product + beta * out if beta else product

    _streams.submit(work)


def setStream(handle, stream):
    pass


def setMathMode(handle, mode):
    pass


def getVersion(handle):
    return 130000
