"""Containers against their formulas, written out with the same weights."""

import numpy as np
import pytest

from npgan.errors import ConfigError, ShapeError
from npgan.gradcheck import check
from npgan.layers import (
    BatchNorm,
    ConcatCondition,
    Conv2d,
    Dense,
    Embedding,
    Flatten,
    Parallel,
    Residual,
    Sequential,
    Skip,
    Softplus,
    Tanh,
)
from npgan.network import Network

backends = pytest.mark.parametrize("backend", ["cpu", "reference"])


class Made:
    """A network with random weights, and W, the weights by name."""

    def __init__(self, layers, shape, **options):
        self.network = Network(layers, shape, dtype="float64", name="N", **options)
        self.draw = np.random.default_rng(0)
        with self.network.write() as theta:
            theta[...] = self.draw.normal(size=theta.size)
        self.W = self.network.parameters()

    def dense(self, path, x):
        return x @ self.W[f"{path}/weight"] + self.W[f"{path}/bias"]


def softplus(x):
    return np.logaddexp(0, x)


def test_sequential():
    made = Made([Sequential([Dense(3), Tanh()]), Sequential([]), Dense(2)], (4,))
    x = made.draw.normal(size=(5, 4))
    np.testing.assert_allclose(made.network(x), made.dense("2", np.tanh(made.dense("0/0", x))), atol=1e-14)


@pytest.mark.parametrize("shortcut", [None, Dense(4), [Dense(3), Dense(4)]])
def test_residual(shortcut):
    made = Made([Residual([Dense(4), Tanh()], shortcut)], (4,))
    x = made.draw.normal(size=(5, 4))
    other = x
    if isinstance(shortcut, Dense):
        other = made.dense("0/shortcut", x)
    elif shortcut:
        other = made.dense("0/shortcut/1", made.dense("0/shortcut/0", x))
    np.testing.assert_allclose(made.network(x), np.tanh(made.dense("0/main/0", x)) + other, atol=1e-14)


def test_skip():
    made = Made([Skip([Dense(2), Tanh()])], (3, 4))
    x = made.draw.normal(size=(5, 3, 4))
    expected = np.concatenate([x, np.tanh(made.dense("0/inner/0", x))], axis=-1)
    np.testing.assert_allclose(made.network(x), expected, atol=1e-14)


def test_parallel():
    x = np.random.default_rng(1).normal(size=(5, 4))
    branches = [Dense(4), [Dense(4), Tanh()], []]
    made = Made([Parallel(branches)], (4,))
    parts = [made.dense("0/0", x), np.tanh(made.dense("0/1/0", x)), x]
    np.testing.assert_allclose(made.network(x), np.concatenate(parts, axis=-1), atol=1e-14)
    made = Made([Parallel(branches, join="add")], (4,))
    parts = [made.dense("0/0", x), np.tanh(made.dense("0/1/0", x)), x]
    np.testing.assert_allclose(made.network(x), sum(parts), atol=1e-14)


def test_concat_condition():
    draw = np.random.default_rng(1)
    x, c = draw.normal(size=(5, 4)), draw.normal(size=(5, 2))
    made = Made([ConcatCondition(), ConcatCondition([Dense(3), Tanh()])], (4,), condition_shape=(2,))
    expected = np.concatenate([x, c, np.tanh(made.dense("1/inner/0", c))], axis=-1)
    np.testing.assert_allclose(made.network(x, c), expected, atol=1e-14)


def test_a_condition_is_repeated_over_the_places_of_an_image():
    x, labels = np.random.default_rng(1).normal(size=(5, 2, 3, 1)), np.array([0, 3, 1, 3, 2])
    made = Made([ConcatCondition(Embedding(4, 2))], (2, 3, 1), condition_shape=())
    rows = made.W["0/inner/weight"][labels]
    expected = np.concatenate([x, np.broadcast_to(rows[:, None, None], (5, 2, 3, 2))], axis=-1)
    np.testing.assert_array_equal(made.network(x, labels), expected)


def test_an_image_is_a_condition_too():
    draw = np.random.default_rng(1)
    x, c = draw.normal(size=(2, 3, 3, 1)), draw.normal(size=(2, 3, 3, 2))
    made = Made([ConcatCondition()], (3, 3, 1), condition_shape=(3, 3, 2))
    np.testing.assert_array_equal(made.network(x, c), np.concatenate([x, c], axis=-1))


def test_gradients_of_a_fan_out_add_up():
    made = Made([Parallel([[Tanh()], [], [Softplus()], [Tanh()]], join="add")], (3,))
    x, dy = made.draw.normal(size=(2, 5, 3))
    dx, _ = made.network.vjp(x)[1](dy)
    np.testing.assert_allclose(dx, dy * (2 * (1 - np.tanh(x) ** 2) + 1 + 1 / (1 + np.exp(-x))), atol=1e-14)


def test_gradients_of_a_condition_that_is_read_twice_add_up():
    made = Made([ConcatCondition(), ConcatCondition([Tanh()]), ConcatCondition()], (1,), condition_shape=(2,))
    x, c = made.draw.normal(size=(5, 1)), made.draw.normal(size=(5, 2))
    p = made.network.new_pass(5)
    p.forward(x, c)
    dy = made.draw.normal(size=(5, 7))
    dx = p.backward(dy, dcondition=True)
    np.testing.assert_array_equal(dx, dy[:, :1])
    expected = dy[:, 1:3] + dy[:, 3:5] * (1 - np.tanh(c) ** 2) + dy[:, 5:]
    np.testing.assert_allclose(p.dcondition, expected, atol=1e-14)


@backends
@pytest.mark.parametrize(
    ("layers", "shape", "options"),
    [
        ([Residual([Residual([Dense(3), Tanh()], Dense(3)), Tanh()]), Dense(2)], (3,), {}),
        ([Conv2d(2, 3, padding=1), Skip([BatchNorm(), Skip([Conv2d(1, 1), Tanh()])]), Conv2d(1, 3)], (4, 4, 1), {}),
        ([Parallel([[Flatten(), Dense(2)], [Dense(1), Flatten()]]), Tanh(), Dense(1)], (2, 2), {}),
        ([ConcatCondition([Dense(2), Tanh()]), Tanh(), ConcatCondition()], (2,), {"condition_shape": (3,)}),
        (
            [ConcatCondition(Embedding(3, 2)), Dense(4), Residual([ConcatCondition(Embedding(3, 1)), Dense(4)])],
            (2,),
            {"labels": 3},
        ),
        ([Embedding(5, 3), Residual([Dense(3), Tanh()]), Flatten(), Dense(2)], (2,), {"input_labels": 5}),
    ],
)
def test_nested_gradients(layers, shape, options, backend):
    check(layers, shape, backend=backend, **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sequential([Dense(2), Tanh]), "layer 1 is .*Tanh.*make an object of it"),
        (lambda: Sequential(Dense(2)), "layers is Dense.*expected a layer or a sequence of layers"),
        (lambda: Residual(3), "main is 3, expected a layer"),
        (lambda: Residual([], "x"), "shortcut is 'x'"),
        (lambda: Skip([None]), "layer 0 is None"),
        (lambda: Parallel([]), "of 0 branches"),
        (lambda: Parallel([Tanh()], join="multiply"), 'join is .multiply.* expected "concat" or "add"'),
        (lambda: Parallel([Tanh(), 1]), "branch 1 is 1"),
        (lambda: ConcatCondition(Dense), "inner is .*make an object of it"),
    ],
)
def test_what_cannot_be_made(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    ("layers", "shape", "options", "message"),
    [
        ([Tanh(), Residual(Dense(2))], (3,), {}, r"^N/1/add Add: the branches are \(1, 2\), \(1, 3\)"),
        ([Skip([Conv2d(1, 2)])], (4, 4, 1), {}, r"^N/0/concat Concat: .*\(1, 4, 4, 1\), float \(1, 3, 3, 1\)"),
        ([Parallel([Dense(2), Dense(3)], join="add")], (3,), {}, r"^N/0/add Add: "),
        ([ConcatCondition()], (3,), {"condition_shape": ()}, r"^N/0 ConcatCondition: .*as many axes"),
        ([ConcatCondition()], (2, 2, 1), {"condition_shape": (3, 2, 1)}, r"^N/0/concat Concat: "),
        ([ConcatCondition()], (2, 3), {"condition_shape": (1,)}, r"^N/0 ConcatCondition: "),
        ([Tanh(), Sequential([Tanh(), Conv2d(1, 1)])], (3,), {}, r"^N/1/1 Conv2d: "),
    ],
)
def test_what_does_not_fit(layers, shape, options, message):
    with pytest.raises(ShapeError, match=message):
        Network(layers, shape, name="N", **options)
