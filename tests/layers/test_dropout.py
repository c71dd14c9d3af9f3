"""Dropout as a layer: what it drops, when, and that a step sees one mask."""

import numpy as np
import pytest

from npgan.errors import ConfigError, ShapeError
from npgan.gradcheck import check
from npgan.layers.activations import Tanh
from npgan.layers.dense import Dense
from npgan.layers.dropout import Dropout, Dropout2d
from npgan.network import Network

ones = np.ones((64, 5, 5, 40), np.float32)
kinds = pytest.mark.parametrize("kind", [Dropout, Dropout2d])


def run(layers, *, train=True, name="pass", step=0, x=ones, order=1, **network):
    p = Network(layers, x.shape[1:], **network).new_pass(len(x), train=train, name=name, order=order)
    return p.forward(x, step=step).copy(), p


@kinds
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.8])
def test_the_rate_is_dropped_and_the_mean_stays(kind, rate):
    y, _ = run(kind(rate))
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - rate)] if rate else [1], rtol=1e-6)
    n = 64 * 40 * (25 if kind is Dropout else 1)
    assert abs((y == 0).mean() - rate) <= 5 * np.sqrt(rate * (1 - rate) / n)
    per_channel = y.reshape(64, 25, 40)
    assert (per_channel == per_channel[:, :1]).all() == (kind is Dropout2d or rate == 0)


@kinds
def test_out_of_training_it_does_nothing(kind):
    y, p = run(kind(0.5), train=False)
    assert np.array_equal(y, ones)
    assert np.array_equal(p.backward(2 * ones), 2 * ones)


@kinds
def test_the_mask_is_a_function_of_seed_place_pass_and_step(kind):
    y, p = run(kind(0.5), step=3)
    assert np.array_equal(y, run(kind(0.5), step=3)[0])
    assert np.array_equal(y, run(kind(0.5), step=3, backend="reference")[0])
    assert np.array_equal(y, run(kind(0.5), step=3, x=ones.astype(np.float64), dtype="float64")[0])
    others = [
        p.forward(ones, step=4).copy(),
        run(kind(0.5), step=3, seed=1)[0],
        run(kind(0.5), step=3, name="other")[0],
        run([kind(0), kind(0.5)], step=3)[0],
    ]
    for other in others:
        assert 0.4 < (other == y).mean() < 0.6


@kinds
def test_backward_drops_what_forward_dropped(kind):
    y, p = run(kind(0.3))
    assert np.array_equal(p.backward(ones), y)


@kinds
@pytest.mark.parametrize("train", [True, False])
def test_gradients(kind, train):
    check([Dense(4), kind(0.4), Dense(2)], (3, 2, 3), train=train)
    check([kind(0.0), Dense(2)], (3, 2, 3), train=train)


@kinds
@pytest.mark.parametrize("train", [True, False])
def test_rmaps(kind, train, check_rmaps):
    check_rmaps(kind(0.4), (3, 2, 3), train=train)
    check_rmaps([Dense(4), kind(0.4), Tanh(), Dense(2)], (3, 2, 3), train=train)
    check_rmaps([kind(0.0), Dense(2)], (3, 2, 3), train=train)


@kinds
def test_rmaps_drop_what_forward_dropped(kind):
    y, p = run(kind(0.3), order=2)
    p.backward(ones)
    assert np.array_equal(p.rforward(ones), y)
    assert np.array_equal(p.rbackward(ones), y)


def test_one_byte_an_element_is_kept():
    _, p = run(Dropout(0.5))
    plain = Network(Dense(1), (1,)).new_pass(1)
    assert plain.nbytes < 10_000
    _, q = run(Dropout(0.0))
    assert p.nbytes - q.nbytes == ones.size


def test_what_makes_no_sense_is_refused():
    for rate in (-0.1, 1, 1.0, float("nan"), "0.5", True):
        with pytest.raises(ConfigError, match=r"rate is .*, expected the fraction that is dropped: 0 <= rate < 1"):
            Dropout(rate)
    with pytest.raises(ShapeError, match=r"D/0 Dropout: x is int64 \(1, 4\), expected real numbers"):
        Network(Dropout(), (4,), input_dtype="int64", name="D")
    with pytest.raises(ShapeError, match=r"D/0 Dropout2d: x is \(1, 4\), expected places and channels"):
        Network(Dropout2d(), (4,), name="D")
