"""The GAN that the studies train: the same draws and steps whoever makes them."""

import numpy as np
import pytest

from npgan.errors import ConfigError
from npgan.game import get_rule
from npgan.study.studies.toy import Toy

ADAM = {"betas": (0.5, 0.999)}
TINY = {"width": 6, "batch": 16, "dtype": "float64"}


def test_draws_are_functions_of_the_step():
    toy, twin = Toy(seed=3, **TINY), Toy(seed=3, **TINY)
    toy.step(0)
    np.testing.assert_array_equal(toy.real(5, 7), twin.real(5, 7))
    np.testing.assert_array_equal(toy.noise(5, 7), twin.noise(5, 7))
    assert not np.array_equal(toy.real(5, 7), toy.real(5, 8))
    assert not np.array_equal(toy.real(5, 7), Toy(seed=4, **TINY).real(5, 7))


def test_data_are_the_mixture():
    toy = Toy("grid-25", **TINY)
    x = toy.real(20_000, 0)
    distances = np.linalg.norm(x[:, None] - toy.mixture.means, axis=2)
    nearest = distances.argmin(axis=1)
    np.testing.assert_allclose(np.bincount(nearest, minlength=25) / 20_000, 1 / 25, atol=0.006)
    assert (x - toy.mixture.means[nearest]).std() == pytest.approx(0.05, rel=0.02)
    assert Toy(sigma=0.3, **TINY).mixture.stds[0, 0] == 0.3


def test_a_step_of_the_fast_path_is_that_of_the_rule():
    toy, slow = Toy(**TINY, lr=0.01), Toy(**TINY, lr=0.01)
    for step in range(3):
        toy.step(step)
        x, z = slow.draws(step)
        slow.rule.step(slow.game.on(x, z, step=step, training=True))
    np.testing.assert_allclose(toy.point().theta, slow.point().theta, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("init", "factor"), [("xavier", np.sqrt(0.52)), ("he", 1.0)])
def test_weights_begin(init, factor):
    """He's weights keep a signal's size through leaky ReLUs; of Xavier's each leaves √((1 + 0.2²) / 2)."""
    D = Toy(width=256, depth=6, batch=16, dtype="float64", init=init).game.discriminator
    seen = D.new_pass(64, keep="all")
    seen.forward(np.random.default_rng(0).normal(size=(64, 2)))
    first, last = (np.sqrt(np.mean(seen[f"D/{i}"].x ** 2)) for i in (1, 11))
    assert (last / first) ** (1 / 5) == pytest.approx(factor, rel=0.1)


@pytest.mark.parametrize("activation", ["leaky-relu", "tanh"])
def test_spread_units_are_0_at_a_sample_of_their_own(activation):
    toy, he = (Toy(**TINY, depth=3, init=init, activation=activation) for init in ("spread", "he"))
    for name, points in (("generator", toy.noise(6, 0, "spread")), ("discriminator", toy.real(6, 0, "spread"))):
        network, other = getattr(toy.game, name), getattr(he.game, name)
        seen = network.new_pass(6, keep="all")
        seen.forward(points)
        for i in (1, 3, 5):
            before = seen[f"{network.name}/{i}"].x
            np.testing.assert_allclose(np.diag(before), 0.0, atol=1e-12)
            assert np.abs(before).max() > 0.1
        for path, (start, stop) in network.layout.ranges().items():
            same = np.array_equal(network.theta[start:stop], other.theta[start:stop])
            assert same == (path.endswith("weight") or path == "6/bias"), path


def test_rules_have_options():
    """An alternating step with two turns of D, by a text, is the rule's own, not that of the fast path."""
    toy, slow = Toy(**TINY, lr=0.01, rule="alternating n_critic=2"), Toy(**TINY, lr=0.01)
    assert toy.rule.n_critic == 2
    rule = get_rule("alternating", slow.point(), lr=0.01, optimizer="adam", n_critic=2, optimizer_options=ADAM)
    x, z = slow.draws(0)
    rule.step(slow.game.on(x, z, training=True))
    toy.step(0)
    np.testing.assert_allclose(toy.point().theta, slow.point().theta, rtol=1e-10, atol=1e-14)


def test_schedule_and_average():
    toy = Toy(**TINY, schedule="cosine", lr=1.0, steps=10, ema=0.9, rule="simultaneous")
    assert toy.rate(10) == pytest.approx(0.01)
    before = toy.samples(4)
    toy.step(0)
    np.testing.assert_array_equal(toy.samples(4), toy.game.generator(toy.noise(4, 0, "samples")))
    assert not np.array_equal(before, toy.samples(4))
    toy.step(1)
    assert not np.array_equal(toy.samples(4), toy.game.generator(toy.noise(4, 0, "samples")))


def test_an_average_of_the_rules_own():
    toy = Toy(**TINY, rule="averaging", lr=0.1)
    for step in range(3):
        toy.step(step)
    _, of_g = toy.point().split(toy.rule.average)
    np.testing.assert_array_equal(toy.generator().theta, of_g)
    with pytest.raises(ConfigError, match="averages already"):
        Toy(**TINY, rule="averaging", ema=0.9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": "moons"}, "data is 'moons'"),
        ({"schedule": "linear"}, 'schedule is \'linear\', expected "constant" or "cosine"'),
        ({"activation": "relu"}, "activation is 'relu'"),
        ({"penalty": ""}, "penalty is ''"),
        ({"rule": "consensu"}, "did you mean 'consensus'"),
        ({"init": "normal"}, "init is 'normal'"),
        ({"width": 0}, "width is 0"),
    ],
)
def test_nonsense(settings, message):
    with pytest.raises(ConfigError, match=message):
        Toy(**{**TINY, **settings})
