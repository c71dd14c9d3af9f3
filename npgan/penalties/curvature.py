"""Products with a penalty's Hessian: third derivatives of the critic, exact to rounding.

∂P/∂θ is made by R-maps, so its derivative would need the R-operator of those. Instead the reference kernels, which are
complex-analytic, make ∂P/∂θ at θ + ihu and x̂ + ihw: with h = 1e-20 the imaginary part is h times the derivative
along (u, w), and nothing is subtracted (Squire and Trapp 1998, "Using complex variables to estimate derivatives of real
functions"). The two-pass product of the penalty alone would drop the terms in which v = ∂P/∂g moves.
"""

from __future__ import annotations

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConfigError, ShapeError
from npgan.network import Network
from npgan.penalties.base import GradientPenalty, Penalized

_H = 1e-20


def penalty_product(
    penalty: GradientPenalty,
    critic: Network,
    x: Array,
    *,
    utheta: Array | None = None,
    ux: Array | None = None,
    condition: Array | None = None,
) -> Array:
    """Return the derivative of ∂P/∂θ along a direction of the weights and of the points.

    Parameters
    ----------
    penalty : GradientPenalty
    critic : Network
        D. Copied in complex128 on the reference backend: meant for studies, not for training.
    x : array (N, *input_shape)
        The points x̂, where the penalty takes the gradient.
    utheta : array (P,), optional
        Direction of the weights; with it alone the result is the Hessian of P times `utheta`.
    ux : array (N, *input_shape), optional
        Direction of the points, which move when G does.
    condition : array (N, *condition_shape), optional

    Returns
    -------
    float64 array (P,)

    Raises
    ------
    ConfigError
        No direction.
    ShapeError
        A direction does not fit.
    """
    if utheta is None and ux is None:
        raise ConfigError("penalty_product needs a direction: give utheta or ux")
    host = critic.backend.to_host
    theta, points = host(critic.theta).astype(np.complex128), host(x).astype(np.complex128)
    for what, given, array in (("utheta", utheta, theta), ("ux", ux, points)):
        if given is not None:
            if given.shape != array.shape:
                raise ShapeError(f"{what} is {given.shape}, expected {array.shape}; no broadcasting here")
            array += 1j * _H * host(given)
    twin = critic.clone(backend="reference", dtype="complex128")
    twin.load(theta)
    product = np.zeros(twin.size, np.complex128)
    labels = None if condition is None else host(condition)
    if labels is not None and labels.dtype.kind == "f":
        labels = labels.astype(np.complex128)
    Penalized(penalty, twin, len(points)).at(points, product, labels)
    return product.imag / _H
