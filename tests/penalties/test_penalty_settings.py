"""Names, options, points, and laziness of penalties."""

from __future__ import annotations

import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.errors import ConfigError
from npgan.layers import Dense, Tanh
from npgan.network import Network
from npgan.penalties import PENALTIES, POINTS, Draw, Penalized, get_penalty

N = 2000


@pytest.mark.parametrize("name", PENALTIES)
def test_defaults(name):
    penalty = get_penalty(name)
    assert penalty.name == name
    assert penalty.points in POINTS
    assert penalty.paper


@pytest.mark.parametrize("name", PENALTIES)
def test_each_may_be_lazy(name):
    assert get_penalty(name, every=4.0).every == 4
    assert isinstance(get_penalty(name, every=4.0).every, int)


def test_every_option_of_the_norm():
    options = {"weight": 2.0, "target": 0.5, "norm": 1.0, "points": "perturbed", "one_sided": True, "noise": 0.1}
    penalty = get_penalty("gradient-norm", every=3, **options)
    assert {name: getattr(penalty, name) for name in options} == options


def test_r1_is_half_gamma():
    assert get_penalty("r1", gamma=3.0).weight == 1.5


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("wgan", {}, "did you mean 'wgan-gp'"),
        ("r1", {"gama": 1}, "did you mean 'gamma'"),
        ("r1", {"gamma": -1}, "gamma is -1"),
        ("wgan-gp", {"weight": "much"}, "weight is 'much'"),
        ("gradient-norm", {"norm": 0.5}, "norm is 0.5"),
        ("gradient-norm", {"points": "here"}, "points"),
        ("r2", {"every": 0}, "every is 0"),
    ],
)
def test_slips(name, options, message):
    with pytest.raises(ConfigError, match=message):
        get_penalty(name, **options)


def points(kind, real, fake, noise=0.5, turn=0, seed=0):
    out = np.empty_like(real)
    backend = get_backend("reference")
    draw = Draw(backend.random(seed), "test", turn, backend.kernels, np.empty(len(out)))
    POINTS[kind](out, real, fake, noise, draw)
    return out


def test_where_the_points_are():
    draw = np.random.default_rng(0)
    real, fake = draw.normal(size=(2, N, 4))
    np.testing.assert_array_equal(points("real", real, fake), real)
    np.testing.assert_array_equal(points("fake", real, fake), fake)
    between = points("interpolates", real, fake)
    weights = (between - fake) / (real - fake)
    np.testing.assert_allclose(weights, np.broadcast_to(weights[:, :1], weights.shape), rtol=1e-9)  # one a sample
    assert weights.min() >= -1e-9
    assert weights.max() < 1 + 1e-9
    assert weights[:, 0].mean() == pytest.approx(0.5, abs=0.03)
    assert weights[:, 0].std() == pytest.approx(12**-0.5, abs=0.02)
    noise = points("perturbed", real, fake) - real
    assert noise.std() == pytest.approx(0.5 * real.std(), rel=0.05)


@pytest.mark.parametrize("kind", ["interpolates", "perturbed"])
def test_points_are_a_function_of_seed_and_turn(kind):
    real, fake = np.random.default_rng(0).normal(size=(2, 8, 4))
    first = points(kind, real, fake, turn=3)
    np.testing.assert_array_equal(first, points(kind, real, fake, turn=3))
    assert not np.array_equal(first, points(kind, real, fake, turn=4))
    assert not np.array_equal(first, points(kind, real, fake, turn=3, seed=1))


def test_lazy_evaluation():
    D = Network([Dense(4), Tanh(), Dense(1)], (3,), dtype="float64", seed=1)
    real, fake = np.random.default_rng(0).normal(size=(2, 6, 3))
    random = get_backend("cpu").random(0)
    lazy, eager = (Penalized(get_penalty("r1", every=every), D, 6) for every in (4, 1))
    assert [lazy.due(turn) for turn in range(6)] == [True, False, False, False, True, False]
    scaled, plain = np.zeros(D.size), np.zeros(D.size)
    value = lazy.add_gradient(scaled, real, fake, None, random, 4)
    assert value == eager.add_gradient(plain, real, fake, None, random, 4)
    np.testing.assert_allclose(scaled, 4 * plain, rtol=1e-12)
