"""What a backend is: where arrays live, and the kernels that work on them there.

A backend is an object that is passed along; there is no current one. Array code that is not a kernel is written
against ``backend.xp`` and runs on both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from npgan.backend.random import Random
from npgan.backend.recording import Reading, Recording
from npgan.errors import DTypeError
from npgan.kernels import Kernels

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Shape: TypeAlias = tuple[int, ...]
Scalar: TypeAlias = float | Array
"""A float; or an array of shape () where the arrays live, whose `float` waits until it is computed."""


class Backend(ABC):
    """Where arrays live.

    Attributes
    ----------
    name : str
        ``"cpu"``, ``"reference"`` or ``"gpu"``.
    xp : module
        The array namespace: ``numpy`` or ``cupy``.
    kernels : Kernels
        The table of operations.
    fuses : bool
        Whether a Pass may run neighbouring layers in one call.
    recorder : type of Recording or None
        What writes a training step down; None: this backend cannot.
    recording : Recording or None
        What is being written to.
    """

    name: str
    xp: ModuleType
    kernels: Kernels
    dtypes: tuple[str, ...] = ("float32", "float64")
    fuses: bool = False
    recorder: type[Recording] | None = None
    recording: Recording | None = None

    @abstractmethod
    def empty(self, shape: Shape, dtype: Any) -> Array:
        """Return uninitialised memory, aligned for vector instructions."""

    @abstractmethod
    def asarray(self, host: Any, dtype: Any = None) -> Array:
        """Copy a host array to where this backend's arrays live (no copy where it is there already)."""

    @abstractmethod
    def to_host(self, array: Array) -> Array:
        """Return a NumPy array with the same values (the array itself where it is one)."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until everything that was asked for is done."""

    @abstractmethod
    def read_only(self, array: Array) -> Array:
        """Return a view that refuses to be written, where arrays can do that."""

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """Return what a reader of a benchmark or a bug report must know: names, versions, threads."""

    def zeros(self, shape: Shape, dtype: Any) -> Array:
        """Return memory filled with zeros."""
        array = self.empty(shape, dtype)
        array[...] = 0
        return array

    @property
    def arrays(self) -> Any:
        """What is called in a step for what is no kernel: `xp`, or what stands for it where the step is recorded."""
        return self.xp if self.recording is None else self.recording.xp

    def live(self, function: Callable[[], Any]) -> Any:
        """Return the number that a function returns; what is recorded calls it again for each step (see `Live`)."""
        return function() if self.recording is None else self.recording.live(function)

    def copy(self, out: Array, source: Array) -> None:
        """Copy the elements of an array, in a step that may be recorded."""
        if self.recording is None:
            out[...] = source
        else:
            self.recording.copy(out, source)

    def read_later(self, array: Array) -> Reading:
        """Ask for the values that an array has when all that was asked for before is done, without waiting."""
        return Reading(self.to_host(array).copy())

    def room(self) -> int | None:
        """Return the bytes of memory that could be had where the arrays live; None where nobody counts them."""
        return None

    def random(self, seed: int) -> Random:
        """Return the random numbers of a run with this seed."""
        return Random(seed, self)

    def check_dtype(self, dtype: Any) -> np.dtype[Any]:
        """Return `dtype` as a NumPy dtype, or raise DTypeError where this backend does not compute in it."""
        found: np.dtype[Any] | None
        try:
            found = np.dtype(dtype)
        except TypeError:
            found = None
        if found is None or found.name not in self.dtypes:
            raise DTypeError(f"dtype is {dtype!r}, expected one of {', '.join(self.dtypes)} on the {self.name} backend")
        return found

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in self.describe().items())})"
