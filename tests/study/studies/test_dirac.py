"""The Dirac-GAN's study against the closed forms, and what it says when asked for nonsense."""

import numpy as np
import pytest

from npgan.errors import ConfigError
from npgan.game import RULES
from npgan.study.studies.dirac import DIRAC, dirac

SMALL = {"steps": 5, "grid": 3}


@pytest.fixture(scope="module")
def found():
    return dirac(**SMALL)


def test_eigenvalues_are_those_on_paper(found):
    methods = {each.name: each for each in found.methods}
    expected = {
        "minimax": 0.5j,
        "non-saturating": 0.5j,
        "Wasserstein": 1j,
        "R1 γ = 0.3": -0.15 + 0.4769696j,
        "noise σ = 0.7": -0.1225 + 0.4847615j,
    }
    for name, value in expected.items():
        assert methods[name].computed[0] == pytest.approx(value, abs=1e-6)
        assert methods[name].disagreement < 1e-12
    defective = methods["R1 γ = 1"]
    assert defective.defective
    assert (defective.trace, defective.determinant) == pytest.approx((-1.0, 0.25), abs=1e-12)
    assert methods["Wasserstein, WGAN-GP"].formula is None


def test_every_rule_is_tried_and_agrees_with_its_formula(found):
    assert {each.rule for each in found.tried} == set(RULES)
    radii = {(each.rule, each.on): each.radius for each in found.tried}
    assert radii["simultaneous", "no penalty"] == pytest.approx(1.004988, abs=1e-6)
    assert radii["alternating", "no penalty"] == pytest.approx(1.0, abs=1e-12)
    for each in found.tried:
        if each.formula is not None:
            assert each.disagreement < 1e-7, each.rule


def test_a_rule_that_keeps_the_mean_is_shown_with_it(found):
    tried = {each.rule: each for each in found.tried if each.on == "no penalty"}
    path, mean = tried["averaging"].trajectory, tried["averaging"].average
    np.testing.assert_array_equal(mean[0], path[0])
    for t in range(1, len(path)):
        np.testing.assert_allclose(mean[t], path[1 : t + 1].mean(axis=0), atol=1e-15)
    assert tried["averaging"].kept is mean
    assert len(tried["ema"].average) == len(tried["ema"].trajectory)
    assert not len(tried["alternating"].average)
    end = np.linalg.norm(mean[-1]) / np.linalg.norm(mean[0])
    assert f"averaging keeps the mean of the iterates, which ends {end:.2g} times" in DIRAC.tell(found)


def test_a_step_that_overflows_is_told_in_short():
    text = DIRAC.tell(dirac(**{**SMALL, "rules": ["consensus"], "lr": 1e200}))
    assert max(len(line) for line in text.splitlines()) < 150


def test_the_field_is_the_descent_direction(found):
    # At ψ = 0, θ = extent the minimax field pushes ψ by -θ/2 and leaves θ alone.
    field = found.methods[0].field
    np.testing.assert_allclose(field[1, 2], [-1.0, 0.0], atol=1e-12)


def test_the_text_has_the_numbers(found):
    text = DIRAC.tell(found)
    assert "-0.15000 ± 0.47697i" in text
    assert "Without a penalty" in text
    assert "The largest difference is" in text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rules": ["simultaneos"]}, "did you mean 'simultaneous'"),
        ({"start_g": 0.0}, "the equilibrium itself"),
        ({"gammas": ()}, "gammas is empty"),
        ({"steps": 0}, "steps is 0"),
        ({"lr": -1.0}, "lr is -1.0"),
    ],
)
def test_nonsense(settings, message):
    with pytest.raises(ConfigError, match=message):
        dirac(**{**SMALL, "rules": ["simultaneous"], **settings})
