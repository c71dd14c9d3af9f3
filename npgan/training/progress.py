"""How a run shows that it is alive: a live line on a terminal, a line now and then in a log."""

from __future__ import annotations

import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_LIVE_SECONDS = 0.2  # between two drawings of the live line
_FIRST_SECONDS, _LAST_SECONDS = 2.0, 30.0  # between two lines of a log: doubling from the one to the other
_BAR_WIDTH = 110  # columns; with fewer the numbers need the room
_WINDOW_SECONDS = 20.0  # over which the speed is measured, so that what is slow for once is soon forgotten


class Progress:
    """Show step, speed, losses, gradient norms and time left.

    Parameters
    ----------
    total : int
        The last step.
    start : int
        Steps done already, in a resumed run.
    max_time : float, optional
        Seconds after which the run will stop; the time left then ends there at the latest.
    quiet : bool
        Show nothing.
    stream : text file, optional
        Where to; standard output by default. A terminal gets a live line, anything else lines of text.
    clock : callable
        Seconds, for tests.
    """

    def __init__(
        self,
        total: int,
        start: int = 0,
        max_time: float | None = None,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total
        self._stream = sys.stdout if stream is None else stream
        self._quiet = quiet
        self._clock = clock
        self._end = math.inf if max_time is None else clock() + max_time
        self._seen: deque[tuple[float, int]] = deque()
        self._shown = start
        self._interval = _FIRST_SECONDS
        self._live: RichProgress | None = None
        if not quiet and self._stream.isatty() and os.environ.get("TERM") != "dumb":
            self._live, self._task = _live_line(self._stream, total, start)
            self._interval = _LIVE_SECONDS
        self._next = clock() + self._interval

    def update(self, step: int, values: Mapping[str, float]) -> None:
        """Note that a step is done; cheap, and shown only now and then (and at the last step).

        Parameters
        ----------
        step : int
            Steps done.
        values : mapping
            Metrics; ``loss_d`` is shown as ``D``, ``grad_norm_d`` as ``|gD|``, and so on.
        """
        if self._quiet:
            return
        now = self._clock()
        if not self._seen:  # the first step compiles kernels, and says nothing of the others
            self._seen.append((now, step))
        if now < self._next and step < self.total:
            return
        self._next = now + self._interval
        if self._live is None:
            self._interval = min(2 * self._interval, _LAST_SECONDS)
            self._next = now + self._interval
        if step == self._shown:
            return
        self._shown = step
        self._seen.append((now, step))
        while len(self._seen) > 2 and now - self._seen[1][0] > _WINDOW_SECONDS:
            self._seen.popleft()
        count, shown, speed = f"step {step}/{self.total}", _value_texts(values), self._speed(step, now)
        if self._live is None:
            self._write("  ".join([count, *shown, *speed]))
        else:
            # What a narrow terminal cuts off is what matters least.
            self._live.update(self._task, completed=step, text="  ".join([count, *speed, *shown]), refresh=True)

    def _speed(self, step: int, now: float) -> list[str]:
        then, before = self._seen[0]
        elapsed = now - then
        if elapsed <= 0 or step <= before:
            return []
        rate = (step - before) / elapsed
        left = min((self.total - step) / rate, max(self._end - now, 0.0))
        return [f"{rate:.1f} steps/s" if rate >= 1 else f"{1 / rate:.1f} s/step", f"eta {_time_text(left)}"]

    def message(self, text: str) -> None:
        """Show a line of text, above the live line."""
        if self._quiet:
            return
        if self._live is None:
            self._write(text)
        else:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _write(self, text: str) -> None:
        # A reader that has gone (`npgan train | head`) is no reason to lose the run.
        with suppress(OSError, ValueError):
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Leave the terminal as it was, with the last line on it."""
        if self._live is not None:
            self._live.stop()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _live_line(stream: TextIO, total: int, start: int) -> tuple[RichProgress, TaskID]:
    """Return rich's live line, drawn only when it is updated: no thread of its own beside the training's."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    console = Console(file=stream)
    text = TextColumn("{task.fields[text]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    bar = [BarColumn(bar_width=16)] if console.width >= _BAR_WIDTH else []
    live = RichProgress(*bar, text, console=console, auto_refresh=False)
    task = live.add_task("", total=total, completed=start, text=f"step {start}/{total}")
    live.start()
    return live, task


def _value_texts(values: Mapping[str, float]) -> list[str]:
    losses = [f"{_short(k, 'loss_')} {_number(v)}" for k, v in values.items() if k.startswith("loss_")]
    norms = [f"|g{_short(k, 'grad_norm_')}| {_number(v)}" for k, v in values.items() if k.startswith("grad_norm_")]
    return losses + norms


def _short(name: str, prefix: str) -> str:
    name = name.removeprefix(prefix)
    return name.upper() if len(name) == 1 else name


def _number(value: float) -> str:
    size = abs(value)
    return f"{value:.3f}" if size == 0 or 1e-2 <= size < 1e3 else f"{value:.2g}"


def _time_text(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
