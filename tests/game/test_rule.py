"""The derivative of a rule's step against differences of the real step, and what a rule keeps to itself."""

import numpy as np
import pytest

from npgan.errors import ConfigError, DTypeError, NonFiniteError, ShapeError
from npgan.game import RULES, bilinear_game, dense, dirac_gan, get_rule
from npgan.game.frozen import freeze
from npgan.optimizers import Adam, Optimizer, get_optimizer

RATES = (0.1, 0.03)
ANYWHERE = [name for name, rule in RULES.items() if not rule.second_order]  # where no third derivative is needed
LINEAR = [
    {"lr": 0.1},
    {"lr": RATES},
    {"lr": RATES, "optimizer_options": {"momentum": 0.6}},
    {"lr": RATES, "optimizer_options": ({"momentum": -0.4}, {})},
    {"lr": RATES, "optimizer_options": {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1}},
    {
        "lr": RATES,
        "optimizer_options": {"groups": [{"ranges": [(0, 7)], "frozen": True}, {"lr": 0.5}], "momentum": 0.3},
    },
]
# Their second moments stay where they are, up to 1e-12, as these are nearly not renewed.
PRECONDITIONED = [
    {"lr": 0.01, "optimizer": "adam", "optimizer_options": {"betas": (0.5, 1 - 1e-13)}},
    {"lr": 0.01, "optimizer": "adam", "optimizer_options": {"betas": (0.0, 1 - 1e-13), "weight_decay": 0.1}},
    {"lr": 0.01, "optimizer": "adamw", "optimizer_options": {"betas": (0.9, 1 - 1e-13), "weight_decay": 0.1}},
    {"lr": 0.01, "optimizer": ("rmsprop", "sgd"), "optimizer_options": ({"alpha": 1 - 1e-13, "weight_decay": 0.1}, {})},
]


class Sign(Optimizer):
    """Not linear in the gradient."""

    kernel = "sgd"

    def _options(self, segment):
        return 0.0, 1.0


def by_differences(rule, game, h=1e-4):
    """The derivative of the real step by weights and memory."""
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
    before = rule.state(game)
    operator = rule.operator(game)
    matrix = dense(operator)
    check_transpose(operator, matrix)
    np.testing.assert_array_equal(rule.state(game), before)  # looking does not move
    expected = by_differences(rule, game)
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-7 * np.abs(expected).max())
    return matrix


@pytest.mark.parametrize("name", ANYWHERE)
@pytest.mark.parametrize("options", LINEAR, ids=str)
def test_the_derivative_of_the_step(table, name, options):
    field = table("dense", "non-saturating", order=2).field()
    rule = get_rule(name, field, **options)
    for _ in range(2):  # so that there is momentum
        rule.step(field)
    check(rule, field)


@pytest.mark.parametrize("name", ANYWHERE)
@pytest.mark.parametrize("options", PRECONDITIONED, ids=str)
def test_the_derivative_with_a_frozen_preconditioner(table, name, options):
    field = table("dense", "non-saturating", order=2).field()
    rule = get_rule(name, field, **options)
    draw = np.random.default_rng(0)
    for optimizer in rule.optimizers:
        moments = {k: np.abs(draw.normal(size=optimizer.size)) + 0.1 for k in optimizer.state()}
        optimizer.load_state(moments, 10**15)
    check(rule, field)


def test_bias_corrections_are_those_of_the_next_step():
    adam = get_optimizer("adam", 2, "float64", betas=(0.5, 0.9), eps=0.1)
    adam.load_state({"m": np.array([1.0, 2.0]), "v": np.array([0.04, 0.09])}, 3)
    theta, moment, gradient = np.array([1.0, -1.0]), np.array([0.5, 2.0]), np.array([3.0, 1.0])
    m = 0.5 * moment + 0.5 * gradient
    expected = theta - 0.2 * (m / (1 - 0.5**4)) / (np.sqrt(np.array([0.04, 0.09]) / (1 - 0.9**4)) + 0.1)
    freeze(adam, 0.2).push(theta, moment, gradient)
    np.testing.assert_allclose(moment, m, rtol=1e-15)
    np.testing.assert_allclose(theta, expected, rtol=1e-15)
    assert adam.t == 3


@pytest.mark.parametrize("n_critic", [1, 3])
def test_alternation_takes_each_row_at_its_own_point(table, n_critic):
    field = table("dense", "non-saturating", order=2, penalties=["r1"]).field()
    rule = get_rule("alternating", field, lr=0.3, n_critic=n_critic)
    matrix = check(rule, field)
    d = field.sizes[0]
    twin = field.at(field.theta)
    for _ in range(n_critic):
        with twin.write("D") as theta:
            theta -= 0.3 * twin.gradient("D")
    here, there = (game.jacobian()[d:, d:] for game in (field, twin))
    assert np.abs(here - there).max() > 1e-3 * np.abs(here).max()
    moved = np.zeros((field.size, field.size - d))
    moved[d:] = np.eye(field.size - d)
    for j in range(field.size - d):  # with D moving as G's weights make it
        u = moved[:, j]
        again = field.at(field.theta)
        for _ in range(n_critic):
            u[:d] -= 0.3 * again.jvp(u, "D")
            with again.write("D") as theta:
                theta -= 0.3 * again.gradient("D")
        u[d:] -= 0.3 * again.jvp(u, "G")
    np.testing.assert_allclose(matrix[:, d:], moved, atol=1e-13)


def test_a_step_is_the_papers():
    game = bilinear_game(1.0, [1.0, 2.0])  # y, x: L_G = x y
    get_rule("simultaneous", game, lr=(0.1, 0.2)).step(game)
    np.testing.assert_allclose(game.theta, [1.0 + 0.1 * 2.0, 2.0 - 0.2 * 1.0])
    game = bilinear_game(1.0, [1.0, 2.0])
    get_rule("alternating", game, lr=(0.1, 0.2), n_critic=2).step(game)
    np.testing.assert_allclose(game.theta, [1.4, 2.0 - 0.2 * 1.4])


def test_it_trains_as_the_training_rule_does(table):
    made, twin = table("dense", "non-saturating"), table("dense", "non-saturating")
    training = made.rule()
    field = twin.field()
    rule = get_rule("alternating", field, lr=0.1)
    made.latent.draw(made.z, made.random, "latent", 0)
    field = twin.game.on(twin.x, made.z)
    training.step(0, lambda turn: (made.x, None))
    rule.step(field)
    np.testing.assert_array_equal(field.theta, np.concatenate([made.D.theta, made.G.theta]))


def test_state_goes_there_and_back(table):
    field = table("dense", order=2).field()
    rule = get_rule("alternating", field, optimizer=("sgd", "adam"), optimizer_options=({"momentum": 0.9}, {}))
    rule.step(field)
    state = rule.state(field)
    assert state.size == 2 * field.size
    rule.load_state(field, state * 2)
    np.testing.assert_array_equal(rule.state(field), state * 2)
    np.testing.assert_array_equal(field.theta, 2 * state[: field.size])
    with rule.kept(field):
        for _ in range(3):
            rule.step(field)
        assert rule.optimizers[1].t == 4
    np.testing.assert_array_equal(rule.state(field), state * 2)
    assert [each.t for each in rule.optimizers] == [1, 1]
    with pytest.raises(ShapeError, match="the state is"):
        rule.load_state(field, state[1:])


def test_rates_are_scaled_for_a_while():
    game = dirac_gan()
    rule = get_rule("simultaneous", game, lr=(0.1, 0.2))
    with rule.scaled(2.0):
        assert rule.rates == (0.2, 0.4)
    assert rule.rates == (0.1, 0.2)


def test_the_operator_stays_where_it_was_made(table):
    field = table("dense", order=2).field()
    for name in ANYWHERE:
        rule = get_rule(name, field)
        operator = rule.operator(field)
        u = np.ones(operator.shape[0])
        before = operator @ u
        np.testing.assert_array_equal(u, 1.0)  # nor does a product write to what it is given
        with field.write("D") as theta:
            theta *= 2
        np.testing.assert_array_equal(operator @ u, before)


def test_singular_values_of_a_step(table):
    """How much a step stretches: those of the matrix, by products with it and its transpose."""
    from scipy.sparse.linalg import svds

    field = table("dense", "non-saturating", order=2).field()
    rule = get_rule("alternating", field, lr=0.3, optimizer_options={"momentum": 0.5})
    rule.step(field)
    operator = rule.operator(field)
    found = svds(operator, k=3, return_singular_vectors=False, random_state=0)
    np.testing.assert_allclose(np.sort(found)[::-1], np.linalg.svd(dense(operator))[1][:3], rtol=1e-10)


def test_who_is_named():
    for name, rule in RULES.items():
        made = get_rule(name, dirac_gan())
        assert made.name == name == rule.name
        assert str(made) in (name, f"{name}(alternating)")
        assert rule.paper
        assert made.evaluations >= 1
    assert get_rule("alternating", dirac_gan(), n_critic=4).evaluations == 2.5


def test_refusals(table):
    game = dirac_gan()
    with pytest.raises(ConfigError, match="rule is 'alternate'; did you mean 'alternating'"):
        get_rule("alternate", game)
    with pytest.raises(ConfigError, match="rule 'simultaneous' has no option 'n_critic'"):
        get_rule("simultaneous", game, n_critic=2)
    with pytest.raises(ConfigError, match="n_critic is 0"):
        get_rule("alternating", game, n_critic=0)
    with pytest.raises(ConfigError, match="the rate of G is -1"):
        get_rule("alternating", game, lr=(0.1, -1))
    with pytest.raises(ConfigError, match=r"lr is \(1, 2, 3\), expected one for both players, or two"):
        get_rule("alternating", game, lr=(1, 2, 3))
    with pytest.raises(ConfigError, match="Adam has taken no step, so it has no preconditioner to hold fixed"):
        get_rule("simultaneous", game, optimizer="adam").operator(game)
    with pytest.raises(ConfigError, match="rule simultaneous: the optimizer of D is for 1 weights, the game has"):
        get_rule("simultaneous", game).operator(table("dense", order=2).field())
    with pytest.raises(ConfigError, match="has no linearisation"):
        freeze(Sign(3), 0.1)


def test_a_gradient_that_is_not_finite_stops_the_step(table):
    made = table("dense", order=2)
    made.x[0] = np.nan
    field = made.field()
    theta = field.theta
    for name in RULES:
        with pytest.raises(NonFiniteError, match="the gradient of D"):
            get_rule(name, field).step(field)
        np.testing.assert_array_equal(field.theta, theta)


def test_float32(table):
    field = table("dense", dtype="float32", order=2).field()
    rule = get_rule("alternating", field, optimizer="adam", lr=1e-3)
    rule.step(field)
    operator = rule.operator(field)
    assert operator.dtype == np.float32
    assert (operator @ np.ones(operator.shape[0])).dtype == np.float32
    with pytest.raises(DTypeError):
        rule.load_state(field, rule.state(field).astype("float64"))


def test_optimizers_are_the_training_ones(table):
    field = table("dense").field()
    rule = get_rule("simultaneous", field, optimizer="adam", lr=0.01)
    twin = table("dense").field()
    adams = [get_optimizer("adam", n, "float64") for n in twin.sizes]
    assert all(isinstance(each, Adam) for each in rule.optimizers)
    for _ in range(3):
        rule.step(field)
        v = twin.split(twin.gradient())
        for player, adam, gradient in zip("DG", adams, v, strict=True):
            with twin.write(player) as theta:
                adam.step(theta, gradient, 0.01)
    np.testing.assert_array_equal(field.theta, twin.theta)
