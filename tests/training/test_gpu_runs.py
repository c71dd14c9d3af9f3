"""Whole runs on a GPU, or on the emulator of one: recorded or not, resumed, moved between backends, out of memory."""

import numpy as np
import pytest

import npgan
from npgan.errors import BackendError, ConfigError, NonFiniteError
from npgan.recipes import RECIPES
from npgan.training.checkpoint import checkpoint_path, load
from npgan.training.experiment import Experiment
from npgan.training.memory import largest_batch, need, too_little
from npgan.training.metrics import read
from npgan.training.trainer import resolve

CASES = {
    "mlp": ("mlp", {}),
    "ring": ("ring", {}),
    "dcgan": ("dcgan", {"ema": 0.9}),
    "cgan": ("cgan", {"data": {"flip": True}}),
    "critic, lazy penalty": ("mlp", {"loss": "hinge", "n_critic": 2, "penalties": [{"name": "r1", "every": 3}]}),
    "schedules": ("mlp", {"generator": {"schedule": "linear", "schedule_options": {"steps": 5}, "clip_norm": 0.1}}),
    "another rule": ("mlp", {"rule": "simultaneous"}),
}


@pytest.fixture(autouse=True)
def _device(cupy):
    """All here are on a device."""


@pytest.mark.parametrize("case", CASES)
def test_recorded_or_not_and_interrupted_or_not_the_bits_are_the_same(case, train, written, tmp_path):
    recipe, settings = CASES[case]
    whole = written(train("whole", recipe, steps=6, backend="gpu", **settings).path)
    assert whole == written(train("eager", recipe, steps=6, backend="gpu", record=False, **settings).path)
    train("parts", recipe, steps=4, backend="gpu", **settings)
    parts = written(npgan.resume(tmp_path / "parts", steps=6, quiet=True).path)
    assert {name: parts[name] for name in whole} == whole  # it has a picture of its first end too


def test_metrics_and_weights_are_those_of_the_cpu_to_rounding(train):
    for recipe in ("mlp", "dcgan"):
        runs = [train(f"{recipe} {backend}", recipe, dtype="float64", backend=backend) for backend in ("cpu", "gpu")]
        for a, b in zip(*(read(run.path / "metrics.jsonl") for run in runs), strict=True):
            assert a == pytest.approx(b, rel=1e-9)
        a, b = (load(checkpoint_path(run.path / "checkpoints", 4)).arrays for run in runs)
        for name, array in a.items():
            np.testing.assert_allclose(b[name], array, rtol=1e-7, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(("first", "then"), [("cpu", "gpu"), ("gpu", "cpu")])
def test_a_run_moves_to_another_backend_and_says_what_that_means(train, tmp_path, first, then):
    train("moved", "mlp", dtype="float64", backend=first)
    train("stayed", "mlp", dtype="float64", backend=then)
    lines = []
    npgan.resume(tmp_path / "moved", steps=6, settings={"backend": then}, say=lines.append)
    npgan.resume(tmp_path / "stayed", steps=6, quiet=True)
    assert f"  backend: {first} -> {then}" in lines
    assert [line for line in lines if "bits" in line] == [f"  backend was {first}, is {then}: the bits may differ"]
    a, b = (load(checkpoint_path(tmp_path / name / "checkpoints", 6)).arrays for name in ("moved", "stayed"))
    for name, array in a.items():
        np.testing.assert_allclose(b[name], array, rtol=1e-6, atol=1e-8, err_msg=name)


def test_samples_of_a_run_on_either_backend(train):
    run = train("a", "dcgan", dtype="float64", backend="gpu")
    there = run.sample(5)
    assert isinstance(there, np.ndarray)
    np.testing.assert_allclose(npgan.Run(run.path, backend="cpu").sample(5), there, rtol=1e-9, atol=1e-12)


def test_callbacks_see_every_step_as_it_is(train):
    seen = []

    def callback(step, metrics, experiment):
        seen.append((step, metrics, experiment.players["D"].optimizer.t, experiment.arrays()["D/1/weight"].copy()))

    train("recorded", steps=5, backend="gpu", callbacks=[callback])
    recorded, seen = seen, []
    train("written", steps=5, backend="gpu", record=False, callbacks=[callback])
    for (*a, weights), (*b, expected) in zip(recorded, seen, strict=True):
        assert a == b
        np.testing.assert_array_equal(weights, expected)


def test_the_first_step_that_is_not_finite_is_named(train, tmp_path):
    huge = {"optimizer": "sgd", "lr": 1e30}
    messages = []
    for record in (True, False):
        with pytest.raises(NonFiniteError) as found:
            train(f"{record}", steps=30, backend="gpu", record=record, discriminator=huge, log={"every": 20})
        messages.append(str(found.value).replace(f"{tmp_path}/{record}", "RUN"))
    assert messages[0] == messages[1]
    assert "were not updated" in messages[0]


# ---------------------------------------------------------------- memory


@pytest.fixture
def experiment():
    def make(recipe="dcgan", backend="gpu", **settings):
        given = {"batch": 16, "data": {"prefetch": 0}, "backend": backend, **settings}
        return Experiment(resolve(RECIPES[recipe], given), RECIPES[recipe])

    return make


@pytest.mark.parametrize("case", [{}, {"penalties": [{"name": "wgan-gp"}]}, {"rule": "consensus"}])
def test_the_estimate_is_what_is_taken(experiment, cupy, case):
    made = experiment("mlp", **case)
    if not hasattr(cupy, "EMULATOR"):  # whose memory does not come back
        pool = cupy.get_default_memory_pool()
        before, there = pool.used_bytes(), experiment("mlp", **case)
        for step in range(3):
            there.step(step)
        assert need(made).total == pytest.approx(pool.used_bytes() - before, rel=0.25)
    assert need(made).passes == made.game.nbytes
    assert need(made, 32).passes == experiment("mlp", batch=32, **case).game.nbytes


def test_the_largest_batch_is_the_largest(experiment):
    made = experiment()
    for room in (10**8, 3 * 10**8):
        batch = largest_batch(made, room)
        assert need(made, batch).total <= room < need(made, batch + 1).total
    assert largest_batch(made, 1000) == 0
    assert "not even a batch of one" in too_little(made, 1000)


def test_out_of_memory_says_what_would_fit(train, cupy, request):
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    request.addfinalizer(lambda: pool.set_limit(size=0))

    def on_start(experiment, folder):
        experiment.room = 10**6
        pool.set_limit(size=1000)

    with pytest.raises(BackendError, match=r"does not hold .*; the training needs .* passes .* would fit is \d+$"):
        train("a", backend="gpu", on_start=on_start)


def test_a_set_stays_on_the_host_where_there_is_no_room(experiment, monkeypatch):
    from npgan.backend.gpu import CupyBackend

    assert experiment().resident
    monkeypatch.setattr(CupyBackend, "room", lambda self: 10**6)
    made = experiment()
    assert not made.resident
    made.step(0)
    made.close()


def test_what_makes_no_sense_is_said_before_anything_is_made(train):
    with pytest.raises(ConfigError, match="no augment here"):
        train("a", "ring", backend="gpu", data={"flip": True})
