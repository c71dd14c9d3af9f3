"""The Dirac-GAN: the smallest game that shows what goes wrong, made of real networks.

Mescheder, Geiger and Nowozin (2018), "Which training methods for GANs do actually converge?", section 2: the data are
the point 0, G puts a point at θ and D(x) = ψ x. The one equilibrium is (0, 0), and descent circles around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.game.batch import BatchGame
from npgan.game.game import Game
from npgan.kernels import Kernels
from npgan.layers import Dense, Zeros
from npgan.layers.base import Frame, Layer, Parameter, Plan, Spec
from npgan.losses import get_loss
from npgan.network import Network
from npgan.options import number
from npgan.penalties import GradientPenalty


class Shift(Layer):
    """y = x + b, x (N, C), b (C,) -> y (N, C): dx = dy and db = Σ dy; ry = rx + rb, rdx = rdy and rdb = Σ rdy."""

    second_order = True
    curved = False

    def plan(self, x: Spec, k: Kernels) -> Plan:  # noqa: D102
        return Plan(y=x, parameters={"bias": Parameter(x.shape[-1:], Zeros())})

    def forward(self, f: Frame) -> None:  # noqa: D102
        f.y[...] = f.x + f.w["bias"]

    def backward(self, f: Frame) -> None:  # noqa: D102
        _back(f.dx, f.dw, f.dy, f.accumulate)

    def rforward(self, f: Frame) -> None:  # noqa: D102
        f.ry[...] = f.rx if f.rw is None else f.rx + f.rw["bias"]

    def rbackward(self, f: Frame) -> None:  # noqa: D102
        assert f.rdy is not None
        _back(f.rdx, f.rdw, f.rdy, f.accumulate)


def _back(dx: Array | None, dw: dict[str, Array] | None, dy: Array, accumulate: bool) -> None:
    if dx is not None:
        dx[...] = dy
    if dw is not None:
        dw["bias"][...] = dy.sum(axis=0) + (dw["bias"] if accumulate else 0)


def dirac_gan(
    loss: str = "non-saturating",
    *,
    penalties: Sequence[GradientPenalty] = (),
    noise: float = 0.0,
    theta: Sequence[float] = (0.0, 0.0),
    backend: str = "cpu",
    **options: Any,
) -> BatchGame:
    """Return the Dirac-GAN in float64, with second order.

    Parameters
    ----------
    loss : str
        See `get_loss`, which takes the `options` too. ``"wasserstein"`` makes it the bilinear game.
    penalties : sequence of GradientPenalty
        On D: ``get_penalty("r1", gamma=1.0)``.
    noise : float
        Instance noise (Sønderby et al. 2017) of this deviation, as the two points ±σ around the data's point and G's:
        at (0, 0) they have every moment that counts there.
    theta : (float, float)
        The point: ψ, then G's θ.
    backend : str

    Returns
    -------
    BatchGame
        Of one weight a player.
    """
    sigma = number("noise", noise, least=0)
    G = Network([Shift()], (1,), backend=backend, dtype="float64", name="G")
    D = Network([Dense(1, bias=False, init=Zeros())], (1,), backend=backend, dtype="float64", name="D")
    points = np.array([[-sigma], [sigma]] if sigma else [[0.0]])
    game = Game(G, D, get_loss(loss, backend=backend, **options), len(points), penalties=penalties, order=2)
    on_device = G.backend.asarray(points)
    found = game.on(on_device, on_device)
    found.load(G.backend.asarray(np.array([float(t) for t in theta])))
    return found
