"""A player's limits and its update."""

import numpy as np
import pytest

from npgan.optimizers import Ema


def test_the_gradient_is_the_networks(table):
    made = table()
    player = made.player(made.G)
    assert player.gradient is made.G.grad


def test_no_limit(table):
    player = table().player(table().G)
    player.gradient[:] = 2.0
    assert player.clip() == pytest.approx(2 * np.sqrt(player.gradient.size))
    assert (player.gradient == 2).all()


def test_the_norm(table):
    player = table().player(table().G, clip_norm=1.0)
    player.gradient[:] = np.random.default_rng(0).normal(size=player.gradient.size)
    before = player.gradient.copy()
    assert player.clip() == pytest.approx(np.linalg.norm(before))
    np.testing.assert_allclose(player.gradient, before / np.linalg.norm(before), rtol=1e-14)
    short = player.gradient * 0.5
    player.gradient[:] = short
    player.clip()
    np.testing.assert_array_equal(player.gradient, short)


def test_the_elements_come_first(table):
    player = table().player(table().G, clip_value=0.5, clip_norm=1.0)
    player.gradient[:] = 0
    player.gradient[:2] = 3.0, -0.25
    assert player.clip() == pytest.approx(np.hypot(3, 0.25))
    assert player.gradient[:3].tolist() == [0.5, -0.25, 0]
    player.gradient[:] = 5.0
    player.clip()
    np.testing.assert_allclose(np.linalg.norm(player.gradient), 1.0)


@pytest.mark.parametrize("limits", [{}, {"clip_norm": 1.0}, {"clip_value": 1.0}, {"clip_norm": 1.0, "clip_value": 1.0}])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_visible(table, limits, value):
    player = table().player(table().G, **limits)
    player.gradient[:] = 1.0
    player.gradient[3] = value
    assert not np.isfinite(player.clip())


def test_the_update(table):
    made = table()
    player = made.player(made.G, lr=0.25)
    before, version = made.G.theta.copy(), made.G.version
    player.gradient[:] = np.arange(made.G.size)
    player.update(0)
    np.testing.assert_allclose(made.G.theta, before - 0.25 * np.arange(made.G.size), rtol=1e-14)
    assert made.G.version == version + 1


def test_the_rate_is_of_the_step(table):
    made = table()
    player = made.player(made.G)
    player.rate = lambda step: 1.0 / (1 + step)
    player.gradient[:] = 1.0
    before = made.G.theta.copy()
    player.update(0)
    player.update(3)
    np.testing.assert_allclose(made.G.theta, before - 1.25, rtol=1e-12, atol=1e-14)


def test_weights_are_clipped_after_the_update_and_before_the_average(table):
    made = table()
    ema = Ema(made.G.size, "float64", decay=0.5)
    player = made.player(made.G, clip_weights=0.01, ema=ema)
    seen = []
    ema.update = lambda theta: seen.append(theta.copy())
    player.gradient[:] = -1.0
    player.update(0)
    assert np.abs(made.G.theta).max() == 0.01
    np.testing.assert_array_equal(seen, [made.G.theta])
