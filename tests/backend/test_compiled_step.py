"""Compiled steps against steps that are run as they are written: the same bits, and what is not compiled falls back."""

import inspect
import math
import threading

import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.backend.compiled_step import Cell, CompiledStep
from npgan.backend.recording import CannotRecordError
from npgan.backend.step_calls import WRITERS
from npgan.backend.step_program import WIDTH, Program
from npgan.backend.threads import is_written, thread_count
from npgan.errors import NonFiniteError
from npgan.game import Alternating, Game, Latent, Player, Steps
from npgan.layers import Dense, LeakyReLU, ReLU, Tanh
from npgan.losses import LOSSES, get_loss
from npgan.network import Network
from npgan.optimizers import Ema, get_optimizer, get_schedule
from npgan.penalties import get_penalty


def make(
    loss="non-saturating",
    batch=37,
    dtype="float32",
    width=96,
    clip=None,
    ema=True,
    distribution="normal",
    optimizer="adam",
    record=True,
    penalties=(),
    last=None,
    **rule,
):
    """A rule and its steps, on networks wide enough for two threads."""
    backend = get_backend("cpu")
    G, D = (
        Network(
            [Dense(width), ReLU(), Dense(width), LeakyReLU(0.2), Dense(out), *([last] if last else [])],
            (2,),
            dtype=dtype,
            backend=backend,
            seed=seed,
            name=name,
        )
        for name, out, seed in (("G", 2, 1), ("D", 1, 2))
    )
    groups = (
        [{"ranges": [(0, 50)], "frozen": True}, {"lr": 0.5, "weight_decay": 0.1}] if optimizer == "frozen" else None
    )

    def player(network, rate):
        name = "adam" if optimizer == "frozen" else optimizer
        options = {} if groups is None else {"groups": groups}
        made = get_optimizer(name, network.size, dtype, backend=backend, **options)
        moving = Ema(network.size, dtype, backend=backend) if ema else None
        return Player(network, made, get_schedule("exponential", lr=rate, gamma=0.7), **(clip or {}), ema=moving)

    game = Game(G, D, get_loss(loss, backend=backend), batch, penalties=[get_penalty(p) for p in penalties])
    latent = Latent((2,), distribution)
    made = Alternating(game, player(G, 0.01), player(D, 0.02), latent, backend.random(5), **rule)
    return made, Steps(made, record=record)


def data(batch, dtype):
    x = np.random.default_rng(0).normal(size=(batch, 2)).astype(dtype)
    return lambda turn: (np.roll(x, turn, axis=0) * x.dtype.type(1 - 0.01 * turn), None)


def run(steps, given, count=6, first=3):
    found = []
    for step in range(first, first + count):
        steps.step(step, given)
        steps.read()
        found += steps.known(wait=True)
    return found


def state(rule):
    players = rule.G, rule.D
    arrays = [a for p in players for a in (p.network.theta, p.gradient, *p.optimizer.state().values())]
    return [*arrays, *(p.ema.mean for p in players if p.ema is not None)]


def same(options):
    (rule, steps), (twin, written) = make(**options), make(**options, record=False)
    given = data(rule.game.batch, rule.game.generator.dtype)
    assert run(steps, given) == run(written, given)
    for a, b in zip(state(rule), state(twin), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [p.optimizer.t for p in (rule.G, rule.D)] == [p.optimizer.t for p in (twin.G, twin.D)]
    return steps


CASES = [
    *({"loss": loss} for loss in LOSSES),
    {"batch": 1},
    {"batch": 64, "dtype": "float64", "clip": {"clip_norm": 0.01}},
    {"batch": 300, "width": 128},
    {"batch": 5, "width": 200, "ema": False, "clip": {"clip_value": 1e-3}},
    {"n_critic": 3, "clip": {"clip_weights": 0.05}},
    {"fresh_noise": True, "distribution": "uniform"},
    {"optimizer": "frozen"},
    {"optimizer": "adamw", "batch": 3000, "dtype": "float64", "width": 9},
    {"batch": 800},  # too large for D to see real and fake at once
    {"batch": 5000, "width": 8},  # the latents and their copies are divided too
    {"batch": 5000, "width": 8, "distribution": "uniform"},
    {"optimizer": "rmsprop"},
    {"optimizer": "sgd", "batch": 200},
    {"last": Tanh()},
    {"penalties": ["r1"], "loss": "wasserstein"},
    {"penalties": ["wgan-gp"], "n_critic": 2, "dtype": "float64"},
    {"width": 300},  # more than a tape is made for
]


@pytest.mark.parametrize("options", CASES, ids=str)
def test_the_bits_are_those_of_the_step_as_it_is_written(options):
    assert same(options).reason is None


def test_which_of_them_see_real_and_fake_at_once():
    assert [make(batch=n)[0].game.on_both is None for n in (37, 800)] == [False, True]


def test_steps_of_a_long_run():
    (_, steps), (_, written) = make(), make(record=False)
    given = data(37, "float32")
    assert run(steps, given, first=1 << 20) == run(written, given, first=1 << 20)
    assert steps.reason is None


@pytest.mark.parametrize("count", [1, 2, 3])
def test_whatever_the_number_of_threads(monkeypatch, count):
    for module in ("backend.threads", "kernels.stack.cpu"):
        monkeypatch.setattr(f"npgan.{module}.thread_count", lambda: count)
    steps = same({"batch": 64})
    (recording,) = steps._recordings.values()
    assert recording._groups[:, 2].max() == count


def test_what_is_no_kernel_is_named():
    assert same({"penalties": ["dragan"]}).reason == "it calls NumPy's mean, which is no kernel"


def test_what_is_not_finite_is_named():
    rule, steps = make()
    given = data(37, "float32")

    def poisoned(turn):
        x, labels = given(turn)
        return (x * np.float32(math.nan) if turn == 4 else x), labels

    with pytest.raises(NonFiniteError, match=r"^step 4, D's turn: D/0 Dense: .* were not updated$"):  # noqa: PT012
        for step in range(8):
            steps.step(step, poisoned)
        steps.known(wait=True)
    assert rule.D.optimizer.t == 4


def test_threads_of_the_users_may_step_at_once():
    made = [make(batch=64) for _ in range(3)]
    given = data(64, "float32")
    threads = [threading.Thread(target=run, args=(steps, given, 40)) for _, steps in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    twin, written = make(batch=64, record=False)
    run(written, given, 40)
    for rule, steps in made:
        assert steps.reason is None
        np.testing.assert_array_equal(rule.G.network.theta, twin.G.network.theta)


def test_the_calls_have_the_kernels_arguments():
    table = get_backend("cpu").kernels
    for (operation, name), writer in WRITERS.items():
        mine = list(inspect.signature(writer).parameters)[1:]
        assert mine == list(inspect.signature(getattr(getattr(table, operation), name)).parameters), name


def test_what_one_thread_does_is_a_group():
    program = Program()
    for number, parts in enumerate((1, 1, 2, 3, 1)):
        program.add(parts, ("ab"[number % 2], 10, 20, number))
    rows, groups = program.finish({"a": 7, "b": 8})
    assert groups.tolist() == [[0, 2, 1], [2, 3, 2], [3, 4, 3], [4, 5, 1], [0, 0, 0]]
    assert rows[:, 0].tolist() == [7, 8, 7, 8, 7]
    assert rows[:, 3].tolist() == [0, 1, 2, 3, 4]
    assert rows.shape == (5, WIDTH)


def test_what_cannot_be_written_down():
    backend = get_backend("cpu")
    recording = CompiledStep(backend)
    square = np.ones((4, 4), np.float32)
    for reason, body in {
        r"float64 \(4, 4\) is copied to float32": lambda step: step.copy(square, square.astype(np.float64)),
        "5 axes is copied": lambda step: step.copy(square.reshape(1, 1, 1, 4, 4), square),
        "drawn into an array that is not in one piece": lambda step: backend.random(0).normal(square[:, :2], "a"),
        "gradient of a loss goes to": lambda step: kernels(step).loss.linear(square[:, :2], square[:, :2], None, 1.0),
        "calls loss.linear_curvature, which is not known": lambda step: kernels(step).loss.linear_curvature,
        "NumPy's add": lambda step: step.backend.arrays.add(square, square),
    }.items():
        with pytest.raises(CannotRecordError, match=reason):
            recorded(body)
        assert backend.recording is None
        assert not is_written()
    for _ in range(256):
        recording.live(float)
    with pytest.raises(CannotRecordError, match="more than 256 numbers"):
        recording.live(float)
    recording = CompiledStep(backend)

    def body():
        total = 1.5 + backend.kernels.reduce.mean(square)
        assert isinstance(total, Cell)
        with pytest.raises(CannotRecordError, match="Python asks for a number"):
            float(total)
        return total

    total = recording.record(body)
    assert not isinstance(backend.kernels.reduce, Cell)
    recording.launch()
    assert float(total) == 2.5
    assert backend.recording is None


def kernels(step):
    return step.backend.kernels


def recorded(body):
    """Write a step down."""
    recording = CompiledStep(get_backend("cpu"))
    recording.record(lambda: body(recording))
    return recording


@pytest.mark.parametrize("norm", [math.nan, math.inf, 3.0, 2.0, 1.0])
def test_a_vector_is_scaled_where_its_norm_is_finite_and_large(norm):
    optimizer = get_backend("cpu").kernels.optimizer
    found, expected = np.full(5, 6.0), np.full(5, 6.0)
    optimizer.limit(expected, norm, 2.0)
    recorded(lambda step: step.backend.kernels.optimizer.limit(found, norm, 2.0)).launch()
    np.testing.assert_array_equal(found, expected)
    assert (found[0] == 6.0) == (norm != 3.0)


def test_a_mean_of_weight_1_is_a_copy():
    mean, theta = np.full(5, 1e8, np.float32), np.full(5, 0.1, np.float32)
    recorded(lambda step: step.backend.kernels.optimizer.average(mean, theta, 1.0)).launch()
    np.testing.assert_array_equal(mean, theta)


def test_what_was_bad_is_not_forgotten():
    out, values = np.zeros(3), iter([1.0, math.inf, 2.0, math.nan, 3.0])

    def body(step):
        number = step.live(lambda: next(values))
        step.backend.kernels.reduce.collect(out, [step.add(number, 0.5), number])

    recording = recorded(body)
    for bad in (0, 1, 1, 2, 2):
        recording.launch()
        assert out[0] == bad
        if bad < 2 or out[2] != 3.0:
            recording.prepare()
    np.testing.assert_array_equal(out, [2, 3.5, 3.0])


def test_norms_beyond_the_range_of_squares():
    backend = get_backend("cpu")
    for x in (
        np.full(9000, 1e200),
        np.full(9000, 1e-200),
        np.full(9, 5e-324),
        np.array([np.inf, 1.0]),
        np.array([np.nan, 1.0]),
        np.zeros(3),
    ):
        scratch = np.empty(backend.kernels.reduce.workspace(x.size))
        recording = CompiledStep(backend)
        found = recording.record(lambda scratch=scratch, x=x: backend.kernels.reduce.norm(scratch, x))
        recording.launch()
        np.testing.assert_array_equal(float(found), backend.kernels.reduce.norm(scratch, x))


def test_it_is_divided_here():
    assert thread_count() == 1 or any(g[2] > 1 for g in _groups(make(batch=64)))


def _groups(made):
    _, steps = made
    given = data(64, "float32")
    run(steps, given, 2)
    (recording,) = steps._recordings.values()
    return recording._groups.tolist()
