"""A block of a matrix product that stays in registers, its left factor gathered from anywhere.

    C[p, :] (+)= Σₖ a[rowₚ + tₖ] B[k, :],      p < ROWS

C and B are rows of a few vectors; for each k as many outer products as there are rows. Where a's elements lie is read
from two tables of offsets, so that a window of an image need not be copied into columns first.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from npgan.kernels.vectors import FLAGS, WIDE, ask, data, lanes, number

BLOCKS = {4: 6, 3: 7, 2: 10, 1: 8} if WIDE else {2: 5, 1: 8}
"""Rows of a block by its vectors: sums enough to hide a multiply-add's latency, and few enough for the registers."""

MORE = max(BLOCKS.values())
"""Rows, and their offsets, that must be there beyond the last one, so that all blocks are whole."""


def vectors_of(channels: int, dtype: Any) -> int:
    """Return the vectors of a block along so many channels, which are a multiple of 16."""
    return next(v for v in BLOCKS if channels // lanes(dtype) % v == 0)


@intrinsic(prefer_literal=True)
def outer(
    typing, rows, vectors, c, c_at, c_step, a, a_at, row_table, row, term_table, term, count, b, b_at, b_step, add,
    soon, soon_at, soon_table,
):  # fmt: skip
    """Write, or add, a block.

    Parameters
    ----------
    rows, vectors : literal int
        The block: see `BLOCKS`.
    c, a, b : array
        Of one dtype; `c_at`, `a_at`, `b_at` are their first elements, `c_step` and `b_step` from one row to the next.
    row_table, term_table : array of int64
        The offsets rowₚ and tₖ, from number `row` and `term` on.
    count : int
        How many terms.
    add : int
        1 to add to C, 0 to overwrite it.
    soon : array or None
        Memory that is asked for meanwhile, a line for each term, and the block of C before: `soon_at` is its first
        element, `soon_table` has the offsets.
    """
    if not all(isinstance(each, types.IntegerLiteral) for each in (rows, vectors)):
        raise TypingError("rows and vectors must be literal")
    n, i = types.none, types.intp
    signature = n(rows, vectors, c, i, i, a, i, row_table, i, term_table, i, i, b, i, i, i, soon, i, soon_table)
    height, width = rows.literal_value, vectors.literal_value

    def generate(context, builder, signature, args):
        _, _, c_, c_at, c_step, a_, a_at, rows_, row, terms, term, count, b_, b_at, b_step, add_, *next_ = args
        size = lanes(str(c.dtype))
        element = context.get_value_type(c.dtype)
        vector, bytes_ = ir.VectorType(element, size), c.dtype.bitwidth // 8
        zero, one = number(0), number(1)

        def at(base, *offsets):
            for offset in offsets:
                base = builder.gep(base, [offset])
            return base

        def vector_at(base, k):
            return builder.bitcast(at(base, number(k * size)), vector.as_pointer())

        a_base = at(data(context, builder, a, a_), a_at)
        b_base = at(data(context, builder, b, b_), b_at)
        c_base = at(data(context, builder, c, c_), c_at)
        first_row = at(data(context, builder, row_table, rows_), row)
        first_term = at(data(context, builder, term_table, terms), term)
        asks = not isinstance(soon, types.NoneType)
        if asks:
            s_base = at(data(context, builder, soon, next_[0]), next_[1])
            first_soon = data(context, builder, soon_table, next_[2])
            for p in range(height):
                c_row = at(c_base, builder.mul(c_step, number(p)))
                for v in range(width):
                    ask(builder, at(c_row, number(v * size)))
        starts = [at(a_base, builder.load(at(first_row, number(p)))) for p in range(height)]
        adds = builder.icmp_signed("!=", add_, zero)
        before = builder.block
        loop, done = builder.append_basic_block("terms"), builder.append_basic_block("done")
        nothing = ir.Constant(vector, [0.0] * size)
        builder.cbranch(builder.icmp_signed(">", count, zero), loop, done)
        builder.position_at_end(loop)
        k, b_row = builder.phi(count.type), builder.phi(b_base.type)
        sums = [[builder.phi(vector) for _ in range(width)] for _ in range(height)]
        offset = builder.load(at(first_term, k))
        factors = [builder.load(vector_at(b_row, v), align=bytes_) for v in range(width)]
        if asks:
            ask(builder, at(s_base, builder.load(at(first_soon, k))))
        found = []
        for p in range(height):
            x = builder.load(at(starts[p], offset))
            x = builder.insert_element(ir.Constant(vector, ir.Undefined), x, ir.Constant(ir.IntType(32), 0))
            x = builder.shuffle_vector(x, x, ir.Constant(ir.VectorType(ir.IntType(32), size), [0] * size))
            found.append(
                [
                    builder.fadd(total, builder.fmul(x, factor, flags=FLAGS), flags=FLAGS)
                    for total, factor in zip(sums[p], factors, strict=True)
                ]
            )
        following = builder.add(k, one)
        for phi, start, then in [(k, zero, following), (b_row, b_base, at(b_row, b_step))]:
            phi.add_incoming(start, before)
            phi.add_incoming(then, loop)
        for p in range(height):
            for v in range(width):
                sums[p][v].add_incoming(nothing, before)
                sums[p][v].add_incoming(found[p][v], loop)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
        builder.position_at_end(done)
        totals = [[builder.phi(vector) for _ in range(width)] for _ in range(height)]
        for p in range(height):
            c_row = at(c_base, builder.mul(c_step, number(p)))
            for v in range(width):
                total, place = totals[p][v], vector_at(c_row, v)
                total.add_incoming(nothing, before)
                total.add_incoming(found[p][v], loop)
                sum_ = builder.fadd(builder.load(place, align=bytes_), total, flags=FLAGS)
                builder.store(builder.select(adds, sum_, total), place, align=bytes_)
        return context.get_dummy_value()

    return signature, generate
