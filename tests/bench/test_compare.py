"""Slower is what is slower by more than the noise of both runs."""

from __future__ import annotations

import pytest

from npgan.bench.compare import compare
from npgan.bench.results import Report, Row, Sample


def report(*values, control=(1.0, 1.0, 1.0), suite="steps", unit="s", about=None, complete=True, refused=None):
    samples = {"npgan": Sample(values)} if values else {}
    row = Row(suite, "", "work", unit=unit, samples=samples, refused=refused)
    return Report(about or {}, control=[list(control)], rows=[row], complete=complete)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((1.0,), (1.02,), ""),
        ((1.0,), (1.04,), "SLOWER"),
        ((1.0,), (0.96,), "faster"),
        ((1.0,), (1.0,), ""),
        ((0.9, 1.0, 1.1), (1.15,), "SLOWER"),
        ((0.8, 1.0, 1.2), (1.15,), ""),  # quartiles 0.9 and 1.1: a fifth is noise
        ((1.0,), (0.95, 1.15, 1.35), ""),
    ],
)
def test_verdicts(before, after, verdict):
    found = compare(report(*before), report(*after))
    assert [change.verdict for change in found.changes] == [verdict]
    assert found.ok == (verdict != "SLOWER")


def test_a_noisy_control_raises_the_bar():
    noisy = report(1.2, control=[1.0, 1.0, 1.5])
    assert compare(report(1.0), noisy).ok
    assert not compare(report(1.0), report(1.2)).ok
    assert compare(noisy, report(1.2 * 1.2)).ok


def test_the_control_says_nothing_about_memory():
    before, after = (report(mb, suite="memory", unit="bytes", control=[1.0, 1.0, 9.0]) for mb in (100.0, 104.0))
    (change,) = compare(before, after).changes
    assert change.verdict == "MORE"


def test_a_row_that_became_wrong():
    found = compare(report(1.0), report(refused="PyTorch differs"))
    assert not found.ok
    assert [row.name for row in found.refused] == ["work"]
    assert compare(report(refused="x"), report(refused="x")).ok


def test_rows_of_one_run_only():
    found = compare(report(1.0), report(1.0, suite="layers"))
    assert (found.only_before, found.only_after, found.changes) == (["steps: work"], ["layers: work"], [])


def test_remarks():
    a, b = report(1.0, about={"threads": 2}), report(1.0, about={"threads": 4}, control=[1.2] * 3, complete=False)
    remarks = compare(a, b).remarks
    assert [words in text for words, text in zip(("threads", "1.20 times", "interrupted"), remarks, strict=True)]
    assert compare(a, a).remarks == []
