"""What a benchmark found, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from npgan.errors import ConfigError

FORMAT, VERSION = "npgan-bench", 1
OURS = "npgan"
REFERENCE = "reference"
TORCH, NHWC, COMPILED, JAX = "PyTorch", "NHWC", "compile", "JAX"
PEERS = {
    TORCH: "PyTorch, eager",
    NHWC: "PyTorch, eager, channels_last",
    COMPILED: "torch.compile",
    JAX: "JAX, jit",
    REFERENCE: "npgan's reference kernels: NumPy alone",
}
"""Who else there is, in tables and in words."""


@dataclass(frozen=True)
class Sample:
    """Measurements of one thing: seconds, or bytes; one a round.

    A round's own value is the median of the calls of that turn.
    """

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of all rounds."""
        return float(median(self.values))

    @property
    def quartiles(self) -> tuple[float, float]:
        """The first and third quartile."""
        low, high = np.percentile(self.values, [25, 75])
        return float(low), float(high)

    @property
    def noise(self) -> float:
        """The distance of the quartiles as a part of the median."""
        low, high = self.quartiles
        return (high - low) / self.median

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        low, high = self.quartiles
        return {"median": self.median, "q1": low, "q3": high, "values": list(self.values)}

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> Sample:
        """Return what `to_dict` wrote."""
        values = tuple(float(value) for value in table["values"])
        if not values or not all(0 < value < float("inf") for value in values):
            raise ValueError("values must be positive numbers, one or more")
        return cls(values)


@dataclass
class Row:
    """One piece of work and what every contestant took for it.

    Attributes
    ----------
    suite, group, name : str
        Together they say which work it is, in any run.
    unit : {"s", "bytes"}
    samples : dict of str to Sample
        By contestant.
    agreement : dict of str to float or None
        By contestant: the largest difference from npgan's result in float64, each array's relative to its largest
        element; None where it is not finite, or there is another shape.
    left_out : dict of str to str
        Why a contestant is missing.
    refused : str or None
        Why nothing was timed: somebody's result is wrong.
    flops, nbytes : float or None
        Operations that the direct algorithm needs; bytes that must be read and written.
    gradient : Sample or None
        npgan's plain gradient of the same networks and batch, timed in turn with the work, which is counted in it.
    """

    suite: str
    group: str
    name: str
    unit: str = "s"
    samples: dict[str, Sample] = field(default_factory=dict)
    agreement: dict[str, float | None] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    refused: str | None = None
    flops: float | None = None
    nbytes: float | None = None
    gradient: Sample | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is, in any run."""
        return self.suite, self.group, self.name

    @property
    def title(self) -> str:
        """Group and name as people read them."""
        return f"{self.group}: {self.name}" if self.group else self.name

    def ratio(self, contestant: str) -> float | None:
        """Return how many times as much as npgan the contestant takes; None where one of them is missing."""
        if OURS not in self.samples or contestant not in self.samples:
            return None
        return self.samples[contestant].median / self.samples[OURS].median

    @property
    def gradients(self) -> float | None:
        """How many plain gradients npgan could have taken in the same time; None where it is not counted in them."""
        if OURS not in self.samples or self.gradient is None:
            return None
        return self.samples[OURS].median / self.gradient.median

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        ratios = {name: self.ratio(name) for name in self.samples if name != OURS}
        return {
            **{key: getattr(self, key) for key in _PLAIN},
            "samples": {name: sample.to_dict() for name, sample in self.samples.items()},
            "ratios": {name: ratio for name, ratio in ratios.items() if ratio is not None},
            "gradient": None if self.gradient is None else self.gradient.to_dict(),
            "gradients": self.gradients,
        }

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> Row:
        """Return what `to_dict` wrote."""
        samples = {str(name): Sample.read(each) for name, each in table["samples"].items()}
        gradient = table.get("gradient")  # older files have none
        return cls(
            **{key: table[key] for key in _PLAIN},
            samples=samples,
            gradient=None if gradient is None else Sample.read(gradient),
        )


_PLAIN = ("suite", "group", "name", "unit", "agreement", "left_out", "refused", "flops", "nbytes")


@dataclass
class Report:
    """A run of ``npgan bench``.

    Attributes
    ----------
    about : dict
        Machine, versions, threads, the command, when.
    roofline : dict
        ``gemm`` in operations a second, ``copy`` in bytes a second (read and written), as measured in this run.
    control : list of list of float
        Seconds of the same fixed work throughout the run, row by row.
    rows : list of Row
    algorithms : list of dict
        What the suite ``kernels`` found.
    complete : bool
        False where the run was interrupted.
    """

    about: dict[str, Any]
    roofline: dict[str, float] = field(default_factory=dict)
    control: list[list[float]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    algorithms: list[dict[str, str]] = field(default_factory=list)
    complete: bool = False

    @property
    def spread(self) -> float | None:
        """How many times its 10th percentile the control's 90th is: what a ratio between runs must pass."""
        return _spread([value for values in self.control for value in values])

    @property
    def spread_within(self) -> float | None:
        """The same of what varied while one row was measured: what a ratio within a row must pass."""
        return _spread([value / median(values) for values in self.control for value in values])

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        control = {"values": self.control, "spread": self.spread, "spread_within": self.spread_within}
        return {
            "format": FORMAT,
            "version": VERSION,
            "complete": self.complete,
            **self.about,
            "roofline": self.roofline,
            "control": control,
            "rows": [row.to_dict() for row in self.rows],
            "algorithms": self.algorithms,
        }

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        from npgan.training.folder import write_atomically

        write_atomically(path, (json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n").encode())


def _spread(values: list[float]) -> float | None:
    if len(values) < 3:
        return None
    low, high = np.percentile(values, [10, 90])
    return float(high / low)


_SECTIONS = ("format", "version", "complete", "roofline", "control", "rows", "algorithms")


def load(path: Path) -> Report:
    """Read what `Report.save` wrote.

    Raises
    ------
    ConfigError
        There is no such file, it cannot be read, or it is something else.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON ({error}), expected what `npgan bench --json FILE` writes") from None
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise ConfigError(f"{path} is not of `npgan bench`, expected what `npgan bench --json FILE` writes")
    if table.get("version") != VERSION:
        raise ConfigError(f"{path} has version {table.get('version')!r} of the format, and this npgan reads {VERSION}")
    try:
        return Report(
            about={key: value for key, value in table.items() if key not in _SECTIONS},
            roofline={str(key): float(value) for key, value in table["roofline"].items()},
            control=[list(Sample.read({"values": values}).values) for values in table["control"]["values"]],
            rows=[Row.read(each) for each in table["rows"]],
            algorithms=list(table["algorithms"]),
            complete=bool(table["complete"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path} is damaged: {error!r}; measure again with `npgan bench --json FILE`") from None


def contestants(rows: Sequence[Row]) -> list[str]:
    """Return everybody who was timed: npgan, then the others in the order of `PEERS`."""
    found = {name for row in rows for name in row.samples}
    return [name for name in (OURS, *PEERS) if name in found]
