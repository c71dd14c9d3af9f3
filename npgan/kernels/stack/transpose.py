"""A matrix written the other way round, square by square, each in as many registers as it has rows."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types

from npgan.backend.compile import kernel
from npgan.kernels.conv.vectors import data, lanes, number

intrinsic: Any = extending.intrinsic
_SINGLE, _DOUBLE = lanes("float32"), lanes("float64")


@intrinsic
def _square(typing, out, out_at, out_step, x, x_at, x_step):
    # One of as many rows as a vector has elements; the steps are from one row to the next.
    def generate(context, builder, signature, args):
        size, nbytes = lanes(str(x.dtype)), x.dtype.bitwidth // 8
        vector = ir.VectorType(context.get_value_type(x.dtype), size)

        def rows(kind, array, first, step):
            base = data(context, builder, kind, array)
            places = [builder.add(first, builder.mul(step, number(r))) for r in range(size)]
            return [builder.bitcast(builder.gep(base, [place]), vector.as_pointer()) for place in places]

        # Row i and row i + size / 2, element by element in turn, are two rows of the next stage: i's highest bit
        # becomes its lowest, and that of a column the other way round. After as many stages as there are bits all have.
        word = ir.VectorType(ir.IntType(32), size)
        halves = [ir.Constant(word, [h + i // 2 + i % 2 * size for i in range(size)]) for h in (0, size // 2)]
        found = [builder.load(place, align=nbytes) for place in rows(x, *args[3:])]
        for _ in range(size.bit_length() - 1):
            pairs = zip(found[: size // 2], found[size // 2 :], strict=True)
            found = [builder.shuffle_vector(a, b, half) for a, b in pairs for half in halves]
        for place, row in zip(rows(out, *args[:3]), found, strict=True):
            builder.store(row, place, align=nbytes)
        return context.get_dummy_value()

    i = types.intp
    return types.none(out, i, i, x, i, i), generate


@kernel
def transpose(out, x, m, n):
    """x (m, n) -> out (n, m)."""
    size = _SINGLE if x.itemsize == 4 else _DOUBLE
    rows, columns = m - m % size, n - n % size
    for r in range(0, rows, size):
        for c in range(0, columns, size):
            _square(out, c * m + r, m, x, r * n + c, n)
    for r in range(m):
        for c in range(columns if r < rows else 0, n):
            out[c * m + r] = x[r * n + c]
