"""Add, Concat and Tile against NumPy."""

import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.errors import ShapeError
from npgan.layers.base import Frame, Spec
from npgan.layers.join import Add, Concat, Tile

KERNELS = get_backend("reference").kernels


def frame(*xs, wanted=None):
    f = Frame()
    f.xp, f.k, f.xs, f.x = np, KERNELS, xs, xs[0]
    f.dxs = tuple(np.full_like(x, np.nan) if w else None for x, w in zip(xs, wanted or [True] * len(xs), strict=True))
    f.dx = f.dxs[0]
    return f


def run(layer, f, seed=0):
    f.y = np.full(layer.plan_inputs([Spec(x.shape) for x in f.xs], KERNELS).y.shape, np.nan)
    layer.forward(f)
    f.dy = np.random.default_rng(seed).normal(size=f.y.shape)
    layer.backward(f)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_add(count):
    f = frame(*np.random.default_rng(1).normal(size=(count, 2, 3)), wanted=[True, False, True, True][:count])
    run(Add(), f)
    np.testing.assert_allclose(f.y, sum(f.xs), atol=1e-15)
    assert f.dxs[1] is None
    for dx in f.dxs[:1] + f.dxs[2:]:
        np.testing.assert_array_equal(dx, f.dy)


def test_concat():
    draw = np.random.default_rng(1)
    f = frame(*(draw.normal(size=(2, 3, c)) for c in (1, 4, 2)), wanted=[True, False, True])
    run(Concat(), f)
    np.testing.assert_array_equal(f.y, np.concatenate(f.xs, axis=-1))
    np.testing.assert_array_equal(f.dxs[0], f.dy[..., :1])
    np.testing.assert_array_equal(f.dxs[2], f.dy[..., 5:])


def test_tile():
    f = frame(np.random.default_rng(1).normal(size=(2, 3)))
    run(Tile(4, 5), f)
    assert f.y.shape == (2, 4, 5, 3)
    np.testing.assert_array_equal(f.y, np.broadcast_to(f.x[:, None, None], f.y.shape))
    np.testing.assert_allclose(f.dx, f.dy.sum(axis=(1, 2)), atol=1e-14)
    without = frame(f.x, wanted=[False])
    run(Tile(4, 5), without)


@pytest.mark.parametrize(
    ("layer", "specs", "message"),
    [
        (Add(), [Spec((2, 3)), Spec((2, 1))], r"\(2, 3\), \(2, 1\), expected one shape; no broadcasting"),
        (Add(), [Spec((2, 3)), Spec((2, 3), "int64")], "expected one shape"),
        (Concat(), [Spec((2, 3, 1)), Spec((2, 4, 1))], r"\(2, 3, 1\), float \(2, 4, 1\); expected .* the last axis"),
        (Concat(), [Spec((2, 3)), Spec((2, 3), "int64")], "int64"),
        (Tile(2, 2), [Spec((2, 3, 1))], r"x is float \(2, 3, 1\), expected real \(N, C\)"),
        (Tile(2, 2), [Spec((2, 3), "int64")], "expected real"),
    ],
)
def test_what_does_not_fit(layer, specs, message):
    with pytest.raises(ShapeError, match=message):
        layer.plan_inputs(specs, KERNELS)
