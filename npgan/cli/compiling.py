"""What a command says while kernels are compiled: only what it needs is, and only where the cache does not have it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from npgan.cli.output import say

_KERNELS = "npgan.kernels."


@contextmanager
def compilation_announced(*, quiet: bool = False, error: bool = False) -> Iterator[None]:
    """Say what is compiled while in the block: a line when the first kernel is, and one for each file of kernels.

    Parameters
    ----------
    quiet : bool
        Say nothing.
    error : bool
        On standard error.
    """
    if quiet:
        yield
        return
    from numba.core.event import Listener, install_listener

    class Announcer(Listener):
        def __init__(self) -> None:
            self.said: set[str] = set()

        def on_start(self, event: Any) -> None:
            module = event.data["dispatcher"].py_func.__module__ or ""
            if not module.startswith(_KERNELS):  # a user's own function
                return
            operation, _, part = module.removeprefix(_KERNELS).partition(".")
            name = operation if part in ("", "cpu") else f"{operation}, {part.removeprefix('cpu_')}"
            if not self.said:
                say(_first_line(), error=error)
            if name not in self.said:
                self.said.add(name)
                say(f"  {name}", error=error)

        def on_end(self, event: Any) -> None:
            pass

    with install_listener("numba:compile", Announcer()):
        yield


def _first_line() -> str:
    from npgan.backend.cache import cache_root
    from npgan.backend.compile import keeps_kernels

    if keeps_kernels():
        return "compiling the kernels that this needs; later runs find them in the cache and start at once:"
    return (
        f"compiling the kernels that this needs; they cannot be kept in {cache_root()}, so every run will "
        "(NPGAN_CACHE_DIR names another place):"
    )
