"""A training step as one compiled call: its kernel calls, written down once, are made without Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from npgan.backend.recording import CannotRecordError, Live, Recording
from npgan.backend.step_calls import Calls
from npgan.backend.step_program import Program
from npgan.backend.threads import alone, written_by

if TYPE_CHECKING:
    from npgan.backend.base import Array, Backend

T = TypeVar("T")

_MOST = 256  # numbers that live in a step: some three an update and one a draw


class Cell:
    """A number that the compiled step computes. In Python one can add others to it, or have it after a launch."""

    __slots__ = ("_recording", "address", "place")
    __array_ufunc__ = None

    def __init__(self, recording: CompiledStep, place: Array) -> None:
        self._recording, self.place, self.address = recording, place, place.ctypes.data

    def __add__(self, other: Any) -> Cell:
        return self._recording.add(self, other)

    __radd__ = __add__

    def __float__(self) -> float:
        if self._recording.writing:
            raise CannotRecordError("Python asks for a number that the step is yet to compute")
        return float(self.place[0])


class _NoArrays:
    def __getattr__(self, name: str) -> Any:
        raise CannotRecordError(f"it calls NumPy's {name}, which is no kernel")


class CompiledStep(Recording):
    """What kernels the step calls, in rows; nothing is computed while they are written down.

    A kernel of the table may be called whose function does nothing else than to call compiled code (see
    `npgan.backend.step_calls`): whatever else it did would be missing in later steps. Each call is divided among the
    threads as it is without the recording, and so the bits are the same.
    """

    checks = True

    def __init__(self, backend: Backend) -> None:
        from npgan.backend.entries import Trampolines

        super().__init__(backend)
        self.program = Program()
        self.writing = False
        self._trampolines = Trampolines()
        self._numbers = np.zeros(_MOST)
        self._kept: list[Any] = []  # what rows have addresses of
        self._rows = self._groups = np.zeros((0, 0), np.int64)

    def _write_down(self, body: Callable[[], T]) -> T:
        table, self.writing = self.backend.kernels, True
        self.backend.kernels = Calls(self, table)  # type: ignore[assignment]
        try:
            with written_by(self):
                found = body()
        finally:
            self.backend.kernels, self.writing = table, False
        addresses, library = self._trampolines.compile()
        self._kept.append(library)
        self._rows, self._groups = self.program.finish(addresses)
        return found

    def _pointer(self, index: int) -> int:
        if index >= _MOST:
            raise CannotRecordError(f"more than {_MOST} numbers change from step to step")
        return int(self._numbers.ctypes.data) + 8 * index

    @property
    def xp(self) -> Any:
        """Nothing: what NumPy computes would be missing in later steps."""
        return _NoArrays()

    def launch(self) -> None:
        """Hand the numbers over, and run the rows."""
        from npgan.kernels.performing import perform

        self._numbers[: len(self.numbers)] = [number.value for number in self.numbers]
        perform(self._rows, self._groups)

    # ---------------------------------------------------------------- what rows are made of

    def call(self, compiled: Any, leading: int, n: int, parts: int, args: tuple[Any, ...]) -> Any:
        """Write a call down: see `npgan.backend.threads.Writer`."""
        from numba import types

        from npgan.backend.entries import entry_of, words_of

        kinds: list[Any] = []
        words: list[int] = [0]
        indirect = []
        for each in args:
            if isinstance(each, Live | Cell):
                whole = isinstance(each, Live) and isinstance(each.value, int | np.integer)
                kinds.append(types.int64 if whole else types.float64)
                indirect.append(len(words))
                words.append(self.number(each))
            else:
                kinds.append(compiled.typeof_pyval(each))
                words += words_of(kinds[-1], each)
        entry = entry_of(compiled, (*(types.int64,) * leading, *kinds))
        found = None if entry.result is types.none else self.cell()
        words[0] = 0 if found is None else found.address
        block = np.array(words, np.int64)
        self._kept += [compiled, args, block]
        name = self._trampolines.name(entry, leading, tuple(indirect))
        self.program.add(parts, (name, entry.address, int(block.ctypes.data), n))
        return found

    def refuse(self, reason: str) -> None:
        """Say that something cannot be written down."""
        raise CannotRecordError(reason)

    def number(self, value: Any) -> int:
        """Return the address of a number: one that differs, one that is computed, or one that stays."""
        if isinstance(value, Live):
            return value.pointer
        if isinstance(value, Cell):
            return value.address
        self._kept.append(np.array([value], np.float64))
        return int(self._kept[-1].ctypes.data)

    def cell(self) -> Cell:
        """Return memory for a number that the step computes."""
        self._kept.append(np.zeros(1))
        return Cell(self, self._kept[-1])

    def add(self, a: Any, b: Any) -> Cell:
        """Return the sum of two numbers."""
        from npgan.kernels.reduce.cpu import total

        a, b = (each if isinstance(each, Live | Cell) else float(each) for each in (a, b))
        found: Cell = alone(total, a, b)
        return found

    def copy(self, out: Array, source: Array) -> None:
        """Write a copy down."""
        self.backend.kernels.arrays.copy(out, source)
