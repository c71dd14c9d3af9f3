"""Channels to pixels: the reference against loops, the compiled version against the reference."""

import inspect
from contextlib import nullcontext
from itertools import product
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgan.kernels.shuffle import cpu, gpu, reference

versions = pytest.mark.parametrize("version", [reference, cpu, gpu], ids=["reference", "cpu", "gpu"], indirect=True)


def numbered(n, h, w, c, r, dtype=np.float64):
    """All elements different, so that one place alone is right for each; c channels come out."""
    return np.arange(n * h * w * c * r * r, dtype=dtype).reshape(n, h, w, c * r * r)


def one_by_one(kernel, n, work, *args):
    """Like `over_samples`, as if there were n threads, the last one first."""
    for k in reversed(range(n)):
        kernel(k, k + 1, *args)


def shuffled(version, x, r):
    n, h, w, c = x.shape
    y = np.full((n, h * r, w * r, c // r**2), np.nan, x.dtype)
    version.shuffle(y, x, r)
    return y


def test_versions_share_names_signatures_and_defaults():
    def public(module):
        found = {k: f for k, f in vars(module).items() if inspect.isfunction(f) and k[0] != "_"}
        return {k: inspect.signature(f) for k, f in found.items() if f.__module__ == module.__name__}

    assert public(cpu) == public(reference)
    assert set(public(cpu)) == {"shuffle", "unshuffle"}


shapes = st.tuples(*(st.integers(1, high) for high in (3, 4, 4, 3, 4)))


@given(shapes)
@settings(max_examples=40, deadline=None)
def test_reference_is_the_definition(shape):
    x, r = numbered(*shape), shape[-1]
    y = shuffled(reference, x, r)
    for n, h, w, c, i, j in product(*map(range, (*shape, r))):
        assert y[n, r * h + i, r * w + j, c] == x[n, h, w, c * r * r + i * r + j]


@given(shapes, st.sampled_from([np.float32, np.float64]), st.booleans())
@settings(max_examples=50, deadline=None)
def test_cpu_is_the_reference(shape, dtype, divided):
    x, r = numbered(*shape, dtype), shape[-1]
    with mock.patch.object(cpu, "over_samples", one_by_one) if divided else nullcontext():
        y = shuffled(cpu, x, r)
        np.testing.assert_array_equal(y, shuffled(reference, x, r))
        back, expected = np.full_like(x, np.nan), np.full_like(x, np.nan)
        cpu.unshuffle(back, y, r)
        reference.unshuffle(expected, y, r)
        np.testing.assert_array_equal(back, expected)


@versions
@pytest.mark.parametrize("shape", [(2, 3, 4, 2, 3), (4, 16, 16, 16, 2)])
def test_unshuffle_is_the_inverse(version, shape):
    x, r = numbered(*shape), shape[-1]
    x[0, 0, 0, 0], x[-1, -1, -1, -1] = np.nan, np.inf
    kept, back = x.copy(), np.zeros_like(x)
    version.unshuffle(back, shuffled(version, x, r), r)
    np.testing.assert_array_equal(back, x)
    np.testing.assert_array_equal(kept, x)
