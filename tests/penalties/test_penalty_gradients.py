"""A penalty's own gradient, and its Hessian, against independent ways to get them."""

from __future__ import annotations

import numpy as np
import pytest

from npgan.errors import ConfigError, SecondOrderError, ShapeError
from npgan.layers import BatchNorm, Conv2d, Dense, Flatten, Layer, LayerNorm, LeakyReLU, Plan, Sigmoid, Softplus, Tanh
from npgan.network import Arena, Network
from npgan.penalties import Penalized, get_penalty, penalty_product

N = 5
CRITICS = {
    "tanh": ([Dense(6), Tanh(), Dense(5), Softplus(), Dense(1)], (3,)),
    "leaky": ([Dense(6), LeakyReLU(), Dense(5), LeakyReLU(0.1), Dense(1)], (3,)),
    "norms": ([Dense(6), BatchNorm(), Sigmoid(), Dense(5), LayerNorm(), Tanh(), Dense(1)], (3,)),
    "convolution": ([Conv2d(3, 3, stride=2, padding=1), LeakyReLU(), Flatten(), Dense(1)], (5, 5, 2)),
    "two outputs": ([Dense(6), Tanh(), Dense(2)], (3,)),
}
PENALTIES = [
    ("wgan-gp", {}),
    ("wgan-gp", {"one_sided": True, "target": 0.3}),
    ("wgan-gp", {"target": 0.0}),
    ("r1", {"gamma": 0.7}),
    ("dragan", {"weight": 2.0}),
    ("gradient-norm", {"norm": 1.0}),
    ("gradient-norm", {"norm": 3.5}),
    ("gradient-norm", {"norm": float("inf")}),
]


def make(critic, *, backend="cpu", dtype="float64"):
    layers, shape = CRITICS[critic]
    D = Network(layers, shape, seed=1, name="D", backend="cpu", dtype="float64")
    draw = np.random.default_rng(7)
    with D.write() as theta:
        theta += 0.3 * draw.normal(size=D.size)
    return D.clone(backend=backend, dtype=dtype), draw.normal(size=(N, *shape))


def by_complex_step(penalty, critic, x):
    """∂P/∂θ from P alone: g by the reference backward at θ + ih e_j, the norm written out again."""
    D, _ = make(critic, backend="reference", dtype="complex128")
    theta, h = D.theta.copy(), 1e-20
    p = D.new_pass(N)
    ones = np.ones((N, *D.output_shape), complex)

    def value(at):
        D.load(at)
        p.forward(x.astype(complex), update_stats=False)
        g = p.backward(ones).reshape(N, -1)
        size = np.where(g.real < 0, -g, g)
        if penalty.norm == 2:
            n = np.sqrt((g * g).sum(axis=1))
        elif np.isinf(penalty.norm):
            n = np.array([row[row.real.argmax()] for row in size])
        else:
            n = np.array([sum(v**penalty.norm for v in row) ** (1 / penalty.norm) for row in size])
        over = n - penalty.target
        if penalty.one_sided:
            over = np.array([o if o.real > 0 else 0 for o in over])
        return penalty.weight * (over**2).mean()

    gradient = np.empty(D.size)
    for j in range(D.size):
        moved = theta.copy()
        moved[j] += 1j * h
        gradient[j] = value(moved).imag / h
    return value(theta).real, gradient


@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize(("name", "options"), PENALTIES, ids=str)
def test_the_gradient_is_that_of_the_value(name, options, critic):
    penalty = get_penalty(name, **options)
    D, x = make(critic)
    found = np.full(D.size, np.nan)
    value = Penalized(penalty, D, N).at(x, found)
    expected, gradient = by_complex_step(penalty, critic, x)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(found, gradient, rtol=1e-9, atol=1e-12 * np.abs(gradient).max())


@pytest.mark.parametrize("critic", ["tanh", "norms", "convolution"])
@pytest.mark.parametrize(("name", "options"), PENALTIES[:4], ids=str)
def test_products_with_the_hessian(name, options, critic):
    penalty = get_penalty(name, **options)
    D, x = make(critic)
    penalized, theta = Penalized(penalty, D, N), D.theta.copy()
    draw = np.random.default_rng(3)
    u, v, w = draw.normal(size=D.size), draw.normal(size=D.size), draw.normal(size=x.shape)

    def gradient(t, s):
        D.load(theta + t * u)
        out = np.empty(D.size)
        penalized.at(x + s * w, out)
        D.load(theta)
        return out

    h = 1e-5
    along_theta = (gradient(h, 0) - gradient(-h, 0)) / (2 * h)
    along_x = (gradient(0, h) - gradient(0, -h)) / (2 * h)
    hu, hx = penalty_product(penalty, D, x, utheta=u), penalty_product(penalty, D, x, ux=w)
    for found, expected in ((hu, along_theta), (hx, along_x)):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
    both = penalty_product(penalty, D, x, utheta=u, ux=w)
    np.testing.assert_allclose(both, hu + hx, rtol=1e-12, atol=1e-12 * np.abs(both).max())
    hv = penalty_product(penalty, D, x, utheta=v)
    assert u @ hv == pytest.approx(v @ hu, rel=1e-12)
    np.testing.assert_array_equal(D.theta, theta)


def test_the_two_pass_product_would_be_wrong():
    """The R-maps with v held fixed drop a term: penalty_product must not be that."""
    D, x = make("tanh")
    penalty, u = get_penalty("r1", gamma=1.0), np.random.default_rng(0).normal(size=D.size)
    exact = penalty_product(penalty, D, x, utheta=u)
    twin = D.clone(backend="reference", dtype="complex128")
    g = D.new_pass(N)
    g.forward(x)
    v = g.backward(np.ones((N, 1))) / N
    twin.load(D.theta.astype(complex) + 1j * 1e-20 * u)
    p = twin.new_pass(N, order=2)
    p.forward(x.astype(complex), update_stats=False)
    p.backward(np.ones((N, 1), complex))
    p.rforward(v.astype(complex))
    out = np.empty(D.size, complex)
    p.rbackward(rdtheta=out, rdx=False)
    dropped = out.imag / 1e-20
    assert np.linalg.norm(dropped - exact) > 0.05 * np.linalg.norm(exact)


def test_it_is_per_sample():
    """Each sample is charged for its own norm: not the batch's, and not an axis's."""
    D, x = make("convolution")
    penalized = Penalized(get_penalty("wgan-gp"), D, N)
    p = D.new_pass(N)
    p.forward(x)
    g = p.backward(np.ones((N, 1)))
    norms = [np.sqrt((g[i] ** 2).sum()) for i in range(N)]
    assert penalized.at(x, np.empty(D.size)) == pytest.approx(10 * np.mean([(n - 1) ** 2 for n in norms]), rel=1e-12)


def test_a_norm_of_zero():
    D = Network([Dense(1, bias=False)], (3,), dtype="float64")
    D.load(np.zeros(3))
    out = np.full(3, np.nan)
    for name, value in (("wgan-gp", 10.0), ("r1", 0.0), ("gradient-norm", 10.0)):
        assert Penalized(get_penalty(name), D, N).at(np.ones((N, 3)), out) == value
        np.testing.assert_array_equal(out, 0.0)
    assert Penalized(get_penalty("gradient-norm", norm=3.0), D, N).at(np.ones((N, 3)), out) == 10.0
    np.testing.assert_array_equal(out, 0.0)


@pytest.mark.parametrize("norm", [1.0, 2.0, 3.0, float("inf")])
def test_nan_stays(norm):
    D, x = make("tanh")
    x[2, 1] = np.nan
    out = np.empty(D.size)
    with np.errstate(invalid="ignore"):
        value = Penalized(get_penalty("gradient-norm", norm=norm), D, N).at(x, out)
    assert not np.isfinite(value)
    assert not np.isfinite(out).all()


def test_it_adds_scales_and_leaves_the_rest_alone():
    D, x = make("norms")
    penalized, state = Penalized(get_penalty("r1"), D, N), D.state.copy()
    plain, added = np.empty(D.size), np.ones(D.size)
    before = x.copy()
    penalized.at(x, plain)
    penalized.at(x, added, scale=4.0, accumulate=True)
    np.testing.assert_allclose(added, 1.0 + 4.0 * plain, rtol=1e-12)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(D.state, state)


def test_float32_is_close():
    D, x = make("norms")
    wide, narrow = np.empty(D.size), np.empty(D.size, "float32")
    value = Penalized(get_penalty("wgan-gp"), D, N).at(x, wide)
    found = Penalized(get_penalty("wgan-gp"), D.clone(dtype="float32"), N).at(x.astype("float32"), narrow)
    assert found == pytest.approx(value, rel=1e-4)
    np.testing.assert_allclose(narrow, wide, atol=1e-4 * np.abs(wide).max())


def test_a_shared_arena():
    D, x = make("tanh")
    arena = Arena(D.backend)
    other = D.new_pass(N, arena=arena)
    shared = Penalized(get_penalty("r1"), D, N, arena)
    alone, found = np.empty(D.size), np.empty(D.size)
    other.forward(x)
    shared.at(x, found)
    Penalized(get_penalty("r1"), D, N).at(x, alone)
    np.testing.assert_array_equal(found, alone)


class FirstOrder(Layer):
    def plan(self, x, k):
        return Plan(y=x)

    def forward(self, f):
        f.y[...] = f.x

    def backward(self, f):
        if f.dx is not None:
            f.dx[...] = f.dy


def test_refusals():
    with pytest.raises(SecondOrderError, match="D/0 FirstOrder has no R-maps"):
        Penalized(get_penalty("r1"), Network([FirstOrder(), Dense(1)], (3,), name="D"), N)
    D, x = make("tanh")
    with pytest.raises(ConfigError, match="needs a direction"):
        penalty_product(get_penalty("r1"), D, x)
    with pytest.raises(ShapeError, match="utheta is"):
        penalty_product(get_penalty("r1"), D, x, utheta=np.zeros(3))
    with pytest.raises(ShapeError, match="ux is"):
        penalty_product(get_penalty("r1"), D, x, ux=np.zeros(3))
