"""The layout of a flat vector: which slice of it is which array of which layer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from npgan.backend.base import Array, Shape


class Layout:
    """Names, shapes and slices of the arrays in a flat vector, in the order of the layers.

    Parameters
    ----------
    entries : iterable of (path, name, shape)
        The layer's place, the array's name there, its shape.
    """

    def __init__(self, entries: Iterable[tuple[str, str, Shape]]) -> None:
        self._slices: dict[tuple[str, str], tuple[int, int, Shape]] = {}
        start = 0
        for path, name, shape in entries:
            stop = start + int(np.prod(shape, dtype=np.int64))
            self._slices[path, name] = (start, stop, shape)
            start = stop
        self.size = start

    def ranges(self) -> dict[str, tuple[int, int]]:
        """Return ``{"3/weight": (start, stop)}`` for every array."""
        return {f"{path}/{name}": (start, stop) for (path, name), (start, stop, _) in self._slices.items()}

    def by_name(self, vector: Array) -> dict[str, Array]:
        """Return ``{"3/weight": view}`` into `vector` for every array."""
        return {f"{p}/{n}": vector[start:stop].reshape(shape) for (p, n), (start, stop, shape) in self._slices.items()}

    def by_layer(self, vector: Array) -> dict[str, dict[str, Array]]:
        """Return ``{path: {name: view}}`` into `vector`."""
        views: dict[str, dict[str, Array]] = {}
        for (path, name), (start, stop, shape) in self._slices.items():
            views.setdefault(path, {})[name] = vector[start:stop].reshape(shape)
        return views

    def describe(self) -> dict[str, Any]:
        """Return shapes by name, for comparing two layouts."""
        return {f"{path}/{name}": shape for (path, name), (_, _, shape) in self._slices.items()}
