"""The arrays that an algorithm keeps in `scratch`, one behind the other, each beginning at a cache line."""

from collections.abc import Sequence
from math import prod

from npgan.backend.base import Array, Shape

_LINE = 16  # elements: a cache line in float32


def elements(shapes: Sequence[Shape]) -> int:
    """Return what `arrays` needs."""
    return sum(-(-prod(shape) // _LINE) * _LINE for shape in shapes)


def arrays(scratch: Array, shapes: Sequence[Shape]) -> list[Array]:
    """Return arrays of these shapes."""
    found, start = [], 0
    for shape in shapes:
        found.append(scratch[start : start + prod(shape)].reshape(shape))
        start += -(-prod(shape) // _LINE) * _LINE
    return found
