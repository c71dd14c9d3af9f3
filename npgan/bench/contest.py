"""One piece of work and its contestants: first they must agree, then they take turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from npgan.backend.base import Array, Backend
from npgan.bench.results import COMPILED, JAX, NHWC, OURS, REFERENCE, TORCH, Row, Sample
from npgan.bench.timing import interleaved

EXACT = 1e-9
"""Largest difference of an array in float64, relative to its largest element: finds wrong derivatives."""
SINGLE = 5e-2
"""Largest norm of a difference in float32, at the timed size, relative to the array's: finds what is wrong there alone.

It is so large as rounding decides on which side of a kink a unit is, and in which direction Adam's first step moves a
weight whose gradient is nearly 0: both change the gradients that come after, for everybody.
"""


ROUNDED = {"tf32": 0.1, "bf16": 0.4}
"""The same where products round their factors: to 10 or 7 bits of mantissa, each framework at places of its own."""
BURST = 20
"""Works that are asked of a GPU one after the other before it is waited for: in a training nobody waits for a step."""

_GRADIENT = "gradient"


class AbsentError(Exception):
    """A contestant cannot take part here; the message says why."""


class Contestant(Protocol):
    """Somebody who can do the work."""

    def result(self) -> list[Array]:
        """Do it once and return arrays on which all must agree, on the host."""

    def run(self) -> object:
        """Do it once, or `burst` times where there is such an attribute, and return when it is done: this is timed."""


Makers = Mapping[str, Callable[[], Contestant]]


def peers(
    torch: Callable[..., Contestant],
    jax: Callable[[], Contestant] | None = None,
    *,
    images: bool,
    compiled: bool = False,
) -> dict[str, Callable[[], Contestant]]:
    """Return the makers of the frameworks' contestants.

    Parameters
    ----------
    torch : callable
        Makes PyTorch's; takes ``channels_last`` and ``compiled``.
    jax : callable, optional
        Makes JAX's. A single layer says nothing about what compiles whole steps.
    images : bool
        There are images, which PyTorch can hold in two memory formats.
    compiled : bool
        Let torch.compile take part; it does not differentiate twice.
    """
    found: dict[str, Callable[[], Contestant]] = {TORCH: torch}
    if images:
        found[NHWC] = partial(torch, channels_last=True)
    if compiled:
        # The compiler lays images out channels last by itself; given so, it has nothing to convert.
        found[COMPILED] = partial(torch, channels_last=images, compiled=True)
    return found if jax is None else {**found, JAX: jax}


@dataclass(frozen=True)
class Work:
    """What is to be timed.

    Attributes
    ----------
    suite, group, name : str
    make : callable
        ``make(dtype, small)`` returns who could do it, by name: functions that build a contestant, all from the same
        weights and batches. `small` asks for a small batch, for the check.
    checks : int
        How many results in a row must agree, in float64.
    flops, nbytes : float, optional
        As in `Row`.
    single : float
        What is allowed in float32.
    gradient : callable, optional
        ``gradient(dtype)`` returns npgan's plain gradient of the same networks and batch, which the work is counted in.
    """

    suite: str
    group: str
    name: str
    make: Callable[[str, bool], Makers]
    checks: int = 1
    flops: float | None = None
    nbytes: float | None = None
    single: float = SINGLE
    gradient: Callable[[str], Contestant] | None = None


def own(
    backend: Backend, small: bool, make: Callable[[str | Backend], Contestant]
) -> dict[str, Callable[[], Contestant]]:
    """Return the makers of npgan's contestants: here, and on plain NumPy, which beside a GPU is asked for checks alone.

    Parameters
    ----------
    backend : Backend
    small : bool
        It is for a check.
    make : callable
        Makes one on a backend.
    """
    ours: dict[str, Callable[[], Contestant]] = {OURS: partial(make, backend)}
    return ours if backend.name == "gpu" and not small else ours | {REFERENCE: partial(make, "reference")}


def where(backend: Backend) -> str:
    """Return a backend's name with what it computes in, as `get_backend` takes it: ``"gpu:tf32"``."""
    compute = getattr(backend, "compute", "float32")
    return backend.name if compute == "float32" else f"{backend.name}:{compute}"


def burst(backend: str | Backend) -> int:
    """Return how often a contestant does a whole step before it waits."""
    name = backend if isinstance(backend, str) else backend.name
    return BURST if name.partition(":")[0] == "gpu" else 1


def contest(
    work: Work, rounds: int, *, peers: bool, control: Callable[[], object], compute: str = ""
) -> tuple[Row, tuple[float, ...]]:
    """Check, then time.

    Parameters
    ----------
    work : Work
    rounds : int
    peers : bool
        Time others than npgan. The reference is always asked for its result, so that something is checked.
    control : callable
        The same fixed work in every run; it has a turn in every round.
    compute : str
        What products are computed in: see `ROUNDED`.

    Returns
    -------
    Row
        Without samples where it is refused.
    tuple of float
        Seconds of the control, one a round.
    """
    row = Row(work.suite, work.group, work.name, flops=work.flops, nbytes=work.nbytes)

    def wanted(name: str) -> bool:
        return peers or name in (OURS, REFERENCE)

    exact = _results(work.make("float64", True), wanted, work.checks, row)[1]
    row.agreement = {name: difference(result, exact[OURS]) for name, result in exact.items() if name != OURS}
    row.refused = _refusal(row.agreement, EXACT, "in float64")
    if row.refused:
        return row, ()
    entrants, single = _results(
        work.make("float32", False), lambda name: name in exact and (peers or name == OURS), 1, row
    )
    row.refused = _refusal(
        {name: difference(result, single[OURS], 2) for name, result in single.items()},
        max(work.single, ROUNDED.get(compute, 0.0)),
        f"in {compute or 'float32'}, as timed",
    )
    if row.refused:
        return row, ()
    calls: dict[str, Callable[[], object]] = {name: each.run for name, each in entrants.items()}
    if work.gradient is not None:
        calls[_GRADIENT] = work.gradient("float32").run
        calls[_GRADIENT]()
    seconds = interleaved({**calls, "": control}, rounds)
    row.samples = {
        name: Sample(tuple(each / getattr(entrant, "burst", 1) for each in seconds[name]))
        for name, entrant in entrants.items()
    }
    row.gradient = Sample(seconds[_GRADIENT]) if work.gradient is not None else None
    return row, seconds[""]


def _results(
    makers: Makers, wanted: Callable[[str], bool], count: int, row: Row
) -> tuple[dict[str, Contestant], dict[str, list[Array]]]:
    """Return contestants and their results; who fails is left out, with the reason in the row."""
    entrants, results = {}, {}
    for name, make in makers.items():
        if not wanted(name):
            continue
        try:
            entrant = make()
            result = [np.array(part) for _ in range(count) for part in entrant.result()]
        except Exception as error:
            if name in (OURS, REFERENCE):
                raise
            row.left_out[name] = reason(error)
            continue
        entrants[name], results[name] = entrant, result
    return entrants, results


def reason(error: Exception) -> str:
    """Return why somebody cannot take part, in a line."""
    if isinstance(error, AbsentError | ImportError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:200]


def difference(found: Sequence[Array], expected: Sequence[Array], order: float = np.inf) -> float | None:
    """Return the largest difference of two results, each array's relative to its size.

    None where a shape is another, or something is not finite.

    Parameters
    ----------
    found, expected : sequence of array
    order : {inf, 2}
        The size is that of the largest element, or the Euclidean norm.
    """
    if [part.shape for part in found] != [part.shape for part in expected]:
        return None

    def size(part: Array) -> float:
        return float(np.linalg.norm(part.reshape(-1).astype(np.float64), order)) if part.size else 0.0

    errors = [size(mine - theirs) / (size(theirs) or 1.0) for mine, theirs in zip(found, expected, strict=True)]
    return max(errors) if np.isfinite(errors).all() else None


def _refusal(differences: Mapping[str, float | None], allowed: float, where: str) -> str | None:
    wrong = [
        f"{name} differs from {OURS} {where}: by {error:.1e}, and {allowed:.0e} is allowed"
        if error is not None
        else f"{name} differs from {OURS} {where}: not finite, or of another shape"
        for name, error in differences.items()
        if error is None or error > allowed
    ]
    return "; ".join(wrong) or None
