"""Data sets that are fetched once: where their files are, how they are known to be right, where they are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from npgan.backend.cache import cache_root
from npgan.errors import DataError

TIMEOUT = 30.0
"""Seconds that a mirror may be silent."""


@dataclass(frozen=True)
class RemoteFile:
    """A published file: its name, MD5 and size in bytes."""

    name: str
    md5: str
    size: int


def cache_folder(name: str) -> Path:
    """Return where the files of the data set `name` are kept: in ``NPGAN_CACHE_DIR``, or the user's cache."""
    return cache_root() / "data" / name


def fetch(name: str, mirrors: Iterable[str], files: Iterable[RemoteFile]) -> Path:
    """Return the folder that has all `files`, each with the right checksum, downloading those that are missing.

    Parameters
    ----------
    name : str
        Of the data set, and of its folder in the cache.
    mirrors : iterable of str
        Base URLs that end in "/", tried in this order.
    files : iterable of RemoteFile
        What is needed. A file arrives under its name only when its checksum is right.

    Raises
    ------
    DataError
        No mirror gave a file with the right checksum; the message says which files to put where.
    """
    import pooch

    folder = cache_folder(name)
    files = tuple(files)
    for file in files:
        failures = []
        for mirror in mirrors:
            try:
                pooch.retrieve(
                    mirror + file.name,
                    known_hash=f"md5:{file.md5}",
                    fname=file.name,
                    path=folder,
                    downloader=partial(_download, file),
                )
                break
            except (OSError, ValueError) as error:  # requests' errors are OSErrors, a wrong checksum is a ValueError
                failures.append(f"{mirror}{file.name}: {error}")
        else:
            raise DataError(_how_to_help(name, folder, files, failures))
    return folder


def _download(file: RemoteFile, url: str, output_file: str, pooch: Any) -> None:
    from pooch import HTTPDownloader

    with Path(output_file).open("wb") as target:
        HTTPDownloader(timeout=TIMEOUT, chunk_size=2**18)(url, _Bounded(target, file), pooch)


def _how_to_help(name: str, folder: Path, files: tuple[RemoteFile, ...], failures: list[str]) -> str:
    missing = ", ".join(file.name for file in files)
    return (
        f"{name}: cannot be downloaded. Without a network, put {missing} into a folder and pass it as --data-dir, "
        f"or put them into {folder}. What was tried:\n  " + "\n  ".join(failures)
    )


class _Bounded:
    """An open file that refuses to grow beyond the size that the published file has."""

    def __init__(self, file: IO[bytes], expected: RemoteFile) -> None:
        self._file = file
        self._expected = expected
        self._left = expected.size

    def write(self, chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            raise ValueError(f"sends more than the {self._expected.size} bytes of {self._expected.name}")
        self._file.write(chunk)

    def flush(self) -> None:
        """Leave it to the file: flushing after each chunk only costs time."""
