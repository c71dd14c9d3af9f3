"""How kernels are compiled: numba, without the GIL, cached between processes.

numba's own cache lies beside the source (a read-only install has no cache then) and does not notice an edited
helper in another file. So the cache goes into the user's cache directory, in a folder named by a hash of every
kernel's source and of the versions that shape the machine code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar, cast

import numba
from numba.core import config

from npgan.backend.blas import blas
from npgan.backend.cache import cache_root

F = TypeVar("F", bound=Callable[..., Any])

# Contraction to fused multiply-adds and reassociation (vector sums) are wanted; "nnan" and "ninf" are not: a NaN
# must come out as a NaN.
_FASTMATH = {"contract", "reassoc", "nsz", "arcp"}


@lru_cache(maxsize=1)
def kernel_cache() -> Path:
    """Return the directory of compiled kernels for exactly these sources and versions."""
    # Which BLAS there is decides how compiled code calls it.
    digest = hashlib.sha256(f"{numba.__version__} {numba.__file__} {blas().kind}".encode())
    package = Path(__file__).parents[1]
    for source in [*sorted((package / "kernels").rglob("*.py")), Path(__file__)]:
        digest.update(source.relative_to(package).as_posix().encode() + b"\0" + source.read_bytes())
    return cache_root() / "kernels" / digest.hexdigest()[:16]


def keeps_kernels() -> bool:
    """Return whether compiled kernels can be kept for the next process."""
    return _writable(kernel_cache())


def kernel(function: F) -> F:
    """Compile `function` when it is first called, for the types it is called with."""
    return _compiled(function, fastmath=_FASTMATH)


def exact(function: F) -> F:
    """Compile as `kernel`, but every operation as it is written: the same bits in a vector and alone."""
    # Said, and not left to the default: what says nothing takes the setting of the kernel that it is compiled for.
    return _compiled(function, fastmath=False)


def _compiled(function: F, **options: Any) -> F:
    # What a kernel calls goes into it whole. Otherwise each compiled file has a copy, and calls go to the copy that
    # was loaded first: another one in a run that compiles than in the next, and its sums may be rounded otherwise.
    # Also, a loop around a call is not turned into vector instructions.
    settings: Any = config
    before = settings.CACHE_DIR
    cache = keeps_kernels()
    try:
        # numba reads this once, when the function is wrapped; the user's own functions keep their setting.
        settings.CACHE_DIR = str(kernel_cache())
        compiled: Any = numba.njit(nogil=True, cache=cache, error_model="numpy", forceinline=True, **options)(function)
    finally:
        settings.CACHE_DIR = before
    return cast(F, compiled)


@lru_cache(maxsize=1)
def _writable(directory: Path) -> bool:
    """Return whether compiled kernels can be kept there; numba would fall back to a cache beside the sources."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=directory):
            return True
    except OSError:
        return False
