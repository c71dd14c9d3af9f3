import numpy as np
import pytest

from npgan.backend import get_backend
from npgan.data import ArrayDataset
from npgan.errors import CheckpointError, ConfigError, DTypeError
from npgan.recipes import RECIPES
from npgan.training.config import merge
from npgan.training.experiment import Experiment, Facts, build_networks
from npgan.training.trainer import resolve

TINY = {"batch": 8, "latent": {"size": 4}, "data": {"prefetch": 0}}


@pytest.fixture
def make():
    made = []

    def experiment(recipe="mlp", dataset=None, **settings):
        model = {"width": 8} if recipe == "mlp" else {"channels": 4}
        config = resolve(RECIPES[recipe], merge({**TINY, "model": model}, settings))
        made.append(Experiment(config, RECIPES[recipe], dataset))
        return made[-1]

    yield experiment
    for each in made:
        each.close()


def test_a_step_is_a_function_of_its_number_and_the_state(make):
    a, b = make("dcgan", ema=0.5), make("dcgan", ema=0.5)
    for step in range(3):
        a.step(step)
    b.step(7)  # whatever it did before
    b.load({name: array.copy() for name, array in a.arrays().items()}, a.counters())
    assert a.step(3) == b.step(3)
    before, after = a.arrays(), b.arrays()
    assert before.keys() == after.keys()
    for name in before:
        assert np.array_equal(before[name], after[name]), name
    assert a.counters() == b.counters() == {"G": {"optimizer": 4, "ema": 4}, "D": {"optimizer": 4, "ema": 0}}


def test_what_a_checkpoint_holds(make):
    arrays = make("dcgan", ema=0.5).arrays()
    kinds = {name.split("/")[0] for name in arrays}
    assert kinds == {"G", "G.state", "G.optimizer", "G.ema", "D", "D.state", "D.optimizer"}
    assert {array.dtype for array in arrays.values()} == {np.dtype("float32")}
    assert {name for name in arrays if "optimizer" in name} == {f"{p}.optimizer/{m}" for p in "GD" for m in "mv"}
    double = make(dtype="float64").arrays()
    assert {array.dtype for array in double.values()} == {np.dtype("float64")}


def test_of_another_model(make):
    a = make()
    before = {name: array.copy() for name, array in a.arrays().items()}
    wide, double = make(model={"width": 9}), make(dtype="float64")
    for other, message in (
        (wide, r"G/0/weight is float32 \(4, 9\), expected float32 \(4, 8\)"),
        (double, "is float64"),
    ):
        with pytest.raises(CheckpointError, match=f"the checkpoint is of another model: .*{message}"):
            a.load(other.arrays(), other.counters())
    missing = {name: array for name, array in before.items() if name != "G/2/bias"}
    with pytest.raises(CheckpointError, match="another model: G/2/bias is only in one of the two"):
        a.load(missing, a.counters())
    for name, array in a.arrays().items():
        assert np.array_equal(array, before[name]), name


def test_facts_are_of_plain_types(points):
    facts = Facts.of(points)
    assert facts == Facts((3,), ("low", "high"), None)
    assert all(type(n) is int for n in facts.sample_shape)
    points.value_range = [np.float32(-1), 1]
    assert Facts.of(points).value_range == (-1.0, 1.0)
    assert Facts.read(facts.to_dict()) == facts
    for bad in ({}, {"sample_shape": 3}, {"sample_shape": ["x"]}, {"sample_shape": [1], "value_range": [0]}):
        with pytest.raises(ConfigError, match="make no sense"):
            Facts.read(bad)


def test_networks_begin_as_the_seed_says():
    config = resolve(RECIPES["mlp"], {"model": {"width": 8}, "seed": 5})
    facts, backend = Facts((8, 8, 1), None, (-1.0, 1.0)), get_backend("cpu")
    (g1, d1), (g2, d2) = (build_networks(config, RECIPES["mlp"], facts, backend) for _ in range(2))
    assert np.array_equal(g1.theta, g2.theta)
    assert np.array_equal(d1.theta, d2.theta)
    assert (g1.name, d1.name) == ("G", "D")
    assert not np.array_equal(g1.parameters()["0/weight"][:8, :8], d1.parameters()["1/weight"][:8, :8])


def test_players_are_as_they_are_set(make):
    schedule = {"schedule": "linear", "schedule_options": {"steps": 10}, "lr": 0.5}
    a = make(generator={**schedule, "optimizer": "rmsprop", "optimizer_options": {"alpha": 0.5}, "clip_norm": 2.0})
    player = a.players["G"]
    assert player.rate(5) == 0.25
    assert player.optimizer.alpha == 0.5
    assert (player.clip_norm, player.clip_value, player.clip_weights) == (2.0, None, None)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"generator": {"optimizer": "adm"}}, ConfigError, "generator: .*adam"),
        ({"discriminator": {"schedule": "cosine"}}, ConfigError, "discriminator: .*needs the option 'steps'"),
        ({"generator": {"groups": [{"ranges": "*/gama"}]}}, ConfigError, "generator: .*'\\*/gama' fits no parameter"),
        ({"loss": "hing"}, ConfigError, "hinge"),
        ({"model": {"widht": 5}}, ConfigError, r"no setting model\.widht; did you mean width\?"),
        ({"dtype": "float16"}, DTypeError, "float16"),
        ({"latent": {"distribution": "cauchy"}}, ConfigError, "latent.distribution is 'cauchy'"),
        ({"batch": 5000}, ConfigError, "too few for a batch of 5000"),
        ({"data": {"rotate": -1.0}}, ConfigError, "rotate is -1"),
        ({"data": {"name": "ring-8", "flip": True}}, ConfigError, "no images"),
    ],
)
def test_settings_that_do_not_fit(make, settings, error, message):
    with pytest.raises(error, match=message):
        make(**settings)


def test_samples_are_of_the_average(make):
    a = make("dcgan", ema=0.9)
    # Nothing is averaged yet: the weights themselves.
    assert np.array_equal(a.sampler().draw(4), a.generator(a.sampler().latents(4)))
    for step in range(3):
        a.step(step)
    expected, _ = build_networks(a.config, a.recipe, a.facts, a.backend)
    expected.load(a.players["G"].ema.mean, a.generator.state)
    sampler = a.sampler()
    assert np.array_equal(sampler.draw(4), expected(sampler.latents(4)))
    assert not np.array_equal(sampler.draw(4), a.generator(sampler.latents(4)))
    theta = a.generator.theta.copy()
    a.step(3)
    assert not np.array_equal(theta, a.generator.theta)
    assert not np.array_equal(a.sampler().draw(4), expected(sampler.latents(4)))


def test_samples_change_nothing(make):
    a, b = make("dcgan"), make("dcgan")
    for step in range(3):
        a.sampler().draw(5)
        assert a.step(step) == b.step(step)
    for name, array in a.arrays().items():
        assert np.array_equal(array, b.arrays()[name]), name


def test_balanced_batches_and_augmented_ones(make):
    labels = np.array([0] * 90 + [1] * 10)
    x = np.zeros((100, 4, 4, 1), np.uint8)
    x[:, 0] = 255
    dataset = ArrayDataset(x, labels=labels)
    a = make(dataset=dataset, data={"balanced": True, "shift": 0.5})
    batch = a.loader.get(0)
    assert np.bincount(batch.labels).tolist() == [4, 4]
    assert len(np.unique(batch.x.reshape(8, -1), axis=0)) > 4


@pytest.mark.parametrize(
    ("penalties", "message"),
    [
        (["r1"], "penalties has 'r1', expected tables"),
        ([{"gamma": 1.0}], "penalties has .* there are wgan-gp"),
        ([{"name": "r1", "gama": 1.0}], "did you mean 'gamma'"),
        ([{"name": "r9"}], "penalty is 'r9'"),
        ([{"name": "r1", "every": 0}], "every is 0"),
    ],
)
def test_slips_in_penalties(make, penalties, message):
    with pytest.raises(ConfigError, match=message):
        make(penalties=penalties)
