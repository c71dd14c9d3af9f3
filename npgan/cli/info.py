"""``npgan info``: what this machine has and lacks, for a user and for a bug report."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from npgan.cli.options import Debug, Json
from npgan.cli.output import say, say_json, say_table

# What is looked up; the last column is who needs those that an installation can lack.
_PACKAGES = (
    *("numpy", "numba", "llvmlite", "scipy", "scikit-learn", "pillow", "matplotlib"),
    *("safetensors", "tensorboardX", "typer", "rich"),
)
_CUPY = ("cupy", "cupy-cuda12x", "cupy-cuda13x")
_EXTRAS = {"pytest": ("running the tests", "test"), "hypothesis": ("running the tests", "test")}


def info(as_json: Json = False, debug: Debug = False) -> None:
    """Show versions, backends, BLAS, threads, caches, and what is missing."""
    found = collect()
    if as_json:
        say_json(found)
        return
    blas = found["blas"]
    say_table(
        [
            ("npgan", f"{found['npgan']} in {found['location']}"),
            ("python", f"{found['python']} on {found['system']} {found['machine']}"),
            ("cpu", f"{found['cpu']}, {found['cores']} cores, {found['usable_cores']} of them for this process"),
            ("threads", f"{found['threads']} ({found['threads_why']})"),
            ("products", f"{found['products']['name']}, core {found['products']['core']} ({found['products']['why']})"),
            (
                "BLAS",
                "NumPy's: " + ", ".join(f"{'' if key == 'name' else f'{key} '}{value}" for key, value in blas.items())
                or "unknown",
            ),
        ]
    )
    say("\npackages")
    say_table([(name, version or "not installed") for name, version in found["packages"].items()], indent="  ")
    say("\nbackends")
    say_table(
        [(name, _backend_text(backend)) for name, backend in found["backends"].items()],
        indent="  ",
    )
    say("\ncaches (safe to remove)")
    say_table([(name, _cache_text(cache)) for name, cache in found["caches"].items()], indent="  ")
    say("\nmissing" if found["missing"] else "\nnothing is missing")
    if found["missing"]:
        say_table([(each["what"], f"for {each['for']}: {each['install']}") for each in found["missing"]], indent="  ")


def _backend_text(backend: dict[str, Any]) -> str:
    if not backend["available"]:
        return f"not available: {backend['reason']}"
    return ", ".join(f"{key} {value}" for key, value in backend["description"].items())


def _cache_text(cache: dict[str, Any]) -> str:
    from npgan.backend.sizes import size_text

    return f"{cache['path']} ({size_text(cache['bytes']) if cache['exists'] else 'not there yet'})"


def collect() -> dict[str, Any]:
    """Return all that the command shows, for JSON."""
    import npgan
    from npgan.backend import get_backend
    from npgan.backend.blas import blas
    from npgan.backend.compile import kernel_cache
    from npgan.backend.cores import usable_cores
    from npgan.backend.threads import thread_count
    from npgan.data.download import cache_folder
    from npgan.training.folder import environment

    about = environment(get_backend("cpu"))
    packages = {name: _version(name) for name in _PACKAGES}
    packages["cupy"] = next(filter(None, map(_version, _CUPY)), None)
    gpu = _gpu()
    return {
        **{key: about[key] for key in ("npgan", "python", "system", "machine", "cpu")},
        "location": str(Path(npgan.__file__).parent),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "threads": thread_count(),
        "threads_why": "NPGAN_THREADS is set" if "NPGAN_THREADS" in os.environ else "the cores for this process",
        "blas": _blas(),
        "products": asdict(blas()),
        "packages": packages,
        "backends": {
            "cpu": {"available": True, "description": {"NumPy": packages["numpy"], "numba": packages["numba"]}},
            "gpu": gpu,
            **({f"gpu:{name}": _gpu(name) for name in ("tf32", "bf16")} if gpu["available"] else {}),
        },
        "caches": {"kernels": _cache(kernel_cache()), "data sets": _cache(cache_folder("").parent / "data")},
        "missing": _missing(packages["cupy"] is None),
    }


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpu(compute: str | None = None) -> dict[str, Any]:
    from npgan.backend import get_backend

    try:
        if compute:  # what differs from "gpu"
            return {"available": True, "description": {"compute": get_backend(f"gpu:{compute}").describe()["compute"]}}
        return {"available": True, "description": get_backend("gpu").describe()}
    except Exception as error:  # a broken CuPy can raise anything, and this command is there to show it
        return {"available": False, "reason": str(error) or type(error).__name__}


def _blas() -> dict[str, Any]:
    """Return name, version, core and threads of NumPy's BLAS, as far as it tells."""
    from npgan.backend.cpu import numpy_blas

    found = numpy_blas()
    names = {"internal_api": "name", "version": "version", "architecture": "core", "num_threads": "threads"}
    return {name: found[key] for key, name in names.items() if found.get(key) is not None}


def _cache(path: Path) -> dict[str, Any]:
    size = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                size += os.lstat(os.path.join(folder, name)).st_size
            except OSError:  # removed meanwhile
                continue
    return {"path": str(path), "exists": os.path.isdir(path), "bytes": size}


def _missing(no_cupy: bool) -> list[dict[str, str]]:
    missing = []
    if no_cupy:
        install = "pip install 'npgan[gpu-cuda13]' (CUDA 13 driver) or 'npgan[gpu-cuda12]' (CUDA 12 driver)"
        missing.append({"what": "cupy", "for": "--backend gpu", "install": install})
    for package, (purpose, extra) in _EXTRAS.items():
        if _version(package) is None:
            missing.append({"what": package, "for": purpose, "install": f"pip install 'npgan[{extra}]'"})
    return missing
