"""In place of the kernels while a step is written down: functions that write a row where theirs would compute.

Their arguments are those of the kernels (a test compares them). How a call is divided among the threads is what the
kernel itself does, wherever its bits depend on that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from npgan.backend.recording import CannotRecordError
from npgan.backend.step_program import Code
from npgan.backend.threads import thread_count

if TYPE_CHECKING:
    from npgan.backend.base import Array
    from npgan.backend.compiled_step import Cell, CompiledStep
    from npgan.kernels import Kernels

_PLANNING = ("workspace", "shares", "measured")  # these compute nothing
_SHORT = 4096  # elements of a vector that one thread is done with before another has begun


class Calls:
    """A table of kernels like `Kernels`, whose operations write rows."""

    def __init__(self, recording: CompiledStep, table: Kernels) -> None:
        self._recording, self._table = recording, table

    def __getattr__(self, operation: str) -> Any:
        return _Operation(operation, OPERATIONS.get(operation), self._recording, getattr(self._table, operation))


class _Operation:
    def __init__(self, name: str, writer: type | None, recording: CompiledStep, module: Any) -> None:
        self._name, self._module = name, module
        self._writer = None if writer is None else writer(recording)

    def __getattr__(self, function: str) -> Any:
        if function in _PLANNING:
            return getattr(self._module, function)
        found = getattr(self._writer, function, None)
        if found is None:
            raise CannotRecordError(f"it calls the kernel {self._name}.{function}, which is compiled by itself alone")
        return found


class _Writer:
    def __init__(self, recording: CompiledStep) -> None:
        self._step = recording

    def _vector(self, array: Array) -> tuple[int, int]:
        return self._step.at(array), array.size


class _Stack(_Writer):
    def run(
        self,
        tape: Array,
        n: int,
        memory: Array,
        theta: Array,
        direction: Array,
        target: Array,
        partials: Array,
        scratch: Array,
        accumulate: bool,
    ) -> None:
        step, shares = self._step, partials.shape[0] + 1
        step.computes_in(theta)
        given = [number for a in (tape, memory, theta, direction, target) for number in (step.at(a), len(a))]
        step.program.divided(
            Code.STACK, shares, *given, step.at(partials), step.at(scratch), scratch.size, n, accumulate
        )
        if shares > 1 and target.size:
            step.program.divided(Code.COMBINE, parts_of(target.size), *self._vector(target), step.at(partials), shares)


class _Random(_Writer):
    def normal(
        self, out: Array, k0: int, k1: int, step: int, stream: int, substream: int, mean: float, std: float
    ) -> None:
        self._draw(Code.NORMAL, out, k0, k1, step, stream, substream, mean, std)

    def uniform(
        self, out: Array, k0: int, k1: int, step: int, stream: int, substream: int, low: float, high: float
    ) -> None:
        self._draw(Code.UNIFORM, out, k0, k1, step, stream, substream, low, high)

    def _draw(
        self, code: Code, out: Array, k0: int, k1: int, step: int, stream: int, substream: int, a: float, b: float
    ) -> None:
        number = self._step.number
        self._step.computes_in(out)
        self._step.program.divided(
            code, parts_of(out.size), *self._vector(out), k0, k1, number(step), stream, substream, number(a), number(b)
        )


class _Loss(_Writer):
    def cross_entropy(self, slope: Array, t: Array, weights: Array | None, factor: float, target: float) -> Cell:
        return self._value(Code.CROSS_ENTROPY, slope, t, weights, factor, target)

    def squared(self, slope: Array, t: Array, weights: Array | None, factor: float, target: float) -> Cell:
        return self._value(Code.SQUARED, slope, t, weights, factor, target)

    def linear(self, slope: Array, t: Array, weights: Array | None, factor: float) -> Cell:
        return self._value(Code.LINEAR, slope, t, weights, factor, 0.0)

    def hinge(self, slope: Array, t: Array, weights: Array | None, factor: float, sign: float) -> Cell:
        return self._value(Code.HINGE, slope, t, weights, factor, sign)

    def _value(self, code: Code, slope: Array, t: Array, weights: Array | None, factor: float, option: float) -> Cell:
        if weights is not None:
            raise CannotRecordError("the loss has class weights")
        step, found, n = self._step, self._step.cell(), t.shape[0]
        step.program.alone(
            code, found.address, step.at(slope), step.at(t), n, t.size // n, step.number(factor), step.number(option)
        )
        return found


class _Reduce(_Writer):
    def mean(self, x: Array) -> Cell:
        found = self._step.cell()
        self._step.program.alone(Code.MEAN, found.address, *self._vector(x))
        return found

    def norm(self, scratch: Array, x: Array) -> Cell:
        found = self._step.cell()
        self._step.program.alone(Code.NORM, found.address, self._step.at(scratch), *self._vector(x))
        return found

    def collect(self, out: Array, numbers: Any) -> None:
        import numpy as np

        places = np.array([self._step.number(each) for each in numbers], np.int64)
        self._step.program.alone(Code.COLLECT, self._step.at(out), *self._vector(places))


class _Optimizer(_Writer):
    def adam_step(
        self,
        theta: Array,
        scratch: Array,
        m: Array,
        v: Array,
        g: Array,
        lr: float,
        beta1: float,
        beta2: float,
        eps: float,
        scale1: float,
        scale2: float,
        l2: float,
        decay: float,
    ) -> None:
        step = self._step
        numbers = (lr, beta1, 1 - beta1, beta2, 1 - beta2, eps, scale1, scale2, l2, decay)
        step.program.divided(
            Code.ADAM,
            parts_of(theta.size),
            *self._vector(theta),
            *self._vector(scratch),
            *(step.at(each) for each in (m, v, g)),
            *map(step.number, numbers),
        )

    def average(self, mean: Array, theta: Array, weight: float) -> None:
        step = self._step
        step.program.divided(
            Code.AVERAGE, parts_of(mean.size), *self._vector(mean), step.at(theta), step.number(weight)
        )

    def clip(self, x: Array, limit: float) -> None:
        self._step.program.alone(Code.CLIP, *self._vector(x), self._step.number(limit))

    def limit(self, x: Array, norm: float, most: float) -> None:
        self._step.program.alone(Code.LIMIT, *self._vector(x), self._step.number(norm), self._step.number(most))


OPERATIONS: dict[str, type[_Writer]] = {
    "stack": _Stack,
    "random": _Random,
    "loss": _Loss,
    "reduce": _Reduce,
    "optimizer": _Optimizer,
}


def parts_of(size: int) -> int:
    """Return among how many threads a vector is divided, element by element: its bits do not depend on that."""
    return max(1, min(thread_count(), size // _SHORT, 255))
