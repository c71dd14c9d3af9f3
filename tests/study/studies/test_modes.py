"""Modes over seeds: intervals, what goes wrong in a run, and that runs are those of the engine."""

from dataclasses import replace

import numpy as np
import pytest

from npgan.errors import ConfigError, NonFiniteError
from npgan.game import RULES
from npgan.losses import LOSSES
from npgan.study.studies.modes import MODES, _mean, modes
from npgan.study.studies.presets import PRESETS
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
    assert list(found.evaluations) == [1, 4]
    for row in found.rows:
        assert row.high.shape == row.modes.shape == (2,)
        assert row.film.shape[0] == 2
        assert np.isfinite(row.film).all()
        assert not row.problems
    text = MODES.tell(found)
    assert "The preset does not get all 8 modes" in text
    assert "schedule cosine" in text


def test_all_of_them():
    found = modes(**{**TINY, "steps": 1, "seeds": 1}, losses=["all"], rules=["all"], plain=False, penalties=())
    ways = [f"loss {name}" for name in LOSSES if name != "non-saturating"]
    ways += [f"rule {name}" for name in RULES if name != "alternating"]
    assert [row.name for row in found.rows] == ["preset", *ways]


def test_of_many_ways_a_few_are_drawn_together(found):
    """By kind, beside the preset and the plain GAN; the film has the best and the worst of each kind."""
    first, other = found.rows[:2], found.rows[2]
    names = [*(f"loss {i}" for i in range(4)), *(f"rule {i}" for i in range(14))]
    rows = [replace(other, name=name, mean_modes=(8 - i % 4, 0.0)) for i, name in enumerate(names)]
    many = replace(found, rows=[*first, *rows])
    figure = MODES.draw(many)["run"]
    legends = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in figure.axes[4:]]
    assert [legend[:2] for legend in legends] == [["preset", "plain GAN"]] * 4
    assert [name for legend in legends for name in legend[2:]] == names
    shown = [axes.get_title().split("\n")[0] for axes in MODES.draw(many)["samples"].axes]
    assert shown == ["preset", "plain GAN", "loss 0", "loss 3", "rule 0", "rule 3"]


def test_rules_are_looked_at_when_they_have_spent_as_much(monkeypatch):
    """Of 12 evaluations descent makes 12 steps, extragradient 6 at 2, consensus 3 at 3.4."""
    taken, original = [], Toy.step

    def step(self, at):
        taken.append((self.rule.name, at))
        original(self, at)

    monkeypatch.setattr(Toy, "step", step)
    settings = {**TINY, "steps": 12, "seeds": 1, "plain": False, "penalties": ()}
    found = modes(**settings, rules=["extragradient", "consensus", "competitive"])
    assert list(found.evaluations) == [1, 12]
    for name, count in (("alternating", 12), ("extragradient", 6), ("consensus", 3)):
        assert [at for rule, at in taken if rule == name] == list(range(count))
    assert [row.settings["steps"] for row in found.rows] == [12, 6, 3, 3]
    assert [row.cost for row in found.rows[:3]] == pytest.approx([1, 2, 3.4])
    competitive = sum(rule == "competitive" for rule, _ in taken)
    assert found.rows[3].cost > 3.4  # what it really took
    assert competitive * found.rows[3].cost <= 12 + found.rows[3].cost
    assert "gradients a step" in MODES.tell(found)
    dear = modes(**{**settings, "changes": ("width=8", "rule=consensus")}, rules=["extragradient"])
    assert [row.settings["steps"] for row in dear.rows] == [3, 6]


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


@pytest.mark.parametrize(
    ("high", "said"),
    [
        # Of 10 and 12 %: 11 ± t(1, 0.975), which is 12.706; of 10 and 10.2 %: 10.1 ± 1.27.
        ([0.6, 0.72], "the difference is 11.0 ± 12.7 % of high quality, which these seeds do not tell apart."),
        ([0.6, 0.702], "the difference is 10.1 ± 1.3 % of high quality."),
    ],
)
def test_a_difference_within_the_noise_is_said_to_be(found, high, said):
    preset = replace(found.rows[0], modes=np.full(2, 8), high=np.array([0.5, 0.6]), mean_modes=(8.0, 0.0))
    preset = replace(preset, mean_high=(0.55, 0.6))
    other = replace(preset, name="rule x", high=np.array(high), mean_high=(np.mean(high), 0.1))
    assert said in MODES.tell(replace(found, rows=[preset, other])).replace("\n", " ")
    more = replace(other, modes=np.array([8, 9]), mean_modes=(8.5, 1.0))
    text = MODES.tell(replace(found, rows=[preset, more])).replace("\n", " ")
    assert "the difference is 0.5 ± 6.4 modes, which these seeds do not tell apart." in text


def test_on_a_gpu_they_are_those_of_the_cpu_to_rounding(cupy):
    settings = {**TINY, "seeds": 1, "plain": False, "penalties": (), "rules": ["simultaneous"]}
    here, there = modes(**settings), modes(**settings, backend="gpu")
    for a, b in zip(here.rows, there.rows, strict=True):
        assert not b.problems
        np.testing.assert_allclose(a.film, b.film, atol=1e-4)
