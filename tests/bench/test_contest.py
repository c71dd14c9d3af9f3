"""Nobody is timed whose result is wrong, and who cannot take part is left out with the reason."""

from __future__ import annotations

import numpy as np
import pytest

from npgan.bench.contest import AbsentError, contest, difference, peers, reason


def nothing():
    pass


def test_all_agree_and_are_timed(work, fixed):
    row, seconds = contest(work(npgan=fixed(), reference=fixed(), PyTorch=fixed()), 3, peers=True, control=nothing)
    assert row.key == ("suite", "group", "work")
    assert set(row.samples) == {"npgan", "reference", "PyTorch"}
    assert all(len(sample.values) == 3 for sample in row.samples.values())
    assert len(seconds) == 3
    assert row.agreement == {"reference": 0.0, "PyTorch": 0.0}
    assert (row.refused, row.left_out, row.flops) == (None, {}, 6.0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((1.0, -2.0 - 3e-9), "PyTorch differs from npgan in float64: by 1.5e-09"),
        ((1.0, float("nan")), "not finite"),
        ((1.0, float("inf")), "not finite"),
        ((1.0, -2.0, 0.0), "another shape"),
    ],
)
def test_a_wrong_result_is_refused_before_anything_is_timed(work, fixed, wrong, message):
    right, other = fixed(), fixed(wrong)
    row, seconds = contest(work(npgan=right, PyTorch=other), 3, peers=True, control=nothing)
    assert message in row.refused
    assert (row.samples, seconds, right.ran, other.ran) == ({}, (), 0, 0)


def test_rounding_is_not_wrong(work, fixed):
    row, _ = contest(work(npgan=fixed(), PyTorch=fixed((1.0, -2.0 - 1e-12))), 1, peers=True, control=nothing)
    assert row.refused is None
    assert row.agreement["PyTorch"] == pytest.approx(5e-13, rel=1e-3)


def test_what_is_wrong_at_the_timed_size_alone_is_refused(work, fixed):
    def wrong_when_large(dtype, small):
        return fixed() if small else fixed((1.0, -2.2))

    row, _ = contest(work(npgan=wrong_when_large, JAX=fixed()), 1, peers=True, control=nothing)
    assert "in float32, as timed" in row.refused
    assert row.samples == {}


def test_a_wrong_npgan_is_found_without_peers(work, fixed):
    row, _ = contest(work(npgan=fixed((1.0, 2.0)), reference=fixed()), 1, peers=False, control=nothing)
    assert "reference differs from npgan" in row.refused


def test_without_peers_only_npgan_is_timed(work, fixed):
    other = fixed()
    row, _ = contest(work(npgan=fixed(), reference=fixed(), PyTorch=other), 2, peers=False, control=nothing)
    assert set(row.samples) == {"npgan"}
    assert row.agreement == {"reference": 0.0}
    assert other.ran == 0


def test_who_cannot_take_part_is_left_out(work, fixed):
    def missing(dtype, small):
        raise ImportError("No module named 'torch'")

    def no_compiler(dtype, small):
        raise RuntimeError("\n  no C++ compiler\nand much more")

    row, _ = contest(work(npgan=fixed(), PyTorch=missing, compile=no_compiler), 1, peers=True, control=nothing)
    assert set(row.samples) == {"npgan"}
    assert row.left_out == {"PyTorch": "No module named 'torch'", "compile": "RuntimeError: no C++ compiler"}


def test_who_fails_at_the_timed_size_is_left_out(work, fixed):
    def too_large(dtype, small):
        if not small:
            raise MemoryError("no room")
        return fixed()

    row, _ = contest(work(npgan=fixed(), JAX=too_large), 1, peers=True, control=nothing)
    assert row.left_out == {"JAX": "MemoryError: no room"}
    assert set(row.samples) == {"npgan"}


def test_npgan_s_own_failure_is_not_hidden(work, fixed):
    def broken(dtype, small):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        contest(work(npgan=broken, PyTorch=fixed()), 1, peers=True, control=nothing)


def test_several_results_must_agree(work, fixed):
    class Drifting(fixed):
        def result(self):
            self.values = np.array(self.values) + (0.1 if self.ran else 0.0)
            self.ran = 1
            return [self.values]

    from dataclasses import replace

    once = work(npgan=fixed(), PyTorch=lambda dtype, small: Drifting())
    assert contest(once, 1, peers=True, control=nothing)[0].refused is None
    assert contest(replace(once, checks=2), 1, peers=True, control=nothing)[0].refused


def test_each_array_has_its_own_scale():
    large, small = np.full(3, 1e6), np.full(2, 1e-6)
    assert difference([large, small], [large, small]) == 0.0
    assert difference([large, small * 1.001], [large, small]) == pytest.approx(1e-3)
    assert difference([large], [large, small]) is None
    assert difference([np.zeros(2)], [np.zeros(2)]) == 0.0
    assert difference([np.zeros((0,))], [np.zeros((0,))]) == 0.0


def test_sizes():
    # One element of a thousand is off: much for the largest, little for the norm.
    x = np.ones(1000)
    y = x.copy()
    y[7] += 0.1
    assert difference([y], [x]) == pytest.approx(0.1)
    assert difference([y], [x], 2) == pytest.approx(0.1 / np.sqrt(1000))


def test_reasons():
    assert reason(AbsentError("it is not there")) == "it is not there"
    assert reason(ValueError("")) == "ValueError: "
    assert len(reason(ValueError("x" * 1000))) == 200


def test_peers():
    assert set(peers(lambda **how: how, images=False)) == {"PyTorch"}
    found = peers(lambda **how: how, lambda: "jax", images=True, compiled=True)
    assert {name: make() for name, make in found.items()} == {
        "PyTorch": {},
        "NHWC": {"channels_last": True},
        "compile": {"channels_last": True, "compiled": True},
        "JAX": "jax",
    }


def test_a_work_can_be_counted_in_gradients(work, fixed):
    from dataclasses import replace

    plain = fixed()
    row, seconds = contest(
        replace(work(npgan=fixed(), reference=fixed()), gradient=lambda dtype: plain), 3, peers=False, control=nothing
    )
    assert set(row.samples) == {"npgan"}
    assert len(row.gradient.values) == len(seconds) == 3
    assert row.gradients == row.samples["npgan"].median / row.gradient.median
    assert plain.ran > 3
