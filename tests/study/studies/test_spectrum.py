"""The spectrum along a run: against the Jacobian made another way, and two runs that drift apart."""

import numpy as np
import pytest

from npgan.errors import ConfigError
from npgan.study import map_spectrum
from npgan.study.studies.spectrum import SPECTRUM, spectrum
from npgan.study.studies.toy import Toy

TINY = {"width": 3, "batch": 16, "steps": 12, "checkpoints": 2, "ahead": 4}


@pytest.fixture(scope="module")
def found():
    return spectrum(**TINY, optimizer="sgd", lr=0.1)


def test_the_flow_is_the_jacobians(found):
    toy = Toy(width=3, batch=16, optimizer="sgd", lr=0.1, activation="tanh", dtype="float64", order=2)
    for step in range(12):
        toy.step(step)
    values = np.linalg.eigvals(-toy.point().jacobian())
    last = found.checkpoints[-1]
    assert last.step == 12
    np.testing.assert_allclose(np.sort(last.flow.real), np.sort(values.real), atol=1e-9)
    assert found.sizes == toy.point().sizes
    assert last.flow_d.shape == last.flow.shape


def test_of_plain_descent_all_that_is_foretold_happens(found):
    for each in found.checkpoints:
        assert each.measured == pytest.approx(each.foretold, abs=1e-6)
        assert each.foretold != pytest.approx(1.0, abs=1e-4)
    text = SPECTRUM.tell(found)
    assert f"{found.checkpoints[-1].radius:.5f}" in text
    assert "respond as well" not in text


def test_what_is_measured_is_what_two_runs_do(found):
    toy = Toy(width=3, batch=16, optimizer="sgd", lr=0.1, activation="tanh", dtype="float64", order=2)
    for step in range(12):
        toy.step(step)
    game, rule, last = toy.point(), toy.rule, found.checkpoints[-1]
    here, leading = game.theta, map_spectrum(rule, game).eigen.vectors[:, 0]
    assert np.abs(leading.imag).max() < 1e-12  # of a real multiplier, so that the first step multiplies by it
    apart, ends = 1e-6 * leading.real, []
    for start in (here, here + apart):
        game.load(start)
        path = [start]
        for _ in range(4):
            rule.step(game)
            path.append(game.theta)
        ends.append(np.array(path))
    distances = np.linalg.norm(ends[1] - ends[0], axis=1)
    assert last.measured == pytest.approx(distances[1] / distances[0], abs=1e-6)
    assert last.later == pytest.approx((distances[4] / distances[0]) ** 0.25, abs=1e-6)
    assert last.foretold == pytest.approx(last.radius, rel=1e-9)


def test_what_does_not_happen_is_said():
    """After one step Adam's second moments are far from at rest, and holding them fixed foretells what is not so."""
    adam = spectrum(**{**TINY, "checkpoints": 3})
    first = adam.checkpoints[0]
    assert first.foretold > first.measured + 0.1
    text = SPECTRUM.tell(adam).replace("\n", " ")
    assert f"{abs(first.measured - first.foretold):.1e} at most" in text
    assert f"{first.foretold:.5f}" in text
    assert f"{first.measured:.5f}" in text


def test_simultaneous_steps_and_adam():
    plain = spectrum(**TINY, optimizer="sgd", rule="simultaneous", lr=0.1).checkpoints[-1]
    # 1 + η λ for each eigenvalue λ of -J: the radius is known from the flow alone.
    assert plain.radius == pytest.approx(np.abs(1 + 0.1 * plain.flow).max(), rel=1e-9)
    adam = spectrum(**TINY)
    assert len(adam.checkpoints[0].multipliers) == 2 * sum(adam.sizes)
    assert SPECTRUM.tell(adam)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 40}, "every eigenvalue is found: at most 1,000"),
        ({"optimizer": "adm"}, "did you mean 'adam'"),
        ({"rule": "alternate"}, "expected one of"),
        ({"ahead": 2}, "ahead is 2"),
    ],
)
def test_nonsense(settings, message):
    with pytest.raises(ConfigError, match=message):
        spectrum(**{**TINY, **settings})
