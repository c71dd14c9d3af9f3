"""Verdicts in words: the numbers in them against closed forms."""

import numpy as np
import pytest

from npgan.game import QuadraticGame, bilinear_game, dirac_gan, get_rule
from npgan.penalties import get_penalty
from npgan.study import largest_step, least_penalty, verdict


def r1(gamma):
    return [get_penalty("r1", gamma=gamma)]


def test_an_unstable_one():
    game = dirac_gan()
    found = verdict(get_rule("simultaneous", game, lr=0.2), game, penalized=game.penalized(r1(1.0)))
    assert found.state == "unstable"
    assert found.step == 0.0
    assert found.participation == pytest.approx((0.5, 0.5))
    # |1 - ημ|² = 1 - ηγ + η²/4 < 1 from γ = η/4.
    assert found.penalty == pytest.approx(0.05, rel=1e-5)
    text = str(found)
    assert text.startswith("simultaneous with step size 0.2: unstable. The leading mode has radius 1.004988")
    assert "it grows twofold in 139.3 steps and turns once in 63.04 steps; D takes part with 50%, G with 50%." in text
    assert "No step size is stable, however small." in text
    assert "The penalty stabilises it from a strength of 0.05." in text


def test_a_marginal_one():
    game = dirac_gan()
    found = verdict(get_rule("alternating", game, lr=0.2), game, penalized=game.penalized(r1(1.0)))
    assert found.state == "marginal"
    assert found.step * 0.2 == pytest.approx(4.0, rel=1e-4)  # where the trace 2 - η²/4 of the map reaches -2
    text = str(found)
    assert "it neither grows nor shrinks" in text
    assert "Nothing grows up to a step size of 4 (20 times this one)." in text
    assert "The penalty stabilises it, however weak." in text


def test_a_stable_one():
    game = dirac_gan(penalties=r1(0.3))
    rule = get_rule("simultaneous", game, lr=0.2)
    found = verdict(rule, game, penalized=game.penalized(r1(1.3)))
    assert found.state == "stable"
    # 1 - ηγ + η²/4 = 1 at η = 4γ.
    assert found.step * 0.2 == pytest.approx(1.2, rel=1e-5)
    assert "it shrinks to half in" in str(found)
    assert "It needs no penalty." in str(found)
    assert rule.rates == (0.2, 0.2)


def test_a_defective_one():
    game = dirac_gan(penalties=r1(1.0))
    found = verdict(get_rule("simultaneous", game, lr=0.2), game)
    assert found.defective
    assert found.mode.radius == pytest.approx(0.9, abs=1e-6)
    assert "(the map is defective)" in str(found)
    assert "penalty" not in str(found)


def test_two_rates_and_still_modes():
    game = QuadraticGame((2, 1), np.diag([1.0, 0.0, 0.0]), np.diag([0.0, 0.0, 2.0]))
    found = verdict(get_rule("simultaneous", game, lr=(0.1, 0.2)), game)
    assert found.still == 1
    assert found.mode.radius == pytest.approx(0.9)
    assert found.step == pytest.approx(5.0, rel=1e-6)  # 2 / (2 · 0.2)
    text = str(found)
    assert "step sizes 0.1 of D and 0.2 of G" in text
    assert "1 of the 3 modes do not move" in text
    assert "Nothing grows up to a step size of 0.5 and 1 (5 times this one)." in text


def test_the_largest_step_of_descent():
    game = QuadraticGame((1, 1), np.diag([3.0, 0.0]), np.diag([0.0, 1.0]))
    assert largest_step(get_rule("simultaneous", game, lr=0.1), game) * 0.1 == pytest.approx(2 / 3, rel=1e-6)
    assert largest_step(get_rule("alternating", game, lr=0.1), game) * 0.1 == pytest.approx(2 / 3, rel=1e-6)
    heavy = get_rule("simultaneous", game, lr=0.1, optimizer_options={"momentum": 0.5})
    assert largest_step(heavy, game) * 0.1 == pytest.approx(2 * 1.5 / 3, rel=1e-5)  # 2 (1 + β) / L (Polyak 1964)
    still = QuadraticGame((1, 1), np.zeros((2, 2)), np.zeros((2, 2)))
    assert largest_step(get_rule("simultaneous", still), still) == np.inf


def test_a_penalty_that_does_not_help():
    game = bilinear_game()
    uphill = QuadraticGame.model(game, game.jacobian() - np.diag([1.0, 0.0]))
    rule = get_rule("simultaneous", game, lr=0.2)
    assert least_penalty(rule, game, uphill) == np.inf
    assert "stabilises it at no strength" in str(verdict(rule, game, penalized=uphill))


def test_a_network_with_few_modes_seen(mlp, batch_of):
    game = batch_of(mlp())
    rule = get_rule("alternating", game, lr=0.05)
    whole, part = verdict(rule, game), verdict(rule, game, k=3)
    assert part.mode.multiplier == pytest.approx(whole.mode.multiplier, abs=1e-8)
    assert f"Seen were the 3 leading modes of {game.size}." in str(part)
    assert "Seen were" not in str(whole)
    assert whole.size == game.size


def test_a_large_game_is_not_searched(quadratic):
    game = quadratic(400, 300)
    found = verdict(get_rule("simultaneous", game, lr=0.05), game, k=2)
    assert found.step is None
    assert "step size of" not in str(found)
    assert found.residual < 1e-7


@pytest.mark.parametrize("lr", [1e-5, 1e-2])
def test_the_verdict_does_not_depend_on_the_scale(lr):
    game = dirac_gan()
    assert verdict(get_rule("simultaneous", game, lr=lr), game).step == 0.0
    found = verdict(get_rule("alternating", game, lr=lr), game)
    assert found.step * lr == pytest.approx(4.0, rel=1e-3)
