import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.errors import ConfigError
from npgan.game import Latent
from npgan.layers import ConcatCondition, Dense, Embedding, Tanh
from npgan.network import Network
from npgan.training.sampler import Sampler


def sampler(size=3, distribution="normal", classes=None, dtype="float32", seed=0):
    layers = [Dense(5), Tanh(), Dense(2)]
    if classes is not None:
        layers = [ConcatCondition(Embedding(len(classes), 2)), *layers]
    condition = None if classes is None else ()
    network = Network(layers, (size,), condition_shape=condition, dtype=dtype, name="G")
    return Sampler(network, Latent((size,), distribution), classes, seed)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 5), st.sampled_from(["normal", "uniform"]))
def test_the_first_latents_are_the_same_however_many(k, more, size, distribution):
    s = sampler(size, distribution)
    few, many = s.latents(k), s.latents(k + more)
    assert few.shape == (k, size)
    assert np.array_equal(many[:k], few)
    assert np.array_equal(s.latents(k), few)


def test_latents_have_their_distribution():
    normal, uniform = sampler(4).latents(5000), sampler(4, "uniform").latents(5000)
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.03
    assert -1 <= uniform.min() < -0.99
    assert 0.99 < uniform.max() < 1
    assert not np.array_equal(sampler(seed=1).latents(3), sampler().latents(3))
    assert np.array_equal(sampler(seed=1).latents(3), sampler().latents(3, seed=1))
    assert sampler(dtype="float64").latents(2).dtype == np.float64


def test_samples_are_the_decoded_latents():
    s = sampler()
    assert np.array_equal(s.draw(6), s.generator(s.latents(6)))
    assert np.array_equal(s.draw(6)[:4], s.draw(4))
    assert s.draw(0).shape == (0, 2)
    assert s.draw(1000).shape == (1000, 2)
    with pytest.raises(ConfigError, match="n is -1, expected a number of samples from 0"):
        s.draw(-1)


@given(st.integers(0, 70), st.integers(1, 12))
def test_a_picture_has_one_class_in_a_row(n, k):
    s = sampler(classes=[str(i) for i in range(k)])
    labels = s.labels(n)
    assert labels.shape == (n,)
    if n == 0:
        return
    columns = s.columns(n)
    padded = np.append(labels, np.full(-n % columns, labels[-1])).reshape(-1, columns)
    assert (padded == padded[:, :1]).all()
    assert np.array_equal(padded[:, 0], np.arange(len(padded)))
    assert len(padded) <= k
    if n % k == 0:
        assert np.bincount(labels).tolist() == [n // k] * k


def test_labels():
    s = sampler(classes=["a", "b", "c"])
    z = s.latents(4)
    assert np.array_equal(s.draw(6), s.generator(s.latents(6), np.array([0, 0, 1, 1, 2, 2])))
    assert np.array_equal(s.decode(z, 1), s.generator(z, np.full(4, 1)))
    assert np.array_equal(s.decode(z, np.uint8([2, 1, 0, 0])), s.generator(z, np.array([2, 1, 0, 0])))
    for bad, message in (
        (3, "labels go from 3 to 3, expected 0 to 2"),
        ([0, 1, -1, 0], "labels go from -1 to 1"),
        ([0.5, 1, 2, 0], r"labels are float64 \(4,\), expected a whole number, or as many as samples: \(4,\)"),
        ([0, 1], r"labels are int64 \(2,\)"),
        ([[0], [1], [2], [0]], r"labels are int64 \(4, 1\)"),
        ("b", "labels are <U1"),
    ):
        with pytest.raises(ConfigError, match=message):
            s.decode(z, bad)
    plain = sampler()
    assert plain.labels(5) is None
    assert plain.columns(5) is None
    with pytest.raises(ConfigError, match="this generator does not read any"):
        plain.draw(4, labels=1)


@given(st.integers(1, 4), st.integers(2, 7), st.integers(1, 5), st.sampled_from(["normal", "uniform"]))
def test_walks_end_where_they_should(rows, steps, size, distribution):
    s = sampler(size, distribution)
    walks = s.interpolate(rows, steps, seed=9)
    assert walks.shape == (rows, steps, 2)
    ends = s.latents(2 * rows, seed=9)
    # The same samples as those of the ends alone, but for what another size of batch does to a product's rounding.
    np.testing.assert_allclose(walks[:, 0], s.decode(ends[:rows]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(walks[:, -1], s.decode(ends[rows:]), rtol=1e-5, atol=1e-6)


def latents_of_walk(s, monkeypatch, rows, steps, ends=None):
    seen = []
    monkeypatch.setattr(s, "decode", lambda z, labels=None: seen.append((z, labels)) or z)
    if ends is not None:
        monkeypatch.setattr(s, "latents", lambda n, seed=None: ends)
    s.interpolate(rows, steps)
    z, labels = seen[0]
    return z.reshape(rows, steps, -1), labels


def test_normal_latents_walk_on_a_great_circle(monkeypatch):
    s = sampler(50, dtype="float64")
    ends = s.latents(6)
    ends /= np.linalg.norm(ends, axis=1, keepdims=True)
    z, _ = latents_of_walk(s, monkeypatch, 3, 11, ends)
    assert np.array_equal(z[:, 0], ends[:3])
    assert np.array_equal(z[:, -1], ends[3:])
    np.testing.assert_allclose(np.linalg.norm(z, axis=2), 1, rtol=1e-12)
    angles = np.arccos(np.einsum("rsi,rsi->rs", z[:, 1:], z[:, :-1]))
    np.testing.assert_allclose(angles, angles[:, :1].repeat(10, axis=1), rtol=1e-6)  # at an even speed
    for row in z:
        assert np.linalg.matrix_rank(row, tol=1e-9) == 2


def test_lengths_lie_between_those_of_the_ends(monkeypatch):
    s = sampler(100, dtype="float64")
    z, _ = latents_of_walk(s, monkeypatch, 4, 9)
    norms = np.linalg.norm(z, axis=2)
    ends = norms[:, [0, -1]]
    assert (norms >= 0.97 * ends.min(axis=1, keepdims=True)).all()
    assert (norms <= 1.03 * ends.max(axis=1, keepdims=True)).all()


def test_where_there_is_no_great_circle_walks_are_straight(monkeypatch):
    a = np.array([[1.0, 2.0]])
    for b in (a, 3 * a, -a):
        s = sampler(2, dtype="float64")
        z, _ = latents_of_walk(s, monkeypatch, 1, 5, np.concatenate([a, b]))
        np.testing.assert_allclose(z[0], np.linspace(a[0], b[0], 5), rtol=0, atol=1e-12)


def test_uniform_latents_walk_straight(monkeypatch):
    s = sampler(4, "uniform", dtype="float64")
    z, _ = latents_of_walk(s, monkeypatch, 2, 5)
    np.testing.assert_allclose(np.diff(z, axis=1), np.diff(z, axis=1)[:, :1].repeat(4, axis=1), atol=1e-15)


def test_walks_of_classes(monkeypatch):
    s = sampler(classes=["a", "b"])
    _, labels = latents_of_walk(s, monkeypatch, 3, 2)
    assert labels.tolist() == [0, 0, 1, 1, 0, 0]
    s = sampler(classes=["a", "b"])
    z = s.interpolate(2, 3, label=1)
    assert np.array_equal(z[:, 0], s.decode(s.latents(4)[:2], 1))
    with pytest.raises(ConfigError, match="does not read any"):
        sampler().interpolate(2, 3, label=0)
