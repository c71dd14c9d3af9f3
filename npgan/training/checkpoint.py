"""Checkpoints: one safetensors file a step, written whole or not at all, and checked before it is believed.

The file's metadata has one entry, ``npgan``: JSON with the format's version, the version of npgan that wrote it, the
caller's `meta` (as JSON text) and a BLAKE2b digest of all that and of every array. (One entry, as safetensors writes
several in an order of chance, and equal states should be equal files.)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from npgan._version import __version__
from npgan.backend.base import Array
from npgan.backend.sizes import size_text
from npgan.errors import CheckpointError, DTypeError
from npgan.training.folder import TEMPORARY, write_atomically

FORMAT = 1
_KEY = "npgan"
_MAX_HEADER = 16 << 20  # bytes; a checkpoint's has a few thousand, and parsing takes many times its size in memory
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
_NAME = re.compile(r"step-(\d{8,18})\.safetensors")


class _NewerFormatError(CheckpointError):
    """Written by a newer npgan: nothing is wrong with the file, so it must not be passed over as damaged."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes
    ----------
    arrays : dict of str to array
        By name, in host memory, in the dtypes that they were saved in.
    meta : dict
        What was saved with them.
    path : Path
        The file that it came from.
    """

    arrays: dict[str, Array]
    meta: dict[str, Any]
    path: Path


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return the name of the checkpoint of a step: ``step-00001000.safetensors``."""
    return folder / f"step-{step:08d}.safetensors"


def save(path: Path, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : Path
        See `checkpoint_path`. A file of that name is replaced.
    arrays : mapping of str to array
        NumPy arrays of any shape, contiguous or not; real floats, integers or booleans.
    meta : mapping
        What JSON can hold: text, numbers, booleans, and lists and string-keyed mappings of them.

    Raises
    ------
    DTypeError
        An array of another dtype, by name.
    CheckpointError
        `meta` is not JSON, or the file cannot be written (a full disk: with what was needed and what there is);
        other checkpoints, and an older one of that name, are untouched.
    """
    from safetensors.numpy import save as to_bytes

    plain: dict[str, Array] = {}
    for name, array in arrays.items():
        if array.dtype.name not in _DTYPES.values():
            raise DTypeError(f"checkpoint array {name} is {array.dtype}, expected one of {', '.join(_DTYPES.values())}")
        plain[name] = array.astype(array.dtype.newbyteorder("="), order="C", copy=False)
    try:
        text = json.dumps(dict(meta))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"the meta of {path.name} cannot be saved as JSON: {error}") from error
    record = {"format": FORMAT, "npgan": __version__, "meta": text}
    record["digest"] = _digest(record, plain)
    write_atomically(path, to_bytes(plain, {_KEY: json.dumps(record)}))


def load(path: str | Path) -> Checkpoint:
    """Read a checkpoint. The header is checked against the file's size before any array is made.

    Raises
    ------
    CheckpointError
        The file is missing, truncated, damaged, not a checkpoint of npgan's, or written by a newer npgan.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    _check_size(path)
    try:
        with safe_open(path, framework="np") as file:
            record = _record(path, (file.metadata() or {}).get(_KEY))
            for name in file.keys():  # noqa: SIM118 - not a dict: it has no other way to list them
                dtype = file.get_slice(name).get_dtype()
                if dtype not in _DTYPES:
                    raise CheckpointError(f"{path}: array {name} has dtype {dtype}, which npgan never saves")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except (SafetensorError, ValueError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if _digest(record, arrays) != record["digest"]:
        raise _damaged(path, "its content does not match its checksum")
    try:
        meta = json.loads(record["meta"])
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its meta is not JSON ({error})") from error
    if not isinstance(meta, dict):
        raise _damaged(path, "its meta is not a mapping")
    return Checkpoint(arrays, meta, path)


def latest(folder: Path) -> tuple[Checkpoint, list[str]]:
    """Load the newest checkpoint of a folder that is whole. Nothing is written: the run may be in progress.

    Returns
    -------
    checkpoint : Checkpoint
        The one with the highest step in its name that can be trusted.
    warnings : list of str
        A sentence for each newer one that could not.

    Raises
    ------
    CheckpointError
        There is none, with what was found; or the newest was written by a newer npgan.
    """
    # A run in progress removes its oldest while we look: if we missed them all, newer ones have come.
    for _ in range(3):
        warnings: list[str] = []
        vanished = False
        for _, path in sorted(_listing(folder), reverse=True):
            try:
                return load(path), warnings
            except _NewerFormatError:
                raise
            except CheckpointError as error:
                if path.exists():
                    warnings.append(f"passed over a checkpoint: {error}")
                vanished |= not path.exists()
        if not vanished:
            break
    if warnings:
        raise CheckpointError(f"{folder} has no checkpoint that can be used: " + "; ".join(warnings))
    raise CheckpointError(f"{folder} has no checkpoint yet: the run stopped before its first; --resume begins it")


def prune(folder: Path, keep: int, step: int) -> None:
    """Remove old checkpoints after one was saved or loaded; only for the holder of the run's lock.

    Parameters
    ----------
    folder : Path
        The checkpoints of a run.
    keep : int
        How many to keep, at least 1: those of `step` and before, newest first.
    step : int
        The step that was just saved or resumed from. Later ones are removed: `latest` found them damaged.

    Raises
    ------
    CheckpointError
        A file cannot be removed.
    """
    found = sorted(_listing(folder))
    old = [path for at, path in found if at <= step][: -max(keep, 1)]
    later = [path for at, path in found if at > step]
    torn = [
        path
        for path in _entries(folder)
        if _NAME.fullmatch(path.name.removesuffix(TEMPORARY)) and path.suffix == TEMPORARY
    ]
    for path in [*torn, *later, *old]:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CheckpointError(f"cannot remove {path}: {error.strerror or error}") from error


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise CheckpointError(f"cannot read {folder}: {error.strerror or error}") from error


def _listing(folder: Path) -> Iterable[tuple[int, Path]]:
    for path in _entries(folder):
        match = _NAME.fullmatch(path.name)
        if match:
            yield int(match[1]), path


def _check_size(path: Path) -> None:
    """Refuse a header that no checkpoint has, and arrays that this machine cannot hold (sparse files are free)."""
    try:
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    if header > _MAX_HEADER:
        raise _damaged(path, f"its header claims {size_text(header)}")
    if size > _machine_memory():
        raise CheckpointError(
            f"{path} has {size_text(size)}, more than this machine's {size_text(_machine_memory())} of memory"
        )


def _machine_memory() -> int:
    """Return the bytes of memory that this machine has; where it does not tell, more than any file has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 63


def _record(path: Path, text: str | None) -> dict[str, Any]:
    """Return the checked ``npgan`` entry of the metadata."""
    if text is None:
        raise CheckpointError(f"{path} is a safetensors file, but not a checkpoint of npgan's")
    record = json.loads(text)
    if not isinstance(record, dict) or not isinstance(record.get("format"), int):
        raise _damaged(path, "it does not tell its format")
    if record["format"] > FORMAT:
        raise _NewerFormatError(
            f"{path} has format {record['format']}, written by npgan {record.get('npgan')}; this is npgan "
            f"{__version__}, which reads up to {FORMAT}: install a newer npgan"
        )
    if not all(isinstance(record.get(field), str) for field in ("npgan", "meta", "digest")):
        raise _damaged(path, "its metadata is incomplete")
    return record


def _digest(record: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    """Return the BLAKE2b digest of everything in a checkpoint, independent of how the file is laid out."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([record["format"], record["npgan"], record["meta"]]).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(json.dumps([name, array.dtype.name, array.shape]).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(f"{path} is not a whole checkpoint ({why}); use an older one, or remove it")
