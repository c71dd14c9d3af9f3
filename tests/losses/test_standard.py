"""Each loss: its formula, derivatives, equilibrium and options."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from npgan.backend import get_backend
from npgan.errors import ConfigError
from npgan.losses import LOSSES, get_loss

# As the papers write them, with D(x) = 1 / (1 + exp(-t)): real, fake, generator; fine for moderate t.
PAPER = {
    "minimax": (
        lambda t: -np.log(1 / (1 + np.exp(-t))),
        lambda t: -np.log(1 - 1 / (1 + np.exp(-t))),
        lambda t: np.log(1 - 1 / (1 + np.exp(-t))),
    ),
    "non-saturating": (
        lambda t: -np.log(1 / (1 + np.exp(-t))),
        lambda t: -np.log(1 - 1 / (1 + np.exp(-t))),
        lambda t: -np.log(1 / (1 + np.exp(-t))),
    ),
    "least-squares": (lambda t: (t - 1) ** 2 / 2, lambda t: t**2 / 2, lambda t: (t - 1) ** 2 / 2),
    "wasserstein": (lambda t: -t, lambda t: t, lambda t: -t),
    "hinge": (lambda t: np.maximum(0, 1 - t), lambda t: np.maximum(0, 1 + t), lambda t: -t),
}
names = pytest.mark.parametrize("name", LOSSES)
backends = pytest.mark.parametrize("backend", ["cpu", "reference"])


def terms(loss):
    return loss.real, loss.fake, loss.generator


def value(term, t, weights=None):
    return term.value_and_gradient(np.empty_like(t), t, weights)


def test_every_loss_has_its_paper_here():
    assert set(PAPER) == set(LOSSES)


@names
@backends
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple),
    seed=st.integers(0, 2**32 - 1),
    weighted=st.booleans(),
)
@settings(max_examples=20, deadline=None)
def test_value_gradient_and_curvature(name, backend, shape, seed, weighted):
    rng = np.random.default_rng(seed)
    t = rng.normal(size=shape) * 3
    weights = rng.uniform(0, 2, shape[0]) if weighted else None
    w = np.ones(shape[0]) if weights is None else weights
    for term, formula in zip(terms(get_loss(name, backend=backend)), PAPER[name], strict=True):
        dt, second = np.empty_like(t), np.empty_like(t)
        found = term.value_and_gradient(dt, t, weights)
        assert found == pytest.approx(np.mean(formula(t) * w.reshape(-1, *(1,) * (t.ndim - 1))), rel=1e-10, abs=1e-12)
        assert term.curvature(second, t, weights) is second
        direction, h = rng.normal(size=shape), 1e-5
        if name == "hinge" and (np.abs(1 - np.abs(t)) < 2 * h * np.abs(direction)).any():
            continue  # a difference across the kink is no derivative
        up, down = t + h * direction, t - h * direction
        central = (value(term, up, weights) - value(term, down, weights)) / (2 * h)
        assert np.sum(dt * direction) == pytest.approx(central, rel=1e-6, abs=1e-9)
        ups, downs = np.empty_like(t), np.empty_like(t)
        term.value_and_gradient(ups, up, weights)
        term.value_and_gradient(downs, down, weights)
        np.testing.assert_allclose(second * direction, (ups - downs) / (2 * h), rtol=1e-5, atol=1e-8)


@names
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_complex_step(name, seed):
    rng = np.random.default_rng(seed)
    t, direction, weights = rng.normal(size=(5, 2)) * 20, rng.normal(size=(5, 2)), rng.uniform(0, 2, 5)
    for term in terms(get_loss(name, backend="reference")):
        dt, second, written = np.empty_like(t), np.empty_like(t), np.empty(t.shape, complex)
        term.value_and_gradient(dt, t, weights)
        term.curvature(second, t, weights)
        nudged = t + 1e-20j * direction
        step = term.value_and_gradient(written, nudged, weights).imag / 1e-20
        assert step == pytest.approx(np.sum(dt * direction), rel=1e-12, abs=1e-14)
        np.testing.assert_allclose(written.imag / 1e-20, second * direction, rtol=1e-12, atol=1e-300)


@names
@backends
def test_stable_at_huge_logits_in_float32(name, backend):
    t = np.array([-1e4, -88, -1, 0, 1, 88, 1e4], np.float32)
    for term in terms(get_loss(name, backend=backend)):
        dt, wide = np.empty_like(t), np.empty(t.size)
        exact = term.value_and_gradient(wide, t.astype(float))
        with np.errstate(all="raise", under="ignore"):
            found = term.value_and_gradient(dt, t)
        assert found == pytest.approx(exact, rel=1e-6)
        np.testing.assert_allclose(dt, wide, rtol=1e-6, atol=1e-37)


@backends
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("minimax", {}),
        ("non-saturating", {}),
        ("non-saturating", {"smoothing": 0.1}),
        ("least-squares", {}),
        ("least-squares", {"a": -1, "b": 1, "c": 0}),
        ("hinge", {}),
    ],
)
def test_equilibrium_is_the_least_that_a_constant_discriminator_can_reach(name, options, backend):
    loss = get_loss(name, backend=backend, **options)
    found = minimize_scalar(lambda t: value(loss.real, np.array([t])) + value(loss.fake, np.array([t])))
    assert loss.equilibrium == pytest.approx(found.fun, rel=1e-9)


def test_equilibria_of_the_papers():
    assert get_loss("minimax").equilibrium == pytest.approx(2 * math.log(2))
    at_zero = np.zeros((3, 1))
    minimax = get_loss("minimax")
    assert value(minimax.real, at_zero) + value(minimax.fake, at_zero) == pytest.approx(2 * math.log(2))
    assert value(minimax.generator, at_zero) == pytest.approx(-math.log(2))
    assert value(get_loss("non-saturating").generator, at_zero) == pytest.approx(math.log(2))
    assert get_loss("wasserstein").equilibrium == 0
    assert get_loss("hinge").equilibrium == 2


@pytest.mark.parametrize("name", ["minimax", "wasserstein"])
def test_zero_sum_games_are(name):
    t = np.linspace(-5, 5, 11)
    loss = get_loss(name)
    assert value(loss.fake, t) == -value(loss.generator, t)


@pytest.mark.parametrize("name", LOSSES)
def test_players_pull_in_the_paper_s_directions(name):
    t = np.array([-0.3, 0.2])
    dts = [np.empty(2) for _ in range(3)]
    for dt, term in zip(dts, terms(get_loss(name)), strict=True):
        term.value_and_gradient(dt, t)
    assert (dts[0] < 0).all(), "D raises the score of real data"
    assert (dts[2] < 0).all(), "G raises the score of its own"
    if name != "least-squares":  # whose target for generated data lies between these two scores
        assert (dts[1] > 0).all(), "D lowers the score of generated data"


@pytest.mark.parametrize("name", ["minimax", "non-saturating"])
def test_smoothing_is_one_sided(name):
    t = np.linspace(-4, 4, 9)
    plain, smooth = get_loss(name), get_loss(name, smoothing=0.1)
    assert value(smooth.fake, t) == value(plain.fake, t)
    assert value(smooth.generator, t) == value(plain.generator, t)
    expected = 0.9 * value(plain.real, t) + 0.1 * value(plain.fake, t)
    assert value(smooth.real, t) == pytest.approx(expected, rel=1e-12)
    dt = np.empty(1)
    smooth.real.value_and_gradient(dt, np.array([math.log(9)]))  # D = 0.9
    assert dt[0] == pytest.approx(0, abs=1e-15)


def test_least_squares_targets():
    loss = get_loss("least-squares", a=-1, b=1, c=0)
    for term, target in zip(terms(loss), (1, -1, 0), strict=True):
        assert value(term, np.array([3.0])) == (3 - target) ** 2 / 2


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("hing", {}, "did you mean 'hinge'"),
        (None, {}, "expected one of minimax"),
        ("minimax", {"smothing": 0.1}, "did you mean 'smoothing'"),
        ("hinge", {"smoothing": 0.1}, "has no option 'smoothing'"),
        ("hinge", {"backend2": 0}, "has no option"),
        ("minimax", {"smoothing": 0.5}, "smoothing is 0.5"),
        ("non-saturating", {"smoothing": -0.1}, "smoothing is -0.1"),
        ("non-saturating", {"smoothing": "0.1"}, "smoothing is '0.1'"),
        ("non-saturating", {"smoothing": True}, "smoothing is True"),
        ("least-squares", {"b": math.nan}, "least-squares: b is nan"),
        ("hinge", {"class_weights": [1, -1]}, r"class_weights\[1\] is -1"),
        ("hinge", {"class_weights": [1, math.inf]}, r"class_weights\[1\] is inf"),
        ("hinge", {"class_weights": [0, 0]}, "all 0"),
        ("hinge", {"class_weights": []}, "class_weights is"),
        ("hinge", {"class_weights": "12"}, "class_weights is '12'"),
        ("hinge", {"class_weights": 3}, "class_weights is 3"),
    ],
)
def test_errors_say_what_to_do(name, options, words):
    with pytest.raises(ConfigError, match=words):
        get_loss(name, **options)


def test_the_backend_is_the_one_that_was_given():
    backend = get_backend("reference")
    assert all(term.backend is backend for term in terms(get_loss("hinge", backend=backend)))
