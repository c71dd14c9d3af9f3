"""Draws as functions of (seed, stream, step, index)."""

import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.backend.random import stream_id
from npgan.errors import ConfigError

backends = pytest.mark.parametrize("backend", ["cpu", "reference"])


def draw(backend, seed=3, n=200, **options):
    options = {"stream": "latent", "step": 5, **options}
    return get_backend(backend).random(seed).normal(np.empty(n), **options)


@backends
def test_the_same_place_gives_the_same_numbers(backend):
    np.testing.assert_array_equal(draw(backend), draw(backend))
    np.testing.assert_allclose(draw("cpu"), draw("reference"), rtol=0, atol=1e-14)


@backends
@pytest.mark.parametrize(
    "other",
    [{"seed": 4}, {"seed": 3 + 2**32}, {"stream": "latent of G"}, {"step": 6}, {"step": 2**31}, {"substream": 1}],
)
def test_another_place_gives_others(backend, other):
    assert not np.any(draw(backend, **other) == draw(backend))
    assert abs(np.corrcoef(draw(backend, **other, n=4000), draw(backend, n=4000))[0, 1]) < 0.08


@backends
def test_options(backend):
    random = get_backend(backend).random(0)
    u = random.uniform(np.empty(5000, np.float32), "a", low=-1.0, high=1.0)
    assert -1 <= u.min() < -0.99 < 0.99 < u.max() < 1
    z = random.normal(np.empty(5000, np.float32), "b", mean=10.0, std=0.1)
    assert abs(z.mean() - 10) < 0.01
    assert abs(z.std() - 0.1) < 0.01
    i = random.integers(np.empty(5000, np.int64), "c", high=3)
    assert set(i) == {0, 1, 2}


@pytest.mark.parametrize("seed", [-1, 2**64, 1.0, "1", None])
def test_a_seed_that_is_none(seed):
    with pytest.raises(ConfigError, match=r"seed is .*, expected an integer"):
        get_backend("cpu").random(seed)


@pytest.mark.parametrize("high", [0, -1, 2**31 + 1])
def test_a_range_that_is_none(high):
    with pytest.raises(ConfigError, match="high is"):
        get_backend("cpu").random(0).integers(np.empty(1, np.int64), "a", high=high)


def test_extreme_seeds():
    first = draw("cpu", seed=0)
    assert not np.any(draw("cpu", seed=2**64 - 1) == first)
    assert not np.any(draw("cpu", seed=np.uint64(1)) == first)


def test_generators_of_the_host():
    random = get_backend("cpu").random(11)
    places = [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    found = [random.generator(*place).random(1000) for place in places]
    for i, one in enumerate(found):
        np.testing.assert_array_equal(one, random.generator(*places[i]).random(1000))
        assert all(not np.any(one == other) for other in found[:i])
        # A generator counts on from its place: it must not run into its neighbour's.
        assert all(not np.isin(other, random.generator(*places[i]).random(100_000)).any() for other in found[:i])
    order = random.permutation(100, "shuffle", 3)
    assert sorted(order) == list(range(100))
    assert order.dtype == np.int64
    assert not np.array_equal(order, random.permutation(100, "shuffle", 4))


def test_streams_are_the_same_on_every_machine():
    assert stream_id("123456789") == 0xCBF43926  # the check value of CRC-32
