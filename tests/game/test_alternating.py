"""The alternating step against Algorithm 1, step by step."""

import numpy as np
import pytest

from npgan.errors import ConfigError, NonFiniteError
from npgan.game import Alternating, Game, Latent, Player
from npgan.layers import Dense, LeakyReLU
from npgan.losses import get_loss
from npgan.network import Network
from npgan.optimizers import get_optimizer, get_schedule
from npgan.penalties import get_penalty


class Spy:
    """Writes down what happens, in order."""

    def __init__(self, made, rule):
        self.events = []
        game = made.game
        for name, p in (
            ("fake", game.fake),
            ("on_real", game.on_real),
            ("on_fake", game.on_fake),
            ("judge", game.judge),
            *([("on_both", game.on_both)] if game.on_both else []),
        ):
            self._wrap(p, "forward", f"{name}.forward")
            self._wrap(p, "backward", f"{name}.backward")
        for player in (rule.G, rule.D):
            self._wrap(player, "clip", f"{player.network.name}.clip")
            self._wrap(player, "update", f"{player.network.name}.update")
        self._wrap(rule.latent, "draw", "noise")

    def _wrap(self, thing, method, event):
        original = getattr(thing, method)

        def wrapped(*args, **kwargs):
            self.events.append(event)
            return original(*args, **kwargs)

        object.__setattr__(thing, method, wrapped)


D_TURN = [
    "noise",
    "fake.forward",
    "on_real.forward",
    "on_real.backward",
    "on_fake.forward",
    "on_fake.backward",
    "D.clip",
    "D.update",
]
G_TURN = ["judge.forward", "judge.backward", "fake.backward", "G.clip", "G.update"]


def test_a_small_stack_sees_real_and_fake_at_once(table):
    made = table("relu")
    rule = made.rule()
    spy = Spy(made, rule)
    rule.step(0, made.data)
    both = ["noise", "fake.forward", "on_both.forward", "on_both.backward", "D.clip", "D.update"]
    assert spy.events == [*both, *G_TURN]


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("n_critic", [1, 3])
def test_it_is_algorithm_1(table, n_critic, fresh):
    made = table()
    turns = []
    rule = made.rule(n_critic=n_critic, fresh_noise=fresh)
    spy = Spy(made, rule)
    for step in (0, 1):
        spy.events.clear()
        rule.step(step, lambda turn: turns.append(turn) or made.data(turn))
        assert spy.events == D_TURN * n_critic + ["noise", "fake.forward"] * fresh + G_TURN
    assert turns == list(range(2 * n_critic))  # every critic step has a batch of its own


def test_one_step_by_hand(table):
    made, twin = table("relu", "non-saturating"), table("relu", "non-saturating")
    found = made.rule().step(4, made.data)
    z = twin.latent.draw(np.empty((5, 2)), twin.random, "latent", 4)
    out_d, out_g = np.zeros(twin.D.size), np.zeros(twin.G.size)
    twin.game.generate(z, None, 4)
    loss_d = twin.game.discriminator_gradient(out_d, made.data(4)[0], None, 4)
    with twin.D.write() as theta:
        theta -= 0.1 * out_d
    loss_g = twin.game.generator_gradient(out_g, None, 4)
    with twin.G.write() as theta:
        theta -= 0.1 * out_g
    np.testing.assert_allclose(made.D.theta, twin.D.theta, rtol=1e-14)
    np.testing.assert_allclose(made.G.theta, twin.G.theta, rtol=1e-14)
    assert found["loss_d"] == loss_d
    assert found["loss_g"] == loss_g
    assert found["grad_norm_d"] == pytest.approx(np.linalg.norm(out_d))
    assert found["grad_norm_g"] == pytest.approx(np.linalg.norm(out_g))
    assert found["score_real"] == made.game.score_real


def test_generator_is_judged_by_the_updated_discriminator(table):
    made, twin = table(), table()
    with_d = made.rule((made.player(made.G), made.player(made.D, lr=0.5))).step(0, made.data)
    without = twin.rule((twin.player(twin.G), twin.player(twin.D, lr=0.0))).step(0, twin.data)
    assert with_d["loss_d"] == without["loss_d"]
    assert with_d["loss_g"] != without["loss_g"]


def test_fresh_noise(table):
    def noise(fresh):
        made = table()
        rule = made.rule(fresh_noise=fresh)
        rule.step(0, made.data)
        return rule._z

    assert not np.any(noise(False) == noise(True))
    np.testing.assert_array_equal(noise(True), noise(True))


def test_steps_are_functions_of_their_number(table):
    first, second = table("conv"), table("conv")
    rules = first.rule(), second.rule()
    for step in range(3):
        results = [rule.step(step, made.data) for rule, made in zip(rules, (first, second), strict=True)]
        assert results[0] == results[1]
    np.testing.assert_array_equal(first.G.theta, second.G.theta)
    np.testing.assert_array_equal(first.D.state, second.D.state)


def test_labels_reach_both_players(table):
    made = table(conditional=True, class_weights=[1.0, 1.0, 1.0, 3.0])
    before = made.G.parameters()["0/inner/weight"].copy(), made.D.parameters()["0/inner/weight"].copy()
    made.rule().step(0, made.data)
    seen = np.isin(np.arange(4), made.labels)
    for network, old in zip((made.G, made.D), before, strict=True):
        moved = (network.parameters()["0/inner/weight"] != old).any(axis=1)
        np.testing.assert_array_equal(moved, seen)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"n_critic": 0}, "n_critic is 0, expected 1 or more"), ({"n_critic": -1}, "n_critic is -1")],
)
def test_what_makes_no_sense(table, options, message):
    with pytest.raises(ConfigError, match=message):
        table().rule(**options)


def test_a_latent_that_does_not_fit(table):
    made = table()
    made.latent = Latent((7,))
    with pytest.raises(ConfigError, match=r"the latent is \(7,\), but the generator takes \(2,\)"):
        made.rule()


# ---------------------------------------------------------------- what is not finite


def thetas(made):
    return made.G.theta.copy(), made.D.theta.copy()


def stops(made, rule, message, step=6, data=None):
    before = thetas(made)
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match=message):
        rule.step(step, data or made.data)
    for p in (made.game.fake, made.game.on_real, made.game.on_fake, made.game.judge):
        assert p.watch is None
    return before


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_bad_data(table, value):
    made = table()
    made.x[3, 1] = float(value)
    message = rf"^step 6, D's turn: D/0 Dense: x of forward is {value} at \(4, 1\); its weights were not updated$"
    before = stops(made, made.rule(), message)
    for theta, old in zip(thetas(made), before, strict=True):
        np.testing.assert_array_equal(theta, old)


@pytest.mark.parametrize(("name", "turn"), [("G", "D"), ("D", "D")])
def test_bad_weights(table, name, turn):
    # A bad weight of G shows in D's turn already, since D looks at G's samples.
    made = table()
    network = getattr(made, name)
    start = network.layout.ranges()["2/weight"][0]
    with network.write() as theta:
        theta[start + 1] = np.nan
    before = stops(made, made.rule(), rf"step 6, {turn}'s turn: {name}/2 Dense: weight of forward is nan at \(")
    for theta, old in zip(thetas(made), before, strict=True):
        np.testing.assert_array_equal(theta, old)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_gradient_of_the_generator_that_overflows(table, fresh):
    # Everything forward is finite and so is the judge's backward; G's own backward is not.
    made = table("relu", "wasserstein", dtype="float32")
    with made.D.write() as theta:
        theta *= 1e12
    with made.G.write() as theta:
        theta *= 1e-3
        start, stop = made.G.layout.ranges()["2/weight"]
        theta[start:stop] = 1e18
        ends = made.G.layout.ranges()["0/weight"]
        theta[slice(*ends)] = 0
    players = made.player(made.G), made.player(made.D, lr=0.0)
    before = stops(made, made.rule(players, fresh_noise=fresh), r"step 6, G's turn: G/2 Dense: dx of backward is -?inf")
    for theta, old in zip(thetas(made), before, strict=True):
        np.testing.assert_array_equal(theta, old)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_norm_that_overflows_though_every_array_is_finite(table, fresh):
    made = table("relu", "wasserstein")
    players = made.player(made.G), made.player(made.D, lr=0.0)
    players[0].clip = lambda: float("inf")
    stops(
        made, made.rule(players, fresh_noise=fresh), "step 6, G's turn: the loss or the norm .* though every array is"
    )


def test_limits_do_not_hide_it(table):
    made = table()
    made.x[0, 0] = np.nan
    players = made.player(made.G), made.player(made.D, clip_norm=1.0, clip_value=0.1)
    stops(made, made.rule(players), "D's turn")


def test_the_critic_stops_at_the_turn_that_is_bad(table):
    made = table()
    rule = made.rule(n_critic=3)

    def data(turn):
        x, labels = made.data(turn)
        return (np.full_like(x, np.nan) if turn == 19 else x), labels

    before = stops(made, rule, "step 6, D's turn: D/0 Dense: x of forward is nan", data=data)
    np.testing.assert_array_equal(made.G.theta, before[0])
    assert not np.array_equal(made.D.theta, before[1])  # the turn before it was sound


def test_a_lazy_penalty_is_reported_in_the_steps_that_evaluate_it():
    # Not the number of an earlier step, which a resumed run does not have.
    draw = np.random.default_rng(0)
    G, D = (
        Network([Dense(3), LeakyReLU(), Dense(n)], (2,), dtype="float64", name=name) for n, name in ((2, "G"), (1, "D"))
    )
    game = Game(G, D, get_loss("non-saturating"), 4, penalties=[get_penalty("r1", gamma=1.0, every=4)])
    players = [Player(n, get_optimizer("sgd", n.size, n.dtype), get_schedule("constant", lr=0.1)) for n in (G, D)]
    for n_critic, reported in ((1, [0, 4]), (3, [0, 1, 2, 4, 5])):  # of turns 0, 4, 8, 12, ...
        rule = Alternating(game, *players, Latent((2,)), G.backend.random(0), n_critic=n_critic)
        x = draw.normal(size=(4, 2))
        found = [rule.step(step, lambda turn, x=x: (x, None)) for step in range(6)]
        assert [step for step, each in enumerate(found) if "penalty" in each] == reported
