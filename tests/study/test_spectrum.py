"""Spectra of games and update maps: the numbers, who takes part, and how batches differ."""

import numpy as np
import pytest

from npgan.errors import ConfigError, NonFiniteError, SecondOrderError
from npgan.game import Game, QuadraticGame, bilinear_game, dense, dirac_gan, get_rule
from npgan.losses import get_loss
from npgan.penalties import get_penalty
from npgan.study import flow_spectrum, map_spectrum, spread


def test_the_flow_is_minus_the_jacobian(mlp, batch_of):
    game = batch_of(mlp())
    found = flow_spectrum(game)
    expected = np.linalg.eigvals(-game.jacobian())
    np.testing.assert_allclose(np.sort_complex(found.values), np.sort_complex(expected), atol=1e-12)
    assert (np.diff(found.growth) <= 1e-12).all()
    np.testing.assert_array_equal(found.growth, found.values.real)
    leading = flow_spectrum(game, 3)
    np.testing.assert_allclose(leading.growth, found.growth[:3], atol=1e-8)
    np.testing.assert_allclose(leading.participation[0], found.participation[0], atol=1e-6)


def test_closed_forms_of_the_dirac_gan():
    found = flow_spectrum(dirac_gan(penalties=[get_penalty("r1", gamma=0.3)]))
    np.testing.assert_allclose(found.values, [-0.15 + 0.4769696j, -0.15 - 0.4769696j], atol=1e-7)
    np.testing.assert_allclose(found.periods, 2 * np.pi / 0.4769696, rtol=1e-6)
    np.testing.assert_allclose(found.participation, 0.5)
    defective = flow_spectrum(dirac_gan(penalties=[get_penalty("r1", gamma=1.0)])).eigen
    assert defective.defective
    assert defective.trace == pytest.approx(-1.0, abs=1e-12)
    assert defective.determinant == pytest.approx(0.25, abs=1e-12)


def test_the_update_map(mlp, batch_of):
    game = batch_of(mlp())
    rule = get_rule("alternating", game, lr=0.1, optimizer_options={"momentum": 0.5})
    found = map_spectrum(rule, game)
    expected = np.linalg.eigvals(dense(rule.operator(game)))
    np.testing.assert_allclose(np.sort(np.abs(found.values)), np.sort(np.abs(expected)), atol=1e-12)
    np.testing.assert_array_equal(found.growth, np.abs(found.values))
    assert found.participation.shape == (2 * game.size, 2)
    np.testing.assert_allclose(found.participation.sum(axis=1), 1.0)
    np.testing.assert_allclose(map_spectrum(rule, game, 4).growth, found.growth[:4], atol=1e-8)


def test_who_takes_part():
    """Players that do not see each other have their own modes."""
    A, B = np.diag([1.0, 2.0, 0.0]), np.diag([0.0, 0.0, 3.0])
    found = flow_spectrum(QuadraticGame((2, 1), A, B))
    np.testing.assert_allclose(found.values, [-1.0, -2.0, -3.0])
    np.testing.assert_allclose(found.participation, [[1, 0], [1, 0], [0, 1]], atol=1e-14)
    assert np.isinf(found.periods).all()


def test_shares_are_of_squared_lengths():
    V = np.array([[0.6, 1.0], [0.8, 0.0]])
    game = QuadraticGame.model(bilinear_game(), V @ np.diag([1.0, 2.0]) @ np.linalg.inv(V))
    found = flow_spectrum(game)
    np.testing.assert_allclose(found.values, [-1.0, -2.0])
    np.testing.assert_allclose(found.participation, [[0.36, 0.64], [1.0, 0.0]], atol=1e-14)


def test_what_moves():
    A, B = np.diag([1.0, 0.0, 0.0]), np.diag([0.0, 0.0, 1e-3])
    game = QuadraticGame((2, 1), A, B)
    assert flow_spectrum(game).moving.sum() == 2
    for lr in (1e-6, 1.0):
        found = map_spectrum(get_rule("simultaneous", game, lr=lr), game)
        assert found.moving.sum() == 2
        assert found.values[~found.moving] == [1.0]
    assert not flow_spectrum(QuadraticGame((1, 1), np.zeros((2, 2)), np.zeros((2, 2)))).moving.any()


def test_periods_of_multipliers():
    game = dirac_gan("wasserstein")
    found = map_spectrum(get_rule("simultaneous", game, lr=0.2), game)
    np.testing.assert_allclose(found.periods, 2 * np.pi / np.arctan(0.2), rtol=1e-12)


def test_spread_over_batches(mlp, batch_of):
    game = mlp()
    batches = [batch_of(game, seed) for seed in range(4)]
    found = spread(batches)
    expected = [np.linalg.eigvals(-each.jacobian()).real.max() for each in batches]
    np.testing.assert_allclose(found.growth, expected, atol=1e-12)
    assert found.mean == pytest.approx(np.mean(expected))
    assert found.deviation == pytest.approx(np.std(expected, ddof=1))
    assert found.stable == np.mean(np.array(expected) < 0)
    assert found.values.shape == (4, game.generator.size + game.discriminator.size)
    rule = get_rule("simultaneous", batches[0], lr=0.05)
    maps = spread(batches, 2, rule=rule)
    assert maps.values.shape == (4, 2)
    assert maps.stable == np.mean(maps.growth < 1)
    assert np.isnan(spread(batches[:1]).deviation)
    with pytest.raises(ConfigError, match="no games were given"):
        spread([])


def test_the_share_that_is_stable():
    """One of three has a mode that grows; directions that change nothing are as stable here as in a verdict."""

    def game(curvature):
        return QuadraticGame((2, 1), np.diag([curvature, 0.0, 0.0]), np.diag([0.0, 0.0, 1.0]))

    games = [game(2.0), game(-0.5), game(0.5)]
    found = spread(games)
    assert found.stable == pytest.approx(2 / 3)
    np.testing.assert_allclose(found.growth, [-1.0, 0.5, -0.5])
    maps = spread(games, rule=get_rule("simultaneous", games[0], lr=0.1))
    assert maps.stable == pytest.approx(2 / 3)
    np.testing.assert_allclose(maps.growth, [0.9, 1.05, 0.95])
    nothing = QuadraticGame((1, 1), np.zeros((2, 2)), np.zeros((2, 2)))
    assert spread([nothing]).stable == 0
    assert spread([nothing]).growth == [0.0]


def test_a_bad_point_is_named(mlp):
    game = mlp()
    x = np.ones((6, 2))
    x[1, 1] = np.nan
    bad = game.on(x, np.ones((6, 2)))
    for call in (lambda: flow_spectrum(bad), lambda: map_spectrum(get_rule("simultaneous", bad), bad, 2)):
        with pytest.raises(NonFiniteError, match=r"the gradient of D: D/0 Dense: x of forward is nan at \(1, 1\)"):
            call()


def test_an_unknown_option_is_named(mlp, batch_of):
    game = batch_of(mlp())
    rule = get_rule("simultaneous", game)
    for call in (
        lambda: flow_spectrum(game, 2, oder="real"),
        lambda: map_spectrum(rule, game, oder="real"),
        lambda: spread([game], oder="real"),
    ):
        with pytest.raises(ConfigError, match="solver 'eigen' has no option 'oder'; did you mean 'order'"):
            call()


def test_a_game_without_second_order_says_so(mlp):
    game = mlp()
    first = Game(game.generator, game.discriminator, get_loss("minimax"), 6).on(np.ones((6, 2)), np.ones((6, 2)))
    for call in (lambda: flow_spectrum(first), lambda: map_spectrum(get_rule("simultaneous", first), first)):
        with pytest.raises(SecondOrderError, match="order=2"):
            call()
