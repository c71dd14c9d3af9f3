"""Compiled steps of the recipes' own networks against steps that are run as they are written: the same bits."""

import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.backend.compiled_step import CompiledStep
from npgan.errors import ConfigError
from npgan.game import Alternating, Game, Latent, Player, Steps
from npgan.layers import Dense, Layer
from npgan.layers.base import Plan
from npgan.losses import get_loss
from npgan.network import Network
from npgan.optimizers import Ema, get_optimizer, get_schedule
from npgan.penalties import get_penalty
from npgan.recipes import RECIPES, Fit

BATCH, CLASSES = 6, 3


class Made:
    """A recipe's networks, narrow, with batches of their own."""

    def __init__(
        self,
        recipe="dcgan",
        shape=(8, 8, 1),
        dtype="float32",
        record=True,
        penalties=(),
        loss="non-saturating",
        channels=16,
        weights=None,
        extra=(),
        **rule,
    ):
        made, self.backend = RECIPES[recipe], get_backend("cpu")
        conditional = CLASSES if made.conditional else None
        layers = made.build(Fit(shape, conditional, True, {**made.settings["model"], "channels": channels}))
        layers[1].extend(extra)
        self.G, self.D = (
            Network(
                each,
                size,
                dtype=dtype,
                backend=self.backend,
                seed=3,
                name=name,
                condition_shape=() if made.conditional else None,
            )
            for each, size, name in zip(layers, ((5,), shape), "GD", strict=True)
        )
        loss = get_loss(loss, backend=self.backend, class_weights=weights)
        self.game = Game(self.G, self.D, loss, BATCH, penalties=[_penalty(p) for p in penalties])
        players = (self._player(network) for network in (self.G, self.D))
        self.rule = Alternating(self.game, *players, Latent((5,)), self.backend.random(5), **rule)
        self.steps = Steps(self.rule, record=record)
        draw = np.random.default_rng(0)
        self.x = np.tanh(draw.normal(size=(BATCH, *shape))).astype(dtype)
        self.labels = draw.integers(0, CLASSES, BATCH) if made.conditional else None

    def _player(self, network):
        adam = get_optimizer("adam", network.size, network.dtype, backend=self.backend)
        rate = get_schedule("exponential", lr=0.01, gamma=0.7)
        return Player(network, adam, rate, ema=Ema(network.size, network.dtype, backend=self.backend))

    def data(self, turn):
        labels = None if self.labels is None else np.roll(self.labels, turn)
        return np.roll(self.x, turn, axis=0) * self.x.dtype.type(1 - 0.01 * turn), labels

    def run(self, count):
        found = []
        for step in range(count):
            self.steps.step(step, self.data)
            self.steps.read()
            found += self.steps.known(wait=True)
        return found

    def arrays(self):
        """All that a step changes of the players."""
        players = self.rule.G, self.rule.D
        arrays = [
            a
            for p in players
            for a in (p.network.theta, p.network.state, p.gradient, p.ema.mean, *p.optimizer.state().values())
        ]
        return [array.copy() for array in arrays]

    def memory(self):
        """All that it may write to beside them."""
        passes = self.game._passes()
        rooms = [vars(each._room) for each in self.game.penalties]
        arrays = [
            *(p._region for p in passes if p._region is not None),
            *(value for room in rooms for value in room.values() if isinstance(value, np.ndarray)),
            *(a for batch in self.steps._batches for a in batch if a is not None),
            self.game._dscore,
            self.rule._z,
            self.steps._out,
        ]
        return [array.copy() for array in arrays]


def _penalty(given):
    return get_penalty(given) if isinstance(given, str) else given


def equal(first, second):
    for a, b in zip(first, second, strict=True):
        assert a.tobytes() == b.tobytes()


CASES = {
    "dcgan": {},
    "three channels": {"shape": (16, 16, 3)},
    "float64": {"dtype": "float64"},
    "upsampling": {"recipe": "dcgan-upsample"},
    "classes": {"recipe": "cgan", "weights": [1.0, 2.0, 0.5]},
    "columns": {"recipe": "cgan", "channels": 3},
    "penalty": {"recipe": "dcgan-r1", "penalties": ["r1"]},
    "lazy": {"recipe": "dcgan-r1", "penalties": [get_penalty("r1", every=2)], "n_critic": 3},
    "critic": {"recipe": "wgan-gp", "penalties": ["wgan-gp"], "loss": "wasserstein", "n_critic": 2},
    "batch norm in the penalty": {"penalties": ["wgan-gp"], "fresh_noise": True},
}


def same(options, count=7):
    made, written = Made(**options), Made(**options, record=False)
    assert made.run(count) == written.run(count)
    equal(made.arrays(), written.arrays())
    return made


@pytest.mark.parametrize("case", CASES)
def test_the_bits_are_those_of_the_step_as_it_is_written(case):
    made = same(CASES[case], 9)
    assert made.steps.reason is None
    assert not made.steps._unchecked
    assert len(made.steps._recordings) == (2 if case == "lazy" else 1)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("case", ["dcgan", "classes"])
def test_whatever_the_number_of_threads(monkeypatch, case, count):
    monkeypatch.setattr("npgan.backend.threads._GRAIN", 100)  # everything is divided
    names = [module for module in THREADED if hasattr(__import__(module, fromlist=["x"]), "thread_count")]
    for module in names:
        monkeypatch.setattr(f"{module}.thread_count", lambda: count)
    made = same(CASES[case])
    assert made.steps.reason is None
    (recording,) = made.steps._recordings.values()
    assert recording._groups[:, 2].max() == count


THREADED = ["npgan.backend.threads", "npgan.kernels.stack.cpu"] + [
    f"npgan.kernels.conv.{name}" for name in ("blocks", "columns", "correlate", "gather", "panels", "scatter")
]


@pytest.mark.parametrize("case", CASES)
def test_writing_down_computes_nothing(monkeypatch, case):
    """Whatever it computed would be missing in later steps."""
    seen = []
    write_down = CompiledStep._write_down

    def looked_at(recording, body):
        before = made.arrays() + made.memory()
        found = write_down(recording, body)
        equal(before, made.arrays() + made.memory())
        seen.append(recording)
        return found

    monkeypatch.setattr(CompiledStep, "_write_down", looked_at)
    made = Made(**CASES[case])
    made.run(3)
    assert seen


class Doubled(Layer):
    """Computes by NumPy what is lost where a step is written down."""

    def plan(self, x, k):
        return Plan(y=x)

    def forward(self, f):
        f.y[...] = 2 * f.x

    def backward(self, f):
        f.dx[...] = 2 * f.dy


def test_a_layer_of_the_users_is_not_written_down():
    made = same({"extra": [Doubled()]})
    assert made.steps.reason.startswith("7 Doubled is a layer of yours")


def test_a_snapshot_of_large_networks_would_cost_too_much(monkeypatch):
    monkeypatch.setattr("npgan.game.recorded._MOST_BYTES", 10_000)
    assert same({}).steps.reason.startswith("a copy of the players would take")


def test_there_is_one_snapshot():
    made = Made()
    made.steps.window = 2
    for step in range(9):
        made.steps.step(step, made.data)
        if step % 3:
            made.steps.read()
        assert len(made.steps._asked) <= 1
    assert len({id(made.steps._snapshot), *map(id, made.steps._spare)}) == 1


def test_what_was_lost_is_seen_in_the_first_replay(monkeypatch):
    monkeypatch.setattr(Doubled, "__module__", "npgan.layers")
    assert same({"extra": [Doubled()]}).steps.reason.startswith("a replay has other bits")


def test_numpy_in_a_layer_is_refused(monkeypatch):
    monkeypatch.setattr(Doubled, "__module__", "npgan.layers")
    monkeypatch.setattr(Doubled, "forward", lambda self, f: f.xp.add(f.x, f.x, out=f.y))
    assert same({"extra": [Doubled()]}).steps.reason == "it calls NumPy's add, which is no kernel"


def test_a_label_that_is_none_is_named_later():
    made = Made("cgan")
    good, bad = made.labels.copy(), made.labels.copy()
    bad[2] = CLASSES
    with pytest.raises(ConfigError, match=r"step|a label is 3, expected 0 to 2"):  # noqa: PT012
        for step in range(8):
            made.labels = bad if step == 5 else good
            made.steps.step(step, made.data)
        made.labels = bad
        made.steps.known(wait=True)


def test_a_network_wider_than_its_tape():
    assert same({"extra": [Dense(2), Dense(1)]}).steps.reason is None
