"""Modes over seeds: intervals, what goes wrong in a run, and that runs are those of the engine."""

from dataclasses import replace

import numpy as np
import pytest

from npgan.errors import ConfigError, NonFiniteError
from npgan.study.studies.modes import MODES, PRESETS, _mean, modes
from npgan.study.studies.toy import Toy

TINY = {"steps": 4, "seeds": 2, "changes": ("width=8",), "looks": 2}


@pytest.fixture(scope="module")
def found():
    return modes(**TINY, losses=["hinge", "non-saturating"], rules=["simultaneous", "ema"])


def test_rows(found):
    # The preset's own loss is not trained twice.
    assert [row.name for row in found.rows] == [
        *("preset", "plain GAN", "loss hinge", "penalty none", "rule simultaneous", "rule ema"),
    ]
    assert found.rows[2].settings == {**found.rows[0].settings, "loss": "hinge"}
    assert found.rows[-1].settings["ema"] == 0.0  # the rule's own average, instead of the preset's
    assert list(found.steps) == [1, 4]
    for row in found.rows:
        assert row.high.shape == row.modes.shape == (2,)
        assert row.film.shape[0] == 2
        assert np.isfinite(row.film).all()
        assert not row.problems
    text = MODES.tell(found)
    assert "The preset does not get all 8 modes" in text
    assert "schedule cosine" in text


@pytest.mark.parametrize("data", sorted(PRESETS))
def test_presets(data):
    # With all of the preset's settings but its size: each is one of the GAN's, and what is trained is as it says.
    row = modes(data=data, steps=2, seeds=1, changes=("width=8",), looks=1, penalties=(), plain=False).rows[0]
    assert row.settings == {**PRESETS[data], "steps": 2, "width": 8}
    assert np.isfinite(row.film).all()


def test_the_film_is_of_the_samples(found):
    settings = {**PRESETS["ring-8"], "steps": 4, "width": 8}
    toy = Toy("ring-8", seed=0, **settings)
    for step in range(4):
        toy.step(step)
    np.testing.assert_array_equal(toy.samples(2500)[:600], found.rows[0].film[-1])


def test_means():
    # Of 1 to 5: the mean 3, t(4, 0.975) = 2.776445, deviation √2.5.
    assert _mean(np.arange(1.0, 6.0)) == pytest.approx((3.0, 2.776445 * np.sqrt(2.5 / 5)))
    assert _mean(np.array([2.0]))[0] == 2.0
    assert np.isnan(_mean(np.array([2.0]))[1])
    assert np.isnan(_mean(np.array([2.0, np.inf]))[1])


def test_a_run_that_does_not_stay_finite(monkeypatch):
    def fail(self, step):
        raise NonFiniteError("step 1, G's turn: G/0 Dense: dw holds NaN")

    monkeypatch.setattr(Toy, "step", fail)
    found = modes(**TINY, penalties=(), plain=False)
    assert found.rows[0].mean_high[0] == 0.0
    assert "preset, seed 1: step 1, G's turn: G/0 Dense: dw holds NaN" in MODES.tell(found)
    assert MODES.draw(found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": "grid"}, "did you mean 'grid-25'"),
        ({"losses": ["hing"]}, "did you mean 'hinge'"),
        ({"penalties": ["r3"]}, "penalty is 'r3'"),
        ({"rules": ["?"]}, "expected one of"),
        ({"seeds": 0}, "seeds is 0"),
        ({"changes": ["dept=3"]}, "did you mean 'depth'"),
    ],
)
def test_nonsense(settings, message):
    with pytest.raises(ConfigError, match=message):
        modes(**{**TINY, **settings})


@pytest.mark.parametrize(
    ("count", "high", "better"), [(8.0, 0.9, True), (8.0, 0.5, False), (3.0, 0.99, False), (8.0, 0.6, False)]
)
def test_a_way_that_loses_modes_is_not_better(found, count, high, better):
    # Samples of one mode alone are easily of high quality.
    preset = replace(found.rows[0], mean_modes=(8.0, 0.0), mean_high=(0.6, 0.0))
    other = replace(found.rows[1], mean_modes=(count, 0.0), mean_high=(high, 0.0))
    assert ("plain GAN does better than the preset" in MODES.tell(replace(found, rows=[preset, other]))) == better
