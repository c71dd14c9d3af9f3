"""What a data set is, and the two kinds that hold arrays: pictures or points, in memory or memory-mapped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from npgan.backend import Array
from npgan.data.files import element_count
from npgan.errors import DataError, DTypeError, ShapeError

_MAX_SAMPLE = 2**24  # numbers in one sample: 2048 x 2048 in colour, with room
_SCAN_BYTES = 2**28
_SCAN_ROWS = 256
_LARGEST = float(np.finfo(np.float32).max)


class Dataset(ABC):
    """Samples that a GAN learns from.

    Attributes
    ----------
    name : str
        For messages and the run's config.
    sample_shape : tuple of int
        (H, W, C) for images, channels last; (F,) for points and the rows of a table.
    classes : tuple of str, or None
        Names of the classes; None where samples have no labels.
    labels : int64 array (len,), or None
        The class of every sample where it is known without drawing the sample.
    value_range : (low, high), or None
        What a generator's output should range over: (-1, 1) for images, None for points.
    byte_range : (low, high), or None
        Where samples are kept as bytes, those that become (-1, 1): see `bytes`.
    endless : bool
        Whether samples beyond ``len`` exist: ``len`` is then nominal, and no sample need be seen twice.
    notes : tuple of str
        What a user should know about the data (constant columns, for example), a sentence each.
    """

    name: str
    sample_shape: tuple[int, ...]
    classes: tuple[str, ...] | None = None
    labels: Array | None = None
    value_range: tuple[float, float] | None = None
    byte_range: tuple[float, float] | None = None
    endless: bool = False
    notes: tuple[str, ...] = ()

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples in an epoch."""

    @abstractmethod
    def batch(self, indices: Array, out: Array, labels: Array | None = None) -> None:
        """Write the samples with these indices, scaled to `value_range`.

        Parameters
        ----------
        indices : int64 array (N,)
            From 0 to ``len - 1`` (any from 0 where `endless`).
        out : float32 or float64 array (N, *sample_shape)
            Filled.
        labels : int64 array (N,), optional
            Filled with the classes.

        Raises
        ------
        DataError
            A sample cannot be read or is not finite, or labels are asked of a set that has none.
        ShapeError, DTypeError
            `out` or `labels` do not fit.
        """

    def bytes(self, indices: Array, out: Array, labels: Array | None = None) -> None:
        """Write the samples with these indices as they are kept: ``(out - low) / ((high - low) / 2) - 1`` is `batch`.

        Parameters
        ----------
        indices, labels
            As for `batch`.
        out : uint8 array (N, *sample_shape)
            Filled.

        Raises
        ------
        DataError
            As for `batch`; or samples are not kept as bytes (`byte_range` is None).
        """
        raise DataError(f"{self.name}: its samples are not kept as bytes")

    @property
    def image(self) -> bool:
        """Whether samples are images (H, W, C)."""
        return len(self.sample_shape) == 3

    def check_batch(
        self, indices: Array, out: Array, labels: Array | None, dtypes: tuple[str, ...] = ("float32", "float64")
    ) -> None:
        """Raise where the arguments of `batch` do not fit this data set; every `batch` calls it first."""
        n = len(indices)
        if out.shape != (n, *self.sample_shape):
            raise ShapeError(f"{self.name}: out is {out.shape}, expected {(n, *self.sample_shape)}")
        if out.dtype.name not in dtypes:
            raise DTypeError(f"{self.name}: out is {out.dtype}, expected {' or '.join(dtypes)}")
        if n and not (indices.min() >= 0 and (self.endless or indices.max() < len(self))):
            raise DataError(
                f"{self.name}: indices go from {indices.min()} to {indices.max()}, expected 0 to {len(self) - 1}"
            )
        if labels is not None:
            if self.classes is None:
                raise DataError(f"{self.name}: has no labels; use a set with classes, or train without conditions")
            if labels.shape != (n,):
                raise ShapeError(f"{self.name}: labels is {labels.shape}, expected {(n,)}")

    def __repr__(self) -> str:
        classes = "no classes" if self.classes is None else f"{len(self.classes)} classes"
        return f"{type(self).__name__}({self.name}: {len(self)} samples {self.sample_shape}, {classes})"


class ArrayDataset(Dataset):
    """Samples that are the rows of one array, in memory or memory-mapped, whatever its layout.

    Images, and anything in uint8, are mapped linearly from the range of the source to [-1, 1]; other points are
    left as they are.

    Parameters
    ----------
    data : array (N, F), (N, H, W) or (N, H, W, C)
        uint8, or other real numbers.
    labels : integer array (N,), optional
        Classes 0 to K - 1.
    name : str
        For messages.
    classes : tuple of str, optional
        The K names; "0", "1", ... where not given.
    values : (low, high), optional
        The range of the source that becomes [-1, 1]. Not given, it is (0, 255) for uint8, and for images of
        another dtype whichever of (0, 1), (-1, 1) and (0, 255) the data show.

    Raises
    ------
    DataError
        Wrong shape, dtype or labels, NaN or infinity, or a range that cannot be told.

    Notes
    -----
    Arrays over 256 MiB are sampled at opening, not read whole; each batch is checked when it is read.
    """

    def __init__(
        self,
        data: Any,
        labels: Any = None,
        *,
        name: str = "array",
        classes: tuple[str, ...] | None = None,
        values: tuple[float, float] | None = None,
    ) -> None:
        self.name = name
        self._data = _as_samples(np.asarray(data), name)
        self.sample_shape = self._data.shape[1:]
        # Bytes cannot be outside 0 to 255; what else a file holds is looked at here and in every batch.
        self._trusted = self._data.dtype == np.uint8 and values is None
        low, high = (0.0, 255.0) if self._trusted else _scan(self._data, name)
        self._range: tuple[float, float] | None = None
        if values is not None:
            if not (np.isfinite(values).all() and values[0] < values[1]):
                raise DataError(f"{name}: values is {values}, expected (low, high) with low < high")
            if not (values[0] <= low and high <= values[1]):
                raise DataError(f"{name}: values go from {low:g} to {high:g}, outside the given range {values}")
            self._range = (float(values[0]), float(values[1]))
        elif self._trusted:
            self._range = (0.0, 255.0)
        elif self.image:
            self._range = _guess_range(low, high, name)
        self.value_range = None if self._range is None else (-1.0, 1.0)
        self.byte_range = self._range if self._data.dtype == np.uint8 else None
        if labels is not None:
            self.labels, self.classes = _as_labels(np.asarray(labels), len(self._data), classes, name)

    def __len__(self) -> int:
        return len(self._data)

    def batch(self, indices: Array, out: Array, labels: Array | None = None) -> None:  # noqa: D102
        self.check_batch(indices, out, labels)
        with np.errstate(over="ignore", invalid="ignore"):  # what goes wrong here is found below, by name
            for row, index in enumerate(indices):  # a row at a time: any layout will do, a memmap is not copied
                out[row] = self._data[index]
        if self._range is not None:
            low, high = self._range
            if low != 0.0:
                out -= low
            out /= (high - low) / 2.0
            out -= 1.0
        if len(indices) and not self._trusted:
            self._check_values(indices, out)
        if labels is not None and self.labels is not None:
            np.take(self.labels, indices, out=labels, mode="clip")

    def bytes(self, indices: Array, out: Array, labels: Array | None = None) -> None:  # noqa: D102
        if self.byte_range is None:
            super().bytes(indices, out, labels)
        self.check_batch(indices, out, labels, ("uint8",))
        for row, index in enumerate(indices):
            out[row] = self._data[index]
        if len(indices) and not self._trusted:
            low, high = self.byte_range or (0.0, 255.0)
            self._check_values(indices, (out.astype(np.float32) - low) / ((high - low) / 2.0) - 1.0)
        if labels is not None and self.labels is not None:
            np.take(self.labels, indices, out=labels, mode="clip")

    def _check_values(self, indices: Array, out: Array) -> None:
        smallest, largest = float(out.min()), float(out.max())  # NaN comes through both
        bound = np.inf if self._range is None else 1.0 + 1e-5
        if np.isfinite(smallest) and np.isfinite(largest) and -bound <= smallest and largest <= bound:
            return
        flat = out.reshape(len(out), -1)
        bad = ~(np.isfinite(flat) & (np.abs(flat) <= bound)).all(axis=1)
        index = int(indices[int(np.argmax(bad))])
        raise DataError(f"{self.name}: sample {index} holds NaN, infinity or a value outside {self._range}")


def _as_samples(data: Array, name: str) -> Array:
    if data.dtype.kind not in "buif" or data.dtype.itemsize > 8:
        raise DataError(f"{name}: dtype is {data.dtype}, expected real numbers of at most 64 bits")
    if data.ndim == 3:
        data = data[..., None]
    if data.ndim not in (2, 4):
        raise DataError(f"{name}: shape is {data.shape}, expected (N, F), (N, H, W) or (N, H, W, C)")
    if not data.size:
        raise DataError(f"{name}: is empty: shape {data.shape}")
    if data.ndim == 4 and data.shape[1] in (1, 3) and data.shape[3] not in (1, 2, 3, 4):
        raise DataError(
            f"{name}: shape {data.shape} looks like channels first, expected (N, H, W, C); "
            "use data.transpose(0, 2, 3, 1)"
        )
    if element_count(data.shape[1:]) > _MAX_SAMPLE:
        raise DataError(f"{name}: a sample has shape {data.shape[1:]}, more than {_MAX_SAMPLE} numbers")
    return data


def _scan(data: Array, name: str) -> tuple[float, float]:
    """Return the smallest and the largest value of all rows, or of rows spread evenly over a large array."""
    rows = len(data)
    wanted = np.arange(rows)
    if data.nbytes > _SCAN_BYTES and rows > _SCAN_ROWS:
        wanted = np.linspace(0, rows - 1, _SCAN_ROWS).astype(np.int64)
    low, high = np.inf, -np.inf
    step = max(1, 2**20 // element_count(data.shape[1:]))
    for start in range(0, len(wanted), step):
        part = data[wanted[start : start + step]]
        with np.errstate(invalid="ignore"):  # a signalling NaN
            small, large = float(part.min()), float(part.max())
            if not (abs(small) <= _LARGEST and abs(large) <= _LARGEST):
                bad = ~(np.abs(part.reshape(len(part), -1).astype(np.float64)) <= _LARGEST).all(axis=1)
                index = int(wanted[start + int(np.argmax(bad))])
                raise DataError(f"{name}: sample {index} holds NaN, infinity or a value too large for float32")
        low, high = min(low, small), max(high, large)
    return low, high


def _guess_range(low: float, high: float, name: str) -> tuple[float, float]:
    if low >= 0.0 and high <= 1.0:
        return 0.0, 1.0
    if low >= -1.0 and high <= 1.0:
        return -1.0, 1.0
    if low >= 0.0 and 127.0 < high <= 255.0:
        return 0.0, 255.0
    raise DataError(
        f"{name}: images go from {low:g} to {high:g}, and it cannot be told which values are black and white; "
        "give values=(black, white)"
    )


def _as_labels(labels: Array, n: int, classes: tuple[str, ...] | None, name: str) -> tuple[Array, tuple[str, ...]]:
    if labels.shape != (n,):
        raise DataError(f"{name}: labels have shape {labels.shape}, expected ({n},): one for each sample")
    if labels.dtype.kind not in "ui":
        raise DataError(f"{name}: labels are {labels.dtype}, expected integers")
    low, high = int(labels.min()), int(labels.max())
    if classes is None:
        if high >= n:
            raise DataError(f"{name}: labels go up to {high} for {n} samples, expected classes 0, 1, 2, ...")
        classes = tuple(str(k) for k in range(high + 1))
    if low < 0 or high >= len(classes):
        raise DataError(f"{name}: labels go from {low} to {high}, expected 0 to {len(classes) - 1}")
    return labels.astype(np.int64), classes
