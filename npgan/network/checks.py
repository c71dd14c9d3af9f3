"""What a Pass checks: how it is planned, what it is given, what it is asked for, and where it is to write."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.errors import ConfigError, DTypeError, SecondOrderError, ShapeError
from npgan.network.planning import Memory
from npgan.network.program import Op, Program

if TYPE_CHECKING:
    from npgan.network.first_order import FirstOrder


def check_options(batch: int, order: int, keep: str) -> None:
    """Raise ConfigError where a Pass cannot be planned so."""
    if order not in (0, 1, 2):
        raise ConfigError(f"order is {order!r}, expected 0 (forward only), 1 (and backward) or 2 (and R-maps)")
    if keep not in ("needed", "all", "once"):
        raise ConfigError(f'keep is {keep!r}, expected "needed", "all" or "once"')
    if keep == "once" and order < 2:
        raise ConfigError(f'keep="once" is about the R-maps, but order is {order}; expected order=2')
    if not isinstance(batch, int | np.integer) or batch < 1:
        raise ConfigError(f"batch is {batch!r}, expected a whole number from 1")


def check_second_order(ops: Iterable[Op]) -> None:
    """Raise SecondOrderError where an operation has no R-maps."""
    for op in ops:
        if not op.layer.second_order:
            raise SecondOrderError(f"{op.where} has no R-maps, so a Pass of order 2 cannot be planned through it")


def check_array(p: FirstOrder, given: Array, shape: Shape, dtype: np.dtype[Any], what: str) -> None:
    """Raise DTypeError or ShapeError where an array is not what was expected: nothing is broadcast or converted."""
    xp = p.network.backend.xp
    if not isinstance(given, xp.ndarray):
        raise DTypeError(f"{p}: {what} is a {type(given).__name__}, expected an array of {xp.__name__}")
    if given.shape != shape:
        raise ShapeError(f"{p}: {what} is {given.shape}, expected {shape}; no broadcasting here")
    if given.dtype != dtype and not (dtype.kind == "i" and given.dtype.kind in "iu"):  # labels are of any integer type
        raise DTypeError(
            f"{p}: {what} is {given.dtype}, expected {dtype}; convert it yourself, npgan never does so silently"
        )


def check_target(p: FirstOrder, vector: Array, what: str) -> None:
    """Raise where the gradient of the weights cannot be written to a vector."""
    network = p.network
    check_array(p, vector, (network.size,), network.dtype, what)
    if network.backend.xp.may_share_memory(vector, network.theta):
        raise ConfigError(f"{p}: {what} is the network's own weights; give network.grad or another vector")
    if not getattr(vector.flags, "writeable", True):  # CuPy's flags do not have it
        raise ConfigError(f"{p}: {what} is read-only; give network.grad or another vector")


def check_wishes(p: FirstOrder, program: Program, memory: Memory, **wishes: bool) -> None:
    """Raise ConfigError where a derivative by the input, or by the condition, is asked for and there is none."""
    for (what, wish), value in zip(wishes.items(), (program.input, program.condition), strict=True):
        if wish and (value is None or value not in memory.gradients or not memory.flow.differentiable(value)):
            raise ConfigError(
                f"{p}: {what} was asked for, but there is nothing real to differentiate by; give {what}=False"
            )
