import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from npgan.data.dataset import ArrayDataset
from npgan.errors import DataError, DTypeError, ShapeError

RNG = np.random.default_rng(0)


@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=4, max_side=4)),
    st.sampled_from(["float32", "float64"]),
    st.data(),
)
def test_bytes_become_minus_one_to_one(data, dtype, draw):
    dataset = ArrayDataset(data)
    indices = np.array(draw.draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=6)))
    out = np.empty((len(indices), *dataset.sample_shape), dtype)
    dataset.batch(indices, out)
    expected = (data[indices].astype(dtype) / out.dtype.type(127.5) - 1).reshape(out.shape)
    np.testing.assert_array_equal(out, expected)
    assert out.min() >= -1
    assert out.max() <= 1


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (0, 255)])
def test_ranges_are_recognised(low, high, read):
    data = low + (high - low) * RNG.random((9, 3, 4, 2))
    data[0, 0, 0], data[1, 0, 0] = low, high
    out, _ = read(ArrayDataset(data))
    np.testing.assert_allclose(out, 2 * (data - low) / (high - low) - 1, rtol=0, atol=1e-15)


def test_points_are_left_alone(read):
    data = 100 * RNG.normal(size=(5, 3))
    dataset = ArrayDataset(data)
    assert dataset.value_range is None
    assert not dataset.image
    np.testing.assert_array_equal(read(dataset)[0], data)


@pytest.mark.parametrize("order", ["contiguous", "strided", "fortran", "big-endian"])
def test_layouts(order, read):
    data = RNG.integers(0, 256, (6, 4, 5, 3)).astype(np.int32)
    made = {
        "contiguous": data,
        "strided": np.repeat(data, 2, axis=2)[:, :, ::2],
        "fortran": np.asfortranarray(data),
        "big-endian": data.astype(">i4"),
    }[order]
    np.testing.assert_array_equal(read(ArrayDataset(made))[0], data / 127.5 - 1)


def test_data_is_not_changed(read):
    data = RNG.random((5, 3, 3))
    before = data.copy()
    read(ArrayDataset(data, values=(0, 2)))
    np.testing.assert_array_equal(data, before)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (np.zeros((2, 3), complex), {}, "dtype is complex128"),
        (np.zeros((2, 3), object), {}, "dtype is object"),
        (np.zeros((2, 3), "M8[s]"), {}, "dtype is datetime64"),
        (np.zeros((2, 3), np.longdouble), {}, "at most 64 bits"),
        (np.zeros(2), {}, "expected"),
        (np.zeros((2, 3, 3, 3, 3)), {}, "expected"),
        (np.zeros((0, 3)), {}, "is empty"),
        (np.zeros((3, 0)), {}, "is empty"),
        (np.broadcast_to(np.uint8(0), (2, 5000, 5000)), {}, "more than 16777216 numbers"),
        (np.full((2, 3), np.nan), {}, "sample 0 holds NaN"),
        (np.array([[0.0], [1e39]]), {}, "sample 1 holds NaN"),
        (np.full((2, 3, 3), 7.0), {}, "cannot be told"),
        (np.zeros((2, 3)), {"values": (1, 1)}, "low < high"),
        (np.zeros((2, 3)), {"values": (0, np.nan)}, "low < high"),
        (np.full((2, 3), 9, np.uint8), {"values": (0, 8)}, "outside the given range"),
        (np.zeros((2, 3)), {"labels": [0, 1, 2]}, "one for each sample"),
        (np.zeros((2, 3)), {"labels": [[0], [1]]}, "one for each sample"),
        (np.zeros((2, 3)), {"labels": [0.0, 1.0]}, "expected integers"),
        (np.zeros((2, 3)), {"labels": [0, -1]}, "expected 0 to"),
        (np.zeros((2, 3)), {"labels": [0, 2], "classes": ("a", "b")}, "go from 0 to 2, expected 0 to 1"),
        (np.zeros((2, 3)), {"labels": [0, 10**9]}, "classes 0, 1, 2"),
    ],
)
def test_refused(data, options, message):
    with pytest.raises(DataError, match=message):
        ArrayDataset(data, **options)


def test_arguments_of_batch():
    dataset = ArrayDataset(np.zeros((4, 2)))
    two = np.arange(2)
    for out, error in [(np.empty((2, 3)), ShapeError), (np.empty((2, 2), np.int64), DTypeError)]:
        with pytest.raises(error, match="array: out is"):
            dataset.batch(two, out)
    for indices in ([0, 4], [-1, 0]):
        with pytest.raises(DataError, match="expected 0 to 3"):
            dataset.batch(np.array(indices), np.empty((2, 2)))
    with pytest.raises(DataError, match="has no labels"):
        dataset.batch(two, np.empty((2, 2)), np.empty(2, np.int64))
    with pytest.raises(ShapeError, match="labels is"):
        ArrayDataset(np.zeros((4, 2)), [0, 1, 0, 1]).batch(two, np.empty((2, 2)), np.empty(3, np.int64))


def test_large_arrays_are_checked_batch_by_batch(monkeypatch):
    monkeypatch.setattr("npgan.data.dataset._SCAN_BYTES", 0)
    monkeypatch.setattr("npgan.data.dataset._SCAN_ROWS", 5)
    data = RNG.random((100, 3, 3))
    data[[0, 24, 49, 74, 99], 0, 0] = 0.9
    data[50, 1, 1], data[51, 1, 1], data[52, 1, 1] = np.nan, 1e300, -0.5  # between the rows that are looked at
    dataset = ArrayDataset(data)
    out = np.empty((2, 3, 3, 1), np.float32)
    dataset.batch(np.array([3, 4]), out)
    for index in (50, 51, 52):
        with pytest.raises(DataError, match=f"sample {index} holds"), warnings.catch_warnings():
            dataset.batch(np.array([3, index]), out)
