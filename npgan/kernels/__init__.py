"""The table of kernels: one folder an operation, three versions in it.

`reference` is plain NumPy, written to be read and to be differentiated by the complex step: it is the oracle.
`cpu` is numba. `gpu` is CuPy; until an operation has a version of its own there, the reference runs on CuPy's
arrays, since NumPy's functions dispatch on them. The versions of an operation share names, signatures and
defaults, and a test holds them to it.

What a version is told by its backend, such as the precision of the products, is a keyword of its functions that the
others do not have; the table fills it in.

Only a backend makes a table, and an operation is imported when it is first asked for, so a run compiles only
what it uses.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from importlib.util import find_spec
from inspect import Parameter, isfunction, signature
from types import ModuleType


class Kernels:
    """The operations of one backend, as attributes: ``kernels.conv.forward(y, x, w, ...)``.

    Parameters
    ----------
    version : {"reference", "cpu", "gpu"}
    **told : object
        Values of keyword-only arguments, for the functions that have them.
    """

    def __init__(self, version: str, **told: object) -> None:
        self.version = version
        self._told = told

    def __getattr__(self, operation: str) -> ModuleType:
        if operation.startswith("_") or find_spec(f"npgan.kernels.{operation}") is None:
            raise AttributeError(f"there is no operation {operation!r} in npgan.kernels")
        name = f"npgan.kernels.{operation}.{self.version}"
        if self.version == "gpu" and find_spec(name) is None:
            name = f"npgan.kernels.{operation}.reference"
        module = _told(import_module(name), self._told)
        setattr(self, operation, module)
        return module


def _told(module: ModuleType, told: dict[str, object]) -> ModuleType:
    """Return a module whose functions have these keyword-only arguments filled in; itself where none has them."""
    found = {}
    for name, function in vars(module).items():
        if isfunction(function) and function.__module__ == module.__name__:
            parameters = signature(function).parameters
            mine = {k: v for k, v in told.items() if k in parameters and parameters[k].kind is Parameter.KEYWORD_ONLY}
            if mine:
                found[name] = partial(function, **mine)
    if not found:
        return module
    bound = ModuleType(module.__name__, module.__doc__)
    vars(bound).update({**vars(module), **found})
    return bound
