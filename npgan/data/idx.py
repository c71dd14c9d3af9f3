"""IDX files, the format of MNIST (LeCun, Cortes and Burges 1998), plain or gzipped.

Two zero bytes, a byte for the type, a byte for the number of dimensions, each dimension as a big-endian uint32,
then the numbers, big-endian, in C order.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from npgan.backend import Array
from npgan.data.dataset import ArrayDataset
from npgan.data.files import (
    BROKEN_ARCHIVE,
    Readable,
    check_unpacked,
    element_count,
    file_size,
    fill_from,
    map_array,
    open_gzip,
    read_start,
)
from npgan.errors import DataError

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP_MAGIC = b"\x1f\x8b"
_PARTS = {"train": "train", "test": "t10k"}


def read_idx(path: Path) -> Array:
    """Read an IDX file: memory-mapped where it is plain, in memory where it is gzipped.

    Parameters
    ----------
    path : Path
        The file; gzip is recognised by its contents, not its name.

    Returns
    -------
    array
        Of the file's own shape and dtype, read-only where it is memory-mapped.

    Raises
    ------
    DataError
        Not an IDX file, truncated, oversized, damaged, or a decompression bomb.
    """
    if read_start(path, 2) != GZIP_MAGIC:
        with path.open("rb") as file:
            dtype, shape, offset = _header(path, file)
        return map_array(path, dtype, shape, offset)
    with open_gzip(path) as stream:
        try:
            dtype, shape, _ = _header(path, stream)
        except BROKEN_ARCHIVE as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path}: damaged: the header cannot be unpacked ({error})") from error
        if not element_count(shape):
            raise DataError(f"{path}: is empty: its header announces shape {shape}")
        check_unpacked(path, "the header", element_count(shape) * np.dtype(dtype).itemsize, file_size(path))
        data = np.empty(shape, dtype)
        fill_from(path, stream, data, "the data")
        return data


def _header(path: Path, stream: Readable) -> tuple[str, tuple[int, ...], int]:
    """Return the dtype, the shape and the length of the header."""
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES or not 1 <= start[3] <= 8:
        raise DataError(f"{path}: starts with bytes {start.hex(' ')}, expected an IDX header (00 00 type dimensions)")
    sizes = stream.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise DataError(f"{path}: truncated: the header announces {start[3]} dimensions and ends before their sizes")
    return TYPES[start[2]], struct.unpack(f">{start[3]}I", sizes), 4 + len(sizes)


def find(folder: Path, name: str) -> Path | None:
    """Return the plain (preferred: it is memory-mapped) or gzipped file of that name in `folder`, or None."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.exists()), None)


def file_names(split: str) -> tuple[str, str]:
    """Return the names of the image and the label file of a split, as MNIST has them."""
    return f"{_PARTS[split]}-images-idx3-ubyte", f"{_PARTS[split]}-labels-idx1-ubyte"


def open_idx_pair(
    images: Path, labels: Path | None, *, name: str, classes: tuple[str, ...] | None = None
) -> ArrayDataset:
    """Open a file of images (or points) and, where there is one, its file of labels."""
    data = read_idx(images)
    if data.ndim == 1:
        raise DataError(f"{images}: holds one number a sample (labels?), expected images or points")
    target = None if labels is None else read_idx(labels)
    if target is not None and target.shape != data.shape[:1]:
        raise DataError(f"{labels}: holds labels of shape {target.shape} for {len(data)} samples in {images.name}")
    return ArrayDataset(data, target, name=name, classes=classes)


def open_idx(path: Path) -> ArrayDataset:
    """Open one file; a label file beside it, named as MNIST names them, is used."""
    labels = None
    if "images-idx3" in path.name:
        stem = path.name.removesuffix(".gz").replace("images-idx3", "labels-idx1")
        labels = find(path.parent, stem)
    return open_idx_pair(path, labels, name=path.name)
