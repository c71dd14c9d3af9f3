"""What a Pass refuses: arrays that do not fit, and gradients that there are none of."""

import numpy as np
import pytest

from npgan.errors import ConfigError, DTypeError, ShapeError, StalePassError
from npgan.layers import ConcatCondition, Dense, Embedding
from npgan.network import Network


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((3, 3)), ShapeError, r"D\.real: x is \(3, 3\), expected \(2, 3\); no broadcasting"),
        (np.zeros((1, 3)), ShapeError, r"x is \(1, 3\)"),
        (np.zeros(3), ShapeError, r"x is \(3,\)"),
        (np.zeros((2, 3), np.float32), DTypeError, r"D\.real: x is float32, expected float64; convert it yourself"),
        (np.zeros((2, 3), int), DTypeError, "x is int64"),
        (np.zeros((2, 3), complex), DTypeError, "x is complex128"),
        ([[0.0] * 3] * 2, DTypeError, "x is a list, expected an array of numpy"),
        (None, DTypeError, "x is a NoneType"),
    ],
)
def test_a_wrong_input(x, error, message):
    p = Network([Dense(1)], (3,), dtype="float64", name="D").new_pass(2, name="real")
    with pytest.raises(error, match=message):
        p.forward(x)


def test_a_wrong_gradient(setup):
    p = setup.network.new_pass(setup.batch, name="real", keep="all")
    p.forward(setup.x, setup.condition)
    dtheta = np.zeros_like(setup.start)
    dy = setup.dy
    for wrong, error, message in [
        ({"dy": dy[:1]}, ShapeError, r"N\.real: dy is .*, expected .*; no broadcasting here"),
        ({"dy": dy.astype(np.float32)}, DTypeError, r"N\.real: dy is float32"),
        ({"dy": 1.0}, DTypeError, r"dy is a float"),
        ({"dtheta": np.zeros(dtheta.size + 1)}, ShapeError, r"N\.real: dtheta is "),
        ({"dtheta": dtheta[None]}, ShapeError, r"dtheta is \(1, "),
        ({"dtheta": dtheta.astype(np.float32)}, DTypeError, "dtheta is float32"),
        ({"dtheta": setup.network.theta}, ConfigError, "dtheta is the network's own weights"),
        ({"dtheta": setup.network._theta}, ConfigError, "dtheta is the network's own weights"),
        ({"dtheta": setup.network.backend.read_only(dtheta)}, ConfigError, "dtheta is read-only"),
    ]:
        if not dtheta.size and wrong.get("dtheta", dtheta).size == 0:
            continue  # nothing to write, nothing to share
        with pytest.raises(error, match=message):
            p.backward(**{"dy": dy, "dtheta": dtheta, **wrong})
    p.backward(dy, dtheta=dtheta)


def test_a_wrong_condition():
    network = Network([ConcatCondition(Embedding(4, 2))], (3,), condition_shape=(), dtype="float64", name="G")
    p, x = network.new_pass(2), np.zeros((2, 3))
    for condition, error, message in [
        (None, ConfigError, "reads a condition; give forward"),
        (np.zeros(3, int), ShapeError, r"condition is \(3,\), expected \(2,\)"),
        (np.zeros(2), DTypeError, "condition is float64, expected int64"),
        (np.array([0, -1]), ConfigError, r"G/0/inner Embedding: .*-1"),
    ]:
        with pytest.raises(error, match=message):
            p.forward(x, condition)
    p.forward(x, np.array([0, 3], np.uint8))  # labels come in every integer type


def test_gradients_that_there_are_none_of():
    labels = Network([Embedding(4, 2)], (3,), input_dtype="int64", name="E").new_pass(1)
    labels.forward(np.zeros((1, 3), int))
    with pytest.raises(ConfigError, match=r"dx was asked for, but there is nothing real.*give dx=False"):
        labels.backward(np.zeros((1, 3, 2), np.float32))
    plain = Network([Dense(2)], (3,), name="D").new_pass(1, keep="all")
    plain.forward(np.zeros((1, 3), np.float32))
    dy = np.zeros((1, 2), np.float32)
    with pytest.raises(ConfigError, match="dcondition was asked for"):
        plain.backward(dy, dcondition=True)
    plain.backward(dy)
    with pytest.raises(StalePassError, match="dcondition=True"):
        _ = plain.dcondition
    unread = Network([Dense(2)], (3,), condition_shape=(2,)).new_pass(1)
    unread.forward(np.zeros((1, 3), np.float32), np.zeros((1, 2), np.float32))
    with pytest.raises(ConfigError, match="dcondition was asked for"):
        unread.backward(dy, dcondition=True)
