"""Element-wise functions, compiled.

Constants take the arrays' dtype, else float32 is computed in float64. Loops count from 0 over slices: an index that
could be negative, as far as the compiler knows, is checked for each element, and no loop with that is vectorised.
"""

from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples
from npgan.kernels.bend import bend, bend_slope

_F = np.float32
_EXPONENTIAL = 10  # what one costs, in elements that are merely read and written


def _each(compiled: Any, cost: int, *arrays_and_options: Any) -> None:
    """Run a kernel over flat views; every array of a Pass is contiguous."""
    args = [a.reshape(-1) if type(a) is np.ndarray else a for a in arrays_and_options]
    over_samples(compiled, args[0].size, cost * args[0].size, *args)


@kernel
def _leaky_relu(start, stop, y, x, slope):  # type: ignore[no-untyped-def]
    y, x = y[start:stop], x[start:stop]
    slope = y.dtype.type(slope)
    for i in range(y.size):
        y[i] = bend(x[i], slope)


@kernel
def _leaky_relu_backward(start, stop, dx, dy, y, slope):  # type: ignore[no-untyped-def]
    dy, y = dy[start:stop], y[start:stop]
    out = dy if dx is None else dx[start:stop]
    slope = dy.dtype.type(slope)
    for i in range(dy.size):
        out[i] = dy[i] * bend_slope(y[i], slope)


@kernel
def _elu(start, stop, y, x, alpha):  # type: ignore[no-untyped-def]
    y, x = y[start:stop], x[start:stop]
    alpha = y.dtype.type(alpha)
    for i in range(y.size):
        v = x[i]
        y[i] = v if v > 0 else alpha * np.expm1(v)


@kernel
def _elu_backward(start, stop, dx, dy, y, alpha):  # type: ignore[no-untyped-def]
    dx, dy, y = dx[start:stop], dy[start:stop], y[start:stop]
    one, alpha = dx.dtype.type(1), dx.dtype.type(alpha)
    for i in range(dx.size):
        v = y[i]
        dx[i] = dy[i] * (one if v > 0 else v + alpha)


@kernel
def _elu_rbackward(start, stop, rdx, rdy, dy, rx, y, alpha):  # type: ignore[no-untyped-def]
    rdx, rdy, dy, rx, y = rdx[start:stop], rdy[start:stop], dy[start:stop], rx[start:stop], y[start:stop]
    zero, one, alpha = rdx.dtype.type(0), rdx.dtype.type(1), rdx.dtype.type(alpha)
    for i in range(rdx.size):
        v = y[i]
        bent = v + alpha
        rdx[i] = (one if v > 0 else bent) * rdy[i] + (zero if v > 0 else bent) * rx[i] * dy[i]


@kernel
def _tanh(start, stop, y, x):  # type: ignore[no-untyped-def]
    y, x = y[start:stop], x[start:stop]
    for i in range(y.size):
        y[i] = np.tanh(x[i])


@kernel
def _tanh_single(start, stop, y, x):  # type: ignore[no-untyped-def]
    """tanh in float32 by vector instructions; the library's is a call for each element.

    Cephes's: below 0.625 an odd polynomial; above, 1 - 2 / (e^2|x| + 1), where e^2|x| = 2^k e^r with |r| <= ln 2 / 2.
    """
    y, x = y[start:stop], x[start:stop]
    one, two = _F(1), _F(2)
    for i in range(y.size):
        v = x[i]
        size = abs(v)
        z = v * v
        near = _F(-5.70498872745e-3) * z + _F(2.06390887954e-2)
        near = (near * z + _F(-5.37397155531e-2)) * z + _F(1.33314422036e-1)
        near = v + v * z * (near * z + _F(-3.33332819422e-1))
        t = two * size if size < _F(9.1) else _F(18.2)  # beyond, it is 1
        k = np.floor(t * _F(1.44269504) + _F(0.5))
        r = t - k * _F(0.693147181)
        e = _F(1.9875691500e-4) * r + _F(1.3981999507e-3)
        e = (e * r + _F(8.3334519073e-3)) * r + _F(4.1665795894e-2)
        e = (e * r + _F(1.6666665459e-1)) * r + _F(5.0000001201e-1)
        e = (e * r * r + r + one) * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(_F)
        far = one - two / (e + one)
        found = near if size < _F(0.625) else (far if v > 0 else -far)
        y[i] = found if size >= 0 else v


@kernel
def _tanh_backward(start, stop, dx, dy, y):  # type: ignore[no-untyped-def]
    dx, dy, y = dx[start:stop], dy[start:stop], y[start:stop]
    one = dx.dtype.type(1)
    for i in range(dx.size):
        dx[i] = dy[i] * ((one - y[i]) * (one + y[i]))


@kernel
def _tanh_rbackward(start, stop, rdx, rdy, dy, rx, y):  # type: ignore[no-untyped-def]
    rdx, rdy, dy, rx, y = rdx[start:stop], rdy[start:stop], dy[start:stop], rx[start:stop], y[start:stop]
    one, two = rdx.dtype.type(1), rdx.dtype.type(2)
    for i in range(rdx.size):
        v = y[i]
        rdx[i] = (one - v) * (one + v) * (rdy[i] - two * v * rx[i] * dy[i])


@kernel
def _sigmoid(start, stop, y, x):  # type: ignore[no-untyped-def]
    y, x = y[start:stop], x[start:stop]
    one = y.dtype.type(1)
    for i in range(y.size):
        v = x[i]
        e = np.exp(-abs(v))
        y[i] = (one if v > 0 else e) / (one + e)


@kernel
def _sigmoid_backward(start, stop, dx, dy, y):  # type: ignore[no-untyped-def]
    dx, dy, y = dx[start:stop], dy[start:stop], y[start:stop]
    one = dx.dtype.type(1)
    for i in range(dx.size):
        dx[i] = dy[i] * (y[i] * (one - y[i]))


@kernel
def _sigmoid_rbackward(start, stop, rdx, rdy, dy, rx, y):  # type: ignore[no-untyped-def]
    rdx, rdy, dy, rx, y = rdx[start:stop], rdy[start:stop], dy[start:stop], rx[start:stop], y[start:stop]
    one, two = rdx.dtype.type(1), rdx.dtype.type(2)
    for i in range(rdx.size):
        v = y[i]
        rdx[i] = v * (one - v) * (rdy[i] + (one - two * v) * rx[i] * dy[i])


@kernel
def _softplus(start, stop, y, x):  # type: ignore[no-untyped-def]
    y, x = y[start:stop], x[start:stop]
    zero = y.dtype.type(0)
    for i in range(y.size):
        v = x[i]
        y[i] = (v if v > 0 else zero) + np.log1p(np.exp(-abs(v)))


@kernel
def _softplus_backward(start, stop, dx, dy, y):  # type: ignore[no-untyped-def]
    dx, dy, y = dx[start:stop], dy[start:stop], y[start:stop]
    for i in range(dx.size):
        dx[i] = -dy[i] * np.expm1(-y[i])


@kernel
def _softplus_rbackward(start, stop, rdx, rdy, dy, rx, y):  # type: ignore[no-untyped-def]
    rdx, rdy, dy, rx, y = rdx[start:stop], rdy[start:stop], dy[start:stop], rx[start:stop], y[start:stop]
    for i in range(rdx.size):
        v = y[i]
        rdx[i] = -np.expm1(-v) * (rdy[i] + np.exp(-v) * rx[i] * dy[i])


def relu(y: Array, x: Array) -> None:
    """y = x where x > 0, else 0."""
    leaky_relu(y, x, 0.0)


def relu_backward(dx: Array, dy: Array, y: Array) -> None:
    """dx = dy where y > 0, else 0 dy."""
    leaky_relu_backward(dx, dy, y, 0.0)


def leaky_relu(y: Array, x: Array, slope: float) -> None:
    """y = x where x > 0, else slope x."""
    _each(_leaky_relu, 1, y, x, slope)


def leaky_relu_backward(dx: Array, dy: Array, y: Array, slope: float) -> None:
    """dx = dy where y > 0, else slope dy."""
    # Where it is told that dx is dy, the compiler need not fear that one is a part of the other.
    out = None if np.may_share_memory(dx, dy) else dx.reshape(-1)
    over_samples(_leaky_relu_backward, dy.size, dy.size, out, dy.reshape(-1), y.reshape(-1), slope)


def elu(y: Array, x: Array, alpha: float) -> None:
    """y = x where x > 0, else alpha (e^x - 1)."""
    _each(_elu, _EXPONENTIAL, y, x, alpha)


def elu_backward(dx: Array, dy: Array, y: Array, alpha: float) -> None:
    """dx = dy where y > 0, else (y + alpha) dy."""
    _each(_elu_backward, 1, dx, dy, y, alpha)


def elu_rbackward(rdx: Array, rdy: Array, dy: Array, rx: Array, y: Array, alpha: float) -> None:
    """rdx = rdy where y > 0, else (y + alpha)(rdy + rx dy)."""
    _each(_elu_rbackward, 1, rdx, rdy, dy, rx, y, alpha)


def tanh(y: Array, x: Array) -> None:
    """y = tanh x."""
    if y.dtype == _F:
        _each(_tanh_single, 1, y, x)
    else:
        _each(_tanh, _EXPONENTIAL, y, x)


def tanh_backward(dx: Array, dy: Array, y: Array) -> None:
    """dx = (1 - y^2) dy."""
    _each(_tanh_backward, 1, dx, dy, y)


def tanh_rbackward(rdx: Array, rdy: Array, dy: Array, rx: Array, y: Array) -> None:
    """rdx = (1 - y^2)(rdy - 2 y rx dy)."""
    _each(_tanh_rbackward, 1, rdx, rdy, dy, rx, y)


def sigmoid(y: Array, x: Array) -> None:
    """y = 1 / (1 + e^-x)."""
    _each(_sigmoid, _EXPONENTIAL, y, x)


def sigmoid_backward(dx: Array, dy: Array, y: Array) -> None:
    """dx = y (1 - y) dy."""
    _each(_sigmoid_backward, 1, dx, dy, y)


def sigmoid_rbackward(rdx: Array, rdy: Array, dy: Array, rx: Array, y: Array) -> None:
    """rdx = y (1 - y)(rdy + (1 - 2 y) rx dy)."""
    _each(_sigmoid_rbackward, 1, rdx, rdy, dy, rx, y)


def softplus(y: Array, x: Array) -> None:
    """y = ln(1 + e^x)."""
    _each(_softplus, _EXPONENTIAL, y, x)


def softplus_backward(dx: Array, dy: Array, y: Array) -> None:
    """dx = (1 - e^-y) dy."""
    _each(_softplus_backward, _EXPONENTIAL, dx, dy, y)


def softplus_rbackward(rdx: Array, rdy: Array, dy: Array, rx: Array, y: Array) -> None:
    """rdx = (1 - e^-y)(rdy + e^-y rx dy)."""
    _each(_softplus_rbackward, 2 * _EXPONENTIAL, rdx, rdy, dy, rx, y)
