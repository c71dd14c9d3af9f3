"""Element-wise activations.

With y = φ(x), dL = <dy, φ'(x) dx_>, so dx = φ'(x) dy. Each φ' here is a simple function of y, so a layer keeps y
and not x: the dense layer or convolution that follows keeps it as its own input anyway, and x's memory is free.

Along a direction rx, ry = φ'(x) rx: `backward`'s kernel, given rx. The product rule on dx = φ'(x) dy gives
rdx = φ'(x) rdy + φ''(x) rx dy, and φ'' is a simple function of y too.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from npgan.errors import ConfigError, ShapeError
from npgan.kernels import Kernels
from npgan.layers.base import Frame, Layer, Plan, Spec


class Activation(Layer):
    """y = φ(x), element by element: a subclass names its kernel and gives the kernel's options."""

    second_order = True
    kernel: ClassVar[str]

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        if x.dtype != "float":
            raise ShapeError(f"x is {x.dtype} {x.shape}, expected real numbers")
        return Plan(y=x, keeps={"y"})

    def forward(self, f: Frame) -> None:  # noqa: D102
        getattr(f.k.activation, self.kernel)(f.y, f.x, *self._options())

    def backward(self, f: Frame) -> None:  # noqa: D102
        if f.dx is not None:
            getattr(f.k.activation, f"{self.kernel}_backward")(f.dx, f.dy, f.y, *self._options())

    def rforward(self, f: Frame) -> None:  # noqa: D102
        getattr(f.k.activation, f"{self.kernel}_backward")(f.ry, f.rx, f.y, *self._options())

    def rbackward(self, f: Frame) -> None:  # noqa: D102
        if f.rdx is not None:
            kernel = getattr(f.k.activation, f"{self.kernel}_rbackward")
            kernel(f.rdx, f.rdy, f.dy, f.rx, f.y, *self._options())

    def _options(self) -> tuple[float, ...]:
        return ()


class PiecewiseLinear(Activation):
    """An activation with φ'' = 0 away from its kinks: rdx = φ'(x) rdy, `backward`'s kernel once more.

    At a kink, φ'' is a Dirac measure. The R-maps take 0 there, and the φ' that `backward` takes: they differentiate
    the branch that it went along, as automatic differentiation does.

    Attributes
    ----------
    slope : float
        φ' where y <= 0; it is 1 where y > 0.
    """

    curved = False
    sparse = True
    slope: float

    def rbackward(self, f: Frame) -> None:  # noqa: D102
        if f.rdx is not None:
            getattr(f.k.activation, f"{self.kernel}_backward")(f.rdx, f.rdy, f.y, *self._options())


class ReLU(PiecewiseLinear):
    """y = max(x, 0) (Nair and Hinton 2010).

    φ' = 1 where y > 0, else 0; at the kink x = 0 it is taken from the left: 0. φ'' = 0, at the kink too.
    """

    kernel = "relu"
    slope = 0.0


class LeakyReLU(PiecewiseLinear):
    """y = x where x > 0, else slope x (Maas, Hannun and Ng 2013).

    φ' = 1 where y > 0, else slope; at the kink x = 0 it is taken from the left: slope. φ'' = 0, at the
    kink too.

    Parameters
    ----------
    slope : float
        From 0: with a negative one, the sign of y would not tell that of x.
    """

    kernel = "leaky_relu"

    def __init__(self, slope: float = 0.2) -> None:
        self.slope = _from_zero(slope, "slope")

    def _options(self) -> tuple[float, ...]:
        return (self.slope,)


class ELU(Activation):
    """y = x where x > 0, else alpha (eˣ - 1) (Clevert, Unterthiner and Hochreiter 2016, equation 15).

    φ' = 1 where y > 0, else alpha eˣ = y + alpha; φ'' = 0 where y > 0, else y + alpha again. At x = 0 both are taken
    from the left: alpha. At alpha = 1 there is no kink, and φ' is continuous; φ'' jumps whatever alpha is.

    Parameters
    ----------
    alpha : float
        From 0; y tends to -alpha for x to -∞.
    """

    kernel = "elu"

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = _from_zero(alpha, "alpha")

    def _options(self) -> tuple[float, ...]:
        return (self.alpha,)


class Tanh(Activation):
    """y = tanh x (a GAN's images lie in (-1, 1): Radford, Metz and Chintala 2016, section 3).

    φ' = 1 - tanh² x = (1 - y)(1 + y), φ'' = -2 y φ'.
    """

    kernel = "tanh"


class Sigmoid(Activation):
    """y = σ(x) = 1 / (1 + e⁻ˣ), computed by e^-|x|, which cannot overflow.

    φ' = σ(x) σ(-x) = y (1 - y), φ'' = (1 - 2 y) φ'. The losses take logits: end a discriminator without it.
    """

    kernel = "sigmoid"


class Softplus(Activation):
    """y = ln(1 + eˣ) = max(x, 0) + ln(1 + e^-|x|) (Dugas et al. 2001, equation 1).

    φ' = σ(x) = 1 - 1 / (1 + eˣ) = 1 - e⁻ʸ, φ'' = σ(x) σ(-x) = e⁻ʸ φ'.
    """

    kernel = "softplus"


def _from_zero(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigError(f"{what} is {value!r}, expected a number from 0")
    return float(value)
