"""The table of kernels: one folder an operation, three versions in it.

`reference` is plain NumPy, written to be read and to be differentiated by the complex step: it is the oracle.
`cpu` is numba. `gpu` is CuPy; until an operation has a version of its own there, the reference runs on CuPy's
arrays, since NumPy's functions dispatch on them. The versions of an operation share names, signatures and
defaults, and a test holds them to it.

Only a backend makes a table, and an operation is imported when it is first asked for, so a run compiles only
what it uses.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


class Kernels:
    """The operations of one backend, as attributes: ``kernels.conv.forward(y, x, w, ...)``."""

    def __init__(self, version: str) -> None:
        self.version = version

    def __getattr__(self, operation: str) -> ModuleType:
        if operation.startswith("_") or find_spec(f"npgan.kernels.{operation}") is None:
            raise AttributeError(f"there is no operation {operation!r} in npgan.kernels")
        name = f"npgan.kernels.{operation}.{self.version}"
        if self.version == "gpu" and find_spec(name) is None:
            name = f"npgan.kernels.{operation}.reference"
        module = import_module(name)
        setattr(self, operation, module)
        return module
