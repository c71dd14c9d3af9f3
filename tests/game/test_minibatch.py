"""Rules on fresh mini-batches."""

import numpy as np
import pytest

from npgan.errors import ConfigError, ConvergenceError, NonFiniteError
from npgan.game import RULES, BatchGame, MiniBatches, get_rule, make_rule
from npgan.optimizers import Ema

EVERY = [*((name, {}) for name in RULES), ("lookahead", {"inner": "extragradient", "k": 2})]


def training(made, name, options=None, players=None):
    """The rule on a Table's game, with its players."""
    g, d = players or (made.player(made.G, lr=0.05), made.player(made.D, lr=0.1))
    rule = make_rule(name, (d.optimizer, g.optimizer), (0.0, 0.0), options)
    return MiniBatches(made.game, rule, g, d, made.latent, made.random)


def weights(made):
    return np.concatenate([made.D.theta, made.G.theta])


@pytest.mark.parametrize("penalties", [[], ["r1"]], ids=str)
@pytest.mark.parametrize("name", ["dense", "dropout", "conv"])
def test_alternation_is_the_training_step(table, name, penalties):
    made, twin = (table(name, "non-saturating", penalties=penalties) for _ in range(2))
    other = twin.rule((twin.player(twin.G, "adam", 0.05), twin.player(twin.D, lr=0.1, clip_norm=0.1)))
    players = made.player(made.G, "adam", 0.05), made.player(made.D, lr=0.1, clip_norm=0.1)
    rule = training(made, "alternating", players=players)
    for step in range(3):
        assert rule.step(step, made.data) == other.step(step, twin.data)
    np.testing.assert_array_equal(weights(made), weights(twin))
    np.testing.assert_array_equal(made.D.state, twin.D.state)


@pytest.mark.parametrize(("name", "options"), EVERY, ids=str)
def test_a_step_is_the_rules_on_its_batches(table, name, options):
    """On batches drawn here, handed to the rule one after the other."""
    made, twin = (table("dense", "non-saturating", order=2) for _ in range(2))
    rule = training(made, name, options)
    field = twin.field()
    same = get_rule(name, field, lr=(0.1, 0.05), **options)
    for step in range(2):
        found = rule.step(step, made.data)
        fields = []
        for i in range(same.batches):
            batch = step * same.batches + i
            z = twin.latent.draw(np.empty_like(twin.z), twin.random, "latent", batch)
            fields.append(twin.game.on(twin.data(batch)[0], z))
        losses, norms = fields[0].losses(), [np.linalg.norm(v) for v in fields[0].split(fields[0].gradient())]
        if name != "extrapolation-from-past" or not step:  # which looks elsewhere
            assert found["loss_d"] == pytest.approx(losses[0], rel=1e-13)
            assert found["grad_norm_d"] == pytest.approx(norms[0], rel=1e-13)
        if name in ("extragradient", "consensus", "optimistic"):
            assert found["loss_g"] == pytest.approx(losses[1], rel=1e-13)
        remaining = iter(fields[1:])
        same.fresh = lambda remaining=remaining: next(remaining)
        same.step(fields[0])
        assert next(remaining, None) is None  # each was used
        np.testing.assert_allclose(weights(made), weights(twin), rtol=1e-12, atol=1e-13)
    assert list(found) == ["loss_d", "loss_g", "score_real", "score_fake", "grad_norm_d", "grad_norm_g"]


def test_extragradient_takes_two_batches_and_lookahead_each_its_own(table):
    made = table("dense", order=1)
    seen = []

    def data(turn):
        seen.append(turn)
        return made.data(turn)

    training(made, "extragradient").step(3, data)
    assert seen == [6, 7]
    seen.clear()
    training(made, "lookahead", {"inner": "extragradient", "k": 2}).step(1, data)
    assert seen == [4, 5, 6, 7]
    seen.clear()
    training(made, "optimistic").step(5, data)
    assert seen == [5]


def test_lazy_penalties_and_masks_go_by_the_steps_within(table):
    """Both evaluations of an extragradient step are charged, or none; of lookahead's steps every second."""
    made = table("dense")
    for name, options, expected in (
        ("extragradient", {}, [0, 0, 1, 1, 2, 2]),
        ("lookahead", {"inner": "extragradient", "k": 2}, [0, 0, 1, 1, 2, 2, 3, 3]),
        ("lookahead", {"k": 2}, [0, 1, 2, 3]),
    ):
        rule = training(made, name, options)
        per_step = rule.rule.batches
        turns = [f.step for step in range(len(expected) // per_step) for f in rule._fields(step, made.data)]
        assert turns == expected


def test_running_statistics_learn(table):
    made = table("conv")
    before = made.D.state.copy()
    training(made, "extragradient").step(0, made.data)
    assert not np.array_equal(before, made.D.state)


def test_limits_schedules_and_averages(table):
    made = table("dense")
    ema = Ema(made.G.size, "float64", decay=0.5, warmup=1.0)
    g = made.player(made.G, lr=1.0, clip_norm=1e-3, ema=ema)
    d = made.player(made.D, lr=1.0, clip_value=1e-3, clip_weights=0.2)
    d.rate = lambda step: [1.0, 0.0][step]
    rule = training(made, "optimistic", players=(g, d))
    with made.D.write() as theta:
        np.clip(theta, -0.2, 0.2, out=theta)
    before_d, before_g = made.D.theta.copy(), made.G.theta.copy()
    rule.step(0, made.data)
    assert np.abs(made.D.theta).max() <= 0.2
    assert 0 < np.abs(made.D.theta - before_d).max() <= 2e-3 + 1e-12
    assert np.linalg.norm(made.G.theta - before_g) == pytest.approx(2e-3)
    np.testing.assert_array_equal(ema.mean, made.G.theta)
    after = made.D.theta.copy()
    rule.step(1, made.data)
    np.testing.assert_array_equal(made.D.theta, after)  # its rate is 0
    assert ema.t == 2


@pytest.mark.parametrize("name", ["extragradient", "extrapolation-from-past", "unrolled", "lola", "consensus"])
def test_what_is_not_finite_is_named_and_nobody_is_left_on_the_way(table, name):
    made = table("dense", order=2)
    rule = training(made, name)
    rule.step(0, made.data)
    before, memory = weights(made), rule.rule.memory.copy()
    turns = [optimizer.t for optimizer in rule.rule.optimizers]

    def data(turn):
        x, labels = made.data(turn)
        return (x * np.nan if turn == rule.rule.batches * 2 - 1 else x), labels

    with pytest.raises(NonFiniteError, match=rf"step 1, rule {name}: the gradient of D: D/0 Dense: .*") as error:
        rule.step(1, data)
    assert "x" in str(error.value)
    np.testing.assert_array_equal(weights(made), before)
    np.testing.assert_array_equal(rule.rule.memory, memory)
    assert [optimizer.t for optimizer in rule.rule.optimizers] == turns
    assert rule.rule.fresh is None


def test_steps_ahead_that_are_not_finite_are_taken_back(table):
    made = table("dense", "least-squares", order=2)
    rule = training(made, "unrolled", {"rate": 1e200})
    before = weights(made)
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match="step 0, rule unrolled: the gradient of D"):
        rule.step(0, made.data)
    np.testing.assert_array_equal(weights(made), before)


def test_what_overflows_in_a_product_is_named(table, monkeypatch):
    made = table("dense", dtype="float32", order=2)
    rule = training(made, "consensus")
    before = weights(made)
    monkeypatch.setattr(BatchGame, "vjp", lambda self, u: u * np.inf)
    with (
        np.errstate(all="ignore"),
        pytest.raises(NonFiniteError, match="step 0, rule consensus: what D should descend is not finite"),
    ):
        rule.step(0, made.data)
    np.testing.assert_array_equal(weights(made), before)


def test_a_step_that_is_not_found(table):
    made = table("dense", order=2)
    rule = training(made, "competitive", {"iterations": 1}, (made.player(made.G, lr=9.0), made.player(made.D, lr=9.0)))
    with pytest.raises(ConvergenceError, match="step 4, rule competitive: conjugate gradients left"):
        rule.step(4, made.data)


def test_players_that_do_not_fit(table):
    made, other = table("dense"), table("conv")
    g, d = made.player(made.G), made.player(made.D)
    rule = make_rule("optimistic", (g.optimizer, d.optimizer), (0.1, 0.1))
    with pytest.raises(ConfigError, match="rule optimistic has other optimizers than the players"):
        MiniBatches(made.game, rule, g, d, made.latent, made.random)
    other.game.generator = type("G", (), {"input_shape": (3,)})()
    with pytest.raises(ConfigError, match=r"the latent is \(2,\), but the generator takes \(3,\)"):
        MiniBatches(other.game, rule, g, d, made.latent, made.random)
