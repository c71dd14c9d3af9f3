"""The second derivatives of penalties by weights and points: what the game's Jacobian is made of."""

import numpy as np
import pytest

from npgan.errors import ConfigError
from npgan.layers import ConcatCondition, Dense, Dropout, Embedding, Softplus, Tanh
from npgan.network import Network
from npgan.penalties import Curvature, Penalized, get_penalty, penalty_product

N = 4
CRITICS = {
    "plain": ([Dense(5), Tanh(), Dense(1)], None),
    "labels": ([ConcatCondition(Embedding(3, 2)), Dense(5), Softplus(), Dense(1)], ()),
    "codes": ([ConcatCondition(), Dense(5), Tanh(), Dense(1)], (2,)),
    "dropout": ([Dropout(0.2), Dense(6), Tanh(), Dropout(0.4), Dense(1)], None),
}
every_critic = pytest.mark.parametrize("critic", CRITICS)


def make(critic):
    layers, shape = CRITICS[critic]
    D = Network(layers, (3,), condition_shape=shape, dtype="float64", seed=1, name="D")
    draw = np.random.default_rng(2)
    with D.write() as theta:
        theta += 0.3 * draw.normal(size=D.size)
    given = {None: None, (): draw.integers(0, 3, N), (2,): draw.normal(size=(N, 2))}[shape]
    return D, draw.normal(size=(N, 3)), given, draw


@every_critic
@pytest.mark.parametrize("name", ["r1", "wgan-gp"])
def test_against_differences(name, critic):
    D, x, condition, draw = make(critic)
    penalty, theta = get_penalty(name), D.theta.copy()
    penalized, curvature = Penalized(penalty, D, N), Curvature(penalty, D, N)
    u, w = draw.normal(size=D.size), draw.normal(size=x.shape)

    def slopes(t, s):
        D.load(theta + t * u)
        by_theta, by_x = np.empty(D.size), np.empty(x.shape)
        value = penalized.at(x + s * w, by_theta, condition, dx=by_x, step=5)
        D.load(theta)
        return by_theta, by_x, np.array(value)

    h = 1e-4
    for (t, s), direction in (((1, 0), {"utheta": u}), ((0, 1), {"ux": w}), ((1, 1), {"utheta": u, "ux": w})):
        near, far = (
            [a - b for a, b in zip(slopes(k * h * t, k * h * s), slopes(-k * h * t, -k * h * s), strict=True)]
            for k in (1, 2)
        )
        by_theta, by_x, value = ((8 * a - b) / (12 * h) for a, b in zip(near, far, strict=True))
        found = curvature.product(x, **direction, condition=condition, step=5)
        for product, expected in zip(found, (by_theta, by_x), strict=True):
            np.testing.assert_allclose(product, expected, atol=1e-8 * np.abs(expected).max())
        # ∂P/∂x̂ and ∂P/∂θ are what the value itself follows.
        gradient = slopes(0, 0)
        assert t * (gradient[0] @ u) + s * (gradient[1] * w).sum() == pytest.approx(float(value), rel=1e-8)


@every_critic
def test_both_parts_are_of_one_symmetric_matrix(critic):
    D, x, condition, draw = make(critic)
    curvature = Curvature(get_penalty("wgan-gp"), D, N)
    u, w = draw.normal(size=D.size), draw.normal(size=x.shape)
    of_u = curvature.product(x, utheta=u, condition=condition)
    of_w = curvature.product(x, ux=w, condition=condition)
    assert of_u[1].ravel() @ w.ravel() == pytest.approx(of_w[0] @ u, rel=1e-12)


def test_it_follows_the_weights():
    D, x, _, draw = make("plain")
    penalty, u = get_penalty("r1"), draw.normal(size=D.size)
    curvature = Curvature(penalty, D, N)
    first = curvature.product(x, utheta=u)[0]
    np.testing.assert_array_equal(first, penalty_product(penalty, D, x, utheta=u))
    with D.write() as theta:
        theta *= 1.5
    second = curvature.product(x, utheta=u)[0]
    assert np.abs(second - first).max() > 1e-3
    np.testing.assert_array_equal(second, penalty_product(penalty, D, x, utheta=u))


def test_a_gradient_of_zero():
    """R1 is smooth where D is flat: its Hessian there is γ, as of (γ/2) ψ². A target of 1 has a kink instead."""
    D = Network([Dense(1, bias=False)], (1,), dtype="float64")
    D.load(np.zeros(1))
    x, one = np.ones((1, 1)), np.ones(1)
    assert Curvature(get_penalty("r1", gamma=3.0), D, 1).product(x, utheta=one)[0] == pytest.approx(3.0)
    assert Curvature(get_penalty("wgan-gp", target=0.0, weight=2.0), D, 1).product(x, utheta=one)[0] == pytest.approx(
        4.0
    )
    assert Curvature(get_penalty("wgan-gp"), D, 1).product(x, utheta=one)[0] == 0.0


def test_no_direction():
    D, x, _, _ = make("plain")
    with pytest.raises(ConfigError, match="needs a direction"):
        Curvature(get_penalty("r1"), D, N).product(x)
