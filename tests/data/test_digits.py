import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from npgan.data import digits
from npgan.data.digits import open_digits


@pytest.mark.parametrize("found", [True, False])
def test_digits(found, monkeypatch):
    if not found:  # as in a scikit-learn that keeps its files elsewhere
        monkeypatch.setattr(digits, "find_spec", lambda name: None)
    dataset, raw = open_digits(), load_digits()
    assert len(dataset) == 1797
    assert dataset.sample_shape == (8, 8, 1)
    assert dataset.classes == tuple("0123456789")
    out, labels = np.empty((1797, 8, 8, 1), np.float32), np.empty(1797, np.int64)
    dataset.batch(np.arange(1797), out, labels)
    np.testing.assert_array_equal(out[..., 0], raw.images / 8 - 1)
    np.testing.assert_array_equal(labels, raw.target)
    assert (out.min(), out.max()) == dataset.value_range == (-1, 1)


def test_scikit_learn_is_not_imported():
    code = "import sys; from npgan.data.digits import open_digits; open_digits(); assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
