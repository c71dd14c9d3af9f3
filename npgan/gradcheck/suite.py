"""The gradient-check suite: every subject, every map, one line each."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from npgan.gradcheck.checking import Findings, check_function
from npgan.gradcheck.report import Row
from npgan.gradcheck.subjects import Subject


@dataclass(frozen=True)
class Line:
    """What was found about one map of one subject.

    Attributes
    ----------
    subject : Subject
    map : str
        ``"forward"``, ``"backward inputs"``, ``"backward parameters"``, ``"rforward"``, ``"rbackward inputs"``,
        ``"rbackward parameters"``, ``"HVP"`` or ``"contract"``.
    rows : list of Row
        The worst of each result and method.
    seconds : float
    reproduce : str
        The command that shows it again.
    """

    subject: Subject
    map: str
    rows: list[Row]
    seconds: float
    reproduce: str

    @property
    def ok(self) -> bool:
        """Whether everything agreed."""
        return all(row.ok for row in self.rows)

    @property
    def worst(self) -> Row:
        """The row that is furthest off, measured in its tolerance."""
        return max(self.rows, key=lambda row: row.strain)

    def failures(self) -> list[str]:
        """Return a text for each row that is wrong."""
        return [f"{self.subject.name}: {row}\n  see it again: {self.reproduce}" for row in self.rows if not row.ok]


def run(
    subjects: Iterable[Subject], *, backend: str = "cpu", dtype: str = "float64", seed: int = 0
) -> Iterator[tuple[list[Line], list[str]]]:
    """Check each subject, and yield its lines and notes.

    Parameters
    ----------
    subjects : iterable of Subject
    backend : {"cpu", "gpu", "reference"}
    dtype : {"float64", "float32"}
        float32 is compared with the float64 reference.
    seed : int
        Of the weights, points and directions.
    """
    for subject in subjects:
        command = f"npgan gradcheck {shlex.quote(subject.group)} --backend {backend} --dtype {dtype} --seed {seed}"
        try:
            f = subject.make(backend, dtype, seed)
            found = check_function(f, seed=seed, differences=subject.differences, full=subject.full)
        except Exception as error:  # it is the subject that is wrong, and the others are to be checked too
            wrong = f"{type(error).__name__}: {error}"
            found = Findings([Row("contract", "the maps run", "contract", wrong, np.nan, 0.0, 0.0)])
        yield lines(subject, found, command), found.notes


def lines(subject: Subject, found: Findings, command: str) -> list[Line]:
    """Return one line a map."""
    groups: dict[str, list[Row]] = {}
    for row in found.rows:
        groups.setdefault(_label(row), []).append(row)
    # The time of a map is that of its rows; those of inputs and parameters are made together.
    maps = [row.map for rows in groups.values() for row in rows[:1]]
    return [
        Line(subject, label, rows, found.seconds.get(rows[0].map, 0.0) / max(1, maps.count(rows[0].map)), command)
        for label, rows in sorted(groups.items(), key=lambda item: _ORDER.index(item[0]))
    ]


_ORDER = [
    "contract",
    "forward",
    "backward inputs",
    "backward parameters",
    "rforward",
    "rbackward inputs",
    "rbackward parameters",
    "rbackward",
    "backward",
    "HVP",
]


def _label(row: Row) -> str:
    if row.map not in ("backward", "rbackward"):
        return row.map
    if row.what == "all" or "=" in row.what:
        return row.map
    return f"{row.map} {'parameters' if '/' in row.what else 'inputs'}"


def summary(found: Iterable[Line]) -> list[tuple[str, str, float, float]]:
    """Return the worst error and the largest tolerance, both relative, of each order of derivative and method."""
    worst: dict[tuple[str, str], tuple[float, float]] = {}
    for line in found:
        for row in line.rows:
            if row.map == "contract":
                continue
            order = {"forward": "values", "backward": "first order", "rforward": "first order"}.get(
                row.map, "second order"
            )
            error, allowed = worst.get((order, row.method), (0.0, 0.0))
            tolerance = row.tolerance / row.scale if row.scale else 0.0
            worst[order, row.method] = (
                max(error, np.inf if np.isnan(row.error) else row.error),
                max(allowed, tolerance),
            )
    orders = ("values", "first order", "second order")
    return [
        (order, method, *numbers)
        for (order, method), numbers in sorted(worst.items(), key=lambda item: (orders.index(item[0][0]), item[0][1]))
    ]
