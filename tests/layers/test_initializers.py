"""How weights begin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.layers.initializers import (
    INITIALIZERS,
    Constant,
    He,
    Normal,
    Ones,
    Orthogonal,
    Xavier,
    Zeros,
    check_initializer,
)


def drawn(init, shape, seed=0):
    return init(np.random.default_rng(seed), shape)


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("shape", [(3, 3, 4, 5), (7, 2), (2, 7), (5,), ()])
def test_every_one_gives_the_shape_asked_for(name, shape):
    init = check_initializer(INITIALIZERS[name]())
    array = drawn(init, shape)
    assert np.shape(array) == shape
    assert np.isfinite(array).all()
    np.testing.assert_array_equal(array, drawn(init, shape))
    if name not in ("zeros", "ones") and array.size > 1:
        assert not np.array_equal(array, drawn(init, shape, 1))


def test_constants():
    assert (drawn(Constant(2.5), (3, 2)) == 2.5).all()
    assert not drawn(Zeros(), (3,)).any()
    assert (drawn(Ones(), (3,)) == 1).all()


def variance(init, shape):
    array = drawn(init, shape)
    assert abs(array.mean()) < 4 * array.std() / np.sqrt(array.size)
    return array.var()


def test_dcgan():
    assert Normal() == Normal(0.02, 0.0)
    assert abs(variance(Normal(), (300, 300)) / 0.02**2 - 1) < 0.03
    assert abs(drawn(Normal(0.02, mean=1.0), (300, 300)).mean() - 1) < 1e-3


# Fans are the receptive field times the channels on either side.
@pytest.mark.parametrize(("shape", "fan_in", "fan_out"), [((300, 100), 300, 100), ((3, 5, 40, 20), 600, 300)])
def test_fans(shape, fan_in, fan_out):
    assert abs(variance(Xavier(), shape) * (fan_in + fan_out) / 2 - 1) < 0.05
    assert abs(variance(Xavier(2.0), shape) * (fan_in + fan_out) / 8 - 1) < 0.05
    assert np.abs(drawn(Xavier(), shape)).max() <= np.sqrt(6 / (fan_in + fan_out))
    assert abs(variance(He(), shape) * fan_in / 2 - 1) < 0.05
    assert abs(variance(He(0.2), shape) * fan_in * 1.04 / 2 - 1) < 0.05


@given(st.lists(st.integers(1, 6), min_size=2, max_size=4).map(tuple), st.sampled_from([1.0, 2.0**0.5]))
def test_orthogonal(shape, gain):
    matrix = drawn(Orthogonal(gain), shape).reshape(-1, shape[-1])
    product = matrix.T @ matrix if len(matrix) >= shape[-1] else matrix @ matrix.T
    np.testing.assert_allclose(product, gain**2 * np.eye(min(matrix.shape)), rtol=0, atol=1e-13)


def test_orthogonal_matrices_are_uniform():
    # Haar measure: every element of a 2 x 2 rotation or reflection has mean 0 and mean square 1/2. (QR alone would
    # fix the signs of a row.)
    draw = np.random.default_rng(0)
    found = np.array([Orthogonal()(draw, (2, 2)) for _ in range(4000)])
    assert np.abs(found.mean(axis=0)).max() < 4 * np.sqrt(0.5 / 4000)
    np.testing.assert_allclose((found**2).mean(axis=0), 0.5, atol=4 * np.sqrt(0.125 / 4000))
