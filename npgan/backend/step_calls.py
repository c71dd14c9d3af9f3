"""The kernels of the table that a step may call while it is written down, and how.

The functions of `RECORDED` do nothing that a later step must do again except by `over_samples`, `over_shares` and
`alone` of `npgan.backend.threads`, which write calls down then. What they work out besides is a function of shapes and
settings. So they run as they are. Any other function is refused, and the step is then run as it is written.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.backend.recording import CannotRecordError
from npgan.backend.threads import alone, over_samples

if TYPE_CHECKING:
    from npgan.backend.base import Array
    from npgan.backend.compiled_step import CompiledStep
    from npgan.kernels import Kernels

RECORDED: dict[str, tuple[str, ...]] = {
    "activation": (
        *("relu", "relu_backward", "leaky_relu", "leaky_relu_backward", "elu", "elu_backward", "elu_rbackward"),
        *("tanh", "tanh_backward", "tanh_rbackward", "sigmoid", "sigmoid_backward", "sigmoid_rbackward"),
        *("softplus", "softplus_backward", "softplus_rbackward"),
    ),
    "arrays": ("copy", "zero", "add"),
    "bias": ("forward", "backward", "unbend"),
    "conv": ("forward", "backward_input", "backward_weight", "backward"),
    "dense": ("forward", "backward_input", "backward_weight"),
    "dropout": ("draw", "apply"),
    "embedding": ("forward", "backward"),
    "loss": ("cross_entropy", "squared", "linear", "hinge"),
    "normalization": ("statistics", "settle", "normalize", "backward", "rforward", "rbackward"),
    "optimizer": ("adam_step", "rmsprop_step", "sgd_step", "momentum_step", "average", "clip", "limit", "scale"),
    "penalty": ("charge", "between"),
    "pool": ("average", "average_backward", "maximum", "maximum_backward", "maximum_rforward"),
    "random": ("normal", "uniform"),
    "reduce": ("mean", "norm"),
    "shuffle": ("shuffle", "unshuffle"),
    "softmax": ("forward", "backward", "rbackward"),
    "upsample": ("nearest", "nearest_backward", "bilinear", "bilinear_backward"),
}

_PLANNING = ("workspace", "shares", "measured")  # these compute nothing


class Calls:
    """A table of kernels like `Kernels`, with those functions alone that can be written down."""

    def __init__(self, recording: CompiledStep, table: Kernels) -> None:
        self._recording, self._table = recording, table

    def __getattr__(self, operation: str) -> Any:
        return _Operation(operation, self._recording, getattr(self._table, operation))


class _Operation:
    def __init__(self, name: str, recording: CompiledStep, module: Any) -> None:
        self._name, self._module, self._recording = name, module, recording

    def __getattr__(self, function: str) -> Any:
        if function in _PLANNING or function in RECORDED.get(self._name, ()):
            return getattr(self._module, function)
        found = WRITERS.get((self._name, function))
        if found is None:
            raise CannotRecordError(f"it calls {self._name}.{function}, which is not known to call kernels alone")
        return partial(found, self._recording)


# In place of a kernel that is no plain call: functions with the same arguments after the first (a test compares them).


def _run(
    recording: CompiledStep,
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
    """Sweep through a stack, whose threads come by themselves where nothing is written down."""
    from npgan.kernels.stack.cpu import combine, share

    shares = partials.shape[0] + 1
    vectors = (memory, theta, direction, target, partials.reshape(-1), scratch.reshape(-1))
    recording.call(share, 1, shares, shares, (shares, n, tape, *vectors, bool(accumulate)))
    if shares > 1 and target.size:
        over_samples(combine, target.size, shares * target.size, target, partials, elements=True)


def _collect(recording: CompiledStep, out: Array, numbers: Any) -> None:
    """Collect numbers from where they are computed."""
    from npgan.kernels.reduce.cpu import collect_from

    alone(collect_from, out, np.array([recording.number(each) for each in numbers], np.int64))


WRITERS: dict[tuple[str, str], Any] = {("stack", "run"): _run, ("reduce", "collect"): _collect}
