import math
import tomllib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.errors import ConfigError
from npgan.optimizers import SCHEDULES, get_schedule

EXAMPLES = [
    ("constant", {"lr": 0.2}, {0: 0.2, 10**9: 0.2}),
    ("linear", {"lr": 1, "steps": 10}, {0: 1, 5: 0.5, 10: 0, 11: 0}),
    ("linear", {"lr": 1, "steps": 10, "start": 20, "end": 0.5}, {0: 1, 20: 1, 25: 0.75, 30: 0.5, 99: 0.5}),
    ("cosine", {"lr": 1, "steps": 8}, {0: 1, 2: (1 + math.sqrt(0.5)) / 2, 4: 0.5, 8: 0, 9: 0}),
    ("cosine", {"lr": 1, "steps": 14, "warmup": 4, "end": 0.2}, {0: 0.25, 3: 1, 4: 1, 9: 0.6, 14: 0.2, 99: 0.2}),
    ("exponential", {"lr": 2, "gamma": 0.25, "every": 2}, {0: 2, 1: 1, 2: 0.5, 4: 0.125}),
    ("step", {"lr": 2, "gamma": 0.5, "every": 3}, {0: 2, 2: 2, 3: 1, 5: 1, 6: 0.5}),
    ("piecewise", {"milestones": [3, 5], "values": [1, 0.5, 0.1]}, {0: 1, 2: 1, 3: 0.5, 4: 0.5, 5: 0.1, 99: 0.1}),
]


@pytest.mark.parametrize(("name", "options", "points"), EXAMPLES)
def test_rates(name, options, points):
    schedule = get_schedule(name, **options)
    for step, rate in points.items():
        assert schedule(step) == pytest.approx(rate, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(("name", "options", "points"), EXAMPLES)
def test_config_goes_around(name, options, points):
    schedule = get_schedule(name, **options)
    assert get_schedule(schedule.config()) == schedule
    assert get_schedule({"name": name, **options}) == schedule
    assert get_schedule(schedule) is schedule


def test_every_schedule_has_an_example():
    assert {name for name, _, _ in EXAMPLES} == set(SCHEDULES)


def test_a_table_of_toml_and_a_number():
    table = tomllib.loads('lr = { name = "cosine", lr = 2e-4, steps = 1000, warmup = 10 }')["lr"]
    assert get_schedule(table) == get_schedule("cosine", lr=2e-4, steps=1000, warmup=10)
    assert get_schedule(2e-4) == get_schedule("constant", lr=2e-4)
    assert get_schedule(1) == get_schedule("constant", lr=1)


@given(st.integers(0, 50), st.integers(1, 50), st.floats(0, 1))
def test_cosine_rises_then_falls_and_stays_within(warmup, length, end):
    schedule = get_schedule("cosine", lr=1.0, steps=warmup + length, warmup=warmup, end=end)
    rates = [schedule(step) for step in range(warmup + length + 5)]
    assert all(left <= right for left, right in pairwise(rates[:warmup]))
    assert all(left >= right - 1e-15 for left, right in pairwise(rates[warmup:]))
    assert rates[warmup] == 1
    assert rates[-1] == pytest.approx(end)
    assert all(rate > 0 for rate in rates[: warmup + length])


@pytest.mark.parametrize(
    ("schedule", "options", "words"),
    [
        ("cosin", {}, "did you mean 'cosine'"),
        ({"lr": 1}, {}, "schedule is None"),
        (None, {}, "schedule is None"),
        ("cosine", {"lr": 1}, "needs the option 'steps'"),
        ("cosine", {"lr": 1, "stepz": 3}, "did you mean 'steps'"),
        ("cosine", {"lr": 1, "steps": 3, "warmup": 3}, "steps is 3"),
        ("cosine", {"lr": 1, "steps": 2.5}, "steps is 2.5"),
        ("linear", {"lr": 1, "steps": 0}, "steps is 0"),
        ("constant", {"lr": -1}, "lr is -1"),
        (float("nan"), {}, "lr is nan"),
        (True, {}, "lr is True"),
        ("exponential", {"lr": 1, "gamma": 1.1}, "gamma is 1.1"),
        ("step", {"lr": 1, "gamma": 0.5, "every": 0}, "every is 0"),
        ("piecewise", {"milestones": [5, 3], "values": [1, 1, 1]}, "expected steps that increase"),
        ("piecewise", {"milestones": [5], "values": [1]}, "expected one more"),
        ("piecewise", {"milestones": 5, "values": [1]}, "expected a list"),
        ("piecewise", {"milestones": [5], "values": [1, -1]}, "values is -1"),
    ],
)
def test_errors_say_what_to_do(schedule, options, words):
    with pytest.raises(ConfigError, match=words):
        get_schedule(schedule, **options)
