"""Watching every map, and finding the first array that is not finite."""

import numpy as np
import pytest

from npgan.errors import NonFiniteError
from npgan.layers import ConcatCondition, Dense, ReLU, Tanh
from npgan.network import Network
from npgan.network.watch import raise_non_finite


def network(**options):
    return Network([Dense(4), ReLU(), Dense(2)], (3,), dtype="float64", name="D", **options)


def test_every_map_is_seen_in_order():
    p, seen = network().new_pass(2), []
    p.watch = lambda where, which, arrays: seen.append((where, which, sorted(arrays)))
    p.forward(np.ones((2, 3)))
    p.backward(np.ones((2, 2)), dtheta=p.network.grad)
    weights, gradients = ["bias", "weight", "x", "y"], ["dbias", "dweight", "dx", "dy"]
    assert seen == [
        ("D/0 Dense", "forward", weights),
        ("D/1 ReLU", "forward", ["x", "y"]),
        ("D/2 Dense", "forward", weights),
        ("D/2 Dense", "backward", gradients),
        ("D/1 ReLU", "backward", ["dx", "dy"]),
        ("D/0 Dense", "backward", gradients),
    ]
    seen.clear()
    p.forward(np.ones((2, 3)))
    p.backward(np.ones((2, 2)), dx=False, dtheta=p.network.grad)
    assert seen[-1] == ("D/0 Dense", "backward", ["dbias", "dweight", "dy"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_bad_array_is_named(value):
    p = network().new_pass(2)
    p.watch = raise_non_finite
    x, dy = np.ones((2, 3)), np.ones((2, 2))
    x[1, 2] = value
    with pytest.raises(NonFiniteError, match=rf"^D/0 Dense: x of forward is {value} at \(1, 2\)$"):
        p.forward(x)
    p.forward(np.ones((2, 3)))
    dy[0, 1] = value
    with pytest.raises(NonFiniteError, match=rf"^D/2 Dense: dy of backward is {value} at \(0, 1\)$"):
        p.backward(dy)


def test_a_bad_weight_and_an_overflow_are_named():
    net = network()
    p = net.new_pass(2)
    p.watch = raise_non_finite
    with net.write() as theta:
        theta[:] = 1
        start = net.layout.ranges()["2/weight"][0]
        theta[start + 3] = np.inf
    with pytest.raises(NonFiniteError, match=r"D/2 Dense: weight of forward is inf at \(1, 1\)"):
        p.forward(np.ones((2, 3)))
    with net.write() as theta:
        theta[:] = 1e200
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match=r"D/2 Dense: y of forward is inf at \(0, 0\)"):
        p.forward(np.ones((2, 3)))


def test_the_condition_is_looked_at_too():
    net = Network([Tanh(), ConcatCondition()], (3,), condition_shape=(2,), dtype="float64", name="G")
    p = net.new_pass(1)
    p.watch = raise_non_finite
    with pytest.raises(NonFiniteError, match=r"G/1/concat Concat: x1 of forward is nan at \(0, 1\)"):
        p.forward(np.ones((1, 3)), np.array([[0.0, np.nan]]))


def test_finite_arrays_pass():
    raise_non_finite("D/0", "forward", {"x": np.ones(3), "labels": np.arange(3), "none": np.zeros((0, 2))})
