"""One process at a time writes a run: a lock of the operating system, which falls with the process however it ends."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from types import TracebackType

from npgan.errors import CheckpointError, RunLockedError

LOCK_NAME = ".lock"

if sys.platform == "win32":
    import msvcrt

    # Locked bytes cannot be read on Windows, and others want to read who holds it: lock one far behind the text.
    _LOCKED_BYTE = 1 << 30

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class RunLock:
    """The lock of a run folder, held from construction to `release`, or to the end of a ``with`` block.

    The file ``.lock`` stays when it is released: removing it would let two processes lock two files of that name.

    Parameters
    ----------
    folder : Path
        The run folder, which exists.

    Raises
    ------
    RunLockedError
        It is in use; the message names the process and its host.
    CheckpointError
        The file cannot be written, or the file system knows no locks.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK_NAME
        self._descriptor: int | None = None
        descriptor = None
        try:
            # A link under that name would have us write the process id into somebody's file.
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            descriptor = os.open(self.path, flags, 0o666)
            if not _try_lock(descriptor):
                raise RunLockedError(
                    f"the run {folder} is in use by {_holder(descriptor)}; wait for it to end, or stop it"
                )
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode())
        except BaseException as error:
            if descriptor is not None:
                os.close(descriptor)
            if isinstance(error, OSError):
                raise CheckpointError(f"cannot lock the run {folder}: {error.strerror or error}") from error
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others in; does nothing when that was done before."""
        if self._descriptor is None:
            return
        # A child that was forked meanwhile shares the open file: closing ours alone would leave it locked.
        if sys.platform != "win32":
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)
        self._descriptor = None

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def _holder(descriptor: int) -> str:
    """Return who wrote the lock file: ``"process 4242 on host alpha"``."""
    pid, _, host = os.read(descriptor, 400).decode(errors="replace").strip().partition(" ")
    if not pid.isdigit() or not host:
        return "another process"
    return f"process {pid} on host {host}"
