"""How many cores this process may keep busy: those it may run on, and those that its container is given time on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable_cores(root: Path = Path("/")) -> int:
    """Return the number of cores that this process may use, at least 1.

    It is the least of the cores that the scheduler may put it on (`taskset`, a batch system, a container's cpuset) and
    of the processor time that its control groups get, in whole cores: a container with a limit of 1.5 cores sees
    all cores of its host, and a second thread would be stopped for half of the time while the first waits for it.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are; for tests.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([float(count), *_quotas(root)])))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the limits of this process's control groups, and of those around them, in cores."""
    mount = root / "sys" / "fs" / "cgroup"
    for line in _read(root / "proc" / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        # Inside a container the path may be the host's: then only the topmost of these folders is there.
        groups = [Path(str(group).lstrip("/")) for group in (PurePosixPath(path), *PurePosixPath(path).parents)]
        if not controllers:  # version 2
            limits = (_read(mount / group / "cpu.max").split() for group in groups)
        elif "cpu" in controllers.split(","):  # version 1
            folders = [mount / name / group for name in dict.fromkeys((controllers, "cpu")) for group in groups]
            limits = (
                [_read(folder / f"cpu.cfs_{what}_us").strip() for what in ("quota", "period")] for folder in folders
            )
        else:
            continue
        for limit in limits:
            if len(limit) == 2 and all(number.isdecimal() for number in limit) and int(limit[1]):  # "max", -1: none
                yield int(limit[0]) / int(limit[1])


def _read(path: Path) -> str:
    """Return what a file holds; nothing where it cannot be read, as on other systems than Linux."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
