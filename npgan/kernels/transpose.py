"""A matrix to its transpose, by squares that fit the registers: as many vectors as a vector has elements."""

# mypy: disable-error-code="no-untyped-def, call-arg"

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npgan.backend.compile import kernel
from npgan.kernels.vectors import data, lanes, number

_BYTES = 4 * lanes("float32")


@intrinsic
def _square(typing, out, out_at, out_step, source, source_at, source_step):
    """Do one square; the first element of each is given, and how far apart its rows are."""
    i = types.intp
    signature = types.none(out, i, i, source, i, i)

    def generate(context, builder, signature, args):
        out_, out_at, out_step, source_, source_at, source_step = args
        size, element = lanes(str(out.dtype)), context.get_value_type(out.dtype)
        pointer, bytes_ = ir.VectorType(element, size).as_pointer(), out.dtype.bitwidth // 8

        def addresses(kind, array, first, step):
            base = builder.gep(data(context, builder, kind, array), [first])
            rows = [builder.gep(base, [builder.mul(step, number(k))]) for k in range(size)]
            return [builder.bitcast(row, pointer) for row in rows]

        rows = [builder.load(at, align=bytes_) for at in addresses(source, source_, source_at, source_step)]
        # One bit of the row's number after the other changes places with that bit of the column's.
        bit = 1
        while bit < size:
            low = [lane + size - bit if lane & bit else lane for lane in range(size)]
            high = [lane + size if lane & bit else lane + bit for lane in range(size)]
            masks = [ir.Constant(ir.VectorType(ir.IntType(32), size), mask) for mask in (low, high)]
            for k in range(size):
                if not k & bit:
                    pair = rows[k], rows[k + bit]
                    rows[k], rows[k + bit] = (builder.shuffle_vector(*pair, mask) for mask in masks)
            bit *= 2
        for row, at in zip(rows, addresses(out, out_, out_at, out_step), strict=True):
            builder.store(row, at, align=bytes_)
        return context.get_dummy_value()

    return signature, generate


@kernel
def transpose(out, out_at, out_step, source, source_at, source_step, rows, columns):
    """Source (rows, columns) -> out (columns, rows).

    Both are flat; the first element of each matrix is given, and how far apart its rows are.
    """
    size = _BYTES // out.itemsize
    down, across = rows // size * size, columns // size * size
    for r in range(0, down, size):
        for c in range(0, across, size):
            _square(out, out_at + c * out_step + r, out_step, source, source_at + r * source_step + c, source_step)
    for r in range(rows):
        for c in range(across if r < down else 0, columns):
            out[out_at + c * out_step + r] = source[source_at + r * source_step + c]
