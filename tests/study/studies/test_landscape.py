"""Slices and path angles: against the losses and the field at points that are known."""

from dataclasses import replace

import numpy as np
import pytest

from npgan.errors import ConfigError, NonFiniteError
from npgan.study.studies.directions import _pointed, _scaled
from npgan.study.studies.landscape import LANDSCAPE, _slice, landscape
from npgan.study.studies.toy import Toy

TINY = {"width": 4, "batch": 8, "steps": 9, "checkpoints": 10, "grid": 5, "arrows": 3, "penalty": "r1 gamma=0.1"}


@pytest.fixture(scope="module")
def found():
    return landscape(**TINY)


@pytest.fixture(scope="module")
def toy():
    made = Toy(width=4, batch=8, penalty="r1 gamma=0.1", lr=2e-3, activation="tanh", dtype="float64", order=2)
    for step in range(9):
        made.step(step)
    return made


def test_the_middle_is_the_end(found, toy):
    game = toy.point()
    for each in found.slices[:2]:
        assert each.axes[0][2] == each.axes[1][2] == 0
        assert (each.loss_d[2, 2], each.loss_g[2, 2]) == pytest.approx(game.losses(), rel=1e-12)
        np.testing.assert_allclose(each.path[-1], 0, atol=1e-12)
        for lowest, loss in zip(each.lowest, (each.loss_d, each.loss_g), strict=True):
            assert lowest == (loss[2, 2] <= loss.min() + 0.01 * np.ptp(loss))
        # An arrow is the field on the plane: no longer than the field.
        assert np.linalg.norm(each.arrows[1, 1]) <= np.linalg.norm(game.gradient()) * (1 + 1e-12)


def test_the_runs_plane_holds_most_of_it(found):
    each = found.slices[2]
    assert each.explained > 0.5
    assert len(each.path) == len(found.steps) == 10
    assert sum(part.explained <= each.explained + 1e-12 for part in found.slices) == 3


def test_arrows_lead_down_each_players_own_loss(toy):
    game = toy.point()
    end, (p_d, _) = game.theta, game.sizes
    d1, d2 = np.zeros(game.size), np.zeros(game.size)
    d1[2], d2[p_d + 1] = 1, 1  # a weight of D, and one of G
    found = _slice("", "", game, end, np.stack([end + d1, end]), d1, d2, 1e-4, 3, 1)
    assert found.part_d == (1.0, 0.0)
    slopes = (found.loss_d[2, 1] - found.loss_d[0, 1]) / 2e-4, (found.loss_g[1, 2] - found.loss_g[1, 0]) / 2e-4
    np.testing.assert_allclose(found.arrows[0, 0], [-slopes[0], -slopes[1]], rtol=1e-5)


def test_a_random_direction_is_scaled_like_each_array_of_weights(toy):
    """Li et al. (2018), "Visualizing the loss landscape of neural nets", section 4, an array at a time."""
    end = toy.point().theta
    direction = _scaled(toy, np.random.default_rng(0), end)
    start, lengths = 0, []
    for network in (toy.game.discriminator, toy.game.generator):
        for low, high in network.layout.ranges().values():
            part = slice(start + low, start + high)
            lengths.append((np.linalg.norm(direction[part]), np.linalg.norm(end[part])))
        start += network.size
    ours, theirs = np.array(lengths).T
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert np.ptp(theirs) > 0.1


def test_path_angle(found, toy):
    game = toy.point()
    first = found.angles[0]
    assert first.step == 0
    last = int(np.argmin(np.abs(first.along - 1)))
    start = Toy(width=4, batch=8, activation="tanh", dtype="float64").point().theta
    line = game.theta - start
    v = game.gradient()
    assert first.norm[last] == pytest.approx(np.linalg.norm(v), rel=1e-9)
    assert first.cosine[last] == pytest.approx(-(v @ line) / np.linalg.norm(v) / np.linalg.norm(line), rel=1e-7)


def test_the_text(found):
    text = LANDSCAPE.tell(found)
    assert "From step 0: the cosine of the path angle is" in text
    assert "Eigenvectors: the" in text
    for lowest, said in (
        ((True, True, True), "loss on every slice."),
        ((False, True, False), "loss only on these slices: eigenvectors."),
        ((False, False, False), "loss on none of the slices."),
    ):
        slices = [replace(each, lowest=(own, False)) for each, own in zip(found.slices, lowest, strict=True)]
        text = LANDSCAPE.tell(replace(found, slices=slices))
        assert f"The end is the lowest point of D's {said}" in text
        assert "The end is the lowest point of G's loss on none of the slices." in text


def test_weights_that_overflow():
    with pytest.raises(NonFiniteError):
        landscape(**{**TINY, "lr": 1e200})


def test_nonsense():
    for settings, message in (({"grid": 1}, "grid is 1"), ({"checkpoints": 2}, "checkpoints"), ({"reach": 0}, "reach")):
        with pytest.raises(ConfigError, match=message):
            landscape(**{**TINY, **settings})


def test_directions_have_a_sign_of_their_own():
    direction = np.array([0.3, -0.9, 0.2])
    np.testing.assert_array_equal(_pointed(direction), -direction)
    np.testing.assert_array_equal(_pointed(-direction), -direction)
