"""A small matrix applied along both axes of a square of cells, as in `separable`, where the cells lie at fixed steps.

    out[i, j] = Σₖₗ L[i, k] L[j, l] in[k, l],      L (n, d);      a cell is 16 elements

There is no table of offsets, which would take as long to read as so few elements take to transform.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from npgan.kernels.conv.separable import Emitter, matrix
from npgan.kernels.vectors import FLAGS, ask, data, lanes, number

CELL = 16
"""Elements: whole vectors of any dtype."""
HALF = CELL // 2

_WORD = ir.IntType(32)


@intrinsic(prefer_literal=True)
def square(
    typing, name, out, out_at, out_row, out_column, source, source_at, source_row, source_column, line, bias, bias_at,
    bends, slope,
):  # fmt: skip
    """Read d² cells, write n².

    Parameters
    ----------
    name : literal str
        Of the matrix L.
    out, source : array
        Of one dtype. `out_at` and `source_at` are where the first cells are, the others `out_row` and `out_column`,
        `source_row` and `source_column` from one to the next.
    line : int or None
        What is between the two halves of a cell that is read; None where the second follows the first.
    bias : array or None
        What is added to a cell, from element `bias_at` on.
    bends : literal int
        1 for the leaky ReLU of that `slope` after it, else 0.
    """
    if not isinstance(name, types.StringLiteral) or not isinstance(bends, types.IntegerLiteral):
        raise TypingError("the matrix, and whether there is a leaky ReLU, must be literal")
    i, adds, halves = types.intp, not isinstance(bias, types.NoneType), not isinstance(line, types.NoneType)
    signature = types.none(name, out, i, i, i, source, i, i, i, i if halves else line, bias, i, bends, out.dtype)

    def generate(context, builder, signature, args):
        _, out_, out_at, out_row, out_column, source_, source_at, source_row, source_column, *rest = args
        line_, bias_, bias_at, _, slope_ = rest
        rows, width = matrix(name.literal_value), lanes(str(out.dtype))
        emit = Emitter(context, builder, out.dtype, width)
        to = builder.gep(data(context, builder, out, out_), [out_at])
        origin = builder.gep(data(context, builder, source, source_), [source_at])

        def cell(base, row, column, i, j, start):
            there = builder.add(builder.mul(row, number(i)), builder.mul(column, number(j)))
            return builder.gep(base, [builder.add(there, number(start))])

        def load(place, size=width):
            return builder.load(
                builder.bitcast(place, ir.VectorType(emit.element, size).as_pointer()), align=emit.bytes
            )

        def read(i, j, start):
            if not halves:
                return load(cell(origin, source_row, source_column, i, j, start))
            place = cell(origin, source_row, source_column, i, j, start % HALF)
            if width <= HALF:
                return load(builder.gep(place, [line_]) if start >= HALF else place)
            both = ir.Constant(ir.VectorType(_WORD, CELL), list(range(CELL)))
            return builder.shuffle_vector(load(place, HALF), load(builder.gep(place, [line_]), HALF), both)

        for start in range(0, CELL, width):
            d = len(rows[0])
            inputs = [read(i, j, start) for i in range(d) for j in range(d)]
            columns = [emit.product(rows, inputs[j::d]) for j in range(d)]
            if adds:
                more = load(builder.gep(data(context, builder, bias, bias_), [builder.add(bias_at, number(start))]))
            for i in range(len(rows)):
                for j, value in enumerate(emit.product(rows, [column[i] for column in columns])):
                    if adds:
                        value = builder.fadd(value, more, flags=FLAGS)
                    if bends.literal_value:
                        value = _bend(builder, emit, value, slope_, str(out.dtype))
                    place = builder.bitcast(cell(to, out_row, out_column, i, j, start), emit.type.as_pointer())
                    builder.store(value, place, align=emit.bytes)
        return context.get_dummy_value()

    return signature, generate


def _bend(builder: Any, emit: Any, value: Any, slope: Any, dtype: str) -> Any:
    """Emit `npgan.kernels.bend.bend` of a vector: NaN stays, and ReLU makes 0 of -∞."""

    def splat(scalar):
        one = builder.insert_element(ir.Constant(emit.type, ir.Undefined), scalar, ir.Constant(_WORD, 0))
        return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_WORD, emit.width), [0] * emit.width))

    zero, least, low = (ir.Constant(emit.element, v) for v in (0.0, float(np.finfo(dtype).min), float("-inf")))
    # 0 times the least number, not times -∞
    floor = splat(builder.select(builder.fcmp_ordered("==", slope, zero), least, low))
    above = builder.select(builder.fcmp_ordered(">", value, floor), value, floor)
    keeps = builder.fcmp_unordered(">", value, splat(zero))
    return builder.select(keeps, value, builder.fmul(above, splat(slope)))


@intrinsic
def ask_for(typing, array, at):
    """Ask for the cache line that an element is in, which need not be there."""

    def generate(context, builder, signature, args):
        ask(builder, builder.gep(data(context, builder, array, args[0]), [args[1]]))
        return context.get_dummy_value()

    return types.none(array, types.intp), generate
