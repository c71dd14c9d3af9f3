"""What the linearisation predicts is what the rule then does."""

import numpy as np
import pytest

from npgan.errors import ConfigError, NonFiniteError
from npgan.game import QuadraticGame, bilinear_game, dirac_gan, get_rule
from npgan.penalties import get_penalty
from npgan.study import Mode, find_equilibrium, map_spectrum, verify

RULES = [
    ("simultaneous", {"lr": 0.2}),
    ("simultaneous", {"lr": (0.2, 0.05)}),
    ("simultaneous", {"lr": 0.2, "optimizer_options": {"momentum": -0.3}}),
    ("alternating", {"lr": 0.2}),
    ("alternating", {"lr": 0.2, "n_critic": 3}),
    ("alternating", {"lr": 0.2, "optimizer_options": {"momentum": -0.5}}),
]


@pytest.mark.parametrize(("name", "options"), RULES, ids=str)
@pytest.mark.parametrize("gamma", [0.0, 0.3])
@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
def test_the_dirac_gan_does_as_foretold(name, options, gamma, loss):
    game = dirac_gan(loss, penalties=[get_penalty("r1", gamma=gamma)] if gamma else [])
    rule = get_rule(name, game, **options)
    found = verify(rule, game)
    assert found.disagreement < 1e-7
    assert found.measured.radius == pytest.approx(found.predicted.radius, abs=1e-7)
    assert found.measured.period == pytest.approx(found.predicted.period, rel=1e-6)
    assert found.misfit < 1e-6
    assert found.drift == 0.0
    np.testing.assert_array_equal(game.theta, 0.0)
    assert not rule._own(game).size
    # By hand: the distance after all steps of a mode is that before, times the radius as often, up to the ellipse.
    ratio = found.distances[-1] / found.distances[0]
    assert abs(np.log(ratio) - found.steps * np.log(found.predicted.radius)) < 1.5


def test_the_verification_measures_and_does_not_repeat():
    """With a prediction that is of another rule, the measurement stays that of the run."""
    game = dirac_gan()
    wrong = map_spectrum(get_rule("simultaneous", game, lr=0.1), game)
    found = verify(get_rule("simultaneous", game, lr=0.2), game, spectrum=wrong)
    assert found.predicted.radius == pytest.approx(np.hypot(1, 0.05))
    assert found.measured.radius == pytest.approx(np.hypot(1, 0.1), abs=1e-7)
    assert found.disagreement > 1e-2


def test_a_mode_that_does_not_turn():
    game = QuadraticGame((1, 1), np.diag([1.0, 0.0]), np.diag([0.0, 0.5]))
    rule = get_rule("simultaneous", game, lr=0.1)
    found = verify(rule, game)
    assert found.predicted.radius == pytest.approx(0.95)
    assert np.isinf(found.measured.period)
    other = verify(rule, game, mode=1)
    assert other.measured.radius == pytest.approx(0.9, abs=1e-9)


@pytest.mark.parametrize(("name", "options"), [*RULES[::2], RULES[3]], ids=str)
def test_networks_at_their_equilibrium(mlp, batch_of, name, options):
    """A GAN of real networks: Newton's method takes it to a zero of its field, and the rule then does as foretold."""
    game = batch_of(mlp(width=3), seed=2)
    start = get_rule("alternating", game, lr=0.05)
    for _ in range(300):
        start.step(game)
    find_equilibrium(game)
    rule = get_rule(name, game, **options)
    spectrum = map_spectrum(rule, game)
    turning = int(np.argmin(np.where(spectrum.growth > 0.5, spectrum.periods, np.inf)))
    for mode in (None, turning):
        found = verify(rule, game, spectrum=spectrum, mode=mode)
        assert found.disagreement < 1e-5
        assert found.misfit < 1e-4
        assert found.drift < 1e-6
    assert 4 < found.predicted.period < 1e3
    assert found.measured.period == pytest.approx(found.predicted.period, rel=1e-4)


def test_away_from_an_equilibrium_the_drift_is_said(mlp, batch_of):
    game = batch_of(mlp(width=2, loss="least-squares"), seed=3)
    J = game.jacobian()
    rule = get_rule("alternating", game, lr=0.2)
    found = verify(rule, game, steps=60, size=1e-7)
    assert found.drift > 0.1
    assert found.misfit > 0.01
    assert "the run from the point itself moved by" in str(found)
    np.testing.assert_array_equal(game.jacobian(), J)


def test_frozen_adam_near_a_minimum():
    """Adam whose second moments hardly change is the linear map that was predicted."""
    game = QuadraticGame((1, 1), np.array([[1.0, 1.0], [1.0, 0.0]]), np.array([[0.0, -1.0], [-1.0, 0.5]]))
    rule = get_rule("simultaneous", game, lr=0.01, optimizer="adam", optimizer_options={"betas": (0.5, 1 - 1e-13)})
    for optimizer, v in zip(rule.optimizers, (0.04, 0.25), strict=True):
        optimizer.load_state({"m": np.zeros(1), "v": np.full(1, v)}, 10**15)
    found = verify(rule, game)
    assert found.disagreement < 1e-6
    assert [each.t for each in rule.optimizers] == [10**15] * 2
    assert all(each.state()["m"] == 0 for each in rule.optimizers)


def test_words():
    game = dirac_gan()
    text = str(verify(get_rule("simultaneous", game, lr=0.2), game))
    assert "predicted: radius 1.004988, a turn in 63.0407 steps" in text
    assert "measured:  radius 1.004988, a turn in 63.0407 steps (over 189 steps)" in text
    assert "the multipliers differ by" in text
    assert "moved by" not in text
    assert str(Mode(0.5 + 0j)) == "radius 0.500000, no rotation"
    assert Mode(-0.5 + 0j).period == 2.0


def test_refusals():
    game = bilinear_game()
    rule = get_rule("simultaneous", game, lr=0.2)
    with pytest.raises(ConfigError, match="mode is 2, but the spectrum has 2"):
        verify(rule, game, mode=2)
    with pytest.raises(ConfigError, match="size is 0"):
        verify(rule, game, size=0)
    with pytest.raises(ConfigError, match="none of the 2 modes moves"):
        verify(get_rule("simultaneous", game, lr=0.0), game)
    fast = get_rule("simultaneous", game, lr=1e5)
    with pytest.raises(ConfigError, match="only 1 points of the run are near enough to be linear"):
        verify(fast, game)
    blown = dirac_gan("least-squares", theta=(1.0, 1.0))
    with pytest.raises(NonFiniteError, match=r"step \d+ of the verifying run"), np.errstate(all="ignore"):
        verify(get_rule("simultaneous", blown, lr=1e3), blown)
