"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from typing import Annotated, Any

import typer

COMPUTING = "Computing"
PRINTING = "Printing"

_DEBUG = "NPGAN_DEBUG"
_THREADS, _MOST_THREADS = "NPGAN_THREADS", 1024
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class BackendName(StrEnum):
    """Where to compute."""

    cpu = "cpu"
    gpu = "gpu"
    gpu_tf32 = "gpu:tf32"
    gpu_bf16 = "gpu:bf16"


def _remember_debug(wanted: bool) -> bool:
    if wanted:
        os.environ[_DEBUG] = "1"
    return wanted


def debugging() -> bool:
    """Return whether errors are to be shown with their traceback."""
    return os.environ.get(_DEBUG, "") not in ("", "0")


def thread_number(text: str) -> int:
    """Return a number of threads.

    Raises
    ------
    typer.BadParameter
        It is not one.
    """
    if not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= _MOST_THREADS:
        raise typer.BadParameter(f"{text!r} is not a number of threads: a whole number from 1 to {_MOST_THREADS}")
    return int(text)


def _remember_threads(count: int | None) -> int | None:
    if count is not None:
        from npgan.backend.threads import thread_count

        os.environ[_THREADS] = str(count)
        thread_count.cache_clear()
    return count


def setting_option(examples: str, listing: str, panel: str | None = None) -> Any:
    """Return the option ``--set KEY=VALUE``, which may be given again: examples, what lists all of them, its panel."""
    return typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help=f"{examples}; may be given again. {listing}",
        show_default=False,
        rich_help_panel=panel,
    )


Backend = Annotated[
    BackendName | None,
    typer.Option(
        "--backend",
        help="Where to compute: cpu (NumPy and numba) or gpu (CuPy). Default: cpu.",
        show_default=False,
        rich_help_panel=COMPUTING,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        parser=thread_number,
        metavar="N",
        callback=_remember_threads,
        help=f"How many threads the kernels use (also: {_THREADS}). Another number, other rounding. Default: the cores "
        "that this process may use.",
        show_default=False,
        rich_help_panel=COMPUTING,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", metavar="", help="Print one JSON object on standard output.", rich_help_panel=PRINTING)
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", metavar="", help="Print nothing but errors.", rich_help_panel=PRINTING)
]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        metavar="",
        callback=_remember_debug,
        help=f"Show errors with a traceback (also: {_DEBUG}=1).",
        rich_help_panel=PRINTING,
    ),
]


def duration(text: str) -> float:
    """Return the seconds of ``"90"``, ``"90s"``, ``"1.5m"``, ``"2h"`` or ``"1h30m"``; more than 0.

    Raises
    ------
    typer.BadParameter
        It is none of these.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh]?)", text)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or not 0 < seconds < float("inf"):
        raise typer.BadParameter(f"{text!r} is not a time above 0, such as 90, 90s, 10m, 2h or 1h30m")
    return seconds
