"""What reaches G when D is ahead: formulas, and a run whose gradients are taken again another way."""

import numpy as np
import pytest

from npgan.errors import ConfigError
from npgan.study.studies.saturation import SATURATION, saturation

TINY = {"width": 8, "batch": 16, "steps": 40, "checkpoints": 4, "lr": 0.01}


@pytest.fixture(scope="module")
def found():
    return saturation(**TINY)


def test_slopes_are_those_on_paper(found):
    assert found.disagreement < 1e-12
    at = {name: found.slopes[k][np.argmin(np.abs(found.logits + 5))] for k, name in enumerate(found.losses)}
    sure = 1 / (1 + np.exp(5.0))
    expected = {"minimax": sure, "non-saturating": 1 - sure, "least-squares": 6.0, "wasserstein": 1.0, "hinge": 1.0}
    assert at == pytest.approx(expected)


def test_the_run(found):
    assert found.steps[0] == 0
    assert found.steps[-1] == 40
    assert found.confidence[-1] > found.confidence[0]
    passed = dict(zip(found.losses, found.passed, strict=True))
    np.testing.assert_allclose(passed["wasserstein"], 1.0)
    np.testing.assert_allclose(passed["hinge"], 1.0)
    # One sums |ℓ'| = σ and 1 - σ over the same slopes of D, so that the two gradients add up to -D's.
    assert (passed["minimax"] + passed["non-saturating"] > 1 - 1e-9).all()
    assert passed["minimax"][-1] < passed["minimax"][0]
    assert found.layer_norms.shape == (5, len(found.steps), len(found.layers))


def test_layers_make_up_the_whole(found):
    weights = np.array([2 * 8 + 8, 8 * 8 + 8, 8 * 2 + 2])  # of 2 -> 8 -> 8 -> 2
    np.testing.assert_allclose(np.sqrt((found.layer_norms**2 * weights).sum(axis=2)), found.norms, rtol=1e-12)


def test_naming():
    low = saturation(**{**TINY, "vanishing": 0.49, "exploding": 1.001, "losses": ["minimax", "hinge"]})
    assert low.named["hinge"] == "exploding"
    assert "saturated" in low.named["minimax"]
    text = SATURATION.tell(low)
    assert "Exploding: " in text
    assert "Saturated: minimax from step" in text
    alike = saturation(**{**TINY, "exploding": 1.001, "losses": ["wasserstein", "hinge"]})
    assert "Exploding: wasserstein and hinge from step" in SATURATION.tell(alike)
    kept = saturation(**{**TINY, "vanishing": 1e-6, "exploding": 1e6, "losses": ["minimax"]})
    assert kept.named == {"minimax": "kept"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"losses": ["minmax"]}, "did you mean 'minimax'"),
        ({"losses": []}, "losses is empty"),
        ({"data": "ring"}, "did you mean 'ring-8'"),
        ({"penalty": "r1 0.1"}, "expected a name and options"),
        ({"penalty": "r1 gamma=x"}, "penalty r1: gamma is 'x', expected a finite number"),
        ({"vanishing": 2.0}, "vanishing is 2.0"),
    ],
)
def test_nonsense(settings, message):
    with pytest.raises(ConfigError, match=message):
        saturation(**{**TINY, **settings})
