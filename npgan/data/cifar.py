"""CIFAR-10 in its binary form (Krizhevsky 2009, "Learning multiple layers of features from tiny images").

A record is a byte for the class and 3072 bytes of picture: the red, the green and the blue plane of 32 x 32.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np

from npgan.backend import Array
from npgan.data.dataset import ArrayDataset
from npgan.data.files import BROKEN_ARCHIVE, Readable, file_size, fill_from, map_array, open_gzip
from npgan.errors import DataError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORD = 1 + 3 * 32 * 32
FILES = {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)}
_FOLDER = "cifar-10-batches-bin"
_BATCH_BYTES = 10_000 * RECORD
_TAR_LIMIT = 2**28  # the whole archive unpacks to 184 MB


def read_cifar(path: Path) -> Array:
    """Memory-map a file of records as (N, 3073) uint8.

    Raises
    ------
    DataError
        The size is not a whole number of records.
    """
    size = file_size(path)
    if not size or size % RECORD:
        raise DataError(f"{path}: {size} bytes, expected a whole number of CIFAR-10 records of {RECORD} bytes each")
    return map_array(path, np.uint8, (size // RECORD, RECORD), 0)


def as_dataset(records: Array, name: str) -> ArrayDataset:
    """Return records (N, 3073) as images (N, 32, 32, 3) in [-1, 1], without copying them."""
    labels = records[:, 0]
    if labels.max() >= len(CLASSES):
        row = int(np.argmax(labels >= len(CLASSES)))
        raise DataError(f"{name}: record {row} has class {labels[row]}, expected 0 to 9: not a CIFAR-10 binary file")
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return ArrayDataset(images, labels, name=name, classes=CLASSES)


def open_cifar(path: Path) -> ArrayDataset:
    """Open one binary file."""
    return as_dataset(read_cifar(path), path.name)


def find_split(folder: Path, split: str) -> list[Path] | None:
    """Return the files of a split in `folder` or in its ``cifar-10-batches-bin``, or None."""
    for place in (folder, folder / _FOLDER):
        paths = [place / name for name in FILES[split]]
        if all(path.exists() for path in paths):
            return paths
    return None


def open_split(paths: list[Path], name: str) -> ArrayDataset:
    """Open the files of a split as one data set."""
    parts = [read_cifar(path) for path in paths]
    return as_dataset(parts[0] if len(parts) == 1 else np.concatenate(parts), name)


class _Bounded:
    """A stream that refuses to give more than so many bytes in all: a tar header may ask for any number."""

    def __init__(self, stream: Readable, limit: int) -> None:
        self._stream = stream
        self._left = limit

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > self._left:
            size = self._left + 1
        chunk = self._stream.read(size)
        self._left -= len(chunk)
        if self._left < 0:
            raise DataError(f"it unpacks to more than {_TAR_LIMIT} bytes: not the CIFAR-10 archive")
        return chunk


def open_archive(path: Path, split: str, name: str) -> ArrayDataset:
    """Read a split out of ``cifar-10-binary.tar.gz``, in memory: nothing is extracted to the disk.

    Raises
    ------
    DataError
        Damaged, not the CIFAR-10 archive, or a decompression bomb.
    """
    wanted = {f"{_FOLDER}/{file}": i for i, file in enumerate(FILES[split])}
    records = np.empty((len(wanted), _BATCH_BYTES), np.uint8)
    found = set()
    try:
        with open_gzip(path) as stream, tarfile.open(fileobj=_Bounded(stream, _TAR_LIMIT), mode="r|") as tar:  # type: ignore[call-overload]
            for member in tar:
                number = wanted.get(member.name)
                if number is None:
                    continue
                content = tar.extractfile(member) if member.isreg() else None
                if content is None or member.size != _BATCH_BYTES:
                    raise DataError(f"{member.name} is not a file of {_BATCH_BYTES} bytes")
                fill_from(path, content, records[number], member.name)
                found.add(number)
                if len(found) == len(wanted):
                    break
    except (*BROKEN_ARCHIVE, tarfile.TarError) as error:
        raise DataError(f"{path}: cannot be read as the CIFAR-10 archive ({error})") from error
    if len(found) < len(wanted):
        missing = [file for file, number in wanted.items() if number not in found]
        raise DataError(f"{path}: has no {', '.join(missing)}: not the CIFAR-10 archive")
    return as_dataset(records.reshape(-1, RECORD), name)
