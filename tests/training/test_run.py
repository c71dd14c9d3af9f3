import re

import numpy as np
import pytest

import npgan
from npgan.errors import CheckpointError
from npgan.training.checkpoint import checkpoint_path, load


def test_networks_are_those_that_were_trained(train):
    seen = {}

    def keep(step, metrics, experiment):
        seen["G"], seen["D"] = experiment.generator, experiment.discriminator
        seen["samples"] = experiment.sampler().draw(5)

    run = train("a", "dcgan", steps=3, ema=0.0, callbacks=[keep])
    for own in (run, npgan.Run(run.path), npgan.Run(str(run.path))):
        for name, network in (("G", own.generator), ("D", own.discriminator)):
            assert np.array_equal(network.theta, seen[name].theta)
            assert np.array_equal(network.state, seen[name].state)
        assert np.array_equal(own.sample(5), seen["samples"])
        assert own.step == 3
        assert own.warnings == []
    assert repr(run) == f"<Run {run.path}: dcgan on digits, step 3>"
    assert [row["step"] for row in run.metrics()] == [2, 3]


def test_the_average_is_what_is_sampled(train):
    seen = {}

    def keep(step, metrics, experiment):
        seen["mean"], seen["samples"] = experiment.players["G"].ema.mean.copy(), experiment.sampler().draw(5)

    run = train("a", "dcgan", steps=3, ema=0.9, callbacks=[keep])
    assert np.array_equal(run.generator.theta, seen["mean"])
    assert np.array_equal(run.sample(5), seen["samples"])


def test_the_average_before_the_first_step(train):
    run = train("a", steps=2, ema=0.9)
    for step in (1, 2):
        checkpoint_path(run.path / "checkpoints", step).unlink(missing_ok=True)
    begun = npgan.Run(run.path)
    assert begun.step == 0
    first = load(checkpoint_path(run.path / "checkpoints", 0)).arrays
    for name, weights in begun.generator.parameters().items():
        assert np.array_equal(weights, first[f"G/{name}"])
    assert abs(begun.sample(3)).max() > 0


def test_the_data_are_not_needed(train, tmp_path):
    data = tmp_path / "x.npy"
    np.save(data, np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8))
    run = train("a", "dcgan", source=data, steps=2)
    expected = run.sample(3)
    data.unlink()
    assert np.array_equal(npgan.Run(run.path).sample(3), expected)


def test_samples(train):
    run = train("a", "cgan", steps=1)
    x = run.sample(20)
    assert x.shape == (20, 8, 8, 1)
    assert x.dtype == np.float32
    assert abs(x).max() <= 1
    assert np.array_equal(run.sample(20, seed=run.config.seed), x)
    assert not np.array_equal(run.sample(20, seed=5), x)
    assert np.array_equal(run.sample(20, labels=np.arange(20) // 2), x)
    assert run.sampler.interpolate(2, 3).shape == (2, 3, 8, 8, 1)


def test_a_damaged_checkpoint_is_passed_over(train):
    run = train("a", steps=4)
    newest = checkpoint_path(run.path / "checkpoints", 4)
    newest.write_bytes(newest.read_bytes()[:100])
    opened = npgan.Run(run.path)
    assert opened.step == 2
    assert len(opened.warnings) == 1
    assert re.search(r"step-00000004.*is not a whole checkpoint", opened.warnings[0])
    for path in (run.path / "checkpoints").iterdir():
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="no checkpoint that can be used"):
        npgan.Run(run.path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "[", "is not valid TOML"),
        (lambda text: text.replace("[facts]", "[fakts]"), r"no setting fakts|no \[facts\]"),
        (lambda text: text.replace("sample_shape", "shape"), "make no sense"),
        (lambda text: text.replace("batch = 8", "batch = 0"), "batch is 0"),
        (lambda text: text + "\nx = 1\n", "is not the config of a run"),
    ],
)
def test_a_damaged_config(train, damage, message):
    run = train("a", steps=1)
    config = run.path / "config.toml"
    config.write_text(damage(config.read_text()))
    if config.read_text().endswith("x = 1\n"):  # in [environment], where newer versions may record more
        assert npgan.Run(run.path).step == 1
        return
    for open_it in (npgan.Run, npgan.resume):
        with pytest.raises(CheckpointError, match=message) as error:
            open_it(run.path)
        assert str(config) in str(error.value)


def test_what_is_no_run(tmp_path):
    for open_it in (npgan.Run, npgan.resume):
        with pytest.raises(CheckpointError, match="does not exist"):
            open_it(tmp_path / "nothing")
        with pytest.raises(CheckpointError, match="is not the folder of a run"):
            open_it(tmp_path)
