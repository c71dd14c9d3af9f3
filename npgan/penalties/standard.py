"""The penalties by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from npgan.options import make, number
from npgan.penalties.base import GradientPenalty


def wgan_gp(*, weight: float = 10.0, target: float = 1.0, one_sided: bool = False, every: int = 1) -> GradientPenalty:
    """weight · mean (‖∇D(x̂)‖ - target)² between real and fake (Gulrajani et al. 2017, equation 3).

    One-sided (section 4 there, and Petzka et al. 2018): only norms above the target are charged.
    """
    paper = "Gulrajani et al. 2017, Improved training of Wasserstein GANs, equation 3"
    return GradientPenalty(
        "wgan-gp", paper, "interpolates", weight=weight, target=target, one_sided=one_sided, every=every
    )


def r1(*, gamma: float = 10.0, every: int = 1) -> GradientPenalty:
    """(γ/2) mean ‖∇D(x)‖² on real data (Mescheder, Geiger and Nowozin 2018, equation 9)."""
    paper = "Mescheder, Geiger and Nowozin 2018, Which training methods for GANs do actually converge?, equation 9"
    return GradientPenalty("r1", paper, "real", weight=_half("r1", gamma), every=every)


def r2(*, gamma: float = 10.0, every: int = 1) -> GradientPenalty:
    """(γ/2) mean ‖∇D(G(z))‖² on generated data (the same paper, equation 10)."""
    paper = "Mescheder, Geiger and Nowozin 2018, Which training methods for GANs do actually converge?, equation 10"
    return GradientPenalty("r2", paper, "fake", weight=_half("r2", gamma), every=every)


def zero_centred(*, gamma: float = 10.0, every: int = 1) -> GradientPenalty:
    """(γ/2) mean ‖∇D(x̂)‖² between real and fake (Thanh-Tung, Tran and Venkatesh 2019, section 5)."""
    paper = "Thanh-Tung, Tran and Venkatesh 2019, Improving generalization and stability of GANs, section 5"
    return GradientPenalty("zero-centred", paper, "interpolates", weight=_half("zero-centred", gamma), every=every)


def dragan(*, weight: float = 10.0, target: float = 1.0, noise: float = 0.5, every: int = 1) -> GradientPenalty:
    """weight · mean (‖∇D(x + δ)‖ - target)² around real data (Kodali et al. 2017, section 2.4).

    δ is normal; its deviation is half the batch's, the size that the authors' code has.
    """
    paper = "Kodali et al. 2017, On convergence and stability of GANs, section 2.4"
    return GradientPenalty("dragan", paper, "perturbed", weight=weight, target=target, noise=noise, every=every)


def gradient_norm(
    *,
    weight: float = 10.0,
    target: float = 1.0,
    norm: float = 2.0,
    points: str = "interpolates",
    one_sided: bool = False,
    noise: float = 0.5,
    every: int = 1,
) -> GradientPenalty:
    """weight · mean (‖∇D(x̂)‖_p - target)² for any p (Adler and Lunz 2018, "Banach Wasserstein GAN", section 3).

    A critic that is 1-Lipschitz in the Lq norm has ‖∇D‖_p ≤ 1 with 1/p + 1/q = 1.
    """
    paper = "Adler and Lunz 2018, Banach Wasserstein GAN, section 3"
    return GradientPenalty(
        "gradient-norm", paper, points, weight, target, norm, one_sided=one_sided, noise=noise, every=every
    )


def _half(name: str, gamma: float) -> float:
    return number(f"penalty {name}: gamma", gamma, least=0) / 2.0


PENALTIES: dict[str, Callable[..., GradientPenalty]] = {
    "wgan-gp": wgan_gp,
    "r1": r1,
    "r2": r2,
    "zero-centred": zero_centred,
    "dragan": dragan,
    "gradient-norm": gradient_norm,
}


def get_penalty(name: str, **options: Any) -> GradientPenalty:
    """Return the penalty of that name.

    Parameters
    ----------
    name : str
        A key of `PENALTIES`.
    **options
        See its function there.

    Raises
    ------
    ConfigError
        Unknown name or option, or a value out of range.
    """
    return make("penalty", PENALTIES, name, options)
