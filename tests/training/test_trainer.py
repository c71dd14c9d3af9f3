"""What a run is, and the data that it may be of."""

import tomllib

import numpy as np
import pytest

import npgan
from npgan.errors import ConfigError, DataError
from npgan.layers import Dense, LeakyReLU
from npgan.losses import LOSSES
from npgan.recipes import RECIPES
from npgan.training.checkpoint import checkpoint_path, latest, load
from npgan.training.config import build
from npgan.training.folder import read_toml
from npgan.training.trainer import resolve


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


def test_a_sample_that_cannot_be_read_stops_the_run(train, points, tmp_path, unlocked, data_threads):
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
