"""Products with a penalty's Hessian: third derivatives of the critic, exact to rounding.

∂P/∂θ is made by R-maps, so its derivative would need the R-operator of those. Instead the reference kernels, which are
complex-analytic, make ∂P/∂θ at θ + ihu and x̂ + ihw: with h = 1e-20 the imaginary part is h times the derivative
along (u, w), and nothing is subtracted (Squire and Trapp 1998, "Using complex variables to estimate derivatives of real
functions"). The two-pass product of the penalty alone would drop the terms in which v = ∂P/∂g moves.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConfigError, ShapeError
from npgan.network import Network
from npgan.penalties.base import GradientPenalty, Penalized

_H = 1e-20


class Curvature:
    """The second derivatives of a penalty, as something to multiply with.

    Parameters
    ----------
    penalty : GradientPenalty
    critic : Network
        D. A twin in complex128 on the reference backend is made here, once: meant for studies, not for training. Its
        weights are read at every product.
    batch : int
    """

    def __init__(self, penalty: GradientPenalty, critic: Network, batch: int) -> None:
        self.critic, self.batch = critic, batch
        self._twin = critic.clone(backend="reference", dtype="complex128")
        self._penalized = Penalized(penalty, self._twin, batch)

    def product(
        self,
        x: Array,
        *,
        utheta: Array | None = None,
        ux: Array | None = None,
        condition: Array | None = None,
        step: int = 0,
    ) -> tuple[Array, Array]:
        """Return the derivatives of ∂P/∂θ and of ∂P/∂x̂ along a direction of the weights and of the points.

        Parameters
        ----------
        x : array (N, *input_shape)
            The points x̂, where the penalty takes the gradient.
        utheta : array (P,), optional
            Direction of the weights; with it alone the first result is the Hessian of P times `utheta`.
        ux : array (N, *input_shape), optional
            Direction of the points, which move when G does.
        condition : array (N, *condition_shape), optional
        step : int
            Dropout's masks are a function of it.

        Returns
        -------
        float64 array (P,), float64 array (N, *input_shape)

        Raises
        ------
        ConfigError
            No direction.
        ShapeError
            A direction does not fit.
        """
        if utheta is None and ux is None:
            raise ConfigError("penalty_product needs a direction: give utheta or ux")
        host = self.critic.backend.to_host
        theta, points = host(self.critic.theta).astype(np.complex128), host(x).astype(np.complex128)
        for what, given, array in (("utheta", utheta, theta), ("ux", ux, points)):
            if given is not None:
                if given.shape != array.shape:
                    raise ShapeError(f"{what} is {given.shape}, expected {array.shape}; no broadcasting here")
                array += 1j * _H * host(given)
        self._twin.load(theta)
        by_theta, by_x = np.zeros_like(theta), np.zeros_like(points)
        labels: Any = None if condition is None else host(condition)
        if labels is not None and labels.dtype.kind == "f":
            labels = labels.astype(np.complex128)
        self._penalized.at(points, by_theta, labels, dx=by_x, step=step)
        return by_theta.imag / _H, by_x.imag / _H


def penalty_product(
    penalty: GradientPenalty,
    critic: Network,
    x: Array,
    *,
    utheta: Array | None = None,
    ux: Array | None = None,
    condition: Array | None = None,
) -> Array:
    """Return the derivative of ∂P/∂θ (P,) along a direction: one product of `Curvature`, which describes the rest."""
    return Curvature(penalty, critic, len(x)).product(x, utheta=utheta, ux=ux, condition=condition)[0]
