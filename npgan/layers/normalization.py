"""Batch, layer and instance normalisation: one operation on three views of x.

y = x̂ gain + bias, x̂ = (x - mean) / √(var + eps). With g = dy gain and averages over what the statistics are taken
over, dx = (g - avg(g) - x̂ avg(g x̂)) / √(var + eps), dgain = Σ dy x̂, dbias = Σ dy; the kernel's reference derives it.
Only the mean and 1 / √(var + eps) are kept beside x; x̂ is computed again.

With s = 1 / √(var + eps) and P(v) = v - avg(v) - x̂ avg(x̂ v), dx = s P(g), and along a direction x̂ moves by s P(rx)
and s by -s² avg(x̂ rx). The R-maps follow by the product rule (Pearlmutter 1994); the reference has every step:

    rx̂ = s P(rx)        ry = rx̂ gain + x̂ rgain + rbias        rg = rdy gain + dy rgain
    rdx = s (rg - avg(rg) - rx̂ avg(x̂ g) - x̂ avg(x̂ rg + rx̂ g) - s avg(x̂ rx) P(g))
    rdgain = Σ (rdy x̂ + dy rx̂)        rdbias = Σ rdy
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

from npgan.backend.base import Array, Shape
from npgan.errors import ConfigError, ShapeError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Initializer, Layer, Parameter, Plan, Spec, State
from npgan.layers.initializers import Ones, Zeros, check_initializer


class Normalization(Layer):
    """What the three share; a subclass says which view of x they are taken of."""

    second_order = True

    def __init__(self, eps: float, affine: bool, gain_init: Initializer | None) -> None:
        self.eps = _number(eps, "eps", 0.0, math.inf)
        self.affine = affine
        self.gain_init = check_initializer(gain_init or Ones())

    @abstractmethod
    def _view(self, shape: Shape) -> Shape:
        """Return (G, R, C): statistics over R for each of G groups and C channels."""

    @abstractmethod
    def _weights(self, shape: Shape) -> Shape:
        """Return the shape of gain and bias."""

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        if x.dtype != "float":
            raise ShapeError(f"x is {x.dtype} {x.shape}, expected real numbers")
        g, _, c = view = self._view(x.shape)
        weights: dict[str, Initializer] = {"gain": self.gain_init, "bias": Zeros()} if self.affine else {}
        return Plan(
            y=x,
            parameters={name: Parameter(self._weights(x.shape), init) for name, init in weights.items()},
            keeps={"x"},
            saved={"mean": Spec((g, c)), "inv_std": Spec((g, c))},
            scratch={"sums": Spec((k.normalization.workspace(view),), "float64")},
            rscratch={"rsums": Spec((k.normalization.rworkspace(view),), "float64")},
        )

    def forward(self, f: Frame) -> None:  # noqa: D102
        view = self._view(f.x.shape)
        x, inv_std = f.x.reshape(view), f.saved["inv_std"]
        self._statistics(f, x, f.saved["mean"], inv_std)  # the variance is made where inv_std will lie
        f.k.normalization.settle(inv_std, f.saved["mean"], self.eps, *self._running(f, x.shape[1]))
        gain, bias = self._affine(f.w)
        y, mean = f.y.reshape(view), f.saved["mean"]
        f.k.normalization.normalize(y, f.scratch["sums"], x, mean, inv_std, gain, bias, f.slope)

    def backward(self, f: Frame) -> None:  # noqa: D102
        view = self._view(f.x.shape)
        gain, bias = self._affine(f.w)
        f.k.normalization.backward(
            None if f.dx is None else f.dx.reshape(view),
            *self._affine(f.dw),
            f.scratch["sums"],
            f.dy.reshape(view),
            f.x.reshape(view),
            f.saved["mean"],
            f.saved["inv_std"],
            gain,
            self._constant(f),
            f.accumulate,
            bias,
            None if f.unbent else f.slope,
        )

    def rforward(self, f: Frame) -> None:  # noqa: D102
        assert f.rx is not None
        view = self._view(f.x.shape)
        f.k.normalization.rforward(
            f.ry.reshape(view),
            f.scratch["rsums"],
            f.rx.reshape(view),
            f.x.reshape(view),
            f.saved["mean"],
            f.saved["inv_std"],
            self._affine(f.w)[0],
            *self._affine(f.rw),
            self._constant(f),
        )

    def rbackward(self, f: Frame) -> None:  # noqa: D102
        assert f.rx is not None
        assert f.rdy is not None
        view = self._view(f.x.shape)
        f.k.normalization.rbackward(
            None if f.rdx is None else f.rdx.reshape(view),
            *self._affine(f.rdw),
            f.scratch["rsums"],
            f.rdy.reshape(view),
            f.dy.reshape(view),
            f.rx.reshape(view),
            f.x.reshape(view),
            f.saved["mean"],
            f.saved["inv_std"],
            self._affine(f.w)[0],
            self._affine(f.rw)[0],
            self._constant(f),
            f.accumulate,
        )

    def _statistics(self, f: Frame, x: Array, mean: Array, var: Array) -> None:
        """Write mean and var (G, C) of x (G, R, C)."""
        f.k.normalization.statistics(mean, var, f.scratch["sums"], x, f.moments)

    def _running(self, f: Frame, r: int) -> tuple[Any, ...]:
        """Return what the kernel takes to update running statistics, from r values a channel; nothing for none."""
        return ()

    def _constant(self, f: Frame) -> bool:
        """Return whether the statistics do not depend on x."""
        return False

    def _affine(self, w: dict[str, Array] | None) -> tuple[Array | None, Array | None]:
        """Return gain and bias, or their gradients, as (1, C): one for each channel."""
        if not self.affine or w is None:
            return None, None
        return w["gain"].reshape(1, -1), w["bias"].reshape(1, -1)


class BatchNorm(Normalization):
    """Normalise each channel, x (N, ..., C) -> y (N, ..., C), over batch and places (Ioffe and Szegedy 2015).

    In training by the batch's mean and biased variance; where the Pass updates statistics, also
    running += momentum (new - running), with the unbiased variance, as PyTorch does. Otherwise by the running
    statistics, which are constants then: dx = dy gain / √(var + eps), so rdx = (rdy gain + dy rgain) / √(var + eps)
    and ry = (rx gain + (x - mean) rgain) / √(var + eps) + rbias.

    Parameters
    ----------
    momentum : float
        Weight of the new value, 0 to 1.
    eps : float
        Added to the variance, from 0.
    affine : bool
        Multiply by gain (C,) and add bias (C,), which begins at 0.
    gain_init : initializer, optional
        By default 1; DCGAN has ``Normal(0.02, mean=1.0)``.

    Raises
    ------
    ShapeError
        In `forward`: training on one value per channel, whose variance is 0 whatever it is.
    """

    bends = measures = overwrites = True
    unbends = 1

    def __init__(
        self, momentum: float = 0.1, eps: float = 1e-5, *, affine: bool = True, gain_init: Initializer | None = None
    ) -> None:
        self.momentum = _number(momentum, "momentum", 0.0, 1.0)
        super().__init__(eps, affine, gain_init)

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        if len(x.shape) < 2:
            raise ShapeError(f"x is {x.shape}, expected channels on the last axis: (N, ..., C)")
        plan = super().plan(x, k)
        channels = x.shape[-1:]
        return Plan(
            plan.y,
            plan.parameters,
            {"running_mean": State(channels, 0.0), "running_var": State(channels, 1.0)},
            plan.keeps,
            plan.saved,
            plan.scratch,
            plan.rscratch,
        )

    def _view(self, shape: Shape) -> Shape:
        return 1, _size(shape[:-1]), shape[-1]

    def _weights(self, shape: Shape) -> Shape:
        return shape[-1:]

    def _constant(self, f: Frame) -> bool:
        return not f.train

    def _statistics(self, f: Frame, x: Array, mean: Array, var: Array) -> None:
        if not f.train:
            # Copied: another Pass may update them before this one's backward.
            f.k.arrays.copy(mean[0], f.state["running_mean"])
            f.k.arrays.copy(var[0], f.state["running_var"])
            return
        r = x.shape[1]
        if r == 1:
            raise ShapeError(
                f"x is {f.x.shape}, one value per channel, and its variance says nothing; "
                "train on a larger batch, or run a Pass with train=False"
            )
        super()._statistics(f, x, mean, var)

    def _running(self, f: Frame, r: int) -> tuple[Any, ...]:
        if not (f.train and f.update_stats):
            return ()
        return f.state["running_mean"], f.state["running_var"], self.momentum, r / (r - 1)


class InstanceNorm(Normalization):
    """Normalise each channel of each sample over its places, x (N, ..., C) (Ulyanov, Vedaldi and Lempitsky 2016).

    The same in training and out of it. The defaults are PyTorch's.

    Parameters
    ----------
    eps : float
        Added to the variance, from 0.
    affine : bool
        Multiply by gain (C,) and add bias (C,), which begins at 0.
    gain_init : initializer, optional
        By default 1.
    """

    bends = measures = overwrites = True
    unbends = 1

    def __init__(self, eps: float = 1e-5, *, affine: bool = False, gain_init: Initializer | None = None) -> None:
        super().__init__(eps, affine, gain_init)

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        if _size(x.shape[1:-1]) < 2:
            raise ShapeError(f"x is {x.shape}, expected two places or more to take a variance over: (N, ..., C)")
        return super().plan(x, k)

    def _view(self, shape: Shape) -> Shape:
        return shape[0], _size(shape[1:-1]), shape[-1]

    def _weights(self, shape: Shape) -> Shape:
        return shape[-1:]


class LayerNorm(Normalization):
    """Normalise each sample over its last axes (Ba, Kiros and Hinton 2016); the same in training and out of it.

    Parameters
    ----------
    axes : int, optional
        How many of the last axes; by default all but the batch.
    eps : float
        Added to the variance, from 0.
    affine : bool
        Multiply by gain and add bias, which begins at 0, both of the shape of those axes, as in PyTorch.
    gain_init : initializer, optional
        By default 1.
    """

    bends = True

    def __init__(
        self,
        axes: int | None = None,
        eps: float = 1e-5,
        *,
        affine: bool = True,
        gain_init: Initializer | None = None,
    ) -> None:
        if axes is not None and (isinstance(axes, bool) or not isinstance(axes, int) or axes < 1):
            raise ConfigError(f"axes is {axes!r}, expected how many of the last axes, from 1, or None for all")
        self.axes = axes
        super().__init__(eps, affine, gain_init)

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        if len(x.shape) - 1 < (self.axes or 1):
            raise ShapeError(f"x is {x.shape}, expected a batch and {self.axes or 'some'} axes to normalise over")
        return super().plan(x, k)

    def _view(self, shape: Shape) -> Shape:
        axes = self.axes or len(shape) - 1
        return _size(shape[:-axes]), _size(shape[-axes:]), 1

    def _weights(self, shape: Shape) -> Shape:
        return shape[-(self.axes or len(shape) - 1) :]

    def _affine(self, w: dict[str, Array] | None) -> tuple[Array | None, Array | None]:
        gain, bias = super()._affine(w)
        return (gain, bias) if gain is None or bias is None else (gain.reshape(-1, 1), bias.reshape(-1, 1))


def _size(shape: Shape) -> int:
    return math.prod(shape)


def _number(value: Any, what: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high or value == math.inf:
        raise ConfigError(
            f"{what} is {value!r}, expected a number from {low:g}" + (f" to {high:g}" if high < math.inf else "")
        )
    return float(value)
