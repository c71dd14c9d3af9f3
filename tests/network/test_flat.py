"""Names and slices of a flat vector."""

import numpy as np

from npgan.network.flat import Layout

ENTRIES = [("0", "weight", (2, 3)), ("0", "bias", (3,)), ("2/main/1", "gain", ()), ("3", "none", (0, 4))]


def test_arrays_follow_one_another():
    layout = Layout(ENTRIES)
    assert layout.size == 10
    assert layout.ranges() == {"0/weight": (0, 6), "0/bias": (6, 9), "2/main/1/gain": (9, 10), "3/none": (10, 10)}
    assert layout.describe()["0/weight"] == (2, 3)


def test_views_share_the_vector():
    vector = np.arange(10.0)
    layout = Layout(ENTRIES)
    by_name, by_layer = layout.by_name(vector), layout.by_layer(vector)
    np.testing.assert_array_equal(by_name["0/weight"], [[0, 1, 2], [3, 4, 5]])
    assert by_layer["2/main/1"]["gain"].shape == ()
    by_name["0/bias"][1] = -1
    by_layer["2/main/1"]["gain"][...] = -2
    assert vector[7] == -1
    assert vector[9] == -2
    assert list(by_layer) == ["0", "2/main/1", "3"]


def test_nothing():
    assert Layout([]).size == 0
    assert Layout([]).by_name(np.zeros(0)) == {}
