"""Steps as CUDA graphs against steps that are run as they are written: by the emulator where there is no GPU."""

import math

import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.backend.recording import CannotRecordError
from npgan.errors import ConfigError, NonFiniteError
from npgan.game import Game, Player, Steps
from npgan.losses import get_loss
from npgan.optimizers import Ema, get_schedule
from npgan.penalties import get_penalty

CASES = {
    "dropout": {"name": "dropout"},
    "fresh noise, sgd": {"name": "relu", "fresh": True, "optimizer": "sgd"},
    "critic": {"n_critic": 3, "loss": "wasserstein", "penalties": ("wgan-gp",)},
    "labels": {"conditional": True, "class_weights": [1.0, 2.0, 0.5, 3.0]},
    "batch norm": {"name": "conv"},
    "lazy": {"n_critic": 2, "penalties": (get_penalty("r1", every=3),)},
    "dragan": {"penalties": ("dragan",)},
}


@pytest.fixture(scope="module")
def backend(cupy):
    return get_backend("gpu")


@pytest.fixture
def make(backend, table):
    def make(name="dense", n_critic=1, fresh=False, penalties=(), optimizer="adam", record=True, window=100, **options):
        made = table(name, batch=6, backend=get_backend("cpu"), penalties=penalties, dtype="float32", **options)
        # The host's arrays and weights on the device.
        device = table.__new__(table)
        device.__dict__.update(made.__dict__)
        device.G, device.D = made.G.clone(backend=backend), made.D.clone(backend=backend)
        device.random, device.backend = backend.random(7), backend
        game = made.game
        loss = {key: value for key, value in options.items() if key == "class_weights"}
        device.loss = get_loss(options.get("loss", "minimax"), backend=backend, **loss)
        device.game = Game(device.G, device.D, device.loss, 6, penalties=[p.penalty for p in game.penalties])

        def player(network, rate):
            ema = Ema(network.size, network.dtype, backend=backend)
            found = device.player(network, optimizer, clip_norm=0.5, ema=ema)
            return Player(network, found.optimizer, get_schedule("exponential", lr=rate, gamma=0.7), 0.5, ema=ema)

        device.rule = device.rule(
            (player(device.G, 0.01), player(device.D, 0.02)), n_critic=n_critic, fresh_noise=fresh
        )
        device.steps = Steps(device.rule, record=record, window=window)
        host = made.data
        device.data = lambda turn: tuple(None if a is None else backend.asarray(a) for a in host(turn))
        return device

    return make


def state(made):
    players = made.rule.G, made.rule.D
    arrays = [a for p in players for a in (p.network.theta, p.network.state, *p.optimizer.state().values(), p.ema.mean)]
    counts = [(p.optimizer.t, p.ema.t) for p in players]
    return [made.backend.to_host(a) for a in arrays], counts


def same(first, second):
    for a, b in zip(first[0], second[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert first[1] == second[1]


@pytest.mark.parametrize("case", CASES)
def test_graphs_give_the_bits_of_what_is_written(make, case):
    recorded, written = make(**CASES[case]), make(record=False, **CASES[case])
    for step in range(3, 10):
        for made in (recorded, written):
            made.steps.step(step, made.data)
            made.steps.read()
        assert recorded.steps.known(wait=True) == written.steps.known()
        same(state(recorded), state(written))
    assert recorded.steps.reason is None
    assert sum(each is not None for each in recorded.steps._recordings.values()) >= 1


def test_what_is_not_finite_is_named(make):
    made = make("dropout")

    def poisoned(turn):
        x, labels = made.data(turn)
        return (x * math.nan if turn == 4 else x), labels

    with pytest.raises(NonFiniteError, match=r"^step 4, D's turn: D/0 Dropout: .* were not updated$"):  # noqa: PT012
        for step in range(8):
            made.steps.step(step, poisoned)
        made.steps.known(wait=True)
    assert np.isfinite(state(made)[0][0]).all()


def test_what_waits_for_the_device_cannot_be_captured(make):
    made, twin = make(), make(record=False)
    game, mean = made.game, made.game._mean
    game._mean = lambda score: float(mean(score))
    for step in range(4):
        for each in (made, twin):
            each.steps.step(step, each.data)
    assert "cannot be captured as a CUDA graph" in made.steps.reason
    assert made.backend.recording is None
    same(state(made), state(twin))


def test_too_many_numbers(backend):
    recording = backend.recorder(backend)
    with pytest.raises(CannotRecordError, match="more than 256 numbers"):
        recording.record(lambda: [backend.live(lambda: 1.0) for _ in range(300)])
    assert backend.recording is None


def test_a_label_that_there_is_not_is_named_late(make):
    made = make(**CASES["labels"])

    def wrong(turn):
        x, labels = made.data(turn)
        return x, labels + 4 * (turn == 4)

    with pytest.raises(ConfigError, match=r"a label is|labels go from"):  # noqa: PT012
        for step in range(8):
            made.steps.step(step, wrong)
        made.steps.known(wait=True)
