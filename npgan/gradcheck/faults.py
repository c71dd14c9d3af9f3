"""Faults that are planted one at a time, to see whether the checks find them.

A fault is planted by replacing methods of a class while the checks run; no source is edited. It notes whether it ever
changed a number: one that never did (a term dropped that is zero anyway) is no fault, and is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Change = Callable[[Any, Any, bool], Any]  # what is written (or added), what was there, whether it is added


@dataclass
class Fault:
    """One fault in one method of one class.

    Attributes
    ----------
    kind : type
    method : str
    name : str
        What is done, for people.
    patches : callable
        ``patches(fault)`` returns the attributes of the class that are replaced.
    changed : bool
        It has changed a number.
    memory : dict
        What it remembers of earlier calls.
    """

    kind: type
    method: str
    name: str
    patches: Callable[[Fault], dict[str, Any]]
    changed: bool = False
    memory: dict[Any, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind.__name__}.{self.method}: {self.name}"


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """Plant a fault, and take it out."""
    kind, patches = fault.kind, fault.patches(fault)
    before = {name: value for name, value in vars(kind).items() if name in patches}
    for name, value in patches.items():
        setattr(kind, name, value)
    try:
        yield
    finally:
        for name in patches:
            if name in before:
                setattr(kind, name, before[name])
            else:  # it was inherited
                delattr(kind, name)


def different(found: Any, right: Any) -> bool:
    """Return whether two arrays are not the same numbers; NaN is one."""
    return not np.array_equal(found, right, equal_nan=True)


def _transposed(c: Any) -> Any:
    """Return the numbers in the other order of memory; of a vector, backwards."""
    return c[::-1] if c.ndim < 2 or c.size == max(c.shape) else np.reshape(c.ravel(order="F"), c.shape)


def _narrow(c: Any) -> Any:
    return c.astype(np.complex64 if c.dtype.kind == "c" else np.float32).astype(c.dtype)


LAST = "the last element left out"
CHANGES: dict[str, Change] = {
    "sign": lambda c, before, adds: -c,
    "factor 1.001": lambda c, before, adds: 1.001 * c,
    "transposed": lambda c, before, adds: _transposed(c),
    "off by one": lambda c, before, adds: np.roll(c, 1, axis=1 if c.ndim > 1 else 0),
    LAST: lambda c, before, adds: _last(c),
    "float32": lambda c, before, adds: _narrow(c),
    "+= for =": lambda c, before, adds: c if adds else c + before,
    "= for +=": lambda c, before, adds: c - before if adds else c,
}


def _last(c: Any) -> Any:
    c = c.copy()
    c.reshape(-1)[-1:] = 0
    return c


def faults_of_terms() -> Iterator[Fault]:
    """Yield the faults that can be planted into the terms of losses: slope, value and curvature."""
    from npgan.losses.base import Term

    for method in ("value_and_gradient", "curvature"):
        yield from _of_call(Term, method)


def faults_of_penalties() -> Iterator[Fault]:
    """Yield the faults that can be planted into penalties: P and ∂P/∂g."""
    from npgan.penalties import GradientPenalty

    yield from _of_call(GradientPenalty, "value_and_gradient")


def _of_call(kind: type, method: str) -> Iterator[Fault]:
    """Yield the faults of a method that writes its first argument and may return a number."""
    for name, change in CHANGES.items():
        if name != "= for +=":
            yield Fault(kind, method, f"{name} (array)", _on_calls(change, None))
    if method != "curvature":
        for name in ("sign", "factor 1.001", "float32"):
            yield Fault(kind, method, f"{name} (value)", _on_calls(None, CHANGES[name]))


def _on_calls(on_array: Change | None, on_value: Change | None) -> Callable[[Fault], dict[str, Any]]:
    def patches(fault: Fault) -> dict[str, Any]:
        original = getattr(fault.kind, fault.method)

        def method(owner: Any, out: Any, *args: Any, **options: Any) -> Any:
            before = out.copy()
            value = original(owner, out, *args, **options)
            if on_array is not None:
                right = out.copy()
                with np.errstate(invalid="ignore", over="ignore"):
                    out[...] = on_array(right, before, False)
                fault.changed |= different(out, right)
            if on_value is not None:
                right = np.asarray(value)
                value = on_value(right, right, False)[()]
                fault.changed |= different(value, right)
            return value

        return {fault.method: method}

    return patches
