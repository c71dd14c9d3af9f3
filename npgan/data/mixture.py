"""Mixtures of Gaussians: the 2-D toys on which mode collapse can be seen, and mixtures that the user describes."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from npgan.backend import Array
from npgan.backend.random import stream_id
from npgan.data.dataset import Dataset
from npgan.data.files import read_text
from npgan.errors import ConfigError, DataError, ShapeError
from npgan.kernels.random.reference import philox

EPOCH = 100_000

_KEYS = ("means", "stds", "covariances", "weights")
_MAX_DESCRIPTION = 2**16
_MASK = 0xFFFFFFFF


class Mixture(Dataset):
    """A mixture of K Gaussians in D dimensions, without end: sample i is a fixed function of (seed, i).

    Its classes are its components. After 2**32 samples they repeat.

    Parameters
    ----------
    means : array (K, D)
    stds : float, array (K,) or (K, D), optional
        Standard deviations, from 0 up (0: a point); give these or `covariances`.
    covariances : array (K, D, D), optional
        Symmetric, positive definite.
    weights : array (K,), optional
        At least 0; scaled to the sum 1. Equal where not given.
    seed : int
        Which samples these are, 0 <= seed < 2**64.
    classes : tuple of str or None, optional
        Names of the components, "0", "1", ... where not given; None where a component means nothing by itself.

    Attributes
    ----------
    means, stds : float64 arrays (K, D)
        ``stds`` are the square roots of the variances.
    weights : float64 array (K,)

    Raises
    ------
    DataError
        Shapes that do not fit, values that are not finite, covariances that are none.
    """

    endless = True

    def __init__(
        self,
        means: Any,
        stds: Any = None,
        *,
        covariances: Any = None,
        weights: Any = None,
        seed: int = 0,
        name: str = "mixture",
        classes: tuple[str, ...] | None = (),
    ) -> None:
        self.name = name
        self.means = _numbers(means, f"{name}: means", 2)
        K, D = self.means.shape
        self.sample_shape = (D,)
        if (stds is None) == (covariances is None):
            raise DataError(f"{name}: expected either stds or covariances")
        if covariances is not None:
            factors = _factors(_numbers(covariances, f"{name}: covariances", 3), (K, D, D), name)
        else:
            factors = _diagonal(_numbers(stds, f"{name}: stds", None), (K, D), name)
        self._factors = factors  # (K, D, D), lower triangular: x = mean + factor z
        self.stds = np.sqrt((factors**2).sum(axis=2))
        self.weights = np.full(K, 1.0) if weights is None else _numbers(weights, f"{name}: weights", 1)
        if self.weights.shape != (K,) or (self.weights < 0).any() or not 0 < self.weights.sum() < np.inf:
            raise DataError(f"{name}: weights have shape {self.weights.shape}, expected {K} numbers from 0, not all 0")
        self.weights = self.weights / self.weights.sum()
        bounds = np.cumsum(self.weights)
        self._bounds = bounds / bounds[-1]
        self.classes = tuple(str(k) for k in range(K)) if classes == () else classes
        if self.classes is not None and len(self.classes) != K:
            raise DataError(f"{name}: {len(self.classes)} names of classes, expected {K}")
        if not 0 <= seed < 2**64:
            raise ConfigError(f"{name}: seed is {seed}, expected 0 to 2**64 - 1")
        self._key = (int(seed) & _MASK, int(seed) >> 32)

    def __len__(self) -> int:
        return EPOCH

    def batch(self, indices: Array, out: Array, labels: Array | None = None) -> None:  # noqa: D102
        self.check_batch(indices, out, labels)
        component = np.searchsorted(self._bounds, self._uniform(indices), side="right")
        noise = np.concatenate([self._normal(indices, part) for part in range((self.sample_shape[0] + 3) // 4)], axis=1)
        noise = noise[:, : self.sample_shape[0]]
        out[...] = self.means[component] + np.einsum("nij,nj->ni", self._factors[component], noise)
        if labels is not None:
            labels[...] = component

    def _words(self, indices: Array, stream: str, part: int) -> Array:
        """Return four 32-bit numbers for each index: the counter is the index, so order and batch do not matter."""
        return philox(indices.astype(np.uint64) & np.uint64(_MASK), 0, stream_id(stream), part, *self._key)

    def _uniform(self, indices: Array) -> Array:
        """Return u (N,) in [0, 1), one for each index."""
        words = self._words(indices, "mixture/component", 0)
        return ((words[:, 0] << np.uint64(21)) + (words[:, 1] >> np.uint64(11))).astype(np.float64) / 2.0**53

    def _normal(self, indices: Array, part: int) -> Array:
        """Return z (N, 4) by Box and Muller (1958)."""
        words = self._words(indices, "mixture/noise", part).astype(np.float64)
        r = np.sqrt(-2.0 * np.log((words[:, 0::2] + 1.0) / 2.0**32))
        angle = 2.0 * np.pi * words[:, 1::2] / 2.0**32
        return np.concatenate([r * np.cos(angle), r * np.sin(angle)], axis=1)

    def log_density(self, points: Array) -> Array:
        """Return the log of the density at `points` (N, D), as float64 (N,).

        log sum_k w_k N(x; m_k, S_k), by the log-sum-exp that takes the largest term out.

        Raises
        ------
        DataError
            A component has standard deviation 0: there is no density.
        """
        if points.ndim != 2 or points.shape[1:] != self.sample_shape:
            raise ShapeError(f"{self.name}: points is {points.shape}, expected (N, {self.sample_shape[0]})")
        scale = np.diagonal(self._factors, axis1=1, axis2=2)
        if not (scale > 0).all():
            raise DataError(f"{self.name}: a component of standard deviation 0 has no density")
        D = self.sample_shape[0]
        terms = np.full((len(self.weights), len(points)), -np.inf)
        for k in np.flatnonzero(self.weights):
            z = np.linalg.solve(self._factors[k], (np.asarray(points, np.float64) - self.means[k]).T)
            norm = np.log(self.weights[k]) - np.log(scale[k]).sum() - 0.5 * D * np.log(2.0 * np.pi)
            terms[k] = norm - 0.5 * (z**2).sum(axis=0)
        largest = terms.max(axis=0)
        density: Array = largest + np.log(np.exp(terms - largest).sum(axis=0))
        return density


def ring(*, radius: float = 1.0, sigma: float = 0.01, seed: int = 0) -> Mixture:
    """Return eight Gaussians on a circle."""
    _positive("ring-8", radius=radius, sigma=sigma)
    angle = 2.0 * np.pi * np.arange(8) / 8
    means = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Mixture(means, sigma, seed=seed, name="ring-8")


def grid(*, extent: float = 4.0, sigma: float = 0.05, seed: int = 0) -> Mixture:
    """Return 25 Gaussians on a 5 x 5 grid from -extent to extent."""
    _positive("grid-25", extent=extent, sigma=sigma)
    axis = np.linspace(-extent, extent, 5)
    means = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(25, 2)
    return Mixture(means, sigma, seed=seed, name="grid-25")


def spiral(*, radius: float = 1.0, turns: float = 1.5, sigma: float = 0.02, seed: int = 0) -> Mixture:
    """Return two arms of an Archimedean spiral, as 200 overlapping Gaussians spaced evenly along them.

    The arms r = radius t, angle = 2 pi turns t (+ pi for the second), are cut off below t = 0.1, where they meet.
    """
    _positive("spiral", radius=radius, turns=turns, sigma=sigma)
    t = np.linspace(0.1, 1.0, 10_001)
    speed = np.sqrt(1.0 + (2.0 * np.pi * turns * t) ** 2)  # of the arc, in units of the radius
    length = np.concatenate([[0.0], np.cumsum(0.5 * (speed[1:] + speed[:-1]))])
    t = np.interp(np.linspace(0.0, length[-1], 100), length, t)
    arm = radius * t[:, None] * np.stack([np.cos(2.0 * np.pi * turns * t), np.sin(2.0 * np.pi * turns * t)], axis=1)
    return Mixture(np.concatenate([arm, -arm]), sigma, seed=seed, name="spiral", classes=None)


def open_mixture(path: Path, *, seed: int = 0) -> Mixture:
    """Read a mixture from a TOML or JSON file with the keys ``means``, ``stds`` or ``covariances``, ``weights``."""
    text = read_text(path, _MAX_DESCRIPTION)
    # A key of thousands of dots keeps the TOML parser busy for seconds; a number has one.
    if max(piece.count(".") for piece in re.split(r"[,=\n]", text)) > 30:
        raise DataError(f"{path}: has a key or a value of more than 30 dots, expected numbers under {', '.join(_KEYS)}")
    try:
        found = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as {path.suffix.lower()[1:].upper()} ({error})") from error
    if not isinstance(found, dict) or "means" not in found or not set(found) <= set(_KEYS):
        keys = ", ".join(found) if isinstance(found, dict) else type(found).__name__
        raise DataError(
            f"{path}: holds {keys[:80] or 'nothing'}; expected means, stds or covariances, and maybe weights"
        )
    return Mixture(
        found["means"],
        found.get("stds"),
        covariances=found.get("covariances"),
        weights=found.get("weights"),
        seed=seed,
        name=path.name,
    )


def _numbers(given: Any, what: str, ndim: int | None) -> Array:
    """Return `given` as a finite float64 array, at most 1e30 in size."""
    try:
        found = np.asarray(given)
    except (ValueError, TypeError, OverflowError) as error:  # ragged lists
        raise DataError(f"{what} is not a regular array of numbers ({error})") from error
    if found.dtype.kind not in "iuf" or not found.size or (ndim is not None and found.ndim != ndim):
        dimensions = "" if ndim is None else f" with {ndim} dimensions"
        raise DataError(f"{what} has dtype {found.dtype}, shape {found.shape}; expected numbers{dimensions}")
    if not (np.abs(found) <= 1e30).all():
        raise DataError(f"{what} holds NaN, infinity or a number beyond 1e30")
    return found.astype(np.float64)


def _diagonal(stds: Array, shape: tuple[int, int], name: str) -> Array:
    """Return the factors of diagonal covariances: stds of shape (), (K,) or (K, D)."""
    if stds.shape not in ((), shape[:1], shape) or (stds < 0).any():
        raise DataError(f"{name}: stds have shape {stds.shape}, expected one number, {shape[:1]} or {shape}, from 0 up")
    full = np.broadcast_to(stds[:, None] if stds.ndim == 1 else stds, shape)
    return full[:, :, None] * np.eye(shape[1])


def _factors(covariances: Array, shape: tuple[int, int, int], name: str) -> Array:
    """Return the Cholesky factors of covariances."""
    if covariances.shape != shape:
        raise DataError(f"{name}: covariances have shape {covariances.shape}, expected {shape}")
    size = np.abs(covariances).max()
    if np.abs(covariances - covariances.transpose(0, 2, 1)).max() > 1e-9 * size:
        raise DataError(f"{name}: covariances are not symmetric")
    try:
        factors = np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError as error:
        raise DataError(f"{name}: covariances are not positive definite") from error
    return factors


def _positive(name: str, **options: float) -> None:
    for option, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < value <= 1e30:
            raise ConfigError(f"{name}: {option} is {value!r}, expected a number over 0")
