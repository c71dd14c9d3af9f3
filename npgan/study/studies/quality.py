"""How good samples of a mixture are: modes captured, high-quality share, divergence of the modes' shares.

The definitions of Srivastava et al. (2017), "VEEGAN", section 4.1: a sample is of high quality within three deviations
of the nearest mode, and a mode is captured when it is the nearest to at least one such sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgan.backend.base import Array
from npgan.data.mixture import Mixture
from npgan.errors import ShapeError

WITHIN = 3.0  # deviations


@dataclass(frozen=True)
class Quality:
    """What samples are like.

    Attributes
    ----------
    modes : int
        Captured.
    high : float
        Share of samples of high quality. Of the data themselves it is 1 - exp(-9/2), 0.989 in the plane.
    divergence : float
        KL(samples' shares of the modes ‖ the mixture's weights) in nats, of the samples of high quality; infinite
        without any. At most log K.
    shares : array (K,)
        Of those, by mode.
    """

    modes: int
    high: float
    divergence: float
    shares: Array


def quality(samples: Array, mixture: Mixture) -> Quality:
    """Return the quality of samples (N, D) of a mixture of round Gaussians.

    Raises
    ------
    ShapeError
        They are not points of the mixture's space.
    """
    if samples.ndim != 2 or samples.shape[1:] != mixture.sample_shape or not len(samples):
        raise ShapeError(f"samples is {samples.shape}, expected (N, {mixture.sample_shape[0]}), N from 1")
    distances = np.linalg.norm(samples[:, None].astype(np.float64) - mixture.means[None], axis=2)
    nearest = distances.argmin(axis=1)
    good = distances[np.arange(len(samples)), nearest] <= WITHIN * mixture.stds[nearest, 0]
    counts = np.bincount(nearest[good], minlength=len(mixture.means))
    total = int(counts.sum())
    if not total:
        return Quality(0, 0.0, float("inf"), counts.astype(np.float64))
    shares = counts / total
    there = shares > 0
    divergence = float((shares[there] * np.log(shares[there] / mixture.weights[there])).sum())
    return Quality(int(there.sum()), float(good.mean()), divergence, shares)
