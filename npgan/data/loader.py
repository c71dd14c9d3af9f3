"""Batches of a data set, each a pure function of its number."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np

from npgan.backend import Array, Random
from npgan.data.augment import Augment
from npgan.data.dataset import Dataset
from npgan.data.prefetch import HANDED_OUT, Prefetcher
from npgan.data.sampler import Sampler
from npgan.errors import ConfigError, DTypeError


@dataclass(frozen=True)
class Batch:
    """Samples ``x`` (N, *sample_shape) and their classes ``labels``, int64 (N,), or None where there are none."""

    x: Array
    labels: Array | None


class Loader:
    """Makes batches, a few of them ahead of time in a thread of its own.

    Batch number `cursor` depends on the data set, the seed and `cursor` alone: not on what was read before it, nor
    on `prefetch`. Epoch e is the batches from ``e * batches_per_epoch`` on; what is left over at its end, less than
    a batch, is dropped (and is other samples in the next epoch, with `shuffle`).

    Parameters
    ----------
    dataset : Dataset
    batch : int
        Samples in a batch, at most those in the data set.
    random : Random
        The run's, of a backend on the host.
    shuffle : bool
        A new order each epoch. A set without end (a mixture) is drawn in its own order.
    balanced : bool
        Every class equally often.
    augment : Augment, optional
        For images.
    prefetch : int
        How many batches to be ahead; 0 does without a thread.
    dtype : "float32" or "float64"
        Or "uint8", for samples as they are kept (see `Dataset.bytes`), without augmentation.

    Raises
    ------
    ConfigError
        Too large a batch, or an option that this data set does not have.

    Notes
    -----
    Close it, or use it as a context manager, to end the thread. After a fork, the child's thread starts at its
    first `get`. One thread at a time may call `get`.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch: int,
        random: Random,
        *,
        shuffle: bool = True,
        balanced: bool = False,
        augment: Augment | None = None,
        prefetch: int = 2,
        dtype: Any = "float32",
    ) -> None:
        expected = ["float32", "float64"] + ["uint8"] * (dataset.byte_range is not None and augment is None)
        if dtype not in (*expected, *(getattr(np, name) for name in expected)):  # NumPy's own take None for float64
            raise DTypeError(f"dtype is {dtype!r}, expected {' or '.join(map(repr, expected))}")
        if isinstance(prefetch, bool) or not isinstance(prefetch, int) or not 0 <= prefetch <= 64:
            raise ConfigError(f"prefetch is {prefetch!r}, expected a whole number from 0 to 64")
        check_augment(dataset, augment)
        self.dataset = dataset
        sampler = Sampler(dataset, batch, random, shuffle=shuffle, balanced=balanced)
        self.batches_per_epoch = sampler.batches_per_epoch
        """Batches in an epoch."""
        shape = (sampler.batch, *dataset.sample_shape)
        labelled = dataset.classes is not None
        self._batches = [
            Batch(np.empty(shape, dtype), np.empty(sampler.batch, np.int64) if labelled else None)
            for _ in range(prefetch + HANDED_OUT)
        ]
        self._fill = _Fill(dataset, sampler, random, augment, self._batches)
        self._turn = 0
        self._prefetcher: Prefetcher | None = None
        if prefetch:
            self._prefetcher = Prefetcher(self._fill, prefetch)
            # The thread knows the prefetcher, not the loader: a loader that is dropped without close() ends it too.
            weakref.finalize(self, self._prefetcher.close)

    def get(self, cursor: int) -> Batch:
        """Return batch number `cursor`, from 0 up; its arrays stay as they are until the next-but-one `get`.

        Going up one by one is fast; any other order is right, too.

        Raises
        ------
        DataError
            A sample of this batch cannot be read.
        """
        if cursor < 0:
            raise ConfigError(f"cursor is {cursor}, expected the number of a batch, from 0 up")
        cursor = int(cursor)
        if self._prefetcher is not None:
            return self._batches[self._prefetcher.get(cursor)]
        self._turn = (self._turn + 1) % HANDED_OUT
        self._fill(cursor, self._turn)
        return self._batches[self._turn]

    def close(self) -> None:
        """Stop the thread, if there is one. Batches that were handed out stay as they are."""
        if self._prefetcher is not None:
            self._prefetcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_augment(dataset: Dataset, augment: Augment | None) -> None:
    """Raise ConfigError where there is nothing to augment."""
    if augment is not None and augment.active and not dataset.image:
        raise ConfigError(f"{dataset.name} has no images (its samples are {dataset.sample_shape}): no augment here")


class _Fill:
    """Writes batch number `cursor` into a buffer."""

    def __init__(
        self, dataset: Dataset, sampler: Sampler, random: Random, augment: Augment | None, batches: list[Batch]
    ) -> None:
        self._dataset = dataset
        self._sampler = sampler
        self._random = random
        self._augment = augment if augment is not None and augment.active else None
        self._batches = batches
        self._plain = None if self._augment is None else np.empty_like(batches[0].x)

    def __call__(self, cursor: int, slot: int) -> None:
        batch = self._batches[slot]
        target = batch.x if self._plain is None else self._plain
        write = self._dataset.bytes if target.dtype == np.uint8 else self._dataset.batch
        write(self._sampler.indices(cursor), target, batch.labels)
        if self._augment is not None:
            self._augment.apply(batch.x, target, self._random, cursor)
