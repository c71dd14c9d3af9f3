"""Two runs of the benchmark beside each other: what got slower by more than the noise of both."""

from __future__ import annotations

from dataclasses import dataclass

from npgan.bench.results import OURS, Report, Row, Sample

LEAST = 1.03
"""Ratios nearer to 1 than this mean nothing on any machine."""
_ALONE = {"memory": LEAST, "startup": 1.15}


@dataclass(frozen=True)
class Change:
    """One row in both runs.

    Attributes
    ----------
    row : Row
        Of the second run.
    before, after : Sample
        npgan's own.
    noise : float
        The ratio that the noise of the two can make.
    """

    row: Row
    before: Sample
    after: Sample
    noise: float

    @property
    def ratio(self) -> float:
        """How many times as much as before."""
        return self.after.median / self.before.median

    @property
    def verdict(self) -> str:
        """``"SLOWER"`` (or ``"MORE"`` memory), ``"faster"`` (``"less"``), or empty where it is noise."""
        worse, better = ("SLOWER", "faster") if self.row.unit == "s" else ("MORE", "less")
        if self.ratio > self.noise:
            return worse
        return better if self.ratio < 1 / self.noise else ""

    @property
    def regressed(self) -> bool:
        """Whether it got worse by more than noise."""
        return self.ratio > self.noise


@dataclass(frozen=True)
class Comparison:
    """All changes from one run to another.

    Attributes
    ----------
    changes : list of Change
    refused : list of Row
        Rows that were timed before and refused now: their results are wrong.
    only_before, only_after : list of str
        Rows that only one of the runs has.
    remarks : list of str
        Why the times may not be comparable.
    """

    changes: list[Change]
    refused: list[Row]
    only_before: list[str]
    only_after: list[str]
    remarks: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing got worse."""
        return not self.refused and not any(change.regressed for change in self.changes)


def compare(before: Report, after: Report) -> Comparison:
    """Compare npgan's own figures of two runs, row by row."""
    old, new = ({row.key: row for row in report.rows} for report in (before, after))
    spread = max(LEAST, before.spread or 1.0, after.spread or 1.0)
    changes, refused = [], []
    for key in (key for key in new if key in old):
        if new[key].refused and not old[key].refused:
            refused.append(new[key])
        if OURS not in old[key].samples or OURS not in new[key].samples:
            continue
        a, b = old[key].samples[OURS], new[key].samples[OURS]
        # Memory and start-up have no turns, and few rounds: the control says nothing about them.
        least = _ALONE.get(new[key].suite, spread)
        changes.append(Change(new[key], a, b, max(least, 1.0 + a.noise + b.noise)))
    return Comparison(
        changes,
        refused,
        [f"{row.suite}: {row.title}" for key, row in old.items() if key not in new],
        [f"{row.suite}: {row.title}" for key, row in new.items() if key not in old],
        _remarks(before, after, spread),
    )


def _remarks(before: Report, after: Report, spread: float) -> list[str]:
    found = [
        f"{what} differs: {before.about.get(what)!r} and {after.about.get(what)!r}"
        for what in ("machine", "backend", "threads", "versions")
        if before.about.get(what) != after.about.get(what)
    ]
    if before.control and after.control:
        b, a = (Sample(tuple(value for values in r.control for value in values)).median for r in (after, before))
        ratio = b / a
        if not 1 / spread < ratio < spread:
            found.append(
                f"the control, the same work in both, took {ratio:.2f} times as long in the second: "
                "the machine was not the same, or not as quiet"
            )
    found += [f"the {name} run was interrupted" for name, r in (("first", before), ("second", after)) if not r.complete]
    return found
