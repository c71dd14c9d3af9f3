"""Printing."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from typing import Any


def say(text: str = "", *, error: bool = False) -> None:
    """Print a line on standard output, or standard error.

    A reader that has gone (``npgan train | head``) is no reason to stop.

    Raises
    ------
    OSError
        It cannot be written for another reason, such as a full disk.
    """
    try:
        print(text, file=sys.stderr if error else sys.stdout, flush=True)
    except BrokenPipeError:
        pass
    except OSError as problem:
        raise OSError(problem.errno, problem.strerror, "standard output") from None


def say_table(rows: Iterable[tuple[str, str]], *, indent: str = "") -> None:
    """Print names and values in two columns."""
    rows = list(rows)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        say(f"{indent}{name:<{width}}  {value}")


def say_json(value: Any) -> None:
    """Print a value as one line of JSON; NaN and infinities become texts, as JSON has none."""
    say(json.dumps(_finite(value), allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def shape_text(shape: tuple[int, ...]) -> str:
    """Return the shape of a sample as people read it: ``"28 x 28 x 1"``, ``"2 numbers"``."""
    return " x ".join(map(str, shape)) if len(shape) > 1 else f"{shape[0]} number{'s' if shape[0] > 1 else ''}"


def time_text(seconds: float) -> str:
    """Return a time as people read it: ``"12.3 s"``, ``"4 min 5 s"``, ``"2 h 3 min"``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours} h {minute} min" if hours else f"{minute} min {second} s"
