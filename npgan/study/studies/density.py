"""The exact density of what a generator R² -> R² makes, by change of variables, folds included.

With z ~ N(0, 1) in the plane, x = G(z) has the density

    q(x) = Σ over all z with G(z) = x of N(z; 0, 1) / |det J(z)|,    J = ∂G/∂z,

and with s(z) = log N(z) - log|det J(z)| its score is ∇ log q(x) = Σ w J⁻ᵀ ∇s, w each preimage's part of q. A trained G
folds the plane, so that there are several: they are found as the triangles of a fine grid of latents whose images hold
x, and refined by Newton's method. J is made of two R-passes, ∇s of differences of J. A kernel density estimate would
widen every ridge by its bandwidth, and its score, which is what is wanted, is worse still.
"""

from __future__ import annotations

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConfigError, DTypeError
from npgan.network import Network
from npgan.options import number, whole

_CHUNK = 2048  # latents that go through G at a time
_STEP = 1e-4  # of the differences of log|det J|


class GeneratorDensity:
    """What a generator's samples are distributed like.

    Parameters
    ----------
    generator : Network
        (2,) -> (2,) in float64, with R-maps; its latent is N(0, 1). Smooth activations are wanted: J of a piecewise
        linear one jumps.
    cells : int
        A side of the grid of latents.
    extent : float
        How far the grid reaches: of the latents 1 - (erf(extent/√2))² lie beyond, 1.3e-4 at 4.

    Raises
    ------
    ConfigError, DTypeError
        The generator is another.
    """

    def __init__(self, generator: Network, *, cells: int = 160, extent: float = 4.0) -> None:
        if generator.input_shape != (2,) or generator.output_shape != (2,):
            raise ConfigError(
                f"{generator.name} goes from {generator.input_shape} to {generator.output_shape}, expected (2,) to "
                "(2,): its Jacobian is to be square"
            )
        if generator.dtype != np.float64:
            raise DTypeError(f"{generator.name} computes in {generator.dtype}, expected float64: differences are taken")
        self.generator = generator
        self._pass = generator.new_pass(_CHUNK, train=False, order=2, name="density")
        n = whole("cells", cells, least=2) + 1
        axis = np.linspace(-1, 1, n) * number("extent", extent, above=0)
        self.latents = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)  # (n, n, 2)
        self.images = self.map(self.latents.reshape(-1, 2))[0].reshape(n, n, 2)
        index = np.arange(n * n).reshape(n, n)
        a, b, c, d = (part.ravel() for part in (index[:-1, :-1], index[1:, :-1], index[:-1, 1:], index[1:, 1:]))
        self._triangles = np.concatenate([np.stack([a, b, c], axis=1), np.stack([d, c, b], axis=1)])  # (T, 3)
        corners = self.images.reshape(-1, 2)[self._triangles]
        self._low, self._high = corners.min(axis=1), corners.max(axis=1)

    def map(self, z: Array) -> tuple[Array, Array]:
        """Return x (n, 2) and J (n, 2, 2), J[:, i, j] = ∂x_i/∂z_j, at latents z (n, 2)."""
        asarray, to_host = self.generator.backend.asarray, self.generator.backend.to_host
        x, J = np.empty_like(z), np.empty((len(z), 2, 2))
        padded, along = np.zeros((_CHUNK, 2)), np.zeros((_CHUNK, 2))
        for start in range(0, len(z), _CHUNK):
            part = slice(start, min(start + _CHUNK, len(z)))
            count = part.stop - part.start
            padded[:count] = z[part]
            x[part] = to_host(self._pass.forward(asarray(padded), update_stats=False))[:count]
            for j in range(2):
                along[...] = 0
                along[:, j] = 1
                J[part, :, j] = to_host(self._pass.rforward(asarray(along)))[:count]
        return x, J

    def preimages(self, points: Array) -> tuple[Array, Array]:
        """Return every latent z (m, 2) that is mapped to a point, and which point (m,) it is mapped to."""
        corners, latents = self.images.reshape(-1, 2), self.latents.reshape(-1, 2)
        found_z, found_of = [], []
        for start in range(0, len(points), 64):
            some = points[start : start + 64]
            inside = np.ones((len(some), len(self._triangles)), bool)
            for k in range(2):
                inside &= (some[:, k, None] >= self._low[None, :, k]) & (some[:, k, None] <= self._high[None, :, k])
            which, triangle = np.nonzero(inside)
            at = self._triangles[triangle]
            a, b, c = (corners[at[:, k]] for k in range(3))
            edges = np.stack([b - a, c - a], axis=2)
            flat = np.abs(np.linalg.det(edges)) < 1e-300
            edges[flat] = np.eye(2)
            weights = np.linalg.solve(edges, (some[which] - a)[:, :, None])[:, :, 0]
            held = ~flat & (weights >= 0).all(axis=1) & (weights.sum(axis=1) <= 1)
            u, at = weights[held], at[held]
            za, zb, zc = (latents[at[:, k]] for k in range(3))
            found_z.append(za + u[:, :1] * (zb - za) + u[:, 1:] * (zc - za))
            found_of.append(which[held] + start)
        z, of = np.concatenate(found_z), np.concatenate(found_of)
        return self._refined(z, points[of]), of

    def _refined(self, z: Array, x: Array, steps: int = 4) -> Array:
        """Return latents after Newton's steps towards G(z) = x; a step that leads away is not taken."""
        at, J = self.map(z)
        miss = np.linalg.norm(at - x, axis=1)
        for _ in range(steps):
            J[np.abs(np.linalg.det(J)) < 1e-12] = np.eye(2)  # on a fold: it stays where the triangle put it
            moved = z - np.linalg.solve(J, (at - x)[:, :, None])[:, :, 0]
            there, J_there = self.map(moved)
            away = np.linalg.norm(there - x, axis=1)
            better = away < miss
            z = np.where(better[:, None], moved, z)
            at = np.where(better[:, None], there, at)
            J = np.where(better[:, None, None], J_there, J)
            miss = np.where(better, away, miss)
        return z

    def __call__(self, points: Array) -> tuple[Array, Array]:
        """Return log q (n,) and its gradient (n, 2) at points (n, 2); -inf and 0 where G does not reach.

        On a fold q is infinite, and a point within rounding of one gets a large number.
        """
        z, of = self.preimages(points)
        log_q, score = np.full(len(points), -np.inf), np.zeros((len(points), 2))
        if not len(z):
            return log_q, score
        _, J = self.map(z)
        s = self._log_part(z)
        slope = np.stack(
            [(self._log_part(z + h) - self._log_part(z - h)) / (2 * _STEP) for h in _STEP * np.eye(2)], axis=1
        )
        top = np.full(len(points), -np.inf)
        np.maximum.at(top, of, s)
        share = np.exp(s - top[of])
        total = np.zeros(len(points))
        np.add.at(total, of, share)
        J[np.abs(np.linalg.det(J)) < 1e-12] = np.eye(2)
        pulled = np.linalg.solve(J.transpose(0, 2, 1), slope[:, :, None])[:, :, 0]
        np.add.at(score, of, (share / total[of])[:, None] * pulled)
        reached = total > 0
        log_q[reached] = top[reached] + np.log(total[reached])
        return log_q, score

    def _log_part(self, z: Array) -> Array:
        _, J = self.map(z)
        size = np.abs(np.linalg.det(J))
        part: Array = -0.5 * (z * z).sum(axis=1) - np.log(2 * np.pi) - np.log(np.maximum(size, 1e-300))
        return part

    def folded(self) -> float:
        """Return the share of latents, by their probability, where G turns the plane over against the most of it."""
        z = self.latents.reshape(-1, 2)
        weight = np.exp(-0.5 * (z * z).sum(axis=1))
        turned = float((weight * (np.linalg.det(self.map(z)[1]) < 0)).sum() / weight.sum())
        return min(turned, 1 - turned)
