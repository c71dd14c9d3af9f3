"""What a gradient check says."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


class GradientError(AssertionError):
    """A derivative is wrong; the message says which, where, and how to see it again."""


@dataclass(frozen=True)
class Row:
    """The worst case of one result of one map by one method.

    Attributes
    ----------
    map : str
        ``"forward"``, ``"backward"``, ``"rforward"``, ``"rbackward"``, ``"HVP"`` or ``"contract"``.
    what : str
        The result: ``"dx"``, ``"d3/weight"``, ``"ry"``; of the contract, what holds or is broken.
    method : str
        ``"complex step"``, ``"differences"``, ``"dot product"``, ``"linearity"``, ``"symmetry"``, or another version
        of the kernels: ``"reference"``.
    place : str
        The element or the direction.
    found, expected : float
        What the map says and what the method says.
    tolerance : float
        The largest difference that the arithmetic explains.
    scale : float
        The size of what was added up, which rounding is relative to: the largest element, or, where large numbers
        cancel, as many times the measured rounding error as the dtype has steps in 1.
    """

    map: str
    what: str
    method: str
    place: str
    found: float
    expected: float
    tolerance: float
    scale: float = 1.0

    @property
    def ok(self) -> bool:
        """Whether the two agree; NaN does not."""
        return abs(self.found - self.expected) <= self.tolerance

    @property
    def error(self) -> float:
        """The difference relative to the scale."""
        difference = abs(self.found - self.expected)
        return difference / self.scale if self.scale > 0 else (0.0 if difference == 0 else math.inf)

    @property
    def strain(self) -> float:
        """The difference as a part of the tolerance: what the worst row has most of."""
        if not self.ok:
            difference = abs(self.found - self.expected)
            return math.inf if math.isnan(difference) or not self.tolerance else difference / self.tolerance
        return abs(self.found - self.expected) / self.tolerance if self.tolerance else 0.0

    def __str__(self) -> str:
        verdict = "ok   " if self.ok else "WRONG"
        if self.map == "contract":
            return f"{verdict} {self.what}{': ' if self.place else ''}{self.place}"
        return (
            f"{verdict} {self.what:<14} {self.map:<9} by {self.method:<12} {self.place:<22} found {self.found:+.9e}  "
            f"expected {self.expected:+.9e}  off by {abs(self.found - self.expected):.1e}, "
            f"allowed {self.tolerance:.1e}"
        )


@dataclass(frozen=True)
class Report:
    """What was checked: one row a map, result and method.

    Attributes
    ----------
    subject : str
    rows : list of Row
    notes : list of str
        What could not be used, or was done about kinks.
    reproduce : str
        What to type to see it again.
    """

    subject: str
    rows: list[Row]
    notes: list[str]
    reproduce: str

    @property
    def ok(self) -> bool:
        """Whether everything agreed."""
        return bool(self.rows) and all(row.ok for row in self.rows)

    def __str__(self) -> str:
        lines = [f"{self.subject}: {'ok' if self.ok else 'WRONG'}"]
        lines += [f"  {row}" for row in self.rows if not row.ok]
        lines += [f"  ok    {line}" for line in self._agreed()]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join([*lines, f"  see it again: {self.reproduce}"])

    def _agreed(self) -> list[str]:
        """Return a line for each map and result with nothing wrong: how far off it is by each method."""
        clauses = [row for row in self.rows if row.map == "contract"]
        lines = [f"contract: {sum(row.ok for row in clauses)} of {len(clauses)} clauses hold"] if clauses else []
        found: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            if row.map != "contract":
                found.setdefault((row.map, row.what), []).append(row)
        for (map_, what), rows in found.items():
            if all(row.ok for row in rows):
                methods = ", ".join(f"{row.method} {row.error:.0e}" for row in rows)
                lines.append(f"{what:<14} {map_:<9} {methods}")
        return lines


def worst(rows: Iterable[Row]) -> list[Row]:
    """Return the worst row of each map, result and method, in order of appearance."""
    found: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        key = (row.map, row.what, row.method)
        if key not in found or row.strain > found[key].strain:
            found[key] = row
    return list(found.values())


def compare(
    map_: str, what: str, method: str, found: Any, expected: Any, tolerance: Any, scale: float, place: str = ""
) -> Row:
    """Return the row of the element that is furthest off, measured in tolerances.

    Parameters
    ----------
    map_, what, method, place : str
    found, expected : array
        Of one shape, or the row says that they are not.
    tolerance : float or array like them
    scale : float
    """
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        shapes = f"{found.shape}, expected {expected.shape}"
        return Row(map_, f"{what} is {shapes}", method, place, math.nan, math.nan, 0.0, scale)
    if found.size == 0:
        return Row(map_, what, method, place, 0.0, 0.0, 0.0, scale)
    tolerance = np.broadcast_to(np.asarray(tolerance, np.float64), found.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        off = np.abs(found - expected)
        strain = np.where(off <= tolerance, np.where(tolerance > 0, off / tolerance, 0.0), np.inf)
        strain = np.where((strain == np.inf) & np.isfinite(off), 1.0 + off, strain)
    index = np.unravel_index(int(np.argmax(strain)), found.shape)
    at = f"{tuple(int(i) for i in index)}" if found.ndim else ""
    return Row(
        map_,
        what,
        method,
        " ".join(part for part in (at, place) if part),
        float(found[index].real),
        float(expected[index].real),
        float(tolerance[index]),
        scale,
    )
