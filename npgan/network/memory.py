"""Where the arrays of a Pass lie: blocks with lifetimes, packed into one region, and regions that Passes share."""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
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


def pack(blocks: Sequence[Block], held: Collection[Block] = (), around: Iterable[Block] = ()) -> int:
    """Give each block an offset so that no two that live at the same time overlap; return where the last one ends.

    Greedy: one block after the other, each at the lowest offset that is free during its life (Pisarchyk and Lee 2020,
    "Efficient memory management for deep neural net inference", section 5), in the best of a few orders. Blocks that
    are held come close together, so that other Passes have the rest in one piece.

    Parameters
    ----------
    blocks : sequence of Block
    held : collection of Block
        Those of `blocks` that `Pass.meanwhile` must leave alone.
    around : iterable of Block
        Of other Passes, which have their places.
    """
    sizes, kept = {block: block.nbytes for block in blocks}, set(held)

    def first_in_last_out(block: Block) -> tuple[int, ...]:
        return (0, -block.last, -sizes[block]) if block in kept else (1, -sizes[block], block.first)

    def longest_life(block: Block) -> tuple[int, ...]:
        return (block.first - block.last, -sizes[block], block.first)

    def largest(block: Block) -> tuple[int, ...]:
        return (-sizes[block], block.first)

    taken = [(block.offset, block.offset + block.nbytes, block) for block in around]
    # Within another Pass nothing else will run, mostly, so what is held need not come close together.
    orders = (first_in_last_out, longest_life, largest) if taken else (first_in_last_out, longest_life)
    found = [_place(sorted(blocks, key=order), taken) for order in orders]
    total, offsets = min(found, key=itemgetter(0))
    for block, offset in offsets.items():
        block.offset = offset
    return total


_Placed = tuple[int, int, Block]  # offset, end, block


def _place(blocks: Iterable[Block], taken: Iterable[_Placed]) -> tuple[int, dict[Block, int]]:
    """Return where all end when the blocks are placed in this order, and their offsets."""
    placed = sorted(taken, key=itemgetter(0))
    total = max((end for _, end, _ in placed), default=0)
    offsets: dict[Block, int] = {}
    for block in blocks:
        size, offset = block.nbytes, 0
        for start, end, other in placed:
            if other.first <= block.last and block.first <= other.last:
                if offset + size <= start:
                    break
                offset = max(offset, end)
        offsets[block] = offset
        total = max(total, offset + size)
        insort(placed, (offset, offset + size, block), key=itemgetter(0))
    return total, offsets


class Arena:
    """Memory that Passes share which are not alive together.

    The Pass that ran `forward` last owns it; the others are stale until they run again. Each Pass has an arena of its
    own within, `Pass.meanwhile`, for Passes that run between its forward and its backward: they lie around what it
    holds in between, and where it is only while it runs. So a training step is one region of memory: the generator's
    Pass, and the discriminator's, which follow one another, in its `meanwhile`.

    Parameters
    ----------
    backend : Backend
    host : Pass, optional
        For `Pass.meanwhile`, whose arena it is.
    """

    def __init__(self, backend: Backend, host: FirstOrder | None = None) -> None:
        self.backend, self.host = backend, host
        self.root: Arena = self if host is None else host.arena.root
        self.owner: FirstOrder | None = None
        self._within: list[Arena] = []
        if host is not None:
            host.arena._within.append(self)
        self._region: Array | None = None
        self._wanted = 0

    @property
    def nbytes(self) -> int:
        """Bytes that the Passes planned so far need, in this arena and those around it."""
        return self.root._wanted

    @property
    def region(self) -> Array:
        """The memory: bytes (nbytes,), but for what was planned since a Pass ran."""
        if self.root._region is None:
            self.root._region = self.backend.empty((self.nbytes,), np.uint8)
        return self.root._region

    def around(self) -> list[Block]:
        """Return what Passes in this arena must leave alone, with its life in their time."""
        return [] if self.host is None else [*self.host.arena.around(), *self.host.around()]

    def reserve(self, backend: Backend, nbytes: int) -> None:
        """Make sure that the region will have `nbytes`."""
        if backend.xp is not self.backend.xp:
            raise ConfigError(f"the arena is on the {self.backend.name} backend, the network on {backend.name}")
        self.root._wanted = max(self.root._wanted, nbytes)

    def claim(self, owner: FirstOrder) -> Array:
        """Make `owner` the one whose arrays are in the region, and return it."""
        if self.region.size < self.nbytes:  # who is around it keeps the old one until it runs again
            self.root._region = None
        self.take(owner)
        return self.region

    def take(self, owner: FirstOrder) -> None:
        """Make `owner` the one whose arrays are in the memory: it runs, so those within are stale."""
        if self.host is not None and self.host.arena.owner is not self.host:
            self.host.arena.take(owner)  # what lies there is not the host's, so it was not left alone
        self._pass_to(owner)

    def _pass_to(self, owner: FirstOrder) -> None:
        self.owner = owner
        for arena in self._within:
            arena._pass_to(owner)
