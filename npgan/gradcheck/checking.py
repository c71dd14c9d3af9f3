"""All that is checked of one function: the maps, the versions against each other, the contract, a batch of one."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from npgan.gradcheck.agree import agree
from npgan.gradcheck.contract import contract
from npgan.gradcheck.examine import Kinked, Witness, examine
from npgan.gradcheck.functions import NetworkFunction
from npgan.gradcheck.maps import Arrays, At, Function, Map, backward, direction, forward
from npgan.gradcheck.report import Row, worst

_POINTS = 4  # that are tried where differences meet kinks
_CLOSE = 1e-8


@dataclass
class Findings:
    """Rows, in the order in which they were found, how long each map took, and notes."""

    rows: list[Row] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def take(self, rows: Iterable[Row], stop: bool) -> bool:
        """Take rows in, and return whether to go on: at the first that is wrong, `stop` ends it."""
        begun = time.perf_counter()
        for row in rows:
            self.rows.append(row)
            now = time.perf_counter()
            self.seconds[row.map] = self.seconds.get(row.map, 0.0) + now - begun
            begun = now
            if stop and not row.ok:
                return False
        return True

    def merge(self, other: Findings) -> None:
        """Take in what another has found."""
        self.rows += other.rows
        self.notes += other.notes
        for name, seconds in other.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds


def check_function(
    f: Function,
    *,
    seed: int = 0,
    differences: bool = True,
    insist: bool = True,
    analytic: bool = True,
    full: int = 40,
    directions: int = 4,
    stop: bool = False,
) -> Findings:
    """Check a function in float64 in every way there is, or in float32 against float64.

    Parameters
    ----------
    f : Function
        In float64 or float32.
    seed : int
        Of the point and of the directions.
    differences : bool
        Take differences; without them, the complex step alone says what a derivative is (branches of kinked functions
        stay as they are at the point).
    insist : bool
        Where differences cannot tell at any point that is tried, something is wrong; otherwise the complex step decides
        alone: networks with many kinks are so.
    analytic : bool
        The reference is known to compute in complex numbers; otherwise it is tried, and left out where it does not.
    full : int
        Arrays of up to so many elements are checked element by element.
    directions : int
        How many, for larger arrays.
    stop : bool
        Stop at the first row that is wrong.
    """
    found = Findings()
    if _check(found, f, _Settings(seed, differences, insist, analytic, full, directions, stop)):
        found.rows = worst(found.rows)
    return found


@dataclass(frozen=True)
class _Settings:
    """The arguments of `check_function`."""

    seed: int
    differences: bool
    insist: bool
    analytic: bool
    full: int
    directions: int
    stop: bool


def _check(found: Findings, f: Function, s: _Settings) -> bool:
    """Take in everything there is to find, and return whether it came to the end."""
    inputs, dy = place(f, s.seed, 0)
    if isinstance(f, NetworkFunction) and not found.take(contract(f, inputs, dy, s.seed), s.stop):
        return False
    if f.dtype != np.float64:
        return _agree(found, f, s)
    wide = _wide(f, found, inputs, dy, s)
    if not _derivatives(found, f, wide, s):
        return False
    if not (isinstance(f, NetworkFunction) and f.network.backend.name == "reference") and not _agree(found, f, s):
        return False
    return not (isinstance(f, NetworkFunction) and f.batch > 1) or _batch_of_one(found, f, wide, s)


def _derivatives(found: Findings, f: Function, wide: Function | None, s: _Settings) -> bool:
    """Examine the maps at a point where differences can tell, or without differences."""

    def witness(attempt: int, differences: bool) -> Witness:
        return Witness(f, wide, *place(f, s.seed, attempt), s.seed, differences, s.full, s.directions)

    if not s.differences:
        found.notes.append("kinks: no differences were taken; the complex step stays on the branches of the point")
        return found.take(examine(witness(0, False)), s.stop)
    for attempt in range(_POINTS):
        part, w = Findings(), witness(attempt, True)
        try:
            go_on = part.take(examine(w), s.stop)
        except Kinked:
            continue
        if attempt:
            found.notes.append(f"kinks: the point was moved {attempt} time{'s' if attempt > 1 else ''}")
        if w.smallest < 1e-3:
            found.notes.append(f"kinks: differences looked as close as h = {w.smallest:.1g}")
        found.merge(part)
        return go_on
    if s.insist or wide is None:
        where = f"no point of {_POINTS} was found where they tell anything"
        return found.take([Row("backward", "all", "differences", where, np.nan, np.nan, 0.0)], s.stop)
    found.notes.append(
        "kinks: differences cannot tell at any point; the complex step stays on the branches of the point"
    )
    return found.take(examine(witness(0, False)), s.stop)


def _size(arrays: Arrays) -> float:
    """Return the largest element."""
    return max((float(np.abs(a).max(initial=0.0)) for a in arrays.values()), default=0.0)


def place(f: Function, seed: int, attempt: int) -> tuple[Arrays, Any]:
    """Return inputs and dy, in float64 and such that float32 has them."""
    draw = np.random.default_rng((seed, 10 + attempt))
    inputs = {
        name: a.astype(np.float32).astype(np.float64) if a.dtype.kind == "f" else a for name, a in f.draw(draw).items()
    }
    size = draw.uniform(0.5, 1.5, f.output_shape)
    return inputs, np.float64(np.float32(draw.choice([-1.0, 1.0], f.output_shape) * size))


def _agree(found: Findings, f: Function, s: _Settings) -> bool:
    """Hold f against the reference in float64."""
    reference = f.twin("reference", "float64")
    for attempt in range(_POINTS):
        part = Findings()
        try:
            go_on = part.take(agree(f, reference, *place(f, s.seed, attempt), s.seed), s.stop)
        except Kinked:
            continue
        found.merge(part)
        return go_on
    return found.take([Row("forward", "y", "reference", "every point lies at a kink", np.nan, np.nan, 0.0)], s.stop)


def _batch_of_one(found: Findings, f: NetworkFunction, wide: Function | None, s: _Settings) -> bool:
    from npgan.errors import NpganError

    one = f.with_batch(1)
    inputs, dy = place(one, s.seed, 20)
    try:
        one.forward(inputs)
    except NpganError as error:
        found.notes.append(f"a batch of one is refused: {error}")
        return True
    except Exception as error:  # a layer may raise what it will, and there is more to be said about it
        wrong = f"{type(error).__name__}: {error}"
        return found.take([Row("contract", "a batch of one", "contract", wrong, 1.0, 0.0, 0.0)], s.stop)
    if wide is None:
        return found.take(contract(one, inputs, dy, s.seed), s.stop)
    assert isinstance(wide, NetworkFunction)
    w = Witness(one, wide.with_batch(1), inputs, dy, s.seed, differences=False, full=0, directions=1)
    return found.take((_renamed(row) for row in examine(w)), s.stop)


def _renamed(row: Row) -> Row:
    return replace(row, place=f"{row.place} batch of one".strip())


def _wide(f: Function, found: Findings, inputs: Arrays, dy: Any, s: _Settings) -> Function | None:
    """Return the function in complex128, or None (with a note) where it cannot be trusted there."""
    if s.analytic:
        return f.twin("reference", "complex128")
    try:
        wide = f.twin("reference", "complex128")
        along = {n: direction(np.shape(inputs[n]), (s.seed, 800, i)) for i, n in enumerate(f.movable)}
        w = Witness(f, wide, inputs, dy, s.seed)
        at = At(inputs, dy, along, direction(np.shape(dy), (s.seed, 801)))
        for name, map_ in (("forward", forward), ("backward", backward)):
            here, there, true = map_(f, at), map_(wide, at), w.by_complex_step(map_, at)
            if any(np.abs(there[k] - a).max(initial=0.0) > 1e-9 * _size(here) for k, a in here.items()):
                raise ArithmeticError(f"{name} gives other numbers in complex128")
            if not _witnessed(w, name, map_, at, true):
                raise ArithmeticError(f"{name} is not analytic there (a modulus, a maximum, a conjugate?)")
    except Exception as error:
        found.notes.append(f"the complex step could not be used: {type(error).__name__}: {error}")
        return None
    return wide


def _witnessed(w: Witness, name: str, map_: Map, at: At, true: Arrays) -> bool:
    """Return whether differences bear the complex step out."""
    size = _size(true)
    try:
        values, errors = w.by_differences(name, map_, at, dict.fromkeys(true, size))
    except Kinked:
        # So close that few elements meet a kink, and so coarse that rounding does not matter: the median must agree.
        ahead, behind = map_(w.f, at.moved(_CLOSE)), map_(w.f, at.moved(-_CLOSE))
        off = [np.abs((ahead[k[1:]] - behind[k[1:]]) / (2 * _CLOSE) - a).reshape(-1) for k, a in true.items()]
        return float(np.median(np.concatenate(off))) <= 1e-3 * size
    return all((np.abs(a - values[k]) <= 1e-6 * size + 4.0 * errors[k]).all() for k, a in true.items())
