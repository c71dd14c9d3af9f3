"""Learning rates as pure functions of the step, counted from 0.

A new one is a class here and its name in `SCHEDULES`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from npgan.errors import ConfigError
from npgan.options import make, number, whole


@dataclass(frozen=True)
class Schedule(ABC):
    """A learning rate for every step: ``schedule(step)``."""

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, step: int) -> float:
        """Return the learning rate of a step, the first of which is 0."""

    def config(self) -> dict[str, Any]:
        """Return what `get_schedule` makes this schedule from, fit for TOML."""
        return {"name": self.name, **{k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}}

    def _rate(self, option: str) -> None:
        """Keep an option that is a learning rate as a float, or raise ConfigError."""
        object.__setattr__(self, option, number(f"schedule {self.name}: {option}", getattr(self, option), least=0))

    def _steps(self, option: str, least: int) -> None:
        """Keep an option that is a number of steps as an int, or raise ConfigError."""
        found = whole(f"schedule {self.name}: {option}", getattr(self, option), least=least)
        object.__setattr__(self, option, found)


@dataclass(frozen=True)
class Constant(Schedule):
    """The rate lr."""

    name = "constant"
    lr: float

    def __post_init__(self) -> None:
        self._rate("lr")

    def __call__(self, step: int) -> float:  # noqa: D102
        return self.lr


@dataclass(frozen=True)
class Linear(Schedule):
    """From lr in a straight line to `end` at step `start` + `steps`; lr until `start`, `end` afterwards."""

    name = "linear"
    lr: float
    steps: int
    start: int = 0
    end: float = 0.0

    def __post_init__(self) -> None:
        self._rate("lr")
        self._steps("steps", 1)
        self._steps("start", 0)
        self._rate("end")

    def __call__(self, step: int) -> float:  # noqa: D102
        done = min(max(step - self.start, 0) / self.steps, 1.0)
        return self.lr * (1 - done) + self.end * done


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from lr to `end` (Loshchilov and Hutter 2017, "SGDR", eq. 5), after a warm-up.

    For step < warmup the rate is lr (step + 1) / warmup, so the first step does something; from there to
    `steps`, which counts the warm-up, it is end + (lr - end) (1 + cos(pi done)) / 2; afterwards `end`.
    """

    name = "cosine"
    lr: float
    steps: int
    warmup: int = 0
    end: float = 0.0

    def __post_init__(self) -> None:
        self._rate("lr")
        self._steps("warmup", 0)
        self._steps("steps", self.warmup + 1)
        self._rate("end")

    def __call__(self, step: int) -> float:  # noqa: D102
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = min((step - self.warmup) / (self.steps - self.warmup), 1.0)
        return self.end + (self.lr - self.end) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Exponential(Schedule):
    """The rate lr gamma^(step / every)."""

    name = "exponential"
    lr: float
    gamma: float
    every: int = 1

    def __post_init__(self) -> None:
        self._rate("lr")
        object.__setattr__(self, "gamma", number(f"schedule {self.name}: gamma", self.gamma, above=0, most=1))
        self._steps("every", 1)

    def __call__(self, step: int) -> float:  # noqa: D102
        return self.lr * math.pow(self.gamma, step / self.every)


@dataclass(frozen=True)
class Step(Exponential):
    """The rate lr gamma^floor(step / every)."""

    name = "step"

    def __call__(self, step: int) -> float:  # noqa: D102
        return self.lr * math.pow(self.gamma, step // self.every)


@dataclass(frozen=True)
class Piecewise(Schedule):
    """The rate values[k], where k is how many of the milestones the step has reached."""

    name = "piecewise"
    milestones: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        owner = f"schedule {self.name}"
        for option in ("milestones", "values"):
            if isinstance(getattr(self, option), str) or not isinstance(getattr(self, option), Sequence):
                raise ConfigError(f"{owner}: {option} is {getattr(self, option)!r}, expected a list of numbers")
        milestones = tuple(whole(f"{owner}: milestones", step, least=1) for step in self.milestones)
        if list(milestones) != sorted(set(milestones)):
            raise ConfigError(f"{owner}: milestones is {list(milestones)}, expected steps that increase")
        if len(self.values) != len(milestones) + 1:
            raise ConfigError(
                f"{owner}: values has {len(self.values)} rates for {len(milestones)} milestones, expected one more"
            )
        object.__setattr__(self, "milestones", milestones)
        object.__setattr__(self, "values", tuple(number(f"{owner}: values", v, least=0) for v in self.values))

    def __call__(self, step: int) -> float:  # noqa: D102
        return self.values[bisect_right(self.milestones, step)]


SCHEDULES: dict[str, type[Schedule]] = {
    schedule.name: schedule for schedule in (Constant, Linear, Cosine, Exponential, Step, Piecewise)
}


def get_schedule(schedule: str | float | Mapping[str, Any] | Schedule, **options: Any) -> Schedule:
    """Return a learning-rate schedule.

    Parameters
    ----------
    schedule : str, float, mapping or Schedule
        A key of `SCHEDULES`; or a constant rate; or a table of a configuration file, with ``name`` and the
        options.
    **options
        See the schedule's class.

    Raises
    ------
    ConfigError
        Unknown name or option, one that is missing, or a value out of range.
    """
    if isinstance(schedule, Schedule) and not options:
        return schedule
    if isinstance(schedule, Mapping):
        options = {**schedule, **options}
        schedule = options.pop("name", None)
    elif isinstance(schedule, int | float):
        options, schedule = {"lr": schedule, **options}, "constant"
    return make("schedule", SCHEDULES, schedule, options)
