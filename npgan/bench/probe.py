"""What must be measured in a fresh process: ``python -m npgan.bench.probe WHAT ...`` prints one line of JSON."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from npgan.backend.base import Backend
from npgan.errors import NpganError

_TIMEOUT = 600.0  # seconds


class ProbeError(NpganError):
    """A fresh process failed."""


def ask(*arguments: str, environment: dict[str, str] | None = None) -> Any:
    """Run this module in a fresh process and return what it printed.

    Raises
    ------
    ProbeError
        It failed; the message is the last line of its standard error.
    """
    command = [sys.executable, "-m", "npgan.bench.probe", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise ProbeError(f"{' '.join(arguments[:2])} took more than {_TIMEOUT:.0f} s in a fresh process") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ProbeError(lines[-1] if lines else f"a fresh process ended with exit code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def _import() -> float:
    """Return the seconds of ``import npgan``, in a process that this one starts: here it is imported already."""
    code = "import time; start = time.perf_counter(); import npgan; print(time.perf_counter() - start)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def _startup(recipe: str, out: str, since: str, backend: str = "cpu") -> float:
    """Return the seconds from `since`, before this process was started, to the end of the first training step."""
    import npgan

    ended: list[float] = []

    def stop(step: int, metrics: dict[str, float], experiment: object) -> bool:
        ended.append(time.time())
        return True

    npgan.train(recipe, steps=2, backend=backend, quiet=True, out=Path(out), callbacks=[stop])
    return ended[0] - float(since)


def _memory(contestant: str, gan: str, batch: str, where: str = "cpu") -> int:
    """Return the peak of resident bytes in a training step, above what the process has with all libraries in use.

    On a GPU: the bytes of its memory that are taken, by allocators too that keep what they do not use.

    A step of a narrow network first loads and compiles everything. Then the networks are made, so their weights count.
    """
    from dataclasses import replace

    from npgan.backend import get_backend
    from npgan.bench.gans import GANS
    from npgan.bench.steps import step_makers
    from npgan.bench.torch_contestants import TorchStep
    from npgan.recipes import RECIPES

    full = next(each for each in GANS if each.name == gan)
    width = next(name for name in ("channels", "width") if name in RECIPES[full.recipe].settings["model"])
    small, backend = replace(full, model=((width, 16),)), get_backend(where)
    step_makers(small, 2, "float32", backend)[contestant]().run()
    gc.collect()
    on_gpu = backend.name == "gpu"
    base = _taken(backend, contestant) if on_gpu else _resident()
    step = step_makers(full, int(batch), "float32", backend)[contestant]()
    if isinstance(step, TorchStep):
        step.let_go()
        gc.collect()
    for _ in range(2):
        step.run()
    return (_taken(backend) if on_gpu else _peak()) - base


def _taken(backend: Backend, contestant: str = "") -> int:
    """Return the bytes of the GPU's memory that are taken; where a contestant is named, after its allocator let go."""
    if contestant in ("PyTorch", "NHWC", "compile"):
        import_module("torch").cuda.empty_cache()
    elif contestant:
        backend.xp.get_default_memory_pool().free_all_blocks()
    free, total = backend.xp.cuda.runtime.memGetInfo()
    return int(total - free)


def _resident() -> int:
    """Return the bytes that are resident now, and begin to measure the peak anew, where the system can do that."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    return _peak()


def _peak() -> int:
    """Return the most bytes that were resident."""
    with suppress(OSError):
        return _status("VmHWM")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


if __name__ == "__main__":
    probes: dict[str, Callable[..., float]] = {"import": _import, "startup": _startup, "memory": _memory}
    print(json.dumps(probes[sys.argv[1]](*sys.argv[2:])))
