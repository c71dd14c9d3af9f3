"""Slices of both losses through the end of a run, and the path angle between checkpoints.

A slice is the plane θ + a d₁ + b d₂ through the last weights: with d₁, d₂ drawn at random and scaled layer by layer
like the weights (Li et al. 2018, "Visualizing the loss landscape of neural nets", section 4), the plane in which the
fastest mode of the flow turns or moves, or the first two principal components of the run itself. The two players have a
loss each, so no valley is one for both; the arrows show where they go.

The path angle (Berard et al. 2020, "A closer look at the optimization landscapes of GANs", section 4) is that between
the line from one checkpoint to the last and the field v along it: by a sign that switches at the end, the end attracts
along the line; a bump there says that the field turns around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgan.backend.base import Array
from npgan.errors import NonFiniteError
from npgan.game import BatchGame
from npgan.options import number, whole
from npgan.study.studies.directions import planes
from npgan.study.studies.drawing import listed, paragraphs, table
from npgan.study.studies.landscape_drawing import draw_landscape
from npgan.study.studies.study import Study
from npgan.study.studies.toy import Toy


@dataclass(frozen=True)
class Slice:
    """Both losses over a plane.

    Attributes
    ----------
    name, meaning : str
    axes : array (n,), array (n,)
        a and b, in units of the weights.
    loss_d, loss_g : array (n, n)
        The first index is a.
    coarse : array (m,), array (m,)
        Where the arrows are.
    arrows : array (m, m, 2)
        -v along d₁ and d₂.
    path : array (T, 2)
        The run, projected.
    explained : float
        The share of the run's variance that lies in the plane.
    part_d : (float, float)
        The share of D's weights in the squared length of each direction.
    lowest : (bool, bool)
        Whether the end is lower in each player's loss, within a hundredth of its range, than everything on the slice.
    """

    name: str
    meaning: str
    axes: tuple[Array, Array]
    loss_d: Array
    loss_g: Array
    coarse: tuple[Array, Array]
    arrows: Array
    path: Array
    explained: float
    part_d: tuple[float, float]
    lowest: tuple[bool, bool]


@dataclass(frozen=True)
class PathAngle:
    """The field along the line from a checkpoint to the last.

    Attributes
    ----------
    step : int
        Of the checkpoint.
    along : array (k,)
        0 at the checkpoint, 1 at the last.
    cosine, norm : array (k,)
        Of the angle between -v and the line, and ‖v‖.
    players : array (2, k)
        The cosines of D's part and of G's.
    """

    step: int
    along: Array
    cosine: Array
    norm: Array
    players: Array


@dataclass(frozen=True)
class LandscapeStudy:
    """What `landscape` found.

    Attributes
    ----------
    steps : array (T,)
        Of the run's checkpoints.
    slices : list of Slice
    angles : list of PathAngle
    """

    steps: Array
    slices: list[Slice]
    angles: list[PathAngle]


def landscape(
    *,
    data: str = "ring-8",
    loss: str = "non-saturating",
    penalty: str = "r1 gamma=0.1",
    rule: str = "alternating",
    width: int = 16,
    depth: int = 2,
    batch: int = 128,
    lr: float = 2e-3,
    steps: int = 3000,
    checkpoints: int = 100,
    grid: int = 31,
    arrows: int = 11,
    reach: float = 1.0,
    backend: str = "cpu",
    seed: int = 0,
) -> LandscapeStudy:
    """Train a GAN, and look at both losses around where it ends.

    Parameters
    ----------
    data, loss, penalty, rule, width, depth, batch, lr, backend, seed
        See `Toy`; the activation is tanh.
    steps, checkpoints : int
        Of training, and how many points of it are kept.
    grid, arrows : int
        Points a side of a slice, and arrows a side.
    reach : float
        How far the slices along random directions and eigenvectors go, as a part of the length of the weights, 0.2 of
        it for the latter; the one of the run goes as far as the run does.

    Raises
    ------
    ConfigError
        A setting makes no sense.
    NonFiniteError
        A gradient is not finite.
    """
    made = {"width": width, "depth": depth, "batch": batch, "lr": number("lr", lr, above=0), "seed": seed}
    named = {"loss": loss, "penalty": penalty, "rule": rule, "activation": "tanh", "backend": backend}
    toy = Toy(data, **made, **named, dtype="float64", order=2)  # type: ignore[arg-type]
    steps, grid, arrows = (
        whole(name, value, least=2) for name, value in (("steps", steps), ("grid", grid), ("arrows", arrows))
    )
    marks = np.unique(np.rint(np.linspace(0, steps, whole("checkpoints", checkpoints, least=3)))).astype(np.int64)
    path = []
    for step in range(steps + 1):
        if step in marks:
            path.append(toy.backend.to_host(toy.point().theta))
        if step < steps:
            toy.step(step)
    run, game, end = np.array(path), toy.point(), path[-1]
    with np.errstate(over="ignore"):
        length = float(np.linalg.norm(end)) * number("reach", reach, above=0)
    if not np.isfinite(length):
        raise NonFiniteError(f"the weights overflow within {steps:,} steps; give a lower lr")
    slices = []
    for name, meaning, d1, d2, far in planes(toy, game, run, length, seed):
        slices.append(_slice(name, meaning, game, end, run, d1, d2, far, grid, arrows))
    starts = np.unique(np.rint(np.linspace(0, len(marks) - 1, 4)).astype(int))[:-1]
    angles = [_angle(game, int(marks[i]), run[i], end) for i in starts]
    return LandscapeStudy(marks, slices, angles)


def _slice(
    name: str,
    meaning: str,
    game: BatchGame,
    end: Array,
    run: Array,
    d1: Array,
    d2: Array,
    far: float | None,
    grid: int,
    arrows: int,
) -> Slice:
    plane = np.stack([d1, d2])
    path = (run - end) @ plane.T
    if far is None:
        low, high = path.min(axis=0), path.max(axis=0)
        margin = 0.15 * (high - low).max()
        low, high = low - margin, high + margin
    else:
        low, high = np.full(2, -far), np.full(2, far)
    axes = [np.linspace(low[k], high[k], grid) for k in range(2)]
    coarse = [np.linspace(low[k], high[k], arrows + 2)[1:-1] for k in range(2)]
    losses = np.array([[_losses(game, end + a * d1 + b * d2) for b in axes[1]] for a in axes[0]])
    field = np.array([[plane @ -_field(game, end + a * d1 + b * d2) for b in coarse[1]] for a in coarse[0]])
    away = run - run.mean(axis=0)
    explained = float(((away @ plane.T) ** 2).sum() / (away**2).sum())
    at_end = _losses(game, end)
    lowest = [at_end[k] <= losses[..., k].min() + 0.01 * np.ptp(losses[..., k]) for k in range(2)]
    p_d = game.sizes[0]
    return Slice(
        name,
        meaning,
        (axes[0], axes[1]),
        losses[..., 0],
        losses[..., 1],
        (coarse[0], coarse[1]),
        field,
        path,
        explained,
        (float((d1[:p_d] ** 2).sum()), float((d2[:p_d] ** 2).sum())),
        (bool(lowest[0]), bool(lowest[1])),
    )


def _losses(game: BatchGame, theta: Array) -> tuple[float, float]:
    game.load(game.backend.asarray(theta))
    return game.losses()


def _field(game: BatchGame, theta: Array) -> Array:
    game.load(game.backend.asarray(theta))
    return game.backend.to_host(game.gradient())


def _angle(game: BatchGame, step: int, start: Array, end: Array) -> PathAngle:
    line = end - start
    along = np.linspace(-0.5, 1.5, 81)
    rows = [-_field(game, start + alpha * line) for alpha in along]
    game.load(game.backend.asarray(end))
    whole_line = np.array([_cosine(row, line) for row in rows])
    players = np.array([[_cosine(game.split(row)[k], game.split(line)[k]) for row in rows] for k in range(2)])
    return PathAngle(step, along, whole_line, np.array([float(np.linalg.norm(row)) for row in rows]), players)


def _cosine(a: Array, b: Array) -> float:
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size else 0.0


def tell(found: LandscapeStudy) -> str:
    """Return what is seen, in words with numbers."""
    rows = [
        [
            each.name,
            f"{each.explained:.1%}",
            f"{each.part_d[0]:.0%}, {each.part_d[1]:.0%}",
            f"{each.loss_d.min():.3g} to {each.loss_d.max():.3g}",
            f"{each.loss_g.min():.3g} to {each.loss_g.max():.3g}",
        ]
        for each in found.slices
    ]
    header = ["slice", "of the run's variance", "D's part in the directions", "loss of D", "loss of G"]
    lines = [
        f"Both losses around the weights after {found.steps[-1]:,} steps, on planes through them.",
        "",
        table(header, rows),
        "",
    ]
    lines += [f"{each.name.capitalize()}: {each.meaning}." for each in found.slices]
    for k, player in enumerate("DG"):
        names = [each.name for each in found.slices if each.lowest[k]]
        where = f"only on these slices: {listed(names)}" if names else "on none of the slices"
        where = "on every slice" if len(names) == len(found.slices) else where
        lines.append(f"The end is the lowest point of {player}'s loss {where}.")
    for each in found.angles:
        before, after = (float(np.interp(1 + side, each.along, each.cosine)) for side in (-0.1, 0.1))
        peak = float(each.along[np.argmax(each.cosine)])
        if before > 0 > after:
            word = "switches its sign at the end: along this line the end attracts"
        elif before < 0 < after:
            word = "switches its sign at the end the other way: along this line the end repels"
        else:
            word = "does not switch its sign at the end: the field passes by or turns around it"
        lines.append(
            f"From step {each.step:,}: the cosine of the path angle is {before:+.2f} shortly before the end and "
            f"{after:+.2f} after it, and {word}. It is largest, {each.cosine.max():+.2f}, at {peak:.2f} of the way."
        )
    return paragraphs(*lines)


LANDSCAPE = Study(
    "landscape", "2-D slices of both losses, and the path angle of the run", landscape, tell, draw_landscape, 20
)
