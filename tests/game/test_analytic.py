"""Games with formulas: the formulas agree with each other, and with what is known of the games."""

import numpy as np
import pytest

from npgan.errors import ConfigError, NonFiniteError, ShapeError
from npgan.game import GaussianGame, QuadraticGame, bilinear_game, dirac_gan

draw = np.random.default_rng(0)


def quadratic():
    A, B = draw.normal(size=(2, 5, 5))
    return QuadraticGame((2, 3), A, B, *draw.normal(size=(2, 5)), theta=draw.normal(size=5))


def gaussian(**options):
    root = draw.normal(size=(3, 3))
    game = GaussianGame(draw.normal(size=3), root @ root.T, **options)
    game.load(draw.normal(size=game.size))
    return game


GAMES = {
    "quadratic": quadratic,
    "bilinear": lambda: bilinear_game(draw.normal(size=(3, 2)), draw.normal(size=5)),
    "gaussian": lambda: gaussian(ridge=0.3),
    "gaussian, narrow": lambda: gaussian(latent=2),
}


@pytest.mark.parametrize("name", GAMES)
def test_losses_gradients_and_products_agree(name, differences):
    game = GAMES[name]()
    J, d = game.jacobian(), game.sizes[0]
    scale = np.abs(J).max()
    np.testing.assert_allclose(J, differences(lambda g: g.gradient(), game), atol=1e-9 * scale)
    np.testing.assert_allclose(np.stack([game.vjp(row) for row in np.eye(game.size)]), J, atol=1e-14 * scale)
    by_d, by_g = differences(lambda g: g.losses(), game)
    np.testing.assert_allclose(game.gradient(), np.concatenate([by_d[:d], by_g[d:]]), atol=1e-8 * scale)
    np.testing.assert_allclose(game.cross_gradient(), np.concatenate([by_g[:d], by_d[d:]]), atol=1e-8 * scale)


@pytest.mark.parametrize("name", GAMES)
def test_elsewhere_is_independent(name):
    game = GAMES[name]()
    theta, v = game.theta, game.gradient()
    twin = game.at(theta + 1)
    assert np.abs(twin.gradient() - v).max() > 1e-6
    np.testing.assert_array_equal(game.gradient(), v)
    np.testing.assert_array_equal(game.at(theta).gradient(), v)
    np.testing.assert_array_equal(twin.theta, theta + 1)


def test_the_bilinear_game_only_rotates():
    A = draw.normal(size=(3, 2))
    J = bilinear_game(A).jacobian()
    np.testing.assert_array_equal(J, -J.T)
    np.testing.assert_allclose(J[:2, 2:], -A.T)
    game = bilinear_game(A, np.arange(5.0))
    y, x = np.arange(2.0), np.arange(2.0, 5.0)
    assert game.losses() == pytest.approx((-x @ A @ y, x @ A @ y))


def test_the_bilinear_game_is_the_diracs_under_wasserstein():
    # G's x meets D's y through L_G = -(x y): the same game with y turned round.
    np.testing.assert_allclose(dirac_gan("wasserstein").jacobian(), bilinear_game(-1.0).jacobian(), atol=1e-15)


def test_the_gaussian_games_equilibrium():
    game = gaussian(ridge=0.5)
    rest = game.at(game.equilibrium())
    np.testing.assert_allclose(rest.gradient(), 0, atol=1e-14)
    values = np.linalg.eigvals(-rest.jacobian())
    assert values.real.max() < 1e-12  # with 0 where W is not symmetric, or B turns
    free = GaussianGame(game.mean, game.covariance)
    values = np.linalg.eigvals(free.at(free.equilibrium()).jacobian())
    np.testing.assert_allclose(values.real, 0, atol=1e-7)
    assert np.abs(values.imag).max() > 0.1
    with pytest.raises(ShapeError, match="latent is 2, expected 3"):
        gaussian(latent=2).equilibrium()


def test_a_model_has_the_jacobian_and_rests_at_zero():
    game = gaussian(ridge=0.2)
    model = QuadraticGame.model(game)
    np.testing.assert_allclose(model.jacobian(), game.jacobian(), atol=1e-14)
    np.testing.assert_array_equal(model.gradient(), 0)
    assert model.sizes == game.sizes


def test_float32():
    game = QuadraticGame((1, 1), np.eye(2), np.eye(2), theta=[1.0, 2.0], dtype="float32")
    for array in (game.theta, game.gradient(), game.jvp(np.ones(2, "float32")), game.jacobian()):
        assert array.dtype == np.float32


def test_refusals():
    with pytest.raises(ShapeError, match=r"L_G has arrays \(3, 3\) and \(2,\), expected \(2, 2\) and \(2,\)"):
        QuadraticGame((1, 1), np.eye(2), np.eye(3))
    with pytest.raises(ConfigError, match="players is 0"):
        QuadraticGame((0, 1), np.eye(1), np.eye(1))
    with pytest.raises(ShapeError, match=r"mean is \(2,\), covariance \(3, 3\)"):
        GaussianGame(np.zeros(2), np.eye(3))
    with pytest.raises(NonFiniteError, match="the gradient of D is not finite"):
        bilinear_game(1.0, [1.0, np.nan]).gradient()
