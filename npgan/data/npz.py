"""NumPy's ``.npy`` (memory-mapped) and ``.npz`` (in memory) files. Nothing in them is ever unpickled.

The header of an array is a Python literal; it is matched against the one form that NumPy writes for plain numbers,
so that no parser meets a hostile one.
"""

from __future__ import annotations

import re
import struct
import zipfile
from pathlib import Path

import numpy as np

from npgan.backend import Array
from npgan.data.dataset import ArrayDataset
from npgan.data.files import (
    BROKEN_ARCHIVE,
    MAX_IN_MEMORY,
    Readable,
    check_unpacked,
    element_count,
    file_size,
    fill_from,
    map_array,
)
from npgan.errors import DataError

NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK\x03\x04"
DATA_KEYS = ("x", "images", "data")
LABEL_KEYS = ("y", "labels")

_MAX_HEADER = 10_000
_HEADER = re.compile(
    rb"\{'descr': '([<>|=][a-zA-Z]\d{1,5})', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\),? *\} *\n?"
)
_MAX_DIRECTORY = 2**20
_END_RECORD = struct.Struct("<4s4H2LH")


def _header(path: Path, stream: Readable, what: str) -> tuple[np.dtype[np.generic], tuple[int, ...], str, int]:
    """Return the dtype, the shape, the order ("C" or "F") and the length of the header of an array."""
    start = stream.read(8)
    if len(start) < 8 or start[:6] != NPY_MAGIC or start[6] not in (1, 2, 3):
        raise DataError(f"{path}: {what} does not start like a NumPy array")
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    text = stream.read(min(length, _MAX_HEADER))
    matched = _HEADER.fullmatch(text)
    if length > _MAX_HEADER or matched is None:
        raise DataError(
            f"{path}: {what} has a header that is damaged or describes objects or records; "
            "expected a plain array of numbers (nothing is unpickled)"
        )
    try:
        dtype = np.dtype(matched[1].decode())
        shape = tuple(int(length) for length in matched[3].replace(b" ", b"").split(b",") if length)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {what} has dtype or shape that NumPy does not know ({error})") from error
    if dtype.kind not in "buif" or dtype.itemsize > 8 or not 1 <= len(shape) <= 8:
        raise DataError(f"{path}: {what} is {dtype}, shape {shape}; expected numbers (bool, int, uint, float)")
    return dtype, shape, "F" if matched[2] == b"True" else "C", 8 + width + len(text)


def read_npy(path: Path) -> Array:
    """Memory-map a ``.npy`` file, read-only.

    Raises
    ------
    DataError
        Not a plain array of numbers, truncated or oversized.
    """
    file_size(path)
    with path.open("rb") as file:
        dtype, shape, order, offset = _header(path, file, "the file")
    return map_array(path, dtype, shape, offset, order)


def read_npz(path: Path, keys: tuple[str, ...]) -> dict[str, Array]:
    """Read those of the arrays `keys` that a ``.npz`` file has.

    Raises
    ------
    DataError
        Not a zip file, damaged, or unpacks to an unbelievable size.
    """
    size = file_size(path)
    _check_directory(path, size)
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for key in keys:
                if f"{key}.npy" in archive.NameToInfo:
                    found[key] = _read_member(path, archive, archive.getinfo(f"{key}.npy"), size)
            if not found:
                names = ", ".join(archive.namelist()[:8]) or "nothing"
                raise DataError(f"{path}: holds {names}; expected one of {', '.join(keys)}")
    except (*BROKEN_ARCHIVE, zipfile.BadZipFile, struct.error, IndexError, KeyError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: damaged: cannot be read as .npz ({error or type(error).__name__})") from error
    return found


def _check_directory(path: Path, size: int) -> None:
    """Refuse a zip file whose table of contents alone would fill the memory."""
    with path.open("rb") as file:
        file.seek(max(0, size - 2**16 - _END_RECORD.size - 20))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END_RECORD.size:
        raise DataError(f"{path}: truncated or not a .npz file: it has no table of contents")
    if b"PK\x06\x07" in tail[max(0, at - 20) : at]:
        raise DataError(f"{path}: a .npz file over 4 GB is not read; save the arrays as .npy (memory-mapped)")
    directory = _END_RECORD.unpack_from(tail, at)[5]
    if directory > min(size, _MAX_DIRECTORY):
        raise DataError(f"{path}: its table of contents claims {directory} bytes, expected at most {_MAX_DIRECTORY}")


def _read_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, size: int) -> Array:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{path}: {member.filename} is compressed by an unusual method; use numpy.savez_compressed")
    with archive.open(member) as stream:
        dtype, shape, order, _ = _header(path, stream, member.filename)
        count = element_count(shape)
        if not count:
            raise DataError(f"{path}: {member.filename} is empty: shape {shape}")
        check_unpacked(path, member.filename, count * dtype.itemsize, min(size, MAX_IN_MEMORY))
        flat = np.empty(count, dtype)
        fill_from(path, stream, flat, member.filename)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def open_npy(path: Path, *, values: tuple[float, float] | None = None) -> ArrayDataset:
    """Open one array of images or points."""
    return ArrayDataset(read_npy(path), name=path.name, values=values)


def open_npz(path: Path, *, values: tuple[float, float] | None = None) -> ArrayDataset:
    """Open the arrays ``x`` (or ``images`` or ``data``) and, where there are some, ``y`` (or ``labels``)."""
    arrays = read_npz(path, (*DATA_KEYS, *LABEL_KEYS))
    data = [key for key in DATA_KEYS if key in arrays]
    labels = [key for key in LABEL_KEYS if key in arrays]
    if len(data) != 1 or len(labels) > 1:
        raise DataError(
            f"{path}: holds {', '.join(arrays)}; expected one of {', '.join(DATA_KEYS)}, and at most one of "
            f"{', '.join(LABEL_KEYS)}"
        )
    return ArrayDataset(arrays[data[0]], arrays[labels[0]] if labels else None, name=path.name, values=values)
