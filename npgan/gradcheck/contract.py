"""What a layer must hold to beside the values of its maps: what it writes, what it reads, what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.gradcheck.calls import Calls, Results
from npgan.gradcheck.functions import NetworkFunction
from npgan.gradcheck.guard import Guard
from npgan.gradcheck.maps import Arrays
from npgan.gradcheck.report import Row

if TYPE_CHECKING:
    from npgan.backend.base import Array
    from npgan.network import Pass

_ROUNDING = 1000  # rounding errors, on the way through a network


def contract(f: NetworkFunction, inputs: Arrays, dy: Array, seed: int) -> Iterator[Row]:
    """Yield a row for each clause.

    Parameters
    ----------
    f : NetworkFunction
    inputs, dy : dict of str to array, array
        In float64; converted to the function's dtype.
    seed : int
    """
    calls = Calls(f, inputs, dy, seed)
    before = {name: f.host(array) for name, array in calls.arrays().items()}
    call = _plain(f, order=2 if f.second_order else 1)
    expected = calls.run(call)
    changed = [name for name, array in calls.arrays().items() if not _same(f.host(array), before[name])]
    yield _row("what is given stays as it is", ", ".join(f"{name} was changed" for name in changed))
    yield _row("inside of the layer too", _guarded(f, calls))
    lost = [name for arrays in expected.values() for name, a in arrays.items() if not np.isfinite(a).all()]
    yield _row("results are finite and written in full", ", ".join(f"{name} is not finite" for name in lost))
    yield _row("a second run gives the same bits", _differences(expected, calls.run(call), "in a second run"))
    yield _row("nothing is left of other calls", _remembered(f, calls, expected, inputs, dy, seed))
    yield _row("whatever lay in the memory", _garbage(f, calls, expected))
    yield _row("arrays may lie anyhow", _strided(f, calls, expected))
    yield _row("maps read only what the plan keeps", _poisoned(f, calls, expected))
    yield _row("however the Pass is planned", _plans(f, calls, expected))
    yield _row("in one call with its neighbours", _fused(f, calls, expected))
    yield _row("accumulating adds, and the rest overwrites", _accumulated(f, calls, expected))
    yield _row("each gradient alone is the same", _alone(f, calls, expected))
    yield _row("results share no memory with what is given", _shared(f, calls))
    yield _row("another dtype is refused", _dtypes(f, calls))
    yield _row("an empty batch", _empty(f, calls))


def _plain(f: NetworkFunction, **options: Any) -> Pass:
    """Return a Pass that runs layer by layer: only that gives the same bits however it is planned."""
    return f.new_pass(fuse=False, **options)


def _row(what: str, wrong: str) -> Row:
    return Row("contract", what, "contract", wrong, 1.0 if wrong else 0.0, 0.0, 0.0)


def _same(a: Any, b: Any) -> bool:
    return np.shape(a) == np.shape(b) and np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind in "fc")


def _differences(expected: Results, found: Results, when: str) -> str:
    """Name the results in `found` that are not the expected ones, to the bit."""
    wrong = [
        f"{name} ({map_})"
        for map_, arrays in found.items()
        for name, array in arrays.items()
        if not _same(array, expected[map_][name])
    ]
    return f"{', '.join(wrong)} came out different {when}" if wrong else ""


def _fused(f: NetworkFunction, calls: Calls, expected: Results) -> str:
    """Compare with Passes that run neighbouring layers in one call: to rounding, of the largest result of a map."""
    wrong = []
    for order in (1, 2) if f.second_order else (1,):
        for map_, arrays in calls.run(f.new_pass(order=order)).items():
            few = _ROUNDING * np.finfo(f.dtype).eps
            few *= max([1.0, *(float(np.abs(a).max(initial=0.0)) for a in expected[map_].values())])
            for name, array in arrays.items():
                if not np.allclose(array, expected[map_][name], rtol=0, atol=few, equal_nan=True):
                    wrong.append(f"{name} ({map_}) with {order=}")
    return f"{', '.join(wrong)} came out different" if wrong else ""


def _guarded(f: NetworkFunction, calls: Calls) -> str:
    wrong: list[str] = []
    call = _plain(f, order=2 if f.second_order else 1, keep="all")
    for op in call._ops:
        op.layer = Guard(op.layer, op.where, wrong)  # type: ignore[assignment]
    calls.run(call)
    return ", ".join(dict.fromkeys(wrong))


def _remembered(f: NetworkFunction, calls: Calls, expected: Results, inputs: Arrays, dy: Array, seed: int) -> str:
    """Run elsewhere on the same Pass before, and on another Pass between the maps."""
    draw = np.random.default_rng((seed, 602))
    elsewhere = Calls(
        f, {**f.draw(draw), **{k: a for k, a in inputs.items() if k in f.network.layout.ranges()}}, -dy, seed
    )
    call, other = (_plain(f, order=2 if f.second_order else 1) for _ in range(2))
    elsewhere.run(call)
    wrong = _differences(expected, calls.run(call), "after a call with other arguments")
    if wrong:
        return wrong
    found = calls.run(call, between=lambda: elsewhere.run(other))
    return _differences(expected, found, "with calls of another Pass between the maps")


def _strided(f: NetworkFunction, calls: Calls, expected: Results) -> str:
    def lay(a: Any) -> Any:
        """Return the same numbers in another order of memory, every other element of it unused."""
        if not a.ndim:
            return a
        view = f.network.backend.empty((*a.shape[::-1], 2), a.dtype)[..., 0].T
        view[...] = a
        return view

    call = _plain(f, order=2 if f.second_order else 1)
    return _differences(expected, calls.run(call, change=lay), "for strided arrays")


def _garbage(f: NetworkFunction, calls: Calls, expected: Results) -> str:
    # NaN; and 4.8e-4 in float64, 0.75 in float32, which would only be added.
    for byte in (0xFF, 0x3F):
        call = _plain(f, order=2 if f.second_order else 1)
        calls.run(call)
        call.arena.region[...] = byte
        wrong = _differences(expected, calls.run(call), "with other numbers in the memory before: not all was written")
        if wrong:
            return wrong
    return ""


def _poisoned(f: NetworkFunction, calls: Calls, expected: Results) -> str:
    """Overwrite, between maps, all that a layer does not declare to keep."""
    call = _plain(f, order=2 if f.second_order else 1, keep="all")

    def poison() -> None:
        keeping = {id(v.root) for op in call._ops for v in op.inputs if "x" in op.plan.keeps}
        keeping |= {id(op.output) for op in call._ops if "y" in op.plan.keeps}
        for op, frame in zip(call._ops, call._frames.each, strict=True):
            for value, array in [*zip(op.inputs, frame.xs, strict=True), (op.output, frame.y)]:
                if id(value.root) not in keeping:
                    array[...] = np.nan if array.dtype.kind in "fc" else 0
            for arrays in call._frames.scratch[call._ops.index(op)]:
                for array in arrays.values():
                    array[...] = np.nan if array.dtype.kind in "fc" else 1

    return _differences(expected, calls.run(call, between=poison), "without what the plan does not keep")


def _plans(f: NetworkFunction, calls: Calls, expected: Results) -> str:
    for order, keep in ((1, "needed"), (1, "all"), (2, "all"), (2, "once")):
        if order == 2 and not f.second_order:
            continue
        wrong = _differences(expected, calls.run(_plain(f, order=order, keep=keep)), f"with {order=}, {keep=}")
        if wrong:
            return wrong
    return ""


def _accumulated(f: NetworkFunction, calls: Calls, expected: Results) -> str:
    call = _plain(f, order=2 if f.second_order else 1, keep="all")
    calls.run(call)
    network = f.network
    for map_, run, seed_array in (("backward", call.backward, calls.dy), ("rbackward", call.rbackward, calls.rdy)):
        if map_ not in expected:
            continue
        prefix, key = ("d", "dtheta") if map_ == "backward" else ("rd", "rdtheta")
        total = network.backend.asarray(np.ones(network.size, f.dtype))
        alone = network.backend.asarray(np.full(network.size, np.nan, f.dtype))
        if map_ == "rbackward":
            f.ahead(call, {k: f.host(a) for k, a in calls.along.items()})
        options: dict[str, Any] = {f"{prefix}x": f.below is None}
        run(seed_array, **{**options, key: alone})
        run(seed_array, **{**options, key: total, "accumulate": True})
        total, alone = f.host(total), f.host(alone)
        eps = float(np.finfo(f.dtype).eps)
        off = np.abs(total - (1.0 + alone))
        if not (off <= 8.0 * eps * (1.0 + np.abs(alone).max(initial=0.0))).all():
            return f"{map_} with accumulate=True did not add to {key}"
    return ""


def _alone(f: NetworkFunction, calls: Calls, expected: Results) -> str:
    """Ask for the weights' gradients alone, and for the inputs' alone."""
    call = _plain(f, order=1)
    real, network = f.below is None, f.network
    found: Results = {"backward": {}}
    if network.size:
        calls.forward(call)
        dtheta = network.backend.asarray(np.full(network.size, np.nan, f.dtype))
        call.backward(calls.dy, dtheta=dtheta, dx=False)
        host = f.host(dtheta)
        found["backward"] |= {f"d{name}": a.copy() for name, a in network.layout.by_name(host).items()}
    if real:
        calls.forward(call)
        found["backward"]["dx"] = f.host(call.backward(calls.dy))
    return _differences(expected, found, "when asked for alone")


def _shared(f: NetworkFunction, calls: Calls) -> str:
    call = _plain(f, order=2 if f.second_order else 1)
    given = calls.arrays()
    results = {"y": calls.forward(call)}
    dtheta = f.network.backend.asarray(np.zeros(f.network.size, f.dtype))
    real = f.below is None
    results["dx"] = call.backward(calls.dy, dtheta=dtheta, dx=real)
    if f.second_order:
        results["ry"] = f.ahead(call, {k: f.host(a) for k, a in calls.along.items()})
        results["rdx"] = call.rbackward(calls.rdy, rdtheta=dtheta, rdx=real)
    shares = f.network.backend.xp.may_share_memory
    wrong = [
        f"{name} shares memory with {other}"
        for name, array in results.items()
        for other, array2 in given.items()
        if array is not None and shares(array, array2)
    ]
    return ", ".join(wrong)


def _dtypes(f: NetworkFunction, calls: Calls) -> str:
    from npgan.errors import DTypeError

    other = "float32" if f.dtype == np.float64 else "float64"
    call = _plain(f, order=1)
    x = calls.inputs["x"]
    attempts: dict[str, Callable[[], Any]] = {}
    if f.below is None:
        attempts["x"] = lambda: call.forward(x.astype(other), calls.inputs["condition"])

    def wrong_dy() -> None:
        calls.forward(call)
        call.backward(calls.dy.astype(other), dx=f.below is None)

    attempts["dy"] = wrong_dy
    for what, attempt in attempts.items():
        try:
            attempt()
        except DTypeError as error:
            if what not in str(error) or other not in str(error):
                return f"{what} of {other} is refused by a message that does not say so: {error}"
        else:
            return f"{what} of {other} was taken by a Pass of {f.dtype}"
    return ""


def _empty(f: NetworkFunction, calls: Calls) -> str:
    """Plan a Pass for no samples, which is refused, and run the network on none, which gives none."""
    from npgan.errors import ConfigError

    try:
        f.network.new_pass(0)
    except ConfigError as error:
        if "batch" not in str(error):
            return f"a Pass of batch 0 is refused by a message that does not name the batch: {error}"
    else:
        return "a Pass of batch 0 was planned"
    condition = calls.inputs["condition"]
    y = f.network(calls.inputs["x"][:0], None if condition is None else condition[:0])
    expected = (0, *f.network.output_shape)
    return "" if y.shape == expected else f"of an empty batch the network makes {y.shape}, expected {expected}"
