"""A run that is stopped and resumed leaves the same bits as one that was not; what resuming says and refuses."""

import re
import shutil
import struct

import numpy as np
import pytest

import npgan
from npgan.errors import CheckpointError, ConfigError
from npgan.layers import BatchNorm, Dense, Dropout, Flatten, LeakyReLU, Reshape, Tanh
from npgan.training.checkpoint import checkpoint_path, load
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
