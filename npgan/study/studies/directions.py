"""Planes in the space of both players' weights: random, of eigenvectors, of a run."""

from __future__ import annotations

import numpy as np

from npgan.backend.base import Array
from npgan.game import BatchGame
from npgan.study.spectrum import flow_spectrum
from npgan.study.studies.toy import Toy


def planes(
    toy: Toy, game: BatchGame, run: Array, length: float, seed: int
) -> list[tuple[str, str, Array, Array, float | None]]:
    """Return planes through the end of a run (T, P): name, meaning, two orthonormal directions, and how far they reach.

    `length` is that of the weights times the wanted reach; None is as far as the run goes.
    """
    draw = toy.backend.random(seed).generator("directions")
    first, second = _orthonormal(_scaled(toy, draw, run[-1]), _scaled(toy, draw, run[-1]))
    found: list[tuple[str, str, Array, Array, float | None]] = [
        ("random", "two random directions, scaled like each layer's weights", first, second, length)
    ]
    game.load(toy.backend.asarray(run[-1]))
    flow = flow_spectrum(game, order="modulus")
    value, vector = flow.values[0], flow.eigen.vectors[:, 0]
    if abs(value.imag) > 1e-12:
        pair = _orthonormal(vector.real, vector.imag)
        meaning = f"the plane in which the fastest mode turns, {value.real:.3g} ± {abs(value.imag):.3g}i"
    else:
        following = flow.eigen.vectors[:, 1]
        other = following.real if np.linalg.norm(following.real) > 1e-6 else following.imag
        pair = _orthonormal(vector.real, other)
        meaning = f"the two fastest modes of the flow, the first {value.real:.3g}"
    found.append(("eigenvectors", meaning, *pair, 0.2 * length))
    _, sizes, components = np.linalg.svd(run - run.mean(axis=0), full_matrices=False)
    shares = sizes**2 / (sizes**2).sum()
    meaning = f"the run's first two principal components, {shares[0]:.0%} and {shares[1]:.0%} of its variance"
    found.append(("run", meaning, _pointed(components[0]), _pointed(components[1]), None))
    return found


def _scaled(toy: Toy, draw: np.random.Generator, end: Array) -> Array:
    """Return a random direction whose part in each array of weights is as long as these are."""
    parts, start = [], 0
    for network in (toy.game.discriminator, toy.game.generator):
        for low, high in network.layout.ranges().values():
            part = draw.normal(size=high - low)
            size = np.linalg.norm(end[start + low : start + high])
            parts.append(part * (size / np.linalg.norm(part)))
        start += network.size
    found: Array = np.concatenate(parts)
    return found


def _orthonormal(first: Array, second: Array) -> tuple[Array, Array]:
    first = _pointed(first / np.linalg.norm(first))
    second = second - (first @ second) * first
    return first, _pointed(second / np.linalg.norm(second))


def _pointed(direction: Array) -> Array:
    """Return d or -d: that whose largest element is positive, as rounding decides which of them a solver finds."""
    pointed: Array = direction * np.sign(direction[np.argmax(np.abs(direction))])
    return pointed
