"""Element-wise functions in plain NumPy; arrays of any shape.

Each ``NAME(y, x, ...)`` has a ``NAME_backward(dx, dy, y, ...)``: every derivative here is a simple function of the
output, which the next layer mostly keeps anyway. What is not piecewise linear has a
``NAME_rbackward(rdx, rdy, dy, rx, y, ...)`` too, rdx = f' rdy + f'' rx dy; ry = f' rx is ``NAME_backward`` of rx.
Masks are taken of `.real`, so that the complex step goes through. NaN comes out as NaN, in every map.
"""

import numpy as np

from npgan.backend.base import Array


def relu(y: Array, x: Array) -> None:
    """y = x where x > 0, else 0."""
    y[...] = np.where(x.real <= 0, 0, x)


def relu_backward(dx: Array, dy: Array, y: Array) -> None:
    """dx = dy where y > 0, else 0 dy (so at the kink too)."""
    leaky_relu_backward(dx, dy, y, 0.0)


def leaky_relu(y: Array, x: Array, slope: float) -> None:
    """y = x where x > 0, else slope x."""
    y[...] = np.where(x.real > 0, x, slope * x)


def leaky_relu_backward(dx: Array, dy: Array, y: Array, slope: float) -> None:
    """dx = dy where y > 0, else slope dy; y > 0 where x > 0, as slope >= 0. At the kink, slope."""
    dx[...] = dy * np.where(y.real > 0, 1, np.where(y.real <= 0, slope, y))


def elu(y: Array, x: Array, alpha: float) -> None:
    """y = x where x > 0, else alpha (e^x - 1)."""
    positive = x.real > 0
    y[...] = np.where(positive, x, alpha * np.expm1(np.where(positive, 0, x)))


def elu_backward(dx: Array, dy: Array, y: Array, alpha: float) -> None:
    """dx = dy where y > 0, else alpha e^x dy = (y + alpha) dy. At x = 0, alpha."""
    dx[...] = dy * np.where(y.real > 0, 1, y + alpha)


def elu_rbackward(rdx: Array, rdy: Array, dy: Array, rx: Array, y: Array, alpha: float) -> None:
    """rdx = rdy where y > 0, else (y + alpha)(rdy + rx dy). At x = 0, the latter."""
    first = np.where(y.real > 0, 1, y + alpha)
    second = np.where(y.real > 0, 0, y + alpha)
    rdx[...] = first * rdy + second * rx * dy


def tanh(y: Array, x: Array) -> None:
    """y = tanh x."""
    y[...] = np.tanh(x)


def tanh_backward(dx: Array, dy: Array, y: Array) -> None:
    """dx = (1 - y^2) dy, as (1 - y)(1 + y), which does not cancel where y is near 1."""
    dx[...] = dy * ((1 - y) * (1 + y))


def tanh_rbackward(rdx: Array, rdy: Array, dy: Array, rx: Array, y: Array) -> None:
    """rdx = (1 - y^2)(rdy - 2 y rx dy)."""
    rdx[...] = (1 - y) * (1 + y) * (rdy - 2 * y * rx * dy)


def sigmoid(y: Array, x: Array) -> None:
    """y = 1 / (1 + e^-x), by the exponential that is at most 1."""
    positive = x.real > 0
    e = np.exp(np.where(positive, -x, x))
    y[...] = np.where(positive, 1, e) / (1 + e)


def sigmoid_backward(dx: Array, dy: Array, y: Array) -> None:
    """dx = y (1 - y) dy."""
    dx[...] = dy * (y * (1 - y))


def sigmoid_rbackward(rdx: Array, rdy: Array, dy: Array, rx: Array, y: Array) -> None:
    """rdx = y (1 - y)(rdy + (1 - 2 y) rx dy)."""
    rdx[...] = y * (1 - y) * (rdy + (1 - 2 * y) * rx * dy)


def softplus(y: Array, x: Array) -> None:
    """y = ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)."""
    positive = x.real > 0
    y[...] = np.where(positive, x, 0) + np.log1p(np.exp(np.where(positive, -x, x)))


def softplus_backward(dx: Array, dy: Array, y: Array) -> None:
    """dx = sigmoid(x) dy = (1 - e^-y) dy, accurate in both tails."""
    dx[...] = dy * -np.expm1(-y)


def softplus_rbackward(rdx: Array, rdy: Array, dy: Array, rx: Array, y: Array) -> None:
    """rdx = (1 - e^-y)(rdy + e^-y rx dy)."""
    rdx[...] = -np.expm1(-y) * (rdy + np.exp(-y) * rx * dy)
