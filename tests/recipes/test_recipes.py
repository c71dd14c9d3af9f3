"""Every recipe fits the data it says it fits, and says what it does not."""

import numpy as np
import pytest

from npgan.errors import ConfigError
from npgan.game import Game, Latent
from npgan.layers import Dense, Tanh
from npgan.losses import get_loss
from npgan.network import Network
from npgan.recipes import RECIPES, Fit, Recipe, get_recipe

NARROW = {"channels": 4, "width": 8}  # enough to see the shapes, quick to run


def fit(recipe, shape, classes=10, bounded=True, **model):
    own = recipe.settings.get("model", {})
    return Fit(shape, classes, bounded, {**own, **model})


def networks(name, shape, *, narrow=True, classes=10, bounded=True, **model):
    recipe = get_recipe(name)
    known = recipe.settings["model"]
    model = {**({k: v for k, v in NARROW.items() if k in known} if narrow else {}), **model}
    made = recipe.build(fit(recipe, shape, classes, bounded, **model))
    latent = recipe.settings.get("latent", {}).get("size", 100)
    condition = () if recipe.conditional else None
    return tuple(
        Network(layers, given, condition_shape=condition, name=player)
        for player, layers, given in zip("GD", made, ((latent,), shape), strict=True)
    )


IMAGES = [(size, size, channels) for size in (8, 16, 28, 32, 64) for channels in (1, 3)]
FITS = [
    *((name, shape) for name in ("mlp", "mlp-1024", "dcgan", "dcgan-upsample", "cgan") for shape in IMAGES),
    *((name, shape) for name in ("mlp", "mlp-1024", "ring") for shape in ((2,), (7,))),
    ("mlp", (5, 9, 2)),
    ("dcgan-upsample", (12, 12, 1)),
    ("dcgan", (128, 128, 3)),
]


@pytest.mark.parametrize(
    ("name", "shape"), FITS, ids=lambda value: value if isinstance(value, str) else "x".join(map(str, value))
)
def test_it_fits(name, shape):
    G, D = networks(name, shape)
    assert G.output_shape == D.input_shape == shape
    assert D.output_shape == (1,)
    assert G.size > 0
    # It runs: both gradients of one step are there.
    batch = 2
    game = Game(G, D, get_loss("non-saturating"), batch)
    labels = np.array([0, 9]) if get_recipe(name).conditional else None
    z = Latent(G.input_shape).draw(np.empty((batch, *G.input_shape), np.float32), G.random, "latent", 0)
    x = game.generate(z, labels, 0)
    assert np.abs(x).max() <= 1 or len(shape) == 1
    assert np.isfinite(game.discriminator_gradient(D.grad, x.copy(), labels, 0))
    assert np.isfinite(game.generator_gradient(G.grad, labels, 0))
    for network in (G, D):
        assert np.isfinite(network.grad).all()
        for layer in network.layout.by_name(network.grad).values():
            assert layer.any() or layer.size < 3


def count(name, shape=(28, 28, 1)):
    return tuple(network.size for network in networks(name, shape, narrow=False))


def test_parameters_of_mlp():
    assert count("mlp") == (
        100 * 128 + 128 + 128 * 128 + 128 + 128 * 784 + 784,
        784 * 128 + 128 + 128 * 128 + 128 + 128 + 1,
    )
    wide = 1024
    assert count("mlp-1024") == (
        100 * wide + wide + wide * wide + wide + wide * 784 + 784,
        784 * wide + wide + wide * wide + wide + wide + 1,
    )
    assert count("ring", (2,)) == (
        2 * 128 + 128 + 128 * 128 + 128 + 128 * 2 + 2,
        2 * 128 + 128 + 128 * 128 + 128 + 128 + 1,
    )


def test_parameters_of_dcgan():
    # As the paper has it for 64 x 64, with 64 channels where it has 128: 100 -> 4x4x512 -> ... -> 64x64x3.
    G = 100 * 4 * 4 * 512 + 2 * 512
    for inward, outward in ((512, 256), (256, 128), (128, 64)):
        G += 16 * inward * outward + 2 * outward
    G += 16 * 64 * 3 + 3
    D = 16 * 3 * 64 + 64
    for inward, outward in ((64, 128), (128, 256), (256, 512)):
        D += 16 * inward * outward + 2 * outward
    D += 4 * 4 * 512 + 1
    assert count("dcgan", (64, 64, 3)) == (G, D)


def test_dcgan_goes_from_7_to_28_and_from_4_to_64():
    def sizes(shape):
        G, D = networks("dcgan", shape)
        return [sorted({s[0] for _, _, s in network.rows if len(s) == 3}) for network in (G, D)]

    assert sizes((28, 28, 1)) == [[7, 14, 28], [7, 14]]
    assert sizes((64, 64, 3)) == [[4, 8, 16, 32, 64], [4, 8, 16, 32]]


def test_weights_of_dcgan_begin_small():
    G, _ = networks("dcgan", (32, 32, 3), channels=32)
    weights = G.parameters()
    for name, array in weights.items():
        mean, std = {"weight": (0, 0.02), "gain": (1, 0.02), "bias": (0, 0)}[name.rpartition("/")[2]]
        assert abs(array.mean() - mean) < 0.01
        assert std == 0 or array.size < 100 or 0.7 < array.std() / std < 1.3


def test_data_that_are_not_bounded_get_no_tanh():
    for name in ("mlp", "ring"):
        G, _ = networks(name, (2,), bounded=False)
        assert not isinstance(G.rows[-1][1], Tanh)
    assert isinstance(networks("mlp", (8, 8, 1))[0].rows[-1][1], Tanh)


# ---------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        *(
            (name, (n, n, 1), rf"recipe {name} .*8, 16, 32, 64, .* or 28 .* these have {n}")
            for name in ("dcgan", "cgan")
            for n in (4, 7, 12, 14, 20, 30, 56, 100)
        ),
        *(
            (name, (28, 32, 1), rf"recipe {name} makes square images, .*\(28, 32, 1\)")
            for name in ("dcgan", "cgan", "dcgan-upsample")
        ),
        *(
            (name, (2,), rf"recipe {name} makes square images, .*\(2,\); use mlp")
            for name in ("dcgan", "cgan", "dcgan-upsample")
        ),
        ("dcgan-upsample", (30, 30, 1), "divisible by 4, and these images have 30"),
        ("ring", (8, 8, 1), r"recipe ring makes vectors, .*\(8, 8, 1\); use mlp"),
    ],
)
def test_data_that_do_not_suit(name, shape, message):
    with pytest.raises(ConfigError, match=message):
        networks(name, shape)


def test_classes_that_are_missing():
    for classes in (None, 0):
        with pytest.raises(ConfigError, match="recipe cgan needs data with class labels, and these have none"):
            networks("cgan", (28, 28, 1), classes=classes)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"chanels": 3}, r"no setting model\.chanels; did you mean channels\? \(there are channels, slope\)"),
        ({"zzz": 3}, r"no setting model\.zzz \(there are channels, slope\)"),
        ({"channels": 0}, r"model\.channels is 0, expected a whole number from 1"),
        ({"channels": 6.5}, r"model\.channels is 6.5"),
        ({"channels": "64"}, r"model\.channels is '64'"),
        ({"channels": True}, r"model\.channels is True"),
        ({"slope": -0.1}, r"model\.slope is -0.1, expected a finite number from 0"),
        ({"slope": float("nan")}, r"model\.slope is nan"),
        ({"slope": "steep"}, r"model\.slope is 'steep'"),
    ],
)
def test_settings_that_make_no_sense(model, message):
    with pytest.raises(ConfigError, match=message):
        networks("dcgan", (28, 28, 1), narrow=False, **model)


@pytest.mark.parametrize("slope", [0, 0.0, 1])
def test_a_whole_number_is_a_number(slope):
    networks("dcgan", (8, 8, 1), channels=2, slope=slope)


def test_names():
    assert set(RECIPES) >= {"mlp", "mlp-1024", "ring", "dcgan", "dcgan-upsample", "cgan"}
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert recipe.summary
        assert recipe.paper
        assert get_recipe(name) is recipe
    with pytest.raises(ConfigError, match=r"there is no recipe 'dcgn'; did you mean dcgan\? \(there are mlp, "):
        get_recipe("dcgn")
    with pytest.raises(ConfigError, match=r"there is no recipe 'qqqq' \(there are"):
        get_recipe("qqqq")


def test_a_recipe_of_your_own():
    own = Recipe("own", "one layer", "none", lambda fit: ([Dense(fit.sample_shape[0])], [Dense(1)]))
    G, D = own.build(Fit((3,), None, False, {}))
    assert (G[0].units, D[0].units) == (3, 1)
    with pytest.raises(ConfigError, match=r"recipe own has no setting model\.width \(there are none\)"):
        own.build(Fit((3,), None, False, {"width": 3}))
