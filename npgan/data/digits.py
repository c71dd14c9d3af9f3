"""The handwritten digits that come with scikit-learn: the data that is there without any download."""

from __future__ import annotations

import numpy as np

from npgan.data.dataset import ArrayDataset


def open_digits() -> ArrayDataset:
    """Return the 1,797 images of 8 x 8 in 17 levels of grey (0 to 16), mapped to [-1, 1], of the classes 0 to 9.

    They are the test part of Alpaydin and Kaynak (1998), "Optical recognition of handwritten digits", UCI.
    """
    from sklearn.datasets import load_digits  # a second of imports

    found = load_digits()
    return ArrayDataset(found.images.astype(np.uint8), found.target, name="digits", values=(0.0, 16.0))
