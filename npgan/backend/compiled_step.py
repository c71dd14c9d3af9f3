"""A training step as one compiled call: its kernel calls, written down once, are made without Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from npgan.backend.recording import CannotRecordError, Live, Recording
from npgan.backend.step_calls import Calls, parts_of
from npgan.backend.step_program import Code, Program

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


class CompiledStep(Recording):
    """What kernels the step calls, in rows; nothing is computed while they are written down.

    The calls are those of `npgan.backend.step_calls`: of games of dense stacks, whose steps are so short that Python
    takes a good part of them, and the threads, which are called together for each sweep.
    """

    stacks_alone = True

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.program = Program()
        self.writing = False
        self._numbers = np.zeros(_MOST)
        self._kept: list[Array] = []  # what rows have addresses of
        self._rows = self._groups = np.zeros((0, 0), np.int64)
        self._dtype: np.dtype[Any] | None = None

    def _write_down(self, body: Callable[[], T]) -> T:
        table, self.writing = self.backend.kernels, True
        self.backend.kernels = Calls(self, table)  # type: ignore[assignment]
        try:
            found = body()
        finally:
            self.backend.kernels, self.writing = table, False
        self._rows, self._groups = self.program.finish()
        return found

    def _pointer(self, index: int) -> int:
        if index >= _MOST:
            raise CannotRecordError(f"more than {_MOST} numbers change from step to step")
        return int(self._numbers.ctypes.data) + 8 * index

    def launch(self) -> None:
        """Hand the numbers over, and run the rows."""
        from npgan.kernels.performing import perform

        assert self._dtype is not None
        self._numbers[: len(self.numbers)] = [number.value for number in self.numbers]
        perform(self._rows, self._groups, self._dtype)

    # ---------------------------------------------------------------- what rows are made of

    def computes_in(self, like: Array) -> None:
        """Note the dtype of the networks; all of a step is of one."""
        if self._dtype not in (None, like.dtype):
            raise CannotRecordError(f"it computes in {self._dtype} and in {like.dtype}")
        self._dtype = like.dtype

    def at(self, array: Array) -> int:
        """Return an array's address; it stays where it is."""
        if not array.flags.c_contiguous:
            raise CannotRecordError(f"an array {array.shape} of the step is not in one piece")
        self._kept.append(array)
        return int(array.ctypes.data)

    def number(self, value: Any) -> int:
        """Return the address of a number: one that differs, one that is computed, or one that stays."""
        if isinstance(value, Live):
            return value.pointer
        if isinstance(value, Cell):
            return value.address
        return self.at(np.array([value], np.float64))

    def cell(self) -> Cell:
        """Return memory for a number that the step computes."""
        self._kept.append(np.zeros(1))
        return Cell(self, self._kept[-1])

    def add(self, a: Any, b: Any) -> Cell:
        """Return the sum of two numbers."""
        found = self.cell()
        self.program.alone(Code.ADD, found.address, self.number(a), self.number(b))
        return found

    def copy(self, out: Array, source: Array) -> None:
        """Write a copy down."""
        if out.shape != source.shape or out.dtype != source.dtype:
            raise CannotRecordError(f"{source.dtype} {source.shape} is copied to {out.dtype} {out.shape}")
        self.program.divided(Code.COPY, parts_of(out.size), self.at(out), self.at(source), out.size)
