import errno
import os
import signal
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import numpy as np
import pytest

import npgan
from npgan.errors import CheckpointError, ConfigError, DataError, NonFiniteError, RunLockedError
from npgan.layers import Dense, LeakyReLU, Reshape
from npgan.losses import LOSSES
from npgan.recipes import RECIPES
from npgan.training.checkpoint import checkpoint_path, latest, load
from npgan.training.config import build
from npgan.training.folder import RunFolder, read_toml
from npgan.training.metrics import read
from npgan.training.trainer import resolve


def data_threads():
    return [thread for thread in threading.enumerate() if thread.name == "npgan-data"]


def unlocked(path):
    RunFolder.open(path).lock().release()
    return True


# ---------------------------------------------------------------- what a run is


def test_a_run_leaves_what_it_promises(train, tmp_path):
    run = train("a", steps=5, log={"tensorboard": True, "keep": 2})
    assert run.step == 5
    assert run.stopped_by == ""
    assert sorted(path.name for path in run.path.iterdir()) == [
        ".lock",
        "checkpoints",
        "config.toml",
        "events",
        "losses.png",
        "metrics.jsonl",
        "samples",
    ]
    assert [path.name[5:13] for path in sorted((run.path / "checkpoints").iterdir())] == ["00000004", "00000005"]
    assert [path.name for path in sorted((run.path / "samples").iterdir())] == [
        f"step-{step:08d}.png" for step in (0, 3, 5)
    ]
    names = {"step", "loss_d", "loss_g", "score_real", "score_fake", "grad_norm_d", "grad_norm_g"}
    assert [set(row) for row in run.metrics()] == [names] * 3
    assert [row["step"] for row in run.metrics()] == [2, 4, 5]
    recorded = tomllib.loads((run.path / "config.toml").read_text())
    assert recorded["environment"]["npgan"] == npgan.__version__
    assert recorded["facts"]["sample_shape"] == [8, 8, 1]


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "mlp-1024"])
def test_the_config_of_a_run_repeats_it(train, written, tmp_path, name):
    # By the route of the command line: what the file says, less what a run has recorded beside its settings.
    run = train("a", name, steps=3, seed=7, loss="wasserstein", discriminator={"clip_weights": 0.0, "lr": 1e-3})
    settings = read_toml(run.path / "config.toml")
    del settings["facts"], settings["environment"]
    again = npgan.train(settings.pop("recipe"), settings=settings, out=tmp_path / "again", quiet=True)
    assert again.config == run.config == build(read_toml_settings(again.path))
    assert written(again.path) == written(run.path)


def read_toml_settings(path):
    settings = read_toml(path / "config.toml")
    return {key: value for key, value in settings.items() if key not in ("facts", "environment")}


def test_the_seed_is_all_that_is_random(train, written):
    a, b, c = (train(name, steps=2, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert written(a.path) == written(b.path)
    assert not np.array_equal(a.generator.theta, c.generator.theta)
    assert not np.array_equal(a.sample(2), c.sample(2))


def test_prefetch_and_intervals_change_no_bits(train):
    a = train("a", steps=4)
    b = train("b", steps=4, data={"prefetch": 4}, log={"every": 1, "samples_every": 1, "checkpoint_every": 1})
    assert np.array_equal(a.generator.theta, b.generator.theta)
    assert np.array_equal(a.discriminator.theta, b.discriminator.theta)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains(train, loss):
    run = train("a", steps=3, loss=loss, log={"every": 1})
    assert len(run.metrics()) == 3
    assert np.isfinite(run.generator.theta).all()
    first = load(checkpoint_path(run.path / "checkpoints", 2)).arrays["G/0/weight"]
    assert not np.array_equal(first, run.generator.parameters()["0/weight"])


def test_wasserstein_clips_its_critic_and_nothing_else_does(train):
    run = train("a", steps=3, loss="wasserstein", discriminator={"lr": 0.1})
    assert run.config.discriminator.clip_weights == 0.01
    assert abs(run.discriminator.theta).max() == np.float32(0.01)
    assert abs(run.generator.theta).max() > 0.01
    # Another loss takes its clipping with it, as it does its options; what a user says wins.
    hinge = npgan.resume(run.path, steps=5, settings={"loss": "hinge"}, quiet=True)
    assert hinge.config.discriminator.clip_weights == 0.0
    assert abs(hinge.discriminator.theta).max() > 0.05
    lines = []
    back = npgan.resume(run.path, steps=6, settings={"loss": "wasserstein"}, say=lines.append)
    assert "  discriminator.clip_weights: 0.0 -> 0.01" in lines
    assert abs(back.discriminator.theta).max() == np.float32(0.01)
    own = train("b", steps=2, loss="wasserstein", discriminator={"clip_weights": 0.5})
    assert own.config.discriminator.clip_weights == 0.5
    assert 0.01 < abs(own.discriminator.theta).max() <= 0.5


def test_a_recipe_knows_its_loss_better_than_the_loss(train):
    mlp = RECIPES["mlp"]
    settings = {**mlp.settings, "loss": "wasserstein", "discriminator": {"clip_weights": 0.03}}
    recipe = npgan.Recipe("critic", "", "", mlp.networks, settings)
    assert train("a", recipe, steps=1).config.discriminator.clip_weights == 0.03
    assert train("b", recipe, steps=1, loss="hinge").config.discriminator.clip_weights == 0.0
    del settings["discriminator"]
    for penalties, expected in (([], 0.01), ([{"name": "wgan-gp"}], 0.0)):
        recipe = npgan.Recipe("critic", "", "", mlp.networks, {**settings, "penalties": penalties})
        assert resolve(recipe, {}).discriminator.clip_weights == expected


def test_class_weights_and_smoothing(train):
    run = train("a", "cgan", steps=2, loss_options={"smoothing": 0.1, "class_weights": [0.0] * 9 + [1.0]})
    assert np.isfinite(run.generator.theta).all()
    # Batches of 8 with no 9 in them would be worth nothing: the loss is that of the nines alone.
    assert run.metrics()[0]["loss_d"] < 0.6
    for source, classes in (("ring-8", 8), ("digits", 10), (np.zeros((20, 2)), 0)):
        with pytest.raises(ConfigError, match=rf"loss_options\.class_weights has 9 values for {classes} classes"):
            train("b", source=source, loss_options={"class_weights": [1.0] * 9})


def test_frozen_groups_keep_their_bits(train):
    groups = [{"ranges": "*/bias", "frozen": True}, {"ranges": "0/weight", "lr": 0.0}, {}]
    run = train("a", steps=3, generator={"groups": groups}, discriminator={"groups": [{"frozen": True}]})
    assert {"ranges": "*/bias", "frozen": True} in run.config.generator.groups
    begun = load(checkpoint_path(run.path / "checkpoints", 0)).arrays
    for name, now in run.generator.parameters().items():
        kept = name.endswith("/bias") or name == "0/weight"
        assert np.array_equal(begun[f"G/{name}"], now) == kept, name
    for name, now in run.discriminator.parameters().items():
        assert np.array_equal(begun[f"D/{name}"], now), name


# ---------------------------------------------------------------- data


def test_a_dataset_and_a_recipe_of_ones_own(train, points, written):
    def networks(fit):
        assert fit.sample_shape == (3,)
        assert fit.classes == 2
        assert not fit.bounded
        return [Dense(fit.model["width"]), LeakyReLU(0.2), Dense(3)], [Dense(4), LeakyReLU(0.2), Dense(1)]

    own = npgan.Recipe("own", "mine", "", networks, {"model": {"width": 5}, "batch": 10})
    whole = train("whole", own, steps=6, source=points, model={"width": 6}, data={"balanced": True})
    part = train("part", own, steps=4, source=points, model={"width": 6}, data={"balanced": True})
    run = npgan.resume(part.path, steps=6, data=points, recipe=own, quiet=True)
    assert written(run.path) == written(whole.path)
    assert run.config.data.name == "points"
    assert run.facts == whole.facts
    assert run.sample(5).shape == (5, 3)
    again = npgan.Run(part.path, recipe=own)
    assert np.array_equal(again.sample(5), run.sample(5))
    for open_it in (npgan.Run, npgan.resume):
        with pytest.raises(ConfigError, match=r"of a recipe of your own, 'own': give it, with recipe="):
            open_it(part.path)
    with pytest.raises(DataError, match="'points' is neither a file"):
        npgan.resume(part.path, recipe=own, quiet=True)


def test_an_array(train):
    x = np.random.default_rng(0).normal(size=(30, 5)).astype("float32")
    run = train("a", source=x, steps=2)
    assert run.facts.sample_shape == (5,)
    assert npgan.resume(run.path, steps=3, data=x, quiet=True).sample(2).shape == (2, 5)


@pytest.mark.parametrize("bad", [{"flip": True}, 5, ["digits"]])
def test_data_of_an_odd_kind(tmp_path, bad):
    with pytest.raises(ConfigError, match=r"data is a .*expected a Dataset or an array"):
        npgan.train("mlp", data=bad, out=tmp_path / "a", quiet=True)
    with pytest.raises(ConfigError, match="data is 'ring-8', expected a table of settings"):
        npgan.train("mlp", settings={"data": "ring-8"}, out=tmp_path / "a", quiet=True)
    assert not (tmp_path / "a").exists()


def test_points_tables_and_double_precision(train, tmp_path):
    (tmp_path / "t.csv").write_text("a,b,c\n" + "".join(f"{i},{i * i},{-i}\n" for i in range(20)))
    table = train("table", source=tmp_path / "t.csv", steps=2, dtype="float64")
    assert table.sample(3).shape == (3, 3)
    assert table.sample(3).dtype == np.float64
    assert not list((table.path / "samples").iterdir())
    assert (table.path / "losses.png").exists()
    plane = train("plane", "ring", source="spiral", steps=2)
    assert plane.sample(3).shape == (3, 2)
    assert len(list((plane.path / "samples").iterdir())) == 2


def test_labels_come_from_a_conditional_generator(train):
    run = train("a", "cgan", steps=2)
    assert run.sampler.classes == tuple("0123456789")
    one, other = run.sample(6, labels=3), run.sample(6, labels=[3, 3, 3, 4, 4, 4])
    assert np.array_equal(one[:3], other[:3])
    assert not np.array_equal(one[3:], other[3:])


def test_a_sample_that_cannot_be_read_stops_the_run(train, points, tmp_path):
    points.batch_before, points.read = points.batch, 0

    def batch(indices, out, labels=None):
        points.read += 1
        if points.read == 6:
            raise DataError("points: sample 7 is torn")
        points.batch_before(indices, out, labels)

    points.batch = batch
    with pytest.raises(DataError, match="sample 7 is torn"):
        train("a", steps=9, source=points, data={"prefetch": 2})
    assert latest(tmp_path / "a" / "checkpoints")[0].meta["step"] == 4
    assert unlocked(tmp_path / "a")
    assert not data_threads()


# ---------------------------------------------------------------- places that cannot be used


def test_a_run_is_never_written_over(train, written, tmp_path):
    run = train("a", steps=2)
    before = written(run.path)
    with pytest.raises(ConfigError, match=r"exists already.*--out.*--resume"):
        train("a", steps=3)
    assert written(run.path) == before
    (tmp_path / "file").write_text("x")
    for name, problem in (("file", "exists already"), ("file/a", "Not a directory")):
        with pytest.raises((ConfigError, CheckpointError), match=problem):
            train(name)


def test_runs_get_free_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for expected in ("mlp-digits", "mlp-digits-2"):
        settings = {"batch": 8, "model": {"width": 8}, "log": {"samples": 4}}
        run = npgan.train("mlp", steps=1, settings=settings, quiet=True)
        assert run.path == Path("runs") / expected


def test_a_locked_run(train, written):
    run = train("a", steps=2)
    before = written(run.path)
    with run.folder.lock(), pytest.raises(RunLockedError, match=f"in use by process {os.getpid()}"):
        npgan.resume(run.path, steps=4, quiet=True)
    assert written(run.path) == before
    seen = []

    def look(step, metrics, experiment):
        if not seen:
            with pytest.raises(RunLockedError):
                npgan.resume(run.path, quiet=True)
            seen.append(npgan.Run(run.path).step)  # to look on is allowed

    npgan.resume(run.path, steps=4, callbacks=[look], quiet=True)
    assert seen == [2]
    assert unlocked(run.path)


def test_data_that_are_not_there(train, tmp_path):
    with pytest.raises(DataError, match=r"mnist: .*nowhere has no train-images-idx3-ubyte.gz"):
        train("a", data={"name": "mnist", "dir": str(tmp_path / "nowhere")})
    with pytest.raises(DataError, match="neither a file or folder nor a known data set"):
        train("a", source=tmp_path / "nothing")
    assert not (tmp_path / "a").exists()


def full_disk(monkeypatch, after):
    """Make every flush to the disk fail but the first `after`."""
    fsync, seen = os.fsync, []

    def failing(descriptor):
        seen.append(descriptor)
        if len(seen) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)


def test_a_disk_that_becomes_full(train, written, tmp_path, monkeypatch):
    whole = written(train("whole", steps=4, log={"tensorboard": True}).path)
    named = set()
    for after in range(100):
        path = tmp_path / f"{after}"
        with monkeypatch.context() as patch:
            full_disk(patch, after)
            try:
                train(path.name, steps=4, log={"tensorboard": True})
            except CheckpointError as error:
                message = str(error)
            else:
                break
        assert f"cannot write {path}" in message
        assert "No space left on device. What was there before is untouched; make room" in message
        named.add(message.split(" (")[0].removeprefix(f"cannot write {path}/"))
        assert not list(path.rglob("*.tmp"))
        if (path / "config.toml").exists():
            assert unlocked(path)
            assert written(npgan.resume(path, quiet=True).path) == whole
    assert {"config.toml", "metrics.jsonl", "losses.png"} < named
    assert {"samples/step-00000003.png", "checkpoints/step-00000000.safetensors"} < named
    assert not data_threads()


LIMITED = """
import resource, sys, npgan
settings = {"batch": 8, "latent": {"size": 4}, "model": {"width": 8}, "log": {"every": 1, "checkpoint_every": 2}}
def limit(step, metrics, experiment):
    if step == 3:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
npgan.train("mlp", steps=6, out=sys.argv[1], settings=settings, callbacks=[limit], quiet=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of file sizes")
def test_a_write_that_fails_in_the_middle(tmp_path):
    done = subprocess.run([sys.executable, "-c", LIMITED, tmp_path / "a"], capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "cannot write" in last
    assert "checkpoints/step-00000004.safetensors (needs" in last
    assert "File too large" in last
    assert "Exception ignored" not in done.stderr
    assert npgan.resume(tmp_path / "a", quiet=True).step == 6
    assert [row["step"] for row in read(tmp_path / "a" / "metrics.jsonl")] == [1, 2, 3, 4, 5, 6]


# ---------------------------------------------------------------- not finite


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"generator": {"lr": 1e30}}, r"step 1, D's turn: G/\d Dense: y of forward is -?(inf|nan) at \(\d, \d+\)"),
        ({"discriminator": {"lr": 1e30}}, r"step 0, G's turn: D/\d Dense: y of forward is -?(inf|nan) at \(\d, \d+\)"),
    ],
)
def test_a_learning_rate_that_explodes(train, tmp_path, settings, message):
    with pytest.raises(NonFiniteError, match=message) as error:
        train("a", steps=9, **settings)
    path = tmp_path / "a"
    assert "its weights were not updated. The checkpoint of step 0 is untouched: go on from it" in str(error.value)
    assert f"--resume {path}" in str(error.value)
    assert read(path / "metrics.jsonl") == []
    assert unlocked(path)
    assert npgan.Run(path).step == 0
    lower = {name: {"lr": 1e-4} for name in settings}
    assert npgan.resume(path, steps=3, settings=lower, quiet=True).step == 3


class Bad(npgan.layers.Layer):
    """Passes everything on, until the batch holds a value above 2; then one of its maps makes a NaN."""

    def __init__(self, where):
        self.where = where

    def plan(self, x, k):
        return npgan.layers.Plan(y=x, keeps={"x"})

    def forward(self, f):
        f.y[...] = f.x
        if self.where == "forward" and (f.x > 2).any():
            f.y[3, 1] = np.nan

    def backward(self, f):
        if f.dx is not None:
            f.dx[...] = f.dy
            if self.where == "backward" and (f.x > 2).any():
                f.dx[2, 0] = np.inf


@pytest.mark.parametrize(
    ("where", "array"),
    [("forward", r"y of forward is nan at \(3, 1\)"), ("backward", r"dx of backward is inf at \(2, 0\)")],
)
def test_a_layer_that_is_broken(train, tmp_path, where, array):
    def networks(fit):
        return [Dense(3)], [Dense(4), Bad(where), Dense(1)]

    x = np.ones((40, 3), "float32") * 0.1
    recipe = npgan.Recipe("broken", "", "", networks, {"data": {"shuffle": False}})
    seen = {}

    def plant(step, metrics, experiment):
        seen["D"], seen["G"] = experiment.discriminator.theta.copy(), experiment.generator.theta.copy()
        if step == 3:
            with experiment.discriminator.write() as theta:
                theta[...] = 1e6
            seen["D"] = experiment.discriminator.theta.copy()
            seen["experiment"] = experiment

    message = rf"step 3, D's turn: D/1 Bad: {array}; its weights were not updated"
    with pytest.raises(NonFiniteError, match=message + r"\. The checkpoint of step 2 is untouched"):
        train("a", recipe, steps=9, source=x, callbacks=[plant])
    experiment = seen["experiment"]
    assert np.array_equal(experiment.discriminator.theta, seen["D"])
    assert np.array_equal(experiment.generator.theta, seen["G"])
    run = npgan.Run(tmp_path / "a", recipe=recipe)
    assert run.step == 2
    assert np.isfinite(run.discriminator.theta).all()


def test_what_is_not_finite_is_never_saved(train, tmp_path):
    def plant(step, metrics, experiment):
        if step == 4:
            with experiment.generator.write() as theta:
                theta[-1] = np.nan

    with pytest.raises(
        NonFiniteError, match=r"step 4: G/4/bias holds a NaN or an infinity, so this step was not saved"
    ):
        train("a", steps=9, callbacks=[plant], log={"keep": 1})
    assert npgan.Run(tmp_path / "a").step == 2

    def networks(fit):
        return [Dense(64, init=npgan.layers.Normal(1e38)), Reshape((8, 8, 1))], [npgan.layers.Flatten(), Dense(1)]

    infinite = npgan.Recipe("infinite", "", "", networks, {"generator": {"lr": 1.0}})
    with pytest.raises(NonFiniteError, match=r"step 0, D's turn: G/0 Dense: y of forward"):
        train("b", infinite)


# ---------------------------------------------------------------- stopping


@pytest.fixture
def interruptible():
    """Where the tests run in the background of a shell, it has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_the_end_of_the_step(interruptible, train, written, number):
    whole = written(train("whole", steps=6).path)

    def interrupt(step, metrics, experiment):
        if step == 3:
            signal.raise_signal(number)

    run = train("a", steps=6, callbacks=[interrupt], data={"prefetch": 2})
    assert run.step == 3
    assert run.stopped_by == number.name
    assert run.config.steps == 6
    assert (run.path / "losses.png").exists()
    assert [row["step"] for row in run.metrics()] == [2, 3]
    assert not data_threads()
    npgan.resume(run.path, quiet=True)
    found = written(run.path)
    assert {name: found[name] for name in whole} == whole


def test_a_second_sigint_stops_at_once(interruptible, train, written, tmp_path):
    def interrupt(step, metrics, experiment):
        if step == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train("a", steps=6, callbacks=[interrupt], data={"prefetch": 2})
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not data_threads()
    assert npgan.Run(tmp_path / "a").step == 2
    run = npgan.resume(tmp_path / "a", quiet=True)
    assert written(run.path) == written(train("whole", steps=6).path)


def test_max_time_and_callbacks_that_say_stop(train):
    assert train("a", steps=9, max_time=0.0).step == 1
    assert train("b", steps=9, max_time=1e9).step == 9
    calls = []

    def note(step, metrics, experiment):
        calls.append((step, set(metrics), experiment.config.steps))

    run = train("c", steps=9, callbacks=[lambda step, metrics, experiment: step == 3, note])
    assert run.step == 3
    assert run.stopped_by == ""
    assert [call[0] for call in calls] == [1, 2, 3]  # the others hear of the last step too
    assert calls[0][1:] == (set(run.metrics()[0]) - {"step"}, 9)


def test_an_error_in_a_callback(train, tmp_path):
    def fail(step, metrics, experiment):
        if step == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train("a", steps=9, callbacks=[fail], data={"prefetch": 2}, log={"tensorboard": True})
    assert not data_threads()
    assert unlocked(tmp_path / "a")
    assert npgan.Run(tmp_path / "a").step == 2


def test_a_thread_that_is_not_the_main_one(train):
    found = []
    thread = threading.Thread(target=lambda: found.append(train("a", steps=2)))
    thread.start()
    thread.join()
    assert found[0].step == 2


def test_on_start_sees_all_that_is_ready(train):
    seen = []

    def look(experiment, folder):
        seen.append((experiment.generator.name, folder.config_path.exists(), folder.metrics_path.exists()))

    train("a", steps=1, on_start=look)
    assert seen == [("G", True, False)]
