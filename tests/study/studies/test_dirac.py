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
    assert methods["Wasserstein, wgan-gp"].formula is None


def test_every_rule_is_tried_and_agrees_with_its_formula(found):
    assert {each.rule for each in found.tried} == set(RULES)
    radii = {(each.rule, each.on): each.radius for each in found.tried}
    assert radii["simultaneous", "no penalty"] == pytest.approx(1.004988, abs=1e-6)
    assert radii["alternating", "no penalty"] == pytest.approx(1.0, abs=1e-12)
    for each in found.tried:
        if each.formula is not None:
            assert each.disagreement < 1e-7, each.rule


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
