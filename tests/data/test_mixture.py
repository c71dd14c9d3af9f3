import json

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from npgan.data.mixture import Mixture, grid, open_mixture, ring, spiral
from npgan.errors import ConfigError, DataError, ShapeError

COVARIANCES = np.array([[[2.0, 0.6, 0], [0.6, 1.0, -0.3], [0, -0.3, 0.5]], np.eye(3) / 9])
MEANS = np.array([[0.0, 1, 2], [5, 5, 5]])


def draw(mixture, n, first=0):
    out, labels = np.empty((n, *mixture.sample_shape)), np.empty(n, np.int64)
    mixture.batch(np.arange(first, first + n), out, labels)
    return out, labels


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=20))
def test_a_sample_depends_on_its_index_alone(indices):
    mixture = Mixture(MEANS, covariances=COVARIANCES, seed=3)
    out, labels = np.empty((len(indices), 3)), np.empty(len(indices), np.int64)
    mixture.batch(np.array(indices), out, labels)
    for i, index in enumerate(indices):
        alone, label = draw(mixture, 1, index)
        np.testing.assert_array_equal(alone[0], out[i])
        assert label[0] == labels[i]


def test_seeds_differ():
    a, b, c = (draw(ring(seed=seed), 1000)[0] for seed in (0, 1, 2**32))
    assert not np.isin(a, b).any()
    assert not np.isin(a, c).any()


def test_distribution():
    mixture = Mixture(MEANS, covariances=COVARIANCES, weights=[1, 3], seed=7)
    out, labels = draw(mixture, 40_000)
    assert scipy.stats.chisquare(np.bincount(labels), [10_000, 30_000]).pvalue > 1e-3
    for k in range(2):
        # Whitened by the true covariance, what is left is independent standard normals.
        z = (out[labels == k] - MEANS[k]) @ np.linalg.inv(np.linalg.cholesky(COVARIANCES[k])).T
        for column in z.T:
            assert scipy.stats.kstest(column, "norm").pvalue > 1e-3
        np.testing.assert_allclose(np.corrcoef(z.T), np.eye(3), atol=5 / np.sqrt(len(z)))
    np.testing.assert_allclose(mixture.stds, np.sqrt(np.diagonal(COVARIANCES, axis1=1, axis2=2)))


@pytest.mark.parametrize("dimensions", [1, 2, 4, 5, 9])
def test_dimensions_are_independent(dimensions):
    out, _ = draw(Mixture(np.zeros((1, dimensions)), 1.0), 20_000)
    covariance = np.cov(out.T).reshape(dimensions, dimensions)
    np.testing.assert_allclose(covariance, np.eye(dimensions), atol=6 / np.sqrt(20_000))


def test_log_density():
    points = np.random.default_rng(0).normal(size=(50, 3)) * 4
    mixture = Mixture(MEANS, covariances=COVARIANCES, weights=[1, 3])
    normals = [scipy.stats.multivariate_normal(m, c) for m, c in zip(MEANS, COVARIANCES, strict=True)]
    expected = np.log(0.25 * normals[0].pdf(points) + 0.75 * normals[1].pdf(points))
    np.testing.assert_allclose(mixture.log_density(points), expected, rtol=1e-12)
    far = np.full((1, 3), 1000.0)  # where the densities themselves are 0
    expected = np.logaddexp(np.log(0.25) + normals[0].logpdf(far), np.log(0.75) + normals[1].logpdf(far))
    np.testing.assert_allclose(mixture.log_density(far), expected, rtol=1e-12)
    one_sided = Mixture(MEANS, covariances=COVARIANCES, weights=[1, 0])
    np.testing.assert_allclose(one_sided.log_density(points), normals[0].logpdf(points), rtol=1e-12)
    with pytest.raises(DataError, match="has no density"):
        Mixture(MEANS, 0.0).log_density(points)
    with pytest.raises(ShapeError, match=r"points is \(2, 2\)"):
        mixture.log_density(np.zeros((2, 2)))


def test_ring():
    mixture = ring(radius=2.0, sigma=0.1)
    out, labels = draw(mixture, 16_000)
    angle = np.arctan2(out[:, 1], out[:, 0]) % (2 * np.pi)
    np.testing.assert_array_equal(np.round(angle / (np.pi / 4)).astype(int) % 8, labels)
    np.testing.assert_allclose(np.hypot(*mixture.means.T), 2)
    np.testing.assert_allclose((out - mixture.means[labels]).std(), 0.1, rtol=0.02)
    assert ring().stds[0].tolist() == [0.01, 0.01]


def test_grid():
    mixture = grid()
    assert sorted(map(tuple, mixture.means)) == [(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]
    assert (mixture.stds == 0.05).all()
    assert len(mixture.classes) == 25


def test_spiral():
    mixture = spiral(turns=1.5)
    assert mixture.classes is None
    arm = mixture.means[:100]
    np.testing.assert_allclose(mixture.means[100:], -arm)
    radius, angle = np.hypot(*arm.T), np.unwrap(np.arctan2(*arm.T[::-1]))
    np.testing.assert_allclose(angle, 2 * np.pi * 1.5 * radius, atol=1e-9)
    np.testing.assert_allclose([radius[0], radius[-1]], [0.1, 1])
    steps = np.hypot(*np.diff(arm, axis=0).T)
    assert steps.max() < 1.02 * steps.min()


@pytest.mark.parametrize("option", ["radius", "sigma"])
@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, "1", True, None])
def test_options(option, value):
    with pytest.raises(ConfigError, match=f"{option} is"):
        ring(**{option: value})


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({}, "expected means"),
        ({"means": [[0, 0]]}, "either stds or covariances"),
        ({"means": [[0, 0]], "stds": 1, "covariances": [[[1, 0], [0, 1]]]}, "either stds or covariances"),
        ({"means": [[0, 0]], "stds": 1, "colour": 1}, "expected means"),
        ({"means": [[0, 0], [1]], "stds": 1}, "regular array"),
        ({"means": [0, 0], "stds": 1}, "with 2 dimensions"),
        ({"means": [["0", "0"]], "stds": 1}, "expected numbers"),
        ({"means": [[True, False]], "stds": 1}, "expected numbers"),
        ({"means": [[1e31, 0]], "stds": 1}, "beyond 1e30"),
        ({"means": [[10**400, 0]], "stds": 1}, "expected numbers|regular"),
        ({"means": [[]], "stds": 1}, "expected numbers"),
        ({"means": [[float("nan"), 0]], "stds": 1}, "NaN"),
        ({"means": [[0, 0]], "stds": -1}, "stds"),
        ({"means": [[0, 0]], "stds": [1, 1]}, "stds have shape"),
        ({"means": [[0, 0]], "covariances": [[[1, 2], [2, 1]]]}, "not positive definite"),
        ({"means": [[0, 0]], "covariances": [[[1, 0.5], [0, 1]]]}, "not symmetric"),
        ({"means": [[0, 0]], "covariances": [[[1]]]}, "covariances have shape"),
        ({"means": [[0, 0]], "stds": 1, "weights": [0]}, "not all 0"),
        ({"means": [[0, 0]], "stds": 1, "weights": [1, 1]}, "weights have shape"),
        ({"means": [[0, 0]], "stds": 1, "weights": [-1]}, "weights"),
        ([1, 2], "holds list"),
    ],
)
def test_descriptions_refused(tmp_path, description, message):
    path = tmp_path / "mix.json"
    path.write_text(json.dumps(description))
    with pytest.raises(DataError, match=message):
        open_mixture(path)


def test_toml(tmp_path):
    path = tmp_path / "mix.toml"
    path.write_text("means = [[0, 1.5], [2, 3]]\nstds = [[0.1, 0.2], [0.3, 0.4]]\nweights = [1, 3]\n")
    mixture = open_mixture(path, seed=5)
    assert mixture.means.tolist() == [[0, 1.5], [2, 3]]
    np.testing.assert_allclose(mixture.stds, [[0.1, 0.2], [0.3, 0.4]])
    assert mixture.weights.tolist() == [0.25, 0.75]


def test_a_key_of_many_dots_is_not_parsed(tmp_path):
    path = tmp_path / "a.toml"  # seconds in the parser, and minutes were it longer
    for text in (".".join("a" * 2000) + " = 1", "x = {" + ".".join("a" * 2000) + " = 1}", f"[{'.'.join('a' * 2000)}]"):
        path.write_text(text)
        with pytest.raises(DataError, match="more than 30 dots"):
            open_mixture(path)


def test_hostile_descriptions(tmp_path):
    for name, text in [
        ("a.toml", "[" * 30_000),
        ("a.toml", "means = " + "[" * 30_000),
        ("a.json", "[" * 60_000),
        ("a.json", '{"means": ' + "9" * 60_000 + "}"),
        ("a.json", " " * 100_000),
        ("a.json", "\xff" * 10),
    ]:
        path = tmp_path / name
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(DataError, match=name):
            open_mixture(path)


@pytest.mark.parametrize("name", ["fuzz.toml", "fuzz.json"])
def test_fuzz(fuzz, name):
    toml = [
        b"means = [[0, 1.5], [2, 3]]\nstds = [[0.1, 0.2], [0.3, 0.4]]\nweights = [1, 3]\n",
        b"means = [[0, 1.5], [2, 3]] # x\ncovariances = [[[1, 0.2], [0.2, 1]], [[2, 0], [0, 2]]]\n",
    ]
    written = [b'{"means": [[0, 1.5], [2, 3]], "stds": [0.1, 0.2], "weights": [1, 3]}']
    fuzz(open_mixture, toml if name.endswith("toml") else written, 3000, name=name)
