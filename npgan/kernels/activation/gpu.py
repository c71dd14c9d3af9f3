"""Element-wise functions, in CUDA. See the reference for what they are."""

from npgan.backend.base import Array
from npgan.backend.cuda import blocks, kernel, launch


def relu(y: Array, x: Array) -> None:
    """y = x where x > 0, else 0."""
    _run("relu", 0.0, y, x)


def relu_backward(dx: Array, dy: Array, y: Array) -> None:
    """dx = dy where y > 0, else 0 dy (so at the kink too)."""
    _run("leaky_relu_backward", 0.0, dx, dy, y)


def leaky_relu(y: Array, x: Array, slope: float) -> None:
    """y = x where x > 0, else slope x."""
    _run("leaky_relu", slope, y, x)


def leaky_relu_backward(dx: Array, dy: Array, y: Array, slope: float) -> None:
    """dx = dy where y > 0, else slope dy. At the kink, slope."""
    _run("leaky_relu_backward", slope, dx, dy, y)


def elu(y: Array, x: Array, alpha: float) -> None:
    """y = x where x > 0, else alpha (e^x - 1)."""
    _run("elu", alpha, y, x)


def elu_backward(dx: Array, dy: Array, y: Array, alpha: float) -> None:
    """dx = dy where y > 0, else (y + alpha) dy."""
    _run("elu_backward", alpha, dx, dy, y)


def elu_rbackward(rdx: Array, rdy: Array, dy: Array, rx: Array, y: Array, alpha: float) -> None:
    """rdx = rdy where y > 0, else (y + alpha)(rdy + rx dy)."""
    _run("elu_rbackward", alpha, rdx, rdy, dy, rx, y)


def tanh(y: Array, x: Array) -> None:
    """y = tanh x."""
    _run("tanh_forward", 0.0, y, x)


def tanh_backward(dx: Array, dy: Array, y: Array) -> None:
    """dx = (1 - y)(1 + y) dy."""
    _run("tanh_backward", 0.0, dx, dy, y)


def tanh_rbackward(rdx: Array, rdy: Array, dy: Array, rx: Array, y: Array) -> None:
    """rdx = (1 - y^2)(rdy - 2 y rx dy)."""
    _run("tanh_rbackward", 0.0, rdx, rdy, dy, rx, y)


def sigmoid(y: Array, x: Array) -> None:
    """y = 1 / (1 + e^-x)."""
    _run("sigmoid", 0.0, y, x)


def sigmoid_backward(dx: Array, dy: Array, y: Array) -> None:
    """dx = y (1 - y) dy."""
    _run("sigmoid_backward", 0.0, dx, dy, y)


def sigmoid_rbackward(rdx: Array, rdy: Array, dy: Array, rx: Array, y: Array) -> None:
    """rdx = y (1 - y)(rdy + (1 - 2 y) rx dy)."""
    _run("sigmoid_rbackward", 0.0, rdx, rdy, dy, rx, y)


def softplus(y: Array, x: Array) -> None:
    """y = ln(1 + e^x)."""
    _run("softplus", 0.0, y, x)


def softplus_backward(dx: Array, dy: Array, y: Array) -> None:
    """dx = (1 - e^-y) dy."""
    _run("softplus_backward", 0.0, dx, dy, y)


def softplus_rbackward(rdx: Array, rdy: Array, dy: Array, rx: Array, y: Array) -> None:
    """rdx = (1 - e^-y)(rdy + e^-y rx dy)."""
    _run("softplus_rbackward", 0.0, rdx, rdy, dy, rx, y)


def _run(name: str, option: float, out: Array, *arrays: Array) -> None:
    launch(kernel("activation", name, out.dtype), blocks(out.size), 256, out, *arrays, option, out.size)
