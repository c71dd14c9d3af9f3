"""Pooling: averages and maxima of windows, or of whole images."""

from __future__ import annotations

from npgan.backend.base import Array, Shape
from npgan.errors import ConfigError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Layer, Plan, Spec
from npgan.layers.conv import (
    Padding,
    Pads,
    Pair,
    check_images,
    check_padding,
    check_pair,
    resolve_padding,
    window_counts,
)


class _Pool(Layer):
    """Windows of `kernel` pixels, `stride` apart."""

    def __init__(self, kernel: int | Pair, stride: int | Pair | None = None, padding: Padding = 0) -> None:
        self.kernel = check_pair(kernel, "kernel")
        self.stride = self.kernel if stride is None else check_pair(stride, "stride")
        self.padding = check_padding(padding)
        if self.padding != "same":
            for pads, size in zip(self.padding, self.kernel, strict=True):
                if max(pads) >= size:
                    raise ConfigError(
                        f"padding is {self.padding}, expected less than the kernel {self.kernel} on each side; "
                        "else a window would hold padding alone"
                    )

    def _geometry(self, x: Shape) -> tuple[Pair, Pair, Pads]:
        return self.kernel, self.stride, resolve_padding(self.padding, x, self.kernel, self.stride)

    def _output(self, x: Spec) -> Shape:
        n, h, w, channels = check_images(x)
        return (n, *window_counts((h, w), *self._geometry(x.shape)), channels)


class AvgPool2d(_Pool):
    """y = the average of each window, x (N, H, W, C) -> y (N, OH, OW, C); sizes as for `Conv2d`.

    The zeros of the padding count (PyTorch's ``count_include_pad=True``, its default). Linear, so backward is the
    adjoint: dx = Σ dy / (KH KW) over the windows that a pixel is in.

    Parameters
    ----------
    kernel : int or (int, int)
        Rows and columns of a window.
    stride : int or (int, int), optional
        From window to window; `kernel` by default.
    padding : int, (h, w), ((top, bottom), (left, right)), "same" or "valid"
        As for `Conv2d`; less than `kernel`.
    """

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        return Plan(y=Spec(self._output(x)))

    def forward(self, f: Frame) -> None:  # noqa: D102
        f.k.pool.average(f.y, f.x, *self._geometry(f.x.shape))

    def backward(self, f: Frame) -> None:  # noqa: D102
        if f.dx is not None:
            f.k.pool.average_backward(f.dx, f.dy, *self._geometry(f.dx.shape))


class MaxPool2d(_Pool):
    """y = the largest of each window, x (N, H, W, C) -> y (N, OH, OW, C); sizes as for `Conv2d`.

    The padding takes no part, as if it were -∞. All of dy goes to the pixel that won, the first of equals: there
    the function has a kink, and that is one of its subgradients. NaN wins over every number, so it stays visible.

    Parameters
    ----------
    kernel, stride, padding
        As for `AvgPool2d`.
    """

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        y = self._output(x)
        return Plan(y=Spec(y), saved={"argmax": Spec(y, "int32")})

    def forward(self, f: Frame) -> None:  # noqa: D102
        f.k.pool.maximum(f.y, f.saved["argmax"], f.x, *self._geometry(f.x.shape))

    def backward(self, f: Frame) -> None:  # noqa: D102
        if f.dx is not None:
            f.k.pool.maximum_backward(f.dx, f.dy, f.saved["argmax"], *self._geometry(f.dx.shape))


class _GlobalPool(Layer):
    """One window of the whole image."""

    def _geometry(self, x: Shape) -> tuple[Pair, Pair, Pads]:
        return (x[1], x[2]), (1, 1), ((0, 0), (0, 0))


class GlobalAvgPool2d(_GlobalPool):
    """y = the average of each channel, x (N, H, W, C) -> y (N, C);  dx = dy / (H W)."""

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        n, _, _, channels = check_images(x)
        return Plan(y=Spec((n, channels)))

    def forward(self, f: Frame) -> None:  # noqa: D102
        f.k.pool.average(_pixel(f.y), f.x, *self._geometry(f.x.shape))

    def backward(self, f: Frame) -> None:  # noqa: D102
        if f.dx is not None:
            f.k.pool.average_backward(f.dx, _pixel(f.dy), *self._geometry(f.dx.shape))


class GlobalMaxPool2d(_GlobalPool):
    """y = the largest of each channel, x (N, H, W, C) -> y (N, C); dy goes to it, as in `MaxPool2d`."""

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        n, _, _, channels = check_images(x)
        return Plan(y=Spec((n, channels)), saved={"argmax": Spec((n, 1, 1, channels), "int32")})

    def forward(self, f: Frame) -> None:  # noqa: D102
        f.k.pool.maximum(_pixel(f.y), f.saved["argmax"], f.x, *self._geometry(f.x.shape))

    def backward(self, f: Frame) -> None:  # noqa: D102
        if f.dx is not None:
            f.k.pool.maximum_backward(f.dx, _pixel(f.dy), f.saved["argmax"], *self._geometry(f.dx.shape))


def _pixel(y: Array) -> Array:
    """Return y (N, C) as images of one pixel."""
    return y.reshape(y.shape[0], 1, 1, y.shape[1])
