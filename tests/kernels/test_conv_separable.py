"""A small matrix along both axes of a square of vectors: equal to two products of NumPy, wherever the vectors lie."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgan.backend.compile import kernel
from npgan.kernels.conv.separable import matrix, separable

PIXELS, POINTS = 16, 25


@kernel
def into_points(points, step, pixels, table, count):
    separable("A42", count, points, 3, step, None, pixels, 2, table)


@kernel
def from_points(pixels, table, before, points, step, count):
    separable("A42t", count, pixels, 2, table, before, points, 3, step)


def vectors(flat, at, offsets, count):
    """Return the vectors at these offsets, zeros for -1."""
    return np.stack([flat[at + o : at + o + count] * 1.0 if o >= 0 else np.zeros(count) for o in offsets])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(
    count=st.sampled_from([1, 15, 16, 33, 127, 128, 129, 144, 300]),  # vectors, what is left over of them, and runs
    outside=st.sets(st.integers(0, PIXELS - 1)),
    first=st.sets(st.integers(0, PIXELS - 1)),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=30)
def test_a_square_of_vectors_is_transformed_along_both_axes(dtype, count, outside, first, seed):
    draw, step = np.random.default_rng(seed), count + 5
    a = np.array(matrix("A42"), float)
    table = np.where(np.isin(np.arange(PIXELS), list(outside)), -1, np.arange(PIXELS) * (count + 7))
    before = np.where(np.isin(np.arange(PIXELS), list(first)), -1, table)
    pixels = draw.normal(size=2 + PIXELS * (count + 7)).astype(dtype)
    points = draw.normal(size=3 + POINTS * step).astype(dtype)
    places, close = np.arange(POINTS) * step, {"rtol": 0, "atol": 200 * np.finfo(dtype).eps}

    found, right = points.copy(), points.astype(float)
    into_points(found, step, pixels, table, count)
    images = vectors(pixels, 2, table, count).reshape(4, 4, count)
    for place, each in zip(places, np.einsum("ik,jl,klc->ijc", a, a, images).reshape(POINTS, count), strict=True):
        right[3 + place : 3 + place + count] = each
    np.testing.assert_allclose(found, right, **close)

    found, right = pixels.copy(), pixels.astype(float)
    from_points(found, table, before, points, step, count)
    made = np.einsum("ki,lj,klc->ijc", a, a, vectors(points, 3, places, count).reshape(5, 5, count))
    made = made.reshape(PIXELS, count) + vectors(pixels, 2, before, count)
    for offset, each in zip(table, made, strict=True):
        if offset >= 0:
            right[2 + offset : 2 + offset + count] = each
    np.testing.assert_allclose(found, right, **close)
