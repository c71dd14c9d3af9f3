"""Zeros of the field: found where they are known to be, and of networks; and said where there are none."""

import numpy as np
import pytest

from npgan.errors import ConfigError, ConvergenceError
from npgan.game import AnalyticGame, GaussianGame, QuadraticGame, bilinear_game, dirac_gan
from npgan.penalties import get_penalty
from npgan.study import find_equilibrium


@pytest.mark.parametrize("loss", ["minimax", "non-saturating", "wasserstein"])
def test_the_dirac_gan(loss):
    game = dirac_gan(loss, penalties=[get_penalty("r1", gamma=0.3)], theta=(0.5, -0.4))
    found = find_equilibrium(game)
    np.testing.assert_allclose(found.theta, 0.0, atol=1e-8)
    np.testing.assert_array_equal(game.theta, found.theta)
    assert found.distance == pytest.approx(np.hypot(0.5, 0.4))
    assert found.residual <= 1e-10
    assert 0 < found.iterations < 20


def test_the_gaussian_game():
    covariance = np.array([[1.0, 0.3], [0.3, 0.5]])
    game = GaussianGame(np.array([1.0, -0.5]), covariance, ridge=0.3)
    game.load(game.equilibrium() + 0.05 * np.random.default_rng(0).normal(size=game.size))
    found = find_equilibrium(game)
    B, c = found.theta[6:10].reshape(2, 2), found.theta[10:]
    np.testing.assert_allclose(B @ B.T, covariance, atol=1e-8)  # B itself may turn
    np.testing.assert_allclose(c, [1.0, -0.5], atol=1e-8)
    np.testing.assert_allclose(found.theta[:6], 0.0, atol=1e-8)


def test_networks(mlp, batch_of):
    game = batch_of(mlp(width=3), seed=2)
    start = np.linalg.norm(game.gradient())
    found = find_equilibrium(game)
    assert np.linalg.norm(game.gradient()) == found.residual <= 1e-10 < start


def test_float32(mlp, batch_of):
    game = batch_of(mlp(width=3, dtype="float32"), seed=2)
    found = find_equilibrium(game)
    assert found.residual <= 1e-5
    assert found.theta.dtype == np.float32


def test_at_one_already():
    found = find_equilibrium(bilinear_game())
    assert (found.iterations, found.residual, found.distance) == (0, 0.0, 0.0)


class Flat(AnalyticGame):
    """v = arctan θ: away from 0 Newton's step goes far past it, and ever farther."""

    def at(self, theta):
        return Flat(self.sizes, theta)

    def losses(self):
        d, g = self.theta * np.arctan(self.theta) - np.log1p(self.theta**2) / 2
        return d, g

    def _slope(self, loss, player):
        return np.arctan(self.theta[player : player + 1]) * (loss == player)

    def _jvp(self, u, rows):
        d, g = (part / (1 + t**2) for part, t in zip(u, self.theta, strict=True))
        return (d if rows[0] else None), (g if rows[1] else None)

    _vjp = _jvp


def test_a_step_that_leads_astray_is_taken_back():
    sizes = []
    for iterations in range(1, 12):
        game = Flat((1, 1), [3.0, -5.0])
        with pytest.raises(ConvergenceError):
            find_equilibrium(game, iterations=iterations, tol=1e-300, damping=1e-9)
        sizes.append(np.linalg.norm(game.gradient()))
    assert sizes[0] <= np.hypot(np.arctan(3), np.arctan(5))
    assert (np.diff(sizes) <= 0).all()
    assert (np.diff(sizes) == 0).any()  # some were
    assert find_equilibrium(game).residual < 1e-10


def test_where_there_is_none():
    game = QuadraticGame((1, 1), np.zeros((2, 2)), np.diag([0.0, 1.0]), a=[1.0, 0.0])
    with pytest.raises(ConvergenceError, match=r"no zero of the field was found: \|v\| is 1 after 30 iterations"):
        find_equilibrium(game, iterations=30)
    assert abs(game.gradient("G")[0]) < 1e-6  # the best point there is
    far = dirac_gan(penalties=[get_penalty("r1", gamma=0.3)], theta=(0.5, -0.4))
    with pytest.raises(ConvergenceError, match="after 1 iterations, expected 1e-10"):
        find_equilibrium(far, iterations=1)
    with pytest.raises(ConfigError, match="tol is 0"):
        find_equilibrium(far, tol=0)
