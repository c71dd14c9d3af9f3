import numpy as np
from sklearn.datasets import load_digits

from npgan.data.digits import open_digits


def test_digits():
    dataset, raw = open_digits(), load_digits()
    assert len(dataset) == 1797
    assert dataset.sample_shape == (8, 8, 1)
    assert dataset.classes == tuple("0123456789")
    out, labels = np.empty((1797, 8, 8, 1), np.float32), np.empty(1797, np.int64)
    dataset.batch(np.arange(1797), out, labels)
    np.testing.assert_array_equal(out[..., 0], raw.images / 8 - 1)
    np.testing.assert_array_equal(labels, raw.target)
    assert (out.min(), out.max()) == dataset.value_range == (-1, 1)
