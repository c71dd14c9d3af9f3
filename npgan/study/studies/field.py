"""The gradient that G's samples feel, beside the one that the best discriminator would give them.

The data's density p is known, and so is that of G's samples, q (see `GeneratorDensity`), so that the best discriminator
is too: D* = p / (p + q), with the logit t* = log p - log q (Goodfellow et al. 2014, proposition 1). A sample x feels
-ℓ'(t) ∇t, and would feel -ℓ'(t*) ∇t*. D is one of many that it might have become: at every checkpoint some copies of it
go on alone, each on batches of its own, and the gradients that they give differ from the best one by a bias, which
they share, and a variance, which they do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from npgan.backend.base import Array
from npgan.data.mixture import Mixture
from npgan.errors import ConfigError
from npgan.losses import LOSSES
from npgan.network import Network
from npgan.optimizers import get_optimizer
from npgan.options import find, number, whole
from npgan.study.studies.density import GeneratorDensity
from npgan.study.studies.drawing import listed, paragraphs, table
from npgan.study.studies.field_drawing import draw_field
from npgan.study.studies.slopes import loss_slope, sigmoid
from npgan.study.studies.study import Study
from npgan.study.studies.toy import Toy


@dataclass(frozen=True)
class Look:
    """One checkpoint: N samples, L losses, a grid of n × n points, a grid of m × m latents.

    Attributes
    ----------
    step : int
    heat, best_heat : array (n, n)
        D's and D*'s probability that a point is real; the first index is the first coordinate. NaN where both densities
        are 0 in floating point.
    manifold : array (m, m, 2)
        Images of the latents.
    folded : float
        Share of the latents where G has turned the plane over.
    samples : array (N, 2)
    felt, best : array (L, N, 2)
        -N ∂L_G/∂x under D and under D*.
    angles : array (N,)
        Degrees between ∇t and ∇t*.
    bias, variance : array (L,)
        ‖mean over copies - best‖² and the mean ‖copy - mean‖², each by ‖best‖²; medians over the samples, as on G's
        folds, where q is infinite, the best gradient is without bound.
    """

    step: int
    heat: Array
    best_heat: Array
    manifold: Array
    folded: float
    samples: Array
    felt: Array
    best: Array
    angles: Array
    bias: Array
    variance: Array


@dataclass(frozen=True)
class FieldStudy:
    """What `field` found.

    Attributes
    ----------
    losses : tuple of str
    axis : array (n,)
        Of the points where D was looked at.
    means : array (K, 2)
        Of the data's Gaussians.
    copies, inner : int
        How many of D went on, and for how many steps.
    looks : list of Look
    """

    losses: tuple[str, ...]
    axis: Array
    means: Array
    copies: int
    inner: int
    looks: list[Look]


def field(
    *,
    data: str = "ring-8",
    sigma: float = 0.15,
    losses: Sequence[str] = ("non-saturating", "minimax", "wasserstein"),
    penalty: str = "none",
    width: int = 64,
    depth: int = 2,
    batch: int = 256,
    lr: float = 1e-3,
    steps: int = 3000,
    checkpoints: int = 5,
    copies: int = 5,
    inner: int = 300,
    samples: int = 200,
    grid: int = 60,
    cells: int = 160,
    backend: str = "cpu",
    seed: int = 0,
) -> FieldStudy:
    """Train a GAN in the plane, and compare what its samples feel with what they would under the best discriminator.

    Parameters
    ----------
    sigma : float
        Deviation of each Gaussian. The published 0.01 makes log p fall by thousands between the modes, where no
        gradient of D's could be compared with its.
    losses : sequence of str
        G's; the first is trained with, where it has a D whose best is p / (p + q), as minimax and non-saturating have.
    data, penalty, width, depth, batch, lr, backend, seed
        See `Toy`; the activation is tanh, so that G's density is smooth between folds.
    steps, checkpoints : int
        Of training, and how many times to look, evenly from the beginning to the end.
    copies, inner : int
        At least 2 copies of D that go on alone for `inner` steps.
    samples : int
        Where gradients are compared.
    grid, cells : int
        Points a side where D is looked at; a side of the latents' grid.

    Raises
    ------
    ConfigError
        A setting makes no sense.
    NonFiniteError
        A gradient is not finite.
    """
    names = tuple(losses)
    for name in names:
        find("loss", LOSSES, name)
    if not names or names[0] not in ("minimax", "non-saturating"):
        raise ConfigError(f"losses begins with {names[:1]}, expected minimax or non-saturating, whose best D is known")
    number("sigma", sigma, above=0)
    whole("copies", copies, least=2)
    made = {"width": width, "depth": depth, "batch": batch, "lr": lr, "sigma": sigma, "seed": seed}
    named = {"loss": names[0], "penalty": penalty, "activation": "tanh", "backend": backend}
    toy = Toy(data, **made, **named, dtype="float64")  # type: ignore[arg-type]
    reach = float(np.abs(toy.mixture.means).max() + 4 * sigma)
    axis = np.linspace(-reach, reach, whole("grid", grid, least=2))
    looks = np.unique(np.rint(np.linspace(0, whole("steps", steps), whole("checkpoints", checkpoints, least=1))))
    count, rows = whole("samples", samples, least=1), []
    for step in range(int(looks[-1]) + 1):
        if step in looks:
            rows.append(_look(toy, step, names, axis, copies, whole("inner", inner), count, cells))
        if step < looks[-1]:
            toy.step(step)
    return FieldStudy(names, axis, toy.mixture.means, copies, inner, rows)


def _look(
    toy: Toy, step: int, names: tuple[str, ...], axis: Array, copies: int, inner: int, count: int, cells: int
) -> Look:
    toy.wait()
    G, D = toy.game.generator, toy.game.discriminator
    asarray, to_host = toy.backend.asarray, toy.backend.to_host
    density = GeneratorDensity(G, cells=cells)
    x = to_host(G(asarray(toy.noise(count, 0, "study"))))
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    log_q, _ = density(grid)
    log_p = toy.mixture.log_density(grid)
    with np.errstate(over="ignore", invalid="ignore"):
        best_heat = np.where(np.maximum(log_p, log_q) > -600, 1 / (1 + np.exp(log_q - log_p)), np.nan)
    heat = sigmoid(to_host(D(asarray(grid)))[:, 0])

    best_t, best_slope = _best(toy.mixture, density, x)
    t, slope = _slope(D, x)
    best = np.stack([_felt(name, best_t, best_slope) for name in names])
    felt = np.stack([_felt(name, t, slope) for name in names])
    across = (slope * best_slope).sum(axis=1)
    lengths = np.linalg.norm(slope, axis=1) * np.linalg.norm(best_slope, axis=1)
    angles = np.degrees(np.arccos(np.clip(across / np.maximum(lengths, 1e-300), -1, 1)))

    others = [_slope(_gone_on(toy, step, copy, inner), x) for copy in range(copies)]
    bias, variance = [], []
    for k, name in enumerate(names):
        each = np.stack([_felt(name, *other) for other in others])
        mean, scale = each.mean(axis=0), np.maximum((best[k] ** 2).sum(axis=1), 1e-300)
        bias.append(float(np.median(((mean - best[k]) ** 2).sum(axis=1) / scale)))
        variance.append(float(np.median(((each - mean) ** 2).sum(axis=(0, 2)) / (copies - 1) / scale)))
    every = max(1, (len(density.images) - 1) // 40)
    manifold = density.images[::every, ::every]
    n = len(axis)
    return Look(
        step,
        heat.reshape(n, n),
        best_heat.reshape(n, n),
        manifold,
        density.folded(),
        x,
        felt,
        best,
        angles,
        np.array(bias),
        np.array(variance),
    )


def _best(mixture: Mixture, density: GeneratorDensity, x: Array) -> tuple[Array, Array]:
    """Return t* = log p - log q (N,) and its gradient (N, 2)."""
    log_q, score = density(x)
    return mixture.log_density(x) - log_q, mixture_score(mixture, x) - score


def mixture_score(mixture: Mixture, x: Array) -> Array:
    """Return ∇ log p (N, 2) of a mixture of round Gaussians: Σ w_k (m_k - x) / σ_k², w_k each one's part of p."""
    away = mixture.means[None] - x[:, None]  # (N, K, 2)
    variance = mixture.stds[:, 0] ** 2
    logs = np.log(mixture.weights) - np.log(variance) - 0.5 * (away**2).sum(axis=2) / variance
    parts = np.exp(logs - logs.max(axis=1, keepdims=True))
    parts /= parts.sum(axis=1, keepdims=True)
    found: Array = (parts[:, :, None] * away / variance[:, None]).sum(axis=1)
    return found


def _slope(D: Network, x: Array) -> tuple[Array, Array]:
    """Return D's logits (N,) and their gradients (N, 2)."""
    t, pullback = D.vjp(D.backend.asarray(x))
    slope, _ = pullback(D.backend.xp.ones_like(t))
    assert slope is not None
    return D.backend.to_host(t)[:, 0], D.backend.to_host(slope)


def _felt(name: str, t: Array, slope: Array) -> Array:
    """Return -ℓ'(t) ∇t (N, 2), which is -N ∂L_G/∂x."""
    found: Array = -loss_slope(name, t)[:, None] * slope
    return found


def _gone_on(toy: Toy, step: int, copy: int, inner: int) -> Network:
    """Return a copy of D after `inner` steps of its own against G as it is, with Adam's memory as it is."""
    game, asarray = toy.game, toy.backend.asarray
    D = game.discriminator
    memory = toy.D.optimizer
    kept, moments = D.theta.copy(), {name: part.copy() for name, part in memory.state().items()}
    adam = get_optimizer("adam", D.size, D.dtype, backend=toy.backend, betas=(memory.beta1, memory.beta2))  # type: ignore[attr-defined]
    adam.load_state(moments, memory.t)
    for i in range(inner):
        draw = (step * 1009 + copy) * 4096 + i  # of streams that training does not use
        x, z = asarray(toy.real(toy.batch, draw, "copies")), asarray(toy.noise(toy.batch, draw, "copies/latent"))
        game.generate(z, None, draw, training=False)
        game.discriminator_gradient(toy.D.gradient, x, None, draw, training=False)
        with D.write() as theta:
            adam.step(theta, toy.D.gradient, toy.rate(step))
    gone = D.clone()
    D.load(kept)
    return gone


def tell(found: FieldStudy) -> str:
    """Return what is seen, in words with numbers."""
    rows = []
    for each in found.looks:
        spread = [f"{b:.2g} / {v:.2g}" for b, v in zip(each.bias, each.variance, strict=True)]
        right = float((each.angles < 90).mean())
        rows.append([str(each.step), f"{np.median(each.angles):.1f}", f"{right:.0%}", f"{each.folded:.1%}", *spread])
    header = ["step", "median angle", "below 90°", "folded", *(f"{name}: bias² / var" for name in found.losses)]
    first, last = found.looks[0], found.looks[-1]
    bias = int(np.argmin(last.bias))
    lines = [
        f"The gradient that {len(last.samples)} samples feel, beside the one under the best discriminator p / (p + q). "
        f"Angles in degrees; squared bias and variance over {found.copies} copies of D, each after {found.inner} steps "
        "of its own, by the square of the best gradient; medians over the samples.",
        "",
        table(header, rows),
        "",
        f"The median angle went from {np.median(first.angles):.1f}° to {np.median(last.angles):.1f}°; at the end "
        f"{(last.angles < 90).mean():.0%} of the samples are pushed to the right side.",
        f"At the end {found.losses[bias]} is nearest to its best gradient, with a squared bias of "
        f"{last.bias[bias]:.2g} and a variance of {last.variance[bias]:.2g}.",
    ]
    more = [n for n, b, v in zip(found.losses, last.bias, last.variance, strict=True) if b > v]
    lines.append(
        f"The bias outweighs the variance with {listed(more)}: what is wrong is not the batches' noise but D itself."
        if more
        else "The variance outweighs the bias with every loss."
    )
    return paragraphs(*lines)


FIELD = Study(
    "field", "D's map, G's manifold, and the gradient on samples beside the best one's", field, tell, draw_field, 40
)
