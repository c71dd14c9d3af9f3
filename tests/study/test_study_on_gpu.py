"""What looks at a game, of a game on a GPU or on the emulator of one: the numbers are the CPU's to rounding."""

from importlib import import_module

import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.game import Game, QuadraticGame, dirac_gan, get_rule
from npgan.layers import Dense, Tanh
from npgan.losses import get_loss
from npgan.network import Network
from npgan.penalties import get_penalty
from npgan.study import compare_on_game, compare_rules, find_equilibrium, map_spectrum, split, spread, verdict, verify

BOTH = ("cpu", "gpu")


@pytest.fixture(autouse=True)
def _device(cupy):
    """All here are on a device."""


def game_on(backend):
    """A small GAN on a batch, with a penalty."""
    options = {"dtype": "float64", "seed": 0, "backend": backend}
    G = Network([Dense(2), Tanh(), Dense(2)], (2,), name="G", **options)
    D = Network([Dense(2), Tanh(), Dense(1)], (2,), name="D", **options)
    game = Game(G, D, get_loss("non-saturating", backend=backend), 4, penalties=[get_penalty("r1")], order=2)
    x, z = (G.backend.asarray(each) for each in np.random.default_rng(0).normal(size=(2, 4, 2)))
    return game.on(x, z)


def model_on(backend):
    """A game that is quick on the emulator too."""
    J = np.random.default_rng(0).normal(size=(12, 12))
    game = QuadraticGame((5, 7), J, J.T + J[::-1], backend=backend)
    game.load(game.backend.asarray(J[0]))
    return game


def moved(game, name="alternating", **options):
    """A rule that has something to remember."""
    rule = get_rule(name, game, lr=0.05, **options)
    for _ in range(2):
        rule.step(game)
    return rule


def same(there, here, **tolerance):
    for a, b in zip(there, here, strict=True):
        assert type(a) is type(b)
        np.testing.assert_allclose(a, b, **{"rtol": 1e-8, "atol": 1e-9, **tolerance})


def test_spectra_of_the_flow():
    here, there = (spread([game_on(backend)]) for backend in BOTH)
    same((there.values, there.growth), (here.values, here.growth))


@pytest.mark.parametrize("k", [None, 3])
def test_spectra_of_an_update_map(k):
    games = [game_on(backend) if k is None else model_on(backend) for backend in BOTH]
    here, there = (map_spectrum(moved(game, optimizer="adam"), game, k) for game in games)
    same((abs(there.values), there.eigen.residuals), (abs(here.values), here.eigen.residuals), atol=1e-8)


@pytest.mark.parametrize("dense", [512, 4])
def test_halves(dense, monkeypatch):
    monkeypatch.setattr(import_module("npgan.study.split"), "_DENSE", dense)
    here, there = (split(model_on(backend), probes=2) for backend in BOTH)
    same(
        (there.potential, there.rotation, *there.curvature), (here.potential, here.rotation, *here.curvature), rtol=1e-6
    )


def test_what_is_foretold_happens():
    games = [dirac_gan(backend=backend, penalties=[get_penalty("r1", gamma=0.3)]) for backend in BOTH]
    here, there = (verify(get_rule("alternating", game, lr=0.1), game, steps=8) for game in games)
    assert there.disagreement < 1e-8
    same((there.predicted.multiplier, there.distances), (here.predicted.multiplier, here.distances))


@pytest.mark.parametrize("name", ["lola", "unrolled", "lookahead", "averaging", "negative-momentum"])
def test_verdicts(name):
    found = []
    for backend in BOTH:
        game = dirac_gan(backend=backend)
        penalized = game.penalized([get_penalty("r1", gamma=1.0)])
        found.append(verdict(get_rule(name, game, lr=0.05), game, penalized=penalized))
    here, there = found
    same((there.mode.radius, there.step, there.penalty), (here.mode.radius, here.step, here.penalty), rtol=1e-6)
    assert there.state == here.state


def test_a_verdict_with_adams_memory():
    games = [dirac_gan(backend=backend, theta=(0.3, 0.4)) for backend in BOTH]
    here, there = (verdict(moved(game, optimizer="adam"), game) for game in games)
    same((there.mode.radius, there.step), (here.mode.radius, here.step), rtol=1e-6)


def test_a_model_is_where_its_game_is(cupy):
    game = game_on("gpu")
    model = QuadraticGame.model(game)
    u = model.backend.asarray(np.random.default_rng(1).normal(size=game.size))
    for product in ("jvp", "vjp"):
        a, b = (game.backend.to_host(getattr(each, product)(u)) for each in (model, game))
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert isinstance(model.at(u).gradient(), cupy.ndarray)


def test_an_equilibrium():
    games = [dirac_gan(backend=backend, penalties=[get_penalty("r1")], theta=(0.3, 0.4)) for backend in BOTH]
    here, there = (find_equilibrium(game) for game in games)
    assert there.iterations == here.iterations
    same((get_backend("gpu").to_host(there.theta), there.distance), (here.theta, here.distance))


def test_rules_compared():
    rules = {name: {"name": name, "lr": 0.1} for name in ("simultaneous", "extragradient")}

    def slope(game):
        return {"slope": float(np.linalg.norm(game.backend.to_host(game.gradient())))}

    here, there = (
        compare_on_game(
            rules, lambda seed, backend=backend: game_on(backend), slope, evaluations=4, points=2, seeds=[0]
        )
        for backend in BOTH
    )
    same((there.values, there.spent), (here.values, here.spent))


def test_rules_compared_in_training():
    def size(experiment):
        network = experiment.game.generator
        return {"size": float(np.linalg.norm(network.backend.to_host(network.theta)))}

    here, there = (
        compare_rules(
            {"alternating": {}, "extragradient": {"rule": "extragradient"}},
            size,
            settings={"backend": backend, "dtype": "float64", "batch": 8},
            evaluations=2,
            points=1,
            seeds=[0],
        )
        for backend in BOTH
    )
    assert not there.failures
    same((there.values, there.spent), (here.values, here.spent))
