"""A block of a matrix product that stays in registers, as in `outer`, its factors at steps that the compiler knows.

    C[p, :] (+)= Σₖ a[p, k] B[k, :],      p < ROWS

Such steps take no registers, so a block may have more rows, and terms are written out one after the other.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from npgan.kernels.vectors import FLAGS, data, lanes, number


@intrinsic(prefer_literal=True)
def block(
    typing, rows, vectors, terms, add, c, c_at, c_row, a, a_at, a_row, a_term, a_step, b, b_at, b_row, count,
):  # fmt: skip
    """Write, or add, a block.

    Parameters
    ----------
    rows, vectors, terms : literal int
        The block, and how many terms are written out: there are `count` times as many, at least once.
    add : literal int
        1 to add to C, 0 to overwrite it.
    c, a, b : array
        Of one dtype; `c_at`, `a_at`, `b_at` are their first elements.
    c_row, a_row, a_term, a_step, b_row : literal int
        From one row of C, of a and of B to the next; from one of the terms of a to the next, and from all of them to
        those of the next time.
    """
    literal = rows, vectors, terms, add, c_row, a_row, a_term, a_step, b_row
    if not all(isinstance(each, types.IntegerLiteral) for each in literal):
        raise TypingError("a block and its steps must be literal")
    i = types.intp
    signature = types.none(rows, vectors, terms, add, c, i, c_row, a, i, a_row, a_term, a_step, b, i, b_row, i)
    height, width, together, adds, c_down, a_down, a_along, a_on, b_down = (each.literal_value for each in literal)

    def generate(context, builder, signature, args):
        _, _, _, _, c_, c_at, _, a_, a_at, _, _, _, b_, b_at, _, count_ = args
        size = lanes(str(c.dtype))
        element, word = context.get_value_type(c.dtype), ir.IntType(32)
        vector, bytes_ = ir.VectorType(element, size), c.dtype.bitwidth // 8
        every, undefined = ir.Constant(ir.VectorType(word, size), [0] * size), ir.Constant(vector, ir.Undefined)

        def vector_at(base, row, v):
            return builder.bitcast(builder.gep(base, [number(row + v * size)]), vector.as_pointer())

        a_base = builder.gep(data(context, builder, a, a_), [a_at])
        b_base = builder.gep(data(context, builder, b, b_), [b_at])
        c_base = builder.gep(data(context, builder, c, c_), [c_at])
        places = [vector_at(c_base, p * c_down, v) for p in range(height) for v in range(width)]
        nothing = ir.Constant(vector, [0.0] * size)
        first = [builder.load(place, align=bytes_) if adds else nothing for place in places]
        before = builder.block
        loop, done = builder.append_basic_block("terms"), builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        k, a_here, b_here = (builder.phi(each.type) for each in (count_, a_base, b_base))
        sums = [builder.phi(vector) for _ in first]
        found = list(sums)
        for t in range(together):
            factors = [builder.load(vector_at(b_here, t * b_down, v), align=bytes_) for v in range(width)]
            for p in range(height):
                x = builder.load(builder.gep(a_here, [number(p * a_down + t * a_along)]))
                x = builder.insert_element(undefined, x, ir.Constant(word, 0))
                x = builder.shuffle_vector(x, x, every)
                for v, factor in enumerate(factors):
                    total = found[p * width + v]
                    found[p * width + v] = builder.fadd(total, builder.fmul(x, factor, flags=FLAGS), flags=FLAGS)
        following = builder.add(k, number(1))
        on = builder.gep(a_here, [number(a_on)]), builder.gep(b_here, [number(together * b_down)])
        starts, nexts = [number(0), a_base, b_base, *first], [following, *on, *found]
        for phi, start, then in zip([k, a_here, b_here, *sums], starts, nexts, strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(then, loop)
        builder.cbranch(builder.icmp_signed("<", following, count_), loop, done)
        builder.position_at_end(done)
        for place, total in zip(places, found, strict=True):
            builder.store(total, place, align=bytes_)
        return context.get_dummy_value()

    return signature, generate
