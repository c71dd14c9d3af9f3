import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.errors import ConfigError
from npgan.recipes import RECIPES, Recipe
from npgan.training.config import Config, PlayerConfig, build, differences, merge, parse_settings
from npgan.training.folder import RunFolder
from npgan.training.trainer import override, resolve

keys = st.sampled_from(["a", "b", "c"])
tables = st.recursive(
    st.dictionaries(keys, st.integers(), max_size=3), lambda inner: st.dictionaries(keys, inner, max_size=3)
)


def test_the_defaults_are_a_whole_config():
    assert build({}) == Config()
    assert build(Config().to_dict()) == Config()


@pytest.mark.parametrize("name", RECIPES)
def test_the_config_of_every_recipe_survives_toml(tmp_path, name):
    settings = {
        "seed": 2**63 - 1,
        "data": {"name": 'a "b"/é', "dir": "x\\y"},
        "loss_options": {"class_weights": [1.0, 0.5]},
        "generator": {"lr": 1e-300, "groups": [{"ranges": "*/bias", "frozen": True}, {}]},
    }
    config = resolve(RECIPES[name], settings)
    folder = RunFolder.create(tmp_path / name)
    folder.write_config(config.to_dict())
    back = build(folder.read_config())
    assert back == config
    assert differences(config, back) == []
    assert resolve(RECIPES[name], folder.read_config()) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stps": 5}, r"there is no setting stps; did you mean steps\? \(there are recipe, steps, "),
        ({"generator": {"shedule": ""}}, r"no setting generator\.shedule; did you mean generator\.schedule\?"),
        ({"log": {"zzzzzz": 1}}, r"there is no setting log\.zzzzzz \(there are log\.every, "),
        ({7: 1}, r"there is no setting 7 \("),
        ({"steps": 2.5}, r"steps is 2\.5, expected a whole number"),
        ({"steps": True}, "steps is True, expected a whole number"),
        ({"steps": "many"}, "steps is 'many', expected a whole number"),
        ({"generator": {"lr": True}}, r"generator\.lr is True, expected a number"),
        ({"generator": 3}, "generator is 3, expected a table of settings"),
        ({"data": {"flip": 1}}, r"data\.flip is 1, expected true or false"),
        ({"data": {"name": 1997}}, r"data\.name is 1997, expected a text"),
        ({"data": {"image_size": "big"}}, r"data\.image_size is 'big', expected a whole number"),
        ({"model": [1]}, r"model is \[1\], expected a table of settings"),
        ({"generator": {"groups": {}}}, r"generator\.groups is {}, expected a list"),
        ({"steps": 0}, "steps is 0, expected a whole number from 1"),
        ({"n_critic": 0}, "n_critic is 0, expected a whole number from 1"),
        ({"log": {"every": 0}}, r"^log\.every is 0, expected a whole number from 1"),
        ({"latent": {"size": 0}}, r"^latent\.size is 0, expected a whole number from 1"),
        ({"ema": 1.0}, r"ema is 1\.0, expected a decay in \[0, 1\)"),
        ({"seed": -1}, "seed is -1, expected 0 to"),
        ({"seed": 2**63}, "seed is 9223372036854775808, expected 0 to"),
        ({"generator": {"lr": -1.0}}, r"generator\.lr is -1\.0, expected a finite number from 0"),
        ({"discriminator": {"lr": float("nan")}}, r"discriminator\.lr is nan, expected a finite number"),
        ({"discriminator": {"lr": float("inf")}}, r"discriminator\.lr is inf, expected a finite number"),
        ({"generator": {"clip_norm": -0.5}}, r"generator\.clip_norm is -0\.5, expected a finite number from 0"),
    ],
)
def test_what_makes_no_sense_is_named(values, message):
    with pytest.raises(ConfigError, match=message):
        build(values)


def test_a_whole_number_is_a_number():
    config = build({"generator": {"lr": 1}, "ema": 0})
    assert type(config.generator.lr) is float
    assert type(config.ema) is float


@given(tables, tables, tables)
def test_merging(a, b, c):
    before = repr((a, b))
    merged = merge(a, b)
    assert repr((a, b)) == before
    assert merge(merged, b) == merged
    assert merge(a, {}) == a
    assert merge({}, b) == b
    assert set(merged) == {*a, *b}
    for key in merged:
        if key not in b:
            assert merged[key] == a[key]
        elif not isinstance(b[key], dict):
            assert merged[key] == b[key]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("steps=5", {"steps": 5}),
        (" steps = 5 ", {"steps": 5}),
        ("loss=hinge", {"loss": "hinge"}),
        ('loss="hinge"', {"loss": "hinge"}),
        ("loss='hinge'", {"loss": "hinge"}),
        ("generator.lr=1e-4", {"generator": {"lr": 1e-4}}),
        ("generator.optimizer_options.betas=[0, 0.9]", {"generator": {"optimizer_options": {"betas": [0, 0.9]}}}),
        ('generator.groups=[{ranges="*/bias", frozen=true}, {}]',
         {"generator": {"groups": [{"ranges": "*/bias", "frozen": True}, {}]}}),
        ("data={name='x', flip=true}", {"data": {"name": "x", "flip": True}}),
        ("data.name=a=b.csv", {"data": {"name": "a=b.csv"}}),
        ("data.name=", {"data": {"name": ""}}),
        ("data.name=photos # 2", {"data": {"name": "photos # 2"}}),
        ("data.name=~/my photos", {"data": {"name": "~/my photos"}}),
        ('data.name="1997"', {"data": {"name": "1997"}}),
        ("data.flip=true", {"data": {"flip": True}}),
        ("data.flip=True", {"data": {"flip": "True"}}),
        ("data.name=1\nsteps=2", {"data": {"name": "1\nsteps=2"}}),
    ],
)  # fmt: skip
def test_a_setting_of_the_command_line(setting, expected):
    assert parse_settings([setting]) == expected


def test_settings_add_up_and_the_last_one_wins():
    settings = ["generator.lr=1", "generator.schedule=cosine", "seed=1", "seed=2", "generator.lr=0.5"]
    assert parse_settings(settings) == {"generator": {"lr": 0.5, "schedule": "cosine"}, "seed": 2}
    assert parse_settings([]) == {}


@pytest.mark.parametrize("setting", ["steps", "=5", "generator.=1", ".lr=1", "a..b=1", ""])
def test_a_setting_that_is_none(setting):
    with pytest.raises(ConfigError, match=r"is not key=value, such as generator\.lr=1e-4"):
        parse_settings([setting])


def test_precedence():
    recipe = Recipe("r", "", "", lambda fit: ([], []), {"batch": 5, "steps": 7, "model": {"width": 3, "slope": 0.1}})
    config = resolve(recipe, {"steps": 9, "model": {"width": 4}})
    assert (config.recipe, config.seed, config.batch, config.steps) == ("r", 0, 5, 9)
    assert config.model == {"width": 4, "slope": 0.1}
    assert config.discriminator.clip_weights == 0.0
    assert resolve(recipe, {"loss": "wasserstein"}).discriminator.clip_weights == 0.01
    assert resolve(recipe, {"loss": "wasserstein"}).generator.clip_weights == 0.0
    own = {"loss": "wasserstein", "discriminator": {"clip_weights": 0.0}}
    assert resolve(recipe, own).discriminator.clip_weights == 0.0
    assert resolve(recipe, {"recipe": "another"}).recipe == "r"


def test_options_go_with_what_they_are_options_of():
    mlp = RECIPES["mlp"]
    assert resolve(mlp, {}).generator.optimizer_options == {"betas": [0.5, 0.999]}
    config = resolve(mlp, {"generator": {"optimizer": "sgd"}, "discriminator": {"lr": 1.0}})
    assert config.generator == PlayerConfig(optimizer="sgd")
    assert config.discriminator.optimizer_options == {"betas": [0.5, 0.999]}
    base = {"loss": "hinge", "loss_options": {"class_weights": [1.0]}, "generator": {"schedule": "cosine"}}
    base["generator"]["schedule_options"] = {"steps": 5}
    assert override(base, {"loss": "hinge"}) == base
    changed = override(base, {"loss": "least-squares", "generator": {"schedule": "step"}})
    assert "loss_options" not in changed
    assert changed["generator"] == {"schedule": "step"}
    assert override(base, {"loss": "minimax", "loss_options": {"smoothing": 0.1}})["loss_options"] == {"smoothing": 0.1}


def test_differences():
    old = Config()
    player = dataclasses.replace(old.generator, lr=1e-4, optimizer_options={"betas": [0.5, 0.9]})
    data = dataclasses.replace(old.data, dir="x")
    new = dataclasses.replace(old, generator=player, data=data, steps=5)
    assert differences(old, new) == [
        "data.dir: None -> x",
        "generator.lr: 0.0002 -> 0.0001",
        "generator.optimizer_options.betas: None -> [0.5, 0.9]",
        "steps: 2000 -> 5",
    ]
    assert differences(new, new) == []
