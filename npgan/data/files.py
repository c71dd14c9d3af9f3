"""What all readers do before they believe a file: look at its kind and size, and unpack it within bounds.

A header may claim anything, so memory is taken in proportion to the bytes that are really there.
"""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from npgan.backend import Array
from npgan.errors import DataError

MAX_IN_MEMORY = 2**30
"""Bytes of a data set that npgan is willing to hold in memory; larger sets are memory-mapped."""

_ALWAYS_ALLOWED = 2**26
_MAX_RATIO = 100  # real pictures and tables compress by 2 to 20, a bomb by 1000
_CHUNK = 2**20


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, none at the end."""
        ...


def file_size(path: Path) -> int:
    """Return the size in bytes of a regular file.

    Raises
    ------
    DataError
        The file is missing, unreadable, or not a regular file (opening a pipe would wait for ever).
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({_reason(error)}); check the path") from error
    if stat.S_ISDIR(found.st_mode):
        raise DataError(f"{path}: is a directory, expected a file")
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"{path}: is a pipe, a socket or a device, expected a regular file")
    if not os.access(path, os.R_OK):
        raise DataError(f"{path}: no permission to read it")
    return found.st_size


def read_start(path: Path, count: int) -> bytes:
    """Return the first `count` bytes of a regular file, or fewer where it is shorter."""
    file_size(path)
    with path.open("rb") as file:
        return file.read(count)


def read_text(path: Path, limit: int) -> str:
    """Return a UTF-8 file of at most `limit` bytes as a string."""
    size = file_size(path)
    if size > limit:
        raise DataError(f"{path}: {size} bytes, expected at most {limit} in a file of this kind")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from error


def unpacked_limit(packed: int) -> int:
    """Return how many bytes `packed` compressed bytes may unpack to before they count as a bomb."""
    return min(MAX_IN_MEMORY, max(_ALWAYS_ALLOWED, _MAX_RATIO * packed))


def check_unpacked(path: Path, what: str, unpacked: int, packed: int) -> None:
    """Raise DataError where something compressed claims to unpack to more than is believable."""
    limit = unpacked_limit(packed)
    if unpacked > limit:
        raise DataError(
            f"{path}: {what} claims {unpacked} bytes out of {packed} compressed ones, more than the {limit} that "
            "are unpacked in memory; if that is right, store it uncompressed (it is then memory-mapped)"
        )


def fill_from(path: Path, stream: Readable, out: Array, what: str) -> None:
    """Fill the C-contiguous array `out` from `stream`, which must hold exactly that many bytes more.

    Raises
    ------
    DataError
        The stream is damaged, ends early, or goes on.
    """
    view = out.reshape(-1).view(np.uint8).data
    done = 0
    try:
        while done < len(view):
            chunk = stream.read(min(_CHUNK, len(view) - done))
            if not chunk:
                raise DataError(f"{path}: truncated: {what} has {done} bytes, expected {len(view)}")
            view[done : done + len(chunk)] = chunk
            done += len(chunk)
        if stream.read(1):
            raise DataError(f"{path}: oversized: {what} goes on after the {len(view)} bytes that its header announces")
    except BROKEN_ARCHIVE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: damaged: {what} cannot be unpacked ({_reason(error)})") from error


def open_gzip(path: Path) -> gzip.GzipFile:
    """Open a gzip file for reading its contents."""
    file_size(path)
    return gzip.open(path, "rb")


# What gzip, zipfile and tarfile raise on damaged input; zipfile.BadZipFile and tarfile.TarError are added there.
BROKEN_ARCHIVE = (OSError, EOFError, zlib.error, ValueError, NotImplementedError, RuntimeError)


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def element_count(shape: tuple[int, ...]) -> int:
    """Return the product of `shape` in Python's integers, which do not overflow."""
    count = 1
    for length in shape:
        count *= length
    return count


def map_array(path: Path, dtype: Any, shape: tuple[int, ...], offset: int, order: str = "C") -> Array:
    """Memory-map the array that must be all of `path` from byte `offset` on.

    Raises
    ------
    DataError
        The file is shorter or longer than `shape` says, or the array is empty.
    """
    expected = offset + element_count(shape) * np.dtype(dtype).itemsize
    size = file_size(path)
    if size != expected:
        word = "truncated" if size < expected else "oversized"
        raise DataError(
            f"{path}: {word}: the header announces shape {shape}, so {expected} bytes, but the file has {size}"
        )
    if not element_count(shape):
        raise DataError(f"{path}: is empty: its header announces shape {shape}")
    mapped = np.memmap(path, dtype, mode="r", offset=offset, shape=shape, order="F" if order == "F" else "C")
    return np.asarray(mapped)
