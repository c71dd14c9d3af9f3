"""Rules compared per evaluation of the field."""

import numpy as np
import pytest

from npgan.errors import ConfigError
from npgan.game import bilinear_game
from npgan.study import compare_on_game, compare_rules, interval

RULES = {
    "descent": {"name": "simultaneous", "lr": 0.2},
    "extra": {"name": "extragradient", "lr": 0.2},
    "consensus": {"name": "consensus", "lr": 0.2, "gamma": 0.5},
    "competitive": {"name": "competitive", "lr": 0.2},
}


def start(seed):
    return bilinear_game(1.0, np.random.default_rng(seed).normal(size=2))


def distance(game):
    return {"distance": np.linalg.norm(game.theta), "first": game.theta[0]}


def test_closed_forms_per_evaluation():
    found = compare_on_game(RULES, start, distance, evaluations=34, points=2, seeds=[3, 1])
    assert found.rules == tuple(RULES)
    assert found.quantities == ("distance", "first")
    assert found.seeds == (3, 1)
    np.testing.assert_array_equal(found.evaluations, [0, 17, 34])
    assert found.values.shape == (4, 2, 3, 2)
    # 17 evaluations are 17 steps, 8 of extragradient, 5 of consensus at 3.4, 2 of 5.8
    np.testing.assert_array_equal(found.steps[:, 0], [[0, 17, 34], [0, 8, 17], [0, 5, 10], [0, 2, 5]])
    np.testing.assert_allclose(found.spent[:, 1, 2], [34, 34, 34, 29])
    np.testing.assert_allclose(found.spent[:, 1, 1], [17, 16, 17, 11.6])
    start_at = found.values[:, :, :1, 0]
    radii = np.array([np.sqrt(1.04), np.sqrt(1 - 0.04 + 0.0016), np.sqrt(0.9**2 + 0.04), 1 / np.sqrt(1.04)])
    expected = start_at * radii[:, None, None] ** found.steps
    np.testing.assert_allclose(found.values[..., 0], expected, rtol=1e-12)
    np.testing.assert_array_equal(found.values[0, :, 0], found.values[1, :, 0])  # equal seeds begin alike
    assert not found.failures


def test_intervals():
    from scipy.stats import t

    draw = np.random.default_rng(0)
    values = draw.normal(size=(3, 7, 2))
    found = interval(values, axis=1, confidence=0.9)
    mean, error = values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(7)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-13)
    low, high = t.interval(0.9, 6, loc=mean, scale=error)
    np.testing.assert_allclose(found.low, low, rtol=1e-12)
    np.testing.assert_allclose(found.high, high, rtol=1e-12)
    values[0, :3] = np.nan  # failed runs are left out, and counted
    found = interval(values, axis=1)
    np.testing.assert_array_equal(found.runs, [[4, 4], [7, 7], [7, 7]])
    np.testing.assert_allclose(found.mean[0], values[0, 3:].mean(axis=0))
    np.testing.assert_allclose(found.high[0], t.interval(0.95, 3, found.mean[0], values[0, 3:].std(0, ddof=1) / 2)[1])
    alone = interval(np.ones((1, 2)), axis=0)
    np.testing.assert_array_equal(alone.mean, 1)
    assert np.isnan(alone.low).all()
    nobody = interval(np.full((2, 1), np.nan), axis=0)
    assert np.isnan(nobody.mean).all()
    assert nobody.runs == 0
    with pytest.raises(ConfigError, match="confidence is 1"):
        interval(values, axis=0, confidence=1)


def test_coverage():
    """Of 95 % intervals of five normal draws, 95 % hold the mean."""
    values = np.random.default_rng(1).normal(size=(4000, 5))
    found = interval(values, axis=1)
    inside = ((found.low < 0) & (found.high > 0)).mean()
    assert abs(inside - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 4000)


def test_rules_are_compared_run_by_run():
    """What the seeds have in common drops out of the differences."""
    found = compare_on_game(RULES, start, distance, evaluations=10, points=1, seeds=range(6))
    difference = found.against("descent")
    np.testing.assert_array_equal(difference.mean[0], 0)
    values = found.values[1, :, 1, 0] - found.values[0, :, 1, 0]
    assert difference.mean[1, 1, 0] == pytest.approx(values.mean())
    own = found.interval()
    assert difference.high[1, 1, 0] - difference.low[1, 1, 0] < own.high[0, 1, 0] - own.low[0, 1, 0]
    with pytest.raises(ConfigError, match="the rule is 'extragradient', expected one that was compared: descent"):
        found.against("extragradient")


def test_a_run_that_fails_is_named_and_the_others_go_on():
    rules = {"fast": {"name": "simultaneous", "lr": 1e200}, "slow": {"name": "simultaneous", "lr": 0.1}}
    found = compare_on_game(rules, start, distance, evaluations=20, points=4, seeds=[0, 1])
    assert set(found.failures) == {("fast", 0), ("fast", 1)}
    assert "not finite" in found.failures["fast", 0]
    assert np.isfinite(found.values[0, :, 0]).all()
    assert np.isnan(found.values[0, :, -1]).all()
    assert np.isfinite(found.values[1]).all()
    assert found.interval().runs[0, -1, 0] == 0


def test_recipes_are_trained():
    settings = {"batch": 16, "model": {"width": 8}, "data": {"prefetch": 0}}
    rules = {
        "alternating": {},
        "two critics": {"n_critic": 3},
        "extragradient": {"rule": "extragradient"},
        "average": {"rule": "averaging", "rule_options": {"inner": "optimistic"}},
    }
    seen = []

    def measure(experiment):
        seen.append(experiment.config.seed)
        samples = experiment.sampler().draw(50)
        return {"spread": float(samples.std()), "weight": float(experiment.generator.theta[0])}

    found = compare_rules(rules, measure, settings=settings, evaluations=8, points=2, seeds=[5, 6])
    np.testing.assert_array_equal(found.steps[:, 1], [[0, 4, 8], [0, 2, 4], [0, 2, 4], [0, 4, 8]])
    np.testing.assert_array_equal(found.spent[:, 0, -1], 8)
    assert seen == [5, 5, 5, 6, 6, 6] * 4
    for seed in (0, 1):  # equal seeds begin with the same weights, and go elsewhere
        assert np.ptp(found.values[:, seed, 0, 1]) == 0
        assert len(set(found.values[:, seed, 2, 1])) == 4
    assert np.ptp(found.values[0, :, 0, 1]) > 0
    again = compare_rules(rules, measure, settings=settings, evaluations=8, points=1, seeds=[5, 6])
    np.testing.assert_array_equal(again.values[:, :, -1], found.values[:, :, -1])  # looking changes nothing


def test_refusals():
    for arguments, message in (
        ({"seeds": []}, "there are 4 rules and 0 seeds"),
        ({"seeds": [0.5]}, "seeds is 0.5"),
        ({"evaluations": 0}, "evaluations is 0"),
        ({"points": 0}, "points is 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            compare_on_game(RULES, start, distance, **arguments)
    with pytest.raises(ConfigError, match="there are 0 rules"):
        compare_on_game({}, start, distance)
    with pytest.raises(ConfigError, match="did you mean 'extragradient'"):
        compare_rules({"a": {"rule": "extragradent"}}, distance)
