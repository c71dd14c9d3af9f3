"""What a run measures: lines of JSON for programs, and events for TensorBoard.

A line is one step: ``{"step": 100, "loss_d": 0.69, "loss_g": 0.72, "grad_norm_d": 1.3, ...}``. JSON has no NaN
and no infinities; they are written as the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` (as protocol buffers
do in JSON), which every reader can parse and `read` turns back into numbers.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import numpy as np

from npgan.backend.base import Array
from npgan.errors import CheckpointError, ConfigError
from npgan.training.folder import write_atomically

Row: TypeAlias = "dict[str, int | float | bool]"

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_FLUSH_SECONDS = 10.0


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    """Turn an error of the operating system into a message that names the file."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"cannot write {path}: {error.strerror or error}. What was there before is untouched; "
            "make room or make the folder writable, and try again"
        ) from error


class _Log:
    """What both logs share: they are closed, by hand or by ``with``."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class MetricsLog(_Log):
    """``metrics.jsonl``: a line is written and handed to the system at once, so that a killed run leaves them all.

    Parameters
    ----------
    path : Path
        Made where it does not exist, else added to; see `truncate_to`.

    Raises
    ------
    CheckpointError
        Here and in every method: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _reporting(path):
            self._file = path.open("ab")

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Add the line of a step.

        Parameters
        ----------
        step : int
            The number of steps done.
        values : mapping of str to number
            Numbers of Python's or NumPy's, NaN and infinities too.
        """
        if "step" in values:
            raise ConfigError("a metric is called 'step', which is the name of the step; choose another")
        row = {"step": int(step), **{name: _for_json(name, value) for name, value in values.items()}}
        with _reporting(self.path):
            self._file.write(json.dumps(row, allow_nan=False).encode() + b"\n")
            self._file.flush()

    def truncate_to(self, step: int) -> None:
        """Drop the lines after a step, and those that a crash has torn: what a resumed run will write again."""
        with _reporting(self.path):
            self._file.close()
            kept = []
            for line in self.path.read_bytes().split(b"\n"):
                with suppress(ValueError, RecursionError):
                    if _row(line)["step"] <= step:
                        kept.append(line + b"\n")
            write_atomically(self.path, b"".join(kept))
            self._file = self.path.open("ab")

    def close(self) -> None:
        """Close the file."""
        with _reporting(self.path):
            self._file.close()


def _for_json(name: str, value: Any) -> int | float | str:
    value = value.item() if isinstance(value, (np.generic, np.ndarray)) and value.size == 1 else value
    if not isinstance(value, (int, float)):
        raise ConfigError(f"metric {name} is {value!r}, expected a number")
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _row(line: bytes) -> Row:
    """Return a line's numbers; raises ValueError (or RecursionError) where it is not one that `MetricsLog` wrote."""
    row = json.loads(line)
    if not isinstance(row, dict) or not isinstance(row.get("step"), int):
        raise ValueError("not an object with a step")
    for name, value in row.items():
        if isinstance(value, str):
            if value not in _NON_FINITE:
                raise ValueError(f"{name} is {value!r}, not a number")
            row[name] = _NON_FINITE[value]
        elif not isinstance(value, (int, float)):
            raise ValueError(f"{name} is not a number")
    return row


def read(path: str | Path) -> list[Row]:
    """Return the lines of a ``metrics.jsonl``, in the file's order. A torn last line is passed over.

    Raises
    ------
    CheckpointError
        The file cannot be read, or another line is not one of a metrics file, by number.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    rows = []
    # What follows the last line's end is empty, or being written just now, or was torn by a crash.
    for number, line in enumerate(lines[:-1], start=1):
        try:
            rows.append(_row(line))
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{path}, line {number}, is not a line of metrics ({error}); remove it") from error
    return rows


def columns(rows: Sequence[Mapping[str, float]]) -> dict[str, Array]:
    """Return each metric as a float64 array over `rows`, NaN where a row does not have it; ``"step"`` as int64."""
    names = {name: None for row in rows for name in row}
    found: dict[str, Array] = {name: np.array([float(row.get(name, math.nan)) for row in rows]) for name in names}
    found["step"] = np.array([row["step"] for row in rows], np.int64)
    return found


class TensorBoardLog(_Log):
    """The same metrics, and pictures, as TensorBoard's event files.

    Built on tensorboardX's RecordWriter: its SummaryWriter would pickle every event through a queue to a thread of
    its own. Here an event is a few dozen bytes put into a file's buffer, which goes to the disk every 10 seconds.

    Parameters
    ----------
    folder : Path
        Each start of a run adds a file.
    purge_step : int, optional
        For a resumed run, the first step that it will do: TensorBoard forgets what earlier files say from there on.

    Raises
    ------
    CheckpointError
        Here and in every method: the file cannot be written.
    """

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        from tensorboardX import RecordWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        # TensorBoard reads the files in the order of their names: by the time, to the nanosecond as a run may be
        # resumed within a second.
        seconds, fraction = divmod(time.time_ns(), 10**9)
        self.path = folder.resolve() / f"events.out.tfevents.{seconds:010d}.{fraction:09d}.npgan"
        with _reporting(self.path):
            self._writer: Any = RecordWriter(str(self.path))
        self._flushed = time.monotonic()
        self._add(Event(file_version="brain.Event:2"))
        if purge_step is not None:
            self._add(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Add the numbers of a step, as `MetricsLog.log` does."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import Summary, scalar

        parts = [part for name, value in values.items() for part in scalar(name, value).value]
        self._add(Event(step=int(step), summary=Summary(value=parts)))

    def image(self, step: int, name: str, image: Array) -> None:
        """Add a picture, ``(H, W, C)`` uint8 with C of 1 or 3."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import Summary

        from npgan.training.pictures import encode_png

        height, width, channels = image.shape
        picture = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=encode_png(image))
        self._add(Event(step=int(step), summary=Summary(value=[Summary.Value(tag=name, image=picture)])))

    def _add(self, event: Any) -> None:
        event.wall_time = time.time()
        with _reporting(self.path):
            self._writer.write(event.SerializeToString())
            if time.monotonic() - self._flushed > _FLUSH_SECONDS:
                self._writer.flush()
                self._flushed = time.monotonic()

    def flush(self) -> None:
        """Hand what is waiting to the system, so that a killed run leaves it."""
        with _reporting(self.path):
            self._writer.flush()
            self._flushed = time.monotonic()

    def close(self) -> None:
        """Write what is waiting and close the file."""
        with _reporting(self.path):
            self._writer.close()
