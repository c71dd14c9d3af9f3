"""Recorded steps against steps that are run as they are written."""

import math
from functools import wraps
from types import SimpleNamespace

import numpy as np
import pytest

from npgan.backend.cpu import NumpyBackend
from npgan.backend.recording import CannotRecordError, Live, Reading, Recording
from npgan.errors import NonFiniteError
from npgan.game import MiniBatches, Player, Steps, make_rule
from npgan.optimizers import Ema, get_schedule
from npgan.penalties import get_penalty


class Resolved:
    """An operation whose kernels take a Live, as those of a backend that records do."""

    def __init__(self, module):
        for name, function in vars(module).items():
            if callable(function):
                setattr(self, name, self._resolved(function))

    @staticmethod
    def _resolved(function):
        @wraps(function)
        def call(*args):
            return function(*(arg.value if isinstance(arg, Live) else arg for arg in args))

        return call


class Rerun(Recording):
    """Replays a step by running it again, with the numbers that were found for it. It computes while it records."""

    made, again = 0, None

    def _write_down(self, body):
        Rerun.made += 1
        self.body, self.done = body, True
        return body()

    def _pointer(self, index):
        return index

    def live(self, function):
        return super().live(function) if self.again is None else next(self.again)

    def launch(self):
        if self.done:
            self.done = False
            return
        self.again = iter([number for _, number in self._functions])
        self.backend.recording = self
        self.body()
        self.backend.recording = None
        assert next(self.again, "all") == "all"


class Late:
    """Arrives when it is waited for."""

    done = False

    def synchronize(self):
        self.done = True


class Backend(NumpyBackend):
    recorder = Rerun

    def __init__(self, name="cpu"):
        super().__init__(name)
        for operation in ("random", "optimizer"):
            setattr(self.kernels, operation, Resolved(getattr(self.kernels, operation)))

    def read_later(self, array):
        return Reading(array.copy(), Late())


@pytest.fixture
def make(table):
    """Return a game on a backend that records, its rule and its steps."""

    def make(name="dropout", n_critic=1, fresh=False, ema=True, window=100, penalties=(), record=True, **options):
        made = table(name, backend=Backend("reference"), penalties=penalties, **options)

        def player(network, rate):
            moving = Ema(network.size, network.dtype, backend=network.backend) if ema else None
            found = made.player(network, "adam", clip_norm=0.5, ema=moving)
            return Player(network, found.optimizer, get_schedule("exponential", lr=rate, gamma=0.7), 0.5, ema=moving)

        made.rule = made.rule((player(made.G, 0.01), player(made.D, 0.02)), n_critic=n_critic, fresh_noise=fresh)
        made.steps = Steps(made.rule, record=record, window=window)
        return made

    return make


def state(made):
    players = made.rule.G, made.rule.D
    arrays = [a for p in players for a in (p.network.theta, p.network.state, *p.optimizer.state().values())]
    arrays += [p.ema.mean for p in players if p.ema is not None]
    return [a.copy() for a in arrays], [(p.optimizer.t, p.ema.t if p.ema else 0, p.network.version) for p in players]


def same(first, second):
    for a, b in zip(first[0], second[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert first[1] == second[1]


CASES = {
    "plain": {},
    "fresh noise, no average": {"fresh": True, "ema": False},
    "critic": {"n_critic": 3, "loss": "wasserstein", "penalties": ("wgan-gp",)},
    "labels": {"name": "dense", "conditional": True, "class_weights": [1.0, 2.0, 0.5, 3.0]},
    "batch norm": {"name": "conv"},
    "lazy": {"n_critic": 2, "penalties": (get_penalty("r1", every=3),)},
}


@pytest.mark.parametrize("case", CASES)
def test_recorded_steps_are_those_that_are_written(make, case):
    recorded, written = make(**CASES[case]), make(record=False, **CASES[case])
    Rerun.made = 0
    for step in range(3, 12):
        for made in (recorded, written):
            made.steps.step(step, made.data)
            made.steps.read()
        assert recorded.steps.known(wait=True) == written.steps.known()
        same(state(recorded), state(written))
    assert recorded.steps.reason is None
    assert Rerun.made == (3 if case == "lazy" else 1)  # due in the first turn, in the second, in neither


def test_results_come_late_and_in_order(make):
    made, twin = make(), make(record=False)
    expected = [(step, twin.rule.step(step, twin.data)) for step in range(6)]
    found = []
    for step in range(6):
        made.steps.step(step, made.data)
        if step in (1, 2, 4, 5):
            made.steps.read()
        found += made.steps.known()
    assert found == expected[1:3]  # nobody is further ahead than two windows
    assert found + made.steps.known(wait=True) == [expected[i] for i in (1, 2, 4, 5)]


@pytest.mark.parametrize("bad", [0, 1, 2, 5])
@pytest.mark.parametrize("window", [2, 100])
def test_what_is_not_finite_is_named_however_late_it_is_seen(make, bad, window):
    made, twin = make(window=window), make(record=False)

    def poisoned(turn):
        x, labels = made.data(turn)
        return (x * math.nan if turn == bad else x), labels

    for step in range(bad):
        twin.steps.step(step, twin.data)
    with pytest.raises(NonFiniteError, match=rf"^step {bad}, D's turn: D/0 Dropout: .* were not updated$"):  # noqa: PT012
        for step in range(8):
            made.steps.step(step, poisoned)
            made.steps.known()
        made.steps.known(wait=True)
    arrays, counts = state(made)
    same((arrays, [c[:2] for c in counts]), (state(twin)[0], [c[:2] for c in state(twin)[1]]))


def test_an_overflow_of_what_is_only_looked_at_stops_nothing(make, monkeypatch):
    made, twin = make(), make(record=False)
    mean = made.D.backend.kernels.reduce.mean
    calls = []

    def once(x):
        calls.append(x)
        return math.inf if len(calls) == 7 else mean(x)  # of the fourth step

    monkeypatch.setattr(made.D.backend.kernels, "reduce", SimpleNamespace(**vars(made.D.backend.kernels.reduce)))
    monkeypatch.setattr(made.D.backend.kernels.reduce, "mean", once)
    found, expected = [], []
    for step in range(8):
        made.steps.step(step, made.data)
        made.steps.read()
        found += made.steps.known()
        expected.append((step, twin.rule.step(step, twin.data)))
    assert found + made.steps.known(wait=True) == expected
    assert len(calls) > 16  # some steps were run twice
    np.testing.assert_array_equal(made.G.theta, twin.G.theta)


def test_what_cannot_be_recorded_is_run_as_it_is_written(make):
    class Refuses(Rerun):
        def _write_down(self, body):
            body()
            raise CannotRecordError("the moon is full")

    made, twin = make(), make(record=False)
    made.D.backend.recorder = Refuses
    found = []
    for step in range(4):
        made.steps.step(step, made.data)
        made.steps.read()
        found += made.steps.known()
    assert made.steps.reason == "the moon is full"
    assert found == [(step, twin.rule.step(step, twin.data)) for step in range(4)]
    np.testing.assert_array_equal(made.D.theta, twin.D.theta)


def test_reasons_that_are_known_beforehand(make, table):
    assert make(record=False).steps.reason == "recording is switched off"
    assert Steps(table(backend=NumpyBackend("reference")).rule()).reason == "the reference backend does not record"
    assert Steps(table(backend=NumpyBackend()).rule()).reason is None
    made = make()
    d, g = made.rule.D, made.rule.G
    rule = MiniBatches(
        made.game, make_rule("simultaneous", (d.optimizer, g.optimizer), (0.1, 0.1)), g, d, made.latent, made.random
    )
    assert "only the alternating step is recorded" in Steps(rule).reason


def test_a_live_number_is_read_and_nothing_else():
    number = Live(3)
    assert (int(number), float(number)) == (3, 3.0)
    for operation in (lambda: number + 1, lambda: 2 * number, lambda: np.ones(2) * number, lambda: range(number)):
        with pytest.raises(TypeError):
            operation()
