"""Where the arrays of a Pass lie: blocks with lifetimes, packed into one region, and regions that Passes share."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.backend.base import Array, Backend, Shape
from npgan.errors import ConfigError

if TYPE_CHECKING:
    from npgan.network.first_order import FirstOrder

_ALIGNMENT = 64


@dataclass(eq=False)
class Block:
    """One array: when it is first written, when it is last read, and the offset that it got."""

    shape: Shape
    dtype: np.dtype[Any]
    first: int
    last: int
    offset: int = -1

    @property
    def nbytes(self) -> int:
        """Size with the padding that keeps the next block aligned."""
        size = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize
        return -(-size // _ALIGNMENT) * _ALIGNMENT

    def alive(self, time: int) -> None:
        """Stretch the lifetime to `time`."""
        self.first, self.last = min(self.first, time), max(self.last, time)

    def view(self, region: Array) -> Array:
        """Return this array in `region`."""
        size = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize
        return region[self.offset : self.offset + size].view(self.dtype).reshape(self.shape)


def pack(blocks: list[Block]) -> int:
    """Give each block an offset so that no two that live at the same time overlap; return the bytes needed.

    Greedy by size: the largest first, each at the lowest offset that is free during its life (Pisarchyk and Lee
    2020, "Efficient memory management for deep neural net inference", section 5).
    """
    placed: list[tuple[int, int, Block]] = []  # offset, end, block: sorted by offset
    total = 0
    sizes = {block: block.nbytes for block in blocks}
    for block in sorted(blocks, key=lambda b: (-sizes[b], b.first)):
        size, offset = sizes[block], 0
        for start, end, other in placed:
            if other.first <= block.last and block.first <= other.last:
                if offset + size <= start:
                    break
                offset = max(offset, end)
        block.offset = offset
        total = max(total, offset + size)
        insort(placed, (offset, offset + size, block), key=lambda entry: entry[0])
    return total


class Arena:
    """Memory that Passes share which are not alive together.

    The Pass that ran `forward` last owns it; the others are stale until they run again. A training step needs one
    arena for the discriminator's Passes, which follow one another, and another for the generator's.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.owner: FirstOrder | None = None
        self.region: Array = backend.empty((0,), np.uint8)
        self._wanted = 0

    @property
    def nbytes(self) -> int:
        """Bytes that the Passes planned so far need."""
        return self._wanted

    def reserve(self, backend: Backend, nbytes: int) -> None:
        """Make sure that the region will have `nbytes`."""
        if backend.xp is not self.backend.xp:
            raise ConfigError(f"the arena is on the {self.backend.name} backend, the network on {backend.name}")
        self._wanted = max(self._wanted, nbytes)

    def claim(self, owner: FirstOrder) -> Array:
        """Make `owner` the one whose arrays are in the region, and return it."""
        if self.region.size < self._wanted:
            self.region = self.backend.empty((self._wanted,), np.uint8)
        self.owner = owner
        return self.region
