"""Convolution of images and its transpose, and the sizes of sliding windows."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.errors import ConfigError, ShapeError
from npgan.kernels import Kernels
from npgan.kernels.after import NOTHING, After
from npgan.layers.base import Frame, Initializer, Plan, Spec
from npgan.layers.bilinear import Bilinear
from npgan.layers.initializers import Xavier, check_initializer, check_size

Pair: TypeAlias = tuple[int, int]
Pads: TypeAlias = tuple[Pair, Pair]
Padding: TypeAlias = int | Pair | Pads | Literal["same", "valid"]


class _Convolution(Bilinear):
    """What a convolution and its transpose share: settings, a bias, and the geometry of the one convolution."""

    def __init__(
        self,
        channels: int,
        kernel: int | Pair,
        *,
        stride: int | Pair = 1,
        padding: Padding = 0,
        dilation: int | Pair = 1,
        bias: bool = True,
        init: Initializer | None = None,
    ) -> None:
        self.channels = check_size(channels, "channels")
        self.kernel = check_pair(kernel, "kernel")
        self.stride = check_pair(stride, "stride")
        self.padding = check_padding(padding)
        self.dilation = check_pair(dilation, "dilation")
        self.bias = bias
        self.init = check_initializer(init or Xavier())

    def _reach(self) -> Pair:
        """Return the rows and columns from the first to the last tap."""
        kernel, dilation = self.kernel, self.dilation
        return dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1

    def _geometry(self, x: Shape) -> tuple[Pair, Pads, Pair]:
        """Return stride, padding and dilation of the convolution of images of shape x."""
        return self.stride, resolve_padding(self.padding, x, self._reach(), self.stride), self.dilation


class Conv2d(_Convolution):
    """y = x ⋆ w + b, x (N, H, W, I), w (KH, KW, I, O), b (O,) -> y (N, OH, OW, O).

    Cross-correlation: y[n, p, q] = Σᵢⱼ x[n, s p + d i - top, s q + d j - left] w[i, j] + b, x zero outside, and
    OH = ⌊(H + top + bottom - d (KH - 1) - 1) / s⌋ + 1. It is linear in x and in w, so dx is its adjoint in x (the
    transposed convolution of dy), dw[i, j] = Σₙₚᵩ x[n, s p + d i - top, s q + d j - left]ᵀ dy[n, p, q], and db the
    sum of dy over all pixels.

    Parameters
    ----------
    channels : int
        O, the channels that come out.
    kernel, stride, dilation : int or (int, int)
        Rows and columns; one number is both.
    padding : int, (h, w), ((top, bottom), (left, right)), "same" or "valid"
        Zeros around x. ``"same"`` gives ⌈H / s⌉ rows, with an odd zero at the bottom and the right, as TensorFlow
        does; ``"valid"`` is 0.
    bias : bool
        Add b.
    init : initializer
        Of w; b begins at 0.
    """

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        n, h, w, channels = check_images(x)
        geometry = self._geometry(x.shape)
        y = (n, *window_counts((h, w), self._reach(), self.stride, geometry[1]), self.channels)
        weight = (*self.kernel, channels, self.channels)
        shapes = (x.shape, weight, y, *geometry)
        return self._plan(k, x.shape, y, weight, k.conv.workspace(*shapes), k.conv.measured(*shapes, of_x=False))

    def _product(self, f: Frame, y: Array, x: Array, w: Array, after: After = NOTHING) -> None:
        f.k.conv.forward(y, f.scratch["product"], x, w, *self._geometry(x.shape), after)

    def _adjoint_x(self, f: Frame, dx: Array, dy: Array, w: Array) -> None:
        f.k.conv.backward_input(dx, f.scratch["product"], dy, w, *self._geometry(dx.shape))

    def _adjoint_w(self, f: Frame, dw: Array, dy: Array, x: Array, accumulate: bool) -> None:
        f.k.conv.backward_weight(dw, f.scratch["product"], dy, x, *self._geometry(x.shape), accumulate)

    def _adjoints(self, f: Frame, dx: Array, dw: Array, dy: Array, x: Array, w: Array, accumulate: bool) -> None:
        f.k.conv.backward(dx, dw, f.scratch["product"], dy, x, w, *self._geometry(x.shape), accumulate)


class ConvTranspose2d(_Convolution):
    """The data gradient of a convolution, x (N, H, W, I), w (KH, KW, O, I), b (O,) -> y (N, OH, OW, O).

    With C_w the convolution of (N, OH, OW, O) to (N, H, W, I) by w, as `Conv2d` has it:  y = C_wᵀ x + b. From
    dL = <dy, C_wᵀ dx_> = <C_w dy, dx_>:  dx = C_w dy, and as <dy, C_wᵀ x> = <C_w dy, x>, dw is the weight gradient
    of C_w with dy as its input and x as the gradient of its output. The weight has C_w's layout, so the two layers
    can share one; the fans of `init` are C_w's.

    OH = (H - 1) s - top - bottom + d (KH - 1) + 1 + output_padding, as in PyTorch: the size that C_w maps back to H.

    Parameters
    ----------
    channels : int
        O, the channels that come out.
    kernel, stride, dilation : int or (int, int)
        Rows and columns; one number is both.
    padding : int, (h, w), ((top, bottom), (left, right)), "same" or "valid"
        Of C_w, so it is cut off y. ``"same"`` gives OH = H s, as TensorFlow and Keras do; ``"valid"`` is 0.
    output_padding : int or (int, int)
        Rows and columns more at the bottom and the right, since with a stride C_w maps several sizes to one; less
        than the stride or the dilation.
    bias : bool
        Add b.
    init : initializer
        Of w; b begins at 0.
    """

    def __init__(
        self,
        channels: int,
        kernel: int | Pair,
        *,
        stride: int | Pair = 1,
        padding: Padding = 0,
        output_padding: int | Pair = 0,
        dilation: int | Pair = 1,
        bias: bool = True,
        init: Initializer | None = None,
    ) -> None:
        super().__init__(channels, kernel, stride=stride, padding=padding, dilation=dilation, bias=bias, init=init)
        self.output_padding = check_pair(output_padding, "output_padding", least=0)
        if any(o >= max(s, d) for o, s, d in zip(self.output_padding, self.stride, self.dilation, strict=True)):
            raise ConfigError(
                f"output_padding is {self.output_padding}, expected less than the stride {self.stride} or the "
                f"dilation {self.dilation}"
            )
        if self.padding == "same" and any(self.output_padding):
            raise ConfigError(
                f'output_padding is {self.output_padding} with padding "same", which fixes the output at stride '
                "times the input; leave it out"
            )

    def _output(self, h: int, w: int) -> Pair:
        if self.padding == "same":
            return h * self.stride[0], w * self.stride[1]
        (oh, ow) = (
            (size - 1) * stride - sum(pads) + reach + more
            for size, stride, pads, reach, more in zip(
                (h, w), self.stride, self.padding, self._reach(), self.output_padding, strict=True
            )
        )
        if oh < 1 or ow < 1:
            raise ShapeError(
                f"x of {h}×{w} pixels would give {oh}×{ow}: padding {self.padding} cuts off all that a kernel "
                f"reaching {self._reach()} at stride {self.stride} makes; take less"
            )
        return oh, ow

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        n, h, w, channels = check_images(x)
        y = (n, *self._output(h, w), self.channels)
        weight = (*self.kernel, self.channels, channels)
        shapes = (y, weight, x.shape, *self._geometry(y))
        return self._plan(k, x.shape, y, weight, k.conv.workspace(*shapes), k.conv.measured(*shapes, of_x=True))

    def _product(self, f: Frame, y: Array, x: Array, w: Array, after: After = NOTHING) -> None:
        f.k.conv.backward_input(y, f.scratch["product"], x, w, *self._geometry(y.shape), after)

    def _adjoint_x(self, f: Frame, dx: Array, dy: Array, w: Array) -> None:
        f.k.conv.forward(dx, f.scratch["product"], dy, w, *self._geometry(dy.shape))

    def _adjoint_w(self, f: Frame, dw: Array, dy: Array, x: Array, accumulate: bool) -> None:
        f.k.conv.backward_weight(dw, f.scratch["product"], x, dy, *self._geometry(dy.shape), accumulate)


def check_images(x: Spec) -> tuple[int, int, int, int]:
    """Return N, H, W, C, or raise ShapeError where x is not a batch of images."""
    if len(x.shape) != 4 or x.dtype != "float":
        raise ShapeError(
            f"x is {x.dtype} {x.shape}, expected real images (N, H, W, C), channels last; Reshape makes them of vectors"
        )
    n, h, w, c = x.shape
    return n, h, w, c


def check_pair(value: Any, what: str, least: int = 1) -> Pair:
    """Return rows and columns, or raise ConfigError; one number is both."""
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= least for n in pair)
    if len(pair) != 2 or not whole:
        raise ConfigError(f"{what} is {value!r}, expected a whole number from {least}, or two: (rows, columns)")
    return int(pair[0]), int(pair[1])


def check_padding(padding: Any) -> Pads | Literal["same"]:
    """Return ((top, bottom), (left, right)) or "same", or raise ConfigError."""
    if isinstance(padding, str) and padding in ("same", "valid"):
        return "same" if padding == "same" else ((0, 0), (0, 0))
    try:
        if isinstance(padding, tuple | list) and any(isinstance(side, tuple | list) for side in padding):
            rows, columns = (check_pair(tuple(side), "padding", least=0) for side in padding)
        else:
            rows, columns = ((n, n) for n in check_pair(padding, "padding", least=0))
    except (ConfigError, TypeError, ValueError):
        raise ConfigError(
            f'padding is {padding!r}, expected a whole number from 0, (h, w), ((top, bottom), (left, right)), "same" '
            'or "valid"'
        ) from None
    return rows, columns


def resolve_padding(padding: Pads | Literal["same"], x: Shape, reach: Pair, stride: Pair) -> Pads:
    """Return the padding of images x (N, H, W, C); "same" gives ⌈size / stride⌉ windows, an odd zero at the end."""
    if padding != "same":
        return padding

    def both(size: int, r: int, s: int) -> Pair:
        total = max((-(-size // s) - 1) * s + r - size, 0)
        return total // 2, total - total // 2

    return both(x[1], reach[0], stride[0]), both(x[2], reach[1], stride[1])


def window_counts(size: Pair, reach: Pair, stride: Pair, padding: Pads) -> Pair:
    """Return how many windows fit along both axes; raise ShapeError where none does."""
    padded = size[0] + sum(padding[0]), size[1] + sum(padding[1])
    if padded[0] < reach[0] or padded[1] < reach[1]:
        raise ShapeError(
            f"x of {size[0]}×{size[1]} pixels is {padded[0]}×{padded[1]} with its padding {padding}, expected at least "
            f"{reach[0]}×{reach[1]}, what the kernel reaches; take a smaller kernel or more padding"
        )
    return (padded[0] - reach[0]) // stride[0] + 1, (padded[1] - reach[1]) // stride[1] + 1
