"""Saturation: how large G's gradient is where D is sure, by the formula of each loss and in a real run.

With t = D(G(z)) before the sigmoid, G's loss ℓ(t) reaches G as ℓ'(t) ∇_x D. The minimax loss has |ℓ'| = σ(t), which is
0 where D is sure that a sample is generated, the non-saturating one 1 - σ(t) (Goodfellow et al. 2014, section 3;
Arjovsky and Bottou 2017, "Towards principled methods for training GANs", section 2.2, theorems 2.4 and 2.6). In the run
D is trained alone against a G that stands still, so that it gets ahead; at every checkpoint the gradient of every loss
is taken at the same weights. What a loss passes on is its gradient by that of -D itself, which has |ℓ'| = 1: below the
one threshold the loss saturates, whatever D's slope does. A gradient that shrinks or grows with D's slope as well, by
what it was at first, vanishes or explodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from npgan.backend.base import Array
from npgan.errors import ConfigError
from npgan.game import Game
from npgan.losses import LOSSES, get_loss
from npgan.options import find, number, whole
from npgan.study.studies.drawing import listed, paragraphs, table
from npgan.study.studies.saturation_drawing import draw_saturation
from npgan.study.studies.slopes import ON_PAPER, loss_slope, sigmoid
from npgan.study.studies.study import Study
from npgan.study.studies.toy import Toy


@dataclass(frozen=True)
class SaturationStudy:
    """What `saturation` found: L losses, C checkpoints, W layers of G.

    Attributes
    ----------
    losses : tuple of str
    logits : array (n,)
        t, along which the losses are looked at.
    slopes, formulas : array (L, n)
        |ℓ'(t)| through the losses' code, and on paper.
    disagreement : float
        Between the two, at most.
    steps : array (C,)
        Of D alone.
    confidence : array (C,)
        Mean of 1 - σ(t) over generated samples: how sure D is of them.
    accuracy : array (C,)
        Share of real and generated samples that D has right.
    sensitivity : array (C,)
        Mean ‖∇_x D‖ over generated samples.
    norms : array (L, C)
        ‖∂L_G/∂θ_G‖.
    relative : array (L, C)
        The same by what it was before D was trained.
    passed : array (L, C)
        The same by the gradient of -D at the same weights.
    layers : tuple of str
        Layers of G with weights, from the latent on.
    layer_norms : array (L, C, W)
        Norms of their parts, by the root of the number of weights.
    vanishing, exploding : float
        The thresholds.
    named : dict of str to str
        Of each loss at the last checkpoint: "vanishing" where `relative` is below the first, "exploding" where it is
        above the second, "saturated" where `passed` is below the first; two of them, or "kept".
    """

    losses: tuple[str, ...]
    logits: Array
    slopes: Array
    formulas: Array
    disagreement: float
    steps: Array
    confidence: Array
    accuracy: Array
    sensitivity: Array
    norms: Array
    relative: Array
    passed: Array
    layers: tuple[str, ...]
    layer_norms: Array
    vanishing: float
    exploding: float
    named: dict[str, str]


def saturation(
    *,
    losses: Sequence[str] = ("minimax", "non-saturating", "least-squares", "wasserstein", "hinge"),
    data: str = "ring-8",
    judge: str = "minimax",
    penalty: str = "none",
    width: int = 64,
    depth: int = 2,
    batch: int = 256,
    lr: float = 1e-3,
    warmup: int = 0,
    steps: int = 1500,
    checkpoints: int = 16,
    vanishing: float = 0.1,
    exploding: float = 10.0,
    backend: str = "cpu",
    seed: int = 0,
) -> SaturationStudy:
    """Train D ahead of G, and look at what each loss leaves of G's gradient.

    Parameters
    ----------
    losses : sequence of str
        G's, to be compared. All are taken of one D: what differs is ℓ' alone.
    judge : str
        The loss that D is trained with.
    data, penalty, width, depth, batch, lr, backend, seed
        See `Toy`.
    warmup : int
        Steps of both players, before D goes on alone.
    steps : int
        Of D alone.
    checkpoints : int
        At which gradients are taken, spaced evenly in the logarithm.
    vanishing, exploding : float
        A gradient whose norm is below or above so many times what it was before D went on is named so; a loss that
        passes on less than `vanishing` of D's slope is saturated.

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
    if not names:
        raise ConfigError(f"losses is empty, expected some of {', '.join(LOSSES)}")
    low = number("vanishing", vanishing, above=0, below=1)
    high = number("exploding", exploding, above=1)
    logits = np.linspace(-10, 10, 201)
    slopes = np.abs([loss_slope(name, logits) for name in names])
    formulas = np.abs([ON_PAPER[name](logits) for name in names])

    settings = {"width": width, "depth": depth, "batch": batch, "lr": lr, "seed": seed, "backend": backend}
    toy = Toy(data, loss=judge, penalty=penalty, dtype="float64", **settings)  # type: ignore[arg-type]
    for step in range(whole("warmup", warmup)):
        toy.step(step)
    toy.wait()
    looks = _checkpoints(whole("steps", steps, least=2), whole("checkpoints", checkpoints, least=2))
    rows = []
    for step in range(int(looks[-1]) + 1):
        if step in looks:
            rows.append(_look(toy, names))
        _train_discriminator(toy, warmup + step)
    confidence, accuracy, sensitivity = (np.array([row[k] for row in rows]) for k in range(3))
    norms, layer_norms = (np.stack([row[k] for row in rows], axis=1) for k in (3, 4))
    if not (norms[:, 0] > 0).all():
        raise ConfigError("a gradient is 0 before D is trained ahead: give a shorter warm-up")
    relative = norms / norms[:, :1]
    passed = norms / np.array([row[5] for row in rows])
    named = {name: _named(relative[k, -1], passed[k, -1], low, high) for k, name in enumerate(names)}
    layers = tuple(path.rpartition("/")[0] for path in toy.game.generator.layout.ranges() if path.endswith("/weight"))
    return SaturationStudy(
        names,
        logits,
        slopes,
        formulas,
        float(np.abs(slopes - formulas).max()),
        looks,
        confidence,
        accuracy,
        sensitivity,
        norms,
        relative,
        passed,
        layers,
        layer_norms,
        low,
        high,
        named,
    )


def _named(relative: float, passed: float, low: float, high: float) -> str:
    words = ["vanishing"] if relative < low else ["exploding"] if relative > high else []
    words += ["saturated"] if passed < low else []
    return " and ".join(words) or "kept"


def _checkpoints(steps: int, count: int) -> Array:
    return np.unique(np.concatenate([[0], np.rint(np.geomspace(1, steps, count - 1)).astype(np.int64)]))


def _train_discriminator(toy: Toy, step: int) -> None:
    game = toy.game
    x, z = map(toy.backend.asarray, toy.draws(step))
    game.generate(z, None, step)
    game.discriminator_gradient(toy.D.gradient, x, None, step)
    toy.D.update(step)


def _look(toy: Toy, names: Sequence[str]) -> tuple[float, float, float, Array, Array, float]:
    """Return D's confidence, accuracy and slope in x, norms of G's gradient by loss, by layer too, and that of -D."""
    game, G, D = toy.game, toy.game.generator, toy.game.discriminator
    to_host = toy.backend.to_host
    x, z = map(toy.backend.asarray, (toy.real(toy.batch, 0, "study"), toy.noise(toy.batch, 0, "study/latent")))
    score, pullback = D.vjp(G(z))
    by_fake, _ = pullback(toy.backend.xp.ones_like(score))
    assert by_fake is not None
    real, fake, by_x = map(to_host, (D(x), score, by_fake))
    right = float(np.concatenate([real > 0, fake <= 0]).mean())
    norms, layers = [], []
    for name in (*names, "wasserstein"):
        twin = Game(G, D, get_loss(name, backend=toy.backend), game.batch)
        gradient = to_host(twin.on(x, z).gradient("G"))
        norms.append(float(np.linalg.norm(gradient)))
        parts: dict[str, list[Array]] = {}
        for path, (start, stop) in G.layout.ranges().items():
            parts.setdefault(path.rpartition("/")[0], []).append(gradient[start:stop])
        layers.append([float(np.sqrt(np.mean(np.concatenate(part) ** 2))) for part in parts.values()])
    sure = float(sigmoid(-fake).mean())
    sensitivity = float(np.linalg.norm(by_x, axis=1).mean())
    return sure, right, sensitivity, np.array(norms[:-1]), np.array(layers[:-1]), norms[-1]


def tell(found: SaturationStudy) -> str:
    """Return what is seen, in words with numbers."""
    i = int(np.argmin(np.abs(found.logits + 5)))
    sure = sigmoid(-found.logits[i : i + 1])[0]
    rows = [
        [
            name,
            f"{found.slopes[k, i]:.4f}",
            *(_figure(row[k, -1]) for row in (found.norms, found.relative, found.passed)),
            found.named[name],
        ]
        for k, name in enumerate(found.losses)
    ]
    header = ["loss of G", f"|l'| at t = {found.logits[i]:g}", "|gradient|", "by the first", "by that of -D", "named"]
    lines = [
        f"Where D is sure that a sample is generated (t = {found.logits[i]:g}, a confidence of {sure:.4f}), the losses "
        f"pass on very different parts of its gradient. Code and formula differ by {found.disagreement:.0e} at most.",
        f"In the run D went on alone for {found.steps[-1]:,} steps. Its confidence in what is generated rose from "
        f"{found.confidence[0]:.3f} to {found.confidence[-1]:.4f}, its accuracy from {found.accuracy[0]:.0%} to "
        f"{found.accuracy[-1]:.0%}, and its own slope |∇D| at generated samples went from {found.sensitivity[0]:.3g} "
        f"to {found.sensitivity[-1]:.3g}.",
        "",
        table(header, rows),
        "",
        f"Vanishing is below {found.vanishing:g} times, exploding above {found.exploding:g} times the norm before D "
        f"went on alone; saturated, below {found.vanishing:g} times the gradient of -D: it is the loss that stops it.",
    ]
    for word in ("saturated", "vanishing", "exploding", "kept"):
        since: dict[str, list[str]] = {}
        for name in found.losses:
            if word in found.named[name]:
                when = "" if word == "kept" else f" from step {_since(found, name, word):,} on"
                since.setdefault(when, []).append(name)
        each = [f"{listed(names)}{when}" for when, names in since.items()]
        if each:
            lines.append(f"{word.capitalize()}: {', '.join(each)}.")
    if found.layer_norms.shape[2] > 1:
        spread = found.layer_norms[:, -1, 0] / found.layer_norms[:, -1, -1]
        ratios = [f"{ratio:.2g} with {name}" for ratio, name in zip(spread, found.losses, strict=True)]
        lines.append(f"The gradient a weight in G's first layer by that in its last one: {listed(ratios)}.")
    return paragraphs(*lines)


def _figure(value: float) -> str:
    """Return three digits, and no power of ten below a million: ``"1,400"``, ``"0.0189"``."""
    return f"{float(f'{value:.3g}'):,.0f}" if 1000 <= value < 1e6 else f"{value:.3g}"


def _since(found: SaturationStudy, name: str, word: str) -> int:
    """Return the step from which on a loss is named so to the end."""
    k = found.losses.index(name)
    is_so = {
        "saturated": found.passed[k] < found.vanishing,
        "vanishing": found.relative[k] < found.vanishing,
        "exploding": found.relative[k] > found.exploding,
    }[word]
    others = np.flatnonzero(~is_so)
    return int(found.steps[others[-1] + 1 if len(others) else 0])


SATURATION = Study(
    "saturation",
    "G's gradient when D is ahead: minimax, non-saturating and other losses",
    saturation,
    tell,
    draw_saturation,
    10,
)
