"""Rules in runs: each trains, and is stopped and resumed without a trace."""

import numpy as np
import pytest

import npgan
from npgan.errors import ConfigError, NonFiniteError, SecondOrderError
from npgan.game import RULES
from npgan.layers import Dense, Layer, LeakyReLU, Plan
from npgan.penalties import PENALTIES
from npgan.recipes import RECIPES
from npgan.training.checkpoint import latest
from npgan.training.config import merge
from npgan.training.experiment import Experiment
from npgan.training.trainer import override, resolve

TINY = {"batch": 8, "latent": {"size": 4}, "data": {"prefetch": 0}}
CASES = {name: ("ring", {"rule": name}) for name in RULES if name != "alternating"} | {
    "lookahead of extragradient": (
        "ring",
        {"rule": "lookahead", "rule_options": {"inner": "extragradient", "k": 2, "alpha": 0.3}},
    ),
    "ema of optimism": ("ring", {"rule": "ema", "rule_options": {"inner": "optimistic", "decay": 0.9}}),
    "batch norm, R1": (
        "dcgan",
        {"rule": "extragradient", "penalties": [{"name": "r1", "gamma": 1.0, "every": 2}], "ema": 0.9},
    ),
    "second order": ("dcgan", {"rule": "consensus", "rule_options": {"gamma": 0.01}}),
    "second order of a penalty": ("ring", {"rule": "consensus", "penalties": [{"name": "r1", "gamma": 1.0}]}),
    "labels": ("cgan", {"rule": "symplectic"}),
    "n_critic of the recipe": ("wgan-gp", {"rule": "optimistic"}),
    "sgd": (
        "mlp",
        {
            "rule": "competitive",
            "generator": {"optimizer": "sgd", "lr": 0.1},
            "discriminator": {"optimizer": "sgd", "lr": 0.1},
        },
    ),
    "clipping": ("mlp", {"rule": "extrapolation-from-past", "loss": "wasserstein", "generator": {"clip_norm": 1e-3}}),
}


@pytest.fixture
def make():
    made = []

    def experiment(recipe="mlp", **settings):
        own = RECIPES[recipe] if isinstance(recipe, str) else recipe
        model = {"model": {"mlp": {"width": 8}, "ring": {"width": 8}}.get(own.name, {"channels": 4})}
        config = resolve(own, merge(merge(TINY, model if isinstance(recipe, str) else {}), settings))
        made.append(Experiment(config, own))
        return made[-1]

    yield experiment
    for each in made:
        each.close()


@pytest.mark.parametrize("name", PENALTIES)
def test_ring_trains_with_every_penalty(make, name):
    plain, charged = make("ring"), make("ring", penalties=[{"name": name, "every": 2}])
    found = [charged.step(step) for step in range(3)]
    assert [each.get("penalty", 0) > 0 for each in found] == [True, False, True]
    for step in range(3):
        plain.step(step)
    assert np.abs(charged.discriminator.theta - plain.discriminator.theta).max() > 1e-5
    assert np.isfinite(charged.generator.theta).all()


@pytest.mark.parametrize("case", CASES)
def test_stopped_and_resumed_is_as_never_stopped(train, written, case):
    recipe, settings = CASES[case]
    whole = written(train("whole", recipe, steps=5, **settings).path)
    part = train("part", recipe, steps=3, **settings).path
    assert npgan.resume(part, steps=5, quiet=True).step == 5
    found = written(part)
    found.pop("checkpoints/step-00000003.safetensors")
    assert found == whole
    first, last = (latest_arrays(part, step) for step in (0, 5))
    for player in "DG":  # both have learned
        assert any(not np.array_equal(first[k], last[k]) for k in first if k.startswith(f"{player}/"))


def latest_arrays(path, step):
    from npgan.training.checkpoint import checkpoint_path, load

    return load(checkpoint_path(path / "checkpoints", step)).arrays


def test_what_a_rule_remembers_is_saved(train):
    path = train("a", "ring", steps=2, rule="averaging", rule_options={"inner": "optimistic"}).path
    found, _ = latest(path / "checkpoints")
    sizes = [sum(v.size for k, v in found.arrays.items() if k.startswith(f"{p}/")) for p in "DG"]
    assert found.arrays["rule/memory"].shape == (2 * sum(sizes),)
    assert found.meta["counters"]["rule"] == {"name": "averaging(optimistic)", "t": 2}
    np.testing.assert_array_equal(found.arrays["G.ema/mean"], found.arrays["rule/memory"][-sizes[1] :])


def test_another_rule_begins_afresh(train, tmp_path):
    """Its memory is not that of the old one, even where it has its size."""
    path = train("a", "ring", steps=3, rule="optimistic").path
    lines = []
    npgan.resume(path, steps=4, settings={"rule": "extrapolation-from-past"}, say=lines.append)
    assert "  rule: optimistic -> extrapolation-from-past" in lines
    twin = train("b", "ring", steps=3, rule="optimistic").path
    other = {"rule": "averaging", "rule_options": {"inner": "optimistic"}}
    assert npgan.resume(twin, steps=4, settings=other, quiet=True).step == 4
    assert latest(twin / "checkpoints")[0].meta["counters"]["rule"]["t"] == 1


def test_a_memory_is_taken_over_by_its_own_rule_alone(make):
    a = make("ring", rule="optimistic")
    a.step(0)
    same, other = make("ring", rule="optimistic"), make("ring", rule="extrapolation-from-past")
    for each in (same, other):
        each.load({name: array.copy() for name, array in a.arrays().items()}, a.counters())
    assert a.rule.rule.memory.any()
    np.testing.assert_array_equal(same.rule.rule.memory, a.rule.rule.memory)
    assert not other.rule.rule.memory.any()


def test_the_default_is_the_alternating_step(make):
    a = make("ring")
    assert a.config.rule == "alternating"
    assert type(a.rule).__name__ == "Alternating"
    assert a.game.order == 1
    assert "rule" not in a.counters()


def test_second_order_where_it_is_needed(make):
    assert make("ring", rule="extragradient").game.order == 1
    assert make("ring", rule="unrolled").game.order == 2
    assert make("ring", rule="lookahead", rule_options={"inner": "consensus"}).game.order == 2


def test_samples_are_of_the_rules_average(make):
    a = make("ring", rule="averaging")
    latents = a.sampler().latents(4)
    np.testing.assert_array_equal(a.sampler().draw(4), a.generator(latents))  # nothing is averaged yet
    points = []
    for step in range(3):
        a.step(step)
        points.append(a.generator.theta.copy())
    mean = a.generator.clone()
    mean.load(np.mean(points, axis=0, dtype="float64").astype("float32"))
    np.testing.assert_allclose(a.sampler().draw(4), mean(latents), rtol=1e-4, atol=1e-6)
    assert not np.array_equal(a.sampler().draw(4), a.generator(latents))


def test_a_saved_average_is_what_a_run_samples_from(train):
    run = train("a", "ring", steps=3, rule="ema", rule_options={"decay": 0.5})
    arrays = latest(run.path / "checkpoints")[0].arrays
    np.testing.assert_array_equal(run.generator.theta, arrays["G.ema/mean"])


def test_n_critic_belongs_to_the_alternating_step(make):
    assert resolve(RECIPES["wgan-gp"], {}).n_critic > 1
    assert resolve(RECIPES["wgan-gp"], {"rule": "extragradient"}).n_critic == 1
    with pytest.raises(ConfigError, match="n_critic is 3, but that belongs to the alternating step, and"):
        make("mlp", rule="extragradient", n_critic=3)
    with pytest.raises(ConfigError, match="fresh_noise is True, but that belongs"):
        make("mlp", rule="extragradient", fresh_noise=True)
    with pytest.raises(ConfigError, match=r"rule_options is \{'k': 2\}, but the alternating step has none"):
        make("mlp", rule_options={"k": 2})


def test_options_of_another_rule_go_with_it():
    base = {"rule": "consensus", "rule_options": {"gamma": 1.0}}
    assert override(base, {"rule": "lola"}) == {"rule": "lola"}
    assert override(base, {"rule": "consensus"}) == base
    assert override(base, {"batch": 3}) == {**base, "batch": 3}
    assert override({"n_critic": 5}, {"batch": 3}) == {"n_critic": 5, "batch": 3}
    assert override({**base, "rule": "optimistic", "n_critic": 1}, {"rule": "alternating"})["rule"] == "alternating"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"rule": "extragradent"}, ConfigError, "rule is 'extragradent'; did you mean 'extragradient'"),
        ({"rule": "magic"}, ConfigError, "expected one of simultaneous, alternating, negative-momentum, extragradient"),
        ({"rule": "consensus", "rule_options": {"gama": 1}}, ConfigError, "no option 'gama'; did you mean 'gamma'"),
        ({"rule": "consensus", "rule_options": {"rates": 1}}, ConfigError, "no option 'rates'"),
        ({"rule": "ema", "ema": 0.9}, ConfigError, r"ema is 0.9, but the rule, ema\(alternating\), averages already"),
    ],
)
def test_slips(make, settings, error, message):
    with pytest.raises(error, match=message):
        make("mlp", **settings)


class Odd(Layer):
    """y = x, without R-maps."""

    def plan(self, x, k):
        return Plan(y=x)

    def forward(self, f):
        f.y[...] = f.x

    def backward(self, f):
        f.dx[...] = f.dy


def test_a_layer_without_second_order_is_named(make):
    def networks(fit):
        return [Dense(4), Odd(), Dense(2)], [Dense(4), LeakyReLU(0.2), Dense(1)]

    odd = npgan.Recipe("odd", "", "", networks, {"data": {"name": "ring-8"}})
    make(odd, rule="extragradient").step(0)
    with pytest.raises(SecondOrderError, match="rule consensus needs products with the Jacobian, and G/1 Odd has no R"):
        make(odd, rule="consensus")
    with pytest.raises(SecondOrderError, match=r"rule ema\(consensus\) needs products"):
        make(odd, rule="ema", rule_options={"inner": "consensus"})


def test_a_run_that_goes_wrong_says_where(train, tmp_path):
    fast = {"optimizer": "sgd", "lr": 1e30}
    with pytest.raises(NonFiniteError, match=r"step \d, rule extragradient: .* The checkpoint of step"):
        train("a", "ring", steps=6, rule="extragradient", generator=fast, discriminator=fast, loss="least-squares")
