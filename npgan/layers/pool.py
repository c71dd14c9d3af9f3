"""Pooling: averages and maxima of windows, or of whole images."""

from __future__ import annotations

from npgan.backend.base import Array, Shape
from npgan.errors import ConfigError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Plan, Spec
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
from npgan.layers.linear import LinearMap


class _Pool(LinearMap):
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
    adjoint: dx = Σ dy / (KH KW) over the windows that a pixel is in. ry is the average of rx, rdx = Σ rdy / (KH KW).

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

    def _apply(self, f: Frame, y: Array, x: Array) -> None:
        f.k.pool.average(y, x, *self._geometry(x.shape))

    def _adjoint(self, f: Frame, dx: Array, dy: Array) -> None:
        f.k.pool.average_backward(dx, dy, *self._geometry(dx.shape))


class MaxPool2d(_Pool):
    """y = the largest of each window, x (N, H, W, C) -> y (N, OH, OW, C); sizes as for `Conv2d`.

    The padding takes no part, as if it were -∞. All of dy goes to the pixel that won, the first of equals: there
    the function has a kink, and that is one of its subgradients. NaN wins over every number, so it stays visible.

    y = A x with A of zeros and ones, which holds as long as the winners stay: away from ties the second derivative is
    zero, ry is the winner's rx, and rdy goes to the winner. At a tie the R-maps keep the winner of `forward`, the
    first of equals, whichever way x moves: they are the derivatives of the map that `backward` took, so that
    <dy, ry> = <dx, rx> there too, but y then changes by the largest rx of those that tie.

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

    def _apply(self, f: Frame, y: Array, x: Array) -> None:
        f.k.pool.maximum_rforward(y, x, f.saved["argmax"])

    def _adjoint(self, f: Frame, dx: Array, dy: Array) -> None:
        f.k.pool.maximum_backward(dx, dy, f.saved["argmax"], *self._geometry(dx.shape))


class _GlobalPool(LinearMap):
    """One window of the whole image."""

    def _geometry(self, x: Shape) -> tuple[Pair, Pair, Pads]:
        return (x[1], x[2]), (1, 1), ((0, 0), (0, 0))


class GlobalAvgPool2d(_GlobalPool):
    """y = the average of each channel, x (N, H, W, C) -> y (N, C);  dx = dy / (H W).

    Linear: ry is the average of rx, rdx = rdy / (H W).
    """

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        n, _, _, channels = check_images(x)
        return Plan(y=Spec((n, channels)))

    def _apply(self, f: Frame, y: Array, x: Array) -> None:
        f.k.pool.average(_pixel(y), x, *self._geometry(x.shape))

    def _adjoint(self, f: Frame, dx: Array, dy: Array) -> None:
        f.k.pool.average_backward(dx, _pixel(dy), *self._geometry(dx.shape))


class GlobalMaxPool2d(_GlobalPool):
    """y = the largest of each channel, x (N, H, W, C) -> y (N, C); dy goes to it, as in `MaxPool2d`.

    The R-maps, and what they do at a tie, are those of `MaxPool2d` too.
    """

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        n, _, _, channels = check_images(x)
        return Plan(y=Spec((n, channels)), saved={"argmax": Spec((n, 1, 1, channels), "int32")})

    def forward(self, f: Frame) -> None:  # noqa: D102
        f.k.pool.maximum(_pixel(f.y), f.saved["argmax"], f.x, *self._geometry(f.x.shape))

    def _apply(self, f: Frame, y: Array, x: Array) -> None:
        f.k.pool.maximum_rforward(_pixel(y), x, f.saved["argmax"])

    def _adjoint(self, f: Frame, dx: Array, dy: Array) -> None:
        f.k.pool.maximum_backward(dx, _pixel(dy), f.saved["argmax"], *self._geometry(dx.shape))


def _pixel(y: Array) -> Array:
    """Return y (N, C) as images of one pixel."""
    return y.reshape(y.shape[0], 1, 1, y.shape[1])
