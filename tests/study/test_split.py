"""The symmetric and the antisymmetric half, made and estimated."""

import numpy as np
import pytest

from npgan.game import QuadraticGame, bilinear_game
from npgan.study import split


def test_a_potential_and_a_rotation():
    potential = QuadraticGame((1, 1), np.diag([1.0, 0.0]), np.diag([0.0, 3.0]))
    found = split(potential)
    assert found.potential == 1.0
    assert found.curvature == (1.0, 3.0)
    assert found.rotation == 0.0
    rotation = split(bilinear_game(2.0))
    assert rotation.potential == 0.0
    assert rotation.rotation == pytest.approx(2.0)
    assert rotation.antisymmetric == pytest.approx(np.sqrt(8.0))


def test_a_network(mlp, batch_of):
    game = batch_of(mlp(penalties=["r1"]))
    J = game.jacobian()
    S, A = (J + J.T) / 2, (J - J.T) / 2
    found = split(game)
    assert found.symmetric == pytest.approx(np.linalg.norm(S))
    assert found.antisymmetric == pytest.approx(np.linalg.norm(A))
    assert found.potential == pytest.approx(np.linalg.norm(S) ** 2 / np.linalg.norm(J) ** 2)
    assert found.curvature == pytest.approx(tuple(np.linalg.eigvalsh(S)[[0, -1]]))
    assert found.rotation == pytest.approx(np.abs(np.linalg.eigvals(A)).max())
    assert found.error == 0.0


def test_a_large_one_is_estimated(quadratic):
    game = quadratic(400, 300)
    J = game.jacobian()
    S, A = (J + J.T) / 2, (J - J.T) / 2
    found = split(game, probes=16)
    exact = np.linalg.norm(S) ** 2 / np.linalg.norm(J) ** 2
    assert 0 < found.error < 0.02
    assert abs(found.potential - exact) < 5 * found.error
    assert found.symmetric == pytest.approx(np.linalg.norm(S), rel=0.05)
    assert found.curvature == pytest.approx(tuple(np.linalg.eigvalsh(S)[[0, -1]]), rel=1e-5)
    assert found.rotation == pytest.approx(np.linalg.norm(A, 2), rel=1e-5)


def test_the_error_is_a_standard_error(quadratic):
    """Of estimates with other probes: the squared deviations, by the squares of their errors, are 1 in the mean."""
    game = quadratic(300, 220)
    J = game.jacobian()
    S = (J + J.T) / 2
    exact = np.linalg.norm(S) ** 2 / np.linalg.norm(J) ** 2
    found = [split(game, probes=8, seed=seed, tol=1e-2) for seed in range(16)]
    squares = [((each.potential - exact) / each.error) ** 2 for each in found]
    assert 0.3 < np.mean(squares) < 3
