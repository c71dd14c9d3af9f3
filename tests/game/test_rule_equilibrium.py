"""Rules whose derivative has third derivatives of the losses: exact where what these are multiplied with is 0."""

import numpy as np
import pytest

from npgan.errors import SecondOrderError
from npgan.game import Game, GaussianGame, QuadraticGame, dense, dirac_gan, get_rule
from npgan.layers import Dense, Tanh
from npgan.losses import get_loss
from npgan.network import Network
from npgan.penalties import get_penalty
from npgan.study import find_equilibrium

AT_ZERO = [
    ("consensus", {"gamma": 0.4}),
    ("symplectic", {"strength": 0.7}),
    ("hamiltonian", {}),
    ("competitive", {}),
    ("lola", {"zero_sum": True}),
    ("unrolled", {"k": 2}),
    ("unrolled", {"k": 2, "rate": 0.3}),
    ("lookahead", {"inner": "consensus", "k": 2}),
    ("ema", {"inner": "symplectic", "decay": 0.9}),
]
AT_ZERO_CROSS = [("lola", {}), ("lola", {"lookahead": 0.4}), ("unrolled", {"k": 2, "rate": 0.3, "zero_sum": False})]


def at_rest(loss, dtype="float64", penalties=()):
    """A GAN of networks at a zero of its field."""
    options = {"dtype": dtype, "seed": 0}
    G = Network([Dense(3), Tanh(), Dense(2)], (2,), name="G", **options)
    D = Network([Dense(3), Tanh(), Dense(1)], (2,), name="D", **options)
    made = [get_penalty(each) for each in penalties]
    draw = np.random.default_rng(2 if loss == "non-saturating" else 0)
    x, z = (draw.normal(size=(6, 2)).astype(dtype) for _ in range(2))
    game = Game(G, D, get_loss(loss), 6, penalties=made, order=2).on(x, z)
    start = get_rule("alternating", game, lr=0.05)
    for _ in range(300):
        start.step(game)
    find_equilibrium(game)
    return game


@pytest.fixture(scope="module")
def resting():
    """Two of them; the tests leave them where they are."""
    return {loss: at_rest(loss) for loss in ("non-saturating", "least-squares")}


def by_differences(rule, game, h=1e-3):
    state, columns = rule.state(game), []

    def after(moved):
        with rule.kept(game):
            rule.load_state(game, moved)
            rule.step(game)
            return rule.state(game)

    for j in range(state.size):
        unit = np.zeros(state.size)
        unit[j] = h
        near = after(state + unit) - after(state - unit)
        far = after(state + 2 * unit) - after(state - 2 * unit)
        columns.append((8 * near - far) / (12 * h))
    return np.stack(columns, axis=1)


def check_transpose(operator, matrix, atol=1e-12):
    transpose = np.stack([operator.rmatvec(unit) for unit in np.eye(len(matrix))], axis=1)
    np.testing.assert_allclose(transpose, matrix.T, rtol=0, atol=atol * np.abs(matrix).max())


def check(rule, game):
    theta = game.theta
    operator = rule.operator(game)
    matrix = dense(operator)
    # Of competitive descent each product solves a system, up to a tolerance.
    check_transpose(operator, matrix, 1e-9 if rule.name == "competitive" else 1e-12)
    expected = by_differences(rule, game)
    moves = np.abs(expected - np.eye(len(expected))).max()
    assert moves > 1e-3
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-7 * np.abs(expected).max())
    np.testing.assert_array_equal(game.theta, theta)


@pytest.mark.parametrize("loss", ["non-saturating", "least-squares"])
@pytest.mark.parametrize(("name", "options"), AT_ZERO, ids=str)
def test_at_a_zero_of_the_field(resting, name, options, loss):
    game = resting[loss]
    check(get_rule(name, game, lr=(0.3, 0.2), **options), game)


@pytest.mark.parametrize(("name", "options"), AT_ZERO_CROSS, ids=str)
def test_at_a_zero_of_the_cross_gradients(name, options):
    """Of networks, and of games that are not zero-sum."""
    draw = np.random.default_rng(0)
    A, B = draw.normal(size=(2, 5, 5))
    networks = dirac_gan(penalties=[get_penalty("r1", gamma=0.3)])
    for game in (networks, QuadraticGame((3, 2), A, B), GaussianGame([0.0, 0.0], np.zeros((2, 2)), ridge=0.2)):
        check(get_rule(name, game, lr=(0.3, 0.2), **options), game)


def test_with_momentum_and_a_preconditioner(resting):
    game = resting["non-saturating"]
    check(get_rule("consensus", game, lr=0.3, optimizer_options={"momentum": 0.4}), game)
    rule = get_rule("consensus", game, lr=0.01, optimizer="adam", optimizer_options={"betas": (0.5, 1 - 1e-13)})
    for optimizer in rule.optimizers:
        optimizer.load_state({"m": np.zeros(optimizer.size), "v": np.full(optimizer.size, 0.2)}, 10**15)
    check(rule, game)


@pytest.mark.parametrize(("name", "options"), [*AT_ZERO, *AT_ZERO_CROSS], ids=str)
def test_elsewhere_it_is_refused(table, name, options):
    field = table("dense", "non-saturating", order=2).field()
    theta = field.theta
    rule = get_rule(name, field, **options)
    with pytest.raises(SecondOrderError, match=r"third derivatives of the losses times .*, whose norm is \d"):
        rule.operator(field)
    np.testing.assert_array_equal(field.theta, theta)


def test_a_game_of_first_order_is_refused(table):
    field = table("dense").field()
    for name, options in (*AT_ZERO, *AT_ZERO_CROSS):
        with pytest.raises(SecondOrderError, match="order=2"):
            get_rule(name, field, **options).step(field)


@pytest.mark.parametrize("penalties", [[], ["r1"], ["r2"], ["wgan-gp"]], ids="+".join)
@pytest.mark.parametrize("name", ["dense", "conv", "several scores"])
def test_derivatives_of_the_cross_gradients(table, differences, name, penalties):
    field = table(name, "non-saturating", order=2, penalties=penalties).field(step=3)
    expected = differences(lambda game: game.cross_gradient(), field)
    J = field.jacobian()
    found = np.stack([field.cross_jvp(u) for u in np.eye(field.size)], axis=1)
    scale = np.abs(expected).max()
    assert scale > 1e-3
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * scale)
    d = field.sizes[0]
    np.testing.assert_allclose(found[:d, d:], J[d:, :d].T, atol=1e-12 * scale)
    np.testing.assert_array_equal(field.jacobian(), J)  # nothing is left behind
    np.testing.assert_array_equal(field.cross_jvp(np.ones(field.size), "G"), field.cross_jvp(np.ones(field.size))[d:])


def test_derivatives_of_the_cross_gradients_of_a_gaussian_game(differences):
    draw = np.random.default_rng(1)
    game = GaussianGame([1.0, 2.0], np.diag([1.0, 2.0]), ridge=0.3, theta=draw.normal(size=12))
    found = np.stack([game.cross_jvp(u) for u in np.eye(game.size)], axis=1)
    np.testing.assert_allclose(found, differences(lambda g: g.cross_gradient(), game), atol=1e-9)


@pytest.mark.parametrize("zero_sum", [False, True])
def test_unrolling_differentiates_through_the_steps_ahead(table, differences, zero_sum):
    """Against differences of G's loss, or minus D's, after three steps of D, in a game that is curved."""
    field = table("dense", "minimax" if zero_sum else "non-saturating", order=2).field()
    d, rate = field.sizes[0], 0.4

    def ahead(game):
        with get_rule("simultaneous", game).kept(game):
            for _ in range(3):
                gradient = game.gradient("D")
                with game.write("D") as theta:
                    theta -= rate * gradient
            losses = game.losses()
            return [-losses[0] if zero_sum else losses[1]]

    expected = differences(ahead, field)[0, d:]
    before, own = field.theta, field.gradient("D")
    get_rule("unrolled", field, lr=(0.2, 1.0), k=3, rate=rate, zero_sum=zero_sum).step(field)
    found = before - field.theta
    assert np.abs(expected - field.at(before).gradient("G")).max() > 0.1 * np.abs(expected).max()
    np.testing.assert_allclose(found[d:], expected, rtol=0, atol=1e-8 * np.abs(expected).max())
    np.testing.assert_allclose(found[:d], 0.2 * own, rtol=1e-10, atol=1e-14)
