"""The bilinear game's study against the closed forms."""

import numpy as np
import pytest

from npgan.errors import ConfigError
from npgan.study.studies.bilinear import BILINEAR, bilinear
from npgan.study.studies.closed import MAPS

J = np.array([[0.0, -1.0], [1.0, 0.0]])


@pytest.fixture(scope="module")
def found():
    return bilinear(steps=5, grid=3, rates=3)


def test_radii(found):
    assert found.flow_disagreement < 1e-12
    radii = {each.rule: each for each in found.tried}
    assert radii["simultaneous"].radius == pytest.approx(1.019804, abs=1e-6)
    assert radii["alternating"].radius == pytest.approx(1.0, abs=1e-12)
    for name, formula in found.formulas.items():
        np.testing.assert_allclose(found.radii[name], formula, atol=1e-7, err_msg=name)
    assert "goes round for ever" in BILINEAR.tell(found)


def test_rules_have_options():
    """The published radii again, through the games' products, and the settings in the text."""
    texts = {"consensus gamma=0.5": 0.921954, "extragradient": 0.980612, "competitive": 0.980581}
    found = bilinear(steps=5, grid=3, rates=2, rules=[*texts, "consensus"])
    for each, radius in zip(found.tried, texts.values(), strict=False):
        assert each.radius == pytest.approx(radius, abs=1e-6)
        assert each.disagreement < 1e-12
    assert set(found.radii) == {*texts, "consensus"}
    text = BILINEAR.tell(found).replace("\n", " ")
    assert "it spirals in with consensus gamma=0.5, extragradient" in text
    assert "these settings: competitive iterations 100; consensus gamma 0.1." in text
    with pytest.raises(ConfigError, match="no option 'gama'"):
        bilinear(rules=["consensus gama=0.5"])


def test_the_formulas_are_those_that_are_published():
    class Rule:
        gamma = 0.5
        n_critic = 1

    eta, expected = 0.2, {"simultaneous": 1.019804, "alternating": 1.0, "extragradient": 0.980612}
    expected |= {"consensus": 0.921954, "competitive": 0.980581}
    for name, radius in expected.items():
        values = np.linalg.eigvals(MAPS[name](J, eta, 1, Rule()))
        assert np.abs(values).max() == pytest.approx(radius, abs=1e-6), name


def test_a_trajectory_ends_where_it_leaves_the_picture():
    found = bilinear(grid=3, rates=2, steps=100, rules=["simultaneous", "alternating"])
    out, round_ = (each.trajectory for each in found.tried[:2])
    far = np.linalg.norm(out, axis=1)
    assert len(out) < len(round_) == 101
    assert far[-1] >= 4 * far[0] > far[-2]


def test_nonsense():
    with pytest.raises(ConfigError, match="rules is empty"):
        bilinear(rules=())
    with pytest.raises(ConfigError, match="nothing would move"):
        bilinear(start_g=0.0)
