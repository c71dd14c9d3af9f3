"""A guard around a layer, which sees whether a map writes where it must not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from npgan.layers.base import Frame, Layer

# What a map may read and must not write.
_THERE = {
    "forward": ("x", "w"),
    "backward": ("x", "w", "y", "saved", "state", "dy"),
    "rforward": ("x", "w", "y", "saved", "state", "rx", "rw"),
    "rbackward": ("x", "w", "y", "saved", "state", "dy", "rx", "rw", "ry", "rdy"),
}


class Guard:
    """A layer whose maps are watched: what a map must not write is compared before and after it.

    A Pass works on copies of what it is given, so that a layer which writes to its own x, or to dy, does no harm that
    the caller could see; but the neighbours of a layer read the same arrays.

    Parameters
    ----------
    layer : Layer
    where : str
        How `wrong` calls it.
    wrong : list of str
        Gets a line for each array that was changed.
    """

    def __init__(self, layer: Layer, where: str, wrong: list[str]) -> None:
        self._layer, self._where, self._wrong = layer, where, wrong

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)

    def _run(self, map_: str, f: Frame) -> None:
        before = [(name, array, array.copy()) for name, array in _arrays(f, map_)]
        getattr(self._layer, map_)(f)
        for name, array, copy in before:
            equal = array == copy
            if array.dtype.kind in "fc":
                equal |= (array != array) & (copy != copy)
            if not equal.all():
                self._wrong.append(f"{name} of {self._where} was changed by its {map_}")

    def forward(self, f: Frame) -> None:
        """Run the layer's `forward`."""
        self._run("forward", f)

    def backward(self, f: Frame) -> None:
        """Run the layer's `backward`."""
        self._run("backward", f)

    def rforward(self, f: Frame) -> None:
        """Run the layer's `rforward`."""
        self._run("rforward", f)

    def rbackward(self, f: Frame) -> None:
        """Run the layer's `rbackward`."""
        self._run("rbackward", f)


def _arrays(f: Frame, map_: str) -> Iterator[tuple[str, Any]]:
    """Yield every array of a frame that the map may read and not write."""
    for name in _THERE[map_]:
        if name in ("x", "rx"):
            values: Any = getattr(f, f"{name}s")
            yield from ((f"{name}{i or ''}", a) for i, a in enumerate(values) if a is not None)
        else:
            value = getattr(f, name, None)
            if isinstance(value, dict):
                yield from ((f"{name} {key}", a) for key, a in value.items())
            elif value is not None:
                yield name, value
