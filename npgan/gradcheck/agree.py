"""Versions of a function against each other: compiled kernels and the reference, float32 or the GPU and float64."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from npgan.gradcheck.examine import FACTOR, Kinked, scales
from npgan.gradcheck.maps import MAPS, Arrays, At, Function, direction, noise
from npgan.gradcheck.report import Row, compare

_KINK = 1e-2  # a change by rounding alone of so much of the result is a kink's


def agree(f: Function, reference: Function, inputs: Arrays, dy: np.ndarray, seed: int) -> Iterator[Row]:
    """Yield a row for each result of each map.

    The tolerance is that of the operation's condition: both are run on inputs that are off by the rounding error of f's
    dtype, and what that changes is what f may be off by, times the `FACTOR` for the rounding on the way. (The reference
    alone would not do: the gradient of a bias before batch norm stays 0 whatever moves, but in f it is rounding.)

    Parameters
    ----------
    f : Function
        In float32 or float64.
    reference : Function
        In float64.
    inputs, dy : dict of str to array, array
        Numbers that f's dtype has.
    seed : int

    Raises
    ------
    Kinked
        The inputs are so close to a kink that their rounding crosses it: move the point.
    """
    eps = float(np.finfo(f.dtype).eps)

    def rounded(a: np.ndarray) -> np.ndarray:
        return a.astype(f.dtype).astype(np.float64)

    along = {n: rounded(direction(np.shape(inputs[n]), (seed, 700, i))) for i, n in enumerate(f.movable)}
    at = At(inputs, dy, along, rounded(direction(np.shape(dy), (seed, 701))))
    for name, map_ in MAPS.items():
        second = name not in ("forward", "backward")
        if second and not f.second_order:
            continue
        if name in ("rforward", "HVP") and type(f).rforward is Function.rforward:
            continue
        expected, found = map_(reference, at), map_(f, at)
        scale = {what: float(np.abs(a).max(initial=0.0)) for what, a in expected.items()}
        # Where all results are 0 by cancellation, what goes in says what is large.
        biggest = max(*scale.values(), float(np.abs(dy).max(initial=0.0)))
        for what, off in noise(reference, map_, at, expected, np.random.default_rng((seed, 702)), eps, 4).items():
            if off > _KINK * biggest:
                raise Kinked
            scale[what] = max(scale[what], off / eps)
        for what, size in scales(f, map_, at, eps, seed).items():
            scale[what] = max(scale[what], min(size, biggest))
        for what, array in found.items():
            yield compare(name, what, "reference", array, expected[what], FACTOR * eps * scale[what], scale[what])
