"""A training step as a CUDA graph: its kernel launches, captured once, are submitted by one call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from npgan.backend.cuda import kernel, launch
from npgan.backend.recording import CannotRecordError, Recording

if TYPE_CHECKING:
    from npgan.backend.base import Backend

T = TypeVar("T")

_MOST = 256  # numbers that live in a step: some three an update and one a draw
_AT_ONCE = 8  # of a launch that hands them over


class CudaGraph(Recording):
    """What a stream captured. Nothing is computed while it does.

    The step's memory was made when it ran as it is written, before. What it allocates all the same comes from a pool of
    the graph's own, so that nobody else gets that memory when Python lets go of it.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self._cupy: Any = backend.xp
        self._memory: Any = backend.zeros((_MOST,), np.float64)
        self._pool = self._cupy.cuda.MemoryPool()
        self._graph: Any = None

    def _write_down(self, body: Callable[[], T]) -> T:
        cuda = self._cupy.cuda
        stream = self.backend.capturing_stream  # type: ignore[attr-defined]
        with stream, cuda.using_allocator(self._pool.malloc):
            stream.begin_capture()
            try:
                found = body()
                self._graph = stream.end_capture()
            except RuntimeError as error:  # CUDA's and CuPy's: something waits for the device, or must not be captured
                self._give_up(stream)
                raise CannotRecordError(f"the step cannot be captured as a CUDA graph: {error}") from error
            except BaseException:
                self._give_up(stream)
                raise
        return found

    def _give_up(self, stream: Any) -> None:
        with suppress(self._cupy.cuda.runtime.CUDARuntimeError):
            stream.end_capture()

    def _pointer(self, index: int) -> int:
        if index >= _MOST:
            raise CannotRecordError(f"more than {_MOST} numbers change from step to step")
        address: int = self._memory.data.ptr + 8 * index
        return address

    def launch(self) -> None:
        """Hand the numbers over and launch the graph, without waiting for either."""
        values = [float(number) for number in self.numbers]
        hand_over = kernel("cuda/numbers", "numbers", np.dtype(np.float64))
        for first in range(0, len(values), _AT_ONCE):
            part = values[first : first + _AT_ONCE]
            launch(hand_over, 1, 1, self._memory, first, len(part), *part, *[0.0] * (_AT_ONCE - len(part)))
        self._graph.launch()
