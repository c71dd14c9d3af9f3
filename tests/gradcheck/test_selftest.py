"""The checks find planted faults; the planting leaves nothing behind; and it would say if one were not found."""

import numpy as np
import pytest

import npgan.gradcheck.selftest as selftest
from npgan.gradcheck.checking import Findings
from npgan.gradcheck.examine import Witness, examine
from npgan.gradcheck.faults import Fault, faults_of_penalties, faults_of_terms, planted
from npgan.gradcheck.frame_faults import faults_of
from npgan.gradcheck.report import worst
from npgan.gradcheck.selftest import self_test
from npgan.gradcheck.subjects import select
from npgan.layers import BatchNorm, Dense, Dropout2d, ReLU, Tanh
from npgan.losses.base import Term
from npgan.penalties import GradientPenalty

EVERY = 29


@pytest.mark.parametrize("first", [0])
def test_a_sample_of_all_faults_is_found(first):
    scores = list(self_test(every=EVERY, first=first))
    assert sum(score.planted for score in scores) > 30
    assert not [survivor for score in scores for survivor in score.survivors]


@pytest.mark.slow
def test_all_faults_are_found():
    scores = list(self_test())
    assert sum(score.planted for score in scores) > 1500
    assert not [survivor for score in scores for survivor in score.survivors]


@pytest.mark.parametrize("group", ["Softplus", "GlobalMaxPool2d", "hinge"])
def test_all_faults_of_one_are_found(group):
    for score in self_test({group}):
        assert score.planted > 20
        assert score.caught == score.planted == sum(score.found_by.values())


def test_every_kind_of_fault_is_there():
    names = " ".join(fault.name for fault in faults_of(BatchNorm))
    for kind in ("sign", "factor 1.001", "dropped", "transposed", "stale cache", "off by one", "+= for =", "= for +="):
        assert kind in names
    assert "float32" in names
    assert len(list(faults_of(Dense))) > 60
    assert {fault.method for fault in faults_of_terms()} == {"value_and_gradient", "curvature"}
    assert len(list(faults_of_penalties())) > 8


@pytest.mark.parametrize("kind", [Dense, ReLU, Dropout2d])
def test_a_fault_is_taken_out_again(kind):
    before = {name: getattr(kind, name) for name in ("forward", "backward", "rforward", "rbackward", "plan", "curved")}
    own = set(vars(kind))
    for fault in faults_of(kind):
        with pytest.raises(RuntimeError), planted(fault):
            raise RuntimeError
        assert set(vars(kind)) == own
        assert all(getattr(kind, name) == value for name, value in before.items())
    for owner, faults in ((Term, faults_of_terms()), (GradientPenalty, faults_of_penalties())):
        own = set(vars(owner))
        for fault in faults:
            with planted(fault):
                pass
            assert set(vars(owner)) == own


def test_a_survivor_is_named(monkeypatch):
    monkeypatch.setattr(selftest, "check_function", lambda f, **options: Findings())
    (score,) = self_test({"Tanh"})
    assert 0 < score.caught < score.planted  # the contract still finds some
    assert "Tanh.backward: factor 1.001 (dx)" in score.survivors


def test_a_fault_that_does_nothing_is_not_counted():
    idle = Fault(Tanh, "forward", "nothing", lambda fault: {})
    score = selftest.Score("Tanh", "Tanh")
    cases = selftest.layer_cases()[Tanh]
    selftest._score(score, idle, cases, 0)
    assert (score.planted, score.idle) == (0, 1)


def test_without_the_complex_step_differences_find_them_too(monkeypatch):
    monkeypatch.setattr("npgan.gradcheck.checking._wide", lambda *args: None)
    for score in self_test({"Sigmoid"}):
        assert score.caught == score.planted
        assert "complex step" not in score.found_by
        assert score.found_by["differences"] > 0


def test_the_tolerance_follows_from_the_arithmetic():
    # A gradient that is off by a thousand times its rounding is found.
    f = select(["Dense"])[0].make("reference", "float64", 0)
    right = f.backward

    def off(inputs, dy):
        found = right(inputs, dy)
        return {**found, "x": found["x"] * (1 + 1000 * np.finfo(float).eps)}

    rng = np.random.default_rng(0)
    inputs, dy = f.draw(rng), rng.normal(size=f.output_shape)
    wide = f.twin("reference", "complex128")
    assert all(row.ok for row in examine(Witness(f, wide, inputs, dy, 0)))
    f.backward = off
    rows = worst(examine(Witness(f, wide, inputs, dy, 0)))
    assert {row.what for row in rows if not row.ok and row.map == "backward"} == {"dx"}
