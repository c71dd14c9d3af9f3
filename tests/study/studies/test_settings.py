"""Settings as they are typed, and as they are taken."""

import pytest

from npgan.errors import ConfigError
from npgan.study.studies.settings import parse, settled

DEFAULTS = {"count": 3, "rate": 0.5, "names": ("a",), "flag": False}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cuont": 3}, "no setting 'cuont'; did you mean 'count'"),
        ({"seed": 3}, "nothing in it is random"),
        ({"count": 2.5}, "count is 2.5, expected a whole number"),
        ({"rate": "fast"}, "rate is 'fast', expected a finite number"),
        ({"names": {"a": 1}}, "names is {'a': 1}, expected a list"),
        ({"names": [1]}, r"names\[0\] is 1, expected a text"),
        ({"flag": 1}, "flag is 1, expected true or false"),
    ],
)
def test_settings_that_make_no_sense(given, message):
    with pytest.raises(ConfigError, match=message):
        settled("study toy", DEFAULTS, given)


def test_settings():
    assert settled("study toy", DEFAULTS, {"rate": 2, "names": ["a", "b"]}) == {
        "count": 3,
        "rate": 2.0,
        "names": ("a", "b"),
        "flag": False,
    }
    assert settled("study toy", DEFAULTS, {"names": "b"})["names"] == ("b",)
    assert settled("study toy", DEFAULTS, {"names": ""})["names"] == ()


def test_values_on_the_command_line():
    assert parse(["a=1", "b=0.5", "c=minimax,hinge", "d=1,2.5", "e=r1 gamma=0.1", "f=true", "g=[1, 2]"]) == {
        "a": 1,
        "b": 0.5,
        "c": ["minimax", "hinge"],
        "d": [1, 2.5],
        "e": "r1 gamma=0.1",
        "f": True,
        "g": [1, 2],
    }
    with pytest.raises(ConfigError, match="is not key=value"):
        parse(["a"])
