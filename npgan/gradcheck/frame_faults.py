"""Faults in the maps of layers: in what a map writes, in what it reads, in what its plan says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.gradcheck.faults import CHANGES, LAST, Change, Fault, different

if TYPE_CHECKING:
    from npgan.layers.base import Frame, Layer

# The results that a fault is put into, with the map that makes each.
TARGETS = {"y": "forward", "dx": "backward", "dw": "backward", "ry": "rforward", "rdx": "rbackward", "rdw": "rbackward"}
_READS = {
    "forward": ("w",),
    "backward": ("x", "y", "w", "saved"),
    "rforward": ("x", "y", "w", "saved", "rx", "rw"),
    "rbackward": ("x", "y", "w", "saved", "dy", "rx", "rw", "ry", "rdy"),
}
Run = Callable[[Fault, Callable[["Frame"], None], "Frame"], None]


def faults_of(kind: type[Layer]) -> Iterator[Fault]:
    """Yield every fault that can be planted into a class that has maps of its own."""
    maps = ("forward", "backward", "rforward", "rbackward") if kind.second_order else ("forward", "backward")
    for target, map_ in TARGETS.items():
        if map_ not in maps:
            continue
        for name, change in CHANGES.items():
            if (name == "= for +=" and not target.endswith("w")) or (name == LAST and target == "y"):
                continue  # a forward that leaves something out is another function, and its derivatives may be right
            yield Fault(kind, map_, f"{name} ({target})", _on_frames(_changing(target, change)))
    for map_ in maps:
        for read in _READS[map_]:
            yield Fault(kind, map_, f"dropped {read}", _on_frames(_without(read)))
        yield Fault(kind, map_, "stale cache", _on_frames(_stale, remember=map_ != "forward"))
    yield Fault(kind, "plan", "keeps nothing", _forgetful)
    if kind.second_order and kind.curved:
        yield Fault(kind, "curved", "said to be false", _straight)


def _on_frames(run: Run, remember: bool = False) -> Callable[[Fault], dict[str, Any]]:
    """Return the replacement of a layer's map by ``run(fault, map, frame)``."""

    def patches(fault: Fault) -> dict[str, Any]:
        original = getattr(fault.kind, fault.method)

        def method(layer: Any, f: Frame) -> None:
            run(fault, lambda frame: original(layer, frame), f)

        forward = {"forward": _remembering(fault, fault.kind.forward)} if remember else {}  # type: ignore[attr-defined]
        return {fault.method: method, **forward}

    return patches


def _straight(fault: Fault) -> dict[str, Any]:
    fault.changed = True
    return {"curved": False}


def _forgetful(fault: Fault) -> dict[str, Any]:
    def forget(original: Callable[..., Any]) -> Callable[..., Any]:
        def plan(layer: Any, x: Any, k: Any) -> Any:
            found = original(layer, x, k)
            fault.changed |= bool(found.keeps)
            return replace(found, keeps=frozenset())

        return plan

    return {name: forget(getattr(fault.kind, name)) for name in ("plan", "plan_inputs")}


def _results(f: Frame, target: str) -> list[Any]:
    """Return the arrays of a target that the map writes now."""
    if target in ("y", "ry"):
        return [getattr(f, target)]
    if target.endswith("x"):
        return [a for a in getattr(f, f"{target}s") if a is not None]
    return list((getattr(f, target) or {}).values())


def _all_results(f: Frame, map_: str) -> list[Any]:
    return [a for target, of in TARGETS.items() if of == map_ for a in _results(f, target)]


def _changing(target: str, change: Change) -> Run:
    def run(fault: Fault, original: Callable[[Frame], None], f: Frame) -> None:
        results = _results(f, target)
        before = [a.copy() for a in results]
        original(f)
        adds = f.accumulate if target.endswith("w") else False
        for array, old in zip(results, before, strict=True):
            right = array.copy()
            with np.errstate(invalid="ignore", over="ignore"):
                array[...] = change(right - old, old, True) + old if adds else change(right, old, False)
            fault.changed |= different(array, right)

    return run


# ------------------------------------------------------------- changes of what is read


@contextmanager
def _reading(f: Frame, **values: Any) -> Iterator[None]:
    """Let a frame hold other arrays for a while; ``x`` and ``rx`` are tuples, those of all inputs."""
    before = {}
    for name, value in values.items():
        keys = {f"{name}s": value, name: value[0]} if name in ("x", "rx") else {name: value}
        for key, each in keys.items():
            before[key] = getattr(f, key)
            setattr(f, key, each)
    try:
        yield
    finally:
        for key, value in before.items():
            setattr(f, key, value)


def _value(f: Frame, name: str) -> Any:
    return getattr(f, f"{name}s" if name in ("x", "rx") else name, None)


def _zeros(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: np.zeros_like(a) for key, a in value.items()}
    if isinstance(value, tuple):
        return tuple(None if a is None or a.dtype.kind not in "fc" else np.zeros_like(a) for a in value)
    return None if value is None else np.zeros_like(value)


def _compare_with_right(fault: Fault, original: Callable[[Frame], None], f: Frame, **values: Any) -> None:
    """Run the map as it is, to know what is right, and again with other arrays to read."""
    results = _all_results(f, fault.method)
    before = [a.copy() for a in results]
    original(f)
    right = [a.copy() for a in results]
    for array, old in zip(results, before, strict=True):
        array[...] = old
    with _reading(f, **values), np.errstate(all="ignore"):
        original(f)
    fault.changed |= any(different(a, b) for a, b in zip(results, right, strict=True))


def _without(read: str) -> Run:
    def run(fault: Fault, original: Callable[[Frame], None], f: Frame) -> None:
        value = _value(f, read)
        if value is None or (isinstance(value, tuple) and any(a is None or a.dtype.kind not in "fc" for a in value)):
            original(f)
        else:
            _compare_with_right(fault, original, f, **{read: _zeros(value)})

    return run


def _copies(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: a.copy() for key, a in value.items()}
    return tuple(a.copy() for a in value) if isinstance(value, tuple) else value.copy()


def _key(f: Frame) -> Any:
    return f.y.shape, f.y.dtype, *(x.shape for x in f.xs)


def _remembering(fault: Fault, original: Callable[[Any, Frame], None]) -> Callable[[Any, Frame], None]:
    """Return a forward that keeps what the last two calls left for the other maps."""

    def forward(layer: Any, f: Frame) -> None:
        original(layer, f)
        new = {name: _copies(_value(f, name)) for name in ("x", "y", "saved")}
        fault.memory[_key(f)] = (fault.memory.get(_key(f), (None, new))[1], new)

    return forward


def _stale(fault: Fault, original: Callable[[Frame], None], f: Frame) -> None:
    """Let the map see what the forward before the last left; forward itself gives the y of before."""
    if fault.method == "forward":
        original(f)
        right = f.y.copy()
        f.y[...] = fault.memory.get(_key(f), right)
        fault.memory[_key(f)] = right
        fault.changed |= different(f.y, right)
        return
    stale = fault.memory.get(_key(f), (None, None))[0]
    if stale is None:
        original(f)
    else:
        _compare_with_right(fault, original, f, **stale)
