"""Ctrl-C and SIGTERM ask for a stop at the end of a step, so that a run is saved and not torn."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Turn SIGINT and SIGTERM into a flag while a ``with`` block runs.

    A second SIGINT raises KeyboardInterrupt at once, for whoever cannot wait. Outside of the main thread, where
    Python has no handlers, this does nothing and `requested` stays False. A signal that was ignored (as a shell does
    for a job in the background) stays ignored.

    Attributes
    ----------
    requested : bool
        Whether to stop at the end of the step.
    name : str
        ``"SIGINT"`` or ``"SIGTERM"``, whichever came first; empty before.
    """

    def __init__(self) -> None:
        self.requested = False
        self.name = ""
        self._interrupted = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                previous = signal.getsignal(number)
                # None: a handler that was not set from Python and could not be put back.
                if previous not in (signal.SIG_IGN, None):
                    self._previous[number] = previous
                    signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        self._previous.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._interrupted:
            raise KeyboardInterrupt
        self._interrupted |= number == signal.SIGINT
        self.name = self.name or signal.Signals(number).name
        self.requested = True
