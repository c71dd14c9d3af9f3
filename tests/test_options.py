import math

import numpy as np
import pytest

from npgan.errors import ConfigError
from npgan.options import find, make, number, toml_value, whole


class Base:
    def __init__(self, size, *, decay=0.0):
        self.made = size, decay


class Derived(Base):
    def __init__(self, size, *, beta=1.0, **others):
        super().__init__(size, **others)
        self.beta = beta


def test_make_reads_the_options_of_base_classes():
    found = make("thing", {"d": Derived}, "d", {"decay": 2.0, "beta": 3.0}, size=4)
    assert (found.made, found.beta) == ((4, 2.0), 3.0)
    with pytest.raises(ConfigError, match="thing 'd' has no option 'decoy'; did you mean 'decay'"):
        make("thing", {"d": Derived}, "d", {"decoy": 1}, size=4)
    with pytest.raises(ConfigError, match="has no option 'size'"):
        make("thing", {"d": Derived}, "d", {"size": 1}, size=4)
    with pytest.raises(ConfigError, match="needs the option 'size'"):
        make("thing", {"d": Derived}, "d", {})


def test_find_suggests():
    assert find("thing", {"adam": 1}, "adam") == 1
    with pytest.raises(ConfigError, match="thing is 'adm'; did you mean 'adam'"):
        find("thing", {"adam": 1}, "adm")
    with pytest.raises(ConfigError, match=r"thing is \['adam'\]"):
        find("thing", {"adam": 1}, ["adam"])


def test_number_and_whole():
    assert number("x", np.float32(0.5)) == 0.5
    assert number("x", 1, least=1, most=1) == 1
    assert whole("n", np.int64(3)) == 3
    assert isinstance(whole("n", 3.0), int)
    bad = [(math.nan, {}), (math.inf, {}), ("1", {}), (None, {}), (True, {}), ([1], {}), (1j, {})]
    bad += [(1, {"above": 1}), (1, {"below": 1}), (0.9, {"least": 1}), (1.1, {"most": 1})]
    for value, bounds in bad:
        with pytest.raises(ConfigError, match=r"x is .* expected a finite number"):
            number("x", value, **bounds)
    assert whole("seed", 2**53 + 1) == 2**53 + 1  # which no float is
    for value in (1.5, -1, "2", math.nan, True, 10**400):
        with pytest.raises(ConfigError, match=r"n is .*, expected a whole number from 0"):
            whole("n", value)
    with pytest.raises(ConfigError, match="k is 0, expected a whole number from 1"):
        whole("k", 0, least=1)
    with pytest.raises(ConfigError, match="expected a finite number"):
        number("x", 10**400)


@pytest.mark.parametrize(
    ("text", "value"), [("1e-4", 1e-4), (" true ", True), ("[1, 2]", [1, 2]), ("hinge", None), ("1\nb = 2", None)]
)
def test_toml_value(text, value):
    assert toml_value(text) == value
