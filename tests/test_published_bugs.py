"""Bugs of other people's GAN code: a test each that npgan does not have it. examples/published_bugs.py shows some."""

from __future__ import annotations

import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.errors import ShapeError, StalePassError
from npgan.game import Game
from npgan.layers import BatchNorm, Dense, LeakyReLU, MaxPool2d, ReLU, Tanh
from npgan.losses import get_loss
from npgan.network import Network
from npgan.optimizers import get_optimizer
from npgan.penalties import POINTS, Draw, Penalized, get_penalty

N = 6


@pytest.fixture
def draw():
    return np.random.default_rng(0)


@pytest.fixture
def game():
    G = Network([Dense(5), Tanh(), Dense(3)], (2,), dtype="float64", seed=1, name="G")
    D = Network([Dense(5), Tanh(), Dense(1)], (3,), dtype="float64", seed=2, name="D")

    def make(loss):
        return Game(G, D, get_loss(loss), N)

    return make


def test_old_activations_with_new_weights(game, draw):
    g = game("minimax")
    g.generate(draw.normal(size=(N, 2)), None, 0)
    g.judge.forward(g.fake.y)
    with g.discriminator.write() as theta:
        theta *= 0.9
    with pytest.raises(StalePassError, match="old activations with new weights"):
        g.judge.backward(np.ones((N, 1)))


def test_the_signs_of_the_wasserstein_loss(game, draw):
    """D ascends mean D(x) - mean D(G(z)), G ascends mean D(G(z))."""
    g, x, z = game("wasserstein"), draw.normal(size=(N, 3)), draw.normal(size=(N, 2))
    out_d, out_g = np.empty(g.discriminator.size), np.empty(g.generator.size)

    def distance():
        return g.discriminator(x).mean() - g.discriminator(g.generator(z)).mean()

    g.generate(z, None, 0)
    assert g.discriminator_gradient(out_d, x, None, 0) == pytest.approx(-distance(), rel=1e-12)
    before = distance()
    with g.discriminator.write() as theta:
        theta -= 1e-4 * out_d
    assert distance() > before
    g.generate(z, None, 0)
    g.generator_gradient(out_g, None, 0)
    before = g.discriminator(g.generator(z)).mean()
    with g.generator.write() as theta:
        theta -= 1e-4 * out_g
    assert g.discriminator(g.generator(z)).mean() > before


def test_the_generator_sees_the_critic(game, draw):
    """Another critic gives G another gradient, and D's output gradient cannot be fed to G by broadcasting."""
    g, z = game("wasserstein"), draw.normal(size=(N, 2))
    first, second = np.empty(g.generator.size), np.empty(g.generator.size)
    g.generate(z, None, 0)
    g.generator_gradient(first, None, 0)
    with g.discriminator.write() as theta:
        theta += draw.normal(size=theta.size)
    g.generate(z, None, 0)
    g.generator_gradient(second, None, 0)
    assert np.linalg.norm(second - first) > 0.1 * np.linalg.norm(first)
    g.fake.forward(z)
    with pytest.raises(ShapeError, match="no broadcasting here"):
        g.fake.backward(np.ones((N, 1)))


def test_norms_and_interpolation_are_per_sample(draw):
    D = Network([Dense(4), LeakyReLU(), Dense(1)], (3,), dtype="float64", seed=1)
    x = draw.normal(size=(N, 3))
    p = D.new_pass(N)
    p.forward(x)
    norms = np.sqrt((p.backward(np.ones((N, 1))) ** 2).sum(axis=1))
    value = Penalized(get_penalty("wgan-gp", weight=1.0), D, N).at(x, np.empty(D.size))
    assert value == pytest.approx(np.mean((norms - 1) ** 2), rel=1e-12)
    real, fake = np.ones((N, 4, 4, 2)), np.zeros((N, 4, 4, 2))
    points = np.empty_like(real)
    backend = get_backend("reference")
    POINTS["interpolates"](points, real, fake, 0.0, Draw(backend.random(0), "test", 0, backend.kernels, np.empty(N)))
    assert (points == points[:, :1, :1, :1]).all()
    assert len(np.unique(points)) == N


@pytest.mark.parametrize("activation", [LeakyReLU(), Tanh()], ids=repr)
def test_a_penalty_is_right_for_curved_critics_too(activation, draw):
    D = Network([Dense(4), activation, Dense(1)], (3,), dtype="float64", seed=1)
    x, found = draw.normal(size=(N, 3)), np.empty(D.size)
    penalized = Penalized(get_penalty("r1"), D, N)
    penalized.at(x, found)
    theta, h = D.theta.copy(), 1e-6
    for j in range(D.size):
        moved = [theta.copy(), theta.copy()]
        moved[0][j] += h
        moved[1][j] -= h
        values = []
        for each in moved:
            D.load(each)
            values.append(penalized.at(x, np.empty(D.size)))
        assert found[j] == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_moments_have_the_weights_dtype_and_nan_goes_with_its_gradient(name):
    optimizer = get_optimizer(name, 4, "float64", **({"momentum": 0.9} if name == "sgd" else {}))
    assert all(moment.dtype == np.float64 for moment in optimizer.state().values())
    network = Network([Dense(1)], (2,), dtype="float64")
    gradient = np.full(network.size, np.nan)
    p = network.new_pass(N)
    p.forward(np.ones((N, 2)))
    p.backward(np.ones((N, 1)), dtheta=gradient)  # overwrites: not `*= 0` and `+=`
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_what_an_optimizer_remembers_is_not_the_gradient(name):
    options = {"momentum": 0.9} if name == "sgd" else {}
    aliased, kept = (get_optimizer(name, 3, "float64", **options) for _ in range(2))
    a, b, gradient = np.zeros(3), np.zeros(3), np.ones(3)
    aliased.step(a, gradient, 0.1)
    kept.step(b, np.ones(3), 0.1)
    gradient[:] = 1e6  # the caller's array is the caller's to reuse
    aliased.step(a, np.ones(3), 0.1)
    kept.step(b, np.ones(3), 0.1)
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("layer", [ReLU(), MaxPool2d(2)], ids=repr)
def test_references_take_complex_steps(layer, draw):
    shape = (4, 4, 2)
    network = Network([layer], shape, dtype="complex128", backend="reference")
    real = Network([layer], shape, dtype="float64", backend="reference")
    x, u = draw.normal(size=(2, N, *shape))
    p = real.new_pass(N, order=2)
    p.forward(x)
    stepped = network(x + 1j * 1e-20 * u)
    np.testing.assert_allclose(stepped.imag / 1e-20, p.rforward(u), rtol=1e-13)


def test_nan_is_not_swallowed(draw):
    for layer in (ReLU(), LeakyReLU(), MaxPool2d(2), BatchNorm()):
        x = draw.normal(size=(N, 4, 4, 2))
        x[2, 1, 1, 0] = np.nan
        with np.errstate(invalid="ignore"):
            assert np.isnan(Network([layer], (4, 4, 2), dtype="float64")(x)).any(), layer
