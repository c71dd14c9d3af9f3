"""What every study leaves behind: complete, readable, and the same when it is repeated."""

import json
import tomllib
from dataclasses import dataclass

import numpy as np
import pytest

from npgan.errors import CheckpointError, ConfigError
from npgan.study.studies import STUDIES
from npgan.study.studies.drawing import new_figure
from npgan.study.studies.folder import carry_out, free_folder, plain, read_config
from npgan.study.studies.study import Study

TINY = {
    "landscape": {"width": 4, "batch": 8, "steps": 6, "checkpoints": 4, "grid": 3, "arrows": 2},
    "modes": {"steps": 4, "seeds": 2, "changes": ("width=8",), "looks": 2, "rules": ("simultaneous",)},
    "spectrum": {"width": 3, "batch": 16, "steps": 6, "checkpoints": 2, "ahead": 4},
    "field": {
        **{"width": 8, "batch": 16, "steps": 4, "checkpoints": 2, "inner": 2},
        **{"samples": 8, "grid": 5, "cells": 10},
    },
    "saturation": {"width": 8, "batch": 16, "steps": 10, "checkpoints": 3},
    "dirac": {"steps": 5, "grid": 3, "rules": ("simultaneous", "alternating")},
    "bilinear": {"steps": 5, "grid": 3, "rates": 3, "rules": ("simultaneous", "alternating")},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    done = {}

    def write(name):
        if name not in done:
            out = tmp_path_factory.mktemp("studies") / name
            done[name] = carry_out(STUDIES[name], TINY[name], out)
        return done[name]

    return write


def numbers(value):
    if isinstance(value, dict | list):
        return sum(map(numbers, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float)


@pytest.mark.parametrize("name", STUDIES)
def test_all_of_it_is_there(written, name):
    found = written(name)
    assert sorted(found.files) == sorted(path.name for path in found.folder.iterdir())
    assert {"config.toml", "numbers.json", "text.txt"} < set(found.files)
    pngs = {file[:-4] for file in found.files if file.endswith(".png")}
    assert pngs
    assert pngs == {file[:-4] for file in found.files if file.endswith(".svg")}
    assert (found.folder / "text.txt").read_text() == found.text + "\n"
    assert any(letter.isdigit() for letter in found.text)
    assert numbers(json.loads((found.folder / "numbers.json").read_text())) > 20
    assert tomllib.loads((found.folder / "config.toml").read_text())["study"] == name


@pytest.mark.parametrize("name", STUDIES)
def test_repeated_from_its_config_with_the_same_bits(written, name, tmp_path):
    found = written(name)
    study, settings, made = read_config(found.folder / "config.toml", STUDIES)
    assert study is STUDIES[name]
    assert made["npgan"]
    again = carry_out(study, settings, tmp_path / "again")
    assert again.files == found.files
    for file in found.files:
        assert (again.folder / file).read_bytes() == (found.folder / file).read_bytes(), file


@dataclass(frozen=True)
class Result:
    values: np.ndarray


def run(*, count: int = 3, rate: float = 0.5, names: tuple[str, ...] = ("a",), flag: bool = False) -> Result:
    return Result(np.arange(count) * rate)


TOY = Study("toy", "", run, lambda found: f"{found.values.sum()}", lambda found: {"one": new_figure()}, 1)


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "file").touch()
    with pytest.raises(ConfigError, match="nothing is written over"):
        carry_out(TOY, {}, tmp_path / "here")
    with pytest.raises(ConfigError, match="is a file"):
        carry_out(TOY, {}, tmp_path / "here" / "file")
    with pytest.raises(CheckpointError, match="cannot make the folder"):
        carry_out(TOY, {}, tmp_path / "here" / "file" / "below")
    assert free_folder(tmp_path, "here") == tmp_path / "here-2"


def test_a_study_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        carry_out(Study("toy", "", lambda: 1 / 0, str, dict, 1), {}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_json_of_everything():
    found = plain({"a": np.array([1 + 2j]), "b": float("nan"), "c": (np.float64(0.5), None), "d": -np.inf, "e": 1j})
    assert found == {
        "a": {"real": [1.0], "imag": [2.0]},
        "b": "NaN",
        "c": [0.5, None],
        "d": "-Infinity",
        "e": {"real": 0.0, "imag": 1.0},
    }
    assert plain(Result(np.array([1, 2]))) == {"values": [1, 2]}


@pytest.mark.parametrize(("text", "message"), [("a = 1", "names no study"), ('study = "drac"', "did you mean 'dirac'")])
def test_a_config_of_something_else(tmp_path, text, message):
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path / "config.toml", STUDIES)
