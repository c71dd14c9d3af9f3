"""Studies on a GPU, or on the emulator of one: what they return is on the host, and what the CPU finds to rounding."""

import dataclasses
from importlib import import_module

import numpy as np
import pytest

from npgan.errors import ConfigError, NonFiniteError
from npgan.study.studies import STUDIES, density
from npgan.study.studies.toy import Toy

SMALL = {"width": 4, "depth": 1, "batch": 8}
CASES = {
    "dirac": {"steps": 3, "grid": 2, "gammas": [0.3], "rules": ["unrolled"]},
    "saturation": {**SMALL, "warmup": 4, "steps": 3, "checkpoints": 2, "losses": ["minimax", "hinge"]},
    "field": {**SMALL, "steps": 4, "checkpoints": 1, "copies": 2, "inner": 2, "samples": 4, "grid": 2, "cells": 4},
    "spectrum": {**SMALL, "width": 2, "steps": 4, "checkpoints": 1, "ahead": 4},
    "landscape": {**SMALL, "width": 2, "penalty": "none", "steps": 4, "checkpoints": 3, "grid": 3, "arrows": 2},
}


def leaves(value, path=""):
    """Everything in a result that is not made of other things, by name."""
    if dataclasses.is_dataclass(value):
        value = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        return {name: leaf for key, each in value.items() for name, leaf in leaves(each, f"{path}/{key}").items()}
    return {path: value}


@pytest.mark.parametrize("name", CASES)
def test_they_find_what_the_cpu_finds(name, cupy, monkeypatch):
    monkeypatch.setattr(density, "_CHUNK", 64)  # the emulator is slow
    monkeypatch.setattr(import_module("npgan.study.studies.spectrum"), "_SAMPLES", 50)
    study = STUDIES[name]
    here, there = (study.run(**study.settings({**CASES[name], "backend": backend})) for backend in ("cpu", "gpu"))
    expected, found = leaves(here), leaves(there)
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        assert type(found[path]) is type(value), path
        if isinstance(value, np.ndarray | float):
            np.testing.assert_allclose(found[path], value, rtol=1e-7, atol=1e-9, err_msg=path)
        else:
            assert found[path] == value, path
    assert study.tell(there)


def test_every_study_of_networks_has_the_setting():
    assert {name for name, study in STUDIES.items() if "backend" not in study.defaults()} == {"bilinear"}
    with pytest.raises(ConfigError, match="study bilinear has no setting 'backend': its game is a formula"):
        STUDIES["bilinear"].settings({"backend": "gpu"})


def test_a_look_waits_for_what_was_not_finite(cupy):
    toy = Toy(width=4, depth=1, batch=8, backend="gpu")
    for step in range(3):
        toy.step(step)
    toy.wait()  # what is written while steps are asked for is undone where one of them is run again
    with toy.game.discriminator.write() as theta:
        theta[0] = float("nan")
    toy.step(3)
    with pytest.raises(NonFiniteError, match="step 3, "):
        toy.point()
