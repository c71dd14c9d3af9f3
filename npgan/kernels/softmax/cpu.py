"""Softmax along the last axis, compiled. Sums are made in float64."""

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples


@kernel
def _forward(start, stop, y, x):  # type: ignore[no-untyped-def]
    for m in range(start, stop):
        out, row = y[m], x[m]
        largest = row[0]
        for c in range(row.size):
            if row[c] > largest:
                largest = row[c]
        total = 0.0
        for c in range(row.size):
            out[c] = np.exp(row[c] - largest)  # a NaN that the comparison passed over comes in here
            total += out[c]
        scale = y.dtype.type(1.0 / total)
        for c in range(row.size):
            out[c] *= scale


@kernel
def _backward(start, stop, dx, dy, y):  # type: ignore[no-untyped-def]
    for m in range(start, stop):
        out, gradient, row = dx[m], dy[m], y[m]
        total = 0.0
        for c in range(row.size):
            total += gradient[c] * row[c]
        mean = dx.dtype.type(total)
        for c in range(row.size):
            out[c] = row[c] * (gradient[c] - mean)


@kernel
def _rbackward(start, stop, rdx, rdy, dy, ry, y):  # type: ignore[no-untyped-def]
    for m in range(start, stop):
        out, rgradient, gradient, change, row = rdx[m], rdy[m], dy[m], ry[m], y[m]
        total, rtotal = 0.0, 0.0
        for c in range(row.size):
            total += gradient[c] * row[c]
            rtotal += rgradient[c] * row[c] + gradient[c] * change[c]
        mean, rmean = rdx.dtype.type(total), rdx.dtype.type(rtotal)
        for c in range(row.size):
            out[c] = change[c] * (gradient[c] - mean) + row[c] * (rgradient[c] - rmean)


def forward(y: Array, x: Array) -> None:
    """x (M, C) -> y (M, C)."""
    over_samples(_forward, y.shape[0], 10 * y.size, y, x)


def backward(dx: Array, dy: Array, y: Array) -> None:
    """dy (M, C), y (M, C) -> dx (M, C)."""
    over_samples(_backward, dx.shape[0], dx.size, dx, dy, y)


def rbackward(rdx: Array, rdy: Array, dy: Array, ry: Array, y: Array) -> None:
    """rdy, dy, ry, y (M, C) -> rdx (M, C): the product rule on `backward`, with ry for the change of y."""
    over_samples(_rbackward, rdx.shape[0], 2 * rdx.size, rdx, rdy, dy, ry, y)
