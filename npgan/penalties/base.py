"""A gradient penalty and its gradient.

At points x̂ᵢ, with S = Σᵢ D(x̂ᵢ) and g = ∂S/∂x̂, sample i is charged for the norm nᵢ = ‖gᵢ‖ of its own gradient:

    P = (weight / N) Σᵢ (nᵢ - target)²        or, one-sided, only where nᵢ > target

P is a function of g, and g is what `backward` gives, a function of D's weights. With v = ∂P/∂g held fixed,

    ∂P/∂θ = ∂<v, g>/∂θ = ∂/∂θ (d/dt S(x̂ + t v; θ)) = R_v[∂S/∂θ],

the R-operator of the weight gradient along the input direction v. So one forward, one backward, one rforward with
rx = v and one rbackward with rdy = 0 give the penalty and its exact gradient, batch statistics and all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

from npgan.backend.base import Array
from npgan.backend.random import Random
from npgan.backend.recording import Step
from npgan.errors import ConfigError
from npgan.kernels import Kernels
from npgan.network import Arena, Network
from npgan.options import find, number, whole
from npgan.penalties.points import POINTS, Draw


@dataclass(frozen=True)
class GradientPenalty:
    """What is charged, and where.

    Parameters
    ----------
    name, paper : str
    points : str
        Where the gradient is taken: a key of `POINTS`.
    weight : float
        At least 0. The factor of the mean; R1's γ / 2.
    target : float
        The norm that costs nothing, at least 0.
    norm : float
        p of the Lp norm over all elements of a sample's gradient, 1 to infinity.
    one_sided : bool
        Charge only norms above the target.
    noise : float
        For ``"perturbed"`` points: the deviation of the noise, in standard deviations of the batch.
    every : int
        Evaluate in every k-th turn of the critic only, times k ("lazy regularization", Karras et al. 2020, StyleGAN2,
        section 3.2). The gradient is added to that of the loss before the optimizer sees it, so Adam's learning rate
        and betas are left as they are; Karras et al. take separate steps and correct them by k / (k + 1).
    """

    name: str
    paper: str
    points: str
    weight: float = 1.0
    target: float = 0.0
    norm: float = 2.0
    one_sided: bool = False
    noise: float = 0.5
    every: int = 1

    def __post_init__(self) -> None:
        find(f"penalty {self.name}: points", POINTS, self.points)
        for option, least in (("weight", 0.0), ("target", 0.0), ("noise", 0.0)):
            object.__setattr__(
                self, option, number(f"penalty {self.name}: {option}", getattr(self, option), least=least)
            )
        object.__setattr__(self, "every", whole(f"penalty {self.name}: every", self.every, least=1))
        if not isinstance(self.one_sided, bool):
            raise ConfigError(f"penalty {self.name}: one_sided is {self.one_sided!r}, expected true or false")
        if isinstance(self.norm, bool) or not isinstance(self.norm, int | float) or not self.norm >= 1.0:
            raise ConfigError(f"penalty {self.name}: norm is {self.norm!r}, expected 1 to infinity")

    def value_and_gradient(self, v: Array, g: Array, kernels: Kernels, scratch: Array) -> Any:
        """Write ∂P/∂g to v (N, ...) for the gradients g (N, ...), and return P.

        Where a norm is 0 its gradient is taken as 0, but the square of it, for p = 2, is smooth there; for p = 1 and
        p = ∞ the signs and the first largest element are taken as fixed.

        Parameters
        ----------
        v : array (N, ...)
            In one piece.
        g : array (N, ...)
        kernels : Kernels
            Of the backend where they live.
        scratch : float64 array (N,)
            Overwritten.
        """
        rows, out = g.reshape(len(g), -1), v.reshape(len(g), -1)
        return kernels.penalty.charge(out, scratch, rows, self.weight, self.target, self.norm, self.one_sided)


class _Room:
    """The arrays that a penalty has beside its Pass's, made when it is first evaluated."""

    def __init__(self, critic: Network, batch: int) -> None:
        shape, empty = (batch, *critic.input_shape), critic.backend.empty
        self.x, self.v = empty(shape, critic.dtype), empty(shape, critic.dtype)
        self.ones = empty((batch, *critic.output_shape), critic.dtype)
        self.ones[...] = 1
        self.scratch = empty((batch,), "float64")
        self.shares = empty((batch,), critic.dtype)
        # rbackward needs dy of every layer with weights; those that see the condition alone are not on the way to x.
        conditional = critic.condition_shape is not None
        self.weights = empty((critic.size,), critic.dtype) if conditional else None


class Penalized:
    """A penalty on a critic at one batch size, with the memory that it takes.

    Parameters
    ----------
    penalty : GradientPenalty
    critic : Network
        D. Every layer needs R-maps.
    batch : int
    arena : Arena, optional
        Shared with the critic's other Passes.

    Raises
    ------
    SecondOrderError
        A layer of the critic has no R-maps.
    """

    def __init__(self, penalty: GradientPenalty, critic: Network, batch: int, arena: Arena | None = None) -> None:
        self.penalty, self.critic = penalty, critic
        self.on_points = critic.new_pass(batch, order=2, keep="once", arena=arena, name=penalty.name)

    @cached_property
    def _room(self) -> _Room:
        return _Room(self.critic, self.on_points.batch)

    @property
    def nbytes(self) -> int:
        """Bytes of the points and directions, beside those of the Pass."""
        return 2 * self.on_points.batch * prod(self.critic.input_shape) * self.critic.dtype.itemsize

    def due(self, turn: Step) -> bool:
        """Return whether the penalty is evaluated in this turn."""
        return int(turn) % self.penalty.every == 0

    def add_gradient(
        self,
        dtheta: Array,
        real: Array,
        fake: Array,
        condition: Array | None,
        random: Random,
        turn: Step,
        *,
        lazy: bool = True,
    ) -> Any:
        """Add ∂P/∂θ to dtheta (P,), and return P; where `lazy`, k ∂P/∂θ for a penalty of every k-th turn."""
        x = self.points(self._room.x, real, fake, random, turn)
        scale = self.penalty.every if lazy else 1.0
        return self.at(x, dtheta, condition, scale=scale, accumulate=True, step=turn)

    def points(self, out: Array, real: Array, fake: Array, random: Random, turn: Step) -> Array:
        """Write the points of this turn to `out` (N, ...) and return it.

        Every place in `POINTS` is linear in the generated samples, and diagonal. So with 0 for the real ones, the
        points of a direction of the generated samples are the direction of the points, and those of a gradient by
        the points are the gradient by the generated samples.
        """
        draw = Draw(random, self.penalty.name, turn, self.critic.backend.kernels, self._room.shares)
        POINTS[self.penalty.points](out, real, fake, self.penalty.noise, draw)
        return out

    def at(
        self,
        x: Array,
        dtheta: Array | None,
        condition: Array | None = None,
        *,
        scale: float = 1.0,
        accumulate: bool = False,
        dx: Array | None = None,
        step: Step = 0,
    ) -> Any:
        """Write (or add) scale ∂P/∂θ at the points x (N, ...) to dtheta (P,), and return P.

        The critic's running statistics stay as they are. Where `dx` (N, ...) is given, scale ∂P/∂x is written to it:
        R_v[∂S/∂x], as the second derivative of S by x is symmetric.
        """
        p, room = self.on_points, self._room
        p.forward(x, condition, step=step, update_stats=False)
        g = p.backward(room.ones, dtheta=room.weights)
        assert g is not None
        v = room.v
        value = self.penalty.value_and_gradient(v, g, self.critic.backend.kernels, room.scratch)
        if scale != 1.0:
            self.critic.backend.kernels.optimizer.scale(v.reshape(-1), scale)
        p.rforward(v)
        rdx = p.rbackward(rdtheta=dtheta, accumulate=accumulate, rdx=dx is not None)
        if dx is not None and rdx is not None:
            self.critic.backend.copy(dx, rdx)
        return value
