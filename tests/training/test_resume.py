"""A run that is stopped or killed, at any moment, and resumed leaves the same bits as one that was not."""

import os
import random
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import npgan
from npgan.errors import CheckpointError, ConfigError
from npgan.layers import BatchNorm, Dense, Dropout, Flatten, LeakyReLU, Reshape, Tanh
from npgan.training import logbook
from npgan.training.checkpoint import checkpoint_path, load
from npgan.training.folder import write_atomically
from npgan.training.metrics import read

SGD = {"optimizer": "sgd", "lr": 1e-3, "optimizer_options": {"momentum": 0.9, "nesterov": True}}
COSINE = {"schedule": "cosine", "schedule_options": {"steps": 7, "warmup": 2}, "lr": 1e-3}


def noisy_networks(fit):
    G = [Dense(8), BatchNorm(), LeakyReLU(0.2), Dropout(0.3), Dense(64), Reshape(fit.sample_shape), Tanh()]
    return G, [Flatten(), Dropout(0.3), Dense(8), LeakyReLU(0.2), Dropout(0.5), Dense(1)]


NOISY = npgan.Recipe("noisy", "dropout and batch norm", "", noisy_networks)

CASES = {
    "mlp": ("mlp", {}),
    "ring": ("ring", {}),
    "dcgan": ("dcgan", {}),
    "cgan": ("cgan", {}),
    "dcgan-upsample": ("dcgan-upsample", {}),
    "dropout": (NOISY, {}),
    "dropout, n_critic, fresh_noise": (NOISY, {"n_critic": 2, "fresh_noise": True}),
    "averaged weights": ("dcgan", {"ema": 0.9}),
    "schedules": (
        "mlp",
        {"generator": COSINE, "discriminator": {"schedule": "linear", "schedule_options": {"steps": 5}}},
    ),
    "augmentation": ("mlp", {"data": {"flip": True, "rotate": 20.0, "shift": 0.1, "scale": 0.1}}),
    "prefetch": ("mlp", {"data": {"prefetch": 3, "rotate": 20.0}}),
    "balanced": ("mlp", {"data": {"balanced": True}}),
    "a new epoch": ("mlp", {"batch": 600}),
    "sgd": ("mlp", {"generator": SGD, "discriminator": SGD}),
    "rmsprop": ("mlp", {"generator": {"optimizer": "rmsprop"}, "discriminator": {"optimizer": "rmsprop"}}),
    "adamw": ("mlp", {"generator": {"optimizer": "adamw", "optimizer_options": {"weight_decay": 0.01}}}),
    "clipping": ("mlp", {"generator": {"clip_norm": 1e-3}, "discriminator": {"clip_value": 1e-3}}),
    "wasserstein": ("mlp", {"loss": "wasserstein", "n_critic": 3}),
    "penalties": ("mlp", {"penalties": [{"name": "r1", "gamma": 1.0, "every": 2}, {"name": "wgan-gp"}]}),
    "float64": ("mlp", {"dtype": "float64"}),
}


@pytest.mark.parametrize("case", CASES)
def test_stopped_and_resumed_is_as_never_stopped(train, written, case):
    recipe, settings = CASES[case]
    whole = written(train("whole", recipe, steps=7, **settings).path)
    # Step 3 is one of none of the intervals but that of the pictures: what is written because it is the last must go.
    part = train("part", recipe, steps=3, **settings).path
    own = recipe if isinstance(recipe, npgan.Recipe) else None
    run = npgan.resume(part, steps=7, recipe=own, quiet=True)
    assert run.step == 7
    found = written(part)
    found.pop("checkpoints/step-00000003.safetensors")
    assert found == whole
    assert (part / "config.toml").read_text() == (part.parent / "whole" / "config.toml").read_text()


def test_resumed_after_every_step(train, written):
    whole = written(train("whole", "dcgan", steps=5, ema=0.5).path)
    part = train("part", "dcgan", steps=1, ema=0.5).path
    for steps in range(2, 6):
        npgan.resume(part, steps=steps, quiet=True)
    found = written(part)
    assert {name: found[name] for name in whole} == whole
    assert found["metrics.jsonl"] == whole["metrics.jsonl"]


def test_resumed_where_nothing_is_left_to_do(train, written):
    path = train("a", steps=3).path
    before = written(path)
    (path / "losses.png").unlink()  # as if killed between the last checkpoint and the plot
    run = npgan.resume(path, quiet=True)
    assert run.step == 3
    assert written(path) == before
    assert (path / "losses.png").exists()


def test_what_a_stopped_run_wrote_after_its_checkpoint_is_cut_off(train, written):
    whole = written(train("whole", steps=9).path)
    path = train("a", steps=9).path
    for step in (8, 9):
        checkpoint_path(path / "checkpoints", step).unlink()
    (path / "samples" / "step-final.png").write_bytes(b"a user's")
    (path / "metrics.jsonl").write_bytes((path / "metrics.jsonl").read_bytes() + b'{"step": 10, "lo')
    lines = []
    resumed = npgan.resume(path, steps=6, say=lines.append)
    assert [row["step"] for row in read(path / "metrics.jsonl")] == [2, 4, 6]
    assert sorted(file.name for file in (path / "samples").iterdir()) == [
        *(f"step-{step:08d}.png" for step in (0, 3, 6)),
        "step-final.png",
    ]
    assert lines[0] == f"resuming {path} at step 6"
    assert lines[1:] == ["  steps: 9 -> 6"]
    assert resumed.step == 6
    npgan.resume(path, steps=9, quiet=True)
    (path / "samples" / "step-final.png").unlink()
    assert written(path) == whole


def test_tensorboard_forgets_what_is_done_again(train):
    path = train("a", steps=5, log={"tensorboard": True}).path
    checkpoint_path(path / "checkpoints", 5).unlink()
    npgan.resume(path, steps=7, quiet=True)
    seen = {}
    for event in events(path / "events"):
        if event.HasField("session_log"):
            seen = {key: value for key, value in seen.items() if key[0] < event.step}
        for value in event.summary.value:
            if value.HasField("simple_value"):
                assert (event.step, value.tag) not in seen
                seen[event.step, value.tag] = value.simple_value
    rows = read(path / "metrics.jsonl")
    assert [row["step"] for row in rows] == [2, 4, 6, 7]
    expected = {(row["step"], name): value for row in rows for name, value in row.items() if name != "step"}
    assert seen == {key: pytest.approx(value, rel=1e-6) for key, value in expected.items()}


def events(folder):
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            yield Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]


def test_a_damaged_checkpoint_is_passed_over_and_done_again(train, written):
    whole = written(train("whole", steps=6).path)
    path = train("a", steps=6).path
    damaged = checkpoint_path(path / "checkpoints", 6)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    opened = npgan.Run(path)
    assert opened.step == 4
    assert len(opened.warnings) == 1
    assert damaged.exists()  # to look at a run changes nothing
    lines = []
    npgan.resume(path, say=lines.append)
    assert lines[0] == f"resuming {path} at step 4"
    assert re.search(r"passed over a checkpoint: .*step-00000006.* is not a whole checkpoint", lines[1])
    assert written(path) == whole


def test_stopped_before_the_first_checkpoint(train, written, tmp_path):
    class StopError(Exception):
        pass

    def stop(experiment, folder):
        raise StopError

    with pytest.raises(StopError):
        train("a", steps=4, on_start=stop)
    run = npgan.resume(tmp_path / "a", quiet=True)
    assert written(run.path) == written(train("whole", steps=4).path)
    # With metrics there were checkpoints, and somebody would lose what they measured.
    shutil.rmtree(run.path / "checkpoints")
    (run.path / "checkpoints").mkdir()
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        npgan.resume(run.path, quiet=True)
    assert len(read(run.path / "metrics.jsonl")) == 2


def test_what_changes_is_said(train):
    path = train("a", steps=2).path
    lines = []
    npgan.resume(path, steps=4, settings={"generator": {"lr": 1e-5}, "log": {"every": 1}}, say=lines.append)
    assert lines == [
        f"resuming {path} at step 2",
        "  generator.lr: 0.0002 -> 1e-05",
        "  log.every: 2 -> 1",
        "  steps: 2 -> 4",
    ]
    assert npgan.Run(path).config.generator.lr == 1e-5


def test_another_machine_is_said(train):
    path = train("a", steps=2).path
    config = path / "config.toml"
    text = re.sub(r'(?m)^cpu = ".*"$', 'cpu = "abacus"', config.read_text())
    config.write_text(re.sub(r'(?m)^numpy = ".*"$', 'numpy = "1.0"', text))
    lines = []
    npgan.resume(path, steps=3, say=lines.append)
    assert len(lines) == 4
    assert re.fullmatch(r"  numpy was 1\.0, is \S+: the bits may differ", lines[2])
    assert re.fullmatch(r"  cpu was abacus, is .*: the bits may differ", lines[3])
    assert "abacus" not in config.read_text()


def test_fewer_steps_than_were_done(train, written):
    path = train("a", steps=4).path
    before = written(path), (path / "config.toml").read_bytes()
    with pytest.raises(ConfigError, match=r"steps is 3, but the run is at step 4 already; steps are counted in all"):
        npgan.resume(path, steps=3, quiet=True)
    assert (written(path), (path / "config.toml").read_bytes()) == before


@pytest.mark.parametrize("settings", [{"model": {"width": 9}}, {"dtype": "float64"}, {"recipe": "dcgan"}])
def test_another_model_is_refused(train, written, settings):
    path = train("a", steps=2).path
    before = written(path), (path / "config.toml").read_bytes()
    with pytest.raises((CheckpointError, ConfigError), match=r"another model|has no setting model\.width"):
        npgan.resume(path, steps=4, settings=settings, quiet=True)
    assert (written(path), (path / "config.toml").read_bytes()) == before


def test_other_data_are_refused(train):
    path = train("a", steps=2).path
    with pytest.raises(CheckpointError, match=r"made of data with .*\(8, 8, 1\).*these have .*\(2,\)"):
        npgan.resume(path, steps=4, settings={"data": {"name": "ring-8"}}, quiet=True)


def test_another_optimizer_begins_afresh(train):
    path = train("a", steps=2).path
    run = npgan.resume(path, steps=4, settings={"generator": SGD}, quiet=True)
    meta = load(checkpoint_path(path / "checkpoints", 4)).meta
    assert (meta["counters"]["G"]["optimizer"], meta["counters"]["D"]["optimizer"]) == (2, 4)
    assert run.config.generator.optimizer_options == SGD["optimizer_options"]


def test_an_average_that_is_switched_on_later(train):
    path = train("a", steps=2).path
    before = npgan.Run(path).generator.theta.copy()
    run = npgan.resume(path, steps=4, settings={"ema": 0.9}, quiet=True)
    arrays = load(checkpoint_path(path / "checkpoints", 4)).arrays
    assert np.array_equal(run.generator.theta, arrays["G.ema/mean"])
    raw = np.concatenate([arrays[f"G/{name}"].ravel() for name in run.generator.layout.describe()])
    # d_1 = 2/11 and d_2 = 3/12: the first update, at the moment of resuming, copies.
    middle = load(checkpoint_path(path / "checkpoints", 2)).arrays
    assert not any(name.startswith("G.ema") for name in middle)
    assert 0 < abs(run.generator.theta - before).max() < abs(raw - before).max()


# ---------------------------------------------------------------- SIGKILL


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Run this file as a program; see `main`."""

    def run(how, count):
        folder = tmp_path_factory.mktemp("killed")
        program = [sys.executable, __file__, how, str(folder), str(count)]
        done = subprocess.run(program, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
        found = done.stdout.split()
        assert found[-1] == "same"
        return found[:-1]

    return run


def test_killed_at_every_change_of_the_disk(killed):
    """Before and after every fsync, rename and removal, and in the middle of every write."""
    points = [point.rpartition(":")[0] for point in killed("disk", 100)]
    changed = ["config.toml", "metrics.jsonl", "samples/step-00000000.png", "samples/step-00000002.png"]
    changed += [f"checkpoints/step-0000000{step}.safetensors" for step in range(3)]
    for name in changed:
        assert {f"half:{name}.tmp", f"fsync:{name}.tmp", f"replace:{name}", f"replaced:{name}"} <= set(points)
    assert {f"unlink:{name}" for name in changed[-3:-1]} <= set(points)


def test_killed_at_random(killed):
    killed("time", 5)


@pytest.mark.slow
def test_killed_at_random_many_times(killed):
    killed("time", 100)


SETTINGS = {
    "batch": 8,
    "ema": 0.5,
    "latent": {"size": 4},
    "model": {"width": 8},
    "log": {"every": 1, "samples_every": 2, "checkpoint_every": 1, "keep": 1, "samples": 4, "tensorboard": False},
}


def main(how, folder, count):
    """Kill a forked child that trains, let another one finish, compare with a run that nobody killed; and again."""
    logbook.loss_plot = lambda rows, path, title: write_atomically(path, b"a plot takes long, and is not compared")
    steps = 2 if how == "disk" else 12
    for name in ("warm up", "whole"):
        begun = time.monotonic()
        npgan.train("mlp", steps=steps, out=folder / name, settings=SETTINGS, quiet=True)
    duration = time.monotonic() - begun
    expected = everything(folder / "whole")
    rng = random.Random(0)
    for i in range(count):
        path = folder / str(i)
        if how == "disk":
            point = folder / f"point-{i}"
            if in_child(lambda path=path, i=i, point=point: go_on(path, steps, i, point)) == 0:
                break  # it had fewer changes than this
            print(point.read_text())
        else:
            for _ in range(4):
                in_child(lambda path=path: go_on(path, steps), rng.uniform(0, 0.8 * duration))
        assert in_child(lambda path=path: go_on(path, steps)) == 0
        found = everything(path)
        assert found.keys() == expected.keys(), (i, sorted(found), sorted(expected))
        assert found == expected, (i, [name for name in found if found[name] != expected[name]])
        shutil.rmtree(path)
    assert how == "time" or i < count - 1, "there are more points than this"
    print("same")


def everything(path):
    """The files of a run, but the lock and the plot, with their bytes."""
    files = (file for file in path.rglob("*") if file.is_file() and file.name not in (".lock", "losses.png"))
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def in_child(work, patience=None):
    """Run `work` in a fork, killed after `patience` seconds; return how it ended."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    if patience is not None:
        time.sleep(patience)
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    return status


def go_on(path, steps, change=None, point=None):
    """Begin or resume the run; die at change number `change` of the disk, and note which that was."""
    if change is not None:
        die_at(change, point, path)
    if not (path / "config.toml").exists():
        shutil.rmtree(path, ignore_errors=True)
        npgan.train("mlp", steps=steps, out=path, settings=SETTINGS, quiet=True)
    else:
        npgan.resume(path, quiet=True)


def die_at(change, point, path):
    seen = 0

    def maybe(kind, name, first=lambda: None):
        nonlocal seen
        if seen == change:
            first()
            point.write_text(f"{kind}:{name}:{change}")
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    fsync, replace, unlink = os.fsync, os.replace, os.unlink

    def shown(file):
        return os.path.relpath(file, path)

    def dying_fsync(descriptor):
        name, file = shown(os.readlink(f"/proc/self/fd/{descriptor}")), os.fstat(descriptor)
        if stat.S_ISREG(file.st_mode):
            maybe("half", name, lambda: os.ftruncate(descriptor, file.st_size // 2))
        maybe("fsync", name)
        fsync(descriptor)

    def dying_replace(source, target):
        maybe("replace", shown(target))
        replace(source, target)
        maybe("replaced", shown(target))

    def dying_unlink(file, **options):
        if os.path.exists(file):
            maybe("unlink", shown(file))
        unlink(file, **options)

    os.fsync, os.replace, os.unlink = dying_fsync, dying_replace, dying_unlink


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
