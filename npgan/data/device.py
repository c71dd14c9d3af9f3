"""Batches where a GPU finds them: made there, as far as they can be, from what little has to be copied there.

Pictures that are kept as bytes are scaled and augmented on the device. Where all of them fit beside the training, they
are copied there once, and a batch is a list of their numbers; else it is its bytes. Anything else is made on the host,
as for the CPU. What is copied goes from pinned memory on a stream of its own, while the batch before is computed with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from npgan.backend import Array, Backend, Random
from npgan.data.augment import DRAWS, Augment
from npgan.data.dataset import Dataset
from npgan.data.loader import Batch, Loader, check_augment
from npgan.data.sampler import Sampler

_SLOTS = 2
_CHUNK = 4096  # samples that are copied at once when a set goes to the device


class DeviceLoader:
    """A `Loader` whose batches lie on a device. Bytes become the same bits there as on the host.

    Parameters
    ----------
    dataset, batch, random, shuffle, balanced, augment, prefetch, dtype
        As for `Loader`.
    backend : Backend
        Where the device is.
    room : int
        Bytes of the device's memory that the whole set may take. 0: a batch at a time.

    Attributes
    ----------
    resident : bool
        Whether the whole set is on the device.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch: int,
        random: Random,
        backend: Backend,
        *,
        room: int = 0,
        shuffle: bool = True,
        balanced: bool = False,
        augment: Augment | None = None,
        prefetch: int = 2,
        dtype: Any = "float32",
    ) -> None:
        check_augment(dataset, augment)
        kept = dataset.byte_range is not None
        self._backend, self._augment = backend, augment if augment is not None and augment.active and kept else None
        self.resident = kept and 0 < resident_bytes(dataset) <= room
        # What the arguments have wrong, it says; its thread begins with its first batch.
        self._loader = Loader(
            dataset,
            batch,
            random,
            shuffle=shuffle,
            balanced=balanced,
            augment=None if kept else augment,
            prefetch=prefetch,
            dtype="uint8" if kept else dtype,
        )
        self.batches_per_epoch = self._loader.batches_per_epoch
        shape = (batch, *dataset.sample_shape)
        self._x = [backend.empty(shape, dtype) for _ in range(_SLOTS)] if kept else []
        self._turn = 0
        if kept:
            low, high = dataset.byte_range or (0.0, 0.0)
            self._range = low, (high - low) / 2.0
        if self._augment is not None:
            self._random = backend.random(random.seed)
            self._plain, self._draws = backend.empty(shape, dtype), backend.empty((batch, DRAWS), "float64")
        if self.resident:
            sampler = Sampler(dataset, batch, random, shuffle=shuffle, balanced=balanced)
            self._all = _upload_all(dataset, backend)
            self._uploads = _Uploads(backend, lambda cursor: (sampler.indices(cursor),))
        else:
            self._uploads = _Uploads(backend, self._host_batch)

    def _host_batch(self, cursor: int) -> tuple[Array, ...]:
        batch = self._loader.get(cursor)
        return (batch.x,) if batch.labels is None else (batch.x, batch.labels)

    def get(self, cursor: int) -> Batch:
        """Return batch number `cursor`, on the device; it stays as it is until the next-but-one `get`."""
        slot = self._uploads.get(cursor)
        labels: Array | None
        if self.resident:
            (rows,), (samples, classes) = slot.there, self._all
            labels = None if classes is None else classes[rows]
        else:
            rows, samples = None, slot.there[0]
            labels = slot.there[1] if len(slot.there) > 1 else None
        if not self._x:
            return Batch(samples, labels)
        self._turn = (self._turn + 1) % _SLOTS
        x, pixels = self._x[self._turn], self._backend.kernels.pixels
        target = x if self._augment is None else self._plain
        pixels.scale(target, samples, rows, *self._range)
        if self._augment is not None:
            a = self._augment
            self._random.uniform(self._draws, "augment", cursor)
            pixels.augment(x, self._plain, self._draws, a.flip, a.rotate, a.shift, a.scale)
        return Batch(x, labels)

    def close(self) -> None:
        """Stop the loader's thread."""
        self._loader.close()


def resident_bytes(dataset: Dataset) -> int:
    """Return the bytes that a whole set takes on a device; 0 where it is not one of bytes."""
    if dataset.byte_range is None or dataset.endless:
        return 0
    return len(dataset) * (int(np.prod(dataset.sample_shape)) + (0 if dataset.classes is None else 8))


def _upload_all(dataset: Dataset, backend: Backend) -> tuple[Array, Array | None]:
    n = len(dataset)
    x = backend.empty((n, *dataset.sample_shape), np.uint8)
    labels = None if dataset.classes is None else backend.empty((n,), np.int64)
    for start in range(0, n, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, n))
        host = np.empty((len(rows), *dataset.sample_shape), np.uint8)
        classes = None if labels is None else np.empty(len(rows), np.int64)
        dataset.bytes(rows, host, classes)
        x[start : start + len(rows)] = backend.asarray(host)
        if labels is not None:
            labels[start : start + len(rows)] = backend.asarray(classes)
    return x, labels


@dataclass
class _Slot:
    """One batch on its way: pinned memory, memory on the device, and what has been done with them."""

    here: list[Array]
    there: list[Array]
    arrived: Any  # an event of the stream that copies
    used: Any  # ... of the one that computes: what was asked for before has read it
    cursor: int = -1


class _Uploads:
    """Copies what `make` returns for one number after the other, one ahead."""

    def __init__(self, backend: Backend, make: Callable[[int], tuple[Array, ...]]) -> None:
        self._backend, self._make = backend, make
        self._cuda: Any = backend.xp.cuda
        self._stream = self._cuda.Stream(non_blocking=True)
        self._slots: list[_Slot] = []
        self._turn = 0

    def get(self, cursor: int) -> _Slot:
        """Return the slot of a number. It holds until the next-but-one `get`."""
        current = self._cuda.get_current_stream()
        self._turn = (self._turn + 1) % (_SLOTS + 1)
        slot = self._slot(self._turn, cursor)
        if slot.cursor != cursor:
            self._begin(slot, cursor)
        current.wait_event(slot.arrived)
        after = self._slot((self._turn + 1) % (_SLOTS + 1), cursor)
        # Whoever has used it has asked for all of it by now: two have come since.
        after.used.record(current)
        self._begin(after, cursor + 1)
        return slot

    def _begin(self, slot: _Slot, cursor: int) -> None:
        slot.cursor = -1
        slot.arrived.synchronize()  # the last copy from this pinned memory
        for here, made in zip(slot.here, self._make(cursor), strict=True):
            here[...] = made
        self._stream.wait_event(slot.used)
        for here, there in zip(slot.here, slot.there, strict=True):
            there.set(here, stream=self._stream)  # type: ignore[attr-defined]
        slot.arrived.record(self._stream)
        slot.cursor = cursor

    def _slot(self, number: int, cursor: int) -> _Slot:
        if not self._slots:
            like = self._make(cursor)
            for _ in range(_SLOTS + 1):
                here = [self._pinned(each) for each in like]
                there = [self._backend.empty(each.shape, each.dtype) for each in like]
                events = [self._cuda.Event(disable_timing=True) for _ in range(2)]
                self._slots.append(_Slot(here, there, *events))
            # Their memory may be another's who has let go of it, but whose kernels have not all run on their stream.
            self._backend.synchronize()
        return self._slots[number]

    def _pinned(self, like: Array) -> Array:
        memory = self._cuda.alloc_pinned_memory(like.nbytes)
        return np.frombuffer(memory, like.dtype, like.size).reshape(like.shape)
