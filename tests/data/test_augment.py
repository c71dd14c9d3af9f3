import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.backend import get_backend
from npgan.data.augment import Augment
from npgan.errors import ConfigError, ShapeError

RNG = np.random.default_rng(0)
RANDOM = get_backend("reference").random(5)


def oracle(image, draws, augment):
    """Follow each pixel of the result back, one step after the other, and look it up bilinearly with clamped edges."""
    H, W = image.shape[:2]
    flip, angle, down, right, size = draws
    turn = math.radians(augment.rotate * (2 * angle - 1))
    factor = 1 + augment.scale * (2 * size - 1)
    out = np.empty_like(image)
    for i in range(H):
        for j in range(W):
            # about the middle: first undo the shift, then the scaling, then the rotation, then the flip
            y = (i - (H - 1) / 2 - augment.shift * H * (2 * down - 1)) / factor
            x = (j - (W - 1) / 2 - augment.shift * W * (2 * right - 1)) / factor
            y, x = y * math.cos(turn) + x * math.sin(turn), x * math.cos(turn) - y * math.sin(turn)
            if augment.flip and flip < 0.5:
                x = -x
            y = min(max(y + (H - 1) / 2, 0), H - 1)
            x = min(max(x + (W - 1) / 2, 0), W - 1)
            top, left = min(int(y), max(H - 2, 0)), min(int(x), max(W - 2, 0))
            bottom, beside = min(top + 1, H - 1), min(left + 1, W - 1)
            a, b = y - top, x - left
            out[i, j] = (1 - a) * ((1 - b) * image[top, left] + b * image[top, beside]) + a * (
                (1 - b) * image[bottom, left] + b * image[bottom, beside]
            )
    return out


@given(
    st.tuples(*[st.integers(1, 7)] * 2, st.integers(1, 3)),
    st.builds(
        Augment,
        flip=st.booleans(),
        rotate=st.floats(0, 180),
        shift=st.floats(0, 1),
        scale=st.floats(0, 0.99),
    ),
    st.integers(0, 1000),
)
def test_against_a_plain_loop(shape, augment, cursor):
    x = RNG.normal(size=(3, *shape))
    before = x.copy()
    out = np.full_like(x, np.nan)
    augment.apply(out, x, RANDOM, cursor)
    draws = RANDOM.uniform(np.empty((3, 5)), "augment", cursor)
    for i in range(3):
        np.testing.assert_allclose(out[i], oracle(x[i], draws[i], augment), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_identity_keeps_the_bits(dtype):
    x = RNG.normal(size=(4, 5, 6, 3)).astype(dtype)
    x[:, 2] = -0.0  # interpolated with anything, it would lose its sign
    out = np.empty_like(x)
    Augment().apply(out, x, RANDOM, 3)
    assert out.tobytes() == x.tobytes()
    assert not Augment().active


@pytest.mark.parametrize("shape", [(400, 5, 6, 1), (400, 4, 7, 2)])
def test_flip_is_exact_and_even(shape):
    x = RNG.normal(size=shape).astype(np.float32)
    out = np.empty_like(x)
    Augment(flip=True).apply(out, x, RANDOM, 3)
    mirrored = (out == x[:, :, ::-1]).all(axis=(1, 2, 3))
    same = (out == x).all(axis=(1, 2, 3))
    assert (mirrored ^ same).all()
    assert 150 < mirrored.sum() < 250


def test_values_stay_between_those_of_the_image():
    x = RNG.uniform(-1, 1, (50, 8, 8, 1)).astype(np.float32)
    out = np.empty_like(x)
    Augment(flip=True, rotate=90, shift=0.5, scale=0.5).apply(out, x, RANDOM, 0)
    assert (out.max(axis=(1, 2, 3)) <= x.max(axis=(1, 2, 3)) + 1e-6).all()
    assert (out.min(axis=(1, 2, 3)) >= x.min(axis=(1, 2, 3)) - 1e-6).all()


def test_batches_differ():
    x = RNG.normal(size=(4, 8, 8, 1))
    outs = [np.empty_like(x) for _ in range(3)]
    for out, cursor in zip(outs, (0, 1, 0), strict=True):
        Augment(rotate=30).apply(out, x, RANDOM, cursor)
    np.testing.assert_array_equal(outs[0], outs[2])
    assert (outs[0] != outs[1]).mean() > 0.9


@pytest.mark.parametrize(
    "options",
    [
        {"flip": 1},
        {"rotate": -1},
        {"rotate": 181},
        {"shift": 1.5},
        {"scale": 1.0},
        {"scale": math.nan},
        {"shift": "1"},
        {"rotate": True},
    ],
)
def test_refused(options):
    with pytest.raises(ConfigError, match=f"augment: {next(iter(options))} is"):
        Augment(**options)


def test_shapes():
    with pytest.raises(ShapeError, match="expected both"):
        Augment(flip=True).apply(np.empty((2, 3)), np.empty((2, 3)), RANDOM, 0)
