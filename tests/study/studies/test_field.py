"""What samples feel, beside the best discriminator's: against formulas, differences and the game's own gradient."""

import sys

import numpy as np
import pytest

from npgan.data.mixture import grid, ring
from npgan.errors import ConfigError
from npgan.study.studies.density import GeneratorDensity
from npgan.study.studies.field import FIELD, field, mixture_score
from npgan.study.studies.toy import Toy

TINY = {"width": 8, "batch": 16, "steps": 6, "checkpoints": 2, "inner": 2, "samples": 10, "grid": 5, "cells": 12}


@pytest.fixture(scope="module")
def found():
    return field(**TINY)


@pytest.mark.parametrize("mixture", [ring(sigma=0.2), grid(sigma=0.4)])
def test_the_score_of_a_mixture(mixture):
    x = np.random.default_rng(0).normal(size=(20, 2))
    h = 1e-6
    slopes = [(mixture.log_density(x + h * e) - mixture.log_density(x - h * e)) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(mixture_score(mixture, x), np.stack(slopes, axis=1), rtol=1e-5, atol=1e-6)


def test_shapes_and_ranges(found):
    assert [each.step for each in found.looks] == [0, 6]
    for each in found.looks:
        assert each.felt.shape == each.best.shape == (3, 10, 2)
        assert each.heat.shape == each.best_heat.shape == (5, 5)
        assert ((each.angles >= 0) & (each.angles <= 180)).all()
        assert ((each.heat > 0) & (each.heat < 1)).all()
        inside = each.best_heat[~np.isnan(each.best_heat)]
        assert ((inside >= 0) & (inside <= 1)).all()
        assert (each.bias >= 0).all()
        assert (each.variance > 0).all()


def test_what_is_felt_is_the_gradient_of_g(found):
    settings = {"width": 8, "batch": 16, "activation": "tanh", "dtype": "float64", "sigma": 0.15}
    toy = Toy("ring-8", **settings)
    z = toy.noise(10, 0, "study")
    np.testing.assert_array_equal(toy.game.generator(z), found.looks[0].samples)
    # ∂L_G/∂θ_G is what is felt, through G alone.
    _, pullback = toy.game.generator.vjp(z)
    _, dtheta = pullback(-found.looks[0].felt[0] / 10)
    twin = Toy("ring-8", **{**settings, "batch": 10})
    twin.game.discriminator.load(toy.game.discriminator.theta)
    expected = twin.game.on(twin.real(10, 0), z).gradient("G")
    np.testing.assert_allclose(dtheta, expected, rtol=1e-9, atol=1e-15)


def test_the_best_gradient_is_that_of_both_densities(found):
    """Under Wasserstein's loss a sample would feel ∇(log p - log q): by differences, between the folds."""
    toy = Toy("ring-8", width=8, batch=16, activation="tanh", dtype="float64", sigma=0.15)
    density, x = GeneratorDensity(toy.game.generator, cells=12), found.looks[0].samples
    h = 1e-5

    def logit(points):
        return toy.mixture.log_density(points) - density(points)[0]

    slopes = np.stack([(logit(x + h * e) - logit(x - h * e)) / (2 * h) for e in np.eye(2)], axis=1)
    error = np.linalg.norm(found.looks[0].best[2] - slopes, axis=1) / np.linalg.norm(slopes, axis=1)
    assert np.median(error) < 1e-5


def test_bias_and_variance_are_those_of_the_copies(monkeypatch):
    module = sys.modules[field.__module__]
    copies, original = [], module._gone_on

    def remember(*arguments):
        copies.append(original(*arguments))
        return copies[-1]

    monkeypatch.setattr(module, "_gone_on", remember)
    found = field(**{**TINY, "checkpoints": 1, "copies": 4, "losses": ["minimax", "wasserstein"]}).looks[0]
    slopes = []
    for D in copies:
        t, pullback = D.vjp(found.samples)
        slopes.append(pullback(np.ones_like(t))[0])  # Wasserstein's ℓ' is -1: the slope itself is felt
    assert len(copies) == 4
    scale = (found.best[1] ** 2).sum(axis=1)
    variance = np.median(np.var(slopes, axis=0, ddof=1).sum(axis=1) / scale)
    bias = np.median(((np.mean(slopes, axis=0) - found.best[1]) ** 2).sum(axis=1) / scale)
    assert found.variance[1] == pytest.approx(variance, rel=1e-9)
    assert found.bias[1] == pytest.approx(bias, rel=1e-9)


def test_copies_of_d_leave_training_alone():
    twice = field(**{**TINY, "inner": 5, "copies": 3})
    once = field(**TINY)
    np.testing.assert_array_equal(twice.looks[-1].samples, once.looks[-1].samples)
    assert (twice.looks[-1].bias != once.looks[-1].bias).all()


def test_the_text(found):
    text = FIELD.tell(found)
    assert f"{np.median(found.looks[-1].angles):.1f}°" in text
    assert "bias² / var" in text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"losses": ["hinge"]}, "expected minimax or non-saturating"),
        ({"copies": 1}, "copies is 1"),
        ({"sigma": 0.0}, "sigma is 0.0"),
    ],
)
def test_nonsense(settings, message):
    with pytest.raises(ConfigError, match=message):
        field(**{**TINY, **settings})
