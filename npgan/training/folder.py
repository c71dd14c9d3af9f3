"""The folder of a run: where each thing lies, its ``config.toml``, and how a file gets there whole or not at all."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npgan._version import __version__
from npgan.backend.base import Backend
from npgan.backend.sizes import size_text
from npgan.errors import CheckpointError, ConfigError
from npgan.training.lock import RunLock

TEMPORARY = ".tmp"
_MAX_CONFIG = 1 << 20  # bytes; a written-out config has a few thousand


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader, a crash or a power cut sees the old content or the new one, never a part.

    The data go to ``NAME.tmp`` beside it, are flushed to the disk, and take the name in one step. The caller is the
    only one who writes that file (a run folder is locked).

    Raises
    ------
    CheckpointError
        It cannot be written; the old file is as it was and the temporary one is gone.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        temporary.unlink(missing_ok=True)
        # "x" never follows a link that somebody left under that name.
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise CheckpointError(_cannot_write(path, len(data), error)) from error
        raise
    _sync_directory(path.parent)


def _cannot_write(path: Path, needed: int, error: OSError) -> str:
    """Return the message for a failed write: what, why, how much was needed and how much there is."""
    room = f"needs {size_text(needed)}"
    with suppress(OSError):
        room += f", {size_text(shutil.disk_usage(path.parent).free)} free"
    return (
        f"cannot write {path} ({room}): {error.strerror or error}. What was there before is untouched; "
        "make room or make the folder writable, and try again"
    )


def _sync_directory(path: Path) -> None:
    """Flush a rename to the disk, on systems where a directory can be flushed."""
    if sys.platform == "win32":
        return
    # The file is in place already; a file system that cannot do this has not lost it.
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class RunFolder:
    """``runs/NAME/`` of one run.

    Attributes
    ----------
    path : Path
        The folder.
    config_path, metrics_path, loss_plot_path : Path
        ``config.toml``, ``metrics.jsonl`` and ``losses.png``.
    samples, checkpoints, events : Path
        The sub-folders of pictures, of checkpoints and of TensorBoard's events.
    """

    path: Path

    @property
    def config_path(self) -> Path:  # noqa: D102
        return self.path / "config.toml"

    @property
    def metrics_path(self) -> Path:  # noqa: D102
        return self.path / "metrics.jsonl"

    @property
    def loss_plot_path(self) -> Path:  # noqa: D102
        return self.path / "losses.png"

    @property
    def samples(self) -> Path:  # noqa: D102
        return self.path / "samples"

    @property
    def checkpoints(self) -> Path:  # noqa: D102
        return self.path / "checkpoints"

    @property
    def events(self) -> Path:  # noqa: D102
        return self.path / "events"

    @classmethod
    def create(cls, path: str | Path) -> RunFolder:
        """Make the folder of a new run, with its parents.

        Raises
        ------
        ConfigError
            Something is there already, other than an empty folder: a run is never written over.
        CheckpointError
            It cannot be made: a parent is a file, no permission, a full disk.
        """
        folder = cls(Path(path))
        try:
            try:
                folder.path.mkdir(parents=True)
            except FileExistsError:
                if not folder.path.is_dir() or any(folder.path.iterdir()):
                    raise ConfigError(
                        f"{path} exists already and a run is never written over; give another folder "
                        f"(--out), or go on with the run in it (--resume {path})"
                    ) from None
            folder._make_subfolders()
        except OSError as error:
            raise CheckpointError(f"cannot make the run folder {path}: {error.strerror or error}") from error
        return folder

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Return the folder of a run that exists, to resume it or to draw samples; nothing is written.

        Raises
        ------
        CheckpointError
            It is not there or not a run's, with what is missing.
        """
        folder = cls(Path(path))
        if not folder.path.exists():
            raise CheckpointError(f"{path} does not exist; expected the folder of a run, as `npgan train` makes it")
        if not folder.path.is_dir():
            raise CheckpointError(f"{path} is a file; expected the folder of a run (not a file inside it)")
        found = {"config.toml": folder.config_path.is_file(), "checkpoints/": folder.checkpoints.is_dir()}
        missing = [name for name, there in found.items() if not there]
        if missing:
            raise CheckpointError(f"{path} is not the folder of a run: it has no {' and no '.join(missing)}")
        return folder

    def lock(self) -> RunLock:
        """Lock the run for writing (see `RunLock`); sub-folders that somebody removed are made again.

        Raises
        ------
        RunLockedError
            Another process is using it.
        CheckpointError
            It cannot be written.
        """
        lock = RunLock(self.path)
        try:
            self._make_subfolders()
        except OSError as error:
            lock.release()
            raise CheckpointError(f"cannot write to the run folder {self.path}: {error.strerror or error}") from error
        return lock

    def _make_subfolders(self) -> None:
        for folder in (self.samples, self.checkpoints, self.events):
            folder.mkdir(exist_ok=True)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write ``config.toml``.

        Parameters
        ----------
        config : mapping
            Strings, numbers, booleans, lists and mappings of them. TOML has no null: a key whose value is None is
            left out, and reads back as absent. Tuples read back as lists.

        Raises
        ------
        ConfigError
            A value that TOML cannot hold, named by its key.
        CheckpointError
            The file cannot be written.
        """
        import tomli_w

        try:
            data = tomli_w.dumps(_for_toml(config, "")).encode()
        except UnicodeEncodeError as error:
            raise ConfigError(f"the config holds text that is not valid Unicode: {error.object!r}") from error
        write_atomically(self.config_path, data)

    def read_config(self) -> dict[str, Any]:
        """Return what ``config.toml`` holds; raises as `read_toml`."""
        return read_toml(self.config_path)


def _for_toml(value: Any, key: str) -> Any:
    """Return `value` without the Nones of its mappings; `key` is its dotted path."""
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise ConfigError(f"config key {f'{key}.{name}'.strip('.')} is a {type(name).__name__}, expected text")
        return {k: _for_toml(v, f"{key}.{k}".strip(".")) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_for_toml(v, f"{key}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, (str, bool, int, float)):
        return value
    raise ConfigError(
        f"config value {key} is {value!r} ({type(value).__name__}), "
        "expected text, a number, true or false, a list or a table"
    )


def read_toml(path: str | Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises
    ------
    ConfigError
        The file is missing, too large, or not TOML, with the line where it breaks.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_CONFIG + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > _MAX_CONFIG:
        raise ConfigError(f"{path} has more than {size_text(_MAX_CONFIG)}, which no config has")
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def environment(backend: Backend) -> dict[str, str]:
    """Return what decides the bits of a run beside its config: versions, machine, threads, BLAS."""
    return {
        "npgan": __version__,
        "python": platform.python_version(),
        **backend.describe(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu": _cpu_name(),
    }


def _cpu_name() -> str:
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def environment_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each thing of `environment` that is not as it was when the run was started.

    Parameters
    ----------
    old, new : mapping
        As recorded in the run's config, and as `environment` gives it now. What only one of two backends says of itself
        is passed over.
    """
    if old.get("backend", new.get("backend")) != new.get("backend"):
        shared = old.keys() & new.keys()
        old, new = ({name: value for name, value in each.items() if name in shared} for each in (old, new))
    changes = []
    for name in [*old, *(name for name in new if name not in old)]:
        was, now = old.get(name, "not recorded"), new.get(name, "not there")
        if was != now:
            changes.append(f"{name} was {was}, is {now}: the bits may differ")
    return changes
