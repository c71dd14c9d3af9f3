"""Optimizers: direction, apply and step; groups; what they remember; checkpoints."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgan.errors import CheckpointError, ConfigError, DTypeError, ShapeError
from npgan.optimizers import OPTIMIZERS, Group, get_optimizer

KINDS = [
    ("adam", {}),
    ("adam", {"betas": (0.5, 0.999), "weight_decay": 0.1}),
    ("adamw", {"betas": (0.0, 0.999), "weight_decay": 0.1}),
    ("rmsprop", {"weight_decay": 0.1}),
    ("sgd", {}),
    ("sgd", {"momentum": 0.9, "weight_decay": 0.1}),
    ("sgd", {"momentum": -0.3}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
]
kinds = pytest.mark.parametrize(("name", "options"), KINDS)
backends = pytest.mark.parametrize("backend", ["cpu", "reference"])
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
GROUPS = [Group([(0, 3)], lr=0.5, weight_decay=0.02), Group([(3, 5), (8, 9)], frozen=True), Group(lr=2.0)]


def gradients(size, dtype=np.float64, steps=5, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=size) * 10.0 ** rng.integers(-3, 3)).astype(dtype) for _ in range(steps)]


def by_hand(name, options, theta, steps, lr):
    """The papers' algorithms, written again: scalar by scalar, in Python's floats."""
    out = []
    weight_decay = options.get("weight_decay", 0.01 if name == "adamw" else 0.0)
    for i, p in enumerate(theta):
        p, m, v = float(p), 0.0, 0.0
        for t, step in enumerate(steps, 1):
            g = float(step[i])
            if name == "adamw":
                p -= lr * weight_decay * p
            else:
                g += weight_decay * p
            if name in ("adam", "adamw"):
                b1, b2 = options.get("betas", (0.9, 0.999))
                m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
                p -= lr * (m / (1 - b1**t)) / ((v / (1 - b2**t)) ** 0.5 + 1e-8)
            elif name == "rmsprop":
                v = 0.99 * v + 0.01 * g * g
                p -= lr * g / (v**0.5 + 1e-8)
            else:
                mu = options.get("momentum", 0.0)
                m = mu * m + g
                p -= lr * (g + mu * m if options.get("nesterov") else m)
        out.append(p)
    return np.array(out)


@kinds
@backends
def test_fifty_steps_are_the_algorithm_s(name, options, backend):
    theta = np.linspace(-1, 1, 7)
    steps = gradients(7, steps=50)
    expected = by_hand(name, options, theta, steps, 0.01)
    optimizer = get_optimizer(name, 7, "float64", backend=backend, **options)
    for gradient in steps:
        optimizer.step(theta, gradient, 0.01)
    np.testing.assert_allclose(theta, expected, rtol=1e-12, atol=1e-13)
    assert optimizer.t == 50


@kinds
@backends
@dtypes
@pytest.mark.parametrize("groups", [None, GROUPS], ids=["one group", "groups"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=5, deadline=None)
def test_step_is_direction_and_apply(name, options, backend, dtype, groups, seed):
    both, fused = (get_optimizer(name, 11, dtype, backend=backend, groups=groups, **options) for _ in range(2))
    theta = np.random.default_rng(seed).normal(size=11).astype(dtype)
    for gradient in gradients(11, dtype, 3, seed):
        left, right, d = theta.copy(), theta.copy(), np.full_like(theta, np.nan)
        assert both.direction(d, gradient, left) is d
        np.testing.assert_array_equal(left, theta)
        both.apply(left, d, 0.05)
        fused.step(right, gradient, 0.05)
        np.testing.assert_array_equal(right, left)
        for name_, moment in both.state().items():
            np.testing.assert_array_equal(moment, fused.state()[name_])
        theta = right
    assert both.t == fused.t == 3


@kinds
@backends
def test_groups_are_optimizers_of_their_own(name, options, backend):
    theta, alone = np.linspace(-1, 1, 11), np.linspace(-1, 1, 11)
    whole = get_optimizer(name, 11, "float64", backend=backend, groups=GROUPS, **options)
    low = get_optimizer(name, 3, "float64", backend=backend, **{**options, "weight_decay": 0.02})
    middle, high = (get_optimizer(name, n, "float64", backend=backend, **options) for n in (3, 2))
    for gradient in gradients(11):
        whole.step(theta, gradient, 0.1)
        low.step(alone[:3], gradient[:3], 0.05)
        middle.step(alone[5:8], gradient[5:8], 0.2)
        high.step(alone[9:], gradient[9:], 0.2)
    np.testing.assert_allclose(theta, alone, rtol=1e-13)


@kinds
@backends
def test_frozen_weights_and_moments_are_not_touched(name, options, backend):
    theta = np.linspace(-1, 1, 11).astype(np.float32)
    theta[3] = np.nan
    before = theta.copy()
    optimizer = get_optimizer(name, 11, backend=backend, groups=GROUPS, **options)
    frozen = [3, 4, 8]
    d = np.full(11, np.nan, np.float32)
    for gradient in gradients(11, np.float32):
        gradient[4] = np.inf
        optimizer.step(theta, gradient, 0.1)
        optimizer.direction(d, gradient, theta)
        np.testing.assert_array_equal(d[frozen], 0)
        optimizer.apply(theta, np.ones(11, np.float32), 0.1)
    assert theta[frozen].tobytes() == before[frozen].tobytes()
    assert np.isfinite(np.delete(theta, frozen)).all()
    assert all(not moment[frozen].any() for moment in optimizer.state().values())


@kinds
@backends
@dtypes
def test_moments_have_theta_s_dtype_and_are_no_aliases(name, options, backend, dtype):
    optimizer = get_optimizer(name, 6, dtype, backend=backend, **options)
    theta, gradient, d = np.ones(6, dtype), np.ones(6, dtype), np.ones(6, dtype)
    gradient.flags.writeable = False
    optimizer.step(theta, gradient, 0.1)
    fixed = theta.copy()
    fixed.flags.writeable = False
    optimizer.direction(d, gradient, fixed)
    for moment in optimizer.state().values():
        assert moment.dtype == dtype
        assert not any(np.shares_memory(moment, other) for other in (theta, gradient, d))
    kept = {key: moment.copy() for key, moment in optimizer.state().items()}
    d[:] = theta[:] = 99
    for key, moment in optimizer.state().items():
        np.testing.assert_array_equal(moment, kept[key])


@kinds
@backends
def test_direction_may_overwrite_the_gradient(name, options, backend):
    one, two = (get_optimizer(name, 40, "float64", backend=backend, **options) for _ in range(2))
    theta = np.linspace(-1, 1, 40)
    for gradient in gradients(40):
        d = one.direction(np.empty(40), gradient, theta)
        two.direction(gradient, gradient, theta)
        np.testing.assert_array_equal(gradient, d)


@kinds
@backends
def test_a_loaded_state_goes_on_with_the_same_bits(name, options, backend):
    steps = gradients(9, np.float32, 6)
    straight, stopped, resumed = (get_optimizer(name, 9, backend=backend, **options) for _ in range(3))
    theta, other = np.ones(9, np.float32), np.ones(9, np.float32)
    for gradient in steps:
        straight.step(theta, gradient, 0.1)
    for gradient in steps[:3]:
        stopped.step(other, gradient, 0.1)
    saved = {key: moment.copy() for key, moment in stopped.state().items()}
    resumed.load_state(saved, stopped.t)
    for moment in saved.values():
        moment[:] = 99  # it must have been copied
    for gradient in steps[3:]:
        resumed.step(other, gradient, 0.1)
    assert other.tobytes() == theta.tobytes()


def test_a_state_that_does_not_fit_is_refused_whole():
    optimizer = get_optimizer("adam", 4)
    good = np.ones(4, np.float32)
    with pytest.raises(CheckpointError, match=r"has \['m'\], expected \['m', 'v'\]"):
        optimizer.load_state({"m": good}, 1)
    with pytest.raises(ShapeError, match=r"the state's v is \(5,\)"):
        optimizer.load_state({"m": good, "v": np.ones(5, np.float32)}, 1)
    with pytest.raises(DTypeError, match="the state's v is float64"):
        optimizer.load_state({"m": good, "v": np.ones(4)}, 1)
    with pytest.raises(ConfigError, match="Adam: t is -1"):
        optimizer.load_state({"m": good, "v": good}, -1)
    assert optimizer.t == 0
    assert not optimizer.state()["m"].any()


@backends
def test_wrong_arrays_are_named(backend):
    optimizer = get_optimizer("adam", 4, backend=backend)
    theta, gradient = np.ones(4, np.float32), np.ones(4, np.float32)
    with pytest.raises(ShapeError, match=r"Adam: gradient is \(4, 1\), expected \(4,\)"):
        optimizer.step(theta, np.ones((4, 1), np.float32), 0.1)
    with pytest.raises(ShapeError, match=r"theta is \(1,\)"):
        optimizer.step(np.ones(1, np.float32), gradient, 0.1)
    with pytest.raises(DTypeError, match="gradient is float64"):
        optimizer.direction(theta, np.ones(4))
    with pytest.raises(DTypeError, match="direction is float64"):
        optimizer.apply(theta, np.ones(4), 0.1)
    with pytest.raises(ConfigError, match="lr is nan"):
        optimizer.step(theta, gradient, float("nan"))
    fixed = np.ones(4, np.float32)
    fixed.flags.writeable = False
    for call in (optimizer.step, optimizer.apply):
        with pytest.raises(ConfigError, match="theta is read-only"):
            call(fixed, gradient, 0.1)
    assert optimizer.t == 0
    with pytest.raises(ConfigError, match="direction needs theta"):
        get_optimizer("adamw", 4, backend=backend).direction(theta, gradient)


def test_vectors_need_not_be_contiguous():
    one, two = get_optimizer("adam", 5, "float64"), get_optimizer("adam", 5, "float64")
    theta, wide = np.ones(5), np.ones((5, 2))
    for gradient in gradients(5):
        one.step(theta, gradient, 0.1)
        two.step(wide[:, 0], np.stack([gradient, gradient], 1)[:, 1], 0.1)
    np.testing.assert_array_equal(wide[:, 0], theta)
    np.testing.assert_array_equal(wide[:, 1], 1)


@kinds
def test_a_nan_in_the_gradient_is_seen_in_its_weight_and_nowhere_else(name, options):
    optimizer = get_optimizer(name, 5, **options)
    theta, gradient = np.ones(5, np.float32), np.ones(5, np.float32)
    gradient[2] = np.nan
    optimizer.step(theta, gradient, 0.1)
    np.testing.assert_array_equal(np.isnan(theta), [False, False, True, False, False])


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("adan", {}, "did you mean 'adam'"),
        ("adam", {"beta": 0.5}, "did you mean 'betas'"),
        ("adam", {"lr": 0.1}, "has no option 'lr'"),
        ("adam", {"betas": 0.5}, "expected two numbers"),
        ("adam", {"betas": (1, 0.9)}, r"Adam: betas\[0\] is 1"),
        ("adamw", {"betas": (0.9, -0.1)}, r"AdamW: betas\[1\] is -0.1"),
        ("adam", {"eps": -1}, "eps is -1"),
        ("rmsprop", {"alpha": 1}, "RMSprop: alpha is 1"),
        ("rmsprop", {"weight_decay": -1}, "weight_decay is -1"),
        ("sgd", {"momentum": 1}, "SGD: momentum is 1"),
        ("sgd", {"nesterov": True}, "it needs momentum"),
        ("sgd", {"momentum": 0.5, "nesterov": "yes"}, "nesterov is 'yes'"),
    ],
)
def test_errors_say_what_to_do(name, options, words):
    with pytest.raises(ConfigError, match=words):
        get_optimizer(name, 4, **options)


def test_dtypes_of_other_kinds_are_refused():
    for dtype in ("float16", "int32", "nonsense"):
        with pytest.raises(DTypeError):
            get_optimizer("adam", 4, dtype)


def test_every_optimizer_is_tested_here():
    assert {name for name, _ in KINDS} == set(OPTIMIZERS)
