"""How kernels are compiled: numba, without the GIL, cached between processes.

numba's own cache lies beside the source (a read-only install has no cache then) and does not notice an edited
helper in another file. So the cache goes into the user's cache directory, in a folder named by a hash of every
kernel's source and of the versions that shape the machine code.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import config
from platformdirs import user_cache_dir

F = TypeVar("F", bound=Callable[..., Any])

# Contraction to fused multiply-adds and reassociation (vector sums) are wanted; "nnan" and "ninf" are not: a NaN
# must come out as a NaN.
_FASTMATH = {"contract", "reassoc", "nsz", "arcp"}


def cache_root() -> Path:
    """Return npgan's cache directory: ``NPGAN_CACHE_DIR``, or the user's."""
    return Path(os.environ.get("NPGAN_CACHE_DIR") or user_cache_dir("npgan"))


@lru_cache(maxsize=1)
def kernel_cache() -> Path:
    """Return the directory of compiled kernels for exactly these sources and versions."""
    digest = hashlib.sha256(f"{numba.__version__} {numba.__file__}".encode())
    package = Path(__file__).parents[1]
    for source in [*sorted((package / "kernels").rglob("*.py")), Path(__file__)]:
        digest.update(source.relative_to(package).as_posix().encode() + b"\0" + source.read_bytes())
    return cache_root() / "kernels" / digest.hexdigest()[:16]


def kernel(function: F) -> F:
    """Compile `function` when it is first called, for the types it is called with."""
    settings: Any = config
    before = settings.CACHE_DIR
    compiled: Any
    try:
        # numba reads this once, when the function is wrapped; the user's own functions keep their setting.
        settings.CACHE_DIR = str(kernel_cache())
        compiled = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=_FASTMATH)(function)
    except RuntimeError:  # no directory that can be written: compile without a cache
        compiled = numba.njit(nogil=True, error_model="numpy", fastmath=_FASTMATH)(function)
    finally:
        settings.CACHE_DIR = before
    return cast(F, compiled)
