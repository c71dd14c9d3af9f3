"""Recorded steps: the kernel calls of a training step, written down once and made again and again.

A step makes the same kernel calls each time. What differs is a few numbers (the step that random draws are a function
of, learning rates, Adam's bias corrections) and what lies in the batch's memory. So a step that is written down needs
those numbers anew, and nothing else of the Python code that it was written down from.

`Backend.live` is the one way to say that a number differs: ``rate = backend.live(lambda: self.rate(int(step)))``. It
returns what the function returns, at no cost, unless a step is being recorded. Then it returns a `Live`, and the
function is called again before each replay, in the order in which they were met. So a function may read a `Live` that
came before it, by `int` or `float`, and may count: ``self.t += 1`` belongs into one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

if TYPE_CHECKING:
    from npgan.backend.base import Array, Backend

T = TypeVar("T")


class Live:
    """A number that differs from step to step of a recorded step.

    Kernels that take such a number read it at `pointer`. In Python there is `int` and `float` of it, inside of a
    function that `Backend.live` is given, and nothing else: arithmetic would make a number that does not live.

    Attributes
    ----------
    value : int or float
        Of the step that is recorded or replayed.
    pointer : int
        Where the kernels of a replay read it: the address of a float64.
    """

    __slots__ = ("pointer", "value")
    __array_ufunc__ = None  # so that an array times a Live is an error too

    def __init__(self, value: float, pointer: int = 0) -> None:
        self.value, self.pointer = value, pointer

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)

    def __repr__(self) -> str:
        return f"Live({self.value})"


Number: TypeAlias = "float | Live"
Step: TypeAlias = "int | Live"


class CannotRecordError(Exception):
    """A step cannot be recorded; the message is the reason. It is run as it is written instead."""


class Recording(ABC):
    """The kernel calls of one step; a backend that can record has a subclass.

    ``record(body)`` writes down what `body` does, and `launch` has it done. For each later step, ``prepare()`` finds
    the numbers that differ, and `launch` again does the rest.

    Parameters
    ----------
    backend : Backend
        Whose kernels `body` calls.

    Attributes
    ----------
    checks : bool
        It writes down calls of kernels, and what Python computes beside them is lost: a replay should be compared with
        the step as it is written, once.
    """

    checks: ClassVar[bool] = False

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.numbers: list[Live] = []
        """What kernels read, in the order of their places."""
        self._functions: list[tuple[Callable[[], float | None], Live | None]] = []

    @property
    def xp(self) -> Any:
        """What is called for what is no kernel."""
        return self.backend.xp

    def record(self, body: Callable[[], T]) -> T:
        """Run `body` and write its kernel calls down; return what it returns.

        Whether anything is computed by then is the backend's affair: the next `launch` completes this step.

        Raises
        ------
        CannotRecordError
            There is something in it that cannot be written down.
        """
        assert self.backend.recording is None
        self.backend.recording = self
        try:
            return self._write_down(body)
        finally:
            self.backend.recording = None

    def live(self, function: Callable[[], float | None]) -> Any:
        """Call a function now, and before each replay; return its number as a `Live`, or None where it has none."""
        value = function()
        number = None
        if value is not None:
            number = Live(value)
            number.pointer = self._pointer(len(self.numbers))
            self.numbers.append(number)
        self._functions.append((function, number))
        return number

    def prepare(self) -> None:
        """Find the numbers of the next step."""
        for function, number in self._functions:
            value = function()
            if number is not None:
                assert value is not None
                number.value = value

    def copy(self, out: Array, source: Array) -> None:
        """Copy an array, in the step that is being written down."""
        out[...] = source

    @abstractmethod
    def _write_down(self, body: Callable[[], T]) -> T:
        """Run `body`, and write its kernel calls down."""

    @abstractmethod
    def _pointer(self, index: int) -> int:
        """Return where kernels find number `index`; raise CannotRecordError where there is no more room."""

    @abstractmethod
    def launch(self) -> None:
        """Hand the numbers over, and have everything done that was written down."""


class Reading:
    """Numbers on their way to the host: an array as it was when it was asked for.

    Parameters
    ----------
    host : array
        Where they arrive.
    event : object, optional
        What says that they have: ``event.done``, ``event.synchronize()``. None: they are here.
    """

    def __init__(self, host: Any, event: Any = None) -> None:
        self._host, self._event = host, event

    @property
    def ready(self) -> bool:
        """Whether `get` need not wait."""
        return self._event is None or bool(self._event.done)

    def get(self) -> Any:
        """Return them, once they are here."""
        if self._event is not None:
            self._event.synchronize()
        return self._host
