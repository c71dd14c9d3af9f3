"""The losses by name. A new one is a function here and its line in `LOSSES`.

t is D's output before any sigmoid, D(x) = sigmoid(t) where the paper has a probability.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from npgan.backend import get_backend
from npgan.backend.base import Backend
from npgan.losses.base import Loss, Term
from npgan.options import make, number

Weights = Sequence[float] | None


def _probability_terms(name: str, backend: Backend, smoothing: Any) -> tuple[Term, Term, float]:
    """Return D's terms where D is a probability, and the value of L_D at the equilibrium."""
    s = number(f"{name}: smoothing", smoothing, least=0, below=0.5)
    formula = "softplus(-t)" if s == 0 else f"{1 - s:g} softplus(-t) + {s:g} softplus(t)"
    real = Term(f"{name}.real", formula, backend, "cross_entropy", 1.0, (1 - s,))
    fake = Term(f"{name}.fake", "softplus(t)", backend, "cross_entropy", 1.0, (0.0,))
    # (1 - s) (-ln d) + s (-ln(1 - d)) - ln(1 - d) is least at d = (1 - s) / 2.
    d = (1 - s) / 2
    return real, fake, -(1 - s) * math.log(d) - (1 + s) * math.log1p(-d)


def minimax(backend: Backend, smoothing: float = 0.0, class_weights: Weights = None) -> Loss:
    """Return the saturating loss, Goodfellow et al. (2014), "Generative adversarial nets", eq. 1.

    L_D = -E log D(x) - E log(1 - D(G(z))) = E softplus(-t) + E softplus(t'), and the generator minimises
    E log(1 - D(G(z))) = -E softplus(t'): a zero-sum game. Its gradient -sigmoid(t') vanishes where D is sure.

    `smoothing` s in [0, 0.5) is one-sided (Salimans et al. 2016, "Improved techniques for training GANs",
    section 3.4): D's target on real data is 1 - s, and stays 0 on generated data.
    """
    real, fake, equilibrium = _probability_terms("minimax", backend, smoothing)
    generator = Term("minimax.generator", "-softplus(t)", backend, "cross_entropy", -1.0, (0.0,))
    paper = "Goodfellow et al. 2014, Generative adversarial nets, eq. 1"
    return Loss("minimax", paper, real, fake, generator, equilibrium, class_weights)


def non_saturating(backend: Backend, smoothing: float = 0.0, class_weights: Weights = None) -> Loss:
    """Return the non-saturating loss, Goodfellow et al. (2014), section 3.

    L_D as in `minimax`; the generator minimises -E log D(G(z)) = E softplus(-t'), whose gradient
    -sigmoid(-t') is largest where D is sure. `smoothing` as in `minimax`.
    """
    real, fake, equilibrium = _probability_terms("non-saturating", backend, smoothing)
    generator = Term("non-saturating.generator", "softplus(-t)", backend, "cross_entropy", 1.0, (1.0,))
    paper = "Goodfellow et al. 2014, Generative adversarial nets, section 3"
    return Loss("non-saturating", paper, real, fake, generator, equilibrium, class_weights)


def least_squares(
    backend: Backend, a: float = 0.0, b: float = 1.0, c: float = 1.0, class_weights: Weights = None
) -> Loss:
    """Return the least-squares loss, Mao et al. (2017), "Least squares GANs", eq. 2.

    L_D = E (t - b)^2 / 2 + E (t' - a)^2 / 2 and L_G = E (t' - c)^2 / 2: a is the target of generated data, b
    of real data (a smoothed label is a smaller b), c what the generator wants D to say. The defaults are the
    paper's eq. 9; a = -1, b = 1, c = 0 is its eq. 8, a Pearson chi^2 divergence.
    """
    name = "least-squares"
    a, b, c = (number(f"{name}: {option}", value) for option, value in (("a", a), ("b", b), ("c", c)))

    def half_square(term: str, target: float) -> Term:
        return Term(f"{name}.{term}", f"(t - {target:g})^2 / 2", backend, "squared", 0.5, (target,))

    # The best D is (a + b) / 2.
    equilibrium = (b - a) ** 2 / 4
    paper = "Mao et al. 2017, Least squares generative adversarial networks, eq. 2"
    terms = half_square("real", b), half_square("fake", a), half_square("generator", c)
    return Loss(name, paper, *terms, equilibrium, class_weights)


def wasserstein(backend: Backend, class_weights: Weights = None) -> Loss:
    """Return the Wasserstein loss, Arjovsky et al. (2017), "Wasserstein GANs", eq. 2.

    L_D = -E t + E t' and L_G = -E t'. -L_D estimates the distance of the two distributions if the critic is
    Lipschitz, which is not the loss's work: see `clip_weights`, or a gradient penalty.
    """
    real = Term("wasserstein.real", "-t", backend, "linear", -1.0)
    fake = Term("wasserstein.fake", "t", backend, "linear")
    generator = Term("wasserstein.generator", "-t", backend, "linear", -1.0)
    paper = "Arjovsky et al. 2017, Wasserstein generative adversarial networks, eq. 2"
    return Loss("wasserstein", paper, real, fake, generator, 0.0, class_weights)


def hinge(backend: Backend, class_weights: Weights = None) -> Loss:
    """Return the hinge loss, Lim and Ye (2017), "Geometric GAN".

    Also Miyato et al. (2018), "Spectral normalization for GANs", eq. 16-17.

    L_D = E max(0, 1 - t) + E max(0, 1 + t') and L_G = -E t'. At a kink the slope is 0.
    """
    real = Term("hinge.real", "max(0, 1 - t)", backend, "hinge", 1.0, (1.0,))
    fake = Term("hinge.fake", "max(0, 1 + t)", backend, "hinge", 1.0, (-1.0,))
    generator = Term("hinge.generator", "-t", backend, "linear", -1.0)
    paper = "Lim and Ye 2017, Geometric GAN; Miyato et al. 2018, Spectral normalization, eq. 16-17"
    return Loss("hinge", paper, real, fake, generator, 2.0, class_weights)


LOSSES: dict[str, Callable[..., Loss]] = {
    "minimax": minimax,
    "non-saturating": non_saturating,
    "least-squares": least_squares,
    "wasserstein": wasserstein,
    "hinge": hinge,
}


def get_loss(name: str, *, backend: str | Backend = "cpu", **options: Any) -> Loss:
    """Return the loss of that name.

    Parameters
    ----------
    name : str
        A key of `LOSSES`.
    backend : str or Backend
        Where the logits live.
    **options
        ``class_weights`` (all), ``smoothing`` (minimax, non-saturating), ``a``, ``b``, ``c`` (least-squares).

    Raises
    ------
    ConfigError
        Unknown name or option, or a value out of range.
    """
    return make("loss", LOSSES, name, options, backend=get_backend(backend))
