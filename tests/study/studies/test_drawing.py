"""Numbers as the studies say them, and looks that differ."""

import pytest

from npgan.study.studies.drawing import complex_text, decimals, logarithmic, look, mark, new_figure


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.15 - 0.4769696j, "-0.15000 ± 0.47697i"),
        (complex(-0.0, 0.5), "+0.00000 ± 0.50000i"),
        (complex(-1e-17, 0.5), "+0.00000 ± 0.50000i"),
        (0.8 + 1e-9j, "+0.80000"),  # a defective pair, apart by rounding
        (-2.5e300 + 5e299j, "-2.50e+300 ± 5.00e+299i"),
    ],
)
def test_complex_numbers(value, text):
    assert complex_text(value) == text


def test_decimals():
    assert decimals(1.0049876, 6) == "1.004988"
    assert decimals(-1e-9, 3) == "0.000"
    assert decimals(99999.0, 1) == "99999.0"
    assert decimals(1e5, 1) == "1.00e+05"
    assert decimals(float("nan"), 1) == "nan"


def test_no_two_curves_look_alike():
    assert len({tuple(look(i).values()) for i in range(28)}) == 28
    assert len({(look(i)["color"], mark(i)) for i in range(56)}) == 56


def test_a_logarithmic_axis_of_nothing_positive_stays_linear():
    for values, scale in (([0.0, 0.0], "linear"), ([0.0, 1.0], "log")):
        axes = new_figure().subplots()
        axes.plot(values)
        logarithmic(axes)
        assert axes.get_yscale() == scale
