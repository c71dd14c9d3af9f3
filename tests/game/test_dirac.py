"""The Dirac-GAN through networks and R-maps, against its closed forms (Mescheder, Geiger and Nowozin 2018)."""

import math

import numpy as np
import pytest

from npgan.game import dense, dirac_gan, get_rule
from npgan.game.dirac import Shift
from npgan.gradcheck import check
from npgan.penalties import get_penalty


def eigenvalues(game):
    """Of -J, the upper one first."""
    return sorted(np.linalg.eigvals(-game.jacobian()), key=lambda value: (-value.imag, -value.real))


def pair(trace, determinant):
    """Both roots of λ² - trace λ + determinant."""
    root = np.sqrt(complex(trace**2 / 4 - determinant))
    return [trace / 2 + root, trace / 2 - root]


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize(
    ("loss", "penalty", "noise", "expected"),
    [
        ("minimax", None, 0.0, [0.5j, -0.5j]),
        ("non-saturating", None, 0.0, [0.5j, -0.5j]),
        ("wasserstein", None, 0.0, [1j, -1j]),
        ("minimax", ("r1", 0.3), 0.0, [-0.15 + 0.4769696j, -0.15 - 0.4769696j]),
        ("non-saturating", ("r1", 0.3), 0.0, pair(-0.3, 0.25)),
        ("non-saturating", ("r2", 0.3), 0.0, pair(-0.3, 0.25)),
        ("non-saturating", ("zero-centred", 0.3), 0.0, pair(-0.3, 0.25)),
        ("non-saturating", ("r1", 3.0), 0.0, pair(-3.0, 0.25)),
        ("minimax", None, 0.7, [-0.1225 + 0.48476154j, -0.1225 - 0.48476154j]),
        ("non-saturating", None, 0.7, pair(-0.245, 0.25)),
        ("non-saturating", ("r1", 0.4), 0.7, pair(-0.245 - 0.4, 0.25)),
    ],
)
def test_eigenvalues(loss, penalty, noise, expected, backend):
    penalties = [get_penalty(penalty[0], gamma=penalty[1])] if penalty else []
    game = dirac_gan(loss, penalties=penalties, noise=noise, backend=backend)
    np.testing.assert_array_equal(game.gradient(), 0.0)
    np.testing.assert_allclose(eigenvalues(game), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
def test_the_defective_one(loss):
    J = -dirac_gan(loss, penalties=[get_penalty("r1", gamma=1.0)]).jacobian()
    assert np.trace(J) == pytest.approx(-1.0, abs=1e-12)
    assert np.linalg.det(J) == pytest.approx(0.25, abs=1e-12)


@pytest.mark.parametrize("one_sided", [True, False])
def test_a_penalty_with_a_target_does_nothing_where_d_is_flat(one_sided):
    """WGAN-GP's norm has a kink at the equilibrium, where its gradient is taken as 0: there is nothing to stabilise."""
    game = dirac_gan("wasserstein", penalties=[get_penalty("wgan-gp", one_sided=one_sided)])
    np.testing.assert_allclose(eigenvalues(game), [1j, -1j], atol=1e-12)


@pytest.mark.parametrize(
    ("rule", "loss", "radius"),
    [
        ("simultaneous", "minimax", 1.004988),
        ("simultaneous", "minimax", math.hypot(1, 0.1)),
        ("alternating", "minimax", 1.0),
        ("alternating", "non-saturating", 1.0),
        ("simultaneous", "wasserstein", 1.019804),
        ("simultaneous", "wasserstein", math.hypot(1, 0.2)),
        ("alternating", "wasserstein", 1.0),
    ],
)
def test_update_maps(rule, loss, radius):
    game = dirac_gan(loss)
    matrix = dense(get_rule(rule, game, lr=0.2).operator(game))
    assert np.abs(np.linalg.eigvals(matrix)).max() == pytest.approx(radius, abs=1e-6)
    if rule == "alternating":  # a rotation in skew coordinates, for every step size below 4
        assert np.linalg.det(matrix) == pytest.approx(1.0, abs=1e-12)


def test_the_field_away_from_the_equilibrium():
    """v = (θ f'(ψθ), -ψ f'(ψθ)) with f'(t) = 1 / (1 + e^-t), by the loss written out."""
    psi, theta = 0.7, -1.3
    slope = 1 / (1 + math.exp(-psi * theta))
    game = dirac_gan("minimax", theta=(psi, theta))
    np.testing.assert_allclose(game.gradient(), [theta * slope, -psi * slope], rtol=1e-14)
    assert game.losses()[0] == pytest.approx(math.log(2) + math.log1p(math.exp(psi * theta)), rel=1e-14)


def test_noise_keeps_the_mean():
    noisy = dirac_gan("wasserstein", noise=0.5, theta=(0.3, 2.0))
    np.testing.assert_allclose(noisy.gradient(), dirac_gan("wasserstein", theta=(0.3, 2.0)).gradient(), rtol=1e-14)


def test_the_shift_layer():
    check(Shift(), (3,))
