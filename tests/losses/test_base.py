"""Term and Loss: what they check, and class weights."""

import numpy as np
import pytest

from npgan.errors import ConfigError, DTypeError, ShapeError
from npgan.losses import get_loss


@pytest.fixture(params=["cpu", "reference"])
def loss(request):
    return get_loss("hinge", backend=request.param, class_weights=[0.5, 0, 2])


def test_wrong_shapes_and_dtypes_are_named(loss):
    t, out = np.zeros((4, 1), np.float32), np.zeros((4, 1), np.float32)
    bad = [
        (ShapeError, r"hinge.real: dt is \(4,\)", np.zeros(4, np.float32), t, None),
        (DTypeError, "hinge.real: dt is float64", np.zeros((4, 1)), t, None),
        (ShapeError, r"weights is \(4, 1\)", out, t, np.ones((4, 1), np.float32)),
        (DTypeError, "weights is float64", out, t, np.ones(4)),
        (ShapeError, r"t is \(0, 1\)", np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32), None),
        (ShapeError, r"t is \(\)", np.zeros((), np.float32), np.zeros((), np.float32), None),
    ]
    for error, words, dt, logits, weights in bad:
        with pytest.raises(error, match=words):
            loss.real.value_and_gradient(dt, logits, weights)
        with pytest.raises(error, match=words.replace("dt", "out")):
            loss.real.curvature(dt, logits, weights)


def test_nothing_is_broadcast_between_a_column_and_a_row(loss):
    with pytest.raises(ShapeError):
        loss.real.value_and_gradient(np.zeros((4, 4)), np.zeros((4, 1)))


def test_inputs_are_read_only_and_stay_as_they_are(loss):
    t, weights = np.linspace(-2, 2, 6).reshape(3, 2), np.array([1.0, 0, 3])
    t.flags.writeable = weights.flags.writeable = False
    dt = np.empty_like(t)
    assert isinstance(loss.real.value_and_gradient(dt, t, weights), float)
    assert not np.shares_memory(dt, t)
    np.testing.assert_array_equal(dt[1], 0)


def test_class_weights_multiply_the_sample_s_term(loss):
    labels, t = np.array([2, 0, 1, 2]), np.array([[0.5], [0.25], [3.0], [-1.0]])
    weights = loss.weights(labels, np.empty(4))
    np.testing.assert_array_equal(weights, [2, 0.5, 0, 2])
    dt = np.empty_like(t)
    assert loss.real.value_and_gradient(dt, t, weights) == pytest.approx((2 * 0.5 + 0.5 * 0.75 + 2 * 2) / 4)
    np.testing.assert_array_equal(dt[:, 0], [-0.5, -0.125, 0, -0.5])


def test_without_class_weights_there_are_none():
    out = np.full(2, 7.0)
    assert get_loss("hinge").weights(np.array([0, 1]), out) is None
    np.testing.assert_array_equal(out, 7)


def test_labels_that_do_not_fit_are_named(loss):
    for labels in ([0, 3], [-1, 0]):
        with pytest.raises(ConfigError, match="class_weights has 3 values"):
            loss.weights(np.array(labels), np.empty(2))
    with pytest.raises(DTypeError, match="labels is float64"):
        loss.weights(np.array([0.0, 1.0]), np.empty(2))
    with pytest.raises(ShapeError, match="labels is"):
        loss.weights(np.array([0, 1]), np.empty(3))


def test_the_formula_can_be_read(loss):
    assert repr(loss) == "Loss(hinge, real: max(0, 1 - t), fake: max(0, 1 + t), generator: -t)"
    assert "Miyato" in loss.paper
