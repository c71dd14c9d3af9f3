"""Watches for `Pass.watch`, and the names of what they are shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from npgan.backend.base import Array
from npgan.errors import NonFiniteError

Watch = Callable[[str, str, dict[str, Array]], None]  # the layer, the map, its arrays by name


def raise_non_finite(where: str, which: str, arrays: dict[str, Array]) -> None:
    """Raise NonFiniteError, naming the first array that holds a NaN or an infinity, and the first place in it."""
    for name, array in arrays.items():
        bad = ~np.isfinite(array)
        if bad.any():
            index = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), array.shape))
            raise NonFiniteError(f"{where}: {name} of {which} is {float(array[index])} at {index}")


def numbered(name: str, arrays: tuple[Array | None, ...]) -> dict[str, Array]:
    """Return arrays by name, as a watch is given them: x, x1, x2."""
    return {f"{name}{i or ''}": array for i, array in enumerate(arrays) if array is not None}


def prefixed(prefix: str, arrays: dict[str, Array] | None) -> dict[str, Array]:
    """Return arrays with a longer name: dweight, dbias."""
    return {f"{prefix}{name}": array for name, array in (arrays or {}).items()}
