"""Spectral radii that are known, from the linearisation and from running the rule."""

import numpy as np
import pytest

from npgan.game import RULES, QuadraticGame, bilinear_game, dense, dirac_gan, get_rule
from npgan.study import map_spectrum, verify

ETA = 0.2
BILINEAR = [
    ("simultaneous", {}, 1.019804, np.sqrt(1 + ETA**2)),
    ("alternating", {}, 1.0, 1.0),
    ("extragradient", {}, 0.980612, np.sqrt(1 - ETA**2 + ETA**4)),
    ("consensus", {"gamma": 0.5}, 0.921954, np.sqrt((1 - ETA * 0.5) ** 2 + ETA**2)),
    ("competitive", {}, 0.980581, 1 / np.sqrt(1 + ETA**2)),
    ("hamiltonian", {}, 0.8, 1 - ETA),
    # x y with J = [[0, -1], [1, 0]]: Aᵀ v = Jᵀ v, as in consensus.
    ("symplectic", {"strength": 0.5}, 0.921954, np.sqrt((1 - ETA * 0.5) ** 2 + ETA**2)),
    # The other's step to first order: v - η Jᵀ(-v), extragradient's v(θ - η v) in a zero-sum game of this form.
    ("lola", {}, 0.980612, np.sqrt(1 - ETA**2 + ETA**4)),
    # λ² - (1 - 2iη) λ - iη = 0
    ("optimistic", {}, None, np.abs(np.roots([1, -(1 - 2j * ETA), -1j * ETA])).max()),
    ("extrapolation-from-past", {}, None, np.abs(np.roots([1, -(1 - 2j * ETA), -1j * ETA])).max()),
    ("lookahead", {"inner": "simultaneous", "k": 4, "alpha": 0.3}, None, abs(1 + 0.3 * ((1 + 1j * ETA) ** 4 - 1))),
]


@pytest.mark.parametrize("make", [bilinear_game, lambda: dirac_gan("wasserstein")], ids=["formulas", "networks"])
@pytest.mark.parametrize(("name", "options", "published", "formula"), BILINEAR, ids=str)
def test_the_bilinear_game(name, options, published, formula, make):
    """x·y, which is also what the Dirac-GAN is under the Wasserstein loss: networks, R-maps and all."""
    game = make()
    rule = get_rule(name, game, lr=ETA, **options)
    if published is not None:
        assert formula == pytest.approx(published, abs=1e-6)
    assert map_spectrum(rule, game).growth.max() == pytest.approx(formula, abs=1e-12)
    found = verify(rule, game)
    assert found.measured.radius == pytest.approx(formula, abs=1e-6)
    assert found.disagreement < 1e-6


DIRAC = [
    ("simultaneous", {}, 1.004988),
    ("alternating", {}, 1.0),
    # J's eigenvalues are ± i/2: the bilinear game's formulas with η/2, and Jᵀ J = ¼.
    ("extragradient", {}, np.sqrt(1 - 0.1**2 + 0.1**4)),
    ("consensus", {"gamma": 1.0}, np.sqrt((1 - ETA / 4) ** 2 + 0.1**2)),
    ("competitive", {}, 1 / np.sqrt(1 + 0.1**2)),
    ("hamiltonian", {}, 1 - ETA / 4),
    ("lola", {}, np.sqrt((1 - 0.1**2) ** 2 + 0.1**2)),
    ("optimistic", {}, np.abs(np.roots([1, -(1 - 0.2j), -0.1j])).max()),
    ("negative-momentum", {"beta": -0.5}, None),
    ("unrolled", {"k": 3}, None),
]


@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
@pytest.mark.parametrize(("name", "options", "radius"), DIRAC, ids=str)
def test_the_dirac_gan_of_networks(name, options, radius, loss):
    game = dirac_gan(loss)
    rule = get_rule(name, game, lr=ETA, **options)
    if radius is not None:
        assert map_spectrum(rule, game).growth.max() == pytest.approx(radius, abs=1e-6)
    found = verify(rule, game)
    assert found.measured.radius == pytest.approx(found.predicted.radius, abs=1e-6)
    assert found.disagreement < 1e-6
    assert found.drift == 0.0


@pytest.mark.parametrize("name", RULES)
def test_the_operator_keeps_the_rates_that_it_was_made_with(name):
    game = dirac_gan("minimax")
    rule = get_rule(name, game, lr=(0.2, 0.1))
    with rule.scaled(2.0):
        operator, expected = rule.operator(game), dense(get_rule(name, game, lr=(0.4, 0.2)).operator(game))
    np.testing.assert_allclose(dense(operator), expected, rtol=1e-13)
    assert np.abs(dense(rule.operator(game)) - expected).max() > 1e-3
    assert rule.rates == (0.2, 0.1)


def test_unrolling_damps_the_dirac_gan():
    """k steps of D ahead, each moving ψ by -ηθ/2 times a sign: what G's step then is, by hand."""
    game = dirac_gan("minimax")
    matrix = map_spectrum(get_rule("unrolled", game, lr=ETA, k=3), game)
    J = game.jacobian()
    b = J[0, 1]  # D's row; G's is -b
    # θ_G ← θ_G - η (-b ψ^K + (-η K b) c),  c = ∂L_G/∂ψ at the end = -b θ, ψ^K = ψ - η K b θ
    K = 3
    expected = np.array([[1, -ETA * b], [ETA * b, 1 - ETA * (ETA * K * b * b + ETA * K * b * b)]])
    np.testing.assert_allclose(sorted(np.abs(np.linalg.eigvals(expected))), sorted(matrix.growth), rtol=1e-12)


def test_every_rule_but_descent_turns_a_spiral_inwards():
    """In a game that rotates and neither contracts nor expands, at a small rate."""
    draw = np.random.default_rng(0)
    A = draw.normal(size=(3, 3))
    game = bilinear_game(A)
    for name in ("extragradient", "optimistic", "consensus", "symplectic", "hamiltonian", "competitive", "lola"):
        rule = get_rule(name, game, lr=0.05)
        assert map_spectrum(rule, game).growth.max() < 1
    assert map_spectrum(get_rule("simultaneous", game, lr=0.05), game).growth.max() > 1


def test_hamiltonian_descent_goes_to_a_maximum_and_alignment_does_not():
    """Where both players stand at their worst point, ‖v‖ is least all the same."""
    worst = QuadraticGame((1, 1), -np.eye(2) + [[0, 2], [2, 0]], -np.eye(2) - [[0, 2], [2, 0]], theta=[5.0, 3.0])
    found = {}
    for name, options in (
        ("hamiltonian", {}),
        ("symplectic", {}),
        ("symplectic", {"alignment": False}),
    ):
        game = worst.at(worst.theta)
        rule = get_rule(name, game, lr=0.02, **options)
        for _ in range(30):
            rule.step(game)
        found[name, *options] = np.linalg.norm(game.theta)
    assert found["hamiltonian",] < 2
    assert found["symplectic", "alignment"] < 5  # the adjustment, not aligned, goes there
    assert found["symplectic",] > 8
