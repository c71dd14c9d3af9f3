"""Watches for `Pass.watch`."""

from __future__ import annotations

import numpy as np

from npgan.backend.base import Array
from npgan.errors import NonFiniteError


def raise_non_finite(where: str, which: str, arrays: dict[str, Array]) -> None:
    """Raise NonFiniteError, naming the first array that holds a NaN or an infinity, and the first place in it."""
    for name, array in arrays.items():
        bad = ~np.isfinite(array)
        if bad.any():
            index = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), array.shape))
            raise NonFiniteError(f"{where}: {name} of {which} is {float(array[index])} at {index}")
