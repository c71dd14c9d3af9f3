from __future__ import annotations

import json

import pytest

from npgan.recipes import RECIPES
from npgan.training.config import build, parse_settings
from npgan.training.trainer import resolve


def test_list(cli):
    result = cli("recipes")
    assert result.code == 0
    for name in RECIPES:
        assert f"\n{name} " in result.out
    listed = json.loads(cli("recipes", "--json").out)
    assert [each["name"] for each in listed] == list(RECIPES)
    assert all(each["summary"] and each["paper"] for each in listed)


@pytest.mark.parametrize("name", RECIPES)
def test_one(cli, name):
    result = cli("recipes", name)
    assert result.code == 0
    assert RECIPES[name].summary in result.out
    assert "G: float32 on cpu" in result.out
    assert "D: float32 on cpu" in result.out
    assert "\n* steps " in result.out  # every recipe has its own
    answer = cli("recipes", name, "--json").json
    assert build(answer["settings"]) == resolve(RECIPES[name], {})
    assert set(answer["networks"]) == {"G", "D"}


def test_settings_are_shown_as_they_are_typed(cli):
    text = cli("recipes", "ring").out.partition("settings")[2].partition("networks")[0]
    lines = [line[2:].split(maxsplit=1) for line in text.splitlines()[1:] if line.strip()]
    typed = [f"{key}={value}" for key, value in lines if value != "none"]
    assert resolve(RECIPES["ring"], parse_settings(typed)) == resolve(RECIPES["ring"], {})


def test_unknown(cli):
    result = cli("recipes", "dcgam")
    assert result.code == 2
    assert "did you mean dcgan?" in result.err
