"""What this machine is and can do: versions, the roofline, and the control."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np

from npgan.backend.base import Backend
from npgan.backend.threads import thread_count
from npgan.bench.timing import TURN, interleaved

_PACKAGES = ("numpy", "numba", "scipy", "scipy-openblas32", "torch", "jax", "cupy-cuda12x", "cupy-cuda13x")
_SIZES = ((1024, 1024, 1024), (2048, 1024, 1024), (4096, 512, 1024))  # of products; the fastest is the peak
_COPY = 1 << 27  # bytes: far more than any cache
_ON_GPU = 8192, 1 << 31  # the side of its products and the bytes of its copy, where it has multiprocessors to fill
_CONTROL = 512


def about(backend: Backend, command: str) -> dict[str, Any]:
    """Return what a reader of the figures must know."""
    from npgan.training.folder import environment

    found = environment(backend)
    keys = ("python", "system", "machine", "cpu")
    return {
        "npgan": found["npgan"],
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {**{key: found[key] for key in keys if key in found}, "cores": os.cpu_count()},
        "backend": backend.describe(),
        "threads": thread_count(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def control() -> Callable[[], object]:
    """Return the fixed work: one product of NumPy's, whatever npgan becomes."""
    a, b = np.random.default_rng(0).normal(size=(2, _CONTROL, _CONTROL)).astype(np.float32)
    out = np.empty_like(a)
    return lambda: np.matmul(a, b, out=out)


def roofline(backend: Backend, rounds: int) -> dict[str, float]:
    """Measure the peaks, in float32 (products in what the backend computes in).

    Returns
    -------
    dict
        ``gemm``: operations a second of npgan's own matrix product at its best size; ``copy``: bytes a second of a
        copy by all threads, read and written. Each is the best round's, as a peak is.
    """
    draw = np.random.default_rng(0)
    calls: dict[str, Callable[[], object]] = {}
    sizes: tuple[tuple[int, int, int], ...] = _SIZES
    nbytes = _COPY
    if backend.name == "gpu" and backend.xp.cuda.runtime.getDeviceProperties(0)["multiProcessorCount"] >= 16:
        side, nbytes = _ON_GPU
        sizes = ((side, side, side), (2 * side, side, side // 2))
    for m, n, k in sizes:
        x, w = (backend.asarray(draw.normal(size=size).astype(np.float32)) for size in ((m, k), (k, n)))
        y = backend.empty((m, n), np.float32)
        calls[f"{m} {n} {k}"] = _waiting(backend, partial(backend.kernels.dense.forward, y, x, w))
    for call in calls.values():
        call()
    seconds = interleaved(calls, rounds, turn=TURN / 2)
    gemm = max(2.0 * np.prod([int(n) for n in size.split()]) / min(found) for size, found in seconds.items())
    copy = _copying(backend, nbytes)
    copy()
    return {"gemm": float(gemm), "copy": 2.0 * nbytes / min(interleaved({"copy": copy}, rounds)["copy"])}


def _waiting(backend: Backend, call: Callable[[], object]) -> Callable[[], object]:
    def whole() -> None:
        call()
        backend.synchronize()

    return whole


def _copying(backend: Backend, nbytes: int) -> Callable[[], object]:
    source, target = (backend.zeros((nbytes // 4,), np.float32) for _ in range(2))
    if backend.xp is not np:
        return _waiting(backend, lambda: backend.xp.copyto(target, source))
    threads = thread_count()
    pool = ThreadPoolExecutor(threads)
    parts = [slice(len(source) * t // threads, len(source) * (t + 1) // threads) for t in range(threads)]
    return lambda: list(pool.map(lambda part: np.copyto(target[part], source[part]), parts))
