"""Which samples make up which batch: a pure function of the run's seed and the number of the batch."""

from __future__ import annotations

import numpy as np

from npgan.backend import Array, Random
from npgan.data.dataset import Dataset
from npgan.errors import ConfigError


class _Order:
    """The numbers 0 .. n - 1 over and over, in another order each time around; the last two orders are kept."""

    def __init__(self, n: int, random: Random | None, stream: str) -> None:
        self.n = n
        self._random = random
        self._stream = stream
        self._kept: dict[int, Array] = {}

    def epoch(self, number: int) -> Array:
        if self._random is None:
            number = 0  # the same order each time
        if number not in self._kept:
            if len(self._kept) == 2:
                del self._kept[next(iter(self._kept))]
            self._kept[number] = (
                np.arange(self.n) if self._random is None else self._random.permutation(self.n, self._stream, number)
            )
        return self._kept[number]


class Sampler:
    """The indices of every batch.

    Parameters
    ----------
    dataset : Dataset
    batch : int
        Samples in a batch.
    random : Random
        The run's.
    shuffle : bool
        Take the samples of each epoch in a new order, otherwise always in that of the data set.
    balanced : bool
        Take every class equally often: sample number s is of class s mod K, so that a batch of a multiple of K
        is exactly balanced. Small classes come round more often than large ones.

    Raises
    ------
    ConfigError
        The batch is larger than the data set, or `balanced` without classes.
    """

    def __init__(self, dataset: Dataset, batch: int, random: Random, *, shuffle: bool, balanced: bool) -> None:
        n = len(dataset)
        if isinstance(batch, bool) or not isinstance(batch, int | np.integer) or batch < 1:
            raise ConfigError(f"batch is {batch!r}, expected a whole number from 1")
        if batch > n and not dataset.endless:
            raise ConfigError(
                f"{dataset.name} has {n} samples, too few for a batch of {batch}; choose a batch of at most {n}"
            )
        self.batch = int(batch)
        self.batches_per_epoch = max(1, n // self.batch)
        self._endless = dataset.endless
        self._members: list[Array] = []
        source = random if shuffle else None
        if balanced:
            if dataset.labels is None or dataset.classes is None:
                raise ConfigError(f"{dataset.name} has no labels to balance; use a set with classes, or balanced=False")
            members = [np.flatnonzero(dataset.labels == k) for k in range(len(dataset.classes))]
            self._members = [indices for indices in members if len(indices)]
            self._orders = [_Order(len(own), source, f"shuffle/{k}") for k, own in enumerate(self._members)]
        else:
            self._orders = [_Order(n, source, "shuffle")] if not self._endless else []

    def indices(self, cursor: int) -> Array:
        """Return the indices (batch,), int64, of batch number `cursor`."""
        first = cursor * self.batch
        if self._endless:
            return np.arange(first, first + self.batch)
        if not self._members:
            epoch, number = divmod(cursor, self.batches_per_epoch)
            start = number * self.batch
            return self._orders[0].epoch(epoch)[start : start + self.batch]
        found = np.empty(self.batch, np.int64)
        for position in range(self.batch):
            turn, k = divmod(first + position, len(self._members))
            epoch, number = divmod(turn, self._orders[k].n)
            found[position] = self._members[k][self._orders[k].epoch(epoch)[number]]
        return found
