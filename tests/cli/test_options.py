from __future__ import annotations

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from npgan.cli.options import duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("0.5m", 30), ("1m1s", 61)],
)
def test_duration(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-1", "s", "1d", "1 h", "1e3", "nan", "inf", "1h x", "m1", "9" * 400])
def test_not_a_duration(text):
    with pytest.raises(typer.BadParameter):
        duration(text)


@given(st.text(alphabet="0123456789.smh -e", max_size=8))
def test_a_duration_is_above_0_or_refused(text):
    try:
        seconds = duration(text)
    except typer.BadParameter:
        return
    assert 0 < seconds < float("inf")
