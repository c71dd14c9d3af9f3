"""The vectors that hand-emitted kernels are made of: as many elements as the processor's registers hold."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.core.registry import cpu_target

WIDE = "+avx512f" in cpu_target.target_context.codegen().magic_tuple()[2].split(",")
"""Whether numba compiles for 32 registers of 64 bytes; else 16 of 32 are counted on, and LLVM takes several where
shorter. ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` say what it compiles for, where that is not the processor.
"""

FLAGS = ("contract", "nsz")
"""Products and sums may be fused; the order of sums is as written."""


def lanes(dtype: Any) -> int:
    """Return the elements of a vector."""
    size: int = np.dtype(dtype).itemsize
    return (64 if WIDE else 32) // size


def data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Return the address of an array's first element."""
    return context.make_array(kind)(context, builder, array).data


def number(value: int) -> Any:
    """Return a constant of the type of indices."""
    return ir.Constant(ir.IntType(64), value)


def ask(builder: Any, address: Any) -> None:
    """Emit a prefetch of the cache line at an address; nothing happens where there is no memory."""
    word, byte = ir.IntType(32), ir.IntType(8).as_pointer()
    function = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
    call = cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0i8")
    to_read, nearest, of_data = (ir.Constant(word, value) for value in (0, 3, 1))
    builder.call(call, [builder.bitcast(address, byte), to_read, nearest, of_data])
