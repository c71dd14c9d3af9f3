"""Numerical derivatives, and how far they say that they may be off."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.gradcheck import derivative

numbers = st.floats(-2, 2, allow_subnormal=False)
# A function of t, with its derivative at 0. All are smooth on a scale of 1.
FUNCTIONS = {
    "exp": lambda a, b: (lambda t: math.exp(a * t + b), a * math.exp(b)),
    "sin": lambda a, b: (lambda t: math.sin(a * t + b), a * math.cos(b)),
    "tanh": lambda a, b: (lambda t: math.tanh(a * t + b), a * (1 - math.tanh(b) ** 2)),
    "cubic": lambda a, b: (lambda t: a * t**3 + b * t + 1, b),
    "softplus": lambda a, b: (lambda t: math.log1p(math.exp(a * t + b)), a / (1 + math.exp(-b))),
    "rational": lambda a, b: (lambda t: 1 / (1 + (a * t + b) ** 2), -2 * a * b / (1 + b * b) ** 2),
    "constant": lambda a, b: (lambda t: a + b, 0.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@given(a=numbers, b=numbers, h=st.sampled_from([1e-1, 1e-2, 1e-3]))
def test_the_error_is_within_what_it_says(name, a, b, h):
    f, truth = FUNCTIONS[name](a, b)
    found = derivative(f, h)
    # The rounding of a t + b is not in the rounding of f: it is less than that of b, divided by the smallest step.
    argument = 2.0**-52 * abs(b) / (h / 8)
    subnormal = 1e-300  # where numbers have fewer digits, and the error estimate is 0
    assert abs(found.value - truth) <= 4 * found.error + abs(a) * argument + subnormal
    # And what it says is worth something, where the first step is small on the function's scale.
    assert abs(a) * h > 0.1 or found.error <= 1e-6 * max(1, abs(f(0)), abs(truth))


@given(place=st.floats(1e-4, 0.02), jump=st.floats(0.1, 10))
def test_a_kink_near_by_shows(place, jump):
    def f(t):
        return t + jump * max(0.0, t - place)

    found = derivative(f, 1e-2)
    assert abs(found.value - 1) <= 4 * found.error or found.error > 1e-3 * jump
    assert derivative(f, place).error < 1e-10  # looking closer helps
    between = derivative(lambda t: t + jump * max(0.0, t - 2e-3), 1e-2)
    assert between.error > 1e-2 * jump


@given(st.floats(1e-3, 1e3))
def test_noise_shows(scale):
    # Rounding of a function whose value is large beside its derivative.
    found = derivative(lambda t: 1e6 * scale + scale * t)
    assert abs(found.value - scale) <= found.error


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_has_no_derivative(value):
    found = derivative(lambda t: value)
    assert found.error == math.inf
    assert not math.isfinite(found.value)


def test_polynomials_are_exact():
    # Two combinations remove the errors of order h^2 and h^4, and the third says so.
    rng = np.random.default_rng(0)
    for _ in range(20):
        c = rng.normal(size=6)
        found = derivative(lambda t, c=c: float(np.polyval(c, t)), 0.5)
        assert abs(found.value - c[-2]) < 1e-12
