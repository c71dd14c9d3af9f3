import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgan.backend.sizes import size_text

UNITS = {"bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (1_500_000, "1.5 MB"),
        (999_999, "1.0 MB"),
        (139 << 30, "149.3 GB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_size_text(nbytes, text):
    assert size_text(nbytes) == text


@given(st.integers(0, 999 * 10**12))
def test_a_size_is_said_to_the_digits_that_it_shows(nbytes):
    number, unit = re.fullmatch(r"([\d.]+) (\w+)", size_text(nbytes)).groups()
    assert abs(float(number) * UNITS[unit] - nbytes) <= (0.05 * UNITS[unit] if nbytes >= 1000 else 0)
    assert float(number) < 1000
