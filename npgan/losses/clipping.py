"""The weight clipping of the first Wasserstein GAN."""

from __future__ import annotations

from collections.abc import Iterable

from npgan.backend import get_backend
from npgan.backend.base import Array, Backend
from npgan.errors import ConfigError, ShapeError
from npgan.options import number


def clip_weights(
    theta: Array, c: float, ranges: Iterable[tuple[int, int]] | None = None, *, backend: str | Backend = "cpu"
) -> Array:
    """Clip weights to [-c, c] in place and return them.

    Arjovsky et al. (2017), "Wasserstein generative adversarial networks", algorithm 1, line 7: after every
    step of the critic, so that it stays Lipschitz; the paper has c = 0.01. A NaN stays.

    Parameters
    ----------
    theta : array (P,)
        The flat vector of weights; written.
    c : float
        > 0.
    ranges : iterable of (start, stop), optional
        Which of them: such as the matrices and kernels, but not the scales of a normalisation. All by
        default.
    backend : str or Backend
        Where theta lives.

    Raises
    ------
    ConfigError
        c is not a positive number, or a range that theta does not have.
    ShapeError
        theta is not a vector.
    """
    c = number("clip_weights: c", c, above=0)
    if theta.ndim != 1:
        raise ShapeError(f"clip_weights: theta is {theta.shape}, expected a flat vector (P,)")
    clip = get_backend(backend).kernels.optimizer.clip
    for start, stop in ((0, theta.size),) if ranges is None else ranges:
        if not 0 <= start <= stop <= theta.size:
            raise ConfigError(
                f"clip_weights: the range ({start}, {stop}) is not in theta, which has {theta.size} weights"
            )
        clip(theta[start:stop], c)
    return theta
