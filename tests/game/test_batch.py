"""The game on one batch: its Jacobian against differences of its gradient, and what must not disturb it."""

import numpy as np
import pytest

from npgan.errors import ConfigError, NonFiniteError, SecondOrderError, ShapeError
from npgan.game import Game
from npgan.layers import Dense, Layer, Plan
from npgan.losses import LOSSES
from npgan.network import Network, Pass
from npgan.penalties import get_penalty

PENALTIES = [[], ["r1"], ["r2"], ["wgan-gp"], ["zero-centred"], ["dragan"], ["gradient-norm"], ["r1", "wgan-gp"]]
every_penalty = pytest.mark.parametrize("penalties", PENALTIES, ids="+".join)


def check(field, differences, h=1e-4):
    """Both products with every unit vector against differences, and the gradients against the losses'."""
    check_products(field, differences, h)
    d = field.sizes[0]
    by_d, by_g = differences(lambda game: game.losses(), field, h)
    own, cross = np.concatenate([by_d[:d], by_g[d:]]), np.concatenate([by_g[:d], by_d[d:]])
    np.testing.assert_allclose(field.gradient(), own, rtol=0, atol=1e-7 * np.abs(own).max())
    np.testing.assert_allclose(field.cross_gradient(), cross, rtol=0, atol=1e-7 * np.abs(cross).max())


def check_products(field, differences, h=1e-4):
    J = field.jacobian()
    expected = differences(lambda game: game.gradient(), field, h)
    scale = np.abs(expected).max()
    assert scale > 1e-3
    np.testing.assert_allclose(J, expected, rtol=0, atol=1e-7 * scale)
    transposed = np.stack([field.vjp(row) for row in np.eye(field.size)])
    np.testing.assert_allclose(transposed, J, rtol=0, atol=1e-12 * scale)


@every_penalty
@pytest.mark.parametrize("name", ["dense", "conv"])
def test_against_differences(table, differences, name, penalties):
    check(table(name, "non-saturating", order=2, penalties=penalties).field(step=3), differences)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(table, differences, loss):
    check(table("dense", loss, order=2).field(), differences)


@pytest.mark.parametrize("penalties", [[], ["r1"], ["wgan-gp"]], ids="+".join)
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_conditions_and_class_weights(table, differences, backend, penalties):
    weights = [0.5, 2.0, 1.0, 0.1]
    made = table("dense", conditional=True, backend=backend, order=2, penalties=penalties, class_weights=weights)
    check(made.field(), differences)


@pytest.mark.parametrize("penalties", [[], ["zero-centred"]], ids="+".join)
def test_dropout_has_one_mask_a_step(table, differences, penalties):
    made = table("dropout", order=2, penalties=penalties)
    check(made.field(step=2), differences)
    assert np.abs(made.field(step=2).gradient() - made.field(step=3).gradient()).max() > 1e-3
    np.testing.assert_array_equal(made.field(step=2).gradient(), made.field(step=2).gradient())


def test_several_scores_a_sample(table, differences):
    check(table("several scores", order=2).field(), differences)


@every_penalty
@pytest.mark.parametrize("name", ["dense", "conv"])
def test_both_products_are_of_one_matrix(table, name, penalties):
    made = table(name, "least-squares", order=2, penalties=penalties).field()
    draw = np.random.default_rng(4)
    u, w = draw.normal(size=(2, made.size))
    size = np.linalg.norm(w) * np.linalg.norm(made.jvp(u))
    assert abs(w @ made.jvp(u) - made.vjp(w) @ u) < 1e-12 * size


def test_a_zero_sum_game_is_antisymmetric_off_the_diagonal(table):
    J = table("dense", "minimax", order=2).field().jacobian()
    d = table("dense").D.size
    np.testing.assert_allclose(J[:d, d:], -J[d:, :d].T, atol=1e-15)
    for block in (J[:d, :d], J[d:, d:]):
        np.testing.assert_allclose(block, block.T, atol=1e-15)


def test_it_is_the_training_games_gradient(table):
    made = table("conv", "non-saturating", penalties=["wgan-gp"])
    expected = np.empty(made.D.size), np.empty(made.G.size)
    made.game.generate(made.z, None, 7)
    loss_d = made.game.discriminator_gradient(expected[0], made.x, None, 7)
    loss_g = made.game.generator_gradient(expected[1], None, 7)
    for order in (1, 2):
        field = table("conv", "non-saturating", penalties=["wgan-gp"], order=order).field(step=7)
        np.testing.assert_array_equal(field.gradient(), np.concatenate(expected))
        np.testing.assert_array_equal(field.gradient("G"), expected[1])
        assert field.losses() == (loss_d, loss_g)


def test_nothing_of_the_networks_changes(table):
    made = table("conv", order=2, penalties=["r1"])
    before = [array.copy() for array in (made.D.theta, made.G.theta, made.D.state, made.G.state, made.x, made.z)]
    field = made.field()
    u = np.ones(field.size)
    field.gradient(), field.jvp(u), field.vjp(u), field.cross_gradient()
    after = (made.D.theta, made.G.theta, made.D.state, made.G.state, made.x, made.z)
    for array, copy in zip(after, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    np.testing.assert_array_equal(u, 1.0)


@pytest.mark.parametrize("order", [1, 2])
def test_it_follows_the_weights_one_player_at_a_time(table, order):
    made = table("dense", order=order)
    field = made.field()
    field.gradient("G"), field.gradient("D"), field.gradient("G")
    for player, network in (("D", made.D), ("G", made.G), ("D", made.D)):
        with field.write(player) as theta:
            theta *= 1.1
        fresh = table("dense")
        fresh.D.load(made.D.theta)
        fresh.G.load(made.G.theta)
        for which in ("G", "D"):
            np.testing.assert_array_equal(field.gradient(which), fresh.field().gradient(which), err_msg=network.name)


def test_several_batches_share_a_game(table):
    made = table("dense", order=2)
    one = made.field()
    other = made.game.on(made.x[::-1] * 0.5, made.z)
    u = np.random.default_rng(0).normal(size=one.size)
    expected = [field.jvp(u) for field in (one, other)]
    assert np.abs(expected[0] - expected[1]).max() > 1e-3
    np.testing.assert_array_equal(one.jvp(u), expected[0])
    np.testing.assert_array_equal(other.vjp(u), other.vjp(u))
    for field, product in ((one, expected[0]), (other, expected[1])):
        np.testing.assert_array_equal(field.jvp(u), product)
        made.game.generate(made.z * 2, None, 0)  # a training step in between
        np.testing.assert_array_equal(field.jvp(u), product)
    made.x *= 0  # the batch was copied
    np.testing.assert_array_equal(one.jvp(u), expected[0])


@pytest.mark.parametrize("name", ["dense", "conv"])  # D has nothing of its own beside weights, and it has
def test_order_of_calls_does_not_matter(table, name):
    made = table(name, "non-saturating", order=2, penalties=["zero-centred"])
    assert made.game.shares == (name == "dense")
    u = np.random.default_rng(0).normal(size=made.field().size)
    calls = {
        "jvp": lambda f: f.jvp(u),
        "vjp": lambda f: f.vjp(u),
        "cross": lambda f: f.cross_gradient(),
        "gradient": lambda f: f.gradient(),
        "one": lambda f: f.gradient("G"),
        "moved": lambda f: (f.load(f.theta), f.gradient("G"))[1],
        "block": lambda f: f.block_jvp("G", "D", u[: f.sizes[0]]),
        "back": lambda f: f.block_vjp("D", "G", u[: f.sizes[0]]),
    }
    expected = {name: call(made.field()) for name, call in calls.items()}
    field = made.field()
    for name in [a for pair in ((a, b) for a in calls for b in calls) for a in pair]:
        np.testing.assert_array_equal(calls[name](field), expected[name], err_msg=name)


def test_a_product_stays_when_another_is_made(table):
    field = table("conv", "non-saturating", order=2).field()
    u = np.random.default_rng(0).normal(size=field.size)
    calls = [lambda u, p=p: field.jvp(u, p) for p in ("D", "G", None)]
    calls += [lambda u, p=p: field.vjp(u, p) for p in ("D", "G", None)]
    calls += [lambda u: field.block_jvp("G", "D", u[: field.sizes[0]])]
    for call in calls:
        found = call(u)
        kept = found.copy()
        call(-2.0 * u)
        np.testing.assert_array_equal(found, kept)
    first = [field.gradient("D"), field.gradient("G"), field.cross_gradient("D"), field.cross_gradient("G")]
    kept = [each.copy() for each in first]
    for player in "DG":
        with field.write(player) as theta:
            theta *= 1.1
    field.gradient(), field.cross_gradient()
    for a, b in zip(first, kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_fakes_are_judged_once(table, monkeypatch):
    """Both losses read the same scores: the second one's forward pass, and rforward, are the first one's."""
    made = table("relu", "non-saturating", order=2)
    calls = {"forward": [], "rforward": []}

    def listen(name):
        run = getattr(Pass, name)

        def listening(p, *args, **options):
            calls[name].append(str(p))
            return run(p, *args, **options)

        monkeypatch.setattr(Pass, name, listening)

    for name in calls:
        listen(name)
    field = made.field()
    expected = ["G.fake", "D.on_real", "D.on_fake"]
    field.jvp(np.ones(field.size))
    assert calls == {"forward": expected, "rforward": expected}
    with field.write("D") as theta:
        theta *= 1.5
    field.gradient("G")
    assert calls["forward"] == [*expected, "D.judge"]
    alone = Game(made.G.clone(), made.D.clone(), made.loss, len(made.x), order=2).on(made.x, made.z)
    np.testing.assert_array_equal(field.gradient(), alone.gradient())


def test_views_of_vectors_are_made_once(table, monkeypatch):
    field = table("conv", "non-saturating", order=2).field()
    draw = np.random.default_rng(0)

    def all_products():
        u = draw.normal(size=field.size)
        for player in "DG":
            with field.write(player):
                pass
        field.gradient(), field.cross_gradient(), field.jvp(u), field.vjp(u)
        field.block_jvp("G", "D", u[: field.sizes[0]]), field.jvp(u, "D"), field.vjp(u, "G")

    all_products()
    made = []
    for network in field.networks:
        original = network.layout.by_layer
        monkeypatch.setattr(network.layout, "by_layer", lambda v, original=original: made.append(v) or original(v))
    all_products()
    assert not made


def test_elsewhere_is_independent(table):
    made = table("dense", order=2, penalties=["r1"])
    field = made.field()
    v, theta = field.gradient(), field.theta
    twin = field.at(theta * 1.1)
    assert np.abs(twin.gradient() - v).max() > 1e-3
    np.testing.assert_array_equal(field.gradient(), v)
    np.testing.assert_array_equal(field.theta, theta)
    np.testing.assert_array_equal(field.at(theta).gradient(), v)
    plain = field.penalized([])
    np.testing.assert_array_equal(plain.gradient(), table("dense").field().gradient())


def test_a_lazy_penalty_counts_with_its_mean(table):
    always, lazy = (table("dense", penalties=[get_penalty("r1", gamma=2.0, every=k)], order=2) for k in (1, 4))
    for step in (0, 1):
        np.testing.assert_array_equal(lazy.field(step).gradient(), always.field(step).gradient())
    u = np.ones(always.field().size)
    np.testing.assert_array_equal(lazy.field(1).jvp(u), always.field(1).jvp(u))


def test_for_training_it_does_what_a_training_step_does(table, differences):
    lazy = [get_penalty("zero-centred", gamma=2.0, every=3)]
    for step, name in ((3, "conv"), (4, "conv"), (3, "dense")):
        made, twin = (table(name, "non-saturating", penalties=lazy, order=2) for _ in range(2))
        field = made.game.on(made.x, made.z, step=step, training=True)
        d, g = np.empty(made.D.size), np.empty(made.G.size)
        twin.game.generate(twin.z, None, step)
        twin.game.discriminator_gradient(d, twin.x, None, step)
        twin.game.generator_gradient(g, None, step)
        np.testing.assert_array_equal(field.gradient(), np.concatenate([d, g]))
        np.testing.assert_array_equal(made.D.state, twin.D.state)
        np.testing.assert_array_equal(made.G.state, twin.G.state)
        check_products(field, differences)
        np.testing.assert_array_equal(field.at(field.theta).gradient(), field.gradient())


def test_float32_is_close(table):
    wide, narrow = (table("conv", dtype=dtype, order=2, penalties=["r1"]).field() for dtype in ("float64", "float32"))
    u = np.random.default_rng(0).normal(size=wide.size)
    for product in ("jvp", "vjp"):
        expected, found = getattr(wide, product)(u), getattr(narrow, product)(u.astype("float32"))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=2e-4 * np.abs(expected).max())


def test_a_gradient_that_is_not_finite_is_traced(table):
    for order in (1, 2):
        made = table("dense", order=order)
        made.x[2, 1] = np.nan
        field = made.field()
        with pytest.raises(NonFiniteError, match=r"the gradient of D: D/0 Dense: x of forward is nan at \(2, 1\)"):
            field.gradient()
        assert np.isfinite(field.gradient("G")).all()
        with made.G.write() as theta:
            theta[0] = np.nan
        with pytest.raises(NonFiniteError, match="the gradient of G: G/0 Dense: weight of forward is nan"):
            field.gradient("G")
        if order == 2:
            with pytest.raises(NonFiniteError):
                field.jvp(np.ones(field.size))


class FirstOrder(Layer):
    def plan(self, x, k):
        return Plan(y=x)

    def forward(self, f):
        f.y[...] = f.x

    def backward(self, f):
        if f.dx is not None:
            f.dx[...] = f.dy


def test_second_order_that_is_not_there(table):
    made = table("dense")
    field = made.field()
    u = np.ones(field.size)
    for call in (field.jvp, field.vjp):
        with pytest.raises(SecondOrderError, match=r"this game was made for gradients alone; make it with .*order=2"):
            call(u)
    with pytest.raises(SecondOrderError, match="order=2"):
        field.cross_gradient()
    D = Network([FirstOrder(), Dense(1)], (3,), dtype="float64", name="D")
    Game(made.G, D, made.loss, 5)
    with pytest.raises(SecondOrderError, match="D/0 FirstOrder has no R-maps"):
        Game(made.G, D, made.loss, 5, order=2)
    with pytest.raises(ConfigError, match="the game's order is 3, expected 1"):
        Game(made.G, made.D, made.loss, 5, order=3)


def test_batches_that_do_not_fit(table):
    made = table("dense")
    with pytest.raises(ShapeError, match=r"x is \(4, 3\), expected \(5, 3\)"):
        made.game.on(made.x[:4], made.z)
    with pytest.raises(ShapeError, match=r"z is \(5, 3\), expected \(5, 2\)"):
        made.game.on(made.x, made.x)


def test_training_keeps_its_memory(table):
    """Order 1 has one region for all Passes; order 2 cannot."""
    first, second = table("conv"), table("conv", order=2)
    alone = [network.new_pass(first.game.batch).nbytes for network in (first.G, first.D)]
    assert max(alone) <= first.game.nbytes < sum(alone)
    assert second.game.nbytes > 2 * first.game.nbytes
