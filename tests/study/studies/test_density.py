"""The density of a generator's samples against a closed form, its own integral, and a histogram."""

import numpy as np
import pytest

from npgan import Network
from npgan.errors import ConfigError, DTypeError
from npgan.layers import Dense, Tanh
from npgan.study.studies.density import GeneratorDensity


def network(layers, seed=0, scale=1.0, **options):
    made = Network(layers, (2,), **{"dtype": "float64", "seed": seed, "name": "G", **options})
    made.load(made.theta * scale)
    return made


def test_a_linear_generator_is_gaussian():
    G = network([Dense(2)], seed=3)
    W, b = G.parameters()["0/weight"], np.array([0.3, -0.2])
    with G.write() as theta:
        theta[-2:] = b
    matrix = G(np.eye(2)) - b  # rows are the images of the axes
    covariance = matrix.T @ matrix
    assert W.size == 4
    points = np.random.default_rng(0).normal(size=(30, 2)) @ matrix + b
    log_q, score = GeneratorDensity(G, cells=20)(points)
    away = points - b
    inverse = np.linalg.inv(covariance)
    expected = -0.5 * np.einsum("ni,ij,nj->n", away, inverse, away) - 0.5 * np.log(
        np.linalg.det(2 * np.pi * covariance)
    )
    np.testing.assert_allclose(log_q, expected, rtol=1e-9)
    np.testing.assert_allclose(score, -away @ inverse, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("matrix", [[[1.0, 0.2], [0.0, 1.0]], [[1.0, 0.2], [0.0, -1.0]]], ids=["kept", "mirrored"])
def test_a_plane_that_is_turned_over_as_a_whole_is_not_folded(matrix):
    G = network([Dense(2)])
    G.load(np.concatenate([np.ravel(matrix), np.zeros(2)]))
    assert GeneratorDensity(G, cells=8).folded() == 0


@pytest.fixture(scope="module")
def folding():
    G = network([Dense(12), Tanh(), Dense(12), Tanh(), Dense(2)], seed=1, scale=2.5)
    return GeneratorDensity(G, cells=100)


def test_a_folded_one_integrates_to_one(folding):
    assert folding.folded() > 0.02
    low, high = folding.images.reshape(-1, 2).min(axis=0) - 0.1, folding.images.reshape(-1, 2).max(axis=0) + 0.1
    axes = [np.linspace(low[k], high[k], 151) for k in range(2)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    log_q, _ = folding(points)
    cell = (axes[0][1] - axes[0][0]) * (axes[1][1] - axes[1][0])
    # Folds are integrable poles, which a sum over points meets to a few per cent.
    assert np.exp(log_q).sum() * cell == pytest.approx(1.0, abs=0.05)


def test_it_is_the_share_of_samples(folding):
    z = np.random.default_rng(0).normal(size=(200_000, 2))
    x = folding.generator(z)
    middle = np.median(x, axis=0)
    width = 0.2 * x.std(axis=0)
    share = (np.abs(x - middle) < width / 2).all(axis=1).mean()
    axes = [np.linspace(middle[k] - width[k] / 2, middle[k] + width[k] / 2, 22)[:-1] + width[k] / 42 for k in range(2)]
    points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    expected = np.exp(folding(points)[0]).mean() * width.prod()
    assert share == pytest.approx(expected, rel=0.1)


def test_the_score_is_its_gradient(folding):
    x = folding.generator(np.random.default_rng(1).normal(size=(20, 2)) * 0.5)
    log_q, score = folding(x)
    h = 1e-5
    slopes = [(folding(x + h * e)[0] - folding(x - h * e)[0]) / (2 * h) for e in np.eye(2)]
    differences = np.stack(slopes, axis=1)
    close = np.linalg.norm(differences - score, axis=1) < 1e-3 * (1 + np.linalg.norm(score, axis=1))
    assert close.mean() >= 0.9  # but for points at the edge of a fold
    assert np.isfinite(log_q).all()
    assert folding(np.array([[1e3, 1e3]]))[0] == -np.inf


def test_generators_without_a_density():
    with pytest.raises(ConfigError, match="square"):
        GeneratorDensity(network([Dense(3)]))
    with pytest.raises(DTypeError, match="float64"):
        GeneratorDensity(network([Dense(2)], dtype="float32"))
