"""How CUDA kernels are compiled and launched.

An operation's device code is ``kernels/OPERATION/gpu.cu``, what several of them share is ``kernels/cuda/*.cuh``. The
dtype and other options are macros, so a kernel is compiled once for each combination that a run uses: by NVRTC, and
CuPy keeps the result on disk between processes. CuPy also has float32 numbers below 1.2e-38 taken for 0 (``-ftz=true``,
which it always adds); nothing else is approximated.

A launch neither waits nor allocates, so that a training step can be captured as a CUDA graph: what a kernel needs
beside its arguments is made once and stays. A number that changes from step to step (a step's number, a learning rate)
may lie in device memory: see `changing`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from npgan.backend.base import Array
from npgan.errors import BackendError

SOURCES = Path(__file__).parents[1] / "kernels"
THREADS = 256
_INCLUDE = re.compile(r'^#include "(\w+\.cuh)"\n', re.MULTILINE)
_MOST = 2048  # blocks: enough to fill any GPU of today, each going round the elements
_COUNTERS = 2048  # doubles' worth of counters before the sums: see `Work` in reduce.cuh

_REALS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


def source(operation: str) -> str:
    """Return an operation's CUDA source: of ``"conv"`` conv/gpu.cu, of ``"conv/few"`` conv/few.cu.

    Headers of npgan's own are copied into it, so that a cache that goes by the source sees a change in them.
    """
    folder, _, file = operation.partition("/")
    seen: set[Path] = set()

    def include(match: re.Match[str]) -> str:
        path = next(SOURCES / place / match[1] for place in (folder, "cuda") if (SOURCES / place / match[1]).exists())
        if path in seen:
            return ""
        seen.add(path)
        return _INCLUDE.sub(include, path.read_text(encoding="utf-8")).replace("#pragma once\n", "")

    return _INCLUDE.sub(include, (SOURCES / folder / f"{file or 'gpu'}.cu").read_text(encoding="utf-8"))


def flags(dtype: Any, options: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the compiler's options: REAL is the dtype, `options` are macros such as ``"TILE=16"``."""
    return ("-std=c++17", f"-DREAL={_REALS[np.dtype(dtype)]}", *(f"-D{option}" for option in options))


@cache
def _headers() -> tuple[str, ...]:
    """Return where CUDA 12's wheels have the header of the tensor cores: not beside CUDA's others, where CuPy looks."""
    nvidia = find_spec("nvidia")
    places = [Path(place, "cuda_nvcc", "include") for place in (nvidia and nvidia.submodule_search_locations) or ()]
    return tuple(f"-I{place}" for place in places if (place / "crt").is_dir())


@cache
def module(operation: str, dtype: Any, options: tuple[str, ...] = ()) -> Any:
    """Return an operation's kernels for a dtype and options, compiled when the first of them is asked for."""
    import cupy

    return cupy.RawModule(code=source(operation), options=(*flags(dtype, options), *_headers()))


@cache
def kernel(operation: str, name: str, dtype: Any, *options: str) -> Any:
    """Return one compiled kernel: ``kernel("bias", "forward", y.dtype)``, with macros as `flags` takes them.

    Raises
    ------
    BackendError
        CUDA's compiler is missing, or a header of CUDA's.
    """
    try:
        return module(operation, dtype, options).get_function(name)
    except Exception as error:  # whatever CuPy makes of it
        said = str(error)
        if "cannot open source file" in said:
            what = f"a header of CUDA's is missing ({said.strip().splitlines()[0]})"
        elif "nvrtc" in said.lower() and not type(error).__name__.startswith("Compile"):
            what = f"CUDA's compiler, NVRTC, cannot be loaded ({said})"
        else:
            raise
        raise BackendError(
            f"{what}; install the parts of CUDA that CuPy needs: pip install 'npgan[gpu-cuda13]' or 'npgan[gpu-cuda12]'"
        ) from None


def launch(
    kernel: Any, blocks: int | tuple[int, ...], threads: int | tuple[int, ...], *arguments: Any, shared: int = 0
) -> None:
    """Launch a kernel on the current stream.

    Parameters
    ----------
    kernel : compiled kernel
        See `kernel`.
    blocks, threads : int or tuple of int
        The grid, and a block of it.
    *arguments : array, bool, int, float or None
        As the kernel declares them: a pointer (null for None), ``long long`` or ``double``. Arrays are in one piece.
    shared : int
        Bytes of dynamic shared memory.
    """
    kernel(
        blocks if isinstance(blocks, tuple) else (blocks,),
        threads if isinstance(threads, tuple) else (threads,),
        tuple([_argument(each) for each in arguments]),
        shared_mem=shared,
    )


def _argument(value: Any) -> Any:
    kind = type(value)
    if kind is int or kind is float:
        return value
    if value is None:
        return 0
    if kind is bool:
        return int(value)
    if not value.flags.c_contiguous:
        raise ValueError(f"an array of shape {value.shape} for a CUDA kernel is not in one piece")
    return value


def changing(number: Any) -> tuple[float, int]:
    """Return two arguments for a kernel's ``number(value, at)``: a Python number, or where it lies on the device.

    What differs between the replays of a captured step is an object whose `pointer` is the address of a float64 in
    device memory (`Live` in recording.py), or a float64 array of shape () that a kernel made.
    """
    if isinstance(number, float | int):
        return float(number), 0
    pointer: int | None = getattr(number, "pointer", None)
    if pointer is None and hasattr(number, "__cuda_array_interface__"):
        if number.dtype != np.float64 or number.shape:
            raise ValueError(f"an array {number.shape} of {number.dtype} is no number that a kernel can read")
        pointer = number.data.ptr
    return (float(number), 0) if pointer is None else (0.0, pointer)


def blocks(elements: int) -> int:
    """Return the blocks of `THREADS` threads for a kernel that goes round the elements, some 4 each."""
    return min(_MOST, -(-elements // (4 * THREADS)) or 1)


def sum_blocks(elements: int) -> int:
    """Return the blocks of `THREADS` threads for a sum over the elements: one where that takes no longer."""
    return min(512, -(-elements // (16 * THREADS)) or 1)


@cache
def group_grid(groups: int, rows: int, columns: int, itemsize: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the grid and the block of a kernel that makes its sums by `group_sums` in reduce.cuh.

    Parameters
    ----------
    groups, rows, columns : int
        G, R, C: for each group and column, a sum over the rows.
    itemsize : int
        Bytes of an element; a thread takes 16 bytes of a row where the columns are a multiple of that.
    """
    wide = 16 // itemsize
    threads = columns // wide if columns % wide == 0 else columns
    x = THREADS if threads >= 8192 else min(32, 1 << (threads - 1).bit_length())
    y = THREADS // x
    tiles = groups * -(-threads // x)
    parts = max(1, min(-(-rows // (4 * y)), 1024 // tiles, 256))
    return (tiles, parts), (x, y)


_works: dict[int, Array] = {}
_kept: list[Array] = []  # memory that captured graphs may have written down


def block_sums(sums: int) -> Array:
    """Return memory for so many float64 sums of a launch's blocks, behind counters that are 0: `Work` in reduce.cuh.

    There is one for each stream, whose launches come one after the other; when it grows, the old one stays where it is,
    as a captured graph may use it.
    """
    import cupy

    stream = cupy.cuda.get_current_stream().ptr
    work = _works.get(stream)
    if work is None or work.size < _COUNTERS + sums:
        if work is not None:
            _kept.append(work)
        work = _works[stream] = cupy.zeros(_COUNTERS + max(2 * sums, 1 << 16), np.float64)
    return work


def scalar() -> Array:
    """Return memory for one float64, an array of shape (): what a kernel returns that returns a float elsewhere.

    It is the caller's, but one that is made while a stream captures is never given back: the graph writes to it
    whenever it is launched.
    """
    import cupy

    made: Array = cupy.empty((), np.float64)
    if cupy.cuda.get_current_stream().is_capturing():
        _kept.append(made)
    return made


def forget() -> None:
    """Forget what was compiled and allocated: for tests, which change one CuPy for another."""
    from npgan.backend import products

    products._cublas.cache_clear()
    module.cache_clear()
    kernel.cache_clear()
    _works.clear()
    _kept.clear()
