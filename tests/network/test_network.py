"""Network: weights in one vector, names, versions, loading, calling."""

import numpy as np
import pytest

from npgan.errors import ConfigError, DTypeError, NpganError, ShapeError
from npgan.layers import (
    BatchNorm,
    ConcatCondition,
    Constant,
    Conv2d,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Layer,
    Plan,
    Reshape,
    Residual,
    Sequential,
    Tanh,
)
from npgan.network import Network


def test_the_flat_vector():
    network = Network([Dense(4), Tanh(), Residual([Dense(4)]), Dense(2, bias=False)], (3,), seed=1, name="D")
    assert network.size == 3 * 4 + 4 + 4 * 4 + 4 + 4 * 2
    assert list(network.parameters()) == ["0/weight", "0/bias", "2/main/0/weight", "2/main/0/bias", "3/weight"]
    assert network.theta.shape == network.grad.shape == (network.size,)
    assert network.theta.dtype == network.grad.dtype == np.float32
    assert network.grad is network.grad
    weights = network.parameters()
    assert weights["2/main/0/weight"].shape == (4, 4)
    assert not weights["0/bias"].any()
    with network.write() as theta:
        theta[...] = np.arange(theta.size)
    np.testing.assert_array_equal(np.concatenate([w.ravel() for w in weights.values()]), network.theta)
    # The layers see the same memory.
    y = network.new_pass(1).forward(np.zeros((1, 3), np.float32))
    assert y.any()


def test_it_is_read_only():
    network = Network([BatchNorm()], (3,))
    for array in (network.theta, network.state, *network.parameters().values()):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_the_state():
    network = Network([Dense(2), BatchNorm(), BatchNorm()], (3,))
    assert network.state.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    assert next(iter(network.state_layout.ranges())) == "1/running_mean"


def test_versions():
    network = Network([Dense(2)], (3,))
    version = network.version
    with network.write() as theta:
        theta[...] = 0
    assert network.version == version + 1
    with pytest.raises(RuntimeError, match="planted"), network.write():
        raise RuntimeError("planted")
    assert network.version == version + 2  # who knows what was written
    network.load(network.theta.copy())
    assert network.version == version + 3


def test_weights_are_a_function_of_seed_name_and_place():
    def theta(seed=0, name="G", dtype="float64", backend="cpu"):
        return Network([Dense(4), Dense(4)], (4,), seed=seed, name=name, dtype=dtype, backend=backend).theta

    first = theta()
    np.testing.assert_array_equal(first, theta())
    np.testing.assert_array_equal(first, theta(backend="reference"))
    np.testing.assert_array_equal(first.astype(np.float32), theta(dtype="float32"))
    assert not np.any((theta(seed=1) == first)[:16])
    assert not np.any((theta(name="D") == first)[:16])
    assert not np.any(first[:16] == first[20:36])


def test_a_layer_used_twice_has_separate_weights():
    dense = Dense(3)
    network = Network([dense, dense, Residual(dense, dense)], (3,))
    assert network.size == 4 * 12
    names = ["0/weight", "1/weight", "2/main/weight", "2/shortcut/weight"]
    weights = [network.parameters()[name] for name in names]
    assert len({w.tobytes() for w in weights}) == 4


def test_the_summary():
    layers = [Conv2d(4, 3), BatchNorm(), Flatten(), Dense(1), Reshape((1, 1))]
    text = Network(layers, (5, 5, 2), name="D", backend="reference").summary()
    lines = text.splitlines()
    assert lines[0] == "D: float32 on reference"
    for place, kind, shape, count in [
        ("0", "Conv2d", "(3, 3, 4)", "76"),
        ("1", "BatchNorm", "(3, 3, 4)", "8"),
        ("2", "Flatten", "(36,)", ""),
        ("3", "Dense", "(1,)", "37"),
        ("4", "Reshape", "(1, 1)", ""),
    ]:
        (line,) = [line for line in lines if line.split()[0] == place]
        assert kind in line
        assert shape in line
        assert line.endswith(count)
    assert lines[-1].split() == ["total", "121"]
    assert "121" in repr(Network(layers, (5, 5, 2)))
    assert "1,100" in Network([Dense(100)], (10,)).summary()


# ---------------------------------------------------------------- loading


def test_load():
    network, other = (Network([Dense(2), BatchNorm()], (3,), seed=seed) for seed in (0, 1))
    other._state[...] = 7
    network.load(other.theta, other.state)
    np.testing.assert_array_equal(network.theta, other.theta)
    np.testing.assert_array_equal(network.state, other.state)
    assert not np.shares_memory(network.theta, other.theta)


@pytest.mark.parametrize(
    ("theta", "state", "error", "message"),
    [
        (np.zeros(11, np.float32), None, ShapeError, r"D: theta is \(11,\), expected \(12,\)"),
        (np.zeros(12), None, DTypeError, "D: theta is float64, expected float32"),
        (np.zeros((12, 1), np.float32), None, ShapeError, r"theta is \(12, 1\)"),
        (np.zeros(12, np.float32), np.zeros(1, np.float32), ShapeError, r"D: state is \(1,\), expected \(4,\)"),
        (np.zeros(12, np.float32), np.zeros(4), DTypeError, "D: state is float64"),
        ([0.0] * 12, None, DTypeError, "D: theta is a list"),
    ],
)
def test_what_does_not_fit_is_not_loaded(theta, state, error, message):
    network = Network([Dense(2), BatchNorm()], (3,), name="D")
    before, version = network.theta.copy(), network.version
    with pytest.raises(error, match=message):
        network.load(theta, state)
    np.testing.assert_array_equal(network.theta, before)
    assert network.version == version


# ---------------------------------------------------------------- making


class Wide(Layer):
    """A layer whose plan forgets the batch."""

    def plan(self, x, k):
        return Plan(y=type(x)((7, *x.shape[1:])))

    def forward(self, f):
        raise AssertionError

    backward = forward


@pytest.mark.parametrize(
    ("layers", "shape", "options", "error", "message"),
    [
        ([Dense], (3,), {}, ConfigError, "layer 0 is .*Dense.*make an object of it"),
        (Dense, (3,), {}, ConfigError, "expected a layer"),
        ([[Dense(2)]], (3,), {}, ConfigError, "layer 0 is "),
        (3, (3,), {}, ConfigError, "expected a layer"),
        ([Dense(2)], 3, {}, ConfigError, "input_shape is 3, expected a tuple"),
        ([Dense(2)], (0,), {}, ConfigError, r"input_shape is \(0,\)"),
        ([Dense(2)], (2.0,), {}, ConfigError, r"input_shape is \(2.0,\)"),
        ([Dense(2)], "ab", {}, ConfigError, "input_shape is 'ab'"),
        ([Dense(2)], (3,), {"condition_shape": (-1,)}, ConfigError, "condition_shape is"),
        ([Dense(2)], (3,), {"input_dtype": "float32"}, ConfigError, 'input_dtype is .float32., expected "float" or'),
        ([Dense(2)], (3,), {"condition_shape": (1,), "condition_dtype": "int8"}, ConfigError, "condition_dtype is"),
        ([Dense(2)], (3,), {"dtype": "float16"}, DTypeError, "dtype is 'float16'"),
        ([Dense(2)], (3,), {"dtype": "complex128"}, DTypeError, "expected one of float32, float64 on the cpu"),
        ([Dense(2)], (3,), {"seed": -1}, ConfigError, "seed is -1"),
        ([ConcatCondition()], (3,), {}, ConfigError, r"G/0 reads a condition, .*condition_shape="),
        ([Tanh(), Residual([Dense(4)])], (3,), {}, ShapeError, r"G/1/add Add: .*\(1, 4\), \(1, 3\)"),
        ([Tanh(), Wide()], (3,), {}, ShapeError, r"G/1 Wide: plans an output \(7, 3\) for an input \(1, 3\)"),
        ([Tanh(), Reshape((2, 2))], (3,), {}, ShapeError, r"G/1 Reshape: \(3,\) has 3 elements, \(2, 2\) has 4"),
        (
            [Dense(2, init=lambda draw, shape: draw.normal(size=shape[-1]))],
            (3,),
            {},
            ShapeError,
            r"G/0/weight: .*\(2,\), expected \(3, 2\)",
        ),
    ],
)
def test_what_cannot_be_made(layers, shape, options, error, message):
    with pytest.raises(error, match=message):
        Network(layers, shape, name="G", **options)


def test_ways_to_give_layers():
    for layers in (Dense(2), [Dense(2)], (Dense(2),), Sequential([Dense(2)])):
        assert list(Network(layers, (3,)).parameters()) == ["0/weight", "0/bias"]
    assert Network([], (3,)).output_shape == (3,)
    assert Network([Dense(2, init=Constant(3.0))], (3,)).theta[0] == 3


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch": 0}, ConfigError, "batch is 0"),
        ({"batch": 1.5}, ConfigError, "batch is 1.5"),
        ({"batch": 1, "order": 3}, ConfigError, "order is 3"),
        ({"batch": 1, "keep": "some"}, ConfigError, "keep is 'some'"),
    ],
)
def test_passes_that_cannot_be_planned(options, error, message):
    with pytest.raises(error, match=message):
        Network([Dense(2)], (3,), name="D").new_pass(**options)


# ---------------------------------------------------------------- calling


@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 600])
def test_calling_runs_in_chunks(n):
    network = Network([Dense(4), BatchNorm(), Tanh()], (3,), dtype="float64")
    network._state[...] = np.random.default_rng(0).uniform(0.5, 1.5, network.state.shape)
    x = np.random.default_rng(1).normal(size=(n, 3))
    y = network(x)
    assert y.shape == (n, 4)
    assert y.flags.writeable
    state = network.state.copy()
    if n:
        expected = network.new_pass(n, train=False, order=0).forward(x)
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-14)
        np.testing.assert_array_equal(network(x), y)  # a fresh array
        assert not np.shares_memory(network(x), y)
    np.testing.assert_array_equal(network.state, state)


def test_calling_in_training_is_one_batch_and_leaves_the_state():
    network = Network([BatchNorm()], (3,), dtype="float64")
    x = 5 + 3 * np.random.default_rng(0).normal(size=(300, 3))
    state = network.state.copy()
    y = network(x, train=True)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=0), 1, atol=1e-4)
    np.testing.assert_array_equal(network.state, state)


def test_calling_with_a_condition():
    network = Network([ConcatCondition(Embedding(4, 2)), Dense(2)], (3,), condition_shape=(), dtype="float64")
    x, labels = np.zeros((300, 3)), np.arange(300) % 4
    y = network(x, labels)
    assert len(np.unique(y, axis=0)) == 4
    np.testing.assert_array_equal(network(x, labels.astype(np.uint8)), y)
    for condition, error, message in [
        (None, ConfigError, "reads a condition"),
        (np.arange(301) % 4, ShapeError, r"condition is \(301,\)"),
        (np.arange(299) % 4, ShapeError, r"condition is \(299,\)"),
        (np.zeros((300, 1), int), ShapeError, r"condition is \(300, 1\)"),
        (np.zeros(300), DTypeError, "condition is float64"),
        (np.full(300, 4), NpganError, "a label is 4"),
    ]:
        with pytest.raises(error, match=message):
            network(x, condition)
    with pytest.raises(ConfigError, match="a condition was given, but"):
        Network([Dense(2)], (3,), dtype="float64")(x, labels)


@pytest.mark.parametrize("x", [np.zeros((2, 4)), np.zeros(3), np.zeros((2, 3, 1)), [[1.0, 2.0, 3.0]], None])
def test_calling_with_what_does_not_fit(x):
    network = Network([Dense(2)], (3,), dtype="float64", name="D")
    for run in (network, network.vjp):
        with pytest.raises(ShapeError, match=r"D: x is .*, expected \(batch, 3\)"):
            run(x)


def test_calling_with_another_dtype():
    with pytest.raises(DTypeError, match=r"call: x is float64, expected float32"):
        Network([Dense(2)], (3,))(np.zeros((2, 3)))


def test_clones(make):
    setup = make("conv")
    network = setup.network
    network._state[...] = np.random.default_rng(0).uniform(0.5, 1.5, network.state.shape)
    twin, wide = network.clone(), network.clone(backend="reference", dtype="complex128")
    for other in (twin, wide):
        np.testing.assert_array_equal(other.theta, network.theta)
        np.testing.assert_array_equal(other.state, network.state)
        np.testing.assert_allclose(other(setup.x.astype(other.dtype)), network(setup.x), rtol=0, atol=1e-12)
    assert (wide.dtype, wide.backend.name, wide.name) == (np.complex128, "reference", network.name)
    with twin.write() as theta:
        theta[...] = 0
    assert network.theta.any()
    labelled = make("labels").network
    assert labelled.clone(dtype="float32").condition_shape == ()


def test_vjp(make):
    setup = make("conv")
    network, state = setup.network, setup.network.state.copy()
    y, pullback = network.vjp(setup.x)
    dx, dtheta = pullback(setup.dy)
    again = pullback(2 * setup.dy)
    _, expected_dx, expected_dtheta, _ = setup.run(network.new_pass(setup.batch, fuse=False))
    np.testing.assert_array_equal(dx, expected_dx)
    np.testing.assert_array_equal(dtheta, expected_dtheta)
    np.testing.assert_allclose(again[0], 2 * dx, rtol=1e-13)
    np.testing.assert_allclose(again[1], 2 * dtheta, rtol=1e-13)
    assert y.flags.writeable
    np.testing.assert_array_equal(network.state, state)


def test_vjp_of_labels_has_no_dx():
    network = Network([Embedding(4, 2), Dense(1)], (3,), input_dtype="int64", dtype="float64")
    y, pullback = network.vjp(np.array([[0, 1, 3]]))
    dx, dtheta = pullback(np.ones_like(y))
    assert dx is None
    assert dtheta.any()


def test_dropout_differs_between_calls_sites_and_steps():
    network = Network([Dropout(0.5)], (50,), dtype="float64")
    x = np.ones((2, 50))
    first, other = network.new_pass(2, name="a"), network.new_pass(2, name="b")
    y = first.forward(x, step=1).copy()
    np.testing.assert_array_equal(first.forward(x, step=1), y)
    assert not np.array_equal(first.forward(x, step=2), y)
    assert not np.array_equal(other.forward(x, step=1), y)
