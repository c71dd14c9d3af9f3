"""The handwritten digits that come with scikit-learn: the data that is there without any download."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from npgan.data.dataset import ArrayDataset


def open_digits() -> ArrayDataset:
    """Return the 1,797 images of 8 x 8 in 17 levels of grey (0 to 16), mapped to [-1, 1], of the classes 0 to 9.

    They are the test part of Alpaydin and Kaynak (1998), "Optical recognition of handwritten digits", UCI.
    """
    images, labels = _read()
    return ArrayDataset(images.astype(np.uint8), labels, name="digits", values=(0.0, 16.0))


def _read() -> tuple[np.ndarray, np.ndarray]:
    """Return the images (1797, 8, 8) and labels (1797,), by scikit-learn only if its file is not where it was.

    Importing scikit-learn takes half a second, reading its file a hundredth of that.
    """
    package = find_spec("sklearn")
    for folder in package.submodule_search_locations or [] if package else []:
        path = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if path.is_file():
            with gzip.open(path, "rt") as file:
                table = np.loadtxt(file, delimiter=",", dtype=np.int64)
            return table[:, :64].reshape(-1, 8, 8), table[:, 64]
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.images, found.target
